/**
 * What one execution of a statement costs a core, in cycles of its units: mma, map, reduce and copies between tiles.
 * Tiles have fixed sizes (clipped elements are computed on as `fill`), so this is known before the run.
 */
import { bytesOf, type DType } from '../../base/dtype.js';
import { InfeasibleError } from '../../base/errors.js';
import { moveFactor } from '../../kernel/banks.js';
import { type Bookkeeping, bookkeepingCycles } from '../../kernel/bookkeeping.js';
import type { Copy, MapStmt, Mma, Reduce, Tile } from '../../kernel/ir.js';
import type { Mapping } from '../../kernel/kernel.js';
import {
  FLOPS,
  MATH_FNS,
  type MathFn,
  type MathRate,
  type MmaOp,
  mathRateOf,
  type ResourceGraph,
  rowsAtOnce,
  tileStoreOf,
} from '../../machine/graph.js';

/** Servers of one core; one more per pipe of the vector units follows. */
export const MATRIX = 0;
export const SHARED = 1;
export const ISSUE = 2;
export const FIRST_PIPE = 3;

/** Bytes one lane moves with one instruction (128-bit accesses). */
export const LANE_ACCESS_B = 16;

export interface Work {
  /** Cycles on each server at the whole core's rate. */
  readonly cycles: Float64Array;
  /** Dependent instructions within the statement: it lasts at least this long. */
  chain_cycles: number;
  /** From its end to the start of a statement that reads its result. */
  latency_cycles: number;
  /** As the program says it: padding to instructions and shuffles left out. */
  flops: number;
  matrix_pJ: number;
  vector_pJ: number;
  shared_read_B: number;
  shared_write_B: number;
  register_read_B: number;
  register_write_B: number;
}

export class Coster {
  readonly pipes: string[] = [];
  /** Which cause each server's queue is: matrix, shared, issue, vector or special. */
  readonly names: string[] = ['matrix', 'shared', 'issue'];
  private readonly shared_B_per_cycle: number;

  constructor(
    readonly machine: ResourceGraph,
    readonly mapping: Mapping,
  ) {
    for (const unit of machine.units)
      for (const key of Object.keys(unit.math))
        if (!this.pipes.includes(unit.math[key]!.pipe)) this.pipes.push(unit.math[key]!.pipe);
    const special = mathRateOf(machine, 'exp2', 'fp32')?.rate.pipe;
    const vector = mathRateOf(machine, 'fma', 'fp32')?.rate.pipe;
    for (const pipe of this.pipes) this.names.push(pipe === special && pipe !== vector ? 'special' : 'vector');
    const shared = tileStoreOf(machine);
    this.shared_B_per_cycle = shared
      ? (shared.read_B_per_s / machine.control.clock.nominal_Hz) * (shared.shared_port ? 1 : 2)
      : Number.POSITIVE_INFINITY;
  }

  blank(): Work {
    return {
      cycles: new Float64Array(FIRST_PIPE + this.pipes.length),
      chain_cycles: 0,
      latency_cycles: 0,
      flops: 0,
      matrix_pJ: 0,
      vector_pJ: 0,
      shared_read_B: 0,
      shared_write_B: 0,
      register_read_B: 0,
      register_write_B: 0,
    };
  }

  /**
   * Matrix instructions: the accumulator is cut into the mapping's partition; each part is padded to the instruction's
   * m and k, and its columns are spread over as few instructions as they need, each padded to n (to `n_step` where
   * there is one). Reads of shared tiles: see `operandBytes`.
   */
  mma(s: Mma): Work {
    const w = this.blank();
    const { cores } = this.machine;
    const op = this.mmaOp(s);
    const depth = s.tb ? s.b.cols : s.b.rows;
    const [rows, cols] = [s.acc.rows, s.acc.cols];
    const [pr, pc] = this.mapping.partition;
    const vector = this.mapping.mma === 'vector';
    const k = up(depth, op.k);
    let latency = op.latency_cycles;
    let macs: number;
    if (vector) {
      const [tm, tn] = s.acc.lane ?? [1, 1];
      macs = up(rows, tm) * up(cols, tn) * k;
    } else {
      const m = pr * up(Math.ceil(rows / pr), op.m);
      const part = Math.ceil(cols / pc);
      const along = Math.ceil(part / op.n);
      const n = up(Math.ceil(part / along), op.n_step ?? op.n);
      macs = m * pc * along * n * k;
      latency *= n / op.n;
    }
    const rate = op.macs_per_cycle * (s.sparse && op.sparse_2_4 ? 2 : 1);
    const [a_B, b_B] = operandBytes(s, op, this.mapping, depth, cores.lane_group);
    if (s.a.level === 'shared') w.shared_read_B += a_B;
    else w.register_read_B += a_B;
    if (s.b.level === 'shared') w.shared_read_B += b_B;
    else w.register_read_B += b_B;
    const acc_B = rows * cols * bytesOf(s.acc.dtype);
    if (op.accumulator === 'register') {
      w.register_read_B += acc_B;
      w.register_write_B += acc_B;
    }
    if (vector) {
      const pipe = this.fmaPipe(s.acc.dtype);
      w.cycles[FIRST_PIPE + pipe.index] = macs / op.macs_per_cycle;
      this.issue(w, macs / this.lanesPerIssue(op.macs_per_cycle) + w.shared_read_B / LANE_ACCESS_B / cores.lane_group);
      w.vector_pJ = macs * op.pJ_per_MAC;
      w.chain_cycles = depth * latency;
    } else {
      w.cycles[MATRIX] = macs / rate;
      const groups = Math.max(1, op.lanes / cores.lane_group);
      const own = op.operands === 'register' ? w.shared_read_B / LANE_ACCESS_B / cores.lane_group : 0;
      this.issue(w, (macs / (op.m * op.n * op.k)) * groups + own);
      w.matrix_pJ = macs * op.pJ_per_MAC;
      // Each lane group accumulates k in steps that wait for one another; wgmma-like ones are chained in the unit.
      if (op.operands === 'register') {
        w.chain_cycles = (k / op.k) * latency;
        // fragments come from shared memory first
        if (w.shared_read_B > 0) {
          const share = Math.min(1, Math.ceil(this.mapping.lanes / cores.lane_group) / cores.issue_groups);
          w.chain_cycles = Math.max(w.chain_cycles, w.cycles[MATRIX]! / share) + this.sharedLatency();
        }
      }
    }
    w.latency_cycles = latency;
    w.flops = 2 * rows * cols * depth;
    this.sharedPort(w);
    if (this.mapping.operandsFirst && !vector) {
      const share = Math.min(1, Math.ceil(this.mapping.lanes / cores.lane_group) / cores.issue_groups);
      const reads = w.cycles[SHARED]! > 0 ? w.cycles[SHARED]! + this.sharedLatency() : 0;
      w.chain_cycles = Math.max(w.chain_cycles, reads + w.cycles[MATRIX]! / share);
    }
    return w;
  }

  bookkeeping(b: Bookkeeping): Work {
    const w = this.blank();
    const { issue, chain } = bookkeepingCycles(b, this.mapping.lanes, this.machine);
    w.cycles[ISSUE] = issue;
    w.cycles[SHARED] = b.lines ?? 0;
    w.chain_cycles = chain;
    return w;
  }

  /** Every element of `out` on each pipe that its function needs; pipes work side by side. */
  map(s: MapStmt): Work {
    const w = this.blank();
    const elements = s.out.rows * s.out.cols;
    const dtype = s.out.level === 'register' ? s.out.dtype : (s.ins[0]?.dtype ?? s.out.dtype);
    for (const fn of MATH_FNS) {
      const n = s.fn.work[fn];
      if (!n) continue;
      this.math(w, fn, dtype, elements * n);
      w.flops += FLOPS[fn] * elements * n;
    }
    const first = s.ins[0];
    if (first && first.dtype !== s.out.dtype) this.math(w, 'convert', wider(first.dtype, s.out.dtype), elements);
    for (const t of s.ins) this.read(w, t);
    this.write(w, s.out);
    this.sharedPort(w);
    return w;
  }

  /** One operation per element, then log₂ steps of shuffles among the lanes (of one group at most) that share a result. */
  reduce(s: Reduce): Work {
    const w = this.blank();
    const results = s.to.rows * s.to.cols;
    const fn: MathFn = s.op === 'sum' ? 'add' : 'max';
    this.math(w, fn, s.to.dtype, s.from.rows * s.from.cols);
    w.flops += FLOPS[fn] * (s.from.rows * s.from.cols - (s.accumulate ? 0 : results));
    const lanes = Math.max(1, Math.min(this.machine.cores.lane_group, this.mapping.lanes / Math.max(1, results)));
    const steps = Math.ceil(Math.log2(lanes));
    if (steps > 0) {
      const before = w.latency_cycles;
      this.math(w, 'shuffle', s.to.dtype, results * lanes * steps);
      const shuffle = w.latency_cycles - before;
      w.chain_cycles += (steps - 1) * shuffle;
    }
    this.read(w, s.from);
    this.write(w, s.to);
    this.sharedPort(w);
    return w;
  }

  /** Tile to tile: through the shared port where an end is there; a conversion where the dtypes differ. */
  move(s: Copy & { from: Tile; to: Tile }): Work {
    const w = this.blank();
    this.read(w, s.from);
    this.write(w, s.to);
    if (s.from.dtype !== s.to.dtype)
      this.math(w, 'convert', wider(s.from.dtype, s.to.dtype), s.from.rows * s.from.cols);
    if (s.from.level === 'shared') w.latency_cycles += this.sharedLatency();
    this.issue(w, (w.shared_read_B + w.shared_write_B) / LANE_ACCESS_B / this.machine.cores.lane_group);
    this.sharedPort(w, moveFactor(s.from, this.machine), moveFactor(s.to, this.machine));
    return w;
  }

  /**
   * The near end of a copy between tensor and tile, whole tile: lanes issue a load or a store of 16 bytes each, and
   * both where the way to shared tiles leads through registers; copies straight into shared tiles cost them nothing.
   * The port that the bytes cross is booked when they move.
   */
  transfer(t: Tile): Work {
    const w = this.blank();
    const instructions = (t.rows * t.cols * bytesOf(t.dtype)) / LANE_ACCESS_B / this.machine.cores.lane_group;
    if (t.level === 'register') this.issue(w, instructions);
    else if (this.machine.links.some((l) => l.to === 'shared' && l.via === 'register')) this.issue(w, 2 * instructions);
    return w;
  }

  get sharedRate_B_per_cycle(): number {
    return this.shared_B_per_cycle;
  }

  private sharedLatency(): number {
    const shared = tileStoreOf(this.machine);
    return (shared?.latency_s ?? 0) * this.machine.control.clock.nominal_Hz;
  }

  /** The fastest instruction for these dtypes on the unit that the mapping binds to; plain fma when none is listed. */
  private mmaOp(s: Mma): MmaOp {
    const vector = this.mapping.mma === 'vector';
    const { widest = Number.POSITIVE_INFINITY } = this.mapping;
    let best: MmaOp | undefined;
    for (const unit of this.machine.units)
      for (const op of unit.mma)
        if (
          op.a === s.a.dtype &&
          op.b === s.b.dtype &&
          op.acc === s.acc.dtype &&
          op.lanes > 1 === !vector &&
          op.lanes <= widest
        )
          if (!best || op.macs_per_cycle > best.macs_per_cycle) best = op;
    if (best) return best;
    const { name } = this.machine;
    const what = `${s.a.dtype} × ${s.b.dtype} → ${s.acc.dtype}`;
    if (!vector) throw new InfeasibleError(`${name} has no matrix instruction for ${what}`);
    const { rate } = this.fmaPipe(s.acc.dtype);
    return {
      a: s.a.dtype,
      b: s.b.dtype,
      acc: s.acc.dtype,
      macs_per_cycle: rate.per_cycle,
      sparse_2_4: false,
      m: 1,
      n: 1,
      k: 1,
      lanes: 1,
      latency_cycles: rate.latency_cycles,
      operands: 'register',
      accumulator: 'register',
      pJ_per_MAC: rate.pJ,
    };
  }

  private fmaPipe(dtype: DType): { index: number; rate: MathRate } {
    const rate = this.rate('fma', dtype);
    return { index: this.pipes.indexOf(rate.pipe), rate };
  }

  private rate(fn: MathFn, dtype: DType): MathRate {
    const found = mathRateOf(this.machine, fn, dtype);
    if (!found) throw new InfeasibleError(`${this.machine.name} cannot do ${fn} on ${dtype}`);
    return found.rate;
  }

  private math(w: Work, fn: MathFn, dtype: DType, count: number): void {
    const rate = this.rate(fn, dtype);
    const at = FIRST_PIPE + this.pipes.indexOf(rate.pipe);
    w.cycles[at] = w.cycles[at]! + count / rate.per_cycle;
    w.latency_cycles += rate.latency_cycles;
    w.vector_pJ += count * rate.pJ;
    this.issue(w, count / this.lanesPerIssue(rate.per_cycle));
  }

  /** Scalar results of one lane-group instruction: more than its lanes where narrow values are packed. */
  private lanesPerIssue(per_cycle: number): number {
    const { lane_group, issue_per_cycle } = this.machine.cores;
    return Math.max(lane_group, per_cycle / issue_per_cycle);
  }

  private issue(w: Work, instructions: number): void {
    w.cycles[ISSUE] = w.cycles[ISSUE]! + instructions / this.machine.cores.issue_per_cycle;
  }

  /** Banks that several lanes want answer them one after another: so many times longer. */
  private sharedPort(w: Work, reading = 1, writing = 1): void {
    w.cycles[SHARED] = (w.shared_read_B * reading + w.shared_write_B * writing) / this.shared_B_per_cycle;
  }

  private read(w: Work, t: Tile): void {
    const bytes = t.rows * t.cols * bytesOf(t.dtype);
    if (t.level === 'shared') w.shared_read_B += bytes;
    else w.register_read_B += bytes;
  }

  private write(w: Work, t: Tile): void {
    const bytes = t.rows * t.cols * bytesOf(t.dtype);
    if (t.level === 'shared') w.shared_write_B += bytes;
    else w.register_write_B += bytes;
  }
}

/**
 * Bytes of a and b that an mma reads. Register operands: each lane group copies the fragments of its part once, so a is
 * read once per column of the partition and b once per row. Shared operands: a once per instruction along n, b once per
 * instruction along m. Multiply–adds on lane tiles: the lanes of a group stand in a patch as square as powers of two
 * allow (32: 4 × 8), and lanes of a patch that read the same address count once.
 */
export function operandBytes(
  s: Mma,
  op: MmaOp,
  mapping: Mapping,
  depth: number,
  lane_group: number,
): [a_B: number, b_B: number] {
  const [rows, cols] = [s.acc.rows, s.acc.cols];
  const a_B = rows * depth * bytesOf(s.a.dtype) * (s.sparse ? 0.5 : 1);
  const b_B = cols * depth * bytesOf(s.b.dtype);
  if (mapping.mma === 'vector') {
    const [tm, tn] = s.acc.lane ?? [1, 1];
    const down = 2 ** Math.floor(Math.log2(lane_group) / 2);
    const across = lane_group / down;
    return [a_B * Math.ceil(cols / (tn * across)), b_B * Math.ceil(rows / (tm * down))];
  }
  if (op.operands === 'shared') return [a_B * Math.ceil(cols / op.n), b_B * Math.ceil(rows / rowsAtOnce(op))];
  return [a_B * mapping.partition[1], b_B * mapping.partition[0]];
}

const up = (x: number, granule: number): number => Math.ceil(x / granule) * granule;
const wider = (a: DType, b: DType): DType => (bytesOf(a) >= bytesOf(b) ? a : b);
