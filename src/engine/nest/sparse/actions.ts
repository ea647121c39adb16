/**
 * The probability that an action on a tile is saved because what it is conditioned on is empty (Sparseloop): a target
 * tile is fetched for one trip of the innermost loop that changes it, so it can be left out when the tiles of the
 * others that are used during that trip hold nothing.
 */
import { InputError } from '../../../base/errors.js';
import type { NestCore } from '../core.js';
import { type Loops, TIME } from '../loops.js';
import type { Occupancy } from './density.js';
import { boxOf } from './ranks.js';

export interface Saving {
  readonly level: number;
  readonly tensor: number;
  readonly probability: number;
}

/** Of fetching `target` from the level that keeps it, at or outside `level`, given that tensors `on` may be empty. */
export function savingOf(
  loops: Loops,
  core: NestCore,
  level: number,
  target: number,
  on: readonly number[],
  occupancies: readonly Occupancy[],
  blockOf: (level: number, k: number) => number,
): Saving {
  const { K, L, problem } = core;
  let at = level;
  while (at >= 0 && !loops.keep[at * K + target]) at--;
  if (at < 0)
    throw new InputError(
      `no level from ${problem.array.levels[level]!.id} outwards keeps ${problem.tensors[target]!.name}`,
      'sparse actions',
    );
  let child = at + 1;
  while (child < L && !loops.keep[child * K + target]) child++;
  const { relevant } = problem.tensors[target]!;
  const R = problem.ranks.length + 1;

  // loops from the innermost outwards, with the extents that they and all inside them span
  const spans: { rank: number; size: number; time: boolean; level: number; extents: number[] }[] = [];
  const extents = new Array<number>(R).fill(1);
  for (let i = loops.n - 1; i >= 0; i--) {
    extents[loops.rank[i]!]! *= loops.size[i]!;
    spans.push({
      rank: loops.rank[i]!,
      size: loops.size[i]!,
      time: loops.kind[i] === TIME,
      level: loops.level[i]!,
      extents: [...extents],
    });
  }
  const inside = spans.filter((s) => s.level >= at && s.level < child);
  let scalar = false;
  let found = -1;
  if (child === L) {
    // operands are fetched for each point: the loop does not matter, unless places below want several at once
    const nearest = inside.filter((s) => s.level === L - 1 && !s.time);
    if (nearest.length === 0) scalar = true;
    else {
      const first = nearest.findIndex((s) => relevant[s.rank]);
      found = spans.indexOf(nearest[first < 0 ? nearest.length - 1 : first]!);
    }
  } else found = spans.findIndex((s) => s.level >= at && s.level < child && relevant[s.rank] === 1);

  const base = new Array<number>(R).fill(1);
  const own = scalar
    ? base
    : found >= 0
      ? spans[found]!.extents
      : ((inside.at(-1) ?? spans.filter((s) => s.level >= child).at(-1))?.extents ?? base);
  const targetLoop = scalar ? inside[0] : found >= 0 ? spans[found]! : inside.at(-1);
  const conditioned = [...own];
  const trips: { rank: number; size: number }[] = !scalar && targetLoop ? [targetLoop] : [];
  if (targetLoop) {
    let open = !targetLoop.time && !scalar;
    for (const s of spans.slice(scalar ? 0 : found + 1)) {
      if (s.level < at || s.level >= child) continue;
      if (scalar && s === targetLoop && s.time) continue;
      const passes = open && s.time && child < L && !relevant[s.rank];
      if (!s.time || passes) {
        conditioned[s.rank]! *= s.size;
        trips.push(s);
      }
      if (!targetLoop.time && s.time && (child === L || relevant[s.rank])) open = false;
    }
  }
  let kept = 1;
  for (const k of on) {
    const both = (rank: number) => relevant[rank] === 1 && problem.tensors[k]!.relevant[rank] === 1;
    const factors = new Map<number, number>();
    if (!scalar) for (const t of trips) if (both(t.rank)) factors.set(t.rank, (factors.get(t.rank) ?? 1) * t.size);
    let all = 1;
    for (const f of factors.values()) all *= f;
    const box = [...conditioned];
    let scale = Math.ceil(blockOf(at, target) / (boxOf(core, target, own) / all));
    for (const [rank, f] of factors) {
      box[rank] = Math.ceil(box[rank]! / (f / scale));
      scale /= f;
    }
    if (scale > 1 && targetLoop) box[targetLoop.rank] = Math.trunc(box[targetLoop.rank]! * scale);
    kept *= 1 - occupancies[k]!.probability(boxOf(core, k, box), 0);
  }
  return { level: at, tensor: target, probability: 1 - kept };
}
