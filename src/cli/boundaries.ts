/** The boundaries of a machine, each with its near side's capacity, and what the machine's pick of kernel moves across. */
import type { Boundary } from '../bounds/result.js';
import type { KernelSimulation } from '../engine/simulation.js';
import type { ResourceGraph, Store } from '../machine/graph.js';

export type Crossing = Pick<Boundary, 'boundary' | 'capacity_B' | 'moved_B'>;

const instances = (s: Store, { cores }: ResourceGraph): number => s.instances ?? (s.scope === 'core' ? cores.count : 1);

/** All memory of the chip: stores of one pool share its capacity. */
function chip_B(machine: ResourceGraph): number {
  const pools = new Map<string, number>();
  for (const s of machine.stores) {
    if (s.role !== 'cache' && s.role !== 'explicit') continue;
    pools.set(s.pool?.id ?? s.id, (s.pool?.capacity_B ?? s.capacity_B) * instances(s, machine));
  }
  return [...pools.values()].reduce((a, b) => a + b, 0);
}

/**
 * Far to near: all memory of the chip against its home memory; where caches stand between, what one workgroup has
 * against them. Workgroups one after another would be a schedule with the memory of one, so that the least of it holds
 * for all of them side by side.
 */
export function crossingsOf(machine: ResourceGraph, picked: KernelSimulation): Crossing[] {
  const { cores, stores } = machine;
  const home = stores.find((s) => s.role === 'home')!.id;
  const out = [{ boundary: `${home} | chip`, capacity_B: chip_B(machine), moved_B: picked.moved_B[home] ?? 0 }];
  const cache = stores.find((s) => s.role === 'cache');
  if (!cache) return out;
  const registers_B = Math.min(cores.registers_B, cores.max_lanes_per_workgroup * cores.max_registers_per_lane_B);
  const capacity_B = cores.shared_per_workgroup_B + registers_B;
  return [...out, { boundary: `${cache.id} | workgroup`, capacity_B, moved_B: picked.requested_B[home] ?? 0 }];
}
