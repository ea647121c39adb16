/**
 * Whether a launch fits a machine, and how many of its workgroups a core holds at once: the smallest of what lanes,
 * registers, shared storage and workgroup slots allow (the occupancy rules of the vendors' programming guides).
 */
import { bytesOf } from '../base/dtype.js';
import { type Cores, mmaOf, type ResourceGraph } from '../machine/graph.js';
import type { Mma, Program, Stmt } from './ir.js';
import type { Launch } from './kernel.js';

/** Registers a lane needs besides tiles: addresses, loop counters, predicates (assumed; CUTLASS mainloops use 24–40). */
const OVERHEAD_REGISTERS_B = 32 * 4;

export interface Fit {
  readonly workgroups_per_core: number;
  readonly limited_by: 'lanes' | 'registers' | 'shared' | 'workgroups' | 'accumulators' | 'mapping';
  readonly shared_B: number;
  readonly registers_per_lane_B: number;
}
/** Why it does not fit, with the need and what there is. */
export interface Misfit {
  readonly resource: 'lanes' | 'registers' | 'shared';
  readonly need: number;
  readonly has: number;
  readonly message: string;
}

/** Live bytes of shared tiles, stages included. */
export function sharedBytes(program: Program): number {
  let total = 0;
  const { tiles } = program;
  for (let i = 0; i < tiles.length; i++) {
    const t = tiles[i]!;
    if (t.level === 'shared' && t.reuses === undefined && !t.part)
      total += t.rows * t.cols * t.stages * bytesOf(t.dtype);
  }
  return total;
}

/** Live bytes of register tiles of a workgroup; accumulators that live in the matrix unit's own store left out. */
export function registerBytes(program: Program, machine: ResourceGraph, mapping: Launch['mapping']): number {
  const own =
    mapping.mma === 'matrix' && ownAccumulators(machine) ? accumulatorsOf(program, machine, mapping.widest) : undefined;
  let total = 0;
  const { tiles } = program;
  for (let i = 0; i < tiles.length; i++) {
    const t = tiles[i]!;
    if (t.level === 'register' && t.reuses === undefined && !own?.has(t.name))
      total += t.rows * t.cols * t.stages * bytesOf(t.dtype);
  }
  return total;
}

/** Live bytes of accumulators that the matrix unit keeps in its own store. */
function accumulatorBytes(program: Program, machine: ResourceGraph, mapping: Launch['mapping']): number {
  if (mapping.mma !== 'matrix' || !ownAccumulators(machine)) return 0;
  const own = accumulatorsOf(program, machine, mapping.widest);
  let total = 0;
  for (const t of program.tiles)
    if (own.has(t.name) && t.reuses === undefined) total += t.rows * t.cols * t.stages * bytesOf(t.dtype);
  return total;
}

/** Names of tiles that the matrix unit keeps in its own store. */
function accumulatorsOf(program: Program, machine: ResourceGraph, widest: number | undefined): ReadonlySet<string> {
  const own = new Set<string>();
  forEachMma(program.body, (s) => {
    if (mmaOf(machine, s.a.dtype, s.b.dtype, s.acc.dtype, widest)?.op.accumulator === 'own') own.add(s.acc.name);
  });
  return own;
}

const withOwn = new WeakMap<ResourceGraph, boolean>();

/** Whether any instruction of a machine accumulates in a store of its own. */
function ownAccumulators(machine: ResourceGraph): boolean {
  let has = withOwn.get(machine);
  if (has === undefined) {
    has = machine.units.some((u) => u.mma.some((op) => op.accumulator === 'own'));
    withOwn.set(machine, has);
  }
  return has;
}

// A search asks whether a launch fits and then times it, and choices that differ in their mapping alone share a program:
// the last answers are kept.
let lastLaunch: Launch | undefined;
let lastMachine: ResourceGraph | undefined;
let lastFit: Fit | Misfit | undefined;
let lastProgram: Program | undefined;
let lastMma: Launch['mapping']['mma'] | undefined;
let lastShared_B = 0;
let lastRegisters_B = 0;
let lastAccumulators_B = 0;

export function residency(launch: Launch, machine: ResourceGraph): Fit | Misfit {
  const { program, mapping } = launch;
  if (machine === lastMachine && lastFit) {
    if (launch === lastLaunch) return lastFit;
  } else lastProgram = undefined;
  if (program !== lastProgram || mapping.mma !== lastMma) {
    lastShared_B = sharedBytes(program);
    lastRegisters_B = registerBytes(program, machine, mapping);
    lastAccumulators_B = accumulatorBytes(program, machine, mapping);
  }
  lastFit = fitOf(mapping, machine, lastShared_B, lastRegisters_B, lastAccumulators_B);
  lastLaunch = launch;
  lastMachine = machine;
  lastProgram = program;
  lastMma = mapping.mma;
  return lastFit;
}

function fitOf(
  mapping: Launch['mapping'],
  machine: ResourceGraph,
  shared_B: number,
  registers_B: number,
  accumulators_B: number,
): Fit | Misfit {
  const c: Cores = machine.cores;
  if (shared_B > c.shared_per_workgroup_B)
    return {
      resource: 'shared',
      need: shared_B,
      has: c.shared_per_workgroup_B,
      message: c.store
        ? `needs ${kib(shared_B)} of ${c.store} for tiles that are shared, has ${kib(c.shared_per_workgroup_B)} (half of it)`
        : `needs ${kib(shared_B)} of shared memory, has ${kib(c.shared_per_workgroup_B)}`,
    };
  if (mapping.lanes > c.max_lanes_per_workgroup)
    return {
      resource: 'lanes',
      need: mapping.lanes,
      has: c.max_lanes_per_workgroup,
      message: `needs ${mapping.lanes} lanes per workgroup, has ${c.max_lanes_per_workgroup}`,
    };
  const lanes = Math.ceil(mapping.lanes / c.lane_group) * c.lane_group;
  const tiles_B = registers_B / mapping.lanes;
  const raw = tiles_B + OVERHEAD_REGISTERS_B;
  const registers_per_lane_B = Math.ceil(raw / c.register_granule_B) * c.register_granule_B;
  if (raw > c.max_registers_per_lane_B)
    return {
      resource: 'registers',
      need: raw,
      has: c.max_registers_per_lane_B,
      message: c.store
        ? `needs ${kib(raw * lanes)} of ${c.store} for what ${lanes} lanes work on, has ${kib(c.registers_B)} (half of it)`
        : `needs ${Math.ceil(raw / 4)} registers per lane, has ${c.max_registers_per_lane_B / 4}`,
    };
  let best = c.max_workgroups;
  let limited_by: Fit['limited_by'] = 'workgroups';
  const byLanes = Math.floor(c.max_lanes / lanes);
  if (byLanes < best) {
    best = byLanes;
    limited_by = 'lanes';
  }
  const byRegisters = Math.floor(c.registers_B / (registers_per_lane_B * lanes));
  if (byRegisters < best) {
    best = byRegisters;
    limited_by = 'registers';
  }
  const byShared = shared_B > 0 ? Math.floor(c.shared_B / (shared_B + c.shared_reserved_B)) : best;
  if (byShared < best) {
    best = byShared;
    limited_by = 'shared';
  }
  // one workgroup at least: what it lacks it would make up with smaller steps
  const own_B = accumulators_B > 0 ? Math.max(0, ...machine.units.map((u) => u.accumulator_B ?? 0)) : 0;
  const byAccumulators = own_B > 0 ? Math.max(1, Math.floor(own_B / accumulators_B)) : best;
  if (byAccumulators < best) {
    best = byAccumulators;
    limited_by = 'accumulators';
  }
  if (mapping.resident > 0 && mapping.resident < best) {
    best = mapping.resident;
    limited_by = 'mapping';
  }
  if (best < 1)
    return {
      resource: 'registers',
      need: registers_per_lane_B * lanes,
      has: c.registers_B,
      message: c.store
        ? `needs ${kib(registers_per_lane_B * lanes)} of ${c.store} for what ${lanes} lanes work on, has ${kib(c.registers_B)} (half of it)`
        : `needs ${kib(registers_per_lane_B * lanes)} of registers, has ${kib(c.registers_B)}`,
    };
  return { workgroups_per_core: best, limited_by, shared_B, registers_per_lane_B };
}

export const isMisfit = (f: Fit | Misfit): f is Misfit => 'message' in f;

/** Calls `found` on each mma, in program order. */
export function forEachMma(body: readonly Stmt[], found: (s: Mma) => void): void {
  for (const s of body) {
    if (s.kind === 'loop') forEachMma(s.body, found);
    else if (s.kind === 'mma') found(s);
  }
}

const kib = (bytes: number): string => `${Math.round((bytes / 1024) * 10) / 10} KiB`;
