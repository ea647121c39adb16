/**
 * What statements on tiles take: cycles of a core's resources, and the time that one workgroup alone spends on them,
 * one after another, with the waits between them: for results still in a pipeline, for shared tiles that other lanes
 * wrote or still read.
 */
import { bytesOf, type DType } from '../../base/dtype.js';
import { moveFactor } from '../../kernel/banks.js';
import { type Bookkeeping, bookkeepingCycles } from '../../kernel/bookkeeping.js';
import { type MapStmt, type Mma, ownerOf, type Reduce, type Tile } from '../../kernel/ir.js';
import type { Mapping } from '../../kernel/kernel.js';
import { type MmaOp, rowsAtOnce } from '../../machine/graph.js';
import { type Costs, type ElementCost, ISSUE, MATRIX, SHARED } from './costs.js';
import type { Demand, Segment } from './demand.js';

/** Bytes one lane moves with one instruction (128-bit accesses). */
const LANE_ACCESS_B = 16;

// one launch is walked at a time
const PENDING: Tile[] = [];
const READY: number[] = [];
const CHAINED: boolean[] = [];
const DIRTY: Tile[] = [];
const USED: Tile[] = [];

export class StatementWalker {
  /** Share of a core's units that one workgroup's lane groups can use. */
  readonly share: number;
  private readonly barrier_cycles: number;
  private readonly lane_group: number;
  private readonly issue_per_cycle: number;
  /** Cycles so far, when results can be read, and which are a matrix unit's. */
  private now = 0;
  private readonly pending = PENDING;
  private readonly ready = READY;
  private readonly chained = CHAINED;
  /** Shared tiles written, and read, since the last barrier. */
  private readonly dirty = DIRTY;
  private readonly used = USED;

  constructor(
    private readonly d: Demand,
    private readonly mapping: Mapping,
    private readonly costs: Costs,
  ) {
    const { cores, control } = costs.machine;
    this.lane_group = cores.lane_group;
    this.issue_per_cycle = cores.issue_per_cycle;
    this.share = Math.min(1, Math.ceil(mapping.lanes / cores.lane_group) / cores.issue_groups);
    this.barrier_cycles = control.barrier_cycles;
    PENDING.length = 0;
    READY.length = 0;
    CHAINED.length = 0;
    DIRTY.length = 0;
    USED.length = 0;
  }

  // ---------------------------------------------------------------- waits

  spend(cycles: number, s: Segment): void {
    s.serial_cycles += cycles;
    this.now += cycles;
  }

  /** Until a tile's last result is there. */
  await(t: Tile, s: Segment): void {
    const i = this.pending.indexOf(ownerOf(t));
    if (i >= 0 && this.ready[i]! > this.now) this.spend(this.ready[i]! - this.now, s);
  }

  /** A statement that reads a shared tile others wrote waits for all lanes. */
  barrier(tile: Tile, s: Segment): void {
    if (tile.level === 'shared') {
      const t = ownerOf(tile);
      if (this.dirty.length > 0 && this.dirty.includes(t)) this.meet(s);
      if (!this.used.includes(t)) this.used.push(t);
    }
  }

  /** So does one that writes a shared tile others may still read. */
  beforeWrite(t: Tile, s: Segment): void {
    if (t.level === 'shared' && this.used.length > 0 && this.used.includes(ownerOf(t))) this.meet(s);
  }

  wrote(tile: Tile): void {
    const t = ownerOf(tile);
    if (t.level === 'shared' && !this.dirty.includes(t)) this.dirty.push(t);
  }

  private meet(s: Segment): void {
    this.dirty.length = 0;
    this.used.length = 0;
    this.spend(this.barrier_cycles, s);
  }

  private made(tile: Tile, latency: number, chained: boolean): void {
    const t = ownerOf(tile);
    let i = this.pending.indexOf(t);
    if (i < 0) {
      i = this.pending.length;
      this.pending.push(t);
      this.ready.push(0);
      this.chained.push(false);
    }
    this.ready[i] = this.now + latency;
    this.chained[i] = chained;
  }

  bookkeeping(b: Bookkeeping, s: Segment): void {
    const { issue, chain } = bookkeepingCycles(b, this.mapping.lanes, this.costs.machine);
    s.busy[ISSUE]! += issue;
    s.busy[SHARED]! += b.lines ?? 0;
    this.spend(Math.max(issue / this.share, chain), s);
  }

  // ---------------------------------------------------------------- statements

  /** Cycles of issue for lanes to load or store a whole tile. */
  accesses(t: Tile): number {
    return (t.rows * t.cols * bytesOf(t.dtype)) / LANE_ACCESS_B / this.lane_group / this.issue_per_cycle;
  }

  /**
   * Matrix instructions: the accumulator is cut into the mapping's partition; each part is padded to the instruction's
   * m and k, and its columns are spread over as few instructions as they need, each padded to n (to `n_step` where
   * there is one).
   */
  mma(m: Mma, s: Segment): void {
    const { costs, mapping, d } = this;
    const { count } = s.nest;
    const vector = mapping.mma === 'vector';
    const op: MmaOp = costs.mma(m.a.dtype, m.b.dtype, m.acc.dtype, mapping.mma, mapping.widest);
    const { rows, cols } = m.acc;
    const depth = m.tb ? m.b.cols : m.b.rows;
    const k = up(depth, op.k);
    let latency = op.latency_cycles;
    let macs: number;
    if (vector) {
      const lane = m.acc.lane;
      macs = up(rows, lane ? lane[0] : 1) * up(cols, lane ? lane[1] : 1) * k;
    } else {
      const pr = mapping.partition[0];
      const pc = mapping.partition[1];
      const part = Math.ceil(cols / pc);
      const along = Math.ceil(part / op.n);
      const n = up(Math.ceil(part / along), op.n_step ?? op.n);
      macs = pr * up(Math.ceil(rows / pr), op.m) * pc * along * n * k;
      latency *= n / op.n;
    }
    // operands: shared tiles through the port, others from registers
    let a_B = rows * depth * bytesOf(m.a.dtype) * (m.sparse ? 0.5 : 1);
    let b_B = cols * depth * bytesOf(m.b.dtype);
    if (vector) {
      // the lanes of a group stand in a patch as square as powers of two allow; one access serves all that share it
      const lane = m.acc.lane;
      const down = 2 ** Math.floor(Math.log2(this.lane_group) / 2);
      const across = this.lane_group / down;
      a_B *= Math.ceil(cols / ((lane ? lane[1] : 1) * across));
      b_B *= Math.ceil(rows / ((lane ? lane[0] : 1) * down));
    } else if (op.operands === 'shared') {
      a_B *= Math.ceil(cols / op.n);
      b_B *= Math.ceil(rows / rowsAtOnce(op));
    } else {
      a_B *= mapping.partition[1];
      b_B *= mapping.partition[0];
    }
    let shared_B = 0;
    if (m.a.level === 'shared') shared_B += a_B;
    else d.register_read_B += a_B * count;
    if (m.b.level === 'shared') shared_B += b_B;
    else d.register_read_B += b_B * count;
    d.shared_read_B += shared_B * count;
    if (op.accumulator === 'register') {
      const acc_B = rows * cols * bytesOf(m.acc.dtype) * count;
      d.register_read_B += acc_B;
      d.register_write_B += acc_B;
    }

    this.await(m.a, s);
    this.await(m.b, s);
    const at = this.pending.indexOf(m.acc);
    if (at >= 0 && !this.chained[at]) this.await(m.acc, s);
    this.barrier(m.a, s);
    this.barrier(m.b, s);

    const { busy } = s;
    const shared = shared_B / costs.sharedRate;
    busy[SHARED]! += shared;
    let own = shared;
    let issue: number;
    if (vector) {
      const cycles = macs / op.macs_per_cycle;
      const pipe = costs.math('fma', m.acc.dtype).pipes[0]!;
      busy[pipe]! += cycles;
      issue =
        (macs / Math.max(this.lane_group, op.macs_per_cycle / this.issue_per_cycle) +
          shared_B / LANE_ACCESS_B / this.lane_group) /
        this.issue_per_cycle;
      own = Math.max(own, cycles / this.share, depth * latency);
      d.vector_pJ += macs * op.pJ_per_MAC * count;
    } else {
      const cycles = macs / (op.macs_per_cycle * (m.sparse && op.sparse_2_4 ? 2 : 1));
      d.matrix = true;
      busy[MATRIX]! += cycles;
      const groups = Math.max(1, op.lanes / this.lane_group);
      issue =
        ((macs / (op.m * op.n * op.k)) * groups +
          (op.operands === 'register' ? shared_B / LANE_ACCESS_B / this.lane_group : 0)) /
        this.issue_per_cycle;
      own = mapping.operandsFirst ? own + cycles / this.share : Math.max(own, cycles / this.share);
      // each lane group accumulates k in steps that wait for one another; others are chained in the unit
      if (op.operands === 'register')
        own = Math.max(own, (k / op.k) * latency) + (shared > 0 ? costs.shared_latency_cycles : 0);
      d.matrix_pJ += macs * op.pJ_per_MAC * count;
    }
    busy[ISSUE]! += issue;
    this.spend(Math.max(own, issue / this.share), s);
    this.made(m.acc, latency, true);
    d.flops += 2 * rows * cols * depth * count;
  }

  map(m: MapStmt, s: Segment): void {
    const { costs } = this;
    const { out, ins } = m;
    const elements = out.rows * out.cols;
    for (let i = 0; i < ins.length; i++) this.await(ins[i]!, s);
    for (let i = 0; i < ins.length; i++) this.barrier(ins[i]!, s);
    this.beforeWrite(out, s);
    const first = ins[0];
    const cost = costs.element(m.fn, out.level === 'register' || !first ? out.dtype : first.dtype);
    let shared_B = 0;
    for (let i = 0; i < ins.length; i++) shared_B += this.read(ins[i]!, s);
    shared_B += this.write(out, s);
    // narrowing or widening is work of its own
    const convert =
      first && first.dtype !== out.dtype ? costs.math('convert', wider(first.dtype, out.dtype)) : undefined;
    this.vector(cost, elements, convert, elements, shared_B, 0, s);
    this.made(out, cost.latency_cycles + (convert ? convert.latency_cycles : 0), false);
  }

  reduce(r: Reduce, s: Segment): void {
    const { costs } = this;
    const elements = r.from.rows * r.from.cols;
    const results = r.to.rows * r.to.cols;
    this.await(r.from, s);
    if (r.accumulate) this.await(r.to, s);
    this.barrier(r.from, s);
    if (r.accumulate) this.barrier(r.to, s);
    this.beforeWrite(r.to, s);
    const cost = costs.math(r.op === 'sum' ? 'add' : 'max', r.to.dtype);
    const shared_B = this.read(r.from, s) + this.write(r.to, s);
    // lanes that share a result combine by shuffles, log₂ of them deep
    const lanes = Math.max(1, Math.min(this.lane_group, this.mapping.lanes / Math.max(1, results)));
    const steps = Math.ceil(Math.log2(lanes));
    const shuffle = steps > 0 ? costs.math('shuffle', r.to.dtype) : undefined;
    const chain = shuffle ? (steps - 1) * shuffle.latency_cycles : 0;
    this.vector(cost, elements, shuffle, results * lanes * steps, shared_B, chain, s);
    if (!r.accumulate) this.d.flops -= cost.flops * results * s.nest.count;
    this.made(r.to, cost.latency_cycles + (shuffle ? shuffle.latency_cycles : 0), false);
  }

  /** Tile to tile. */
  move(from: Tile, to: Tile, s: Segment): void {
    const { costs, d } = this;
    this.await(from, s);
    this.barrier(from, s);
    this.beforeWrite(to, s);
    const count = s.nest.count;
    const from_B = from.rows * from.cols * bytesOf(from.dtype) * count;
    const to_B = to.rows * to.cols * bytesOf(to.dtype) * count;
    if (from.level === 'shared') d.requested.shared_read_B += from_B;
    else d.requested.register_read_B += from_B;
    if (to.level === 'shared') d.requested.shared_write_B += to_B;
    else d.requested.register_write_B += to_B;
    const { machine } = costs;
    const read_B = this.read(from, s);
    const shared_B = read_B + this.write(to, s);
    // banks that several lanes want answer them one after another
    const port_B = read_B * moveFactor(from, machine) + (shared_B - read_B) * moveFactor(to, machine);
    const convert = from.dtype !== to.dtype ? costs.math('convert', wider(from.dtype, to.dtype)) : undefined;
    const issue = shared_B / LANE_ACCESS_B / this.lane_group / this.issue_per_cycle;
    this.vector(convert, convert ? from.rows * from.cols : 0, undefined, 0, port_B, issue / this.share, s, issue);
    const latency = from.level === 'shared' ? costs.shared_latency_cycles : 0;
    this.made(to, latency + (convert ? convert.latency_cycles : 0), false);
  }

  /** Work of lanes on up to two functions; pipes, issue and the shared port serve it side by side. */
  private vector(
    a: ElementCost | undefined,
    aCount: number,
    b: ElementCost | undefined,
    bCount: number,
    shared_B: number,
    chain_cycles: number,
    s: Segment,
    issue = 0,
  ): void {
    const { busy } = s;
    const { d } = this;
    const count = s.nest.count;
    let own = 0;
    if (a && b) {
      own = longestOf(a, aCount, b, bCount);
      add(busy, a, aCount);
      add(busy, b, bCount);
      issue += a.issue * aCount + b.issue * bCount;
      d.flops += (a.flops * aCount + b.flops * bCount) * count;
      d.vector_pJ += (a.pJ * aCount + b.pJ * bCount) * count;
    } else if (a) {
      own = a.longest * aCount;
      add(busy, a, aCount);
      issue += a.issue * aCount;
      d.flops += a.flops * aCount * count;
      d.vector_pJ += a.pJ * aCount * count;
    }
    s.vector_cycles += own;
    busy[ISSUE]! += issue;
    const shared = shared_B / this.costs.sharedRate;
    busy[SHARED]! += shared;
    this.spend(Math.max(own / this.share, issue / this.share, shared, chain_cycles), s);
  }

  /** Counts a whole tile as read; returns the bytes that cross the shared port. */
  private read(t: Tile, s: Segment): number {
    const bytes = t.rows * t.cols * bytesOf(t.dtype);
    if (t.level === 'shared') {
      this.d.shared_read_B += bytes * s.nest.count;
      return bytes;
    }
    this.d.register_read_B += bytes * s.nest.count;
    return 0;
  }

  private write(t: Tile, s: Segment): number {
    const bytes = t.rows * t.cols * bytesOf(t.dtype);
    if (t.level === 'shared') {
      this.d.shared_write_B += bytes * s.nest.count;
      this.wrote(t);
      return bytes;
    }
    this.d.register_write_B += bytes * s.nest.count;
    return 0;
  }
}

function add(busy: number[], cost: ElementCost, elements: number): void {
  const { pipes, cycles } = cost;
  for (let i = 0; i < pipes.length; i++) busy[pipes[i]!]! += cycles[i]! * elements;
}

/** Cycles of the pipe that two functions together keep busy longest. */
function longestOf(a: ElementCost, aCount: number, b: ElementCost, bCount: number): number {
  let most = 0;
  for (let i = 0; i < a.pipes.length; i++) {
    let cycles = a.cycles[i]! * aCount;
    const j = b.pipes.indexOf(a.pipes[i]!);
    if (j >= 0) cycles += b.cycles[j]! * bCount;
    if (cycles > most) most = cycles;
  }
  for (let i = 0; i < b.pipes.length; i++) most = Math.max(most, b.cycles[i]! * bCount);
  return most;
}

const up = (x: number, granule: number): number => Math.ceil(x / granule) * granule;
const wider = (a: DType, b: DType): DType => (bytesOf(a) >= bytesOf(b) ? a : b);
