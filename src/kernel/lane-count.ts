/**
 * What one step of a statement takes of lane groups, as its text has them do it. Counts are instructions of a group,
 * over all groups of a workgroup; groups all of whose lanes stand aside skip.
 */
import type { DType } from '../base/dtype.js';
import { bytesOf } from '../base/dtype.js';
import { MATH_FNS, type MathFn, type ResourceGraph } from '../machine/graph.js';
import {
  type Copy,
  type Gather,
  isTile,
  type MapStmt,
  type Mma,
  type Reduce,
  type Scatter,
  stridesOf,
  type Tensor,
  type Tile,
  type View,
} from './ir.js';
import { gridOfStmt, type LanePlan, reductionIn, shareIn } from './lane-plan.js';
import { gridFor, type LaneGrid, shareOf } from './lanes.js';
import { leftAfter } from './meeting.js';
import { type Packed, packedMemory, packedProduct } from './packed.js';
import type { Step } from './steps.js';
import type { Memory } from './vectors.js';

/** Accesses of one word a lane, and of a vector of four. */
export interface Accesses {
  one: number;
  four: number;
}

export interface LaneWork {
  /** Of workgroup memory. */
  readonly near_loads: Accesses;
  readonly near_stores: Accesses;
  /** Of tensors. */
  readonly far_loads: Accesses;
  readonly far_stores: Accesses;
  /** Atomic updates of a group's lanes. */
  atomics: number;
  /** Turns of loops whose number of turns no compiler knows, or is meant to know. */
  turns: number;
  /** Loops entered in which a lane's row or its column says where accesses go: each row and column counts. */
  places: number;
  /** Whole-number divisions by what is no power of two, remainders included. */
  divisions: number;
  /** Of the workgroup. */
  barriers: number;
  readonly math: { readonly fn: MathFn; readonly dtype: DType; n: number }[];
  /** Lanes meet in a loop around it: what a group holds is put aside and taken up again. */
  readonly meeting: boolean;
}

export interface Lanes {
  /** Lanes of a group. */
  readonly group: number;
  /** Workgroup memory, which double buffers must fit. */
  readonly workgroup_B: number;
  /** One instruction multiplies four packed bytes with four. */
  readonly bytes: boolean;
}

export const lanesOf = ({ cores, units }: ResourceGraph): Lanes => ({
  group: cores.lane_group,
  workgroup_B: cores.shared_per_workgroup_B,
  bytes: units.some((u) => 'fma:int8' in u.math),
});

export const blank = (meeting: boolean): LaneWork => ({
  near_loads: { one: 0, four: 0 },
  near_stores: { one: 0, four: 0 },
  far_loads: { one: 0, four: 0 },
  far_stores: { one: 0, four: 0 },
  atomics: 0,
  turns: 0,
  places: 0,
  divisions: 0,
  barriers: 0,
  math: [],
  meeting,
});

/** Counts the steps of one program's statements. */
export class StepCounter {
  private w = blank(false);
  private readonly group: number;
  private readonly packed: ReadonlyMap<Memory, Packed>;

  constructor(
    private readonly plan: LanePlan,
    private readonly machine: Lanes,
  ) {
    this.group = machine.group;
    this.packed = packedMemory(plan.program, plan.vec, plan.atomic);
  }

  /** Adds what a step takes to that of its statement. */
  count({ stmt: s, part }: Step, into: LaneWork): void {
    this.w = into;
    switch (s.kind) {
      case 'copy':
        this.copy(s);
        break;
      case 'gather':
        this.gather(s);
        break;
      case 'scatter':
        this.scatter(s);
        break;
      case 'mma':
        this.mma(s);
        break;
      case 'map':
        this.map(s);
        break;
      case 'reduce':
        this.reduce(s, part);
        break;
    }
  }

  // ---------------------------------------------------------------- lanes

  /** Groups with a lane among the first `rows` rows and `cols` columns of a grid. */
  private groups({ across }: LaneGrid, rows: number, cols: number): number {
    const { group } = this;
    if (across % group === 0) return rows * Math.ceil(cols / group);
    if (group % across === 0) return Math.ceil((rows * across) / group);
    let n = 0;
    let last = -1;
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < cols; c++) {
        const g = Math.floor((r * across + c) / group);
        if (g !== last) {
          n++;
          last = g;
        }
      }
    return n;
  }

  /** How often groups visit elements (vectors) of their shares of a tile. */
  private visits(t: Tile, grid: LaneGrid, options: { vectors?: boolean; leader?: boolean } = {}): number {
    const { down, across } = grid;
    const width = options.vectors ? t.cols / 4 : t.cols;
    const leads = options.leader === true;
    const along = (extent: number, lanes: number): number[] => {
      if (extent === 1) return [leads ? 1 : lanes];
      const rest = extent % lanes;
      return [...new Array<number>(Math.floor(extent / lanes)).fill(lanes), ...(rest > 0 ? [rest] : [])];
    };
    // whole rounds are alike
    let n = 0;
    const rows = along(t.rows, down);
    const cols = along(width, across);
    for (const r of new Set(rows))
      for (const c of new Set(cols))
        n += this.groups(grid, r, c) * rows.filter((x) => x === r).length * cols.filter((x) => x === c).length;
    return n;
  }

  /** Elements side by side over all lanes; in a loop where there are more. */
  private spread(count: number): number {
    const { lanes } = this.plan;
    const whole = Math.floor(count / lanes);
    const rest = count - whole * lanes;
    const n = whole * Math.ceil(lanes / this.group) + Math.ceil(rest / this.group);
    if (count > lanes) this.w.turns += n;
    return n;
  }

  private isVec(x: Tensor | Tile): boolean {
    return this.plan.vec.has(x);
  }

  /** n accesses of a tile, when it is in workgroup memory; four packed integers are one word. */
  private near(t: Tile, way: 'near_loads' | 'near_stores', n: number, four = false): void {
    if (t.level === 'shared') this.w[way][four && !this.packed.has(t) ? 'four' : 'one'] += n;
  }

  private far(t: Tensor, way: 'far_loads' | 'far_stores', n: number, four: boolean): void {
    this.w[way][four && !this.packed.has(t) ? 'four' : 'one'] += n;
  }

  private math(fn: MathFn, dtype: DType, n: number): void {
    if (n > 0) this.w.math.push({ fn, dtype, n });
  }

  /** Narrow floats are computed on, and held in registers, as words; packed integers are taken from theirs. */
  private convert(from: Tensor | Tile, to: Tensor | Tile, n: number): void {
    const narrow = (x: Tensor | Tile): boolean => !('level' in x && x.level === 'register') && bytesOf(x.dtype) === 2;
    if (narrow(from) !== narrow(to)) this.math('convert', 'fp32', n);
    if (this.packed.get(from) !== this.packed.get(to)) this.unpack(from, n).unpack(to, n);
  }

  /** A shift and a mask or a sign for each element of a packed word. */
  private unpack(x: Tensor | Tile, n: number): this {
    if (this.packed.has(x)) this.math('int', 'int32', 2 * n);
    return this;
  }

  private divide(by: number, n: number): void {
    if (by > 1 && !Number.isInteger(Math.log2(by))) this.w.divisions += n;
  }

  // ---------------------------------------------------------------- statements

  /** Of a shared tile, neighbours in the tensor side by side. */
  private cooperative(t: Tile, view: View): { readonly n: number; readonly vec: boolean } {
    const vec = this.isVec(view.tensor);
    const width = vec ? t.cols / 4 : t.cols;
    const n = this.spread(t.rows * width);
    const strides = stridesOf(view.tensor);
    const rowsFirst = !vec && view.axes[0] >= 0 && strides[view.axes[0]] === 1 && strides[view.axes[1]] !== 1;
    if (t.rows > 1 && width > 1) this.divide(rowsFirst ? t.rows : width, n);
    return { n, vec };
  }

  private copy(s: Copy): void {
    const { from, to } = s;
    if (!isTile(from)) {
      if (!isTile(to)) return;
      if (to.level === 'shared') {
        const { n, vec } = this.cooperative(to, from);
        this.far(from.tensor, 'far_loads', n, vec);
        this.near(to, 'near_stores', n, vec);
        this.convert(from.tensor, to, n * (vec ? 4 : 1));
      } else {
        const vec = this.isVec(from.tensor);
        const { grid } = shareIn(this.plan, to);
        const n = this.visits(to, grid, { vectors: vec });
        this.far(from.tensor, 'far_loads', n, vec);
        this.convert(from.tensor, to, n * (vec ? 4 : 1));
      }
    } else if (!isTile(to)) {
      const vec = this.isVec(to.tensor);
      const n =
        from.level === 'shared'
          ? this.cooperative(from, to).n
          : this.visits(from, shareIn(this.plan, from).grid, { vectors: vec, leader: true });
      this.near(from, 'near_loads', n, vec);
      this.far(to.tensor, 'far_stores', n, vec);
      this.convert(from, to.tensor, n * (vec ? 4 : 1));
    } else this.between(from, to);
  }

  private between(from: Tile, to: Tile): void {
    const near = to.level === 'register' ? to : from.level === 'register' ? from : undefined;
    let n: number;
    let vec: boolean;
    if (near) {
      const { grid, chunk } = shareIn(this.plan, near);
      const other = near === to ? from : to;
      vec = chunk === 4 && other.level === 'shared' && this.isVec(other);
      n = this.visits(near, grid, { vectors: vec, leader: to.level === 'shared' });
    } else {
      vec = this.isVec(from) && this.isVec(to);
      const width = vec ? to.cols / 4 : to.cols;
      n = this.spread(to.rows * width);
      if (to.rows > 1) this.divide(width, n);
    }
    this.near(from, 'near_loads', n, vec);
    this.near(to, 'near_stores', n, vec);
    this.convert(from, to, n * (vec ? 4 : 1));
  }

  private gather(s: Gather): void {
    const vec = this.isVec(s.from.tensor);
    const grid = gridOfStmt(this.plan, s, [s.to, s.index], s.to);
    const n = this.visits(s.to, grid, { vectors: vec, leader: s.to.level === 'shared' });
    this.near(s.index, 'near_loads', n);
    this.far(s.from.tensor, 'far_loads', n, vec);
    this.near(s.to, 'near_stores', n, vec);
    this.convert(s.from.tensor, s.to, n * (vec ? 4 : 1));
  }

  private scatter(s: Scatter): void {
    const vec = this.isVec(s.to.tensor);
    const grid = gridOfStmt(this.plan, s, [s.from, s.index], s.from);
    const n = this.visits(s.from, grid, { vectors: vec, leader: true });
    this.near(s.index, 'near_loads', n);
    this.near(s.from, 'near_loads', n, vec);
    if (s.combine === 'set') this.far(s.to.tensor, 'far_stores', n, vec);
    else this.w.atomics += n;
    this.convert(s.from, s.to.tensor, n * (vec ? 4 : 1));
  }

  private map(s: MapStmt): void {
    const held = [s.out, ...s.ins].find((t) => t.level === 'register');
    let n: number;
    if (held) n = this.visits(s.out, shareIn(this.plan, held).grid, { leader: s.out.level === 'shared' });
    else {
      n = this.spread(s.out.rows * s.out.cols);
      if (s.out.rows > 1) this.divide(s.out.cols, n);
    }
    for (const t of s.ins) {
      this.near(t, 'near_loads', n);
      this.convert(t, s.out, n);
    }
    this.near(s.out, 'near_stores', n);
    for (const fn of MATH_FNS) this.math(fn, s.out.dtype, n * (s.fn.work[fn] ?? 0));
  }

  private reduce(s: Reduce, part: number): void {
    const { w } = this;
    const p = reductionIn(this.plan, s);
    const { grid, meeting, parts } = p;
    const fn = s.op === 'sum' ? 'add' : 'max';
    const whole = this.groups(grid, grid.down, grid.across);
    const finish = (n: number): void => {
      if (s.accumulate) {
        this.near(s.to, 'near_loads', n);
        this.math(fn, s.to.dtype, n);
      }
      this.near(s.to, 'near_stores', n);
    };
    /** Groups that visit each line they hold; with `first`, only those that hold it first. */
    const lines = (first: boolean): number => this.visits(s.to, grid, { leader: first });
    if (part === 0) {
      const n = this.visits(s.from, grid);
      this.near(s.from, 'near_loads', n);
      this.math(fn, s.to.dtype, n);
      if (parts === 1) finish(lines(s.to.level === 'shared'));
      else w.near_stores.one += p.lines * this.firsts(s, grid, parts);
      return;
    }
    const fan = meeting.fans[part - 1]!;
    const last = part === meeting.fans.length;
    let n: number;
    if (last) n = p.lines * whole;
    else {
      let left = parts;
      for (const f of meeting.fans.slice(0, part)) left = leftAfter(left, f);
      const items = p.lines * left;
      n = 0;
      for (let q = 0; q < items; q += p.along) n += this.firsts(s, grid, Math.min(p.along, items - q));
      w.near_stores.one += n;
    }
    w.near_loads.one += n * fan;
    this.math(fn, s.to.dtype, n * (fan - 1));
    if (fan > 2) w.turns += n * (fan - 1);
    if (last) finish(s.to.level === 'shared' ? lines(true) : n);
  }

  /** Groups of the lanes that hold the lines of a reduction first, `parts` along each. */
  private firsts(s: Reduce, grid: LaneGrid, parts: number): number {
    const { rows, cols } = s.from;
    return s.axis === 1
      ? this.groups(grid, rows === 1 ? 1 : grid.down, parts)
      : this.groups(grid, parts, cols === 1 ? 1 : grid.across);
  }

  /** Four bytes of each operand multiplied by one instruction. */
  private isByteProduct(s: Mma): boolean {
    return this.machine.bytes && s.acc.dtype === 'int32' && packedProduct(s, this.packed) !== undefined;
  }

  private mma(s: Mma): void {
    const { a, b, acc } = s;
    const { w } = this;
    const grid = this.plan.grids.get(acc) ?? gridFor([s], [acc], this.plan.lanes);
    const { rows, cols, chunk } = shareOf(acc, grid);
    const k = s.ta ? a.rows : a.cols;
    const vecA = this.isVec(a) && !s.ta && k % 4 === 0;
    const vecB = this.isVec(b) && Boolean(s.tb) && k % 4 === 0;
    const rowsOfB = this.isVec(b) && !s.tb && chunk === 4;
    const touched = acc.level === 'shared';
    const n = touched
      ? this.groups(grid, acc.rows === 1 ? 1 : grid.down, acc.cols === 1 ? 1 : grid.across)
      : this.groups(grid, grid.down, grid.across);
    const bytes = vecA && (vecB || (rowsOfB && k % 4 === 0)) && this.isByteProduct(s);
    const loads = (t: Tile, count: number, four: boolean): void => {
      this.near(t, 'near_loads', n * count, four);
      const elements = n * count * (four ? 4 : 1);
      if (bytesOf(t.dtype) === 2) this.math('convert', 'fp32', elements);
      if (!bytes) this.unpack(t, elements);
    };
    if (vecA) loads(a, (rows * k) / 4, true);
    else loads(a, rows * k, false);
    if (vecA && vecB) loads(b, (cols * k) / 4, true);
    else if (rowsOfB) loads(b, (k * cols) / 4, true);
    else loads(b, k * cols, false);
    const turns = vecA ? k / 4 : k;
    if (turns > 1) w.turns += n * turns;
    if (turns > 1) w.places += n * ((grid.down > 1 ? 1 : 0) + (grid.across > 1 ? 1 : 0));
    this.math('fma', bytes ? 'int8' : acc.dtype, n * rows * cols * k);
    // words of a column are made of those of four rows
    if (bytes && !vecB) this.math('int', 'int32', (n * k * cols * TRANSPOSED) / 16);
    if (touched) {
      const times = rows * cols * (vecA && vecB ? k / 4 : k);
      w.near_loads.one += n * times;
      w.near_stores.one += n * times;
    }
  }
}

/** Operations that make the columns of 4 × 4 bytes of its rows: masks, shifts and joins of pairs, and of pairs of pairs. */
const TRANSPOSED = 28;
