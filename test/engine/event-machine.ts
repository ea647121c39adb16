/** A machine with round numbers, so that times can be worked out by hand: 1 GHz, no overheads unless given. */
import type { MathRate, MmaOp, ResourceGraph, Store } from '../../src/machine/graph.js';

export const NS = 1e-9;

export interface Options {
  readonly cores?: number;
  readonly issue_groups?: number;
  readonly dram_B_per_s?: number;
  readonly link_B_per_s?: number;
  readonly l2_B?: number;
  readonly in_flight_B?: number;
  readonly barrier_cycles?: number;
  readonly dispatch_interval_s?: number;
  readonly workgroup_start_cycles?: number;
  readonly matrix_latency_cycles?: number;
  readonly shared_B_per_cycle?: number;
  readonly power_cap_W?: number;
  readonly operands?: MmaOp['operands'];
  readonly launch_s?: number;
}

/** DRAM 100 GB/s after 500 ns, cache 1 TB/s after 100 ns, 50 GB/s to a core, 1024 MACs a cycle. */
export function simpleMachine(o: Options = {}): ResourceGraph {
  const store = (id: string, role: Store['role'], scope: Store['scope'], x: Partial<Store>): Store => ({
    id,
    role,
    scope,
    capacity_B: 1e9,
    read_B_per_s: 1e12,
    write_B_per_s: 1e12,
    shared_port: true,
    clocked: scope === 'core',
    latency_s: 0,
    line_B: 32,
    sector_B: 1,
    banks: 1,
    slices: 1,
    sustained_fraction: 1,
    read_pJ_per_B: 1,
    write_pJ_per_B: 1,
    ...x,
  });
  const rate = (per_cycle: number, latency_cycles: number, pipe: string): MathRate => ({
    per_cycle,
    latency_cycles,
    pJ: 1,
    pipe,
  });
  const dram = o.dram_B_per_s ?? 100e9;
  return {
    name: 'simple',
    title: 'simple',
    family: 'test',
    stores: [
      store('dram', 'home', 'machine', {
        read_B_per_s: dram,
        write_B_per_s: dram,
        latency_s: 500 * NS,
        shared_port: false,
      }),
      store('l2', 'cache', 'machine', { capacity_B: o.l2_B ?? 1e6, latency_s: 100 * NS, shared_port: false }),
      store('shared', 'explicit', 'core', {
        read_B_per_s: (o.shared_B_per_cycle ?? 1e4) * 1e9,
        write_B_per_s: (o.shared_B_per_cycle ?? 1e4) * 1e9,
      }),
      store('register', 'explicit', 'core', {}),
    ],
    links: [
      {
        id: 'l2-shared',
        from: 'l2',
        to: 'shared',
        scope: 'core',
        B_per_s: o.link_B_per_s ?? 50e9,
        latency_s: 0,
        clocked: false,
        pJ_per_B: 1,
        in_flight_B: o.in_flight_B ?? Number.POSITIVE_INFINITY,
      },
      {
        id: 'peer',
        from: 'dram',
        to: 'peer',
        scope: 'machine',
        B_per_s: 10e9,
        latency_s: 1000 * NS,
        clocked: false,
        pJ_per_B: 1,
        in_flight_B: Number.POSITIVE_INFINITY,
      },
    ],
    units: [
      {
        id: 'matrix',
        mma: [
          {
            a: 'fp16',
            b: 'fp16',
            acc: 'fp32',
            macs_per_cycle: 1024,
            sparse_2_4: false,
            m: 16,
            n: 8,
            k: 16,
            lanes: 32,
            latency_cycles: o.matrix_latency_cycles ?? 0,
            operands: o.operands ?? 'shared',
            accumulator: 'register',
            pJ_per_MAC: 1,
          },
        ],
        math: {},
      },
      {
        id: 'vector',
        mma: [],
        math: {
          fma: rate(64, 4, 'fma'),
          add: rate(64, 4, 'fma'),
          mul: rate(64, 4, 'fma'),
          max: rate(64, 4, 'alu'),
          convert: rate(64, 4, 'alu'),
          exp2: rate(16, 20, 'special'),
          shuffle: rate(32, 10, 'shuffle'),
        },
      },
    ],
    cores: {
      count: o.cores ?? 1,
      cluster: 1,
      lane_group: 32,
      issue_groups: o.issue_groups ?? 1,
      max_workgroups: 16,
      max_lanes: 2048,
      max_lanes_per_workgroup: 1024,
      registers_B: 1e6,
      max_registers_per_lane_B: 1e5,
      register_granule_B: 1,
      shared_B: 1e6,
      shared_per_workgroup_B: 1e6,
      shared_reserved_B: 0,
      issue_per_cycle: 1e6,
    },
    control: {
      launch_graph_s: o.launch_s ?? 0,
      launch_eager_s: 3000 * NS,
      kernel_start_s: 0,
      kernel_drain_s: 0,
      dispatch_interval_s: o.dispatch_interval_s ?? 0,
      workgroup_start_cycles: o.workgroup_start_cycles ?? 0,
      barrier_cycles: o.barrier_cycles ?? 0,
      clock: { nominal_Hz: 1e9, min_Hz: 1e8, voltage_floor: 0.5 },
      power_cap_W: o.power_cap_W ?? 1e9,
      static_W: 1,
    },
    max_peers: 1,
  };
}
