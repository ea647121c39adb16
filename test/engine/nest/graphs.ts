/** A machine of nothing but an array: one store per level, of unlimited size unless said. */
import type { ArrayLevel, ResourceGraph, Store } from '../../../src/machine/graph.js';

export function plainStore(id: string, over: Partial<Store> = {}): Store {
  return {
    id,
    scope: 'machine',
    role: 'explicit',
    capacity_B: Number.POSITIVE_INFINITY,
    read_B_per_s: Number.POSITIVE_INFINITY,
    write_B_per_s: Number.POSITIVE_INFINITY,
    shared_port: false,
    clocked: true,
    latency_s: 0,
    line_B: 1,
    sector_B: 1,
    banks: 1,
    slices: 1,
    sustained_fraction: 1,
    read_pJ_per_B: 1,
    write_pJ_per_B: 1,
    ...over,
  };
}

export function plainGraph(
  levels: readonly ArrayLevel[],
  stores: Readonly<Record<string, Partial<Store>>> = {},
): ResourceGraph {
  const places = levels.reduce((n, l) => n * l.fanout.x * l.fanout.y, 1);
  return {
    name: 'plain',
    title: 'plain',
    family: 'none',
    stores: levels.flatMap((l) => l.stores.map((id) => plainStore(id, stores[id]))),
    links: [],
    units: [{ id: 'pe', mma: [], math: { fma: { per_cycle: places, latency_cycles: 1, pJ: 1, pipe: 'pe' } } }],
    cores: {
      count: 1,
      cluster: 1,
      lane_group: 1,
      issue_groups: 1,
      max_workgroups: 1,
      max_lanes: 1,
      max_lanes_per_workgroup: 1,
      registers_B: 0,
      max_registers_per_lane_B: 0,
      register_granule_B: 1,
      shared_B: 0,
      shared_per_workgroup_B: 0,
      shared_reserved_B: 0,
      issue_per_cycle: 1,
    },
    control: {
      launch_graph_s: 0,
      launch_eager_s: 0,
      kernel_start_s: 0,
      kernel_drain_s: 0,
      dispatch_interval_s: 0,
      workgroup_start_cycles: 0,
      barrier_cycles: 0,
      clock: { nominal_Hz: 1e9, min_Hz: 1e9, voltage_floor: 1 },
      power_cap_W: Number.POSITIVE_INFINITY,
      static_W: 0,
    },
    arrays: [{ unit: 'pe', levels }],
    max_peers: 1,
  };
}
