/**
 * Nests walked element by element, as an oracle for closed forms. `walkAll` takes every trip of every loop; `walkPairs`
 * is the walk that Timeloop's nest analysis takes: the first two trips of each loop, the second standing for all others,
 * with its rule for what a place still holds and with neighbours that hand words on.
 */
import type { Loops } from '../../../src/engine/nest/loops.js';
import type { Problem } from '../../../src/engine/nest/problem.js';

interface Loop {
  readonly rank: number;
  readonly size: number;
  readonly level: number;
  readonly time: boolean;
  readonly stride: number;
}

export function listLoops(loops: Loops, ranks: number): Loop[] {
  const scale = new Array<number>(ranks + 1).fill(1);
  const out: Loop[] = [];
  for (let i = loops.n - 1; i >= 0; i--) {
    const rank = loops.rank[i]!;
    out.unshift({
      rank,
      size: loops.size[i]!,
      level: loops.level[i]!,
      time: loops.kind[i] === 0,
      stride: scale[rank]!,
    });
    scale[rank]! *= loops.size[i]!;
  }
  return out;
}

type Point = readonly number[];

/** Coordinates of a tensor's box whose first iteration point is `at`, spanned by `inside`. */
function box(problem: Problem, k: number, at: Point, inside: readonly Loop[]): Set<string> {
  const { dims } = problem.tensors[k]!;
  const ranges = dims.map((dim) => {
    let low = 0;
    let high = 0;
    for (const t of dim) {
      low += t.stride * at[t.rank]!;
      let extent = 1;
      for (const l of inside) if (l.rank === t.rank) extent *= l.size;
      high += t.stride * (at[t.rank]! + extent - 1);
    }
    return [low, high] as const;
  });
  let cells = [''];
  for (const [low, high] of ranges) {
    const next: string[] = [];
    for (const c of cells) for (let x = low; x <= high; x++) next.push(`${c},${x}`);
    cells = next;
  }
  return new Set(cells);
}

/** All index vectors of loops, outermost slowest. */
function* trips(loops: readonly Loop[], most: (l: Loop) => number): Generator<number[]> {
  const index = loops.map(() => 0);
  for (;;) {
    yield [...index];
    let i = loops.length - 1;
    for (; i >= 0; i--) {
      if (++index[i]! < most(loops[i]!)) break;
      index[i] = 0;
    }
    if (i < 0) return;
  }
}

function pointOf(ranks: number, ...parts: (readonly [readonly Loop[], readonly number[]])[]): number[] {
  const at = new Array<number>(ranks + 1).fill(0);
  for (const [loops, index] of parts)
    for (const [i, l] of loops.entries()) at[l.rank] = at[l.rank]! + l.stride * index[i]!;
  return at;
}

const same = (a: ReadonlySet<string>, b: ReadonlySet<string>) => a.size === b.size && [...a].every((x) => b.has(x));

/**
 * Words into one tile at `level` over the whole run when it holds just the tile before: real sets, real trips. A tile
 * that jumps back starts afresh. Trips are left out of which `taken` is false.
 */
export function fillsByWalking(
  problem: Problem,
  loops: readonly Loop[],
  k: number,
  level: number,
  taken: (at: readonly number[], within: readonly Loop[]) => boolean = () => true,
): number {
  const R = problem.ranks.length;
  const above = loops.filter((l) => l.level < level && l.time);
  const inside = loops.filter((l) => l.level >= level);
  let held = new Set<string>();
  let low: number[] = [];
  let words = 0;
  for (const index of trips(above, (l) => l.size)) {
    const at = pointOf(R, [above, index]);
    if (!taken(at, inside)) continue;
    const next = box(problem, k, at, inside);
    const from = problem.tensors[k]!.dims.map((d) => d.reduce((n, t) => n + t.stride * at[t.rank]!, 0));
    if (from.some((x, d) => x < (low[d] ?? 0))) held = new Set();
    low = from;
    for (const x of next) if (!held.has(x)) words++;
    held = next;
  }
  return words;
}

/** Distinct boxes at `level + 1` among the places below one place of `level`. */
export function groupsByWalking(problem: Problem, loops: readonly Loop[], k: number, level: number): number {
  const R = problem.ranks.length;
  const across = loops.filter((l) => l.level === level && !l.time);
  const inside = loops.filter((l) => l.level > level);
  const found = new Set<string>();
  for (const index of trips(across, (l) => l.size))
    found.add([...box(problem, k, pointOf(R, [across, index]), inside)].sort().join('|'));
  return found.size;
}

export interface PairWalk {
  /** Words that the level above sends per place of it, and that arrive per place below from there and from neighbours. */
  sent: number;
  shared: number;
  handed: number;
}

/** The network above `level` (which may be the arithmetic), walked as Timeloop does. */
export function walkPairs(
  problem: Problem,
  loops: readonly Loop[],
  k: number,
  level: number,
  columns: number,
  rows: number,
  neighbours: boolean,
): PairWalk {
  const R = problem.ranks.length;
  const points = level === problem.array.levels.length;
  const above = loops.filter((l) => l.level < level && l.time);
  const inside = loops.filter((l) => l.level >= level);
  const across = loops.filter((l) => l.level === level - 1 && !l.time);
  const places = [...trips(across, (l) => l.size)];
  const state = places.map(() => ({
    held: undefined as Set<string> | undefined,
    low: '',
    moved: undefined as string | undefined,
  }));
  let before: Set<string>[] | undefined;
  const out: PairWalk = { sent: 0, shared: 0, handed: 0 };
  for (const index of trips(above, (l) => Math.min(2, l.size))) {
    let weight = 1;
    for (const [i, l] of above.entries()) weight *= index[i] === 1 ? l.size - 1 : 1;
    const deltas = places.map((place, u) => {
      const at = pointOf(R, [above, index], [across, place]);
      const whole = box(problem, k, at, inside);
      if (points) return whole;
      const s = state[u]!;
      const low = problem.tensors[k]!.dims.map((d) => d.reduce((n, t) => n + t.stride * at[t.rank]!, 0));
      let delta = whole;
      if (s.held) {
        const was = s.low.split(',').map(Number);
        const moved = low.map((x, d) => x - was[d]!).join();
        if (s.moved === undefined || s.moved === moved) {
          delta = new Set([...whole].filter((x) => !s.held!.has(x)));
          s.moved = moved;
        } else s.moved = undefined;
      }
      s.held = whole;
      s.low = low.join();
      return delta;
    });
    const alone = deltas.map((delta, u) => {
      if (!neighbours || !before || delta.size === 0) return true;
      const x = u % columns;
      const y = Math.floor(u / columns);
      const near = [
        x > 0 ? u - 1 : -1,
        x < columns - 1 ? u + 1 : -1,
        y > 0 ? u - columns : -1,
        y < rows - 1 ? u + columns : -1,
      ];
      return !near.some((v) => before![v] && same(before![v]!, delta));
    });
    const send = (which: (u: number) => boolean) => {
      const groups: Set<string>[] = [];
      let total = 0;
      deltas.forEach((d, u) => {
        if (!which(u) || d.size === 0 || groups.some((g) => same(g, d))) return;
        groups.push(d);
        total += d.size;
      });
      return total;
    };
    const [plain, linked] = [send(() => true), send((u) => alone[u]!)];
    const use = linked < plain;
    out.sent += (use ? linked : plain) * weight;
    deltas.forEach((d, u) => {
      const n = (d.size * weight) / places.length;
      if (use && !alone[u]) out.handed += n;
      else out.shared += n;
    });
    before = deltas;
  }
  return out;
}

export interface PartialWalk {
  computes: number;
  steps: number;
  readonly instances: number[];
  /** By level and tensor: words that all instances give to nearer ones, take from farther away, and ever hold. */
  readonly at: Map<number, { given: number; taken: number; firsts: number }>;
}

/**
 * A nest of tensors without windows, walked trip by trip, trips beyond an extent left out. Each place remembers its
 * tile; a word that several places below one of a level want in the same trip leaves the level once.
 */
export function walkPartial(problem: Problem, loops: Loops, list: readonly Loop[]): PartialWalk {
  const L = problem.array.levels.length;
  const K = problem.tensors.length;
  const R = problem.ranks.length;
  const time = list.filter((l) => l.time);
  const across = list.filter((l) => !l.time);
  const within = (at: Point) => problem.extents.every((e, r) => at[r]! < e);
  const clipped = (k: number, at: Point, inside: readonly Loop[]): string[] =>
    [...box(problem, k, at, inside)].filter((cell) =>
      problem.tensors[k]!.dims.every((dim, d) => Number(cell.split(',')[d + 1]) < problem.extents[dim[0]!.rank]!),
    );
  const used = Array.from({ length: L + 1 }, () => new Set<string>());
  const out: PartialWalk = { computes: 0, steps: 0, instances: [], at: new Map() };
  const held = new Map<string, string>();
  const seen = new Map<string, Set<string>>();
  for (let i = 0; i < L * K; i++) out.at.set(i, { given: 0, taken: 0, firsts: 0 });
  const moments = new Set<string>();
  for (const index of trips(time, (l) => l.size)) {
    const sent = new Set<string>();
    for (const place of trips(across, (l) => l.size)) {
      const at = pointOf(R, [time, index], [across, place]);
      if (!within(at)) continue;
      out.computes++;
      if (place.every((x) => x === 0)) moments.add(index.join());
      // which place of each level this is
      const names = Array.from({ length: L + 1 }, (_, l) => place.filter((__, i) => across[i]!.level < l).join());
      for (const [l, n] of names.entries()) used[l]!.add(n);
      for (let k = 0; k < K; k++) {
        const kept = Array.from({ length: L }, (_, l) => l).filter((l) => loops.keep[l * K + k]);
        kept.forEach((l, i) => {
          const child = kept[i + 1] ?? L;
          const inside = list.filter((x) => x.level >= child);
          const from = pointOf(
            R,
            [time, index.map((x, j) => (time[j]!.level < child ? x : 0))],
            [across, place.map((x, j) => (across[j]!.level < child ? x : 0))],
          );
          const own = `${child}|${k}|${names[child]}`;
          const tile = clipped(k, from, inside);
          const key = tile.join('|');
          // the arithmetic takes its operands anew at each point, a store its tile when that is another
          const moment = `${own}|${index.filter((_, j) => time[j]!.level < child).join()}`;
          const fresh = child === L || held.get(own) !== key;
          if (fresh && !sent.has(moment)) {
            sent.add(moment);
            if (child < L) {
              held.set(own, key);
              out.at.get(child * K + k)!.taken += tile.length;
            }
            const word = `given|${k}|${l}|${names[l]}|${child}|${key}`;
            if (!sent.has(word)) {
              sent.add(word);
              out.at.get(l * K + k)!.given += tile.length;
            }
          }
          const mine = seen.get(`${l}|${k}|${names[l]}`) ?? new Set<string>();
          seen.set(`${l}|${k}|${names[l]}`, mine);
          for (const cell of tile) mine.add(cell);
        });
      }
    }
  }
  for (const [key, cells] of seen) {
    const [l, k] = key.split('|').map(Number);
    out.at.get(l! * K + k!)!.firsts += cells.size;
  }
  out.steps = moments.size;
  for (let l = 0; l <= L; l++) out.instances.push(used[l]!.size);
  return out;
}
