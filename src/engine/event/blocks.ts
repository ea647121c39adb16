/**
 * Cuts each tensor into the blocks that the cache keeps, and finds the blocks a view touches. Along a dim that views
 * walk, a block is as long as the shortest walk (at least 1/16 of the longest); along others, 1. Of neighbours in memory
 * it holds at least what a sector does: walks that share a sector fetch it once.
 */
import { bytesOf } from '../../base/dtype.js';
import { stridesOf, type Tensor, type Tile, type View } from '../../kernel/ir.js';
import { affineOf, compileExpr, type IntFn, type Places } from './expr.js';
import type { RowIndex } from './rows.js';

/** More than this many blocks in one tensor are merged in pairs: the arrays of the cache stay small. */
const MOST_BLOCKS = 2 ** 21;

export interface Blocked {
  readonly tensor: Tensor;
  /** Number of its first block in the cache. */
  base: number;
  readonly block: number[];
  /** Blocks along each dim, and distance between neighbours. */
  count: number[];
  step: number[];
  blocks: number;
  readonly elements: number;
  readonly element_B: number;
}

export interface ViewUse {
  readonly view: View;
  readonly tile: Tile;
  /** Rows are picked one by one. */
  readonly scattered: boolean;
}

export function blockTensors(
  tensors: readonly Tensor[],
  uses: readonly ViewUse[],
  sector_B: number,
): Map<Tensor, Blocked> {
  const out = new Map<Tensor, Blocked>();
  let base = 0;
  for (const tensor of tensors) {
    const strides = stridesOf(tensor);
    const sector = Math.floor(sector_B / bytesOf(tensor.dtype));
    const block = tensor.dims.map((size, d) => {
      const together = strides[d] === 1 ? Math.max(1, Math.min(size, sector)) : 1;
      let least = Number.POSITIVE_INFINITY;
      let most = 1;
      for (const { view, tile, scattered } of uses) {
        if (view.tensor !== tensor) continue;
        for (const side of [0, 1] as const) {
          if (view.axes[side] !== d) continue;
          const along = side === 0 ? (scattered ? 1 : tile.rows) : tile.cols;
          const walk = Math.min(size, along * (view.step?.[side] ?? 1));
          least = Math.min(least, walk);
          most = Math.max(most, walk);
        }
      }
      return Number.isFinite(least) ? Math.max(least, together, Math.ceil(most / 16)) : together;
    });
    const count = tensor.dims.map((size, d) => Math.ceil(size / block[d]!));
    while (count.reduce((p, x) => p * x, 1) > MOST_BLOCKS) {
      const d = count.indexOf(Math.max(...count));
      block[d] = block[d]! * 2;
      count[d] = Math.ceil(tensor.dims[d]! / block[d]!);
    }
    const step = new Array<number>(count.length);
    let blocks = 1;
    for (let d = count.length - 1; d >= 0; d--) {
      step[d] = blocks;
      blocks *= count[d]!;
    }
    const elements = tensor.dims.reduce((p, x) => p * x, 1);
    out.set(tensor, { tensor, base, block, count, step, blocks, elements, element_B: bytesOf(tensor.dtype) });
    base += blocks;
  }
  return out;
}

export function bytesOfBlock(b: Blocked, block: number): number {
  let rest = block - b.base;
  let elements = 1;
  for (let d = 0; d < b.count.length; d++) {
    const at = Math.floor(rest / b.step[d]!);
    rest -= at * b.step[d]!;
    elements *= Math.min(b.block[d]!, b.tensor.dims[d]! - at * b.block[d]!);
  }
  return elements * b.element_B;
}

/** A view made ready to be placed again and again. `place` fills the fields below it. */
export class Placer {
  readonly blocked: Blocked;
  /** Coordinates of the rows in range, of a gather or scatter whose rows the program tells: the first `rows` of these. */
  picked: Float64Array | undefined;
  /** Elements of the tile's rows and columns that are in range. */
  rows = 0;
  cols = 0;
  /** First and last block along each dim. */
  readonly low: Int32Array;
  readonly high: Int32Array;
  /** The one block it touches, or −1 when there are several. */
  single = -1;
  /** Every placement is exactly one whole block, clipped alike: what is requested is what is fetched. */
  readonly exact: boolean;
  /** Element of the tensor (in its strides) that is the first in range; of a gather, of row 0. */
  offset = 0;
  /** Elements from one row, and one column, to the next. */
  readonly rowStride: number;
  readonly colStride: number;

  private index: Float64Array | undefined;
  private readonly at: IntFn[];
  private readonly side: Int8Array;
  private readonly stepAlong: readonly [number, number];
  private readonly limit: readonly [IntFn | undefined, IntFn | undefined];
  private readonly unitSide: 0 | 1 | -1;
  private readonly whole: number;
  private readonly strides: readonly number[];

  constructor(
    readonly use: ViewUse,
    blocked: Blocked,
    places: Places,
    private readonly sector_B: number,
    private readonly rowIndex?: RowIndex,
  ) {
    if (rowIndex) this.index = new Float64Array(use.tile.rows);
    const { view, tile } = use;
    const dims = view.tensor.dims;
    this.blocked = blocked;
    this.low = new Int32Array(dims.length);
    this.high = new Int32Array(dims.length);
    this.at = view.at.map((e) => compileExpr(e, places));
    this.side = Int8Array.from(dims, (_, d) => (view.axes[0] === d ? 0 : view.axes[1] === d ? 1 : -1));
    this.stepAlong = [view.step?.[0] ?? 1, view.step?.[1] ?? 1];
    const [r, c] = view.limit ?? [];
    this.limit = [r === undefined ? r : compileExpr(r, places), c === undefined ? c : compileExpr(c, places)];
    const strides = view.tensor.strides ?? blockedStrides(dims);
    this.strides = strides;
    this.rowStride = view.axes[0] < 0 ? 0 : strides[view.axes[0]]! * (use.scattered ? 1 : this.stepAlong[0]);
    this.colStride = view.axes[1] < 0 ? 0 : strides[view.axes[1]]! * this.stepAlong[1];
    const unit = (d: number) => d >= 0 && strides[d] === 1;
    this.unitSide = unit(view.axes[1]) ? 1 : unit(view.axes[0]) ? 0 : -1;
    // Rows that follow one another in memory without a gap are one run.
    const [across, along] = view.axes;
    const contiguous = this.unitSide === 1 && across >= 0 && strides[across] === dims[along] && this.stepAlong[0] === 1;
    this.whole = contiguous ? dims[along]! : Number.POSITIVE_INFINITY;
    this.exact =
      !use.scattered &&
      dims.every((size, d) => {
        const b = blocked.block[d]!;
        const side = this.side[d]!;
        const walk = side < 0 ? 1 : (side === 0 ? tile.rows : tile.cols) * this.stepAlong[side as 0 | 1];
        if (walk !== b && !(walk >= size && b === size)) return false;
        if (b === 1) return true;
        const a = affineOf(view.at[d]!);
        return a !== undefined && a.constant % b === 0 && [...a.terms.values()].every((k) => k % b === 0);
      });
  }

  /** False when nothing is in range. */
  place(env: Int32Array, base: number): boolean {
    const { blocked, side, low, high, strides } = this;
    const dims = blocked.tensor.dims;
    const { tile } = this.use;
    let offset = 0;
    let rows = tile.rows;
    let cols = tile.cols;
    let single = blocked.base;
    for (let d = 0; d < dims.length; d++) {
      const at = this.at[d]!(env, base);
      const s = side[d]!;
      const size = blocked.block[d]!;
      if (s === 0 && this.use.scattered) {
        // Rows go where an index tile says; all of them are in range where what it holds is not known.
        low[d] = high[d] = 0;
        single = -1;
        if (this.rowIndex) {
          rows = this.pick(env, base, at, dims[d]!);
          if (rows === 0) return false;
        }
      } else if (s < 0) {
        if (at < 0 || at >= dims[d]!) return false;
        offset += at * strides[d]!;
        low[d] = high[d] = size === 1 ? at : Math.floor(at / size);
      } else {
        const step = this.stepAlong[s as 0 | 1];
        const limit = this.limit[s as 0 | 1];
        let end = dims[d]!;
        if (limit !== undefined) end = Math.min(end, limit(env, base));
        const from = at < 0 ? Math.ceil(-at / step) : 0;
        const to = Math.min(s === 0 ? tile.rows : tile.cols, Math.ceil((end - at) / step));
        if (to <= from) return false;
        offset += (at + from * step) * strides[d]!;
        if (s === 0) rows = to - from;
        else cols = to - from;
        low[d] = Math.floor((at + from * step) / size);
        high[d] = Math.floor((at + (to - 1) * step) / size);
      }
      if (low[d] !== high[d]) single = -1;
      else if (single >= 0) single += low[d]! * blocked.step[d]!;
    }
    this.rows = rows;
    this.cols = cols;
    this.single = single;
    this.offset = offset;
    return true;
  }

  private pick(env: Int32Array, base: number, start: number, size: number): number {
    const index = this.index!;
    this.picked ??= new Float64Array(index.length);
    this.rowIndex!(env, base, index);
    const limit = this.limit[0];
    const end = limit === undefined ? size : Math.min(size, limit(env, base));
    let n = 0;
    for (let r = 0; r < index.length; r++) {
      const row = start + index[r]!;
      if (row >= 0 && row < end) this.picked[n++] = row;
    }
    return n;
  }

  /** Bytes of the elements in range. */
  get requested_B(): number {
    return this.rows * this.cols * this.blocked.element_B;
  }

  /** Bytes of one run of neighbours in memory, of a tile that is not clipped, in whole sectors. */
  get run_B(): number {
    const { tile } = this.use;
    const run = this.unitSide === 1 ? tile.cols : this.unitSide === 0 ? tile.rows : 1;
    return roundUp(run * this.blocked.element_B, this.sector_B);
  }

  /** The same after sectors: each run of neighbours in memory is rounded up. */
  get moved_B(): number {
    const e = this.blocked.element_B;
    const { rows, cols, unitSide, sector_B } = this;
    if (unitSide === 1) {
      if (cols === this.whole) return roundUp(rows * cols * e, sector_B);
      return rows * roundUp(((cols - 1) * this.stepAlong[1] + 1) * e, sector_B);
    }
    if (unitSide === 0) return cols * roundUp(((rows - 1) * this.stepAlong[0] + 1) * e, sector_B);
    return rows * cols * roundUp(e, sector_B);
  }
}

function roundUp(bytes: number, sector_B: number): number {
  return sector_B > 1 ? Math.ceil(bytes / sector_B) * sector_B : bytes;
}

function blockedStrides(dims: readonly number[]): number[] {
  const s = new Array<number>(dims.length);
  let step = 1;
  for (let d = dims.length - 1; d >= 0; d--) {
    s[d] = step;
    step *= dims[d]!;
  }
  return s;
}
