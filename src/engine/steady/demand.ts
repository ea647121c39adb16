/**
 * What a program asks of a machine: a tree of segments (one per loop body), each with the busy time of every resource
 * per execution, the time one workgroup alone needs (dependences, synchronous latencies) and the latency its
 * asynchronous copies must hide; and the totals over the whole grid.
 */
import { bytesOf } from '../../base/dtype.js';
import type {
  Copy,
  Gather,
  LoopVar,
  MapStmt,
  Mma,
  Program,
  Reduce,
  Scatter,
  Stmt,
  Tensor,
  Tile,
  View,
} from '../../kernel/ir.js';
import { isTile } from '../../kernel/ir.js';
import type { Mapping } from '../../kernel/kernel.js';
import type { MmaOp } from '../../machine/graph.js';
import { type Costs, type ElementCost, ISSUE, LINK, MATRIX, PIPES, SHARED } from './costs.js';
import { accessed, enter, type Nest, placeIndices } from './domain.js';

/** A transfer between a tensor and a tile; its share of cache and DRAM time is known only when reuse is. */
export interface Transfer {
  readonly tensor: Tensor;
  readonly view: View;
  readonly write: boolean;
  readonly nest: Nest;
  /** Bytes over the whole grid, and per execution. */
  readonly total_B: number;
  readonly bytes: number;
  /** Buffers of the tile it fills; 1 blocks. */
  readonly stages: number;
  readonly contiguous_B: number;
  readonly atomic: boolean;
  /** Cores that one read of the far cache serves. */
  readonly shared_by: number;
}

export interface Segment {
  readonly nest: Nest;
  /** Executions per workgroup: mean over the grid, and of the longest workgroup. */
  readonly mean: number;
  readonly most: number;
  /** Cycles a core's resources are busy per execution, by resource index (machine-wide ones are filled from transfers). */
  readonly busy: Float64Array;
  /** Cycles one workgroup alone takes per execution, children and transfers not counted. */
  alone_cycles: number;
  /** Cycles of a whole core that map and reduce statements take one after another, per execution. */
  vector_cycles: number;
  /** Bytes per execution: over the core's link, asked of the machine-wide cache (reads), from other devices. */
  link_B: number;
  l2_B: number;
  far_B: number;
  readonly transfers: Transfer[];
  readonly children: Segment[];
}

export interface Demand {
  readonly root: Segment;
  readonly transfers: Transfer[];
  readonly workgroups: number;
  flops: number;
  matrix_pJ: number;
  vector_pJ: number;
  /** Requested bytes of near stores, over the grid. */
  shared_read_B: number;
  shared_write_B: number;
  register_read_B: number;
  register_write_B: number;
  /** The part of them that explicit copies, gathers and scatters move. */
  readonly requested: {
    shared_read_B: number;
    shared_write_B: number;
    register_read_B: number;
    register_write_B: number;
  };
  /** Bytes through the core's own cache (copies that bypass shared tiles). */
  l1_B: number;
}

/** Bytes one lane moves with one instruction (128-bit accesses). */
const LANE_ACCESS_B = 16;

export function demandOf(program: Program, mapping: Mapping, costs: Costs): Demand {
  let nest: Nest | undefined;
  let workgroups = 1;
  for (let i = program.grid.length - 1; i >= 0; i--) {
    const g = program.grid[i]!;
    nest = enter(nest, g.index, 0, g.extent);
    workgroups *= g.extent;
  }
  const d: Demand = {
    root: segment(nest!, 1, 1, costs),
    transfers: [],
    workgroups,
    flops: 0,
    matrix_pJ: 0,
    vector_pJ: 0,
    shared_read_B: 0,
    shared_write_B: 0,
    register_read_B: 0,
    register_write_B: 0,
    requested: { shared_read_B: 0, shared_write_B: 0, register_read_B: 0, register_write_B: 0 },
    l1_B: 0,
  };
  const walker = new Walker(d, program, mapping, costs);
  walker.body(program.body, d.root);
  return d;
}

const segment = (nest: Nest, mean: number, most: number, costs: Costs): Segment => ({
  nest,
  mean,
  most,
  busy: new Float64Array(PIPES + costs.pipes.length),
  alone_cycles: 0,
  vector_cycles: 0,
  link_B: 0,
  l2_B: 0,
  far_B: 0,
  transfers: [],
  children: [],
});

class Walker {
  /** Share of a core's units that one workgroup's lane groups can use. */
  private readonly share: number;
  private readonly barrier: number;
  /** Shared tiles written since the last barrier, accumulators whose last product may still be in flight. */
  private readonly dirty = new Set<Tile>();
  private pending: { tile: Tile; latency: number } | undefined;

  constructor(
    private readonly d: Demand,
    private readonly program: Program,
    private readonly mapping: Mapping,
    private readonly costs: Costs,
  ) {
    const { lane_group, issue_groups } = costs.machine.cores;
    this.share = Math.min(1, Math.ceil(mapping.lanes / lane_group) / issue_groups);
    this.barrier = costs.machine.control.barrier_cycles;
  }

  body(stmts: readonly Stmt[], s: Segment): void {
    for (let i = 0; i < stmts.length; i++) {
      const stmt = stmts[i]!;
      switch (stmt.kind) {
        case 'loop': {
          const nest = enter(s.nest, stmt.index, stmt.from, stmt.to);
          if (nest.count === 0) break;
          const child = segment(nest, nest.count / this.d.workgroups, s.most * nest.maxTrips, this.costs);
          s.children.push(child);
          this.body(stmt.body, child);
          // a shared stage is handed back once per iteration
          if (child.transfers.some((t) => !t.write)) child.alone_cycles += this.barrier;
          break;
        }
        case 'copy':
          this.copy(stmt, s);
          break;
        case 'gather':
          this.transfer(stmt.from, stmt.to, false, s, stmt);
          break;
        case 'scatter':
          this.transfer(stmt.to, stmt.from, true, s, stmt);
          break;
        case 'mma':
          this.mma(stmt, s);
          break;
        case 'map':
          this.map(stmt, s);
          break;
        case 'reduce':
          this.reduce(stmt, s);
          break;
        default:
          stmt satisfies never;
      }
    }
  }

  /** Waits for what the statement reads: the last product into an accumulator, a shared tile others wrote. */
  private await(tiles: readonly Tile[], s: Segment): void {
    for (const t of tiles) {
      if (this.pending?.tile === t) {
        s.alone_cycles += this.pending.latency;
        this.pending = undefined;
      }
      if (this.dirty.delete(t)) s.alone_cycles += this.barrier;
    }
  }

  private readTile(t: Tile, bytes: number, s: Segment): void {
    if (t.level === 'shared') {
      this.d.shared_read_B += bytes * s.nest.count;
      s.busy[SHARED]! += bytes / this.sharedRate;
    } else this.d.register_read_B += bytes * s.nest.count;
  }

  private writeTile(t: Tile, bytes: number, s: Segment): void {
    if (t.level === 'shared') {
      this.d.shared_write_B += bytes * s.nest.count;
      s.busy[SHARED]! += bytes / this.sharedRate;
      this.dirty.add(t);
    } else this.d.register_write_B += bytes * s.nest.count;
  }

  private request(t: Tile, write: boolean, bytes: number, s: Segment): void {
    this.d.requested[`${t.level}_${write ? 'write' : 'read'}_B`] += bytes * s.nest.count;
  }

  private get sharedRate(): number {
    const { shared, machine } = this.costs;
    return shared ? shared.read_B_per_s / machine.control.clock.nominal_Hz : Number.POSITIVE_INFINITY;
  }

  private issue(lane_instructions: number, s: Segment): void {
    const { cores } = this.costs.machine;
    s.busy[ISSUE]! += lane_instructions / cores.lane_group / cores.issue_per_cycle;
  }

  private copy(c: Copy, s: Segment): void {
    if (isTile(c.from) && isTile(c.to)) {
      const bytes = c.from.rows * c.from.cols * bytesOf(c.from.dtype);
      this.await([c.from], s);
      this.readTile(c.from, bytes, s);
      this.writeTile(c.to, c.to.rows * c.to.cols * bytesOf(c.to.dtype), s);
      this.request(c.from, false, bytes, s);
      this.request(c.to, true, c.to.rows * c.to.cols * bytesOf(c.to.dtype), s);
      this.issue((2 * bytes) / LANE_ACCESS_B, s);
      s.alone_cycles += bytes / this.sharedRate;
    } else if (isTile(c.to)) this.transfer(c.from as View, c.to, false, s, c);
    else this.transfer(c.to, c.from as Tile, true, s, c);
  }

  private transfer(view: View, tile: Tile, write: boolean, s: Segment, stmt: Copy | Gather | Scatter): void {
    const element_B = bytesOf(view.tensor.dtype);
    const total_B = accessed(view, tile.rows, tile.cols, s.nest) * element_B;
    const bytes = total_B / s.nest.count;
    const atomic = stmt.kind === 'scatter' && stmt.combine === 'add';
    // a row of the tile is contiguous in memory when its columns walk the tensor's last dim
    const contiguous =
      view.axes[1] === view.tensor.dims.length - 1
        ? tile.cols * (view.step?.[1] ?? 1)
        : view.axes[0] === view.tensor.dims.length - 1
          ? tile.rows
          : 1;
    const t: Transfer = {
      tensor: view.tensor,
      view,
      write,
      nest: s.nest,
      total_B,
      bytes,
      stages: write ? 1 : tile.stages,
      contiguous_B: contiguous * element_B,
      atomic,
      shared_by: write ? 1 : this.sharedBy(view),
    };
    s.transfers.push(t);
    s.link_B += bytes;
    if (view.tensor.home) s.far_B += bytes;
    else s.l2_B += bytes / t.shared_by;
    this.d.transfers.push(t);
    if (stmt.kind !== 'copy') this.await([stmt.index], s);
    const near_B = (bytes / element_B) * bytesOf(tile.dtype);
    this.request(tile, !write, near_B, s);
    if (write) {
      this.await([tile], s);
      this.readTile(tile, near_B, s);
    } else if (tile.level === 'shared') {
      this.d.shared_write_B += near_B * s.nest.count;
      s.busy[SHARED]! += near_B / this.sharedRate;
    } else this.d.register_write_B += near_B * s.nest.count;
    if (tile.level === 'register') this.d.l1_B += total_B;
    this.issue(bytes / LANE_ACCESS_B, s);
  }

  private sharedBy(view: View): number {
    const { cluster } = this.mapping;
    if (!cluster || cluster[0] * cluster[1] === 1) return 1;
    const place = placeIndices(view);
    let n = 1;
    for (const d of [0, 1] as const) {
      const g = this.program.grid[d];
      if (g && !place.has(g.index)) n *= Math.min(cluster[d], g.extent);
    }
    return n;
  }

  private mma(m: Mma, s: Segment): void {
    const { costs, mapping } = this;
    const op: MmaOp = costs.mma(m.a.dtype, m.b.dtype, m.acc.dtype, mapping.mma);
    const rows = m.acc.rows;
    const cols = m.acc.cols;
    const depth = m.ta ? m.a.rows : m.a.cols;
    this.await(
      m.a === this.pending?.tile || m.b === this.pending?.tile || this.dirty.has(m.a) || this.dirty.has(m.b)
        ? [m.a, m.b]
        : [],
      s,
    );
    const n = op.n_step ? up(Math.min(cols, op.n), op.n_step) : op.n;
    const macs = up(rows, op.m) * up(cols, n) * up(depth, op.k);
    const rate = op.macs_per_cycle * (m.sparse ? 2 : 1);
    const matrix = macs / rate;
    if (mapping.mma === 'matrix') s.busy[MATRIX]! += matrix;
    else s.busy[PIPES + this.fmaPipe(m)]! += matrix;
    const [a_B, b_B] = operandBytes(m, op, mapping, rows, cols, depth);
    this.readTile(m.a, a_B, s);
    this.readTile(m.b, b_B, s);
    const operands = ((m.a.level === 'shared' ? a_B : 0) + (m.b.level === 'shared' ? b_B : 0)) / this.sharedRate;
    this.d.register_read_B +=
      macs > 0 && op.accumulator === 'register' ? rows * cols * bytesOf(m.acc.dtype) * s.nest.count : 0;
    this.d.register_write_B += op.accumulator === 'register' ? rows * cols * bytesOf(m.acc.dtype) * s.nest.count : 0;
    const instructions = op.lanes > 1 ? (macs / (op.m * n * op.k)) * costs.machine.cores.lane_group : macs;
    this.issue(
      instructions +
        (op.operands === 'register' && op.lanes > 1
          ? (a_B + b_B) / LANE_ACCESS_B
          : op.lanes > 1
            ? 0
            : (a_B + b_B) / LANE_ACCESS_B),
      s,
    );
    s.alone_cycles += Math.max(matrix / this.share, operands);
    this.pending = { tile: m.acc, latency: (op.latency_cycles * n) / op.n };
    this.d.flops += 2 * macs * s.nest.count;
    this.d.matrix_pJ += mapping.mma === 'matrix' ? macs * op.pJ_per_MAC * s.nest.count : 0;
    this.d.vector_pJ += mapping.mma === 'vector' ? macs * op.pJ_per_MAC * s.nest.count : 0;
  }

  private fmaPipe(m: Mma): number {
    const cost = this.costs.math('fma', m.acc.dtype === 'int32' ? 'int32' : m.a.dtype);
    return Math.max(
      0,
      cost.cycles.findIndex((c) => c > 0),
    );
  }

  private map(m: MapStmt, s: Segment): void {
    const elements = m.out.rows * m.out.cols;
    this.await(m.ins, s);
    this.work(
      this.costs.element(m.fn, m.out.level === 'register' ? m.out.dtype : (m.ins[0]?.dtype ?? m.out.dtype)),
      elements,
      s,
    );
    for (const t of m.ins) this.readTile(t, t.rows * t.cols * bytesOf(t.dtype), s);
    this.writeTile(m.out, elements * bytesOf(m.out.dtype), s);
    // narrowing or widening is work of its own
    const first = m.ins[0];
    if (first && first.dtype !== m.out.dtype) this.work(this.costs.math('convert', wider(first, m.out)), elements, s);
  }

  private reduce(r: Reduce, s: Segment): void {
    const elements = r.from.rows * r.from.cols;
    const results = r.to.rows * r.to.cols;
    this.await([r.from], s);
    this.readTile(r.from, elements * bytesOf(r.from.dtype), s);
    this.work(this.costs.math(r.op === 'sum' ? 'add' : 'max', r.to.dtype), elements, s);
    // lanes that share a result combine by shuffles, log₂ of them deep
    const lanes = Math.max(1, Math.min(this.costs.machine.cores.lane_group, this.mapping.lanes / Math.max(1, results)));
    const steps = Math.ceil(Math.log2(Math.max(1, lanes)));
    if (steps > 0) {
      const shuffle = this.costs.math('shuffle', r.to.dtype);
      this.work(shuffle, results * lanes * steps, s);
      s.alone_cycles += (steps - 1) * shuffle.latency_cycles;
    }
    this.writeTile(r.to, results * bytesOf(r.to.dtype), s);
  }

  private work(cost: ElementCost, elements: number, s: Segment): void {
    const { cycles } = cost;
    for (let p = 0; p < cycles.length; p++) s.busy[PIPES + p]! += elements * cycles[p]!;
    this.issue(elements * cost.operations, s);
    s.vector_cycles += elements * cost.longest;
    s.alone_cycles += (elements * cost.longest) / this.share + cost.latency_cycles;
    this.d.flops += elements * cost.operations * s.nest.count;
    this.d.vector_pJ += elements * cost.pJ * s.nest.count;
  }
}

/**
 * Bytes of a and b that one mma reads. Register operands: each lane group copies the fragments of its part once.
 * Shared operands: a once per instruction along n, b once per instruction along m. Plain multiply–adds: each lane
 * reads its register tile's strips, one value serving all lanes that want it in the same access.
 */
export function operandBytes(
  m: Mma,
  op: MmaOp,
  mapping: Mapping,
  rows: number,
  cols: number,
  depth: number,
): [number, number] {
  const a = rows * depth * bytesOf(m.a.dtype);
  const b = cols * depth * bytesOf(m.b.dtype);
  if (op.lanes > 1 && op.operands === 'shared') return [a * Math.ceil(cols / op.n), b * Math.ceil(rows / op.m)];
  if (op.lanes > 1) return [a * Math.min(mapping.partition[1], cols), b * Math.min(mapping.partition[0], rows)];
  const [tm, tn] = m.acc.lane ?? [1, 1];
  // lanes of a group cover a patch: 32 lanes of 8×8 tiles as 4×8 share strips
  const patch = Math.sqrt(32);
  return [(a * cols) / Math.min(cols, tn * patch), (b * rows) / Math.min(rows, tm * patch)];
}

const up = (x: number, granule: number): number => Math.ceil(x / granule) * granule;
const wider = (a: Tile, b: Tile) => (bytesOf(a.dtype) >= bytesOf(b.dtype) ? a.dtype : b.dtype);

/** Distinct bytes of a transfer: what it requests, divided by the grid extents its place does not depend on. */
export function distinctBytes(t: Transfer): number {
  const whole = t.tensor.dims.reduce((p, x) => p * x, 1) * bytesOf(t.tensor.dtype);
  return Math.min(t.total_B, whole);
}

/** Grid indices that a transfer's place depends on. */
export function gridIndices(t: Transfer, program: Program): boolean[] {
  const used: Set<LoopVar> = placeIndices(t.view);
  return program.grid.map((g) => used.has(g.index));
}
export { LINK };
