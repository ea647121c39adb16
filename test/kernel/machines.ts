/** Machines for kernel tests: every shipped GPU, and small hand-made graphs of each way of multiplying. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DType } from '../../src/base/dtype.js';
import type { Link, MathRate, MmaOp, ResourceGraph, Store } from '../../src/machine/graph.js';
import { loadMachine } from '../../src/machine/load.js';

const GPUS = 'arch/gpu';

/** Resource graphs of all descriptions under arch/gpu, by file name. */
export async function shippedMachines(): Promise<ResourceGraph[]> {
  const files = readdirSync(GPUS)
    .filter((f) => f.endsWith('.json'))
    .sort();
  return Promise.all(files.map((f) => shippedMachine(f.replace(/\.json$/, ''))));
}

export async function shippedMachine(name: string): Promise<ResourceGraph> {
  const file = join(GPUS, `${name}.json`);
  const resolveExtends = async (extended: string) => {
    for (const folder of [GPUS, 'arch/components']) {
      const path = join(folder, `${extended}.json`);
      try {
        return { text: readFileSync(path, 'utf8'), file: path };
      } catch {}
    }
    throw new Error(`no description '${extended}' to extend`);
  };
  return (await loadMachine(readFileSync(file, 'utf8'), { file, resolveExtends })).graph;
}

const store = (id: string, role: Store['role'], scope: Store['scope'], capacity_B: number): Store => ({
  id,
  scope,
  role,
  capacity_B,
  read_B_per_s: 1e12,
  write_B_per_s: 1e12,
  shared_port: true,
  clocked: true,
  latency_s: 1e-7,
  line_B: 128,
  sector_B: 32,
  banks: 32,
  slices: 1,
  sustained_fraction: 0.9,
  read_pJ_per_B: 1,
  write_pJ_per_B: 1,
});
const link = (from: string, to: string, via?: string): Link => ({
  id: `${from}-${to}`,
  from,
  to,
  scope: 'core',
  B_per_s: 1e11,
  latency_s: 1e-7,
  clocked: true,
  pJ_per_B: 0,
  in_flight_B: Number.POSITIVE_INFINITY,
  ...(via && { via }),
});
const instruction = (a: DType, b: DType, acc: DType, lanes: number, size: [number, number, number]): MmaOp => ({
  a,
  b,
  acc,
  macs_per_cycle: 1024,
  sparse_2_4: false,
  m: size[0],
  n: size[1],
  k: size[2],
  lanes,
  latency_cycles: 32,
  operands: lanes > 32 ? 'shared' : 'register',
  accumulator: 'register',
  pJ_per_MAC: 0.3,
});
const rate: MathRate = { per_cycle: 64, latency_cycles: 4, pJ: 1, pipe: 'fma' };

export interface SketchOptions {
  readonly name: string;
  readonly mma?: readonly MmaOp[];
  readonly shared_B?: number;
  readonly lane_group?: number;
  readonly cores?: number;
  /** Copies into shared memory pass the registers. */
  readonly viaRegisters?: boolean;
}

/** A GPU-like graph with round numbers: what a kernel may ask of a machine, and no more. */
export function sketch(o: SketchOptions): ResourceGraph {
  const shared_B = o.shared_B ?? 160 * 1024;
  return {
    name: o.name,
    title: o.name,
    family: 'sketch',
    stores: [
      store('dram', 'home', 'machine', 1e10),
      store('l2', 'cache', 'machine', 4e7),
      store('shared', 'explicit', 'core', shared_B),
      store('register', 'explicit', 'core', 262144),
    ],
    links: [
      link('dram', 'l2'),
      link('l2', 'shared', o.viaRegisters ? 'register' : undefined),
      link('shared', 'register'),
    ],
    units: [
      { id: 'matrix', mma: o.mma ?? [], math: {} },
      {
        id: 'vector',
        mma: (['fp32', 'fp64'] as const).map((d) => ({ ...instruction(d, d, d, 1, [1, 1, 1]), macs_per_cycle: 64 })),
        math: Object.fromEntries(
          ['fma', 'add', 'mul', 'max', 'select', 'convert', 'int', 'exp2', 'rcp', 'tanh'].map((fn) => [fn, rate]),
        ),
      },
    ],
    cores: {
      count: o.cores ?? 100,
      cluster: 1,
      lane_group: o.lane_group ?? 32,
      issue_groups: 4,
      max_workgroups: 32,
      max_lanes: 2048,
      max_lanes_per_workgroup: 1024,
      registers_B: 262144,
      max_registers_per_lane_B: 1020,
      register_granule_B: 32,
      shared_B,
      shared_per_workgroup_B: shared_B - 1024,
      shared_reserved_B: 1024,
      issue_per_cycle: 4,
    },
    control: {
      launch_graph_s: 1e-6,
      launch_eager_s: 5e-6,
      kernel_start_s: 1e-6,
      kernel_drain_s: 1e-6,
      dispatch_interval_s: 1e-9,
      workgroup_start_cycles: 100,
      barrier_cycles: 20,
      clock: { nominal_Hz: 1e9, min_Hz: 5e8, voltage_floor: 0.5 },
      power_cap_W: 400,
      static_W: 50,
    },
    max_peers: 8,
  };
}

const warp = (a: DType, b: DType, acc: DType, k: number) => instruction(a, b, acc, 32, [16, 8, k]);
const group = (a: DType, b: DType, acc: DType, k: number) => instruction(a, b, acc, 128, [64, 256, k]);

/** Matrix instructions of lane groups, operands in registers; formats from fp16 to int8. */
export const WARPS = sketch({
  name: 'warps',
  mma: [
    warp('fp16', 'fp16', 'fp32', 16),
    warp('bf16', 'bf16', 'fp32', 16),
    warp('tf32', 'tf32', 'fp32', 8),
    warp('int8', 'int8', 'int32', 32),
  ],
});
/** The first generation: fp16 only, little shared memory, copies through registers. */
export const OLD_WARPS = sketch({
  name: 'old-warps',
  mma: [warp('fp16', 'fp16', 'fp32', 8)],
  shared_B: 64 * 1024,
  viaRegisters: true,
});
/** Groups of 128 lanes that multiply straight from shared memory; fp8 too. */
export const WARPGROUPS = sketch({
  name: 'warpgroups',
  mma: [
    group('fp16', 'fp16', 'fp32', 16),
    group('bf16', 'bf16', 'fp32', 16),
    group('fp8_e4m3', 'fp8_e4m3', 'fp32', 32),
    group('int8', 'int8', 'int32', 32),
  ],
  shared_B: 228 * 1024,
});
/** A matrix unit with an accumulator store of its own; 4-bit formats too. */
export const OWN = sketch({
  name: 'own-accumulator',
  mma: (['fp16', 'bf16', 'fp8_e4m3', 'nvfp4'] as const).map((d) => ({
    ...instruction(d, d, 'fp32', 128, [128, 256, d === 'nvfp4' ? 64 : 16]),
    accumulator: 'own' as const,
  })),
  shared_B: 228 * 1024,
});
/** No matrix instructions, narrow lane groups. */
export const LANES_ONLY = sketch({ name: 'lanes-only', lane_group: 8, shared_B: 32 * 1024, cores: 4 });

export const SKETCHES: readonly ResourceGraph[] = [WARPS, OLD_WARPS, WARPGROUPS, OWN, LANES_ONLY];
