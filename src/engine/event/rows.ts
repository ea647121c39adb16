/**
 * Which rows a gather or scatter touches: its index tile is made by one map of coordinates and grid indices, without
 * data, or copied from an index tensor, whose data are given or drawn (indices.ts). Indices that the kernel works out
 * from other data are not known.
 */
import {
  type Fx,
  type FxOp,
  type GridDim,
  indicesOf,
  isTile,
  type MapStmt,
  type Stmt,
  type Tile,
  type View,
} from '../../kernel/ir.js';
import { compileExpr, type IntFn, type Places } from './expr.js';
import { type Indices, pickOf } from './indices.js';

type Scalar = (row: number, scalars: readonly number[]) => number;

const FX: Record<FxOp, (a: number, b: number, c: number) => number> = {
  fma: (a, b, c) => a * b + c,
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  max: (a, b) => Math.max(a, b),
  min: (a, b) => Math.min(a, b),
  lt: (a, b) => (a < b ? 1 : 0),
  select: (c, a, b) => (c !== 0 ? a : b),
  exp2: (a) => 2 ** a,
  log2: (a) => Math.log2(a),
  rcp: (a) => 1 / a,
  div: (a, b) => a / b,
  rsqrt: (a) => 1 / Math.sqrt(a),
  sqrt: (a) => Math.sqrt(a),
  sin: (a) => Math.sin(a),
  cos: (a) => Math.cos(a),
  tanh: (a) => Math.tanh(a),
  round: (a) => {
    const low = Math.floor(a);
    return a - low > 0.5 || (a - low === 0.5 && low % 2 !== 0) ? low + 1 : low;
  },
  floor: (a) => Math.floor(a),
};

function compileFx(fx: Fx): Scalar {
  if (typeof fx === 'number') return () => fx;
  if ('s' in fx) return (_, scalars) => scalars[fx.s]!;
  if ('coord' in fx) return fx.coord === 'row' ? (row) => row : () => 0;
  if ('in' in fx) throw new Error('internal: a row index that reads a tile');
  const apply = FX[fx.f];
  const [a, b, c] = fx.args.map(compileFx);
  return (row, s) => apply(a!(row, s), b ? b(row, s) : 0, c ? c(row, s) : 0);
}

/** Fills `out` with the index of each row under a workgroup's indices. */
export type RowIndex = (env: Int32Array, base: number, out: Float64Array) => void;

/**
 * How to work out the rows that `index` holds, of a table of `rows`; undefined when that takes data that are not known,
 * or, of a map, a loop's index.
 */
export function rowIndexOf(
  index: Tile,
  body: readonly Stmt[],
  grid: readonly GridDim[],
  places: Places,
  indices: Indices,
  rows: number,
): RowIndex | undefined {
  const makers = writersOf(index, body);
  const maker = makers[0];
  if (makers.length !== 1) return undefined;
  if (maker?.kind === 'copy' && !isTile(maker.from) && isIndexData(maker.from))
    return rowsOfData(maker.from, places, indices, rows);
  if (maker?.kind !== 'map' || maker.ins.length > 0) return undefined;
  let known = true;
  for (const e of maker.scalars ?? [])
    indicesOf(e, (v) => {
      known &&= grid.some((g) => g.index === v);
    });
  if (!known) return undefined;
  return rowsOfMap(maker, places);
}

function rowsOfMap(maker: MapStmt, places: Places): RowIndex {
  const fn = compileFx(maker.fn.body);
  const exprs: IntFn[] = (maker.scalars ?? []).map((e) => compileExpr(e, places));
  const scalars = new Array<number>(exprs.length).fill(0);
  return (env, base, out) => {
    for (let i = 0; i < exprs.length; i++) scalars[i] = exprs[i]!(env, base);
    for (let r = 0; r < out.length; r++) out[r] = fn(r, scalars);
  };
}

const isIndexData = ({ tensor }: View): boolean => tensor.kind === 'index' && tensor.role === 'input';

/** Copied from an index tensor in the loop of the gather, or one around it: loops' indices are those of the copy. */
function rowsOfData(
  { tensor, at, axes, step, limit, fill }: View,
  places: Places,
  indices: Indices,
  rows: number,
): RowIndex {
  const count = tensor.dims.reduce((p, d) => p * d, 1);
  const pick = pickOf(indices, rows, count);
  const start = at.map((e) => compileExpr(e, places));
  const end = limit?.[0] === undefined ? undefined : compileExpr(limit[0], places);
  const along = step?.[0] ?? 1;
  const { dims } = tensor;
  return (env, base, out) => {
    let linear = 0;
    let stride = 1;
    let first = 0;
    let most = 0;
    let apart = 0;
    let outside = false;
    for (let d = dims.length - 1; d >= 0; d--) {
      const x = start[d]!(env, base);
      if (d === axes[0]) {
        first = x;
        most = end ? Math.min(dims[d]!, end(env, base)) : dims[d]!;
        apart = stride;
      } else {
        outside ||= x < 0 || x >= dims[d]!;
        linear += x * stride;
      }
      stride *= dims[d]!;
    }
    for (let r = 0; r < out.length; r++) {
      const x = first + r * along;
      const there = !outside && (axes[0] < 0 ? r === 0 : x >= 0 && x < most);
      out[r] = there ? pick(linear + x * apart) : (fill ?? 0);
    }
  };
}

/** Statements that leave something in a tile. */
export function writersOf(t: Tile, body: readonly Stmt[]): Stmt[] {
  const found: Stmt[] = [];
  for (const s of body) {
    if (s.kind === 'loop') found.push(...writersOf(t, s.body));
    else if (s.kind !== 'scatter' && (s.kind === 'map' ? s.out : s.kind === 'mma' ? s.acc : s.to) === t) found.push(s);
  }
  return found;
}
