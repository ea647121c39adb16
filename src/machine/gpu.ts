/**
 * A GPU as a resource graph. Stores dram → l2 → l1/shared → register; latencies are of a whole load from the SM, so
 * links add none. An SM's port to L2 is shared by loads into L1 and asynchronous copies into shared memory.
 */
import { DTYPES, type DType } from '../base/dtype.js';
import { InputError, unknownName } from '../base/errors.js';
import type { Gpu } from './gpu-schema.js';
import {
  type Cores,
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

/** @throws InputError where fields contradict one another. */
export function lowerGpu(gpu: Gpu, file: string): ResourceGraph {
  checkGpu(gpu, file);
  return {
    name: gpu.name,
    title: gpu.title,
    family: gpu.family,
    stores: storesOf(gpu),
    links: linksOf(gpu),
    units: [matrixUnit(gpu, file), vectorUnit(gpu, file)],
    cores: coresOf(gpu),
    control: {
      launch_graph_s: gpu.launch.graph,
      launch_eager_s: gpu.launch.eager,
      kernel_start_s: gpu.launch.start,
      kernel_drain_s: gpu.launch.drain,
      dispatch_interval_s: gpu.launch.dispatch_interval,
      workgroup_start_cycles: gpu.sm.block_start,
      barrier_cycles: gpu.sm.barrier,
      clock: { nominal_Hz: gpu.clock.boost, min_Hz: gpu.clock.min, voltage_floor: gpu.clock.voltage_floor },
      power_cap_W: gpu.tdp,
      static_W: gpu.energy.static,
    },
    ...(gpu.price !== undefined && { price_USD: gpu.price }),
    ...(gpu.die_area !== undefined && { die_area_mm2: gpu.die_area }),
    max_peers: gpu.peer.max_devices,
  };
}

function storesOf(gpu: Gpu): Store[] {
  const { sm, dram, l2, l1, shared, energy } = gpu;
  const f = gpu.clock.boost;
  const pool = { id: 'near', capacity_B: l1.capacity };
  /** Control is paid in full, data by the bits that toggle. */
  const pJ = (control: number, data: number) => control + energy.activity * data;
  const both = (value: number) => ({ read_pJ_per_B: value, write_pJ_per_B: value });
  // each scheduler reads three 32-bit operands and writes one for each lane of a warp
  const operand_B_per_s = sm.schedulers * sm.warp * 4 * f;
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
      latency_s: dram.latency / f,
      line_B: l2.line,
      sector_B: dram.burst,
      banks: dram.banks,
      slices: dram.channels,
      sustained_fraction: dram.achievable,
      mixed_fraction: dram.achievable_mixed,
      ...both(pJ(energy.dram_control, energy.dram)),
    },
    {
      id: 'l2',
      scope: 'machine',
      role: 'cache',
      capacity_B: l2.capacity,
      read_B_per_s: l2.bandwidth * f,
      write_B_per_s: l2.write_bandwidth * f,
      shared_port: true,
      clocked: true,
      latency_s: l2.latency / f,
      ...(l2.far_extra !== undefined &&
        l2.far_share !== undefined && { far: { extra_latency_s: l2.far_extra / f, share: l2.far_share } }),
      line_B: l2.line,
      sector_B: l2.sector,
      banks: 1,
      slices: l2.slices,
      sustained_fraction: 1,
      ...both(pJ(energy.l2_control, energy.l2)),
    },
    {
      id: 'l1',
      scope: 'core',
      role: 'cache',
      capacity_B: l1.capacity,
      pool,
      read_B_per_s: l1.bandwidth * f,
      write_B_per_s: l1.bandwidth * f,
      shared_port: true,
      clocked: true,
      latency_s: l1.latency / f,
      line_B: l1.line,
      sector_B: l1.sector,
      banks: shared.banks,
      slices: 1,
      sustained_fraction: 1,
      ...both(pJ(0, energy.l1)),
    },
    {
      id: 'shared',
      scope: 'core',
      role: 'explicit',
      capacity_B: shared.capacity,
      pool,
      read_B_per_s: shared.bandwidth * f,
      write_B_per_s: shared.bandwidth * f,
      shared_port: true,
      clocked: true,
      latency_s: shared.latency / f,
      line_B: shared.bandwidth,
      sector_B: 4,
      banks: shared.banks,
      slices: 1,
      sustained_fraction: 1,
      ...both(pJ(0, energy.shared)),
    },
    {
      id: 'register',
      scope: 'core',
      role: 'explicit',
      capacity_B: sm.registers,
      read_B_per_s: 3 * operand_B_per_s,
      write_B_per_s: operand_B_per_s,
      shared_port: false,
      clocked: true,
      latency_s: 0,
      line_B: 4,
      sector_B: 4,
      banks: sm.schedulers,
      slices: 1,
      sustained_fraction: 1,
      ...both(pJ(0, energy.register)),
    },
    ...farStores(gpu),
  ];
}

/** The host's memory and its disk, where they are described. Their own energy is not the device's. */
function farStores({ host, l2, dram }: Gpu): Store[] {
  const far = {
    scope: 'machine',
    role: 'far',
    shared_port: false,
    clocked: false,
    line_B: l2.line,
    sector_B: dram.burst,
    banks: 1,
    slices: 1,
    sustained_fraction: 1,
    read_pJ_per_B: 0,
    write_pJ_per_B: 0,
  } as const;
  const { memory, disk } = host;
  const stores: Store[] = [];
  if (memory)
    stores.push({
      ...far,
      id: 'host',
      capacity_B: memory.capacity,
      read_B_per_s: memory.bandwidth,
      write_B_per_s: memory.bandwidth,
      latency_s: 0,
    });
  if (disk)
    stores.push({
      ...far,
      id: 'disk',
      capacity_B: disk.capacity,
      read_B_per_s: disk.bandwidth,
      write_B_per_s: disk.write_bandwidth,
      latency_s: disk.latency,
    });
  return stores;
}

function linksOf(gpu: Gpu): Link[] {
  const { dram, l2, l1, shared, peer, host, energy } = gpu;
  const f = gpu.clock.boost;
  const free = { latency_s: 0, pJ_per_B: 0, in_flight_B: Number.POSITIVE_INFINITY };
  const sm = { scope: 'core', clocked: true } as const;
  const port = { ...free, ...sm, B_per_s: l2.port * f, in_flight_B: l1.in_flight, port: 'l2' };
  const device = { scope: 'machine', clocked: false, in_flight_B: Number.POSITIVE_INFINITY } as const;
  return [
    { id: 'dram-l2', from: 'dram', to: 'l2', ...device, ...free, B_per_s: dram.bandwidth },
    { id: 'l2-l1', from: 'l2', to: 'l1', ...port },
    { id: 'l2-shared', from: 'l2', to: 'shared', ...port, ...(!shared.async_copy && { via: 'register' }) },
    {
      id: 'l1-register',
      from: 'l1',
      to: 'register',
      ...free,
      ...sm,
      B_per_s: l1.bandwidth * f,
      pJ_per_B: energy.l1_control,
    },
    {
      id: 'shared-register',
      from: 'shared',
      to: 'register',
      ...free,
      ...sm,
      B_per_s: shared.bandwidth * f,
      pJ_per_B: energy.shared_control,
    },
    {
      id: 'peer',
      from: 'dram',
      to: 'peer',
      ...device,
      B_per_s: peer.bandwidth,
      latency_s: peer.latency,
      pJ_per_B: energy.peer,
    },
    {
      id: 'host',
      from: 'dram',
      to: 'host',
      ...device,
      B_per_s: host.bandwidth * (host.achievable ?? 1),
      latency_s: host.latency,
      pJ_per_B: energy.host,
    },
    ...(host.disk
      ? [
          {
            id: 'disk',
            from: 'host',
            to: 'disk',
            ...device,
            ...free,
            B_per_s: Math.max(host.disk.bandwidth, host.disk.write_bandwidth),
          },
        ]
      : []),
  ];
}

function matrixUnit(gpu: Gpu, file: string): Unit {
  const mma: MmaOp[] = [];
  for (const [name, t] of Object.entries(gpu.tensor)) {
    const pJ_per_MAC = gpu.energy.mac[t.a];
    if (pJ_per_MAC === undefined)
      throw new InputError(`energy.mac has no entry for '${t.a}', the operand dtype of tensor.${name}`, file);
    mma.push({
      a: t.a,
      b: t.b,
      acc: t.acc,
      macs_per_cycle: t.macs_per_cycle,
      sparse_2_4: t.sparse_2_4,
      m: t.m,
      n: t.n,
      k: t.k,
      ...(t.n_step !== undefined && { n_step: t.n_step }),
      lanes: t.threads,
      latency_cycles: t.latency,
      operands: t.operands,
      accumulator: t.accumulator,
      pJ_per_MAC,
    });
  }
  return { id: 'matrix', mma, math: {}, ...(gpu.tensor_memory !== undefined && { accumulator_B: gpu.tensor_memory }) };
}

/** "fma_fp16" → fma on fp16; "fma" → fma on anything without a rate of its own. */
function mathKey(name: string, file: string): { fn: MathFn; dtype?: DType } {
  const split = name.indexOf('_');
  const fn = split < 0 ? name : name.slice(0, split);
  if (!(MATH_FNS as readonly string[]).includes(fn))
    throw unknownName('math function', fn, MATH_FNS, `${file}: vector.${name}`);
  if (split < 0) return { fn: fn as MathFn };
  const dtype = name.slice(split + 1);
  if (!(DTYPES as readonly string[]).includes(dtype))
    throw unknownName('dtype', dtype, DTYPES, `${file}: vector.${name}`);
  return { fn: fn as MathFn, dtype: dtype as DType };
}

function vectorUnit(gpu: Gpu, file: string): Unit {
  const math: Record<string, MathRate> = {};
  const mma: MmaOp[] = [];
  for (const [name, v] of Object.entries(gpu.vector)) {
    const { fn, dtype } = mathKey(name, file);
    const pJ = gpu.energy.op[name] ?? gpu.energy.op[v.pipe];
    if (pJ === undefined)
      throw new InputError(`energy.op has no entry for '${name}' nor for its pipe '${v.pipe}'`, file);
    const latency_cycles = gpu.pipe_latency[v.pipe];
    if (latency_cycles === undefined)
      throw new InputError(`pipe_latency has no entry for '${v.pipe}', the pipe of vector.${name}`, file);
    math[dtype ? `${fn}:${dtype}` : fn] = { per_cycle: v.per_cycle, latency_cycles, pJ, pipe: v.pipe };
    // plain multiply–adds do matrix products too, one per lane; the rate without a dtype is that of fp32
    if (fn === 'fma') {
      const d = dtype ?? 'fp32';
      const scalar = { m: 1, n: 1, k: 1, lanes: 1, sparse_2_4: false } as const;
      mma.push({
        a: d,
        b: d,
        acc: d,
        macs_per_cycle: v.per_cycle,
        ...scalar,
        latency_cycles,
        operands: 'register',
        accumulator: 'register',
        pJ_per_MAC: pJ,
      });
    }
  }
  const divided = division(math);
  if (divided) math['div'] ??= divided;
  for (const fn of MATH_FNS) if (!math[fn]) throw new InputError(`vector has no rate for '${fn}'`, file);
  return { id: 'vector', mma, math };
}

function coresOf({ sm, shared }: Gpu): Cores {
  return {
    count: sm.count,
    cluster: sm.per_cluster,
    ...(sm.multicast !== undefined && { multicast: sm.multicast }),
    ...(sm.co_issue !== undefined && { co_issue: sm.co_issue }),
    lane_group: sm.warp,
    issue_groups: sm.schedulers,
    max_workgroups: sm.max_blocks,
    max_lanes: sm.max_threads,
    max_lanes_per_workgroup: sm.max_threads_per_block,
    registers_B: sm.registers,
    max_registers_per_lane_B: sm.max_registers_per_thread,
    register_granule_B: sm.register_granule,
    shared_B: shared.capacity,
    shared_per_workgroup_B: shared.per_block,
    shared_reserved_B: shared.reserved,
    issue_per_cycle: sm.schedulers,
  };
}

/** Fields that must not contradict one another. */
function checkGpu(gpu: Gpu, file: string): void {
  const { clock, shared, l1, l2, sm, dram, energy, tdp } = gpu;
  const rules: [boolean, string][] = [
    [clock.min <= clock.base, 'clock.min is above clock.base'],
    [clock.base <= clock.boost, 'clock.base is above clock.boost'],
    [shared.per_block <= shared.capacity, 'shared.per_block is above shared.capacity'],
    [shared.capacity <= l1.capacity, 'shared.capacity is above l1.capacity, the pool that both share'],
    [sm.max_threads_per_block <= sm.max_threads, 'sm.max_threads_per_block is above sm.max_threads'],
    [sm.max_registers_per_thread <= sm.registers, 'sm.max_registers_per_thread is above sm.registers'],
    [
      (l2.far_extra === undefined) === (l2.far_share === undefined),
      'l2.far_extra and l2.far_share must stand together',
    ],
    [l2.capacity <= dram.capacity, 'l2.capacity is above dram.capacity'],
    [energy.static < tdp, 'energy.static is not below tdp'],
    [dram.achievable_mixed <= dram.achievable, 'dram.achievable_mixed is above dram.achievable'],
  ];
  for (const [fine, message] of rules) if (!fine) throw new InputError(message, file);
}
