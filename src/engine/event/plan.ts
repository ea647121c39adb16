/**
 * A launch made ready to run: the body as a flat list of instructions with everything that does not change between
 * executions worked out once: indices of tiles and loop variables, hazards on shared tiles, work, placed views.
 */
import { bytesOf } from '../../base/dtype.js';
import { portFactor } from '../../kernel/banks.js';
import {
  type Gather,
  indicesOf,
  isTile,
  type Loop,
  type LoopVar,
  type Scatter,
  type Stmt,
  type Tile,
  type View,
} from '../../kernel/ir.js';
import type { Launch } from '../../kernel/kernel.js';
import type { LaneWork } from '../../kernel/lane-count.js';
import type { WorkNode } from '../../kernel/lane-work.js';
import type { ResourceGraph } from '../../machine/graph.js';
import { type Blocked, blockTensors, Placer, type ViewUse } from './blocks.js';
import { compileExpr, type IntFn } from './expr.js';
import { type Hold, InOrder } from './in-order.js';
import { type Indices, SLOTS, UNIFORM } from './indices.js';
import { rowIndexOf, writersOf } from './rows.js';
import { Coster, FIRST_PIPE, SHARED, type Work } from './work.js';

export const COMPUTE = 0;
export const LOAD = 1;
export const STORE = 2;
export const LOOP = 3;
export const END = 4;
export const EXIT = 5;

const NO_INT: IntFn = () => 0;

/** One shape for every kind of instruction, so that the running loop stays fast; unused fields are empty. */
export interface Instr {
  readonly id: number;
  readonly op: number;
  readonly name: string;
  readonly work: Work | undefined;
  /** Tiles whose contents must be there; of an mma its accumulator is left out (it is chained in the unit). */
  reads: Int32Array;
  writes: Int32Array;
  /** Bits of shared tiles read and written. */
  readMask: number;
  writeMask: number;
  isMma: boolean;
  /** A copy between tiles: what it moves was asked for. */
  moves: boolean;
  /** Accumulator of an mma, else −1. */
  acc: number;
  /** LOAD and STORE. */
  placer: Placer | undefined;
  tile: number;
  near_B: number;
  /** How much longer the shared port takes than for its bytes: bank conflicts. */
  conflicts: number;
  toShared: boolean;
  scattered: boolean;
  atomic: boolean;
  remote: boolean;
  /** Index tile of a gather that another asynchronous copy of the same loop fills, else −1. */
  indexTile: number;
  /** Buffers of the tile that a copy may run ahead by. */
  stages: number;
  /** Workgroups of a cluster that one read of the cache serves. */
  sharers: number;
  /** LOOP and END: the other's place. */
  target: number;
  index: number;
  loop: number;
  from: IntFn;
  to: IntFn;
  /** Where lane groups take turns: how long it holds its workgroup; of LOOP before it is entered, of END at each turn. */
  hold: Hold | undefined;
  /** Copies of this loop's body that run ahead. */
  ahead: Instr[];
  aheadMask: number;
}

export interface Plan {
  readonly launch: Launch;
  /** On cores whose lane groups take turns. */
  readonly inOrder: InOrder | undefined;
  readonly coster: Coster;
  readonly code: readonly Instr[];
  /** Loads, stores and computing instructions by id (copies that run ahead are not in `code`). */
  readonly instrs: readonly Instr[];
  readonly tiles: readonly Tile[];
  readonly maxStages: number;
  readonly variables: number;
  readonly loops: number;
  readonly blocked: readonly Blocked[];
  readonly blocks: number;
  readonly workgroups: number;
}

/** `indices`: what index tensors hold; of scatters that set, unless the user gave them, distinct slots. */
export function planOf(launch: Launch, machine: ResourceGraph, indices?: Indices): Plan {
  const { program, mapping } = launch;
  const coster = new Coster(machine, mapping);
  const inOrder = machine.cores.in_order && new InOrder(launch, machine);
  const cache = machine.stores.find((s) => s.role === 'cache' && s.scope === 'machine');
  const home = machine.stores[0];
  const sector_B = cache?.sector_B ?? home?.sector_B ?? 1;
  const tileAt = new Map<Tile, number>(program.tiles.map((t, i) => [t, i]));
  for (const t of program.tiles) if (t.part) tileAt.set(t, tileAt.get(t.part.of)!);
  const places = new Map<LoopVar, number>(program.grid.map((g, i) => [g.index, i]));
  let loops = 0;
  collect(program.body);
  const uses: ViewUse[] = [];
  collectUses(program.body, uses);
  const blocked = blockTensors(program.tensors, uses, sector_B);
  const code: Instr[] = [];
  const instrs: Instr[] = [];

  function collect(body: readonly Stmt[]): void {
    for (const s of body)
      if (s.kind === 'loop') {
        if (!places.has(s.index)) places.set(s.index, places.size);
        collect(s.body);
      }
  }
  function blank(op: number, name: string, work?: Work): Instr {
    const instr: Instr = {
      id: instrs.length,
      op,
      name,
      work,
      reads: new Int32Array(0),
      writes: new Int32Array(0),
      readMask: 0,
      writeMask: 0,
      isMma: false,
      moves: false,
      acc: -1,
      placer: undefined,
      tile: -1,
      near_B: 0,
      conflicts: 1,
      toShared: false,
      scattered: false,
      atomic: false,
      remote: false,
      indexTile: -1,
      stages: 1,
      sharers: 1,
      target: -1,
      index: -1,
      loop: -1,
      from: NO_INT,
      to: NO_INT,
      hold: undefined,
      ahead: [],
      aheadMask: 0,
    };
    instrs.push(instr);
    return instr;
  }
  function at(t: Tile): number {
    const i = tileAt.get(t);
    if (i === undefined) throw new Error(`${program.name} uses tile ${t.name}, which it does not declare`);
    return i;
  }
  /** Shared tiles beyond the 30th share a bit: a barrier too many, never one too few. */
  function mask(tiles: readonly Tile[]): number {
    let bits = 0;
    for (const t of tiles) if (t.level === 'shared') bits |= 1 << Math.min(30, at(t));
    return bits;
  }
  function compute(name: string, work: Work, reads: readonly Tile[], writes: readonly Tile[]): Instr {
    const i = blank(COMPUTE, name, work);
    i.reads = Int32Array.from(reads, at);
    i.writes = Int32Array.from(writes, at);
    i.readMask = mask(reads);
    i.writeMask = mask(writes);
    return i;
  }
  function transfer(s: { view: ViewUse; index?: Tile; write: boolean; atomic?: boolean }): Instr {
    const { view: use, write } = s;
    const { tile, view } = use;
    const what = `${write ? 'store' : 'load'} ${view.tensor.name}`;
    const i = blank(write ? STORE : LOAD, what, coster.transfer(tile));
    const b = blocked.get(view.tensor);
    if (!b) throw new Error(`${program.name} uses tensor ${view.tensor.name}, which it does not declare`);
    const needs = [...(write ? [tile] : []), ...(s.index ? [s.index] : [])];
    i.reads = Int32Array.from(needs, at);
    i.readMask = mask(needs);
    i.writeMask = write ? 0 : mask([tile]);
    if (!write) i.writes = Int32Array.of(at(tile));
    const axis = view.axes[0];
    const table = axis < 0 ? 1 : view.tensor.dims[axis]!;
    const data = indices ?? (write && !s.atomic ? SLOTS : UNIFORM);
    const rows = s.index && rowIndexOf(s.index, program.body, program.grid, places, data, table);
    i.placer = new Placer(use, b, places, sector_B, rows);
    i.tile = at(tile);
    i.near_B = bytesOf(tile.dtype);
    i.conflicts = portFactor(view, tile, machine);
    i.toShared = tile.level === 'shared';
    i.scattered = use.scattered;
    i.atomic = s.atomic ?? false;
    i.remote = view.tensor.home !== undefined && view.tensor.home !== home?.id;
    i.stages = tile.stages;
    if (!write) i.sharers = sharersOf(view);
    return i;
  }
  /** A place that does not depend on a grid index is read once for the cluster's workgroups along it. */
  function sharersOf(view: View): number {
    const used = new Set<LoopVar>();
    for (const e of view.at) indicesOf(e, (v) => used.add(v));
    let n = 1;
    for (const d of [0, 1] as const) {
      const g = program.grid[d];
      if (g && !used.has(g.index)) n *= Math.min(mapping.cluster?.[d] ?? 1, g.extent);
    }
    return Math.min(n, Math.max(1, machine.cores.multicast ?? 1));
  }
  /** Copies of a loop's own body into tiles of several buffers run ahead of what reads them. */
  function runsAhead(s: Stmt, loop: Loop | undefined): boolean {
    if (!loop || inOrder) return false;
    if (s.kind === 'copy') return !isTile(s.from) && isTile(s.to) && s.to.stages > 1;
    if (s.kind !== 'gather' || s.to.stages <= 1) return false;
    // Unless something of the same iteration makes its indices there and then.
    const maker = loop.body.find((x) => writersOf(s.index, [x]).length > 0);
    return maker === undefined || (maker.kind === 'copy' && runsAhead(maker, loop));
  }
  /** A statement of lane groups that take turns: its time is theirs, barriers included; bytes and energy stay. */
  function inTurn(i: Instr, work: LaneWork, by: InOrder): void {
    const hold = by.hold(work);
    i.hold = hold;
    i.readMask = 0;
    i.writeMask = 0;
    const w = i.work;
    if (!w) return;
    w.cycles.fill(0);
    w.latency_cycles = 0;
    w.chain_cycles = 0;
    if (i.op !== COMPUTE) return;
    w.cycles[SHARED] = hold.near;
    w.cycles[FIRST_PIPE] = hold.math;
    w.chain_cycles = by.cycles(hold, 1);
  }
  function emit(
    body: readonly Stmt[],
    loop: Loop | undefined,
    head: Instr | undefined,
    lanes: readonly WorkNode[] | undefined,
  ): void {
    for (const [k, s] of body.entries()) {
      switch (s.kind) {
        case 'loop': {
          const i = blank(LOOP, `loop ${s.index.var}`);
          i.index = places.get(s.index)!;
          i.loop = loops++;
          i.from = compileExpr(s.from, places);
          i.to = compileExpr(s.to, places);
          const start = code.push(i) - 1;
          if (mapping.bookkeeping)
            code.push(compute('bookkeeping', coster.bookkeeping(mapping.bookkeeping.step), [], []));
          const node = lanes?.[k];
          emit(s.body, s, i, node?.body);
          const end = blank(END, i.name);
          end.index = i.index;
          end.loop = i.loop;
          end.target = start;
          end.ahead = i.ahead;
          end.aheadMask = i.aheadMask;
          if (inOrder && node) {
            if (node.before) i.hold = inOrder.hold(node.before);
            end.hold = inOrder.hold(node.work);
          }
          i.target = code.push(end) - 1;
          break;
        }
        case 'mma': {
          const i = compute('mma', coster.mma(s), [s.a, s.b], [s.acc]);
          i.isMma = true;
          i.acc = at(s.acc);
          code.push(i);
          break;
        }
        case 'map':
          code.push(compute(s.fn.name, coster.map(s), s.ins, [s.out]));
          break;
        case 'reduce':
          code.push(compute(s.op, coster.reduce(s), s.accumulate ? [s.from, s.to] : [s.from], [s.to]));
          break;
        case 'copy':
          if (isTile(s.from) && isTile(s.to)) {
            const move = { ...s, from: s.from, to: s.to };
            const i = compute('move', coster.move(move), [s.from], [s.to]);
            i.moves = true;
            code.push(i);
          } else if (isTile(s.to)) {
            if (isTile(s.from)) break;
            place(transfer({ view: { view: s.from, tile: s.to, scattered: false }, write: false }), s, loop, head);
          } else if (isTile(s.from))
            code.push(transfer({ view: { view: s.to, tile: s.from, scattered: false }, write: true }));
          else throw new Error(`${program.name} copies a tensor to a tensor`);
          break;
        case 'gather':
          place(gathering(s, loop), s, loop, head);
          break;
        case 'scatter':
          code.push(scattering(s));
          break;
        default:
          s satisfies never;
      }
      if (inOrder && lanes && s.kind !== 'loop') inTurn(code[code.length - 1]!, lanes[k]!.work, inOrder);
    }
  }
  function gathering(s: Gather, loop: Loop | undefined): Instr {
    const i = transfer({ view: { view: s.from, tile: s.to, scattered: true }, index: s.index, write: false });
    const maker = loop?.body.find((x) => writersOf(s.index, [x]).length > 0);
    if (maker && runsAhead(maker, loop)) i.indexTile = at(s.index);
    return i;
  }
  function scattering(s: Scatter): Instr {
    const view = { view: s.to, tile: s.from, scattered: true };
    return transfer({ view, index: s.index, write: true, atomic: s.combine !== 'set' });
  }
  function place(i: Instr, s: Stmt, loop: Loop | undefined, head: Instr | undefined): void {
    if (head && runsAhead(s, loop)) {
      head.ahead.push(i);
      head.aheadMask |= i.writeMask;
    } else code.push(i);
  }

  if (mapping.bookkeeping) code.push(compute('bookkeeping', coster.bookkeeping(mapping.bookkeeping.start), [], []));
  emit(program.body, undefined, undefined, inOrder?.body);
  code.push(blank(EXIT, 'exit'));
  let blocks = 0;
  for (const b of blocked.values()) blocks += b.blocks;
  return {
    launch,
    inOrder,
    coster,
    code,
    instrs,
    tiles: program.tiles,
    maxStages: program.tiles.reduce((m, t) => Math.max(m, t.stages), 1),
    variables: places.size,
    loops,
    blocked: [...blocked.values()],
    blocks,
    workgroups: program.grid.reduce((p, g) => p * g.extent, 1),
  };
}

function collectUses(body: readonly Stmt[], uses: ViewUse[]): void {
  for (const s of body) {
    if (s.kind === 'loop') collectUses(s.body, uses);
    else if (s.kind === 'gather') uses.push({ view: s.from, tile: s.to, scattered: true });
    else if (s.kind === 'scatter') uses.push({ view: s.to, tile: s.from, scattered: true });
    else if (s.kind === 'copy') {
      if (!isTile(s.from) && isTile(s.to)) uses.push({ view: s.from, tile: s.to, scattered: false });
      if (!isTile(s.to) && isTile(s.from)) uses.push({ view: s.to, tile: s.from, scattered: false });
    }
  }
}

/**
 * Grid coordinates of the n-th workgroup to be dispatched. Panels of `panel` consecutive values of grid[1]: for each
 * panel, for each value of grid[0], for each grid[1] of the panel; dims from grid[2] on are outermost. A panel of 1 is
 * the plain raster, grid[0] fastest.
 */
export function rasterise(plan: Plan, n: number, env: Int32Array, base: number): void {
  const { grid } = plan.launch.program;
  const g0 = grid[0]?.extent ?? 1;
  const g1 = grid[1]?.extent ?? 1;
  const plane = g0 * g1;
  let rest = Math.floor(n / plane);
  const within = n - rest * plane;
  const panel = Math.max(1, Math.min(plan.launch.mapping.panel, g1));
  const group = Math.floor(within / (panel * g0));
  const height = Math.min(panel, g1 - group * panel);
  const inside = within - group * panel * g0;
  if (grid.length > 0) env[base] = Math.floor(inside / height);
  if (grid.length > 1) env[base + 1] = group * panel + (inside % height);
  for (let d = 2; d < grid.length; d++) {
    const extent = grid[d]!.extent;
    env[base + d] = rest % extent;
    rest = Math.floor(rest / extent);
  }
}
