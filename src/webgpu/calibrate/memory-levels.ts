/** The levels of memory: a coarse curve, its changes, a finer curve around each, and the streaming rate in each level. */
import { type CurvePoint, type Level, levelsOf } from './curve.js';
import { type Effort, type Figure, type Samples, sample, type Timer, Times, withSpread } from './measure.js';
import { ACCESSES, chaseProbe, streamProbe, workingSets } from './memory.js';
import type { Probe } from './probe.js';
import type { Setup } from './setup.js';

export interface MemoryLevel {
  /** Of a dependent load, its address' arithmetic left out. */
  readonly latency: Figure;
  /** Streaming loads, B/s: of one core of a CPU, but for the last level; of the whole device else. */
  readonly bandwidth: Figure;
  readonly capacity_B?: number;
  readonly between_B?: readonly [number, number];
  readonly to_B: number;
}
export interface Memory {
  readonly levels: readonly MemoryLevel[];
  readonly curve: readonly CurvePoint[];
}

const SMALLEST_B = 4096;
const LARGEST_B = { full: 64 << 20, quick: 16 << 20 } as const;
/** Of a level's capacity, what is streamed through: all of it fits, with room for what else runs. */
const PART = 0.5;
const CHASE_ITERATIONS = 20_000;

export async function memoryLevels(
  timer: Timer,
  setup: Setup,
  effort: Effort,
  /** `dispatch` and `chase nothing`. */
  before: Samples,
  workgroups: number,
  quick: boolean,
  done: () => void = () => {},
): Promise<Memory> {
  const largest = Math.min(
    quick ? LARGEST_B.quick : LARGEST_B.full,
    setup.info.limits['maxStorageBufferBindingSize'] ?? LARGEST_B.quick,
    setup.info.limits['maxBufferSize'] ?? LARGEST_B.quick,
  );
  const chase = (bytes: number): Probe => ({ ...chaseProbe(bytes), iterations: CHASE_ITERATIONS });
  // each size is a buffer of its own, which is what takes the time
  const few: Effort = { ...effort, rounds: quick ? 1 : 8, repeats: quick ? 3 : 4 };
  const samples = new Map(before);
  const measure = async (sizes: readonly number[]): Promise<void> => {
    const fresh = sizes.filter((b) => !samples.has(`chase ${b}`));
    for (const [id, s] of await sample(timer, fresh.map(chase), few, done)) samples.set(id, s);
  };
  await measure(workingSets(SMALLEST_B, largest, 1));
  const sizes = () =>
    [...samples.keys()].flatMap((id) => (/^chase \d+$/.test(id) ? [Number(id.slice(6))] : [])).sort((a, b) => a - b);
  const curve = (): CurvePoint[] => {
    const t = new Times(samples);
    return sizes().map((bytes) => ({ bytes, time_s: loadOf(t, bytes) }));
  };
  if (!quick)
    for (const { between_B } of levelsOf(curve()))
      if (between_B)
        await measure(
          workingSets(between_B[0] / 2, between_B[1] * 2, 4).filter((b) => b >= SMALLEST_B && b <= largest),
        );
  const found = levelsOf(curve());
  // of a CPU's caches the part of one core: others may be busy with something else
  const streams = found.map((l, i) =>
    streamProbe(
      setup,
      powerOfTwo(l.capacity_B ? l.capacity_B * PART : l.to_B),
      setup.cpu && i < found.length - 1 ? 1 : workgroups,
    ),
  );
  for (const [id, s] of await sample(timer, streams, few, done)) samples.set(id, s);
  const figures = withSpread(samples, (t) => {
    const out: Record<string, number> = {};
    found.forEach((l, i) => {
      const inside = sizes().filter((b) => b >= l.from_B && b <= l.to_B);
      const times = inside.map((b) => loadOf(t, b)).sort((a, b) => a - b);
      out[`latency ${i}`] = times[times.length >> 1]!;
      const stream = streams[i]!;
      out[`bandwidth ${i}`] = (stream.workgroups * stream.lanes * 16 * ACCESSES) / t.iteration(stream.id);
    });
    return out;
  });
  return {
    levels: found.map((l, i) => level(l, figures[`latency ${i}`]!, figures[`bandwidth ${i}`]!)),
    curve: curve(),
  };
}

/** A step of the chain without its address' arithmetic, of which it is at least a tenth. */
function loadOf(t: Times, bytes: number): number {
  const step = t.iteration(`chase ${bytes}`);
  return Math.max(step - t.iteration('chase nothing'), 0.1 * step);
}

const level = ({ capacity_B, between_B, to_B }: Level, latency: Figure, bandwidth: Figure): MemoryLevel => ({
  latency,
  bandwidth,
  to_B,
  ...(capacity_B !== undefined && { capacity_B, between_B }),
});

const powerOfTwo = (bytes: number): number => 2 ** Math.floor(Math.log2(bytes));
