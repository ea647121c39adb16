/**
 * A tile program as a cascade of einsums. Tiles become tensors over the ranks that their values depend on; a loop that
 * only adds up disappears into the rank it walks; one whose iterations hand values on (a running maximum) stays a rank
 * of its own, and what is handed on is a tensor along it: t[n + 1] from t[n].
 *
 *   program ─Axes─► axes and places ─carried─► indices that stay ─Ranks─► ranks ─statements─► einsums
 */
import { NotAffine } from './cascade-affine.js';
import { Axes, Ranks, tripsOf } from './cascade-axes.js';
import { placed, usesPlace } from './cascade-places.js';
import type { Access, Cascade, CascadeTensor, Coordinate, Einsum, Until } from './einsum.js';
import {
  type Expr,
  type Fx,
  isTile,
  type Loop,
  type LoopVar,
  type MapFn,
  type Program,
  type Stmt,
  type Tensor,
  type Tile,
  type View,
} from './ir.js';

/** The cascade, or why the program has none. */
export function cascadeOf(program: Program): Cascade | { readonly reason: string } {
  try {
    return new Extraction(program).run();
  } catch (e) {
    if (e instanceof NotAffine) return { reason: e.message };
    throw e;
  }
}

export const hasCascade = (c: ReturnType<typeof cascadeOf>): c is Cascade => !('reason' in c);

/** What a tile holds: one number everywhere, or elements of a tensor. */
type Value = { readonly fill: number } | { readonly access: Access };

/** Fills at or below this are where a maximum starts: no operand is less. */
const LOWEST = -1e29;

type Draft = { -readonly [K in keyof Einsum]: Einsum[K] };

class Extraction {
  private readonly axes: Axes;
  private readonly ranks: Ranks;
  private readonly tensors = new Map<string, CascadeTensor>();
  private readonly values = new Map<Tile, Value>();
  private einsums: Draft[] = [];
  private until: Until | undefined;
  /** Loops around the statement at hand, and the tiles that each adds up or hands on. */
  private readonly around: { readonly loop: Loop; readonly touch: ReadonlyMap<Tile, Touch> }[] = [];

  constructor(private readonly program: Program) {
    this.axes = new Axes(program);
    const kept = new Set<LoopVar>();
    forLoops(program.body, (l) => {
      if (tripsOf(l, program).most > 1 && [...touchesOf(l.body).values()].includes('carried')) kept.add(l.index);
    });
    this.ranks = new Ranks(this.axes, kept);
  }

  run(): Cascade {
    for (const t of this.program.tiles) this.values.set(t, { fill: 0 });
    this.body(this.program.body);
    const { extents } = this.ranks;
    const used = new Set(this.einsums.flatMap((e) => e.ranks));
    const order = new Map([...this.program.grid].reverse().map((g, i) => [g.index.var, i]));
    const at = (r: string) => order.get(r) ?? order.size;
    const names = Object.keys(extents).filter((r) => used.has(r));
    const sorted = names.sort((a, b) => at(a) - at(b));
    const mentioned = new Set(
      this.einsums.flatMap((e) => [e.out, ...e.ins, ...(e.init ? [e.init] : [])].map((a) => a.tensor)),
    );
    return {
      name: this.program.name,
      ranks: Object.fromEntries(sorted.map((r) => [r, extents[r]!])),
      ...(this.until && { until: this.until }),
      tensors: [...this.tensors.values()].filter((t) => mentioned.has(t.name)),
      einsums: this.einsums.map((e, i) => ({
        ...e,
        name: this.einsums.findIndex((x) => x.name === e.name) === i ? e.name : `${e.name}.${i}`,
        ranks: [...e.ranks].sort((a, b) => sorted.indexOf(a) - sorted.indexOf(b)),
      })),
    };
  }

  private body(stmts: readonly Stmt[]): void {
    for (const s of stmts) this.step(s);
  }

  private step(s: Stmt): void {
    switch (s.kind) {
      case 'loop':
        this.loop(s);
        return;
      case 'copy':
        if (!isTile(s.from)) this.values.set(s.to as Tile, { access: this.view(s.from) });
        else if (isTile(s.to)) {
          if (s.from.part || s.to.part) throw new NotAffine('tiles are taken apart');
          this.values.set(s.to, this.values.get(s.from)!);
        } else this.store(s.from, s.to);
        return;
      case 'map':
        this.map(s.fn, s.ins, s.out, s.scalars ?? []);
        return;
      case 'mma':
        if (s.sparse) throw new NotAffine('a sparse operand does not say where its values lie');
        this.fold(s.acc, [s.a, s.b], 'sum', { fma: 1 }, true);
        return;
      case 'reduce':
        this.fold(s.to, [s.from], s.op, s.op === 'sum' ? { add: 1 } : { max: 1 }, s.accumulate);
        return;
      default:
        throw new NotAffine(`rows are picked by index (${s.kind})`);
    }
  }

  private view(v: View): Access {
    this.home(v.tensor);
    return {
      tensor: v.tensor.name,
      at: this.axes.placesOf(v).map(
        (p): Coordinate => ({
          terms: this.ranks.terms(p),
          ...(p.start.offset !== 0 && { offset: p.start.offset }),
        }),
      ),
    };
  }

  private home(t: Tensor): void {
    if (this.tensors.has(t.name)) return;
    const role = t.role === 'output' ? 'output' : t.kind === 'weight' || t.kind === 'kv' ? 'weight' : 'input';
    this.tensors.set(t.name, { name: t.name, dtype: t.dtype, role, home: true });
  }

  private access(t: Tile): Access {
    const v = this.values.get(t)!;
    if ('fill' in v) throw new NotAffine(`tile ${t.name}, one number everywhere, is used as an operand`);
    return v.access;
  }

  /** A new tensor for what a tile holds, over these ranks. */
  private fresh(t: Tile, ranks: readonly string[]): Access {
    let name = t.name;
    for (let i = 2; this.tensors.has(name); i++) name = `${t.name}${i}`;
    this.tensors.set(name, { name, dtype: t.dtype, role: 'output', home: false, storage: t.reuses ?? t.name });
    return { tensor: name, at: ranks.map(along) };
  }

  private axisRanks(t: Tile): string[] {
    return ([0, 1] as const).flatMap((side) => {
      const axis = this.axes.of(t, side);
      return axis ? [this.ranks.axis(axis)] : [];
    });
  }

  private map(fn: MapFn, tiles: readonly Tile[], out: Tile, scalars: readonly Expr[]): void {
    if (typeof fn.body === 'number') {
      this.values.set(out, { fill: fn.body });
      return;
    }
    if (typeof fn.body === 'object' && 'in' in fn.body && Object.keys(fn.work).length === 0) {
      this.values.set(out, this.values.get(tiles[fn.body.in]!)!);
      return;
    }
    const held = tiles.map((t) => this.values.get(t)!);
    const ins = held.flatMap((v) => ('access' in v ? [v.access] : []));
    const bound = bind(fn, held, scalars);
    if (ins.length === 0) {
      if (usesPlace(bound.body)) throw new NotAffine(`${fn.name} depends on where an element lies`);
      // a number everywhere; which one is not worked out, since programs only clear with such tiles
      this.values.set(out, { fill: Number.NaN });
      return;
    }
    const ranks = union([...ins.map(ranksOf), this.axisRanks(out)]);
    const to = this.fresh(out, ranks);
    const { fn: own, places } = placed(bound, out, scalars, this.axes, this.ranks);
    const lies = union(places.map((c) => c.terms.map((t) => t.rank)));
    if (lies.some((r) => !ranks.includes(r))) throw new NotAffine(`${fn.name} depends on where an element lies`);
    this.einsums.push({
      name: to.tensor,
      ranks,
      out: to,
      ins,
      reduce: 'none',
      fn: own,
      ...(places.length > 0 && { places }),
      work: own.work,
    });
    this.values.set(out, { access: to });
  }

  /** A reduction of operands into a tile, on top of what it holds when `onto`. */
  private fold(
    acc: Tile,
    tiles: readonly Tile[],
    reduce: 'sum' | 'max' | 'min',
    work: Einsum['work'],
    onto: boolean,
  ): void {
    const ins = tiles.map((t) => this.access(t));
    const ranks = union(ins.map(ranksOf));
    const inner =
      tiles.length === 2
        ? reducedByMma(tiles, acc, this)
        : this.axisRanks(tiles[0]!).filter((r) => !this.axisRanks(acc).includes(r));
    // loops that only add up, from the innermost out
    const dropped = new Set(inner);
    for (let i = this.around.length - 1; onto && i >= 0; i--) {
      const { loop, touch } = this.around[i]!;
      if (tripsOf(loop, this.program).most === 1) continue;
      if (touch.get(acc) !== 'folded') break;
      const digits = this.axes.digits.of(loop.index).map((d) => this.ranks.digit(d));
      if (!digits.some((r) => ranks.includes(r)))
        throw new NotAffine(`${acc.name} adds up the same values in every turn of ${loop.index.var}`);
      for (const r of digits) dropped.add(r);
    }
    const out = ranks.filter((r) => !dropped.has(r));
    const before = this.values.get(acc)!;
    const to = this.fresh(acc, out);
    let init: Access | undefined;
    if (onto) {
      if ('access' in before) init = before.access;
      else if (!(reduce === 'sum' ? before.fill === 0 : reduce === 'max' && before.fill <= LOWEST))
        throw new NotAffine(`${acc.name} starts its ${reduce} at ${before.fill}`);
    }
    this.einsums.push({ name: to.tensor, ranks, out: to, ins, reduce, work, ...(init && { init }) });
    this.values.set(acc, { access: to });
  }

  /** Rank of a side of a tile, for `reducedByMma`. */
  rankOf(t: Tile, side: 0 | 1): string | undefined {
    const axis = this.axes.of(t, side);
    return axis && this.ranks.axis(axis);
  }

  private store(from: Tile, to: View): void {
    const out = this.view(to);
    const v = this.values.get(from)!;
    if ('fill' in v) throw new NotAffine(`tensor ${out.tensor} is filled with one number`);
    const { access } = v;
    const made = this.einsums.find((e) => e.out.tensor === access.tensor);
    const own = made && !this.tensors.get(access.tensor)!.home && this.tensors.get(access.tensor)!.start === undefined;
    if (own && made.out.at.every((c) => c.offset === undefined) && same(ranksOf(out), ranksOf(access))) {
      this.rename(this.einsums, access.tensor, () => out);
      made.name = out.tensor;
      this.tensors.delete(access.tensor);
      this.values.set(from, { access: out });
    } else
      this.einsums.push({
        name: out.tensor,
        ranks: union([ranksOf(access), ranksOf(out)]),
        out,
        ins: [access],
        reduce: 'none',
        work: {},
      });
  }

  private rename(einsums: Draft[], tensor: string, to: (a: Access) => Access): void {
    const swap = (a: Access) => (a.tensor === tensor ? to(a) : a);
    for (const e of einsums) {
      e.out = swap(e.out);
      e.ins = e.ins.map(swap);
      if (e.init) e.init = swap(e.init);
    }
    for (const [t, v] of this.values)
      if ('access' in v && v.access.tensor === tensor) this.values.set(t, { access: to(v.access) });
  }

  private loop(loop: Loop): void {
    const { most: trips, by, each } = tripsOf(loop, this.program);
    if (trips === 0) return;
    const touch = touchesOf(loop.body);
    const carried = trips === 1 ? [] : [...touch].flatMap(([t, how]) => (how === 'carried' ? [t] : []));
    if (by && each) {
      if (carried.length === 0 || this.until)
        throw new NotAffine(`the bounds of loop ${loop.index.var} depend on other indices`);
      const { rank, tile } = this.ranks.tilesOf(by);
      this.until = { rank: this.ranks.digit(this.axes.digits.of(loop.index)[0]!), by: rank, tile, blocks: each };
    }
    this.around.push({ loop, touch });
    if (carried.length === 0) this.body(loop.body);
    else this.recurrence(loop, carried, trips);
    this.around.pop();
  }

  /** Runs the body with what is handed on as tensors along the loop's rank, until their ranks are known. */
  private recurrence(loop: Loop, carried: readonly Tile[], trips: number): void {
    const [digit, ...more] = this.axes.digits.of(loop.index);
    if (!digit || more.length > 0)
      throw new NotAffine(`index ${loop.index.var}, whose turns hand values on, is divided`);
    const n = this.ranks.digit(digit);
    const entry = carried.map((t) => {
      const v = this.values.get(t)!;
      if ('access' in v) throw new NotAffine(`${t.name} enters the loop over ${loop.index.var} with values`);
      return v.fill;
    });
    const guess = carried.map((t) => this.axisRanks(t));
    const einsums = this.einsums;
    const tensors = new Map(this.tensors);
    const values = new Map(this.values);
    for (;;) {
      this.einsums = [];
      this.tensors.clear();
      for (const [k, v] of tensors) this.tensors.set(k, v);
      for (const [k, v] of values) this.values.set(k, v);
      const states = carried.map((t, i) => {
        const { tensor } = this.fresh(t, []);
        this.tensors.set(tensor, { ...this.tensors.get(tensor)!, start: entry[i]! });
        this.values.set(t, { access: { tensor, at: [...guess[i]!.map(along), along(n)] } });
        return tensor;
      });
      this.body(loop.body);
      let settled = true;
      carried.forEach((t, i) => {
        const found = ranksOf(this.access(t)).filter((r) => r !== n && !guess[i]!.includes(r));
        if (found.length > 0) settled = false;
        guess[i]!.push(...found);
      });
      if (!settled) continue;
      carried.forEach((t, i) => {
        const { tensor } = this.access(t);
        const last = this.einsums.find((e) => e.out.tensor === tensor);
        if (!last || tensor === states[i]) throw new NotAffine(`${t.name} is handed on as another tile's value`);
        const at = guess[i]!.map(along);
        this.rename(this.einsums, tensor, () => ({
          tensor: states[i]!,
          at: [...at, { terms: [{ rank: n, stride: 1 }], offset: 1 }],
        }));
        last.name = states[i]!;
        this.tensors.delete(tensor);
        this.values.set(t, { access: { tensor: states[i]!, at: [...at, { terms: [], offset: trips }] } });
      });
      this.einsums = [...einsums, ...this.einsums];
      return;
    }
  }
}

const along = (rank: string): Coordinate => ({ terms: [{ rank, stride: 1 }] });
const union = (lists: readonly (readonly string[])[]): string[] => [...new Set(lists.flat())];
export const ranksOf = (a: Access): string[] => union(a.at.map((c) => c.terms.map((t) => t.rank)));
const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((x) => b.includes(x));

/** Ranks that a product sums: sides of its operands that are none of the result's. */
function reducedByMma(tiles: readonly Tile[], acc: Tile, x: Extraction): string[] {
  const result = ([0, 1] as const).map((side) => x.rankOf(acc, side));
  return union(tiles.map((t) => ([0, 1] as const).flatMap((side) => x.rankOf(t, side) ?? []))).filter(
    (r) => !result.includes(r),
  );
}

/** The function with the numbers that operands and scalars hold everywhere put in their place. */
function bind(fn: MapFn, held: readonly Value[], scalars: readonly Expr[]): MapFn {
  const constant = scalars.some((s) => typeof s === 'number') || held.some((v) => 'fill' in v);
  if (!constant) return fn;
  let n = 0;
  const at = held.map((v): Fx => {
    if ('access' in v) return { in: n++ };
    if (Number.isNaN(v.fill)) throw new NotAffine(`${fn.name} is applied to a number that functions made`);
    return v.fill;
  });
  const known = new Map<Fx, Fx>();
  const visit = (fx: Fx): Fx => {
    if (typeof fx === 'number' || 'coord' in fx) return fx;
    if ('in' in fx) return at[fx.in]!;
    if ('s' in fx) {
      const s = scalars[fx.s];
      return typeof s === 'number' ? s : fx;
    }
    const before = known.get(fx);
    if (before !== undefined) return before;
    const made = { f: fx.f, args: fx.args.map(visit) };
    known.set(fx, made);
    return made;
  };
  return { name: fn.name, body: visit(fn.body), arity: n, work: fn.work };
}

function forLoops(body: readonly Stmt[], found: (l: Loop) => void): void {
  for (const s of body)
    if (s.kind === 'loop') {
      found(s);
      forLoops(s.body, found);
    }
}

/** folded: only added up, or a greatest or least found. carried: read before it is written. own: written first. */
type Touch = 'folded' | 'carried' | 'own' | 'read';

function touchesOf(body: readonly Stmt[]): Map<Tile, Touch> {
  const touch = new Map<Tile, Touch>();
  const combiner = new Map<Tile, string>();
  const read = (t: Tile) => {
    const was = touch.get(t);
    if (was === undefined) touch.set(t, 'read');
    else if (was === 'folded') touch.set(t, 'carried');
  };
  const write = (t: Tile) => {
    const was = touch.get(t);
    if (was === undefined) touch.set(t, 'own');
    else if (was !== 'own') touch.set(t, 'carried');
  };
  const fold = (t: Tile, op: string) => {
    const was = touch.get(t);
    if (was === undefined) {
      touch.set(t, 'folded');
      combiner.set(t, op);
    } else if (was === 'read' || (was === 'folded' && combiner.get(t) !== op)) touch.set(t, 'carried');
  };
  const visit = (stmts: readonly Stmt[]): void => {
    for (const s of stmts)
      switch (s.kind) {
        case 'loop':
          visit(s.body);
          break;
        case 'copy':
          if (isTile(s.from)) read(s.from);
          if (isTile(s.to)) write(s.to);
          break;
        case 'mma':
          read(s.a);
          read(s.b);
          fold(s.acc, 'sum');
          break;
        case 'map':
          s.ins.forEach(read);
          write(s.out);
          break;
        case 'reduce':
          read(s.from);
          if (s.accumulate) fold(s.to, s.op);
          else write(s.to);
          break;
        case 'gather':
          read(s.index);
          write(s.to);
          break;
        case 'scatter':
          read(s.index);
          read(s.from);
      }
  };
  visit(body);
  return touch;
}
