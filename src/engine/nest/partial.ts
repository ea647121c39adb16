/**
 * Nests whose sizes do not divide the ranks: the last trip of a loop is short, or does not happen at all. A point of a
 * rank is Σ stride · index over its loops; trips beyond the extent are not taken.
 *
 * Written in the mixed radix of a rank's loops, the last point has the digits q. As long as all digits so far are those
 * of q a rank is tight: the next index goes up to its digit of q, and below that the rank is loose, all trips whole. So
 * trips fall into few classes, and words into tiles without windows are summed class by class, exactly. Windows are
 * walked trip by trip, up to a number of trips; what one of their words serves is taken from whole tiles. Counts are
 * means over the instances in use.
 */
import type { NestCore } from './core.js';
import { type Loops, TIME } from './loops.js';

/** Trips that are walked for a window. */
const MOST_TRIPS = 4_000_000;

/** Whether some rank is not divided by its loops. */
export function isPartial(loops: Loops, core: NestCore): boolean {
  const { extents } = core.problem;
  const covered = new Float64Array(extents.length + 1).fill(1);
  for (let i = 0; i < loops.n; i++) covered[loops.rank[i]!]! *= loops.size[i]!;
  return extents.some((extent, r) => covered[r] !== extent);
}

/** Puts the counts of a partial nest in place of the core's. */
export function countPartial(loops: Loops, core: NestCore, stride: Float64Array): void {
  const { K, L, problem } = core;
  const R = problem.ranks.length;
  const trips = (which: (i: number) => boolean, ranks: (r: number) => boolean = () => true): number => {
    let n = 1;
    for (let r = 0; r <= R; r++) if (ranks(r)) n *= tripsOf(loops, stride, r, problem.extents[r], which);
    return n;
  };
  const padded = Float64Array.from(core.places);
  core.steps = trips((i) => loops.kind[i] === TIME);
  for (let l = 0; l <= L; l++) core.places[l] = trips((i) => loops.kind[i] !== TIME && loops.level[i]! < l);
  core.computes = problem.extents.reduce((n, e) => n * e, 1) * tripsOf(loops, stride, R, undefined, () => true);

  problem.tensors.forEach((t, k) => {
    const relevant = (r: number) => t.relevant[r] === 1;
    const words = problem.extents.reduce((n, e, r) => (relevant(r) ? n * e : n), 1);
    /** Whether places along a loop get the word together. */
    const shared = (i: number) => {
      const { reduce, multicast } = problem.array.levels[loops.level[i]!]!.network;
      const w = t.result ? reduce : multicast;
      return loops.kind[i] === 1 ? w.x : w.y;
    };
    /** Words into tiles at level c of all its instances, as they leave level p. */
    const moved = (c: number, p: number): number => {
      if (c === L || t.plain)
        return new Classes(
          loops,
          stride,
          problem.extents,
          c,
          c === L ? () => true : relevant,
          c === L ? () => false : relevant,
        ).words((i) => loops.level[i]! >= p && !relevant(loops.rank[i]!) && shared(i));
      const all = windows(loops, core, k, c, stride) ?? core.into[c * K + k]! * padded[c]!;
      let share = 1;
      for (let l = p; l < c; l++) share *= (core.groups[l * K + k]! * padded[l]!) / padded[l + 1]!;
      return all * share;
    };
    let child = L;
    let outermost = 0;
    while (!loops.keep[outermost * K + k]) outermost++;
    for (let l = L - 1; l >= 0; l--) {
      const at = l * K + k;
      const instances = core.places[l]!;
      const firsts =
        (t.plain ? words : core.partition[at]! * padded[l]!) *
        (t.plain
          ? trips(
              (i) => loops.kind[i] !== TIME && loops.level[i]! < l,
              (r) => !relevant(r),
            )
          : 1);
      core.partition[at] = firsts / instances;
      core.linked[at] = 0;
      core.reads[at] = 0;
      core.fills[at] = 0;
      core.updates[at] = 0;
      if (!loops.keep[at]) continue;
      const content = moved(child, l);
      const filled = l === outermost ? 0 : moved(l, l);
      const mean = (n: number) => Math.round(n / instances);
      if (t.result) {
        core.updates[at] = mean(content);
        core.reads[at] = Math.max(0, mean(content - firsts));
        core.fills[at] = l === outermost ? 0 : Math.max(0, mean(filled - firsts));
      } else {
        core.reads[at] = mean(content);
        core.fills[at] = mean(filled);
      }
      child = l;
    }
  });
}

/** What loops from one on do: words that are fetched, tiles that differ (2: several), whether any trip is taken. */
interface Done {
  readonly words: number;
  readonly tiles: number;
}
const IDLE: Done = { words: 0, tiles: 0 };

/** Sums over classes of places and trips. */
class Classes {
  /** Digit of the last point, per loop. */
  private readonly last: number[] = [];
  private readonly above: number[] = [];
  /** Per rank: extents of a tile, whole and at the last point. */
  private readonly whole: number[];
  private readonly rest: number[];
  private readonly tight: boolean[];
  /** Index of a place along a loop: below, at or beyond the digit of the last point. */
  private readonly place: number[] = [];

  /** `changes`: ranks whose loops make another tile; `held`: ranks that the tile extends over. */
  constructor(
    private readonly loops: Loops,
    stride: Float64Array,
    extents: Int32Array,
    level: number,
    private readonly changes: (rank: number) => boolean,
    private readonly held: (rank: number) => boolean,
  ) {
    const R = extents.length;
    const left = [...extents].map((e) => e - 1);
    left.push(Number.POSITIVE_INFINITY);
    this.whole = new Array<number>(R + 1).fill(1);
    this.rest = new Array<number>(R + 1).fill(1);
    this.tight = left.map((x) => x !== Number.POSITIVE_INFINITY);
    for (let i = 0; i < loops.n; i++) {
      const r = loops.rank[i]!;
      const q = Math.min(loops.size[i]! - 1, Math.floor(left[r]! / stride[i]!));
      this.last.push(q);
      left[r]! -= q * stride[i]!;
      if (loops.level[i]! < level) this.above.push(i);
      else {
        this.whole[r]! *= loops.size[i]!;
        this.rest[r]! += q * stride[i]!;
      }
    }
  }

  /** Of all places; those along loops that `once` picks count as one. */
  words(once: (i: number) => boolean): number {
    const across = this.above.filter((i) => this.loops.kind[i] !== TIME);
    const sum = (j: number): number => {
      const i = across[j];
      if (i === undefined) return this.run(0).words;
      const q = this.last[i]!;
      // the first place of those that share is the one that takes every trip of the others
      const counts = once(i) ? [q > 0 ? 1 : 0, q > 0 ? 0 : 1, 0] : [q, 1, this.loops.size[i]! - 1 - q];
      let total = 0;
      for (const [where, n] of counts.entries())
        if (n > 0) {
          this.place[i] = where;
          total += n * sum(j + 1);
        }
      return total;
    };
    return sum(0);
  }

  private run(at: number): Done {
    const i = this.above[at];
    if (i === undefined) {
      let words = 1;
      for (let r = 0; r < this.whole.length; r++)
        if (this.held(r)) words *= this.tight[r] ? this.rest[r]! : this.whole[r]!;
      return { words, tiles: 1 };
    }
    const r = this.loops.rank[i]!;
    if (!this.tight[r]) {
      if (this.loops.kind[i] !== TIME) return this.run(at + 1);
      return this.several(this.run(at + 1), this.loops.size[i]!, IDLE, r);
    }
    if (this.loops.kind[i] !== TIME) {
      if (this.place[i] === 2) return IDLE;
      return this.place[i] === 1 ? this.run(at + 1) : this.loosely(r, at + 1);
    }
    const q = this.last[i]!;
    return this.several(q > 0 ? this.loosely(r, at + 1) : IDLE, q, this.run(at + 1), r);
  }

  private loosely(r: number, at: number): Done {
    this.tight[r] = false;
    const done = this.run(at);
    this.tight[r] = true;
    return done;
  }

  /** `n` trips that do `each`, and a last one. */
  private several(each: Done, n: number, last: Done, r: number): Done {
    if (this.changes(r)) return { words: n * each.words + last.words, tiles: Math.min(2, n * each.tiles + last.tiles) };
    const tiles = Math.max(each.tiles, last.tiles);
    // a tile that stays is fetched in the first trip alone
    return tiles < 2
      ? { words: Math.max(each.words, last.words), tiles }
      : { words: n * each.words + last.words, tiles };
  }
}

/** Trips of a rank's loops, of those that `which` picks, that start within the extent; the others stand at their first. */
function tripsOf(
  loops: Loops,
  stride: Float64Array,
  rank: number,
  extent: number | undefined,
  which: (i: number) => boolean,
): number {
  let free = 1;
  let total = 0;
  let left = (extent ?? Number.POSITIVE_INFINITY) - 1;
  const own: number[] = [];
  for (let i = 0; i < loops.n; i++)
    if (loops.rank[i] === rank && which(i)) {
      own.push(i);
      free *= loops.size[i]!;
    }
  for (const i of own) {
    free /= loops.size[i]!;
    const full = Math.min(loops.size[i]!, Math.floor(left / stride[i]!));
    total += full * free;
    if (full === loops.size[i]) return total;
    left -= full * stride[i]!;
  }
  return total + 1;
}

/** Words into all instances of a window's tile, trip by trip; undefined when there are too many. */
function windows(loops: Loops, core: NestCore, k: number, c: number, stride: Float64Array): number | undefined {
  const { problem } = core;
  const { strides, dims } = problem.tensors[k]!;
  const R = problem.ranks.length + 1;
  const above: number[] = [];
  const spatial: number[] = [];
  let trips = 1;
  for (let i = 0; i < loops.n; i++)
    if (loops.level[i]! < c) {
      (loops.kind[i] === TIME ? above : spatial).push(i);
      trips *= loops.size[i]!;
    }
  if (trips > MOST_TRIPS) return undefined;
  const inside = new Float64Array(R).fill(1);
  for (let i = 0; i < loops.n; i++) if (loops.level[i]! >= c) inside[loops.rank[i]!]! *= loops.size[i]!;
  const order = [...spatial, ...above];
  const index = new Float64Array(order.length);
  const at = new Float64Array(R);
  const low = new Float64Array(dims.length);
  const high = new Float64Array(dims.length);
  const oldLow = new Float64Array(dims.length);
  const oldHigh = new Float64Array(dims.length);
  let held = false;
  let words = 0;
  let changed = 0;
  for (;;) {
    if (changed < spatial.length) held = false;
    let taken = true;
    for (let r = 0; r < R - 1; r++) if (at[r]! >= problem.extents[r]!) taken = false;
    if (taken) {
      let size = 1;
      let kept = held ? 1 : 0;
      // what is held survives a trip of the innermost loop, or a step that changes nothing
      let same = true;
      for (let d = 0; d < dims.length; d++) {
        let a = 0;
        let b = 0;
        for (let r = 0; r < R - 1; r++) {
          const s = strides[d * R + r]!;
          if (s === 0) continue;
          a += s * at[r]!;
          b += s * (Math.min(at[r]! + inside[r]!, problem.extents[r]!) - 1);
        }
        if (a !== oldLow[d] || b !== oldHigh[d]) same = false;
        low[d] = a;
        high[d] = b;
        size *= b - a + 1;
        kept *= Math.max(0, Math.min(b, oldHigh[d]!) - Math.max(a, oldLow[d]!) + 1);
      }
      words += size - (held && (same || changed === order.length - 1) ? kept : 0);
      oldLow.set(low);
      oldHigh.set(high);
      held = true;
    }
    let i = order.length - 1;
    for (; i >= 0; i--) {
      const loop = order[i]!;
      const step = stride[loop]!;
      if (++index[i]! < loops.size[loop]!) {
        at[loops.rank[loop]!]! += step;
        break;
      }
      at[loops.rank[loop]!]! -= step * (loops.size[loop]! - 1);
      index[i] = 0;
    }
    if (i < 0) return words;
    changed = i;
  }
}
