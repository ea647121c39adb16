/**
 * The library's schedules beside the bound: for each kernel of an op the tile sizes that ask least of the far side
 * within a capacity, once free and once of the sizes that the kernel's parameters offer.
 */
import { InputError } from '../base/errors.js';
import type { Program } from '../kernel/ir.js';
import type { Params } from '../kernel/kernel.js';
import { type AnyKernel, kernelsFor } from '../kernel/library/index.js';
import type { Op } from '../workload/op.js';
import { liveBytes, requestedOf, requestedWithin } from './count.js';
import { nearMachine } from './near-machine.js';
import { sizeMatters } from './result.js';
import { type Axis, type Space, spaceOf } from './space.js';

export interface Schedule {
  readonly kernel: string;
  readonly tile: Params;
  /** Whose tile sizes: any whole numbers, those the library offers, or the user's own. */
  readonly sizes: 'free' | 'library' | 'yours';
  readonly requested_B: number;
  readonly live_B: number;
}

/** Tiles so small that counting them takes more steps than this are not looked at. */
const MOST_PLACES = 120_000;

/** Kernels whose bytes depend on more than tile sizes and capacity. */
const LEFT_OUT: ReadonlySet<string> = new Set(['gemm_stream_k']);

/** Programs of a choice; undefined when the kernel cannot lay it out. */
function programsOf(kernel: AnyKernel, op: Op, params: Params): Program[] | undefined {
  try {
    return kernel.build(op, params, nearMachine(op)).map((l) => l.program);
  } catch (e) {
    if (e instanceof InputError) return undefined;
    throw e;
  }
}

/** What one choice moves and holds. @throws InputError when the kernel cannot lay it out */
export function scheduleOf(kernel: AnyKernel, op: Op, tile: Params, sizes: Schedule['sizes'] = 'yours'): Schedule {
  const programs = kernel.build(op, tile, nearMachine(op)).map((l) => l.program);
  return { kernel: kernel.name, tile, sizes, requested_B: requestedOf(programs).total_B, live_B: liveBytes(programs) };
}

/**
 * For every kernel that computes the op: its best free sizes and its best listed sizes within `capacity_B`, least bytes
 * first. Kernels whose least tile is larger are left out.
 */
export function schedulesOf(op: Op, capacity_B: number, listed: 'listed' | 'only if not free' = 'listed'): Schedule[] {
  const out: Schedule[] = [];
  for (const kernel of kernelsFor(op) as readonly AnyKernel[]) {
    if (LEFT_OUT.has(kernel.name) || kernel.rejects(op, nearMachine(op)) !== undefined) continue;
    const space = spaceOf(kernel.name, op);
    const libraryToo = listed === 'listed' || !space;
    const free = space ? searchFree(kernel, op, space, capacity_B) : undefined;
    const own = libraryToo ? searchListed(kernel, op, capacity_B, free?.tile, space) : undefined;
    for (const s of [free, own]) if (s) out.push(s);
  }
  return out.sort((a, b) => a.requested_B - b.requested_B || a.live_B - b.live_B);
}

/** A user's kernel at the best of the sizes that it lists; undefined when none fits. */
export function ownSchedule(kernel: AnyKernel, op: Op, capacity_B: number): Schedule | undefined {
  const found = searchListed(kernel, op, capacity_B, undefined, undefined);
  return found && { ...found, sizes: 'yours' };
}

/** The schedule of one kernel with free sizes; undefined when none fits. */
export function searchFree(kernel: AnyKernel, op: Op, space: Space, capacity_B: number): Schedule | undefined {
  let best: Schedule | undefined;
  for (const fixed of space.fixed) {
    let at: Params = fixed;
    for (const pair of space.pairs) for (const a of pair) at = { ...at, [a.name]: 1 };
    if (!fits(kernel, op, at, capacity_B)) continue;
    for (const pair of space.pairs) at = bestOfPair(kernel, op, at, pair, capacity_B);
    const programs = programsOf(kernel, op, at)!;
    const asked = requestedWithin(programs, MOST_PLACES);
    if (!asked) continue;
    const found: Schedule = {
      kernel: kernel.name,
      tile: at,
      sizes: 'free',
      requested_B: asked.total_B,
      live_B: liveBytes(programs),
    };
    if (!best || found.requested_B < best.requested_B) best = found;
  }
  return best;
}

const fits = (kernel: AnyKernel, op: Op, params: Params, capacity_B: number): boolean => {
  const programs = programsOf(kernel, op, params);
  return programs !== undefined && liveBytes(programs) <= capacity_B;
};

/** The first size takes each value that changes the number of tiles, the other the largest that then fits. */
function bestOfPair(kernel: AnyKernel, op: Op, at: Params, pair: readonly Axis[], capacity_B: number): Params {
  const [first, second] = pair as readonly [Axis, Axis | undefined];
  let best = at;
  let least = Number.POSITIVE_INFINITY;
  const seen = new Set<number>();
  const visit = (value: number) => {
    if (seen.has(value)) return;
    seen.add(value);
    let choice: Params = { ...at, [first.name]: value };
    if (!fits(kernel, op, choice, capacity_B)) return;
    if (second) choice = widest(kernel, op, choice, second, capacity_B);
    const programs = programsOf(kernel, op, choice);
    if (!programs) return;
    const asked = requestedWithin(programs, MOST_PLACES);
    if (!asked) return;
    const { total_B } = asked;
    if (total_B < least) {
      least = total_B;
      best = choice;
    }
  };
  if (!second) {
    visit(widest(kernel, op, at, first, capacity_B)[first.name]!);
    return best;
  }
  const sizes = tileSizes(first.most);
  // a sparse pass, then ever closer around the best
  for (let step = Math.max(1, Math.floor(sizes.length / 12)); ; step = Math.floor(step / 2)) {
    const centre = sizes.indexOf(best[first.name]!);
    const near = least === Number.POSITIVE_INFINITY ? sizes.length : 6 * step;
    for (let i = centre >= 0 ? Math.max(0, centre - near) : 0; i < sizes.length; i += step) {
      if (centre >= 0 && i > centre + near) break;
      visit(sizes[i]!);
    }
    if (step === 1) return best;
  }
}

/** The largest value of an axis that fits, lowered to the least that gives as many tiles. */
function widest(kernel: AnyKernel, op: Op, at: Params, { name, most }: Axis, capacity_B: number): Params {
  let low = 1;
  let high = most;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(kernel, op, { ...at, [name]: middle }, capacity_B)) low = middle;
    else high = middle - 1;
  }
  return { ...at, [name]: Math.ceil(most / Math.ceil(most / low)) };
}

/** Sizes that cut `most` into 1, 2, 3 … tiles, ascending: any other size makes as many tiles as the next smaller. */
export function tileSizes(most: number): number[] {
  const sizes: number[] = [];
  for (let size = most; size >= 1; ) {
    sizes.push(size);
    const tiles = Math.ceil(most / size);
    const smaller = Math.ceil(most / (tiles + 1));
    size = smaller < size ? smaller : size - 1;
  }
  return sizes.reverse();
}

/** Most combinations of listed values that are tried. */
const MOST_LISTED = 4000;

/**
 * The best of the kernel's listed values: around the best free sizes where these are known, what is fixed in the space at
 * the nearest value; buffers and lane groups, which do not change what moves, at their least.
 */
function searchListed(
  kernel: AnyKernel,
  op: Op,
  capacity_B: number,
  free: Params | undefined,
  space: Space | undefined,
): Schedule | undefined {
  const axes = new Set(space?.pairs.flat().map((a) => a.name));
  let choices: Params[] = [{}];
  for (const [name, { values }] of Object.entries(kernel.params)) {
    const around = free?.[name];
    let tried = values;
    if (!sizeMatters(name)) tried = values.slice(0, 1);
    else if (around !== undefined) tried = nearest(values, around, axes.has(name) ? 3 : 1);
    choices = choices.flatMap((c) => tried.map((v) => ({ ...c, [name]: v })));
    const step = Math.ceil(choices.length / MOST_LISTED);
    if (step > 1) choices = choices.filter((_, i) => i % step === 0);
  }
  let best: Schedule | undefined;
  for (const tile of choices) {
    const programs = programsOf(kernel, op, tile);
    if (!programs) continue;
    const live_B = liveBytes(programs);
    if (live_B > capacity_B) continue;
    const asked = requestedWithin(programs, MOST_PLACES);
    if (!asked) continue;
    const { total_B } = asked;
    if (!best || total_B < best.requested_B || (total_B === best.requested_B && live_B < best.live_B))
      best = { kernel: kernel.name, tile, sizes: 'library', requested_B: total_B, live_B };
  }
  return best;
}

/** The `n` listed values nearest to `at`, as ratios, ascending. */
function nearest(values: readonly number[], at: number, n: number): readonly number[] {
  const far = (v: number) => Math.abs(Math.log2((v + 1) / (at + 1)));
  return [...values]
    .sort((a, b) => far(a) - far(b) || a - b)
    .slice(0, n)
    .sort((a, b) => a - b);
}
