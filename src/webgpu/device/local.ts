/// <reference types="@webgpu/types" />
/** A device in this very process: for a browser's `navigator.gpu`, or any other WebGPU. No time limit, nothing of Node. */
import type { AdapterInfo, Job, JobResult } from './job.js';
import { openDevice } from './open.js';
import { Runner } from './run.js';

/** `await localDevice(navigator.gpu)` runs tile programs in a browser. Throws DeviceError as `openDevice` does. */
export async function localDevice(gpu: GPU): Promise<{
  info(): Promise<AdapterInfo>;
  run(job: Job): Promise<JobResult>;
  close(): Promise<void>;
}> {
  const open = await openDevice(gpu);
  const runner = new Runner(open);
  return { info: async () => open.info, run: (job) => runner.run(job), close: () => open.close() };
}
