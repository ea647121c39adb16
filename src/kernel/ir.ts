/**
 * The tile program: what is computed tile by tile, independent of the machine.
 *
 * A program has tensors (global), tiles (near storage, private to a workgroup), a grid of independent workgroups
 * and a body. Tiles are matrices [rows, cols]; vectors are [rows, 1] or [1, cols] and broadcast as in numpy.
 *
 * Execution, the same for interpreter, device and engines:
 * - Grid points run in any order, each as one workgroup; `grid[0]` varies fastest in the default raster.
 * - Inside a workgroup statements run in program order. A copy, gather from a tensor into a tile with
 *   `stages` s > 1 inside a loop is asynchronous: it may run up to s − 1 iterations ahead of the statements that
 *   read the tile, no further (a slot is free when the iteration that read it has ended). With s = 1 it blocks.
 * - Stores to tensors are fire and forget; a kernel ends when the last has landed.
 * - Tiles hold zeros when a workgroup starts.
 * - Element (r, c) of a view has coordinate at[axes[0]] + r·step[0] along its row axis, at[axes[1]] + c·step[1] along
 *   its column axis and at[d] along the others. A view that reaches past its tensor (below 0 as well) or its limit is
 *   clipped: out-of-range elements are not accessed, and read as `fill` (0).
 * - gather and scatter: the row coordinate is at[axes[0]] + index[r, 0] (no step), clipped in the same way.
 * - requested bytes are counted at each copy, gather and scatter, for the elements really accessed (fills are not), at
 *   both ends, each at its own dtype. A scatter counts as a write of its tensor whatever it combines: the store that
 *   holds the tensor does the combining.
 * - operands that `mma` (a, b, acc), `map`, `reduce` and indices read from a shared tile, and results left there, are
 *   counted at that tile, each whole tile once per statement, apart from the requested bytes.
 */
import type { DType } from '../base/dtype.js';
import type { MathFn } from '../machine/graph.js';

/** Near to far. */
export const LEVELS = ['register', 'shared', 'global'] as const;
export type Level = (typeof LEVELS)[number];

/** A loop or grid index. Identity matters; the name is for printing. */
export interface LoopVar {
  readonly var: string;
}

/** Integer expressions over indices and tables of data. `/` is floor division. */
export type Expr =
  | number
  | LoopVar
  | { readonly op: '+' | '-' | '*' | '/' | '%' | 'min' | 'max'; readonly a: Expr; readonly b: Expr }
  | { readonly table: Table; readonly at: Expr };

/** Integers known when the kernel starts: ragged lengths, rows of each expert, page tables. */
export interface Table {
  readonly name: string;
  readonly values: readonly number[];
}

export type TensorKind = 'weight' | 'activation' | 'kv' | 'index';

export interface Tensor {
  readonly name: string;
  readonly dtype: DType;
  readonly dims: readonly number[];
  /** Elements between neighbours along each dim; row-major when absent. */
  readonly strides?: readonly number[];
  readonly role: 'input' | 'output' | 'inout' | 'scratch';
  /** Decides how long ago it was last touched, hence whether a cache still holds it. */
  readonly kind: TensorKind;
  /** Store or link end it lives at when not the machine's home store: `peer` for another device's memory, `host`. */
  readonly home?: string;
}

export interface Tile {
  readonly name: string;
  readonly level: 'register' | 'shared';
  readonly dtype: DType;
  readonly rows: number;
  readonly cols: number;
  /** Buffers of it; > 1 lets copies into it run ahead. */
  readonly stages: number;
  /** Part of a register tile that one lane holds when `mma` binds to plain multiply–adds. */
  readonly lane?: readonly [rows: number, cols: number];
  /** Name of a tile, dead once this one is written, in whose storage it lives (scores and probabilities of attention). */
  readonly reuses?: string;
  /** Of a shared tile: row after row, with the bank conflicts that this brings; padded or swizzled to avoid them if absent. */
  readonly layout?: 'rows';
  /** Of a shared tile: no storage of its own but elements of another's, which copies between tiles read and write. */
  readonly part?: Part;
}

/** Element (r, c) is element at + r·strides[0] + c·strides[1] of `of`, whose elements count row after row. */
export interface Part {
  readonly of: Tile;
  readonly at: number;
  readonly strides: readonly [number, number];
}

/** A window onto a tensor: where it starts along each dim, and which dims the tile's rows and cols walk. */
export interface View {
  readonly tensor: Tensor;
  readonly at: readonly Expr[];
  /** Dims of the tensor that the tile's [rows, cols] run along; −1: that side of the tile has extent 1. */
  readonly axes: readonly [number, number];
  /** Elements stepped along each axis per tile row/col (strided convolutions); 1 when absent. */
  readonly step?: readonly [number, number];
  /** Upper limit of the coordinate along [rows, cols] when tighter than the tensor (ragged lengths, split parts). */
  readonly limit?: readonly [Expr | undefined, Expr | undefined];
  /** What out-of-range elements read as; 0 when absent. */
  readonly fill?: number;
}

/**
 * Scalar function of a map: operands `in`, loop-dependent integers `s`, local coordinates, constants.
 * A node that is used in several places (the same object) is computed, and its work counted, once.
 */
export type Fx =
  | number
  | { readonly in: number }
  | { readonly s: number }
  | { readonly coord: 'row' | 'col' }
  | { readonly f: FxOp; readonly args: readonly Fx[] };
/** `lt` gives 1 or 0; `select(c, a, b)` is a when c ≠ 0. */
export type FxOp =
  | 'fma'
  | 'add'
  | 'sub'
  | 'mul'
  | 'max'
  | 'min'
  | 'lt'
  | 'select'
  | 'exp2'
  | 'log2'
  | 'rcp'
  | 'div'
  | 'rsqrt'
  | 'sqrt'
  | 'sin'
  | 'cos'
  | 'tanh'
  | 'round'
  | 'floor';

/** A named scalar function with the work of one application, by class, counted once when it is defined. */
export interface MapFn {
  readonly name: string;
  readonly body: Fx;
  readonly arity: number;
  readonly work: Readonly<Partial<Record<MathFn, number>>>;
}

export type ReduceOp = 'sum' | 'max' | 'min';

export interface Loop {
  readonly kind: 'loop';
  readonly index: LoopVar;
  readonly from: Expr;
  /** Exclusive; no iteration when ≤ from. */
  readonly to: Expr;
  readonly body: readonly Stmt[];
}
/** Moves a tile: tensor → tile, tile → tensor, or tile → tile; converts dtype on the way. */
export interface Copy {
  readonly kind: 'copy';
  readonly from: View | Tile;
  readonly to: View | Tile;
}
/** acc[r,c] += Σ a[r,k]·b[k,c]; `ta`/`tb`: the tile holds the transpose. */
export interface Mma {
  readonly kind: 'mma';
  readonly a: Tile;
  readonly b: Tile;
  readonly acc: Tile;
  readonly ta?: boolean;
  readonly tb?: boolean;
  /** The a operand holds N of M values with their indices. */
  readonly sparse?: '2:4';
}
/** out = fn(ins…), element by element with broadcasting; out may be one of ins. */
export interface MapStmt {
  readonly kind: 'map';
  readonly fn: MapFn;
  readonly ins: readonly Tile[];
  readonly scalars?: readonly Expr[];
  readonly out: Tile;
}
/** to[r,1] (axis 1) or to[1,c] (axis 0) = op over the axis of from; `accumulate` folds into what `to` holds. */
export interface Reduce {
  readonly kind: 'reduce';
  readonly op: ReduceOp;
  readonly axis: 0 | 1;
  readonly from: Tile;
  readonly to: Tile;
  readonly accumulate: boolean;
}
/** to[r,:] = view with its row coordinate replaced by index[r,0] (added to the view's own start along that axis). */
export interface Gather {
  readonly kind: 'gather';
  readonly from: View;
  readonly index: Tile;
  readonly to: Tile;
}
/** view[index[r,0],:] = combine(view[…], from[r,:]). `add` is atomic. */
export interface Scatter {
  readonly kind: 'scatter';
  readonly from: Tile;
  readonly index: Tile;
  readonly to: View;
  readonly combine: 'set' | 'add' | 'max';
}
export type Stmt = Loop | Copy | Mma | MapStmt | Reduce | Gather | Scatter;

export interface GridDim {
  readonly index: LoopVar;
  readonly extent: number;
}

export interface Program {
  /** kernel name and tile, e.g. gemm[128x128x64,s4] */
  readonly name: string;
  readonly tensors: readonly Tensor[];
  readonly tiles: readonly Tile[];
  /** grid[0] varies fastest. */
  readonly grid: readonly GridDim[];
  readonly body: readonly Stmt[];
}

// ---------------------------------------------------------------- builders

export const loopVar = (name: string): LoopVar => ({ var: name });

const binary = (op: '+' | '-' | '*' | '/' | '%' | 'min' | 'max', a: Expr, b: Expr): Expr =>
  typeof a === 'number' && typeof b === 'number' ? applyInt(op, a, b) : { op, a, b };
export const add = (a: Expr, b: Expr): Expr => (a === 0 ? b : b === 0 ? a : binary('+', a, b));
export const sub = (a: Expr, b: Expr): Expr => (b === 0 ? a : binary('-', a, b));
export const mul = (a: Expr, b: Expr): Expr => (a === 1 ? b : b === 1 ? a : a === 0 || b === 0 ? 0 : binary('*', a, b));
export const div = (a: Expr, b: Expr): Expr => (b === 1 ? a : binary('/', a, b));
export const mod = (a: Expr, b: Expr): Expr => binary('%', a, b);
export const min = (a: Expr, b: Expr): Expr => binary('min', a, b);
export const max = (a: Expr, b: Expr): Expr => binary('max', a, b);
/** ⌈a / b⌉ for b > 0. */
export const ceilDiv = (a: Expr, b: number): Expr => (b === 1 ? a : div(add(a, b - 1), b));
export const lookup = (table: Table, at: Expr): Expr =>
  typeof at === 'number' ? (table.values[at] ?? 0) : { table, at };

export const loop = (index: LoopVar, from: Expr, to: Expr, body: readonly Stmt[]): Loop => ({
  kind: 'loop',
  index,
  from,
  to,
  body,
});
export const copy = (from: View | Tile, to: View | Tile): Copy => ({ kind: 'copy', from, to });
export const mma = (a: Tile, b: Tile, acc: Tile, opts?: { ta?: boolean; tb?: boolean; sparse?: '2:4' }): Mma => ({
  kind: 'mma',
  a,
  b,
  acc,
  ta: opts?.ta,
  tb: opts?.tb,
  sparse: opts?.sparse,
});
export const map = (fn: MapFn, ins: readonly Tile[], out: Tile, scalars?: readonly Expr[]): MapStmt => ({
  kind: 'map',
  fn,
  ins,
  out,
  scalars,
});
export const reduce = (op: ReduceOp, axis: 0 | 1, from: Tile, to: Tile, accumulate = false): Reduce => ({
  kind: 'reduce',
  op,
  axis,
  from,
  to,
  accumulate,
});
export const gather = (from: View, index: Tile, to: Tile): Gather => ({ kind: 'gather', from, index, to });
export const scatter = (from: Tile, index: Tile, to: View, combine: Scatter['combine']): Scatter => ({
  kind: 'scatter',
  from,
  index,
  to,
  combine,
});

export const tile = (
  name: string,
  level: Tile['level'],
  dtype: DType,
  rows: number,
  cols: number,
  stages = 1,
  lane?: readonly [number, number],
): Tile => ({ name, level, dtype, rows, cols, stages, lane });
/** Some elements of a shared tile as a tile of its own: `at` the first, `strides` from row to row and column to column. */
export const part = (
  name: string,
  of: Tile,
  [rows, cols]: readonly [number, number],
  at: number,
  strides: readonly [number, number],
): Tile => ({ name, level: 'shared', dtype: of.dtype, rows, cols, stages: 1, part: { of, at, strides } });
export const tensor = (
  name: string,
  dtype: DType,
  dims: readonly number[],
  role: Tensor['role'],
  kind: TensorKind,
  strides?: readonly number[],
): Tensor => ({ name, dtype, dims, role, kind, strides });
export const view = (
  tensor: Tensor,
  at: readonly Expr[],
  axes: readonly [number, number],
  opts?: Pick<View, 'step' | 'limit' | 'fill'>,
): View => ({ tensor, at, axes, step: opts?.step, limit: opts?.limit, fill: opts?.fill });

/**
 * Defines a map function and counts its work per element, and what else its instructions do (`besides`). Call once at
 * module level, never per program.
 */
export function mapFn(name: string, arity: number, body: Fx, besides: Partial<Record<MathFn, number>> = {}): MapFn {
  const work: Partial<Record<MathFn, number>> = { ...besides };
  const seen = new Set<Fx>();
  const visit = (fx: Fx): void => {
    if (typeof fx === 'number' || !('f' in fx) || seen.has(fx)) return;
    seen.add(fx);
    const fn = FX_CLASS[fx.f];
    work[fn] = (work[fn] ?? 0) + 1;
    fx.args.forEach(visit);
  };
  visit(body);
  return { name, body, arity, work };
}

/** The class of machine work that each scalar function is. */
export const FX_CLASS = {
  fma: 'fma',
  add: 'add',
  sub: 'add',
  mul: 'mul',
  max: 'max',
  min: 'max',
  lt: 'select',
  select: 'select',
  exp2: 'exp2',
  log2: 'log2',
  rcp: 'rcp',
  div: 'div',
  rsqrt: 'rsqrt',
  sqrt: 'sqrt',
  sin: 'sin',
  cos: 'sin',
  tanh: 'tanh',
  round: 'convert',
  floor: 'convert',
} as const satisfies Record<FxOp, MathFn>;

// ---------------------------------------------------------------- reading

/** The tile in whose storage a tile lies: itself, or the one that it is a part of. */
export const ownerOf = (t: Tile): Tile => t.part?.of ?? t;

export const isTile = (x: View | Tile): x is Tile => 'level' in x;

export function applyInt(op: '+' | '-' | '*' | '/' | '%' | 'min' | 'max', a: number, b: number): number {
  switch (op) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return Math.floor(a / b);
    case '%':
      return a - b * Math.floor(a / b);
    case 'min':
      return Math.min(a, b);
    case 'max':
      return Math.max(a, b);
  }
}

/** Value of an expression under `env`, which must bind every index in it. */
export function evalExpr(e: Expr, env: ReadonlyMap<LoopVar, number>): number {
  if (typeof e === 'number') return e;
  if ('var' in e) {
    const v = env.get(e);
    if (v === undefined) throw new Error(`unbound index ${e.var}`);
    return v;
  }
  if ('op' in e) return applyInt(e.op, evalExpr(e.a, env), evalExpr(e.b, env));
  const v = e.table.values[evalExpr(e.at, env)];
  if (v === undefined) throw new Error(`table ${e.table.name} has no entry ${evalExpr(e.at, env)}`);
  return v;
}

/** Calls `found` for each index in the expression. */
export function indicesOf(e: Expr, found: (v: LoopVar) => void): void {
  if (typeof e === 'number') return;
  if ('var' in e) found(e);
  else if ('op' in e) {
    indicesOf(e.a, found);
    indicesOf(e.b, found);
  } else indicesOf(e.at, found);
}

/** Row-major strides of dims, or the tensor's own. */
export function stridesOf(t: Tensor): readonly number[] {
  if (t.strides) return t.strides;
  const s = new Array<number>(t.dims.length);
  let step = 1;
  for (let i = t.dims.length - 1; i >= 0; i--) {
    s[i] = step;
    step *= t.dims[i]!;
  }
  return s;
}
