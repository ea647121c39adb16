/** Which change would save most: of tile sizes, or of the kernel (a fused one for an unfused one). */
import type { Schedule } from './schedules.js';

export interface Advice {
  readonly change: 'tile' | 'kernel' | 'none';
  readonly from: Schedule;
  readonly to: Schedule;
  readonly saves_B: number;
  /** Bytes that the best schedule known still moves beyond the bound. */
  readonly left_B: number;
}

/**
 * From the user's schedule, or the best of the library's own sizes, to the schedule that moves least: a change of tile
 * when the same kernel comes within a tenth of that saving. Undefined without two schedules to compare.
 */
export function adviceOf(schedules: readonly Schedule[], bound_B: number): Advice | undefined {
  const from = schedules.find((s) => s.sizes === 'yours') ?? schedules.find((s) => s.sizes === 'library');
  const others = schedules.filter((s) => s !== from && s.sizes !== 'yours');
  if (!from || others.length === 0) return undefined;
  const least = (list: readonly Schedule[]) =>
    list.reduce<Schedule | undefined>((a, b) => (!a || b.requested_B < a.requested_B ? b : a), undefined);
  const best = least(others)!;
  const own = least(others.filter((s) => s.kernel === from.kernel));
  const to = own && from.requested_B - own.requested_B >= 0.9 * (from.requested_B - best.requested_B) ? own : best;
  const saves_B = from.requested_B - to.requested_B;
  const left_B = Math.min(from.requested_B, to.requested_B) - bound_B;
  // less than one in a hundred is no change worth a word
  if (saves_B < 0.01 * from.requested_B) return { change: 'none', from, to: from, saves_B: 0, left_B };
  return { change: to.kernel === from.kernel ? 'tile' : 'kernel', from, to, saves_B, left_B };
}
