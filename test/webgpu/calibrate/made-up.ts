/** A device that exists on paper: it answers each probe with the time that known costs give. */

import type { CalibrationDevice } from '../../../src/webgpu/calibrate/run.js';
import type { AdapterInfo, Job, JobResult } from '../../../src/webgpu/device/job.js';

export const COSTS = {
  cores: 4,
  group: 8,
  /** Seconds of one group's operation. */
  operation_s: { add: 1e-10, mul: 1e-10, fma: 2e-10, int: 1e-10, other: 5e-10, slow: 2e-9 },
  loop_s: 3e-9,
  load_s: { 1: 4e-9, 4: 8e-9 },
  store_s: { 1: 5e-9, 4: 9e-9 },
  barrier_s: 20e-9,
  /** A turn of a loop, and entering one in which lanes' own numbers say where accesses go. */
  turn_s: 6e-9,
  place_s: 150e-9,
  /** Accesses in loops with barriers take this many times as long. */
  meeting: 3,
  start_s: 100e-9,
  group_start_s: 30e-9,
  dispatch_s: 5e-6,
  submission_s: 25e-6,
  /** Seconds of a dependent operation. */
  cycle_s: 0.25e-9,
  levels: [
    { capacity_B: 32 * 1024, latency_s: 2e-9 },
    { capacity_B: 1024 * 1024, latency_s: 6e-9 },
    { capacity_B: Number.POSITIVE_INFINITY, latency_s: 80e-9 },
  ],
} as const;

export function madeUp(fallback: boolean, unlike: (sample: number) => number = () => 1): CalibrationDevice {
  const info: AdapterInfo = {
    name: 'made up',
    vendor: 'nobody',
    architecture: 'none',
    fallback,
    features: [],
    language_features: [],
    limits: {
      maxComputeInvocationsPerWorkgroup: 1024,
      maxComputeWorkgroupStorageSize: 32768,
      maxStorageBufferBindingSize: 128 << 20,
      maxBufferSize: 1 << 30,
    },
    subgroup_matrix: [],
    subgroup: [COSTS.group, COSTS.group],
  };
  let count = 0;
  return {
    info: async () => info,
    async run(job: Job): Promise<JobResult> {
      const time_s = timeOf(job, fallback);
      const samples_s = Array.from({ length: job.timing!.repeats! }, () => time_s * unlike(count++));
      return {
        read: {},
        compile_s: [0],
        first_run_s: 0,
        timing: {
          time_s,
          lo_s: time_s,
          hi_s: time_s,
          median_s: time_s,
          quantile: 0.2,
          samples_s,
          runs_per_batch: 1,
          clock: 'timestamps',
        },
      };
    },
  };
}

function timeOf(job: Job, cpu: boolean): number {
  const step = job.steps[0]!;
  const [iterations] = new Uint32Array(job.buffers[0]!.data!.slice().buffer);
  const lanes = Number(/workgroup_size\((\d+)\)/.exec(step.wgsl)![1]);
  const [workgroups] = step.workgroups;
  const groups = Math.max(1, lanes / COSTS.group);
  const waves = workgroups <= COSTS.cores ? 1 : workgroups / COSTS.cores;
  const start_s = workgroups > 1 ? waves * (COSTS.start_s + groups * COSTS.group_start_s) : 0;
  const start = /^workgroups of/.test(step.name) && cpu ? groups * (2 * COSTS.load_s[1] + COSTS.store_s[1]) * waves : 0;
  if (step.name === 'submission') return COSTS.submission_s;
  return COSTS.dispatch_s + start_s + start + waves * iterations! * iteration(step.name, job, groups, cpu);
}

function iteration(name: string, job: Job, groups: number, cpu: boolean): number {
  const { operation_s, loop_s, load_s, store_s } = COSTS;
  const [, where, , width] = /^(near )?(load|store|atomic) (\w+)$/.exec(name) ?? [];
  const words = width === '1' ? 1 : 4;
  const near = { load: load_s, store: store_s };
  let m: RegExpExecArray | null;
  if ((m = /^turns (\d+)$/.exec(name))) return groups * (loop_s + COSTS.barrier_s + Number(m[1]) * COSTS.turn_s);
  if ((m = /^in loop (near )?(load|store) ([14]) (few|many)$/.exec(name))) {
    const each = near[m[2] as 'load'][Number(m[3]) as 1 | 4] * COSTS.meeting;
    const accesses = m[4] === 'few' ? 2 : 8;
    return groups * (COSTS.barrier_s + COSTS.place_s + 4 * (COSTS.turn_s + accesses * each));
  }
  if ((m = /^once (load|store) ([14]) (\d+)$/.exec(name)))
    return groups * Number(m[3]) * (m[1] === 'load' ? 2 : 1) * near[m[1] as 'load'][Number(m[2]) as 1 | 4];
  if ((m = /^math (\w+) (few|many)$/.exec(name))) {
    // each line of the body is an operation
    const ops = job.steps[0]!.wgsl.split('\n').filter((l) => /^ {4}x\d/.test(l)).length;
    const fn = m[1]!;
    const slow = ['exp2', 'log2', 'rcp', 'rsqrt', 'sqrt', 'sin', 'tanh'].includes(fn);
    const each = slow
      ? operation_s.slow
      : fn === 'int'
        ? 2 * operation_s.int
        : fn in operation_s
          ? operation_s[fn as 'add']
          : operation_s.other;
    return groups * (loop_s + ops * each);
  }
  if ((m = /^chain (\w+) (\d+)$/.exec(name)))
    return (
      (cpu ? groups : 1) * (loop_s + Number(m[2]) * (m[1] === 'clock' ? 2 : m[1] === 'vector' ? 4 : 20) * COSTS.cycle_s)
    );
  if (name === 'near chase') return 4 * 3e-9;
  if (name.startsWith('near load')) return groups * (loop_s + 4 * load_s[words] + 4 * words * operation_s.add);
  if (name.startsWith('load')) return groups * (loop_s + 4 * 2 * load_s[words] + 4 * words * operation_s.add);
  if ((m = /^(near )?store/.exec(name)))
    return groups * (loop_s + 4 * near.store[words] + (where ? words : 0) * operation_s.add);
  if (name.startsWith('atomic')) return groups * (loop_s + 4 * 30e-9);
  if (name === 'beside nothing') return groups * (loop_s + 64 * operation_s.fma);
  // half of the arithmetic hides
  if (name === 'beside loads')
    return groups * (loop_s + 4 * load_s[4] + 16 * operation_s.add + 0.5 * 64 * operation_s.fma);
  if (name.startsWith('barrier'))
    return groups * 2 * COSTS.barrier_s + (cpu ? groups : 1) * (loop_s + 2 * operation_s.add);
  if (name.startsWith('occupancy') || name.endsWith('working')) return groups * 16 * operation_s.int;
  if (name.startsWith('stream')) return groups * (loop_s + 4 * 2 * load_s[4]);
  if (name === 'chase nothing') return 4e-9;
  if ((m = /^chase (\d+)$/.exec(name)))
    return 4e-9 + COSTS.levels.find((l) => Number(m![1]) <= l.capacity_B)!.latency_s;
  return 0;
}
