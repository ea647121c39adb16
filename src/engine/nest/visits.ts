/**
 * Trips that are taken where a rank of blocks ends early (causal attention: keys that no query of a tile sees). Counts
 * of a nest are products of trips as long as all are taken; here the trips of the loops so far are counted instead, each
 * combination that leads to some block once:
 *
 *   for p1 in [0:2)          2
 *     for j in [0:4)         2 + 4    the last tile of each p1 sees 2 and 4 blocks
 *       for p0 in [0:2)      1 + 2 + 3 + 4
 */
import { InfeasibleError } from '../../base/errors.js';
import type { Until } from '../../kernel/einsum.js';
import { type Loops, TIME } from './loops.js';

export interface Visits {
  /** Combinations of the loops in time up to each loop. */
  readonly upTo: Float64Array;
  /** The loop over the blocks, and the rank that says where they end. */
  readonly along: number;
  readonly by: number;
  /** Up to each loop: combinations of loops that tell no tiles apart, and how many tiles are still together. */
  readonly others: Float64Array;
  readonly alike: Float64Array;
  readonly blocks: readonly number[];
}

/**
 * Undefined where the einsum lacks one of both ranks, so that all trips are taken.
 * @throws InfeasibleError where loops cut tiles that end at different blocks, or tiles inside blocks end in no order
 */
export function visitsOf(
  loops: Pick<Loops, 'n' | 'rank' | 'size' | 'kind'>,
  ranks: readonly string[],
  until: Until | undefined,
): Visits | undefined {
  if (!until) return undefined;
  const by = ranks.indexOf(until.by);
  const of = ranks.indexOf(until.rank);
  if (by < 0 || of < 0) return undefined;
  const strides = stridesOf(loops, by);
  const upTo = new Float64Array(loops.n);
  const rises = until.blocks.every((n, i) => i === 0 || n >= until.blocks[i - 1]!);
  let others = 1;
  /** Tiles that the loops so far do not tell apart. */
  let alike = until.blocks.length;
  let along = -1;
  /** Inside the blocks: `others` at the first loop over tiles. */
  let inside = -1;
  const all = { others: new Float64Array(loops.n), alike: new Float64Array(loops.n) };
  for (let i = 0; i < loops.n; i++) {
    const size = loops.size[i]!;
    const rank = loops.rank[i]!;
    if (rank === of) {
      if (loops.kind[i] !== TIME || along >= 0 || size < Math.max(...until.blocks)) throw cut(until);
      along = i;
    } else if (rank === by) {
      const stride = strides[i]!;
      const isOuter = stride % until.tile === 0;
      if (isOuter) {
        // inside the blocks, tiles step on in one run of loops
        const isApart = along >= 0 && inside >= 0 && others !== inside;
        if (loops.kind[i] !== TIME || (along >= 0 && !rises) || isApart) throw cut(until);
        if (along >= 0) inside = others;
        alike = stride / until.tile;
      } else if (until.tile % (stride * size) !== 0) throw cut(until);
      else if (loops.kind[i] === TIME) others *= size;
    } else if (loops.kind[i] === TIME) others *= size;
    upTo[i] = others * combinations(until.blocks, alike, along >= 0);
    all.others[i] = others;
    all.alike[i] = alike;
  }
  if (alike !== 1 || along < 0) throw cut(until);
  return { upTo, along, by, ...all, blocks: until.blocks };
}

/** Elements of a rank that a trip of each of its loops stands for. */
function stridesOf(loops: Pick<Loops, 'n' | 'rank' | 'size'>, rank: number): Float64Array {
  const strides = new Float64Array(loops.n);
  let stride = 1;
  for (let i = loops.n - 1; i >= 0; i--) {
    strides[i] = stride;
    if (loops.rank[i] === rank) stride *= loops.size[i]!;
  }
  return strides;
}

/** Groups of tiles that are alike, or with `walked` the blocks of each: as many as its longest tile has. */
function combinations(blocks: readonly number[], alike: number, walked: boolean): number {
  let n = 0;
  for (let first = 0; first < blocks.length; first += alike)
    n += walked ? Math.max(...blocks.slice(first, first + alike)) : 1;
  return n;
}

/**
 * Steps at which what changes with loop `i`, and with loops outside it up to `outer` (−1: none), stays as it is though
 * loops begin anew: what was before ended where this begins.
 */
export function stays(visits: Visits, i: number, outer: number): number {
  if (i === visits.along) return staysFirst(visits, outer);
  return i > visits.along ? staysLast(visits, i, outer) : 0;
}

/** The block is the first again, since tiles before had no other. */
function staysFirst({ along, others, alike, blocks }: Visits, outer: number): number {
  const near = alike[along]!;
  const far = outer < 0 ? blocks.length : alike[outer]!;
  let singles = 0;
  let lasts = 0;
  for (let first = 0; first < blocks.length; first += near) {
    if (Math.max(...blocks.slice(first, first + near)) > 1) continue;
    singles++;
    // the last before a loop of the tile's own steps on
    if ((first + near) % far === 0) lasts++;
  }
  return others[along]! * singles - (outer < 0 ? 1 : others[outer]!) * lasts;
}

/** The tile is the last again, since no other of its group has so many blocks. */
function staysLast({ along, others, alike, blocks }: Visits, i: number, outer: number): number {
  const [group, unit] = [alike[along]!, alike[i]!];
  let alone = 0;
  for (let first = 0; first < blocks.length; first += group) {
    const last = Math.max(...blocks.slice(first + group - unit, first + group));
    const before = Math.max(0, ...blocks.slice(first, first + group - unit));
    alone += last - before;
  }
  return alone * (others[i]! - (outer >= along ? others[outer]! : 0));
}

const cut = ({ rank, by, tile }: Until): InfeasibleError =>
  new InfeasibleError(
    `blocks of ${rank} end early for each ${tile} of ${by}, which the loops of the nest cut otherwise`,
  );
