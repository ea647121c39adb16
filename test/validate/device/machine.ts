/**
 * A CPU that runs WGSL, as a resource graph: two cores of eight lanes. Figures are of the right order for a server core
 * and of no other account; a calibrated description takes their place wherever accuracy is looked at.
 */
import {
  MATH_FNS,
  type MathFn,
  type MathRate,
  type MmaOp,
  type ResourceGraph,
  type Store,
} from '../../../src/machine/graph.js';

const Hz = 2.5e9;
const CORES = 2;
const store = (
  id: string,
  role: Store['role'],
  scope: Store['scope'],
  capacity_B: number,
  B_per_s: number,
  latency_s: number,
): Store => ({
  id,
  scope,
  role,
  capacity_B,
  read_B_per_s: B_per_s,
  write_B_per_s: B_per_s,
  shared_port: true,
  clocked: scope === 'core',
  latency_s,
  line_B: 64,
  sector_B: 64,
  banks: 1,
  slices: 1,
  sustained_fraction: 0.8,
  read_pJ_per_B: 10,
  write_pJ_per_B: 10,
});
const SLOW: Partial<Record<MathFn, number>> = { exp2: 1, log2: 1, rcp: 1, rsqrt: 1, sqrt: 1, sin: 0.3, tanh: 0.3 };
const rate = (fn: MathFn): MathRate => ({
  per_cycle: SLOW[fn] ?? 8,
  latency_cycles: 5,
  pJ: 10,
  pipe: fn in SLOW ? 'special' : 'vector',
});
const scalar = (t: 'fp32' | 'int32'): MmaOp => ({
  a: t,
  b: t,
  acc: t,
  macs_per_cycle: 4,
  sparse_2_4: false,
  m: 1,
  n: 1,
  k: 1,
  lanes: 1,
  latency_cycles: 5,
  operands: 'register',
  accumulator: 'register',
  pJ_per_MAC: 20,
});
const link = (id: string, from: string, to: string, scope: 'core' | 'machine', B_per_s: number, via?: string) => ({
  id,
  from,
  to,
  scope,
  B_per_s,
  latency_s: 2e-9,
  clocked: scope === 'core',
  pJ_per_B: 1,
  in_flight_B: Number.POSITIVE_INFINITY,
  ...(via && { via }),
});

export const CPU: ResourceGraph = {
  name: 'test-cpu',
  title: 'A CPU with WGSL on it',
  family: 'cpu',
  stores: [
    store('dram', 'home', 'machine', 16 * 2 ** 30, 2e10, 90e-9),
    store('l2', 'cache', 'machine', 32 * 2 ** 20, 6e10, 15e-9),
    store('shared', 'explicit', 'core', 48 * 1024, 32 * Hz, 2e-9),
    store('register', 'explicit', 'core', 1024 * 1024, 96 * Hz, 0),
  ],
  links: [
    link('dram-l2', 'dram', 'l2', 'machine', 2e10),
    link('l2-shared', 'l2', 'shared', 'core', 32 * Hz, 'register'),
    link('l2-register', 'l2', 'register', 'core', 32 * Hz),
    link('register-l2', 'register', 'l2', 'core', 32 * Hz),
  ],
  units: [
    {
      id: 'lanes',
      mma: [scalar('fp32'), scalar('int32')],
      math: Object.fromEntries(MATH_FNS.map((fn) => [fn, rate(fn)])),
    },
  ],
  cores: {
    count: CORES,
    cluster: 1,
    lane_group: 8,
    issue_groups: 1,
    max_workgroups: 1,
    max_lanes: 1024,
    max_lanes_per_workgroup: 1024,
    registers_B: 4 * 2 ** 20,
    max_registers_per_lane_B: 2 ** 20,
    register_granule_B: 4,
    shared_B: 32 * 1024,
    shared_per_workgroup_B: 32 * 1024,
    shared_reserved_B: 0,
    issue_per_cycle: 2,
  },
  control: {
    launch_graph_s: 4e-6,
    launch_eager_s: 100e-6,
    kernel_start_s: 0,
    kernel_drain_s: 0,
    dispatch_interval_s: 50e-9,
    workgroup_start_cycles: 200,
    barrier_cycles: 100,
    clock: { nominal_Hz: Hz, min_Hz: Hz, voltage_floor: 0.6 },
    power_cap_W: 200,
    static_W: 20,
  },
  max_peers: 1,
};
