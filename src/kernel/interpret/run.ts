/** One interpretation under way: the state of tensors, tiles and indices, and what each statement does to it. */
import { InputError } from '../../base/errors.js';
import { FLOPS, type MathFn } from '../../machine/graph.js';
import type { Interpretation } from '../interpret.js';
import {
  evalExpr,
  type Gather,
  isTile,
  type LoopVar,
  type Mma,
  type Part,
  type Program,
  type Reduce,
  type Scatter,
  type Stmt,
  type Tensor,
  type Tile,
  type View,
} from '../ir.js';
import { Counts } from './counts.js';
import { evalMap } from './map.js';
import { roundArray, roundTensor, roundTo } from './round.js';
import { inRange, windowOf } from './view.js';

export class Run {
  private readonly program: Program;
  private readonly rounds: boolean;
  private readonly counts: Counts;
  private readonly memory = new Map<Tensor, Float64Array>();
  private readonly tiles = new Map<Tile, Float64Array>();
  private readonly env = new Map<LoopVar, number>();

  constructor(program: Program, given: Readonly<Record<string, Float64Array>>, rounds: boolean) {
    this.program = program;
    this.rounds = rounds;
    this.counts = new Counts(program.tensors, program.tiles);
    for (const name of Object.keys(given))
      if (!program.tensors.some((t) => t.name === name))
        throw new InputError(
          `no tensor '${name}' (it has: ${program.tensors.map((t) => t.name).join(', ')})`,
          program.name,
        );
    for (const t of program.tensors) this.memory.set(t, this.load(t, given[t.name]));
    for (const t of program.tiles) this.tiles.set(t, new Float64Array(t.rows * t.cols));
  }

  private load(t: Tensor, values: Float64Array | undefined): Float64Array {
    const size = t.dims.reduce((a, b) => a * b, 1);
    if (!values) {
      if (t.role === 'input' || t.role === 'inout')
        throw new InputError(`tensor '${t.name}' [${t.dims}] is not given`, this.program.name);
      return new Float64Array(size);
    }
    if (values.length !== size)
      throw new InputError(
        `tensor '${t.name}' [${t.dims}] holds ${size} elements, given ${values.length}`,
        this.program.name,
      );
    if (!this.rounds) return t.role === 'input' ? values : values.slice();
    const rounded = values.slice();
    roundTensor(t.dtype, rounded, t.dims.at(-1) ?? 1);
    return rounded;
  }

  grid(): void {
    const { grid } = this.program;
    const visit = (d: number): void => {
      if (d < 0) {
        for (const values of this.tiles.values()) values.fill(0);
        this.body(this.program.body);
        return;
      }
      const { index, extent } = grid[d]!;
      for (let i = 0; i < extent; i++) {
        this.env.set(index, i);
        visit(d - 1);
      }
    };
    visit(grid.length - 1);
  }

  private body(stmts: readonly Stmt[]): void {
    for (const s of stmts) this.step(s);
  }

  private step(s: Stmt): void {
    switch (s.kind) {
      case 'loop': {
        const to = evalExpr(s.to, this.env);
        for (let i = evalExpr(s.from, this.env); i < to; i++) {
          this.env.set(s.index, i);
          this.body(s.body);
        }
        this.env.delete(s.index);
        return;
      }
      case 'copy':
        if (!isTile(s.from)) this.read(s.from, s.to as Tile);
        else if (!isTile(s.to)) this.write(s.from, s.to);
        else this.move(s.from, s.to);
        return;
      case 'mma':
        this.mma(s);
        return;
      case 'map': {
        for (const t of s.ins) this.counts.operandRead(t);
        this.counts.operandWrite(s.out);
        this.counts.addWork(s.fn.work, s.out.rows * s.out.cols);
        const operands = s.ins.map((t) => ({ rows: t.rows, cols: t.cols, values: this.tiles.get(t)! }));
        const scalars = (s.scalars ?? []).map((e) => evalExpr(e, this.env));
        this.tiles.get(s.out)!.set(evalMap(s.fn, operands, scalars, s.out.rows, s.out.cols));
        this.round(s.out);
        return;
      }
      case 'reduce':
        this.reduce(s);
        return;
      case 'gather':
        this.gather(s);
        return;
      case 'scatter':
        this.scatter(s);
        return;
    }
  }

  private round(t: Tile): void {
    if (this.rounds) roundArray(t.dtype, this.tiles.get(t)!);
  }

  private stored(t: Tensor, x: number): number {
    return this.rounds ? roundTo(t.dtype, x) : x;
  }

  private read(view: View, to: Tile): void {
    const w = windowOf(view, this.env);
    const out = this.tiles.get(to)!;
    const from = this.memory.get(view.tensor)!;
    const [r0, r1] = w.inside ? inRange(w.row, to.rows) : [0, 0];
    const [c0, c1] = w.inside ? inRange(w.col, to.cols) : [0, 0];
    if ((r1 - r0) * (c1 - c0) < to.rows * to.cols) out.fill(view.fill ?? 0);
    const colStep = w.col.step * w.col.unit;
    const corner = w.base + w.row.start * w.row.unit + w.col.start * w.col.unit;
    for (let r = r0; r < r1; r++) {
      const at = corner + r * w.row.step * w.row.unit;
      for (let c = c0; c < c1; c++) out[r * to.cols + c] = from[at + c * colStep]!;
    }
    this.counts.move((r1 - r0) * (c1 - c0), view.tensor, to);
    this.round(to);
  }

  private move(from: Tile, to: Tile): void {
    const out = this.tiles.get(to)!;
    if (from.part) forEachOf(from, from.part, (i, at) => void (out[i] = this.tiles.get(from.part!.of)![at]!));
    else out.set(this.tiles.get(from)!);
    this.counts.move(from.rows * from.cols, from, to);
    this.round(to);
    if (to.part) forEachOf(to, to.part, (i, at) => void (this.tiles.get(to.part!.of)![at] = out[i]!));
  }

  private write(from: Tile, view: View): void {
    const w = windowOf(view, this.env);
    if (!w.inside) return;
    const values = this.tiles.get(from)!;
    const out = this.memory.get(view.tensor)!;
    const [r0, r1] = inRange(w.row, from.rows);
    const [c0, c1] = inRange(w.col, from.cols);
    const colStep = w.col.step * w.col.unit;
    const corner = w.base + w.row.start * w.row.unit + w.col.start * w.col.unit;
    for (let r = r0; r < r1; r++) {
      const at = corner + r * w.row.step * w.row.unit;
      for (let c = c0; c < c1; c++) out[at + c * colStep] = this.stored(view.tensor, values[r * from.cols + c]!);
    }
    this.counts.move((r1 - r0) * (c1 - c0), from, view.tensor);
  }

  private mma(s: Mma): void {
    if (s.sparse)
      throw new InputError(
        `sparse mma of ${s.a.name} cannot be interpreted: a program does not say where the kept values lie`,
        this.program.name,
      );
    const { rows: m, cols: n } = s.acc;
    const k = s.ta ? s.a.rows : s.a.cols;
    const a = this.tiles.get(s.a)!;
    const b = s.tb ? transposed(this.tiles.get(s.b)!, s.b.rows, s.b.cols) : this.tiles.get(s.b)!;
    const acc = this.tiles.get(s.acc)!;
    const [aRow, aCol] = s.ta ? [1, m] : [k, 1];
    for (let r = 0; r < m; r++)
      for (let x = 0; x < k; x++) {
        const v = a[r * aRow + x * aCol]!;
        for (let c = 0, i = r * n, j = x * n; c < n; c++) acc[i + c] = acc[i + c]! + v * b[j + c]!;
      }
    this.counts.mma_flops += 2 * m * n * k;
    this.counts.operandRead(s.a);
    this.counts.operandRead(s.b);
    this.counts.operandRead(s.acc);
    this.counts.operandWrite(s.acc);
    this.round(s.acc);
  }

  private reduce(s: Reduce): void {
    const { rows, cols } = s.from;
    const from = this.tiles.get(s.from)!;
    const to = this.tiles.get(s.to)!;
    const lines = s.axis === 1 ? rows : cols;
    const length = s.axis === 1 ? cols : rows;
    const [line, step] = s.axis === 1 ? [cols, 1] : [1, cols];
    for (let i = 0; i < lines; i++) {
      let value = s.accumulate ? to[i]! : from[i * line]!;
      for (let j = s.accumulate ? 0 : 1; j < length; j++) {
        const x = from[i * line + j * step]!;
        value = s.op === 'sum' ? value + x : s.op === 'max' ? Math.max(value, x) : Math.min(value, x);
      }
      to[i] = value;
    }
    const steps = lines * (length - (s.accumulate ? 0 : 1));
    this.counts.addWork(s.op === 'sum' ? { add: 1 } : { max: 1 }, steps);
    this.counts.operandRead(s.from);
    if (s.accumulate) this.counts.operandRead(s.to);
    this.counts.operandWrite(s.to);
    this.round(s.to);
  }

  private gather(s: Gather): void {
    const w = windowOf(s.from, this.env);
    const out = this.tiles.get(s.to)!;
    const from = this.memory.get(s.from.tensor)!;
    const index = this.tiles.get(s.index)!;
    const [c0, c1] = w.inside ? inRange(w.col, s.to.cols) : [0, 0];
    const colStep = w.col.step * w.col.unit;
    out.fill(s.from.fill ?? 0);
    let moved = 0;
    for (let r = 0; r < s.to.rows; r++) {
      const x = this.coordinate(index[r]!, s);
      const row = w.row.start + x;
      if (row < 0 || row >= w.row.end) continue;
      const at = w.base + row * w.row.unit + w.col.start * w.col.unit;
      for (let c = c0; c < c1; c++) out[r * s.to.cols + c] = from[at + c * colStep]!;
      moved += c1 - c0;
    }
    this.counts.operandRead(s.index);
    this.counts.move(moved, s.from.tensor, s.to);
    this.round(s.to);
  }

  private scatter(s: Scatter): void {
    const w = windowOf(s.to, this.env);
    const values = this.tiles.get(s.from)!;
    const out = this.memory.get(s.to.tensor)!;
    const index = this.tiles.get(s.index)!;
    const [c0, c1] = w.inside ? inRange(w.col, s.from.cols) : [0, 0];
    const colStep = w.col.step * w.col.unit;
    let moved = 0;
    for (let r = 0; r < s.from.rows; r++) {
      const x = this.coordinate(index[r]!, s);
      const row = w.row.start + x;
      if (row < 0 || row >= w.row.end) continue;
      const corner = w.base + row * w.row.unit + w.col.start * w.col.unit;
      for (let c = c0; c < c1; c++) {
        const at = corner + c * colStep;
        const v = values[r * s.from.cols + c]!;
        const combined = s.combine === 'set' ? v : s.combine === 'add' ? out[at]! + v : Math.max(out[at]!, v);
        out[at] = this.stored(s.to.tensor, combined);
      }
      moved += c1 - c0;
    }
    this.counts.operandRead(s.index);
    this.counts.move(moved, s.from, s.to.tensor);
  }

  private coordinate(x: number, s: Gather | Scatter): number {
    if (!Number.isInteger(x))
      throw new InputError(`index tile ${s.index.name} holds ${x}, which is no whole number`, this.program.name);
    return x;
  }

  result(): Interpretation {
    const { counts } = this;
    const outputs: Record<string, Float64Array> = {};
    for (const [t, values] of this.memory)
      if (t.role !== 'input') {
        if (this.rounds) roundTensor(t.dtype, values, t.dims.at(-1) ?? 1);
        outputs[t.name] = values;
      }
    let flops = counts.mma_flops;
    for (const fn of Object.keys(counts.work) as MathFn[]) flops += FLOPS[fn] * counts.work[fn]!;
    return {
      outputs,
      requested_B: { tensor: counts.tensor, level: counts.level, boundary: counts.boundary },
      operand_B: counts.operand,
      flops_executed: flops,
      mma_flops: counts.mma_flops,
      work: counts.work,
    };
  }
}

/** Elements of a part, counted row after row, with their places in the tile that it is a part of. */
function forEachOf({ rows, cols }: Tile, { at, strides }: Part, found: (i: number, at: number) => void): void {
  for (let r = 0, i = 0; r < rows; r++)
    for (let c = 0; c < cols; c++, i++) found(i, at + r * strides[0] + c * strides[1]);
}

function transposed(values: Float64Array, rows: number, cols: number): Float64Array {
  const out = new Float64Array(values.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c++) out[c * rows + r] = values[r * cols + c]!;
  return out;
}
