/** What every statement's emitter shares: names, types, layouts, addresses, counters and the text so far. */
import type { DType } from '../../base/dtype.js';
import { InputError } from '../../base/errors.js';
import { type Expr, type LoopVar, type Stmt, stridesOf, type Table, type Tensor, type Tile } from '../../kernel/ir.js';
import type { LanePlan } from '../../kernel/lane-plan.js';
import { type LaneGrid, type Share, shareOf } from '../../kernel/lanes.js';
import type { Packed } from '../../kernel/packed.js';
import { rangeOf } from '../../kernel/range.js';
import type { Memory } from '../../kernel/vectors.js';
import type { MatrixShape } from './matrix.js';
import { nameAll } from './names.js';
import { fourAt, oneAt, packFour } from './packing.js';
import { minus, over, rest, sum, type Term, times } from './term.js';
import { cast, type Scalar, type Stored, storedAs } from './types.js';

/** Where a lane is in a tile: local element (i, j) of its share, element (r, c) of the tile; c4: the vector, c = 4·c4. */
export interface At {
  readonly i: Term;
  readonly j: Term;
  readonly r: Term;
  readonly c: Term;
  readonly c4?: Term;
}

export interface Plan extends LanePlan {
  readonly f16: boolean;
  readonly counting: boolean;
  readonly compact: boolean;
  readonly packed: ReadonlyMap<Memory, Packed>;
  /** WGSL's own functions on packed words are there. */
  readonly dot4: boolean;
  /** Products go to the matrices of subgroups. */
  readonly matrix?: MatrixShape;
  /** Accumulators that are held as matrices in each of these statements. */
  readonly regions: ReadonlyMap<Stmt, readonly Tile[]>;
}

export class Shader {
  readonly plan: Plan;
  readonly names: ReadonlyMap<object, string>;
  readonly tables = new Map<Table, number>();
  /** Counter slots by what they count. */
  readonly counters = new Map<string, number>();
  readonly helpers = new Set<string>();
  readonly lines: string[] = [];
  private indent = 1;
  private pending: string[] = [];
  private readonly open: LoopVar[] = [];

  constructor(plan: Plan) {
    this.plan = plan;
    this.names = nameAll(plan.program);
  }

  // ------------------------------------------------------------ text

  line(text: string): void {
    for (const p of this.pending) this.lines.push('  '.repeat(this.indent) + p);
    this.pending = [];
    this.lines.push('  '.repeat(this.indent) + text);
  }
  /** head { inner }, without braces around nothing. */
  block(head: string, inner: () => void): void {
    this.line(head === '' ? '{' : `${head} {`);
    this.indent++;
    inner();
    this.flush();
    this.indent--;
    this.line('}');
  }
  indented(inner: () => void): void {
    this.indent++;
    inner();
    this.flush();
    this.indent--;
  }
  private flush(): void {
    for (const p of this.pending) this.lines.push('  '.repeat(this.indent) + p);
    this.pending = [];
  }
  /**
   * for (name = from; name < to; name += step), or just the body with a constant where it runs once. `long`: not one
   * over a lane's own elements, which must be unrolled to stay in registers; in the compact build its bound is hidden.
   */
  loop(name: string, from: number, to: number, step: number, inner: (index: Term) => void, long = false): void {
    if (to - from <= step) inner(from);
    else
      this.block(
        `for (var ${name} = ${from}; ${name} < ${to}${long && this.plan.compact ? ' + none' : ''}; ${name} ${step === 1 ? '++' : `+= ${step}`})`.replace(
          ' ++',
          '++',
        ),
        () => inner(name),
      );
  }
  /** if (all conditions), or just the body when there are none. */
  guarded(conditions: readonly string[], inner: () => void): void {
    if (conditions.length === 0) inner();
    else this.block(`if (${conditions.join(' && ')})`, inner);
  }
  within(index: LoopVar, inner: () => void): void {
    this.open.push(index);
    inner();
    this.open.pop();
  }

  // ------------------------------------------------------------ counting

  /** Adds to a counter in the instrumented build, just before the next line; `leader`: only on lanes where it holds. */
  count(what: string, n: Term, leader?: string): void {
    if (!this.plan.counting) return;
    if (!this.counters.has(what)) this.counters.set(what, this.counters.size);
    const slot = `n${this.counters.get(what)}`;
    this.pending.push(leader ? `if (${leader}) { ${slot} += ${n}u; }` : `${slot} += ${n}u;`);
  }

  /** Counts n elements that a copy, gather or scatter moves, at both ends. */
  countMove(s: Stmt, from: Tensor | Tile, to: Tensor | Tile, n: Term, leader?: string): void {
    if (this.plan.added.has(s)) return;
    const end = (x: Tensor | Tile, way: string) => {
      if (!('level' in x)) this.count(`tensor ${x.name} ${way}`, n, leader);
      else if (x.level === 'shared') this.count(`tile ${x.name} ${way}`, n, leader);
    };
    end(from, 'read');
    end(to, 'write');
  }

  // ------------------------------------------------------------ names and types

  name(x: object): string {
    return this.names.get(x)!;
  }
  type(x: Tensor | Tile): Scalar {
    // registers are f32 whatever they hold: narrower ones would save nothing and cost conversions
    const narrow = this.plan.f16 && !this.plan.atomic.has(x as Tensor) && !('level' in x && x.level === 'register');
    return storedAs(x.dtype, narrow);
  }
  /** What memory holds; registers hold what lanes compute in. */
  stored(x: Tensor | Tile): Stored {
    return this.plan.packed.get(x) ?? this.type(x);
  }
  /** Whether words may be moved between them as they are. */
  samePacking(x: Memory, y: Memory): boolean {
    const packed = this.plan.packed.get(x);
    return packed !== undefined && packed === this.plan.packed.get(y);
  }
  isVec(x: Memory): boolean {
    return this.plan.vec.has(x);
  }
  share(t: Tile): Share {
    return shareOf(t, this.plan.grids.get(t)!);
  }

  // ------------------------------------------------------------ integers

  /** An integer expression as WGSL (i32). */
  expr(e: Expr): Term {
    if (typeof e === 'number') return e;
    if ('var' in e) return this.name(e);
    if ('table' in e) {
      if (!this.tables.has(e.table)) {
        let offset = 0;
        for (const t of this.tables.keys()) offset += t.values.length;
        this.tables.set(e.table, offset);
      }
      return `tables[${sum(this.tables.get(e.table)!, this.expr(e.at))}]`;
    }
    const a = this.expr(e.a);
    const b = this.expr(e.b);
    switch (e.op) {
      case '+':
        return sum(a, b);
      case '-':
        return minus(a, b);
      case '*':
        return times(a, b);
      case 'min':
      case 'max':
        return typeof a === 'number' && typeof b === 'number' ? Math[e.op](a, b) : `${e.op}(${a}, ${b})`;
      case '/':
      case '%': {
        if (rangeOf(e.a, this.plan.ranges).lo >= 0) return e.op === '/' ? over(a, b) : rest(a, b);
        this.helpers.add('floor_div');
        const q = `floor_div(${a}, ${b})`;
        return e.op === '/' ? q : minus(a, times(q, b));
      }
    }
  }

  // ------------------------------------------------------------ tiles

  /** First element of the buffer of a shared tile that is in use. */
  offset(t: Tile): Term {
    return this.buffer(t, 1);
  }
  private buffer(t: Tile, unit: 1 | 4): Term {
    const indices = this.plan.buffers.get(t);
    if (!indices) return 0;
    for (let i = this.open.length - 1; i >= 0; i--)
      if (indices.has(this.open[i]!)) return times(rest(this.name(this.open[i]!), 2), (t.rows * t.cols) / unit);
    throw new InputError(`internal: tile ${t.name} is used outside its loop`, this.plan.program.name);
  }

  /** One element of a tile, as a place that can be read and written. Broadcasts sides of extent 1. */
  element(t: Tile, at: At): string {
    const name = this.name(t);
    if (t.level === 'register') {
      const share = this.share(t);
      if (share.rows * share.cols === 1) return name;
      return `${name}[${sum(times(t.rows === 1 ? 0 : at.i, share.cols), t.cols === 1 ? 0 : at.j)}]`;
    }
    const r = t.rows === 1 ? 0 : at.r;
    const c = t.cols === 1 ? 0 : at.c;
    if (t.part) {
      const { of, at: first, strides } = t.part;
      return `${this.name(of)}[${sum(first, times(r, strides[0]), times(c, strides[1]))}]`;
    }
    if (!this.isVec(t)) return `${name}[${sum(this.buffer(t, 1), times(r, t.cols), c)}]`;
    return `${name}[${this.vectorIndex(t, r, over(c, 4))}][${rest(c, 4)}]`;
  }
  /** Four neighbouring elements of a vectorised shared tile, to be read. */
  vector(t: Tile, r: Term, c4: Term): string {
    const packed = this.plan.packed.get(t);
    if (packed) return fourAt(this.name(t), this.vectorIndex(t, r, c4), packed, this.plan.dot4);
    return `${this.name(t)}[${this.vectorIndex(t, r, c4)}]`;
  }
  /** The same as a word, of a packed tile. */
  word(t: Tile, r: Term, c4: Term): string {
    return `${this.name(t)}[${this.vectorIndex(t, r, c4)}]`;
  }
  /** Writes four neighbouring elements of a vectorised shared tile. */
  putVector(t: Tile, r: Term, c4: Term, value: string): void {
    const packed = this.plan.packed.has(t) ? packFour(value, this.plan.dot4) : value;
    this.line(`${this.name(t)}[${this.vectorIndex(t, r, c4)}] = ${packed};`);
  }
  private vectorIndex(t: Tile, r: Term, c4: Term): Term {
    return sum(this.buffer(t, 4), times(r, t.cols / 4), c4);
  }

  /** Reads an element as `as`; counts a read of workgroup memory. */
  read(t: Tile, at: At, as: Scalar): string {
    if (t.level === 'shared') this.count('issued workgroup loads', 1);
    const packed = this.plan.packed.get(t);
    if (packed) {
      const index = sum(this.buffer(t, 1), times(t.rows === 1 ? 0 : at.r, t.cols), t.cols === 1 ? 0 : at.c);
      return cast(oneAt(this.name(t), index, packed), 'i32', as);
    }
    return cast(this.element(t, at), this.type(t), as);
  }

  /**
   * Walks a lane's share of a rows × cols tile. Conditions that keep lanes inside the tile are set around the body.
   * `vectors`: one call per four neighbouring columns (a register tile needs chunk 4); else one per element.
   */
  walk(
    t: { rows: number; cols: number },
    grid: LaneGrid,
    body: (at: At) => void,
    options: { vectors?: boolean; conditions?: readonly string[] } = {},
  ): void {
    const share = shareOf(t, grid);
    const idle = grid.down * grid.across < this.plan.lanes;
    const around = [...(options.conditions ?? [])];
    const [lr, lc] = [this.laneRow(grid), this.laneCol(grid)];
    if (idle) around.push(`${this.laneRow(grid)} < ${grid.down}`);
    this.guarded(around, () => {
      this.loop('i', 0, share.rows, 1, (i) => {
        const r = t.rows === 1 ? 0 : sum(times(i, grid.down), lr);
        const ragged = t.rows > 1 && share.rows * grid.down !== t.rows;
        this.guarded(ragged ? [`${r} < ${t.rows}`] : [], () => {
          if (options.vectors) {
            const width = t.cols / 4;
            const each = Math.ceil(width / grid.across);
            this.loop('j4', 0, each, 1, (j4) => {
              const c4 = sum(times(j4, grid.across), lc);
              this.guarded(each * grid.across === width ? [] : [`${c4} < ${width}`], () =>
                body({ i, j: times(j4, 4), r, c: times(c4, 4), c4 }),
              );
            });
            return;
          }
          this.loop('j', 0, share.cols, 1, (j) => {
            const { chunk } = share;
            const c =
              t.cols === 1
                ? 0
                : sum(times(over(j, chunk), grid.across * chunk), times(lc, chunk), chunk === 1 ? 0 : rest(j, chunk));
            const raggedCol = t.cols > 1 && share.cols * grid.across !== t.cols;
            this.guarded(raggedCol ? [`${c} < ${t.cols}`] : [], () => body({ i, j, r, c }));
          });
        });
      });
    });
  }

  laneRow(grid: LaneGrid): string {
    return grid.across === 1
      ? 'lane'
      : grid.down === 1 && grid.across >= this.plan.lanes
        ? '0'
        : `lane / ${grid.across}`;
  }
  laneCol(grid: LaneGrid): Term {
    return grid.across === 1 ? 0 : grid.down === 1 && grid.across >= this.plan.lanes ? 'lane' : `lane % ${grid.across}`;
  }

  /** Conditions on which exactly one of the lanes that hold an element of t goes on; empty: each element has one lane. */
  leader(t: { rows: number; cols: number }, grid: LaneGrid): string[] {
    const out: string[] = [];
    if (t.rows === 1 && grid.down > 1) out.push(`${this.laneRow(grid)} == 0`);
    if (t.cols === 1 && grid.across > 1) out.push(`${this.laneCol(grid)} == 0`);
    return out;
  }

  /** Spreads 0 … count over the lanes: each lane takes every lanes-th. */
  spread(count: number, body: (e: string) => void): void {
    const { lanes } = this.plan;
    if (count <= lanes) this.guarded(count < lanes ? [`lane < ${count}`] : [], () => body('lane'));
    else this.block(`for (var e = lane; e < ${count}; e += ${lanes})`, () => body('e'));
  }

  /** A value of scalar type `from` as `to` stores it: integers are rounded and saturate. */
  convert(code: string, from: Scalar, to: Tensor | Tile, vec = false): string {
    const type = this.type(to);
    if (type !== 'i32') return cast(code, from, type, vec);
    const limits = INTEGER_LIMITS[to.dtype];
    const wide = (x: string) => (vec ? `vec4<${from}>(${x})` : x);
    if (from === 'i32') return limits ? `clamp(${code}, ${wide(`${limits[0]}`)}, ${wide(`${limits[1]}`)})` : code;
    const inside = limits ? `clamp(${code}, ${wide(`${limits[0]}.0`)}, ${wide(`${limits[1]}.0`)})` : code;
    return cast(`round(${inside})`, from, 'i32', vec);
  }

  strides(t: Tensor): readonly number[] {
    return stridesOf(t);
  }
}

const INTEGER_LIMITS: Partial<Record<DType, readonly [number, number]>> = {
  int16: [-32768, 32767],
  int8: [-128, 127],
  uint8: [0, 255],
  int4: [-8, 7],
  int1: [0, 1],
};
