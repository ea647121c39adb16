/** What a machine of nothing but arrays has besides them: no launches, no registers of its own, no limit on power. */
import type { Control, Cores } from './graph.js';

/** One core of as many lanes as there are places. */
export const bareCores = (places: number): Cores => ({
  count: 1,
  cluster: 1,
  lane_group: places,
  issue_groups: 1,
  max_workgroups: 1,
  max_lanes: places,
  max_lanes_per_workgroup: places,
  registers_B: 0,
  max_registers_per_lane_B: 0,
  register_granule_B: 1,
  shared_B: 0,
  shared_per_workgroup_B: 0,
  shared_reserved_B: 0,
  issue_per_cycle: 1,
});

export const bareControl = (clock_Hz: number): Control => ({
  launch_graph_s: 0,
  launch_eager_s: 0,
  kernel_start_s: 0,
  kernel_drain_s: 0,
  dispatch_interval_s: 0,
  workgroup_start_cycles: 0,
  barrier_cycles: 0,
  clock: { nominal_Hz: clock_Hz, min_Hz: clock_Hz, voltage_floor: 1 },
  power_cap_W: Number.POSITIVE_INFINITY,
  static_W: 0,
});
