/// <reference types="@webgpu/types" />
/** The process that holds the device. Its parent asks over IPC and ends it when it takes too long; it ends with its parent. */
import { type DawnOptions, openDawn } from './dawn.js';
import { DeviceError, type DeviceErrorKind } from './errors.js';
import type { AdapterInfo, Job, JobResult } from './job.js';
import { listAdapters, type OpenDevice, openDevice } from './open.js';
import { Runner } from './run.js';

export type Request = { readonly id: number } & (
  | { readonly ask: 'adapters' }
  | { readonly ask: 'info' }
  | { readonly ask: 'run'; readonly job: Job }
);
export type Answer = { readonly id: number } & (
  | { readonly adapters: AdapterInfo[] }
  | { readonly info: AdapterInfo }
  | { readonly result: JobResult }
  | { readonly error: { readonly kind: DeviceErrorKind; readonly message: string } }
);

// Referenced from here for as long as the process lives: Dawn aborts when they are collected in use.
let gpu: GPU | undefined;
let runner: Runner | undefined;
let open: OpenDevice | undefined;

async function answer(request: Request, options: DawnOptions): Promise<Answer> {
  const { id } = request;
  try {
    gpu ??= await openDawn(options);
    if (request.ask === 'adapters') return { id, adapters: await listAdapters(gpu) };
    open ??= await openDevice(gpu);
    if (request.ask === 'info') return { id, info: open.info };
    runner ??= new Runner(open);
    return { id, result: await runner.run(request.job) };
  } catch (e) {
    if (e instanceof DeviceError) {
      // A lost device is of no further use; the next request opens another.
      if (e.kind === 'lost') open = runner = gpu = undefined;
      return { id, error: { kind: e.kind, message: e.message } };
    }
    return { id, error: { kind: 'internal', message: e instanceof Error ? (e.stack ?? e.message) : String(e) } };
  }
}

if (process.send) {
  const options = JSON.parse(process.argv[2] ?? '{}') as DawnOptions;
  // Not process.exit: that waits for work on the device, which may never end.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  // The parent decides what Ctrl-C means; it closes this process by disconnecting.
  process.on('SIGINT', () => {});
  let queue = Promise.resolve();
  process.on('message', (request: Request) => {
    queue = queue.then(async () => {
      const reply = await answer(request, options);
      if (process.connected) process.send?.(reply);
    });
  });
}
