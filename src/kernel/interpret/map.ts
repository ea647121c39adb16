/** Evaluates the scalar function of a map over a whole tile, node by node, each node one loop over the elements. */
import type { Fx, FxOp, MapFn } from '../ir.js';
import { roundEven } from './round.js';

/** An operand: values [rows, cols], either side of which may be 1 and is then repeated. */
export interface Operand {
  readonly rows: number;
  readonly cols: number;
  readonly values: Float64Array;
}
type Value = number | Float64Array;

/** fn over out's [rows, cols] in fp64; `scalars` are the values of the statement's integer expressions. */
export function evalMap(
  fn: MapFn,
  ins: readonly Operand[],
  scalars: readonly number[],
  rows: number,
  cols: number,
): Float64Array {
  const size = rows * cols;
  const wide = ins.map((x) => broadcast(x, rows, cols));
  // a node that several places use is computed once
  const done = new Map<Fx, Value>();
  const visit = (fx: Fx): Value => {
    if (typeof fx === 'number') return fx;
    const before = done.get(fx);
    if (before !== undefined) return before;
    if ('in' in fx) return wide[fx.in]!;
    if ('s' in fx) return scalars[fx.s]!;
    if ('coord' in fx) {
      const at = new Float64Array(size);
      for (let i = 0; i < size; i++) at[i] = fx.coord === 'row' ? Math.floor(i / cols) : i % cols;
      return at;
    }
    const value = apply(fx.f, fx.args.map(visit), size);
    done.set(fx, value);
    return value;
  };
  const result = visit(fn.body);
  return typeof result === 'number' ? new Float64Array(size).fill(result) : result;
}

function broadcast(x: Operand, rows: number, cols: number): Float64Array {
  if (x.rows === rows && x.cols === cols) return x.values;
  const wide = new Float64Array(rows * cols);
  const rowStep = x.rows === 1 ? 0 : x.cols;
  const colStep = x.cols === 1 ? 0 : 1;
  for (let r = 0, i = 0; r < rows; r++)
    for (let c = 0; c < cols; c++, i++) wide[i] = x.values[r * rowStep + c * colStep]!;
  return wide;
}

/** The scalar functions in double precision. `round` is to nearest, ties to even. */
export const FX = {
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
  round: (a) => roundEven(a),
  floor: (a) => Math.floor(a),
} as const satisfies Record<FxOp, (a: number, b: number, c: number) => number>;

function apply(f: FxOp, args: readonly Value[], size: number): Value {
  const fn: (a: number, b: number, c: number) => number = FX[f];
  if (args.every((a) => typeof a === 'number')) return fn(args[0] as number, args[1] as number, args[2] as number);
  const out = new Float64Array(size);
  const [a, b, c] = args.map((x) => (typeof x === 'number' ? undefined : x));
  const [sa, sb, sc] = args.map((x) => (typeof x === 'number' ? x : 0));
  for (let i = 0; i < size; i++) out[i] = fn(a ? a[i]! : sa!, b ? b[i]! : sb!, c ? c[i]! : sc!);
  return out;
}
