/** A CPU device as a description of family `cpu`. */
import type { Json } from '../../base/json.js';
import { both, type Calibration, type CalibrationInfo, Writer, wholeBytes } from './describe.js';
import type { Figure } from './measure.js';
import type { Measured } from './run.js';

const WIDE_B = 16;
/** Loads of one word by all lanes are as slow as of different words: no broadcast. */
const BROADCAST = 0.7;
const REGISTERS_B = 1024;
/** What capacities of two calibrations of one shared machine differ by, taken from each. */
const CAPACITY_SPREAD = 0.4;

/** What a server core draws at work. */
const CORE_W = 7;

export function describeCpu({ setup, figures, memory }: Measured, { name, date }: CalibrationInfo): Calibration {
  const { info, group } = setup;
  const w = new Writer(`microbenchmarks on ${info.name}, ${date}`);
  const f = (key: string): Figure => {
    const figure = figures[key];
    if (!figure) throw new RangeError(`no figure '${key}'`);
    return figure;
  };
  const clock = f('clock');
  // a clock that was off cancels: what counts is seconds, and cycles are only counted in it
  const cycles = (path: string, s: Figure, note?: string) =>
    w.measured(path, s.value / clock.value, both(s, clock), note);
  const perCycle = (path: string, s: Figure, amount: number, note?: string) =>
    w.measured(path, (amount * clock.value) / s.value, both(s, clock), note);
  const bound = info.limits['maxStorageBufferBindingSize'] ?? 0;
  const lanes = info.limits['maxComputeInvocationsPerWorkgroup'] ?? 256;
  const storage = info.limits['maxComputeWorkgroupStorageSize'] ?? 16384;
  const cores = f('cores');

  const vector: Record<string, Json> = {};
  for (const key of Object.keys(figures)) {
    const [, fn] = /^math (\w+)$/.exec(key) ?? [];
    if (fn) vector[fn] = { per_cycle: perCycle(`vector.${fn}.per_cycle`, f(key), group) };
  }
  // lanes meet in workgroup memory: one stores, another loads
  const meet: Figure = {
    value: f('near load 1').value + f('near store 1').value,
    ...both(f('near load 1'), f('near store 1')),
  };
  vector['shuffle'] = {
    per_cycle: perCycle('vector.shuffle.per_cycle', meet, group, 'a store to and a load from workgroup memory'),
  };

  const access = (section: string, load: string, store: string) => ({
    bandwidth: perCycle(`${section}.bandwidth`, f(`${load} 4`), WIDE_B * group),
    store_bandwidth: perCycle(`${section}.store_bandwidth`, f(`${store} 4`), WIDE_B * group),
    access: cycles(`${section}.access`, f(`${load} 1`)),
    store_access: cycles(`${section}.store_access`, f(`${store} 1`)),
  });
  const levels = memory.levels;
  const far = levels.at(-1)!;
  const caches: Record<string, Json> = {};
  levels.slice(0, -1).forEach((l, i) => {
    const id = `l${i + 1}`;
    const [from, to] = l.between_B!;
    caches[id] = {
      // where the curve turns is known to a step of its working sets, and moves with what others keep in the cache
      capacity: w.measured(
        `caches.${id}.capacity`,
        wholeBytes(l.capacity_B!),
        { spread: Math.max(CAPACITY_SPREAD, (to - from) / from) },
        `dependent loads turn slower between ${from} and ${to} B`,
      ),
      latency: cycles(`caches.${id}.latency`, l.latency),
      bandwidth: w.measured(`caches.${id}.bandwidth`, l.bandwidth.value * clock.value, both(l.bandwidth, clock)),
      of: i < 2 ? 'core' : 'machine',
    };
  });

  return {
    spread: w.spread,
    machine: {
      family: 'cpu',
      name,
      title: `${info.name} (calibrated ${date})`,
      device: info.name,
      core: {
        count: w.measured(
          'core.count',
          cores.value,
          cores,
          'speed-up of many workgroups over one, to the nearest whole',
        ),
        simd: w.limit(group, `subgroup size that ${info.name} reports`),
        serial: w.measured('core.serial', f('serial').value, f('serial')),
        max_lanes_per_workgroup: w.limit(lanes, `maxComputeInvocationsPerWorkgroup of ${info.name}`),
        workgroup_start: cycles('core.workgroup_start', f('start')),
        turn: cycles('core.turn', f('turn')),
        place: cycles('core.place', f('place')),
        group_start: cycles('core.group_start', f('start group')),
        barrier: cycles('core.barrier', f('barrier')),
        group_barrier: cycles('core.group_barrier', f('barrier group')),
        registers: w.assumed(
          REGISTERS_B,
          'as many words as lanes of GPUs can address; tiles beyond the register file spill to the stack at no limit',
        ),
      },
      clock: {
        nominal: w.measured('clock.nominal', 1 / clock.value, clock, 'a dependent integer operation taken as a cycle'),
      },
      vector,
      latency: {
        vector: cycles('latency.vector', f('latency vector')),
        special: cycles('latency.special', f('latency special')),
      },
      shared: {
        capacity: w.limit(storage, `maxComputeWorkgroupStorageSize of ${info.name}`),
        ...access('shared', 'near load', 'near store'),
        meeting: access('shared.meeting', 'in loop near load', 'in loop near store'),
        latency: cycles('shared.latency', f('near latency')),
        broadcast: f('near load same').value < BROADCAST * f('near load 4').value,
      },
      memory: {
        ...access('memory', 'once load', 'once store'),
        meeting: access('memory.meeting', 'in loop load', 'in loop store'),
        atomics: perCycle('memory.atomics', f('atomic own'), group),
        atomics_same: perCycle('memory.atomics_same', f('atomic same'), group),
      },
      caches,
      dram: {
        capacity: w.limit(Math.max(bound, info.limits['maxBufferSize'] ?? 0), `largest buffer that ${info.name} makes`),
        latency: w.measured(
          'dram.latency',
          far.latency.value,
          far.latency,
          `of the farthest level that ${far.to_B} B reach; a larger cache may stand before the memory itself`,
        ),
        bandwidth: w.measured('dram.bandwidth', far.bandwidth.value, far.bandwidth),
        line: w.assumed(64, 'line of every current x86 and most Arm processors'),
      },
      launch: {
        graph: w.measured('launch.graph', f('dispatch').value, f('dispatch')),
        eager: w.measured('launch.eager', f('submission').value, f('submission')),
      },
      power: {
        static: w.assumed(
          CORE_W * cores.value,
          `${CORE_W} W a core: 350 W of a server processor over some 50 cores; WebGPU tells nothing of power`,
        ),
        cap: w.assumed(2 * CORE_W * cores.value, 'twice that: never reached, since all power here is static'),
      },
    },
  };
}
