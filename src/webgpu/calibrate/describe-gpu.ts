/**
 * A GPU as a description of family `gpu`. WebGPU shows neither clock nor registers, matrix units, DRAM or power: those
 * are assumed, each with its reasoning, and a user who knows the card overrides them.
 */
import type { Json } from '../../base/json.js';
import { both, type Calibration, type CalibrationInfo, Writer, wholeBytes } from './describe.js';
import type { Figure } from './measure.js';
import type { Measured } from './run.js';

const WIDE_B = 16;
const WORD_B = 4;
/** Cycles from an integer instruction to a dependent one, on NVIDIA GPUs since Volta (Jia et al. 2018). */
const DEPENDENT = 4;
const PIPES: Readonly<Record<string, string>> = {
  fma: 'fma',
  add: 'fma',
  mul: 'fma',
  max: 'alu',
  select: 'alu',
  convert: 'alu',
  int: 'alu',
  shuffle: 'lsu',
};
/** A usual workgroup: what barriers are stated for. */
const USUAL_LANES = 256;
const SPECIAL_PIPE = 'special';

export function describeGpu({ setup, figures, memory }: Measured, { name, date }: CalibrationInfo): Calibration {
  const { info, group } = setup;
  const w = new Writer(`microbenchmarks on ${info.name}, ${date}`);
  const f = (key: string): Figure => {
    const figure = figures[key];
    if (!figure) throw new RangeError(`no figure '${key}'`);
    return figure;
  };
  const limit = (key: string, otherwise: number) => info.limits[key] ?? otherwise;
  // `clock` holds a dependent integer operation
  const cycle = f('clock').value / DEPENDENT;
  const cycles = (path: string, s: Figure, note?: string) =>
    w.measured(path, s.value / cycle, both(s, f('clock')), note);
  const perCycle = (path: string, s: Figure, amount: number, note?: string) =>
    w.measured(path, (amount * cycle) / s.value, both(s, f('clock')), note);
  const cores = f('cores');
  const lanes = limit('maxComputeInvocationsPerWorkgroup', 256);
  const storage = limit('maxComputeWorkgroupStorageSize', 16384);

  const vector: Record<string, Json> = {};
  for (const key of Object.keys(figures)) {
    const [, fn] = /^math (\w+)$/.exec(key) ?? [];
    if (!fn) continue;
    const pipe = PIPES[fn.split('_')[0]!] ?? SPECIAL_PIPE;
    vector[fn] = { per_cycle: perCycle(`vector.${fn}.per_cycle`, f(key), group), pipe };
  }
  const meet = {
    value: f('near load 1').value + f('near store 1').value,
    ...both(f('near load 1'), f('near store 1')),
  };
  vector['shuffle'] = {
    per_cycle: perCycle('vector.shuffle.per_cycle', meet, group, 'a store to and a load from workgroup memory'),
    pipe: 'lsu',
  };

  const meeting = {
    value: Math.max(cycle, f('barrier').value + (f('barrier group').value * USUAL_LANES) / group),
    ...both(f('barrier'), f('barrier group')),
  };

  const levels = memory.levels;
  const far = levels.at(-1)!;
  const near = levels[0]!;
  const wide = levels.length > 2 ? levels[1]! : near;
  const near_B = levels.length > 2 ? Math.max(near.capacity_B!, storage) : 128 * 1024;
  const wide_B = wide.capacity_B ?? 4 << 20;
  const dram_B = Math.max(limit('maxBufferSize', 1 << 30), 2 * wide_B);
  const port = (WIDE_B * group * cycle) / f('load 4').value;
  const clock_Hz = 1 / cycle;
  const capacity = (path: string, bytes: number, found: boolean, otherwise: string) =>
    found
      ? w.measured(path, wholeBytes(bytes), { spread: 0.25 }, 'where dependent loads turn slower')
      : w.assumed(wholeBytes(bytes), otherwise);
  const unknown = 'WebGPU does not tell';
  const usual = (value: number, what: string) => w.assumed(value, `${unknown}; ${what}`);

  return {
    spread: w.spread,
    machine: {
      family: 'gpu',
      name,
      title: `${info.name} (calibrated ${date})`,
      architecture: info.architecture || 'unknown',
      process: 'unknown',
      sm: {
        count: w.measured('sm.count', cores.value, cores, 'speed-up of many workgroups over one'),
        per_cluster: usual(1, 'taken as 1, which leaves clusters out'),
        warp: w.limit(group, `subgroup size that ${info.name} reports`),
        schedulers: usual(4, 'four on every NVIDIA SM since Maxwell and AMD CU'),
        max_blocks: usual(16, '16 to 32 on current GPUs'),
        max_threads: usual(Math.max(1536, lanes), '1024 to 2048 on current GPUs'),
        max_threads_per_block: w.limit(lanes, `maxComputeInvocationsPerWorkgroup of ${info.name}`),
        registers: usual(262144, '256 KiB on every NVIDIA SM since Kepler'),
        max_registers_per_thread: usual(1020, '255 registers of 4 bytes on NVIDIA GPUs'),
        register_granule: usual(32, '8 registers on NVIDIA GPUs'),
        block_start: cycles('sm.block_start', f('start')),
        barrier: cycles('sm.barrier', meeting, `of ${USUAL_LANES} lanes`),
      },
      clock: {
        ...Object.fromEntries(
          ['base', 'boost', 'rated', 'min'].map((key) => [
            key,
            w.measured(
              `clock.${key}`,
              clock_Hz,
              f('clock'),
              `a dependent integer operation taken as ${DEPENDENT} cycles (Jia et al. 2018); WebGPU cannot set clocks`,
            ),
          ]),
        ),
        voltage_floor: usual(1, 'one clock only'),
      },
      tensor: {},
      vector,
      pipe_latency: {
        fma: cycles('pipe_latency.fma', f('latency vector')),
        alu: cycles('pipe_latency.alu', { ...f('clock') }),
        special: cycles('pipe_latency.special', f('latency special')),
        lsu: cycles('pipe_latency.lsu', f('near latency')),
      },
      l1: {
        capacity: capacity(
          'l1.capacity',
          near_B,
          levels.length > 2,
          'no such level in the curve: 128 KiB, as on many GPUs',
        ),
        bandwidth: perCycle('l1.bandwidth', f('load 4'), WIDE_B * group),
        latency: cycles('l1.latency', near.latency),
        line: usual(128, 'as on NVIDIA and AMD GPUs'),
        sector: usual(32, 'as on NVIDIA GPUs'),
        in_flight: w.assumed(
          wholeBytes(4 * port * (far.latency.value / cycle)),
          'Little’s law with the measured port and latency, four times for queueing',
        ),
      },
      shared: {
        capacity: w.assumed(
          Math.min(storage, wholeBytes(near_B)),
          'what one workgroup may have; WebGPU does not tell what an SM has',
        ),
        per_block: w.limit(Math.min(storage, wholeBytes(near_B)), `maxComputeWorkgroupStorageSize of ${info.name}`),
        reserved: usual(0, 'none'),
        bandwidth: perCycle('shared.bandwidth', f('near load 4'), WIDE_B * group),
        latency: cycles('shared.latency', f('near latency')),
        banks: usual(32, 'as on NVIDIA and AMD GPUs'),
        async_copy: false,
      },
      l2: {
        capacity: capacity('l2.capacity', wide_B, wide.capacity_B !== undefined, 'no such level in the curve: 4 MiB'),
        bandwidth: w.measured('l2.bandwidth', wide.bandwidth.value * cycle, wide.bandwidth),
        write_bandwidth: w.assumed(wide.bandwidth.value * cycle, 'as reads'),
        port: w.measured('l2.port', port, f('load 4')),
        latency: cycles('l2.latency', wide.latency),
        line: usual(128, 'as on NVIDIA and AMD GPUs'),
        sector: usual(32, 'as on NVIDIA GPUs'),
        slices: usual(32, 'tens on current GPUs'),
      },
      dram: {
        type: 'unknown',
        capacity: w.limit(dram_B, `largest buffer of ${info.name}, a lower limit`),
        bandwidth: w.measured('dram.bandwidth', far.bandwidth.value, far.bandwidth, 'what streams reach'),
        latency: cycles('dram.latency', far.latency),
        achievable: usual(1, 'the bandwidth is what streams reach'),
        achievable_mixed: usual(0.9, 'current GPUs lose about a tenth when they write as much as they read'),
        burst: usual(WORD_B * 8, '32 B on current GPUs'),
        banks: usual(16, 'of GDDR6 and HBM'),
        channels: usual(16, 'tens on current GPUs'),
      },
      peer: {
        name: 'none',
        bandwidth: usual(16e9, 'PCIe 3.0 x16'),
        latency: usual(2e-6, 'order of published peer-to-peer times'),
        max_devices: usual(1, 'WebGPU joins no devices'),
      },
      host: {
        name: 'PCIe',
        bandwidth: usual(16e9, 'PCIe 3.0 x16'),
        latency: usual(1.5e-6, 'order of published PCIe round trips'),
      },
      launch: {
        graph: w.measured('launch.graph', f('dispatch').value, f('dispatch')),
        eager: w.measured('launch.eager', f('submission').value, f('submission')),
        start: w.assumed(0, 'within the measured time between dispatches'),
        drain: w.assumed(0, 'within the measured time between dispatches'),
        dispatch_interval: w.assumed(0, 'within the measured start of a workgroup'),
      },
      energy: {
        extends: 'gpu-n7',
        peer: usual(64, '8 pJ/bit is commonly quoted'),
        host: usual(64, '8 pJ/bit is commonly quoted'),
        static: usual(60, 'a fit on the A100 gives 66 W'),
      },
      tdp: usual(250, 'a usual board; set it to your card’s'),
    },
  };
}
