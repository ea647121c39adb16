/**
 * Words that neighbours hand on. A place that wants just what a neighbour (left, right, above, below) took a step
 * before can take it from there. As in Timeloop's nest analysis a step uses neighbours when that lessens what the
 * level above sends, and then wherever it can; the first step never does.
 */
import { type Loops, TIME } from './loops.js';
import type { Problem } from './problem.js';

/** Most dims of a tensor. */
export const DIMS = 8;

const MOST_KNOWN = 50_000;
const EMPTY = 0;
const PART = 1;
const WHOLE = 2;

export class Links {
  /** Words that the level above sends, per place of it. */
  sent = 0;
  /** Words that arrive from there, and from neighbours, per place below (mean). */
  shared = 0;
  handed = 0;
  private readonly offsets: number[][] = [];
  /** Places laid out and split by earlier steps, by their loops and what they move by. */
  private readonly known = new Map<string, { readonly alone: number; readonly groups: number }>();
  private layout = '';
  private laid = false;
  private readonly span = new Float64Array(DIMS);
  private readonly moved = new Float64Array(DIMS);
  private readonly first = new Float64Array(DIMS);

  constructor(private readonly problem: Problem) {}

  /** Whether any step moves by no more than places lie apart: cheap, and never wrong when it says no. */
  may(loops: Loops, k: number, l: number, stride: Float64Array): boolean {
    const { array, tensors } = this.problem;
    if (!array.levels[l]!.network.neighbours) return false;
    if (l === array.levels.length - 1) return true;
    const { dims, strides, relevant } = tensors[k]!;
    const D = dims.length;
    const R = relevant.length;
    const { span, moved, first } = this;
    let spread = false;
    for (let d = 0; d < D; d++) {
      span[d] = 0;
      moved[d] = 0;
      for (let i = loops.n - 1; i >= 0; i--)
        if (loops.level[i] === l && loops.kind[i] !== TIME) {
          span[d]! += Math.abs(strides[d * R + loops.rank[i]!]! * stride[i]!) * (loops.size[i]! - 1);
          spread = true;
        }
    }
    if (!spread) return false;
    let innermost = true;
    for (let i = loops.n - 1; i >= 0; i--) {
      if (loops.kind[i] !== TIME || loops.level[i]! > l) continue;
      let within = true;
      let still = true;
      let slides = false;
      for (let d = 0; d < D; d++) {
        const by = strides[d * R + loops.rank[i]!]! * stride[i]!;
        const t = by - moved[d]!;
        moved[d]! += by;
        if (innermost) first[d] = t;
        if (t !== 0) still = false;
        if (first[d] !== 0) slides = true;
        if (Math.abs(t) > span[d]!) within = false;
      }
      // a tile that comes to rest after a slide is taken anew
      if (within && (!still || (!innermost && slides))) return true;
      innermost = false;
    }
    return false;
  }

  /** Sums over all steps; false when no step uses neighbours. `words`: of one tile of the level below l. */
  find(
    loops: Loops,
    k: number,
    l: number,
    stride: Float64Array,
    outside: Float64Array,
    words: number,
    places: Float64Array,
  ): boolean {
    const { dims } = this.problem.tensors[k]!;
    const D = dims.length;
    const points = l === this.problem.array.levels.length - 1;
    this.layout = `${k},${l}`;
    for (let i = 0; i < loops.n; i++)
      if (loops.level[i] === l && loops.kind[i] !== TIME)
        this.layout += `;${loops.rank[i]},${loops.size[i]},${stride[i]}`;
    this.laid = false;
    const splitOf = (t: readonly number[] | undefined) => {
      const key = `${this.layout}|${t?.join() ?? ''}`;
      let found = this.known.get(key);
      if (!found) {
        if (!this.laid) this.lay(loops, k, l, stride);
        this.laid = true;
        found = this.split(t, l);
        if (this.known.size >= MOST_KNOWN) this.known.clear();
        this.known.set(key, found);
      }
      return found;
    };
    const U = places[l + 1]! / places[l]!;
    const all = splitOf(undefined).groups;
    const steps: number[] = [];
    for (let i = loops.n - 1; i >= 0; i--)
      if (loops.kind[i] === TIME && loops.level[i]! <= l && loops.size[i]! > 1) steps.push(i);
    this.sent = all * words;
    this.shared = words;
    this.handed = 0;
    if (steps.length === 0) return false;

    const moved = new Array<number>(D).fill(0);
    const by = steps.map((i) =>
      dims.map((dim, d) => {
        const m = move(dim, loops.rank[i]!, stride[i]!);
        const t = m - moved[d]!;
        moved[d]! += m;
        return t;
      }),
    );
    const first = by[0]!;
    const side = dims.map((dim) => {
      let s = 1;
      for (let i = loops.n - 1; i >= 0 && loops.level[i]! > l; i--)
        s += Math.abs(move(dim, loops.rank[i]!, stride[i]!)) * (loops.size[i]! - 1);
      return s;
    });
    const kept = points ? 0 : first.reduce((p, m, d) => p * Math.max(0, side[d]! - Math.abs(m)), 1);
    const fresh = words - kept;
    const slides = fresh === 0 ? EMPTY : fresh === words ? WHOLE : PART;
    const shapes = by.map((t, j) => (points ? WHOLE : j === 0 || t.every((m, d) => m === first[d]) ? slides : WHOLE));
    const sizeOf = (shape: number) => (shape === EMPTY ? 0 : shape === PART ? fresh : words);
    let any = false;
    const step = (t: readonly number[], shape: number, before: number, times: number) => {
      const size = sizeOf(shape) * times;
      if (size === 0) return;
      const found = shape === before ? splitOf(t) : undefined;
      if (found && found.groups < all) {
        any = true;
        this.sent += found.groups * size;
        this.shared += (found.alone / U) * size;
        this.handed += (1 - found.alone / U) * size;
      } else {
        this.sent += all * size;
        this.shared += size;
      }
    };
    // the innermost loop's steps follow the start, or a step of a loop outside it; those follow one of the innermost
    const inner = loops.size[steps[0]!]! - 1;
    step(first, shapes[0]!, WHOLE, inner);
    for (let j = 1; j < steps.length; j++) {
      const times = (loops.size[steps[j]!]! - 1) * outside[steps[j]!]!;
      step(by[j]!, shapes[j]!, shapes[0]!, times);
      // between them lie the first trips of the loops in between, each counted at its own step
      step(first, shapes[0]!, shapes[j]!, times * inner);
    }
    return any;
  }

  /** Offset of each place's tile, by its number: loops over places outermost first. */
  private lay(loops: Loops, k: number, l: number, stride: Float64Array): void {
    const { dims } = this.problem.tensors[k]!;
    let offsets: number[][] = [dims.map(() => 0)];
    for (let i = 0; i < loops.n; i++) {
      if (loops.level[i] !== l || loops.kind[i] === TIME) continue;
      const by = dims.map((dim) => move(dim, loops.rank[i]!, stride[i]!));
      offsets = offsets.flatMap((o) =>
        Array.from({ length: loops.size[i]! }, (_, j) => o.map((x, d) => x + j * by[d]!)),
      );
    }
    this.offsets.length = 0;
    this.offsets.push(...offsets);
  }

  /** Places that no neighbour serves when all have moved by t, and their distinct tiles. */
  private split(t: readonly number[] | undefined, l: number): { alone: number; groups: number } {
    const { offsets } = this;
    const { x, y } = this.problem.array.levels[l]!.fanout;
    const keys = new Set<string>();
    let alone = 0;
    for (let u = 0; u < offsets.length; u++) {
      const mine = offsets[u]!;
      const column = u % x;
      const row = Math.floor(u / x);
      const gives = (v: number) => {
        const other = offsets[v];
        return other?.every((o, d) => o - mine[d]! === t![d]);
      };
      if (
        t &&
        ((column > 0 && gives(u - 1)) ||
          (column < x - 1 && gives(u + 1)) ||
          (row > 0 && gives(u - x)) ||
          (row < y - 1 && gives(u + x)))
      )
        continue;
      alone++;
      keys.add(mine.join());
    }
    return { alone, groups: keys.size };
  }
}

function move(dim: readonly { rank: number; stride: number }[], rank: number, stride: number): number {
  let by = 0;
  for (const t of dim) if (t.rank === rank) by += t.stride * stride;
  return by;
}
