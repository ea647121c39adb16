/**
 * Counts of one mapping, over typed arrays and without allocation.
 *
 * A tile is a box: its side along a dim is 1 + Σ stride · (extent − 1) over the dim's ranks. A place holds one tile of
 * a tensor and takes, when its loops step on, the part of the next tile's box that it does not hold. As in Timeloop
 * (Parashar et al., ISPASS 2019, and its nest analysis) what is held survives a step
 *  - of the innermost loop in time: the boxes overlap as neighbours do (sliding windows, and stationarity when equal);
 *  - of a loop outside it, only where the boxes move just as they do along the innermost loop, all loops between being
 *    taken at their second trip; at any other step the place starts afresh.
 *
 * Steps of loop j happen (n_j − 1) · Π n_i (i outside j) times, so words into a tile = box + Σ_j steps_j · words_j;
 * where trips are left out, the trips so far are counted in place of the products (`visitsOf`).
 */
import { InfeasibleError } from '../../base/errors.js';
import { DIMS, Links } from './links.js';
import { ACROSS_X, type Loops, TIME } from './loops.js';
import { countPartial, isPartial } from './partial.js';
import type { Problem } from './problem.js';
import { distinctSums } from './sums.js';
import { stays } from './visits.js';

export class NestCore {
  readonly L: number;
  readonly K: number;
  /** Words of a tile, per level and tensor; level L is one place of arithmetic. */
  readonly tile: Float64Array;
  /** The same with the level's loops over places: what all places below one of its holds. */
  readonly spread: Float64Array;
  /** Words into one tile from farther away, over the run; at level L each point takes its operands anew. */
  readonly into: Float64Array;
  /** Of those, from neighbours (mean over the places). */
  readonly linked: Float64Array;
  /** Distinct tiles among the places below one place of a level. */
  readonly groups: Float64Array;
  /** Places of a level in use. */
  readonly places: Float64Array;
  readonly reads: Float64Array;
  readonly fills: Float64Array;
  readonly updates: Float64Array;
  readonly partition: Float64Array;
  /** Trips of all loops in time: computes of one place. */
  steps = 1;
  /** Points that are computed. */
  computes = 1;
  private readonly scale: Float64Array;
  private readonly stride: Float64Array;
  /** Trips of the loops in time outside a loop, and of those with it. */
  private readonly outside: Float64Array;
  private readonly within: Float64Array;
  private readonly first = new Float64Array(DIMS);
  private readonly moved = new Float64Array(DIMS);
  /** Sides of the tiles, per level and tensor. */
  private readonly side: Float64Array;
  private readonly links: Links;
  private readonly sums = new Float64Array(64);

  constructor(
    readonly problem: Problem,
    mostLoops = 64,
  ) {
    this.L = problem.array.levels.length;
    this.K = problem.tensors.length;
    const n = (this.L + 1) * this.K;
    this.tile = new Float64Array(n);
    this.spread = new Float64Array(n);
    this.into = new Float64Array(n);
    this.linked = new Float64Array(n);
    this.groups = new Float64Array(n);
    this.reads = new Float64Array(n);
    this.fills = new Float64Array(n);
    this.updates = new Float64Array(n);
    this.partition = new Float64Array(n);
    this.places = new Float64Array(this.L + 1);
    this.scale = new Float64Array(problem.ranks.length + 1);
    this.stride = new Float64Array(mostLoops);
    this.outside = new Float64Array(mostLoops);
    this.within = new Float64Array(mostLoops);
    this.side = new Float64Array(n * DIMS);
    this.links = new Links(problem);
  }

  run(loops: Loops): void {
    this.boxes(loops);
    this.words(loops);
    if (!isPartial(loops, this)) return;
    if (loops.visits) throw new InfeasibleError('blocks that end early, in loops that do not divide their ranks');
    countPartial(loops, this, this.stride);
  }

  /** All else, once the boxes are known. */
  words(loops: Loops): void {
    for (let k = 0; k < this.K; k++) {
      this.spreadOut(loops, k);
      this.movement(loops, k);
      this.accesses(loops, k);
    }
  }

  /** Strides of the loops, tiles of all levels, places in use. */
  boxes(loops: Loops): void {
    const { L, K, scale, stride, outside } = this;
    scale.fill(1);
    let i = loops.n - 1;
    for (let k = 0; k < K; k++) {
      this.tile[L * K + k] = 1;
      this.side.fill(1, (L * K + k) * DIMS, (L * K + k + 1) * DIMS);
    }
    for (let l = L - 1; l >= 0; l--) {
      let any = false;
      for (; i >= 0 && loops.level[i] === l && loops.kind[i] !== TIME; i--) {
        stride[i] = scale[loops.rank[i]!]!;
        scale[loops.rank[i]!]! *= loops.size[i]!;
        any = true;
      }
      for (let k = 0; k < K; k++) this.spread[l * K + k] = any ? this.box(l, k) : this.tile[(l + 1) * K + k]!;
      any = false;
      for (; i >= 0 && loops.level[i] === l; i--) {
        stride[i] = scale[loops.rank[i]!]!;
        scale[loops.rank[i]!]! *= loops.size[i]!;
        any = true;
      }
      if (any) for (let k = 0; k < K; k++) this.tile[l * K + k] = this.box(l, k);
      else
        for (let k = 0; k < K; k++) {
          this.tile[l * K + k] = this.spread[l * K + k]!;
          if (this.tile[l * K + k] === this.tile[(l + 1) * K + k]) this.sameSides(l, k);
        }
    }
    let steps = 1;
    let places = 1;
    let l = 0;
    this.places[0] = 1;
    for (let j = 0; j < loops.n; j++) {
      while (l < loops.level[j]!) this.places[++l] = places;
      outside[j] = steps;
      if (loops.kind[j] === TIME) steps = loops.visits ? loops.visits.upTo[j]! : steps * loops.size[j]!;
      else places *= loops.size[j]!;
      this.within[j] = steps;
    }
    while (l < L) this.places[++l] = places;
    this.steps = steps;
    this.computes = steps * places;
  }

  /** Words of tensor k's tile over the extents so far; its sides become those of level l. */
  private box(l: number, k: number): number {
    const { scale } = this;
    const { extents, tensors } = this.problem;
    const { dims } = tensors[k]!;
    const at = (l * this.K + k) * DIMS;
    let words = 1;
    for (let d = 0; d < dims.length; d++) {
      let side = 1;
      for (const t of dims[d]!) side += Math.abs(t.stride) * (Math.min(scale[t.rank]!, extents[t.rank]!) - 1);
      this.side[at + d] = side;
      words *= side;
    }
    return words;
  }

  /** A level without loops has the sides of the next nearer one. */
  private sameSides(l: number, k: number): void {
    const at = (l * this.K + k) * DIMS;
    const below = ((l + 1) * this.K + k) * DIMS;
    for (let d = 0; d < DIMS; d++) this.side[at + d] = this.side[below + d]!;
  }

  /** Distinct tiles below each level, and how a tensor's words divide over its places. */
  private spreadOut(loops: Loops, k: number): void {
    const { L, K, groups } = this;
    for (let l = 0; l < L; l++) groups[l * K + k] = 1;
    let end = loops.n;
    while (end > 0) {
      const last = end - 1;
      if (loops.kind[last] === TIME) {
        end = last;
        continue;
      }
      const l = loops.level[last]!;
      let start = last;
      while (start > 0 && loops.level[start - 1] === l && loops.kind[start - 1] !== TIME) start--;
      groups[l * K + k] = this.groupsOf(loops, k, l, start, end);
      end = start;
    }
    let held = this.tile[k]!;
    this.partition[k] = held;
    for (let l = 1; l < L; l++) {
      const all = this.spread[(l - 1) * K + k]!;
      if (all !== this.tile[l * K + k]!) held = Math.floor((held * this.tile[l * K + k]!) / all);
      this.partition[l * K + k] = held;
    }
  }

  private groupsOf(loops: Loops, k: number, l: number, start: number, end: number): number {
    const t = this.problem.tensors[k]!;
    const { network } = this.problem.array.levels[l]!;
    const shares = t.result ? network.reduce : network.multicast;
    let groups = 1;
    if (t.plain || !shares.x || !shares.y) {
      for (let i = start; i < end; i++) {
        const along = loops.kind[i] === ACROSS_X ? shares.x : shares.y;
        if (!along || (t.plain && t.relevant[loops.rank[i]!])) groups *= loops.size[i]!;
      }
      if (t.plain) return groups;
    }
    // dims of which no rank is in another are counted one by one
    for (const dim of t.dims) {
      let n = 0;
      for (const term of dim)
        for (let i = start; i < end; i++)
          if (loops.rank[i] === term.rank && (loops.kind[i] === ACROSS_X ? shares.x : shares.y)) {
            this.sums[n++] = Math.abs(term.stride) * this.stride[i]!;
            this.sums[n++] = loops.size[i]!;
          }
      groups *= n === 2 ? this.sums[1]! : n === 0 ? 1 : distinctSums(this.sums, n);
    }
    return groups;
  }

  /** Words into the tiles of one tensor. */
  private movement(loops: Loops, k: number): void {
    const { L, K } = this;
    const t = this.problem.tensors[k]!;
    let l = L;
    let i = loops.n - 1;
    // from the nearest level outwards, i being the innermost loop above the level
    for (; l >= 1; l--) {
      while (i >= 0 && (loops.level[i]! >= l || loops.kind[i] !== TIME)) i--;
      const at = l * K + k;
      this.linked[at] = 0;
      if (l === L) this.into[at] = this.steps;
      else if (t.plain) this.into[at] = this.tile[at]! * this.changes(loops, t.relevant, i);
      else this.into[at] = this.sliding(loops, k, l, i);
      if ((l === L || !t.plain) && this.places[l]! > this.places[l - 1]!) this.link(loops, k, l);
    }
    this.into[k] = 0;
  }

  /** How often a tile becomes another: trips of all loops in time from the outermost to the innermost relevant one. */
  private changes(loops: Loops, relevant: Uint8Array, innermost: number): number {
    for (let i = innermost; i >= 0; i--)
      if (loops.kind[i] === TIME && relevant[loops.rank[i]!]) return this.within[i]! - stillOf(loops, relevant, i);
    return 1;
  }

  private sliding(loops: Loops, k: number, l: number, innermost: number): number {
    const { dims, relevant, strides } = this.problem.tensors[k]!;
    const { first, moved, side, outside, within, stride } = this;
    const D = dims.length;
    const R = this.scale.length;
    const full = this.tile[l * this.K + k]!;
    if (innermost < 0) return full;
    const sides = (l * this.K + k) * DIMS;
    let kept = 1;
    const rank = loops.rank[innermost]!;
    for (let d = 0; d < D; d++) {
      const by = strides[d * R + rank]! * stride[innermost]!;
      first[d] = by;
      moved[d] = by;
      kept *= Math.max(0, side[sides + d]! - Math.abs(by));
    }
    const fresh = full - kept;
    let words = full + (within[innermost]! - outside[innermost]!) * fresh - stillOf(loops, relevant, innermost) * full;
    for (let i = innermost - 1; i >= 0; i--) {
      if (loops.kind[i] !== TIME) continue;
      const r = loops.rank[i]!;
      let same = true;
      if (relevant[r])
        for (let d = 0; d < D; d++) {
          const by = strides[d * R + r]! * stride[i]!;
          if (by - moved[d]! !== first[d]!) same = false;
          moved[d]! += by;
        }
      else for (let d = 0; d < D; d++) if (-moved[d]! !== first[d]!) same = false;
      words += (within[i]! - outside[i]!) * (same ? fresh : full);
    }
    return words;
  }

  /** What neighbours hand on at the network above level l. */
  private link(loops: Loops, k: number, l: number): void {
    const { links } = this;
    if (!links.may(loops, k, l - 1, this.stride)) return;
    const found = links.find(loops, k, l - 1, this.stride, this.outside, this.tile[l * this.K + k]!, this.places);
    if (!found) return;
    const at = l * this.K + k;
    this.groups[(l - 1) * this.K + k] = links.sent / links.shared;
    this.into[at] = links.shared;
    this.linked[at] = links.handed;
  }

  /** Reads, fills and updates of the stores that keep a tensor; a level that does not is passed by. */
  private accesses(loops: Loops, k: number): void {
    const { L, K, groups, into, partition } = this;
    const { result } = this.problem.tensors[k]!;
    let child = L;
    let share = 1;
    let outermost = -1;
    for (let l = 0; l < L && outermost < 0; l++) if (loops.keep[l * K + k]) outermost = l;
    for (let l = L - 1; l >= 0; l--) {
      const at = l * K + k;
      share *= groups[at]!;
      this.reads[at] = 0;
      this.fills[at] = 0;
      this.updates[at] = 0;
      if (!loops.keep[at]) continue;
      const content = Math.round(into[child * K + k]! * share);
      // words handed on are read here and written at the neighbour; only tiles of adjacent levels keep them
      const peer = Math.floor(this.linked[at]!);
      const filled = l === outermost ? peer : Math.round(into[at]! + peer);
      if (result) {
        this.updates[at] = content;
        this.reads[at] = Math.max(0, content + peer - partition[at]!);
        this.fills[at] = l === outermost ? peer : Math.max(0, filled - partition[at]!);
      } else {
        this.reads[at] = content + peer;
        this.fills[at] = filled;
      }
      child = l;
      share = 1;
    }
  }
}

/** Steps of loops from the i-th out at which a tile stays as it is, though loops inside begin anew. */
function stillOf({ visits, kind, rank }: Loops, relevant: Uint8Array, i: number): number {
  if (!visits) return 0;
  const within = visits.along < i;
  // a rank that the blocks do not bound goes on to another tile whenever it begins anew
  if (i !== visits.along && !(within && rank[i] === visits.by)) return 0;
  let outer = i - 1;
  while (
    outer >= 0 &&
    (kind[outer] !== TIME || !relevant[rank[outer]!] || (outer > visits.along && rank[outer] === visits.by))
  )
    outer--;
  return stays(visits, i, outer);
}
