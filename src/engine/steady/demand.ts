/**
 * What a program asks of a machine: a tree of segments (one per loop body), each with the busy time of every resource
 * per execution, the time one workgroup alone needs for its statements one after another, and its transfers; and the
 * totals over the whole grid.
 */
import { bytesOf } from '../../base/dtype.js';
import { InputError } from '../../base/errors.js';
import { portFactor } from '../../kernel/banks.js';
import {
  type Gather,
  isTile,
  type Loop,
  type Program,
  type Stmt,
  type Tensor,
  type Tile,
  type View,
} from '../../kernel/ir.js';
import type { Launch, Mapping } from '../../kernel/kernel.js';
import type { LaneWork } from '../../kernel/lane-count.js';
import type { WorkNode } from '../../kernel/lane-work.js';
import { BEYOND, type Costs, ISSUE, PIPES, SHARED } from './costs.js';
import { accessed, enter, type Nest, placeFollows } from './domain.js';
import type { Use } from './reuse.js';
import { shareInRange } from './rows.js';
import { StatementWalker } from './statements.js';

/** A transfer between a tensor and a tile; its share of cache and DRAM time is known only when reuse is. */
export interface Transfer {
  readonly tensor: Tensor;
  readonly view: View;
  readonly write: boolean;
  readonly nest: Nest;
  readonly segment: Segment;
  /** Bytes over the whole grid, as asked for, and per execution after sectors. */
  readonly total_B: number;
  readonly bytes: number;
  /** Of its tile. */
  readonly elements: number;
  /** moved ÷ requested bytes. */
  readonly widening: number;
  /** Buffers of the tile it fills ahead of its reader; 1 blocks. */
  readonly stages: number;
  /** Blocking loads of a segment that are asked for together have the same number. */
  readonly group: number;
  /** Rows are picked one by one; combined with what is there. */
  readonly scattered: boolean;
  readonly atomic: boolean;
  readonly remote: boolean;
  /** Bit d: its place depends on the index of grid dim d. */
  readonly follows: number;
  /** Cores that one read of the far cache serves. */
  shared_by: number;
  /** What the grid asks of its tensor in this direction; filled in with reuse, absent for remote ones. */
  use: Use | undefined;
  /** Share of its bytes that DRAM must deliver. */
  miss: number;
}

/** Made once and used again by launch after launch of a machine: see `Costs.spare`. */
export class Segment {
  nest!: Nest;
  parent: Segment | undefined;
  /** Executions per workgroup: mean over the grid. */
  mean = 1;
  /** Cycles that a core's resources are busy per execution. */
  readonly busy: number[] = [];
  /** Cycles one workgroup takes per execution for its statements, children and blocking loads not counted. */
  serial_cycles = 0;
  /** Cycles of a whole core that map and reduce statements take one after another, per execution. */
  vector_cycles = 0;
  /** Bytes per execution: over the core's link in and out, and to and from the machine-wide cache. */
  in_B = 0;
  out_B = 0;
  read_B = 0;
  write_B = 0;
  /** Seconds per execution that links to other devices are busy, each way. */
  farRead_s = 0;
  farWrite_s = 0;
  /** Bytes per execution that DRAM delivers, and that come into the cache to be written there; filled in with reuse. */
  dramRead_B = 0;
  dramWrite_B = 0;
  readonly transfers: Transfer[] = [];
  readonly children: Segment[] = [];

  // worked out anew at each clock, in s. By resource: time that all who run at once need of it for one execution.
  readonly need: number[] = [];
  /** One execution without children: alone, and with all in step; what sets the pace then. */
  own = 0;
  step = 0;
  cause = 0;
  /** Before the first execution of each entry, alone. */
  fill = 0;
  /** One execution alone, children and their fills included. */
  alone = 0;

  constructor(resources: number) {
    // doubles from the start
    for (let i = 0; i < resources; i++) this.busy.push(0.5);
    for (let i = 0; i < resources + BEYOND; i++) this.need.push(0.5);
  }

  reset(nest: Nest, mean: number, parent: Segment | undefined): this {
    this.nest = nest;
    this.mean = mean;
    this.parent = parent;
    const { busy } = this;
    for (let i = 0; i < busy.length; i++) busy[i] = 0;
    this.serial_cycles = 0;
    this.vector_cycles = 0;
    this.in_B = 0;
    this.out_B = 0;
    this.read_B = 0;
    this.write_B = 0;
    this.farRead_s = 0;
    this.farWrite_s = 0;
    this.dramRead_B = 0;
    this.dramWrite_B = 0;
    this.transfers.length = 0;
    this.children.length = 0;
    return this;
  }
}

/** Made once and used again by launch after launch of a machine: see `Costs.demand`. */
export class Demand {
  root!: Segment;
  readonly segments: Segment[] = [];
  readonly transfers: Transfer[] = [];
  workgroups = 0;
  /** Cycles in which its lane groups start one after another, where they do. */
  start_cycles = 0;
  /** Some product runs on the matrix unit. */
  matrix = false;
  // doubles from the start
  /** Bytes that the last stores of a workgroup send. */
  last_B = 0.5;
  flops = 0.5;
  matrix_pJ = 0.5;
  vector_pJ = 0.5;
  /** Bytes of near stores, over the grid. */
  shared_read_B = 0.5;
  shared_write_B = 0.5;
  register_read_B = 0.5;
  register_write_B = 0.5;
  /** The part of them that explicit copies, gathers and scatters move. */
  readonly requested = {
    shared_read_B: 0.5,
    shared_write_B: 0.5,
    register_read_B: 0.5,
    register_write_B: 0.5,
  };
  /** Bytes through the core's own cache (copies that bypass shared tiles). */
  l1_B = 0.5;
  /** Tensors and directions, and the bytes of all; filled in with reuse, which alone depends on the cache. */
  uses: Use[] | undefined;

  reset(root: Segment, workgroups: number): this {
    this.root = root;
    this.segments.length = 0;
    this.segments.push(root);
    this.transfers.length = 0;
    this.workgroups = workgroups;
    this.start_cycles = 0;
    this.matrix = false;
    this.last_B = 0;
    this.flops = 0;
    this.matrix_pJ = 0;
    this.vector_pJ = 0;
    this.shared_read_B = 0;
    this.shared_write_B = 0;
    this.register_read_B = 0;
    this.register_write_B = 0;
    const { requested } = this;
    requested.shared_read_B = 0;
    requested.shared_write_B = 0;
    requested.register_read_B = 0;
    requested.register_write_B = 0;
    this.l1_B = 0;
    this.uses = undefined;
    return this;
  }
}

/** What was worked out last, on the segments of a machine. */
export interface Latest {
  readonly program: Program;
  readonly mapping: Mapping;
}

/** Searches try one program on several rasters and clusters: then all but the sharing of reads stays as it was. */
export function demandOf(launch: Launch, costs: Costs): Demand {
  const { program, mapping } = launch;
  const { latest, demand: known } = costs;
  if (known && latest && latest.program === program && sameWork(latest.mapping, mapping)) {
    share(known, program, mapping, costs);
    return known;
  }
  costs.latest = undefined;
  const demand = walk(program, mapping, costs);
  costs.latest = { program, mapping };
  return demand;
}

const sameWork = (a: Mapping, b: Mapping): boolean =>
  a === b ||
  (a.lanes === b.lanes &&
    a.bookkeeping === b.bookkeeping &&
    a.widest === b.widest &&
    a.operandsFirst === b.operandsFirst &&
    a.mma === b.mma &&
    a.partition[0] === b.partition[0] &&
    a.partition[1] === b.partition[1]);

/** Reads shared as another mapping has it, and nothing known of DRAM. */
function share({ segments }: Demand, program: Program, mapping: Mapping, costs: Costs): void {
  for (let i = 0; i < segments.length; i++) {
    const s = segments[i]!;
    const { transfers } = s;
    s.read_B = 0;
    s.dramRead_B = 0;
    s.dramWrite_B = 0;
    for (let k = 0; k < transfers.length; k++) {
      const t = transfers[k]!;
      t.miss = 0;
      if (t.write) continue;
      t.shared_by = sharedBy(t.follows, program, mapping, costs);
      if (!t.remote) s.read_B += t.bytes / t.shared_by;
    }
  }
}

function walk(program: Program, mapping: Mapping, costs: Costs): Demand {
  let nest: Nest | undefined;
  let workgroups = 1;
  for (let i = program.grid.length - 1; i >= 0; i--) {
    const g = program.grid[i]!;
    nest = enter(nest, g.index, 0, g.extent, true);
    workgroups *= g.extent;
  }
  if (!nest || workgroups < 1)
    throw new InputError(`${program.name} has no workgroup: expected a grid of at least one dim, each of at least 1`);
  const root = segmentOf(costs, 0, nest, 1, undefined);
  costs.demand ??= new Demand();
  const d = costs.demand.reset(root, workgroups);
  const lanes = costs.inOrder?.workOf(program, mapping);
  if (lanes) d.start_cycles = costs.inOrder!.startCycles(lanes.groups);
  new Walker(d, program, mapping, costs, lanes?.groups ?? 0).whole(root, lanes?.body);
  return d;
}

/** The i-th segment of a launch. One launch of a machine is worked on at a time, and its results leave no segment behind. */
function segmentOf(costs: Costs, i: number, nest: Nest, mean: number, parent: Segment | undefined): Segment {
  const { spare } = costs;
  if (i === spare.length) spare.push(new Segment(PIPES + costs.pipes.length));
  return spare[i]!.reset(nest, mean, parent);
}

class Walker {
  private readonly statements: StatementWalker;
  private group = 0;
  private lastWasLoad = false;

  constructor(
    private readonly d: Demand,
    private readonly program: Program,
    private readonly mapping: Mapping,
    private readonly costs: Costs,
    /** Lane groups that take turns. */
    private readonly groups: number,
  ) {
    this.statements = new StatementWalker(d, mapping, costs);
  }

  whole(s: Segment, lanes: readonly WorkNode[] | undefined): void {
    if (this.mapping.bookkeeping) this.statements.bookkeeping(this.mapping.bookkeeping.start, s);
    this.body(this.program.body, s, undefined, lanes);
  }

  body(stmts: readonly Stmt[], s: Segment, around: Loop | undefined, lanes: readonly WorkNode[] | undefined): void {
    const { statements } = this;
    for (let i = 0; i < stmts.length; i++) {
      const stmt = stmts[i]!;
      if (lanes && stmt.kind !== 'loop') {
        this.inTurn(stmt, lanes[i]!.work, s);
        continue;
      }
      switch (stmt.kind) {
        case 'loop':
          this.loop(stmt, s, lanes?.[i]);
          break;
        case 'copy':
          if (!isTile(stmt.to)) this.store(stmt.to, stmt.from as Tile, undefined, false, s);
          else if (!isTile(stmt.from)) this.load(stmt.from, stmt.to, undefined, stmt.to.stages > 1 && !!around, s);
          else {
            this.lastWasLoad = false;
            statements.move(stmt.from, stmt.to, s);
          }
          break;
        case 'gather':
          this.load(stmt.from, stmt.to, stmt.index, gathersAhead(stmt, around), s);
          break;
        case 'scatter':
          this.store(stmt.to, stmt.from, stmt.index, stmt.combine !== 'set', s);
          break;
        case 'mma':
          this.lastWasLoad = false;
          statements.mma(stmt, s);
          break;
        case 'map':
          this.lastWasLoad = false;
          statements.map(stmt, s);
          break;
        case 'reduce':
          this.lastWasLoad = false;
          statements.reduce(stmt, s);
          break;
        default:
          stmt satisfies never;
      }
    }
  }

  /** A statement of lane groups that take turns: its bytes are counted as anywhere, its time is that of their instructions. */
  private inTurn(stmt: Exclude<Stmt, Loop>, work: LaneWork, s: Segment): void {
    const { d } = this;
    const { busy } = s;
    const kept = busy.slice();
    const { serial_cycles, vector_cycles } = s;
    const before = d.transfers.length;
    this.body([stmt], s, undefined, undefined);
    let inside = 1;
    for (let i = before; i < d.transfers.length; i++) {
      const t = d.transfers[i]!;
      inside = t.total_B / bytesOf(t.tensor.dtype) / (t.elements * s.nest.count);
    }
    for (let r = 0; r < busy.length; r++) busy[r] = kept[r]!;
    s.serial_cycles = serial_cycles;
    s.vector_cycles = vector_cycles;
    this.add(work, inside, s);
  }

  private add(work: LaneWork, inside: number, s: Segment): void {
    const { busy } = s;
    const inOrder = this.costs.inOrder!;
    const c = inOrder.of(work, this.groups, inside);
    busy[SHARED]! += c.near;
    busy[ISSUE]! += c.overhead;
    for (let r = PIPES; r < busy.length; r++) busy[r]! += c.pipes[r]!;
    this.statements.spend(inOrder.total(c), s);
  }

  private loop(stmt: Loop, s: Segment, lanes: WorkNode | undefined): void {
    this.lastWasLoad = false;
    const nest = enter(s.nest, stmt.index, stmt.from, stmt.to, false);
    if (nest.count === 0) return;
    const child = segmentOf(this.costs, this.d.segments.length, nest, nest.count / this.d.workgroups, s);
    s.children.push(child);
    this.d.segments.push(child);
    if (lanes?.before) this.add(lanes.before, 1, s);
    if (lanes) this.add(lanes.work, 1, child);
    // tiles that copies fill ahead are new at each iteration: whoever reads them first waits for all lanes
    for (const x of stmt.body) {
      if (x.kind === 'copy' && isTile(x.to) && !isTile(x.from) && x.to.stages > 1) this.statements.wrote(x.to);
      else if (x.kind === 'gather' && gathersAhead(x, stmt)) this.statements.wrote(x.to);
    }
    if (this.mapping.bookkeeping) this.statements.bookkeeping(this.mapping.bookkeeping.step, child);
    this.body(stmt.body, child, stmt, lanes?.body);
    this.lastWasLoad = false;
  }

  private load(view: View, tile: Tile, index: Tile | undefined, ahead: boolean, s: Segment): void {
    const { costs, d, statements } = this;
    const t = this.transfer(view, tile, index, false, ahead ? tile.stages : 1, false, s);
    if (!ahead) {
      if (index) {
        this.lastWasLoad = false;
        statements.await(index, s);
      }
      statements.beforeWrite(tile, s);
      statements.wrote(tile);
    }
    s.in_B += t.bytes;
    if (t.remote) s.farRead_s += t.bytes * costs.remote(view.tensor.home!).read_s_per_B;
    else s.read_B += t.bytes / t.shared_by;
    this.near(view, tile, t, true, s);
    // lanes ask for 16 bytes each, where the way leads through them
    if (tile.level === 'register') s.busy[2]! += statements.accesses(tile);
    else if (costs.viaLanes) s.busy[2]! += 2 * statements.accesses(tile);
    if (tile.level === 'register') d.l1_B += t.total_B;
  }

  private store(view: View, tile: Tile, index: Tile | undefined, atomic: boolean, s: Segment): void {
    const { costs, d, statements } = this;
    this.lastWasLoad = false;
    statements.await(tile, s);
    if (index) statements.await(index, s);
    statements.barrier(tile, s);
    const t = this.transfer(view, tile, index, true, 1, atomic, s);
    s.out_B += t.bytes;
    d.last_B = s.out_B;
    if (t.remote) s.farWrite_s += t.bytes * costs.remote(view.tensor.home!).write_s_per_B;
    else s.write_B += t.bytes * (atomic ? 2 : 1);
    this.near(view, tile, t, false, s);
    const accesses =
      tile.level === 'register' ? statements.accesses(tile) : costs.viaLanes ? 2 * statements.accesses(tile) : 0;
    s.busy[2]! += accesses;
    statements.spend(accesses / statements.share, s);
    if (tile.level === 'register') d.l1_B += t.total_B;
  }

  /** The near end of a copy: counted as requested and moved there; shared tiles take their port's time. */
  private near(view: View, tile: Tile, t: Transfer, write: boolean, s: Segment): void {
    const { d, costs } = this;
    const bytes = (t.total_B / bytesOf(t.tensor.dtype)) * bytesOf(tile.dtype);
    if (tile.level === 'shared') {
      if (write) {
        d.shared_write_B += bytes;
        d.requested.shared_write_B += bytes;
      } else {
        d.shared_read_B += bytes;
        d.requested.shared_read_B += bytes;
      }
      s.busy[1]! += (bytes * portFactor(view, tile, costs.machine)) / s.nest.count / costs.sharedRate;
    } else if (write) {
      d.register_write_B += bytes;
      d.requested.register_write_B += bytes;
    } else {
      d.register_read_B += bytes;
      d.requested.register_read_B += bytes;
    }
  }

  private transfer(
    view: View,
    tile: Tile,
    index: Tile | undefined,
    write: boolean,
    stages: number,
    atomic: boolean,
    s: Segment,
  ): Transfer {
    const { tensor } = view;
    const scattered = index !== undefined;
    let elements = accessed(view, tile.rows, tile.cols, s.nest, scattered);
    if (index && view.at[view.axes[0]] === 0)
      elements = Math.round(elements * this.inRange(index, tensor.dims[view.axes[0]]!));
    const total_B = elements * bytesOf(tensor.dtype);
    const widening = this.widening(view, tile);
    if (!write && stages === 1 && !this.lastWasLoad) this.group++;
    this.lastWasLoad = !write && (stages === 1 || this.lastWasLoad);
    const follows = followed(view, this.program.grid);
    const t: Transfer = {
      tensor,
      view,
      write,
      nest: s.nest,
      segment: s,
      total_B,
      bytes: (total_B * widening) / s.nest.count,
      elements: tile.rows * tile.cols,
      widening,
      stages,
      group: this.group,
      scattered,
      atomic,
      remote: tensor.home !== undefined && tensor.home !== this.costs.home.id,
      follows,
      shared_by: write ? 1 : sharedBy(follows, this.program, this.mapping, this.costs),
      use: undefined,
      miss: 0,
    };
    s.transfers.push(t);
    this.d.transfers.push(t);
    return t;
  }

  private known: { index: Tile; end: number; share: number } | undefined;

  /** Share of picked rows that are in range; reads and stores of one tile go by the same indices. */
  private inRange(index: Tile, end: number): number {
    if (this.known?.index !== index || this.known.end !== end)
      this.known = { index, end, share: shareInRange(index, this.program, end) };
    return this.known.share;
  }

  /** Runs of neighbours in memory are moved in whole sectors. */
  private widening(view: View, tile: Tile): number {
    const { sector_B } = this.costs;
    if (sector_B <= 1) return 1;
    const { tensor, axes } = view;
    const last = tensor.dims.length - 1;
    const side = axes[1] === last ? 1 : axes[0] === last ? 0 : -1;
    const dense = tensor.strides === undefined || tensor.strides[last] === 1;
    const element_B = bytesOf(tensor.dtype);
    if (side < 0 || !dense) return Math.max(1, sector_B / element_B);
    const extent = Math.min(side === 1 ? tile.cols : tile.rows, tensor.dims[last]!);
    const step = view.step?.[side as 0 | 1] ?? 1;
    // whole rows that follow one another are one run
    if (
      side === 1 &&
      extent === tensor.dims[last] &&
      axes[0] === last - 1 &&
      step === 1 &&
      tensor.strides === undefined
    )
      return 1;
    const span = ((extent - 1) * step + 1) * element_B;
    return (Math.ceil(span / sector_B) * sector_B) / (extent * element_B);
  }
}

/** Cores of a cluster that read the same, as far as one read can serve several. */
function sharedBy(follows: number, program: Program, mapping: Mapping, costs: Costs): number {
  const { cluster } = mapping;
  if (!cluster || cluster[0] * cluster[1] === 1) return 1;
  let n = 1;
  for (let d = 0; d < 2; d++) {
    const g = program.grid[d];
    if (g && !(follows & (1 << d))) n *= Math.min(cluster[d]!, g.extent);
  }
  return Math.min(n, Math.max(1, costs.machine.cores.multicast ?? 1));
}

/** The grid dims whose index a view's place depends on, as bits. */
function followed(view: View, grid: Program['grid']): number {
  let bits = 0;
  for (let d = 0; d < grid.length; d++) if (placeFollows(view, grid[d]!.index)) bits |= 1 << d;
  return bits;
}

/** A gather into several buffers runs ahead unless something of the same iteration makes its indices there and then. */
function gathersAhead(s: Gather, around: Loop | undefined): boolean {
  if (!around || s.to.stages <= 1) return false;
  for (const x of around.body) {
    if (x.kind === 'loop' && writes(x, s.index)) return false;
    if (x.kind !== 'loop' && makes(x) === s.index) return x.kind === 'copy' && !isTile(x.from) && s.index.stages > 1;
  }
  return true;
}

function makes(s: Exclude<Stmt, Loop>): Tile | undefined {
  switch (s.kind) {
    case 'mma':
      return s.acc;
    case 'map':
      return s.out;
    case 'scatter':
      return undefined;
    default:
      return 'level' in s.to ? s.to : undefined;
  }
}

const writes = (loop: Loop, tile: Tile): boolean =>
  loop.body.some((x) => (x.kind === 'loop' ? writes(x, tile) : makes(x) === tile));
