/** Machines for kernel tests: only what kernels ask of one. Figures are of no account but for limits and native tiles. */
import type { DType } from '../../../src/base/dtype.js';
import { MATH_FNS, type MmaOp, type ResourceGraph } from '../../../src/machine/graph.js';

const instruction = (a: DType, acc: DType, m: number, lanes: number, operands: MmaOp['operands']): MmaOp => ({
  a,
  b: a,
  acc,
  macs_per_cycle: 1024,
  sparse_2_4: false,
  m,
  n: 8,
  k: 16,
  lanes,
  latency_cycles: 32,
  operands,
  accumulator: 'register',
  pJ_per_MAC: 1,
});

function machine(name: string, mma: readonly MmaOp[]): ResourceGraph {
  const rate = { per_cycle: 64, latency_cycles: 4, pJ: 1, pipe: 'vector' };
  return {
    name,
    title: name,
    family: 'test',
    stores: [],
    links: [
      {
        id: 'peers',
        from: 'dram',
        to: 'peer',
        scope: 'machine',
        B_per_s: 3e11,
        latency_s: 1e-6,
        clocked: false,
        pJ_per_B: 1,
        in_flight_B: Number.POSITIVE_INFINITY,
      },
    ],
    units: [
      { id: 'matrix', mma, math: {} },
      { id: 'vector', mma: [], math: Object.fromEntries(MATH_FNS.map((fn) => [fn, rate])) },
    ],
    cores: {
      count: 108,
      cluster: 1,
      lane_group: 32,
      issue_groups: 4,
      max_workgroups: 32,
      max_lanes: 2048,
      max_lanes_per_workgroup: 1024,
      registers_B: 256 * 1024,
      max_registers_per_lane_B: 1020,
      register_granule_B: 32,
      shared_B: 227 * 1024,
      shared_per_workgroup_B: 226 * 1024,
      shared_reserved_B: 1024,
      issue_per_cycle: 4,
    },
    control: {
      launch_graph_s: 1e-6,
      launch_eager_s: 3e-6,
      kernel_start_s: 1e-6,
      kernel_drain_s: 1e-6,
      dispatch_interval_s: 1e-9,
      workgroup_start_cycles: 100,
      barrier_cycles: 20,
      clock: { nominal_Hz: 1e9, min_Hz: 2e8, voltage_floor: 0.5 },
      power_cap_W: 400,
      static_W: 50,
    },
    max_peers: 8,
  };
}

/** Warps issue 16-row instructions on registers. */
export const WARP = machine('warp', [
  instruction('fp16', 'fp32', 16, 32, 'register'),
  instruction('bf16', 'fp32', 16, 32, 'register'),
  instruction('fp64', 'fp64', 8, 32, 'register'),
]);
/** Warpgroups issue 64-row instructions on shared storage. */
export const WARPGROUP = machine('warpgroup', [
  instruction('fp16', 'fp32', 64, 128, 'shared'),
  instruction('bf16', 'fp32', 64, 128, 'shared'),
  instruction('fp8_e4m3', 'fp32', 64, 128, 'shared'),
]);
/** No matrix instructions. */
export const LANES = machine('lanes', []);
