/// <reference types="@webgpu/types" />
/**
 * How long the steps of a job take. Batches of many runs in one pass between two timestamps, so that the cost of
 * submitting is left out and each batch is long beside the clock; the warm-up is discarded.
 */
import { DeviceError } from './errors.js';
import type { Timing, TimingRequest } from './job.js';
import type { OpenDevice } from './open.js';
import { encodeSteps, GPU_MAP_READ, GPU_USAGE, type Prepared } from './run.js';
import { lowQuantile, QUANTILE } from './statistics.js';

const DEFAULTS = { repeats: 30, batch_s: 2e-3, limit_s: 10 } as const;
const FEWEST_REPEATS = 5;
const MOST_RUNS = 20_000;
/** Host batches must be long beside a submission, about 0.1 ms. */
const HOST_BATCH_S = 20e-3;

export async function timeSteps(open: OpenDevice, steps: readonly Prepared[], request: TimingRequest): Promise<Timing> {
  const has = open.device.features.has('timestamp-query');
  if (request.clock === 'timestamps' && !has)
    throw new DeviceError('validation', 'the device has no timestamp queries');
  const clock = request.clock ?? (has ? 'timestamps' : 'host');
  const batch = clock === 'timestamps' ? timestampBatch(open, steps) : hostBatch(open, steps);
  try {
    const wanted = request.batch_s ?? (clock === 'host' ? HOST_BATCH_S : DEFAULTS.batch_s);
    await batch.time(1);
    let runs = 1;
    let took = await batch.time(runs);
    while (took < wanted && runs < MOST_RUNS) {
      runs = Math.min(
        MOST_RUNS,
        Math.max(runs + 1, Math.min(runs * 10, Math.ceil((runs * wanted * 1.2) / Math.max(took, 1e-9)))),
      );
      took = await batch.time(runs);
    }
    const repeats = request.repeats ?? DEFAULTS.repeats;
    const affordable = Math.floor((request.limit_s ?? DEFAULTS.limit_s) / Math.max(took, 1e-9));
    const count = Math.min(repeats, Math.max(FEWEST_REPEATS, affordable));
    const samples_s: number[] = [];
    for (let i = 0; i < count; i++) samples_s.push((await batch.time(runs, took)) / runs);
    batch.check();
    const { value, lo, hi } = lowQuantile(samples_s);
    const median_s = lowQuantile(samples_s, 0.5).value;
    if (!(value > 0)) throw new DeviceError('internal', `a run was timed as ${value} s`);
    return { time_s: value, lo_s: lo, hi_s: hi, quantile: QUANTILE, median_s, samples_s, runs_per_batch: runs, clock };
  } finally {
    batch.destroy();
  }
}

interface Batch {
  /** Seconds that `runs` runs of the steps take; sleeps through the `expected_s` of it before it starts to poll. */
  time(runs: number, expected_s?: number): Promise<number>;
  /** Throws when the clock turns out too coarse. */
  check(): void;
  destroy(): void;
}

function timestampBatch(open: OpenDevice, steps: readonly Prepared[]): Batch {
  const { device } = open;
  const querySet = device.createQuerySet({ type: 'timestamp', count: 2 });
  const resolved = device.createBuffer({ size: 16, usage: GPU_USAGE.QUERY_RESOLVE | GPU_USAGE.COPY_SRC });
  const staging = device.createBuffer({ size: 16, usage: GPU_USAGE.COPY_DST | GPU_USAGE.MAP_READ });
  const seen: bigint[] = [];
  return {
    async time(runs, expected_s = 0) {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass({
        timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 },
      });
      for (let i = 0; i < runs; i++) encodeSteps(pass, steps);
      pass.end();
      encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, staging, 0, 16);
      device.queue.submit([encoder.finish()]);
      // Dawn polls on this core while a promise of its is pending, which disturbs a device that is this very CPU.
      await new Promise((resolve) => setTimeout(resolve, expected_s * 1000));
      await device.queue.onSubmittedWorkDone();
      await staging.mapAsync(GPU_MAP_READ);
      const [begin, end] = new BigUint64Array(staging.getMappedRange().slice(0)) as unknown as [bigint, bigint];
      staging.unmap();
      seen.push(begin, end);
      return Number(end - begin) * 1e-9;
    },
    check() {
      assertFine(seen);
    },
    destroy() {
      querySet.destroy();
      resolved.destroy();
      staging.destroy();
    },
  };
}

/** WebGPU rounds timestamps to 65,536 ns unless told not to; then their low 16 bits never vary. */
const QUANTUM_BITS = 16n;

/** Throws DeviceError when all timestamps are multiples of the quantum. */
export function assertFine(timestamps: readonly bigint[]): void {
  if (timestamps.every((t) => (t & ((1n << QUANTUM_BITS) - 1n)) === 0n))
    throw new DeviceError(
      'internal',
      `timestamps are rounded to ${1 << Number(QUANTUM_BITS)} ns: quantisation is on, and the toggle that turns it off was ignored`,
    );
}

function hostBatch(open: OpenDevice, steps: readonly Prepared[]): Batch {
  const { device } = open;
  return {
    async time(runs) {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      for (let i = 0; i < runs; i++) encodeSteps(pass, steps);
      pass.end();
      const commands = encoder.finish();
      const start = performance.now();
      device.queue.submit([commands]);
      await device.queue.onSubmittedWorkDone();
      return (performance.now() - start) / 1000;
    },
    check() {},
    destroy() {},
  };
}
