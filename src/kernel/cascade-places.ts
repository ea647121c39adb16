/**
 * Functions of where an element lies (masks): sums of row, column and indices become scalars over ranks, which cost
 * nothing: a nest's loops count them.
 */
import { type Digit, NotAffine, Resplit } from './cascade-affine.js';
import type { Axes, Axis, Ranks } from './cascade-axes.js';
import type { Coordinate } from './einsum.js';
import { type Expr, type Fx, type MapFn, mapFn, type Tile } from './ir.js';

/** Σ coefficient · digit + Σ coefficient · axis + offset. */
interface Sum {
  readonly digits: ReadonlyMap<Digit, number>;
  readonly axes: ReadonlyMap<Axis, number>;
  readonly offset: number;
}

export function usesPlace(fx: Fx): boolean {
  if (typeof fx === 'number' || 'in' in fx) return false;
  return 's' in fx || 'coord' in fx || fx.args.some(usesPlace);
}

/**
 * The function with such sums as scalars of its own, and what they are over ranks.
 * @throws NotAffine where a place is no sum, or tells tiles of one rank apart
 */
export function placed(
  fn: MapFn,
  out: Tile,
  scalars: readonly Expr[],
  axes: Axes,
  ranks: Ranks,
): { fn: MapFn; places: Coordinate[] } {
  const places: Coordinate[] = [];
  if (!usesPlace(fn.body)) return { fn, places };
  const visit = (fx: Fx): Fx => {
    if (typeof fx === 'number' || 'in' in fx) return fx;
    const sum = sumOf(fx, out, scalars, axes);
    if (sum) {
      const terms = ranks.sum(sum.digits, sum.axes);
      places.push({ terms, ...(sum.offset !== 0 && { offset: sum.offset }) });
      return { s: places.length - 1 };
    }
    if (!('f' in fx)) throw new NotAffine(`${fn.name} depends on where an element lies`);
    return { f: fx.f, args: fx.args.map(visit) };
  };
  return { fn: mapFn(fn.name, fn.arity, visit(fn.body)), places };
}

/** Undefined for what is no sum of places. */
function sumOf(fx: Fx, out: Tile, scalars: readonly Expr[], axes: Axes): Sum | undefined {
  if (typeof fx === 'number') return { digits: new Map(), axes: new Map(), offset: fx };
  if ('coord' in fx) {
    const axis = axes.of(out, fx.coord === 'row' ? 0 : 1);
    return { digits: new Map(), axes: new Map(axis ? [[axis, 1]] : []), offset: 0 };
  }
  if ('s' in fx) {
    const { terms, offset } = read(scalars[fx.s]!, axes);
    return { digits: terms, axes: new Map(), offset };
  }
  if (!('f' in fx) || (fx.f !== 'add' && fx.f !== 'sub')) return undefined;
  const [a, b] = fx.args.map((x) => sumOf(x, out, scalars, axes));
  return a && b && plus(a, b, fx.f === 'add' ? 1 : -1);
}

function read(e: Expr, { digits }: Axes) {
  try {
    return digits.read(e);
  } catch (error) {
    if (error instanceof Resplit) throw new NotAffine('a place is divided as no view is');
    throw error;
  }
}

function plus(a: Sum, b: Sum, sign: 1 | -1): Sum {
  const added = <K>(x: ReadonlyMap<K, number>, y: ReadonlyMap<K, number>) => {
    const sum = new Map(x);
    for (const [k, c] of y) sum.set(k, (sum.get(k) ?? 0) + sign * c);
    return sum;
  };
  return { digits: added(a.digits, b.digits), axes: added(a.axes, b.axes), offset: a.offset + sign * b.offset };
}
