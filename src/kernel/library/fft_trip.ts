/**
 * One trip of a transform to memory: a workgroup takes `points` points of `cols` columns through all the radix passes
 * that they have among themselves. Each pass holds the operands of its butterflies in registers; between passes they
 * meet in workgroup memory, in Stockham's order (P. N. Swarztrauber, Parallel Computing 1, 1984): of s·r·m points, with s
 * transformed already, input t of a butterfly (p, q) lies at q + s(p + m·t), output k at q + s(k + r·p).
 */
import type { DType } from '../../base/dtype.js';
import {
  copy,
  type Expr,
  loopVar,
  type MapFn,
  map,
  mul,
  type Program,
  part,
  type Stmt,
  type Tensor,
  type Tile,
  tensor,
  tile,
  view,
} from '../ir.js';
import { ADD } from '../math.js';
import { ceil } from './dims.js';
import { type Grows, rootFns, SUB, TIMES_IM, TIMES_RE, TURNS } from './fft_roots.js';

/** Of `before`·`points`·`after` points, `before` transformed by earlier trips; all are powers of two. */
export interface Trip {
  readonly batch: number;
  readonly before: number;
  readonly points: number;
  readonly after: number;
}

/** A number in two tiles or two tensors. */
interface Pair<T> {
  readonly re: T;
  readonly im: T;
}
const HALVES = ['re', 'im'] as const;

/** Names of the two tensors that a trip reads or writes, and what they are to the launch. */
export interface End {
  readonly names: Pair<string>;
  readonly role: Tensor['role'];
}

const COLUMN = loopVar('column');
const OUTER = loopVar('outer');
const BATCH = loopVar('batch');

/** Radices of the passes, each at most `radix`: least first, so that later passes fit where the first had its tiles. */
export function radices(points: number, radix: number): number[] {
  const bits = Math.log2(points);
  const passes = Math.max(1, ceil(bits, Math.log2(radix)));
  return Array.from({ length: passes }, (_, i) => 2 ** Math.floor((bits + i) / passes));
}

/** What runs along a tile's columns: batches where one trip is all, else neighbouring points of a transform. */
export function columnsOf(t: Trip): number {
  return t.before > 1 ? t.before : t.after > 1 ? t.after : t.batch;
}

export function tripProgram(t: Trip, from: End, to: End, cols: number, radix: number, dtype: DType): Program {
  const work = dtype === 'fp64' ? 'fp64' : 'fp32';
  const along = t.before > 1 ? 'before' : t.after > 1 ? 'after' : 'batch';
  const columns = mul(COLUMN, cols);
  // at most one of the indices is the columns'; those that have one value are left out
  const places = { batch: BATCH as Expr, after: OUTER as Expr, before: 0 as Expr, [along]: columns };
  const dim = (name: 'batch' | 'after' | 'before') => ({ name, extent: t[name], at: places[name] });
  /** Rows of a tile walk the points, from the `first`. */
  const window = (x: Tensor, order: readonly ('batch' | 'after' | 'before' | 'points')[], first: number) => {
    const at = order.map((name) => (name === 'points' ? first : places[name]));
    const axes = [order.indexOf('points'), order.indexOf(along)] as const;
    return view(x, at, axes);
  };
  const kept = (order: readonly ('batch' | 'after' | 'before' | 'points')[]) =>
    order.filter((name) => name === 'points' || name === along || dim(name).extent > 1);
  const orders = {
    from: kept(['batch', 'points', 'after', 'before']),
    to: kept(['batch', 'after', 'points', 'before']),
  };
  const tensors = ({ names, role }: End, order: (typeof orders)['from']): Pair<Tensor> => {
    const of = (name: string) =>
      tensor(
        name,
        dtype,
        order.map((d) => t[d]),
        role,
        'activation',
      );
    return { re: of(names.re), im: of(names.im) };
  };
  const [x, y] = [tensors(from, orders.from), tensors(to, orders.to)];

  const passes = radices(t.points, radix);
  const w = new Writer(work);
  const shared = passes.length > 1 ? w.sharedPair('s', t.points, cols) : undefined;
  let done = 1;
  for (const [i, r] of passes.entries()) {
    const left = t.points / (done * r);
    const [first, last] = [i === 0, i === passes.length - 1];
    const rows = last ? done : left;
    const width = first || last ? cols : done * cols;
    let values = w.operands(i, r, rows, width);
    for (const half of HALVES)
      for (const [k, v] of values.entries())
        if (first) w.body.push(copy(window(x[half], orders.from, k * left), v[half]));
        else {
          const place = w.part(shared![half], `${half}${i}_in${k}`, v[half], k * rows * width, width);
          w.body.push(copy(place, v[half]));
        }
    values = w.butterfly(values);
    if (!last) w.twist(values, w.powers(`w${i}_`, 'row', [rows, 1], Math.log2(left * r)));
    else if (t.after > 1) {
      const wide = along === 'after' ? cols : 1;
      const at = [along === 'after' ? columns : OUTER];
      const bits = Math.log2(t.points * t.after);
      const step = w.powers('step', 'column', [1, wide], bits - Math.log2(done), at);
      w.twist(values, step, done > 1 ? w.root('base', 'both', [done, wide], bits, at) : undefined);
    }
    for (const half of HALVES)
      for (const [k, v] of values.entries())
        if (last) w.body.push(copy(v[half], window(y[half], orders.to, k * done)));
        else
          w.body.push(
            copy(v[half], w.part(shared![half], `${half}${i}_out${k}`, v[half], k * done * cols, r * done * cols)),
          );
    done *= r;
  }
  const outer = t.before > 1 && t.after > 1;
  return {
    name: `fft[${t.points}x${cols},r${passes.join('.')}]`,
    tensors: [x.re, x.im, y.re, y.im],
    tiles: w.tiles,
    grid: [
      { index: COLUMN, extent: ceil(columnsOf(t), cols) },
      ...(outer ? [{ index: OUTER, extent: t.after }] : []),
      ...(along !== 'batch' && t.batch > 1 ? [{ index: BATCH, extent: t.batch }] : []),
    ],
    body: w.body,
  };
}

/** The k-th power of a root, k ≥ 1. */
type Powers = (k: number) => Pair<Tile>;

/** Tiles and statements so far. */
class Writer {
  readonly tiles: Tile[] = [];
  readonly body: Stmt[] = [];
  /** Tiles with storage of their own, and how many elements of it the pass has not taken. */
  private readonly hosts: { readonly tile: Tile; left: number }[] = [];
  private spare: Pair<Tile> | undefined;

  constructor(private readonly work: 'fp32' | 'fp64') {}

  /** Register tiles, where there is room in storage that earlier passes had. */
  private pair(name: string, rows: number, cols: number): Pair<Tile> {
    const of = (half: 're' | 'im'): Tile => {
      const t = tile(`${name}_${half}`, 'register', this.work, rows, cols);
      const host = this.hosts.find((h) => h.left >= rows * cols);
      if (!host) {
        this.hosts.push({ tile: t, left: 0 });
        return t;
      }
      host.left -= rows * cols;
      return { ...t, reuses: host.tile.name };
    };
    return this.declared({ re: of('re'), im: of('im') });
  }

  private declared(p: Pair<Tile>): Pair<Tile> {
    this.tiles.push(p.re, p.im);
    return p;
  }

  sharedPair(name: string, rows: number, cols: number): Pair<Tile> {
    const of = (half: 're' | 'im') => tile(`${name}_${half}`, 'shared', this.work, rows, cols);
    return this.declared({ re: of('re'), im: of('im') });
  }

  /** Of a shared tile, as many rows and columns as `like`, columns side by side. */
  part(of: Tile, name: string, like: Tile, at: number, down: number): Tile {
    const p = part(name, of, [like.rows, like.cols], at, [down, 1]);
    this.tiles.push(p);
    return p;
  }

  /** Tiles for the operands of a pass's butterflies, and for one more. */
  operands(pass: number, radix: number, rows: number, cols: number): Pair<Tile>[] {
    // what earlier passes held is dead
    for (const h of this.hosts) h.left = h.tile.rows * h.tile.cols;
    this.spare = this.pair(`spare${pass}`, rows, cols);
    return Array.from({ length: radix }, (_, k) => this.pair(`x${pass}_${k}`, rows, cols));
  }

  /** Transforms r values into each other's tiles, decimating in frequency; outputs in their order. */
  butterfly(values: readonly Pair<Tile>[]): Pair<Tile>[] {
    const v = [...values];
    const r = v.length;
    for (let half = r / 2; half >= 1; half /= 2)
      for (let i = 0; i < r; i++) {
        if (i & half) continue;
        // W of 2·half roots to the power j, as the k-th of 16
        const k = ((i % half) * 8) / half;
        const [p, q] = [v[i]!, v[i + half]!];
        v[i] = this.sum(p, q);
        v[i + half] = k === 4 ? this.differenceTurned(p, q) : this.turn(this.difference(p, q), q, k);
      }
    return v.map((_, k) => v[reversed(k, Math.log2(r))]!);
  }

  private map(fn: MapFn, ins: readonly Tile[], out: Tile): void {
    this.body.push(map(fn, ins, out));
  }

  private sum(p: Pair<Tile>, q: Pair<Tile>): Pair<Tile> {
    const out = this.spare!;
    for (const half of HALVES) this.map(ADD, [p[half], q[half]], out[half]);
    return out;
  }

  /** p − q, in p's tiles. */
  private difference(p: Pair<Tile>, q: Pair<Tile>): Pair<Tile> {
    for (const half of HALVES) this.map(SUB, [p[half], q[half]], p[half]);
    this.spare = q;
    return p;
  }

  /** −i·(p − q), each half in the other's tile. */
  private differenceTurned(p: Pair<Tile>, q: Pair<Tile>): Pair<Tile> {
    this.map(SUB, [p.im, q.im], p.im);
    this.map(SUB, [q.re, p.re], p.re);
    this.spare = q;
    return { re: p.im, im: p.re };
  }

  /** p·W with W the k-th of 16 roots, in q's tiles. */
  private turn(p: Pair<Tile>, q: Pair<Tile>, k: number): Pair<Tile> {
    if (k === 0) return p;
    const [re, im] = TURNS[k]!;
    this.map(re, [p.re, p.im], q.re);
    this.map(im, [p.re, p.im], q.im);
    this.spare = p;
    return q;
  }

  private times(p: Pair<Tile>, q: Pair<Tile>, out: Pair<Tile>): void {
    this.map(TIMES_RE, [p.re, p.im, q.re, q.im], out.re);
    this.map(TIMES_IM, [p.re, p.im, q.re, q.im], out.im);
  }

  /** e^(−2πi·x/2^bits) for what x grows with. */
  root(
    name: string,
    grows: Grows,
    [rows, cols]: readonly [number, number],
    bits: number,
    at: readonly Expr[] = [],
  ): Pair<Tile> {
    const out = this.pair(name, rows, cols);
    const [re, im] = rootFns(grows, bits, this.work);
    this.body.push(map(re, [], out.re, at), map(im, [], out.im, at));
    return out;
  }

  /** Powers of a root by squaring and by products of what squaring gives, so that errors add up over few. */
  powers(name: string, grows: Grows, shape: readonly [number, number], bits: number, at?: readonly Expr[]): Powers {
    const squares = [this.root(`${name}1`, grows, shape, bits, at)];
    const products: { k: number; out: Pair<Tile> }[] = [];
    const square = (i: number): Pair<Tile> => {
      if (!squares[i]) {
        const below = square(i - 1);
        squares[i] = this.pair(`${name}${2 ** i}`, ...shape);
        this.times(below, below, squares[i]!);
      }
      return squares[i]!;
    };
    const power: Powers = (k) => {
      const lowest = k & -k;
      if (k === lowest) return square(Math.log2(k));
      const slot = ones(k) - 2;
      products[slot] ??= { k: 0, out: this.pair(`${name}product${slot}`, ...shape) };
      const { out } = products[slot]!;
      if (products[slot]!.k !== k) {
        this.times(power(k - lowest), square(Math.log2(lowest)), out);
        products[slot] = { k, out };
      }
      return out;
    };
    return power;
  }

  /** values[k] times the k-th power of a root, and times `base`. */
  twist(values: Pair<Tile>[], powers: Powers, base?: Pair<Tile>): void {
    const both = base && this.pair('both', base.re.rows, base.re.cols);
    for (const [k, v] of values.entries()) {
      let by = k === 0 ? base : powers(k);
      if (k > 0 && base && both) {
        this.times(base, by!, both);
        by = both;
      }
      if (!by) continue;
      const out = this.spare!;
      this.times(v, by, out);
      values[k] = out;
      this.spare = v;
    }
  }
}

/** The lowest `bits` bits of k in reverse. */
function reversed(k: number, bits: number): number {
  let out = 0;
  for (let i = 0; i < bits; i++) if (k & (1 << i)) out |= 1 << (bits - 1 - i);
  return out;
}

const ones = (k: number): number => (k === 0 ? 0 : (k & 1) + ones(k >> 1));
