/**
 * A CPU device as a resource graph. A core runs one workgroup at a time; its arithmetic is one pipe, and loads and stores
 * of lanes are one port, whatever cache they hit: the nearest that many cores share, or else DRAM, is where copies start.
 * Energy is static power alone.
 */
import { DTYPES, type DType } from '../base/dtype.js';
import { InputError, unknownName } from '../base/errors.js';
import type { Cpu } from './cpu-schema.js';
import {
  division,
  type Link,
  MATH_FNS,
  type MathFn,
  type MathRate,
  type MmaOp,
  type ResourceGraph,
  type Store,
  type Unit,
} from './graph.js';

const SPECIAL: ReadonlySet<string> = new Set(['exp2', 'log2', 'rcp', 'rsqrt', 'sqrt', 'sin', 'tanh']);
/** One pipe: functions of all kinds take turns. */
const PIPE = 'core';
const WORD_B = 4;

/** @throws InputError where fields contradict one another. */
export function lowerCpu(cpu: Cpu, file: string): ResourceGraph {
  checkCpu(cpu, file);
  const { core, launch, power } = cpu;
  return {
    name: cpu.name,
    title: cpu.title,
    family: cpu.family,
    stores: storesOf(cpu),
    links: linksOf(cpu),
    units: [vectorUnit(cpu, file)],
    cores: {
      count: core.count,
      cluster: 1,
      lane_group: core.simd,
      issue_groups: 1,
      max_workgroups: 1,
      max_lanes: core.max_lanes_per_workgroup,
      max_lanes_per_workgroup: core.max_lanes_per_workgroup,
      registers_B: core.registers * core.max_lanes_per_workgroup,
      max_registers_per_lane_B: core.registers,
      register_granule_B: WORD_B,
      shared_B: cpu.shared.capacity,
      shared_per_workgroup_B: cpu.shared.capacity,
      shared_reserved_B: 0,
      // instructions are counted by their pipes and ports; their slots never bind
      issue_per_cycle: Math.max(...Object.values(cpu.vector).map((v) => v.per_cycle)) / core.simd,
      serial: core.serial,
      in_order: { turn_cycles: core.turn, place_cycles: core.place },
    },
    control: {
      launch_graph_s: launch.graph,
      launch_eager_s: launch.eager,
      kernel_start_s: 0,
      kernel_drain_s: 0,
      dispatch_interval_s: 0,
      workgroup_start_cycles: core.workgroup_start,
      workgroup_start_group_cycles: core.group_start,
      barrier_cycles: core.barrier,
      barrier_group_cycles: core.group_barrier,
      clock: { nominal_Hz: cpu.clock.nominal, min_Hz: cpu.clock.nominal, voltage_floor: 1 },
      power_cap_W: power.cap,
      static_W: power.static,
    },
    max_peers: 1,
  };
}

const free = { read_pJ_per_B: 0, write_pJ_per_B: 0, slices: 1, sustained_fraction: 1 } as const;

function storesOf(cpu: Cpu): Store[] {
  const f = cpu.clock.nominal;
  const { dram, shared, core, caches, memory } = cpu;
  const groups = core.simd;
  const near = (a: Cpu['memory']['meeting']) => ({
    read_B_per_s: a.bandwidth * f,
    write_B_per_s: a.store_bandwidth * f,
    read_access_s: a.access / f,
    write_access_s: a.store_access / f,
  });
  return [
    {
      id: 'dram',
      scope: 'machine',
      role: 'home',
      capacity_B: dram.capacity,
      read_B_per_s: dram.bandwidth,
      write_B_per_s: dram.bandwidth,
      shared_port: true,
      clocked: false,
      latency_s: dram.latency,
      line_B: dram.line,
      sector_B: dram.line,
      banks: 1,
      atomics_per_s: memory.atomics * f * core.count,
      ...free,
    },
    ...Object.entries(caches)
      .reverse()
      .map(
        ([id, c]): Store => ({
          id,
          scope: c.of,
          role: 'cache',
          capacity_B: c.capacity,
          read_B_per_s: c.bandwidth * f * (c.of === 'machine' ? core.count : 1),
          write_B_per_s: c.bandwidth * f * (c.of === 'machine' ? core.count : 1),
          shared_port: true,
          clocked: true,
          latency_s: c.latency / f,
          line_B: dram.line,
          sector_B: dram.line,
          banks: 1,
          ...free,
        }),
      ),
    {
      id: 'shared',
      scope: 'core',
      role: 'explicit',
      capacity_B: shared.capacity,
      ...near(shared),
      meeting: near(shared.meeting),
      shared_port: true,
      clocked: true,
      latency_s: shared.latency / f,
      line_B: groups * WORD_B,
      sector_B: WORD_B,
      banks: 1,
      broadcast: shared.broadcast,
      ...free,
    },
    {
      id: 'register',
      scope: 'core',
      role: 'explicit',
      capacity_B: core.registers * core.max_lanes_per_workgroup,
      // two operands and a result of the fastest function
      read_B_per_s: 3 * fastest(cpu) * WORD_B * f,
      write_B_per_s: fastest(cpu) * WORD_B * f,
      shared_port: false,
      clocked: true,
      latency_s: 0,
      line_B: WORD_B,
      sector_B: WORD_B,
      banks: 1,
      ...free,
    },
  ];
}

const fastest = (cpu: Cpu): number => Math.max(...Object.values(cpu.vector).map((v) => v.per_cycle));

function linksOf(cpu: Cpu): Link[] {
  const f = cpu.clock.nominal;
  const { memory, shared, caches } = cpu;
  const levels = Object.entries(caches).reverse();
  const wide = levels.filter(([, c]) => c.of === 'machine').map(([id]) => id);
  const own = levels.filter(([, c]) => c.of === 'core').map(([id]) => id);
  const far = ['dram', ...wide];
  const near = far.at(-1)!;
  const free = { latency_s: 0, pJ_per_B: 0, in_flight_B: Number.POSITIVE_INFINITY };
  const core = { ...free, scope: 'core', clocked: true } as const;
  const port = { ...core, port: 'lanes' };
  const load = (a: Cpu['memory']['meeting']) => ({ B_per_s: a.bandwidth * f, access_s: a.access / f });
  const store = (a: Cpu['memory']['meeting']) => ({ B_per_s: a.store_bandwidth * f, access_s: a.store_access / f });
  const steps = [near, ...own, 'register'];
  return [
    ...far.slice(1).map((to, i): Link => {
      const from = far[i]!;
      return { id: `${from}-${to}`, from, to, scope: 'machine', clocked: false, ...free, B_per_s: cpu.dram.bandwidth };
    }),
    ...steps.slice(1).map((to, i): Link => {
      const from = steps[i]!;
      return { id: `${from}-${to}`, from, to, ...port, ...load(memory), meeting: load(memory.meeting) };
    }),
    { id: `register-${near}`, from: 'register', to: near, ...port, ...store(memory), meeting: store(memory.meeting) },
    // a copy is a load and a store of each lane
    { id: `${near}-shared`, from: near, to: 'shared', via: 'register', ...port, B_per_s: memory.bandwidth * f },
    { id: 'shared-register', from: 'shared', to: 'register', ...core, B_per_s: shared.bandwidth * f },
  ];
}

function vectorUnit(cpu: Cpu, file: string): Unit {
  const math: Record<string, MathRate> = {};
  const mma: MmaOp[] = [];
  for (const [name, { per_cycle }] of Object.entries(cpu.vector)) {
    const [fn, dtype] = mathKey(name, file);
    const latency_cycles = SPECIAL.has(fn) ? cpu.latency.special : cpu.latency.vector;
    math[dtype ? `${fn}:${dtype}` : fn] = { per_cycle, latency_cycles, pJ: 0, pipe: PIPE };
    if (fn !== 'fma') continue;
    const d = dtype ?? 'fp32';
    mma.push({
      a: d,
      b: d,
      acc: d === 'int8' ? 'int32' : d,
      macs_per_cycle: per_cycle,
      sparse_2_4: false,
      m: 1,
      n: 1,
      k: 1,
      lanes: 1,
      latency_cycles,
      operands: 'register',
      accumulator: 'register',
      pJ_per_MAC: 0,
    });
  }
  const divided = division(math);
  if (divided) math['div'] ??= divided;
  for (const fn of MATH_FNS) if (!math[fn]) throw new InputError(`vector has no rate for '${fn}'`, file);
  return { id: 'vector', mma, math };
}

/** "fma_fp16" → fma on fp16. */
function mathKey(name: string, file: string): [fn: MathFn, dtype?: DType] {
  const split = name.indexOf('_');
  const fn = split < 0 ? name : name.slice(0, split);
  if (!(MATH_FNS as readonly string[]).includes(fn))
    throw unknownName('math function', fn, MATH_FNS, `${file}: vector.${name}`);
  if (split < 0) return [fn as MathFn];
  const dtype = name.slice(split + 1);
  if (!(DTYPES as readonly string[]).includes(dtype))
    throw unknownName('dtype', dtype, DTYPES, `${file}: vector.${name}`);
  return [fn as MathFn, dtype as DType];
}

function checkCpu({ caches, dram, power }: Cpu, file: string): void {
  let last: [string, Cpu['caches'][string]] | undefined;
  for (const [id, c] of Object.entries(caches)) {
    if (last && c.capacity < last[1].capacity)
      throw new InputError(`caches.${id} is smaller than caches.${last[0]}, which is nearer`, file);
    if (last?.[1].of === 'machine' && c.of === 'core')
      throw new InputError(`caches.${id} is a core's, caches.${last[0]}, which is nearer, the machine's`, file);
    if (c.capacity > dram.capacity) throw new InputError(`caches.${id}.capacity is above dram.capacity`, file);
    last = [id, c];
  }
  if (power.static >= power.cap) throw new InputError('power.static is not below power.cap', file);
}
