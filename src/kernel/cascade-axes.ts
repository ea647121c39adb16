/**
 * Axes of tiles: which are the same (the rows of scores are those of queries), and which tensor coordinates they walk.
 * An axis that always stands with the same index at the step of its extent makes one rank with it.
 */
import { type Affine, type Digit, Digits, NotAffine, Resplit } from './cascade-affine.js';
import {
  evalExpr,
  indicesOf,
  isTile,
  type Loop,
  type LoopVar,
  type Program,
  type Stmt,
  type Tile,
  type View,
} from './ir.js';

/** Axes that are one; the root of a union-find tree stands for all. */
export interface Axis {
  parent?: Axis;
  readonly extent: number;
}

/** One dim of a view: start, and the axes that walk it. */
export interface Place {
  readonly start: Affine;
  readonly walks: readonly { readonly axis: Axis; readonly step: number }[];
  readonly extent: number;
}

const rootOf = (a: Axis): Axis => {
  let r = a;
  while (r.parent) r = r.parent;
  return r;
};

export class Axes {
  readonly digits = new Digits();
  private readonly axes = new Map<Tile, [Axis, Axis]>();
  private places = new Map<View, readonly Place[]>();

  /** @throws NotAffine when the program's bounds or places are no sums of indices */
  constructor(readonly program: Program) {
    for (const { index, extent } of program.grid) this.digits.declare(index, extent);
    this.bind(program.body);
    for (;;)
      try {
        this.places = new Map();
        this.locate(program.body);
        return;
      } catch (e) {
        if (!(e instanceof Resplit)) throw e;
      }
  }

  /** Axis of a tile's rows (0) or columns (1); undefined where its extent is 1. */
  of(t: Tile, side: 0 | 1): Axis | undefined {
    let pair = this.axes.get(t);
    if (!pair) {
      pair = [{ extent: t.rows }, { extent: t.cols }];
      this.axes.set(t, pair);
    }
    const axis = rootOf(pair[side]);
    return axis.extent > 1 ? axis : undefined;
  }

  placesOf(v: View): readonly Place[] {
    return this.places.get(v)!;
  }

  all(): readonly Place[] {
    return [...this.places.values()].flat();
  }

  private join(a: Axis | undefined, b: Axis | undefined): void {
    if (!a || !b || a === b) return;
    if (a.extent !== b.extent) throw new NotAffine(`tiles of ${a.extent} and ${b.extent} meet along one side`);
    b.parent = a;
  }

  private bind(body: readonly Stmt[]): void {
    for (const s of body)
      switch (s.kind) {
        case 'loop': {
          const { most } = tripsOf(s, this.program);
          if (most === 0) break;
          this.digits.declare(s.index, most);
          this.bind(s.body);
          break;
        }
        case 'copy':
          if (isTile(s.from) && isTile(s.to))
            for (const side of [0, 1] as const) this.join(this.of(s.from, side), this.of(s.to, side));
          break;
        case 'mma': {
          const [am, ak] = s.ta ? ([1, 0] as const) : ([0, 1] as const);
          const [bk, bn] = s.tb ? ([1, 0] as const) : ([0, 1] as const);
          this.join(this.of(s.a, am), this.of(s.acc, 0));
          this.join(this.of(s.a, ak), this.of(s.b, bk));
          this.join(this.of(s.b, bn), this.of(s.acc, 1));
          break;
        }
        case 'map':
          for (const t of s.ins) for (const side of [0, 1] as const) this.join(this.of(t, side), this.of(s.out, side));
          break;
        case 'reduce': {
          const kept = s.axis === 1 ? 0 : 1;
          this.join(this.of(s.from, kept), this.of(s.to, kept));
          break;
        }
        default:
          throw new NotAffine(`rows are picked by index (${s.kind})`);
      }
  }

  private locate(body: readonly Stmt[]): void {
    const visit = (v: View, t: Tile): void => {
      if (this.places.has(v)) return;
      const { tensor, at, axes, step } = v;
      if (v.limit?.some((l) => l !== undefined))
        throw new NotAffine(`tensor ${tensor.name} is read up to a limit of its own`);
      this.places.set(
        v,
        tensor.dims.map((extent, d) => ({
          start: this.digits.read(at[d]!),
          extent,
          walks: ([0, 1] as const).flatMap((side) => {
            const axis = axes[side] === d ? this.of(t, side) : undefined;
            return axis ? [{ axis, step: step?.[side] ?? 1 }] : [];
          }),
        })),
      );
    };
    for (const s of body) {
      if (s.kind === 'loop') {
        if (tripsOf(s, this.program).most > 0) this.locate(s.body);
      } else if (s.kind === 'copy') {
        if (!isTile(s.from)) visit(s.from, s.to as Tile);
        if (!isTile(s.to)) visit(s.to, s.from as Tile);
      }
    }
  }
}

/** Trips of a loop from 0, and where they depend on an index of the grid, those for each of its values. */
export interface Trips {
  readonly most: number;
  readonly by?: LoopVar;
  readonly each?: readonly number[];
}

/** @throws NotAffine when bounds depend on several indices, on those of loops, or on data */
export function tripsOf({ from, to, index }: Loop, { grid }: Program): Trips {
  const used = new Set<LoopVar>();
  indicesOf(to, (v) => used.add(v));
  const [by, ...more] = used;
  const dim = grid.find((g) => g.index === by);
  if (typeof from !== 'number' || more.length > 0 || (typeof to !== 'number' && !dim))
    throw new NotAffine(`the bounds of loop ${index.var} depend on other indices or on data`);
  const each = dim ? Array.from({ length: dim.extent }, (_, i) => evalExpr(to, new Map([[by!, i]]))) : undefined;
  const most = each ? Math.max(...each) : (to as number);
  if (most <= from) return { most: 0 };
  if (from !== 0) throw new NotAffine(`loop ${index.var} starts at ${from}`);
  return each?.some((n) => n !== most) ? { most, by: by!, each } : { most };
}

/** Names and extents of ranks. */
export class Ranks {
  readonly extents: Record<string, number> = {};
  private readonly byDigit = new Map<Digit, { rank: string; merged?: Axis }>();
  private readonly byAxis = new Map<Axis, { rank: string; merged?: Digit }>();

  /** @param kept indices that stay ranks of their own */
  constructor(
    private readonly axes: Axes,
    kept: ReadonlySet<LoopVar>,
  ) {
    const places = axes.all();
    const digits = new Set(places.flatMap((p) => [...p.start.terms.keys()]));
    const used = new Set(places.flatMap((p) => p.walks.map((w) => w.axis)));
    for (const axis of used) {
      const digit = partnerOf(axis, places);
      if (digit && !kept.has(digit.of)) this.merge(axis, digit, places);
    }
    for (const digit of digits) this.digit(digit);
    for (const axis of used) this.axis(axis);
  }

  /** The rank of a digit that stands alone, or with the axis it is one with. */
  digit(d: Digit): string {
    let found = this.byDigit.get(d);
    if (!found) {
      const all = this.axes.digits.of(d.of);
      const name = all.length > 1 ? `${d.of.var}${all.length - 1 - all.indexOf(d)}` : d.of.var;
      found = { rank: this.name(name, d.extent) };
      this.byDigit.set(d, found);
    }
    return found.rank;
  }

  axis(a: Axis): string {
    let found = this.byAxis.get(a);
    if (!found) {
      const places = this.axes.all();
      const partner = partnerOf(a, places);
      const alone = places.filter((p) => p.start.terms.size === 0 && p.start.offset === 0 && p.walks.length === 1);
      const within = alone.filter((p) => p.walks[0]!.axis === a && p.walks[0]!.step === 1).map((p) => p.extent);
      found = { rank: this.name(partner ? `${this.digit(partner)}0` : this.spare(), Math.min(a.extent, ...within)) };
      this.byAxis.set(a, found);
    }
    return found.rank;
  }

  /** Terms of one coordinate. */
  terms({ start, walks }: Place): { rank: string; stride: number }[] {
    const strides = new Map<string, number>();
    const add = (rank: string, stride: number) => strides.set(rank, stride);
    for (const [d, coefficient] of start.terms) {
      const rank = this.digit(d);
      if (!this.byDigit.get(d)!.merged) add(rank, coefficient);
    }
    for (const { axis, step } of walks) add(this.axis(axis), step);
    return [...strides].map(([rank, stride]) => ({ rank, stride }));
  }

  /** The rank of an index of the grid, and how many of it one value of the index stands for. */
  tilesOf(index: LoopVar): { rank: string; tile: number } {
    const [digit, ...more] = this.axes.digits.of(index);
    if (!digit || more.length > 0) throw new NotAffine(`index ${index.var}, which bounds a loop, is divided`);
    const rank = this.digit(digit);
    return { rank, tile: this.byDigit.get(digit)!.merged?.extent ?? 1 };
  }

  /** A sum of digits and axes as terms over ranks. @throws NotAffine when it tells tiles of one rank apart */
  sum(digits: ReadonlyMap<Digit, number>, axes: ReadonlyMap<Axis, number>): { rank: string; stride: number }[] {
    const strides = new Map<string, number>();
    for (const [a, c] of axes) strides.set(this.axis(a), c);
    for (const [d, c] of digits) {
      const rank = this.digit(d);
      const { merged } = this.byDigit.get(d)!;
      if (!merged) strides.set(rank, c);
      else if (c !== (strides.get(rank) ?? 0) * merged.extent)
        throw new NotAffine(`a place depends on which tile of ${rank} it is in`);
    }
    for (const [a] of axes) {
      const { merged } = this.byAxis.get(a)!;
      if (merged && !digits.has(merged)) throw new NotAffine(`a place depends on where in a tile it is`);
    }
    return [...strides].map(([rank, stride]) => ({ rank, stride }));
  }

  private merge(axis: Axis, digit: Digit, places: readonly Place[]): void {
    const alone = places.filter(
      (p) =>
        p.walks.length === 1 &&
        p.walks[0]!.axis === axis &&
        p.walks[0]!.step === 1 &&
        p.start.terms.size === 1 &&
        p.start.offset === 0,
    );
    const extent = Math.min(axis.extent * digit.extent, ...alone.map((p) => p.extent));
    const rank = this.name(digit.of.var, extent);
    this.byDigit.set(digit, { rank, merged: axis });
    this.byAxis.set(axis, { rank, merged: digit });
  }

  private name(want: string, extent: number): string {
    let name = want;
    for (let i = 1; Object.hasOwn(this.extents, name); i++) name = `${want}_${i}`;
    this.extents[name] = extent;
    return name;
  }

  private spare(): string {
    return ['e', 'f', 'g', 'u', 'v', 'w'].find((n) => !Object.hasOwn(this.extents, n)) ?? 'r';
  }
}

/** The one digit that an axis always stands with, at the step of its extent, and that stands nowhere without it. */
function partnerOf(axis: Axis, places: readonly Place[]): Digit | undefined {
  let found: Digit | undefined;
  for (const { start, walks } of places) {
    const own = walks.find((w) => w.axis === axis);
    if (!own) continue;
    const here = [...start.terms].find(([, c]) => c === own.step * axis.extent)?.[0];
    if (!here || (found && found !== here)) return undefined;
    found = here;
  }
  if (!found) return undefined;
  for (const { start, walks } of places) {
    if (!start.terms.has(found)) continue;
    const own = walks.find((w) => w.axis === axis);
    if (!own || start.terms.get(found) !== own.step * axis.extent) return undefined;
  }
  return found;
}
