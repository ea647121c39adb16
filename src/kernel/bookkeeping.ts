/**
 * What a kernel's lane groups do besides the statements of its tile program: addresses, predicates, look-ups in tables
 * of lengths and pages. Its instructions wait for one another (dependent issue: 4 cycles of the integer pipe from Volta
 * to Hopper, Jia et al. 2018, Abdelkhalik et al. 2022), its look-ups for the machine-wide cache.
 */
import { mathRateOf, type ResourceGraph } from '../machine/graph.js';

export interface Bookkeeping {
  /** Instructions of each lane group, and reads of which each needs the one before. */
  readonly instructions: number;
  readonly lookups: number;
  /** Meetings of all lane groups of the workgroup. */
  readonly barriers?: number;
  /** Registers of a lane that are stored and read again, since it has no more: through the core's own cache. */
  readonly spilled?: number;
  /** Lines that accesses with gaps touch: one a cycle through the port of the core's own storage. */
  readonly lines?: number;
}

const REGISTER_B = 4;

/** Cycles of a core's issue that all lane groups take, and how long the chain of one takes. */
export function bookkeepingCycles(
  b: Bookkeeping,
  lanes: number,
  machine: ResourceGraph,
): { readonly issue: number; readonly chain: number } {
  const { cores, control } = machine;
  const groups = Math.ceil(lanes / cores.lane_group);
  const step = mathRateOf(machine, 'int', 'int32')?.rate.latency_cycles ?? 1;
  const cache = machine.stores.find((s) => s.role === 'cache' && s.scope === 'machine') ?? machine.stores[0]!;
  const lookup_s = cache.latency_s + (cache.far ? cache.far.extra_latency_s * cache.far.share : 0);
  const near = b.spilled ? machine.stores.find((s) => s.role === 'cache' && s.scope === 'core') : undefined;
  const spill = near
    ? (2 * lanes * REGISTER_B * control.clock.nominal_Hz) / near.read_B_per_s +
      near.latency_s * control.clock.nominal_Hz
    : 0;
  return {
    issue: ((b.instructions + 2 * (b.spilled ?? 0)) * groups) / cores.issue_per_cycle,
    chain:
      b.instructions * step +
      b.lookups * lookup_s * control.clock.nominal_Hz +
      (b.barriers ?? 0) * control.barrier_cycles +
      (b.spilled ?? 0) * spill +
      (b.lines ?? 0),
  };
}
