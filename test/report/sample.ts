/** A small machine and simulation results of the documented shape, computed from simple rules, for tests of reports. */
import type { ResourceGraph, Store } from '../../src/machine/graph.js';
import type { Assumption, Sweep, SweepPoint } from '../../src/report/model.js';
import type { SimulationJson, SimulationOp } from '../../src/report/simulation.js';

function store(id: string, scope: Store['scope'], role: Store['role'], B_per_s: number, pJ_per_B: number): Store {
  return {
    id,
    scope,
    role,
    capacity_B: 1e9,
    read_B_per_s: B_per_s,
    write_B_per_s: B_per_s,
    shared_port: true,
    clocked: id !== 'dram',
    latency_s: 5e-7,
    line_B: 128,
    sector_B: 32,
    banks: 32,
    slices: 1,
    sustained_fraction: id === 'dram' ? 0.92 : 1,
    read_pJ_per_B: pJ_per_B,
    write_pJ_per_B: pJ_per_B,
  };
}

/** H100-like rates by default; `scale` makes another machine. */
export function sampleMachine(name = 'sample-100', scale = 1): ResourceGraph {
  const mma = (a: 'fp16' | 'bf16' | 'tf32' | 'fp8_e4m3' | 'fp64' | 'int8', macs: number) => ({
    a,
    b: a,
    acc: a === 'int8' ? ('int32' as const) : ('fp32' as const),
    macs_per_cycle: macs,
    sparse_2_4: true,
    m: 64,
    n: 256,
    k: 16,
    lanes: 128,
    latency_cycles: 128,
    operands: 'shared' as const,
    accumulator: 'register' as const,
    pJ_per_MAC: 0.98,
  });
  return {
    name,
    title: `Sample ${name}`,
    family: 'gpu',
    stores: [
      store('dram', 'machine', 'home', 3.35e12 * scale, 93),
      store('l2', 'machine', 'cache', 5.5e12 * scale, 39),
      store('shared', 'core', 'explicit', 2.5e11 * scale, 7),
      store('register', 'core', 'explicit', 1e13, 0.4),
    ],
    links: [],
    units: [
      {
        id: 'tensor',
        mma: [
          mma('fp16', 2048),
          mma('bf16', 2048),
          mma('tf32', 1024),
          mma('fp8_e4m3', 4096),
          mma('int8', 4096),
          mma('fp64', 128),
        ],
        math: {},
      },
      { id: 'vector', mma: [], math: { fma: { per_cycle: 128, latency_cycles: 4, pJ: 11.6, pipe: 'fma' } } },
    ],
    cores: {
      count: 132,
      cluster: 2,
      lane_group: 32,
      issue_groups: 4,
      max_workgroups: 32,
      max_lanes: 2048,
      max_lanes_per_workgroup: 1024,
      registers_B: 262144,
      max_registers_per_lane_B: 1020,
      register_granule_B: 32,
      shared_B: 233472,
      shared_per_workgroup_B: 232448,
      shared_reserved_B: 1024,
      issue_per_cycle: 4,
    },
    control: {
      launch_graph_s: 1e-6,
      launch_eager_s: 3e-6,
      kernel_start_s: 1e-6,
      kernel_drain_s: 5e-7,
      dispatch_interval_s: 1e-8,
      workgroup_start_cycles: 100,
      barrier_cycles: 20,
      clock: { nominal_Hz: 1.83e9 * scale, min_Hz: 3.45e8, voltage_floor: 0.4 },
      power_cap_W: 700,
      static_W: 90,
    },
    max_peers: 8,
  } as ResourceGraph;
}

/** Shape of an op: what it does and moves, of one repeat. */
interface Demand {
  readonly name: string;
  readonly kind: string;
  readonly kernel: string;
  readonly repeat: number;
  readonly flops: number;
  readonly dram_B: number;
  readonly phase?: string;
}

/** A transformer of 32 layers: `rows` tokens at once; decode when few, prefill when many. */
export function demands(rows: number, context = 2048): Demand[] {
  const d = 4096;
  const ff = 11008;
  const product = (name: string, n: number, k: number, repeat = 32): Demand => ({
    name,
    kind: 'matmul',
    kernel: 'gemm',
    repeat,
    flops: 2 * rows * n * k,
    dram_B: 2 * (n * k + rows * (n + k)),
  });
  const rowwise = (name: string, kind: string, repeat: number, per: number, flops: number): Demand => ({
    name,
    kind,
    kernel: kind,
    repeat,
    flops: flops * rows * per,
    dram_B: 4 * rows * per,
  });
  return [
    { name: 'embedding', kind: 'gather', kernel: 'gather', repeat: 1, flops: 0, dram_B: 4 * rows * d },
    rowwise('layer.attention.norm', 'normalise', 32, d, 4),
    product('layer.attention.qkv_proj', 3 * d, d),
    rowwise('layer.attention.rotary', 'rotary', 32, 2 * d, 3),
    {
      name: 'layer.attention.kv_append',
      kind: 'kv_append',
      kernel: 'kv_append',
      repeat: 32,
      flops: 0,
      dram_B: 8 * rows * d,
    },
    {
      name: 'layer.attention.core',
      kind: 'attention',
      kernel: 'attention_fused',
      repeat: 32,
      flops: 4 * rows * context * d * (rows > 64 ? 0.5 : 1),
      dram_B: 4 * context * d * Math.max(1, rows > 64 ? 1 : rows) + 4 * rows * d,
    },
    product('layer.attention.o_proj', d, d),
    rowwise('layer.mlp.norm', 'normalise', 32, d, 5),
    product('layer.mlp.gate_up_proj', 2 * ff, d),
    rowwise('layer.mlp.activation', 'elementwise', 32, ff, 1),
    product('layer.mlp.down_proj', d, ff),
    rowwise('final.norm', 'normalise', 1, d, 4),
    product('lm_head', 32000, d, 1),
  ];
}

/** Times, energies and bounds of `ops` on `machine` by the plainest rules; sums are kept. */
export function sampleSimulation(
  machine: ResourceGraph = sampleMachine(),
  ops: readonly Demand[] = demands(16),
  workload = 'sample-7b:decode,batch=16',
): SimulationJson {
  const [dram, l2, shared] = machine.stores as [Store, Store, Store];
  const results: SimulationOp[] = ops.map((op) => {
    const matrix = ['matmul', 'attention'].includes(op.kind);
    const peak = (matrix ? 2 * 2048 : 2 * 128) * machine.cores.count * machine.control.clock.nominal_Hz;
    const moved = { dram: op.dram_B, l2: op.dram_B * 1.6, shared: op.dram_B * 1.1 + op.flops / 64 };
    const busy: Record<string, number> = {
      dram: op.dram_B / (dram.read_B_per_s * 0.92),
      l2: moved.l2 / l2.read_B_per_s,
      shared: moved.shared / (shared.read_B_per_s * machine.cores.count),
      [matrix ? 'matrix' : 'vector']: op.flops / (peak * 0.8),
    };
    const [resource, longest] = Object.entries(busy).sort((a, b) => b[1] - a[1])[0]!;
    const launch_s = 2.5e-6;
    const time_s = launch_s + longest * 1.06;
    const energy_by_part_J: Record<string, number> = {
      matrix: matrix ? (op.flops / 2) * 0.98e-12 : 0,
      vector: matrix ? 0 : op.flops * 11.6e-12,
      register: op.flops * 0.05e-12,
      shared: moved.shared * 7e-12,
      l2: moved.l2 * 39e-12,
      dram: moved.dram * 93e-12,
      static: machine.control.static_W * time_s,
    };
    const energy_J = sum(Object.values(energy_by_part_J));
    return {
      name: op.name,
      kind: op.kind,
      ...(op.phase ? { phase: op.phase } : {}),
      kernel: op.kernel,
      tile: (matrix ? { m: 128, n: 256, k: 64, stages: 4 } : { rows: 4 }) as Record<string, number>,
      repeat: op.repeat,
      time_s,
      launch_s,
      energy_J,
      power_W: energy_J / time_s,
      flops: op.flops,
      flops_executed: op.flops * 1.02,
      requested_B: { dram: op.dram_B, shared: moved.shared },
      moved_B: moved,
      bound_by: longest < launch_s ? 'launch' : resource,
      roof_fraction: longest / time_s,
      bound_s: longest,
      energy_by_part_J,
      clock_Hz: machine.control.clock.nominal_Hz,
      busy_s: busy,
    };
  });
  const total = (f: (op: SimulationOp) => number) => results.reduce((s, op) => s + f(op) * op.repeat, 0);
  const each = (f: (op: SimulationOp) => Readonly<Record<string, number>>) => {
    const keys = [...new Set(results.flatMap((op) => Object.keys(f(op))))];
    return Object.fromEntries(keys.map((key) => [key, total((op) => f(op)[key] ?? 0)]));
  };
  const causes = new Map<string, number>();
  for (const op of results) causes.set(op.bound_by, (causes.get(op.bound_by) ?? 0) + op.time_s * op.repeat);
  const time_s = total((op) => op.time_s);
  const energy_J = total((op) => op.energy_J);
  return {
    machine: machine.name,
    workload,
    fidelity: 'steady',
    devices: 1,
    time_s,
    launch_s: total((op) => op.launch_s),
    energy_J,
    power_W: energy_J / time_s,
    flops: total((op) => op.flops),
    flops_executed: total((op) => op.flops_executed),
    requested_B: each((op) => op.requested_B),
    moved_B: each((op) => op.moved_B),
    bound_by: [...causes].sort((a, b) => b[1] - a[1])[0]![0],
    roof_fraction: total((op) => op.bound_s!) / time_s,
    bound_s: total((op) => op.bound_s!),
    energy_by_part_J: each((op) => op.energy_by_part_J),
    produces: { unit: 'token', count: 16, per_s: 16 / time_s, energy_J_each: energy_J / 16 },
    warnings: [],
    ops: results,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

export const ASSUMPTIONS: Assumption[] = [
  {
    path: 'dram.bandwidth',
    value: 3.35e12,
    unit: 'B/s',
    text: '3.35 TB/s',
    from: 'datasheet',
    source: 'Sample datasheet, page 3',
  },
  { path: 'dram.sustained', value: 0.92, unit: '', text: '92 %', from: 'measured', source: 'Stream triad' },
  {
    path: 'launch.graph',
    value: 1e-6,
    unit: 's',
    text: '1 us',
    from: 'assumed',
    source: 'Order of a captured graph’s node',
  },
];

/** A grid of bandwidth by core count with an interior front. */
export function sampleSweep(): Sweep {
  const points: Omit<SweepPoint, 'on_front'>[] = [];
  for (let i = 0; i < 8; i++)
    for (let j = 0; j < 8; j++) {
      const cores = 60 + 24 * i;
      const bandwidth = 1e12 * (1.5 + 0.6 * j);
      const time_s = 1e-3 * (Math.max(132 / cores, 3.35e12 / bandwidth) + 0.15 * (132 / cores));
      const energy_J = 0.4 + 0.0016 * cores + 0.05 * (bandwidth / 1e12) ** 1.3 * time_s * 1e3;
      points.push({
        id: `${8 * i + j}`,
        config: { 'sm.count': cores, 'dram.bandwidth': bandwidth, 'map[x]': `t${j}` },
        values: { time: time_s, energy: energy_J },
      });
    }
  const front = (p: (typeof points)[number]) =>
    !points.some(
      (q) =>
        q.values['time']! <= p.values['time']! &&
        q.values['energy']! <= p.values['energy']! &&
        (q.values['time']! < p.values['time']! || q.values['energy']! < p.values['energy']!),
    );
  return {
    name: 'sample space',
    objectives: [
      { key: 'time', label: 'time', unit: 's', goal: 'min' },
      { key: 'energy', label: 'energy', unit: 'J', goal: 'min' },
    ],
    points: points.map((p) => ({ ...p, on_front: front(p) })),
    failed: 3,
  };
}
