/// <reference types="@webgpu/types" />
/** Runs jobs on an open device: compiles, uploads, dispatches, times and reads back. Nothing here is Node's. */
import { DeviceError, shaderError } from './errors.js';
import type { Job, JobResult, JobStep } from './job.js';
import type { OpenDevice } from './open.js';
import { timeSteps } from './time.js';

/** A step ready to be encoded. */
export interface Prepared {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}

export class Runner {
  private readonly pipelines = new Map<string, GPUComputePipeline>();
  readonly open: OpenDevice;
  constructor(open: OpenDevice) {
    this.open = open;
  }

  /** Throws DeviceError: shader (with its line), validation, out-of-memory, lost, internal. */
  async run(job: Job): Promise<JobResult> {
    const { lost } = this.open;
    const buffers = new Map<string, GPUBuffer>();
    try {
      return await Promise.race([
        this.inScopes(() => this.steps(job, buffers)),
        lost.then((e) => {
          throw e;
        }),
      ]);
    } finally {
      for (const b of buffers.values()) b.destroy();
    }
  }

  private async steps(job: Job, buffers: Map<string, GPUBuffer>): Promise<JobResult> {
    const { device } = this.open;
    const compile_s: number[] = [];
    const pipelines: GPUComputePipeline[] = [];
    for (const step of job.steps) {
      const start = performance.now();
      const known = this.pipelines.get(pipelineKey(step));
      pipelines.push(known ?? (await this.compile(step)));
      compile_s.push(known ? 0 : (performance.now() - start) / 1000);
    }
    if (job.compileOnly) return { read: {}, compile_s, first_run_s: 0 };
    this.checkSizes(job);
    for (const b of job.buffers)
      buffers.set(
        b.name,
        device.createBuffer({
          label: b.name,
          size: Math.max(4, roundUp(b.size_B, 4)),
          usage: GPU_USAGE.STORAGE | GPU_USAGE.COPY_SRC | GPU_USAGE.COPY_DST,
        }),
      );
    const upload = () => {
      for (const b of job.buffers)
        if (b.data) device.queue.writeBuffer(buffers.get(b.name)!, 0, padded(b.data) as Uint8Array<ArrayBuffer>);
    };
    upload();
    const prepared = job.steps.map((step, i): Prepared => {
      const pipeline = pipelines[i]!;
      const entries = step.bindings.map((name, binding) => {
        const buffer = buffers.get(name);
        if (!buffer) throw new DeviceError('validation', `${step.name}: no buffer named ${name}`);
        return { binding, resource: { buffer } };
      });
      const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
      return { pipeline, group, workgroups: step.workgroups };
    });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    encodeSteps(pass, prepared);
    pass.end();
    const staging = job.read.map((name) => {
      const source = buffers.get(name);
      if (!source) throw new DeviceError('validation', `no buffer named ${name} to read`);
      const target = device.createBuffer({ size: source.size, usage: GPU_USAGE.COPY_DST | GPU_USAGE.MAP_READ });
      buffers.set(`read of ${name}`, target);
      encoder.copyBufferToBuffer(source, 0, target, 0, source.size);
      return { name, target };
    });
    const start = performance.now();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    const first_run_s = (performance.now() - start) / 1000;
    const read: Record<string, Uint8Array> = {};
    for (const { name, target } of staging) {
      await target.mapAsync(GPU_MAP_READ);
      const size = job.buffers.find((b) => b.name === name)!.size_B;
      read[name] = new Uint8Array(target.getMappedRange()).slice(0, size);
      target.unmap();
    }
    const timing = job.timing ? await timeSteps(this.open, prepared, job.timing) : undefined;
    return { read, timing, compile_s, first_run_s };
  }

  private async compile(step: JobStep): Promise<GPUComputePipeline> {
    const { device } = this.open;
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ code: step.wgsl, label: step.name });
    const { messages } = await module.getCompilationInfo();
    const broken = await device.popErrorScope();
    const errors = messages.filter((m) => m.type === 'error');
    if (errors.length > 0) throw shaderError(step.name, step.wgsl, errors);
    if (broken) throw new DeviceError('shader', `${step.name}: ${broken.message}`);
    const pipeline = await device
      .createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: step.entry }, label: step.name })
      .catch((e: Error) => {
        throw new DeviceError('shader', `${step.name}: ${e.message}`);
      });
    this.pipelines.set(pipelineKey(step), pipeline);
    return pipeline;
  }

  private checkSizes(job: Job): void {
    const { limits } = this.open.device;
    for (const b of job.buffers) {
      const most = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
      if (b.size_B > most)
        throw new DeviceError(
          'out-of-memory',
          `buffer ${b.name} needs ${b.size_B} B, the device binds at most ${most} B`,
        );
    }
    for (const s of job.steps)
      if (s.workgroups.some((n) => n > limits.maxComputeWorkgroupsPerDimension))
        throw new DeviceError(
          'validation',
          `${s.name}: ${s.workgroups.join(' × ')} workgroups, the device dispatches at most ${limits.maxComputeWorkgroupsPerDimension} per dimension`,
        );
  }

  /** Runs `work` with every kind of error caught; a dispatch that failed validation never ran, so its result is no result. */
  private async inScopes<T>(work: () => Promise<T>): Promise<T> {
    const { device } = this.open;
    const kinds = ['validation', 'out-of-memory', 'internal'] as const;
    for (const kind of kinds) device.pushErrorScope(kind);
    let result: T | undefined;
    let failure: unknown;
    try {
      result = await work();
    } catch (e) {
      failure = e;
    }
    let scoped: DeviceError | undefined;
    for (const kind of [...kinds].reverse()) {
      const error = await device.popErrorScope().catch(() => null);
      if (error) scoped ??= new DeviceError(kind, error.message);
    }
    if (failure instanceof DeviceError) throw failure;
    if (scoped) throw scoped;
    if (failure) throw new DeviceError('internal', failure instanceof Error ? failure.message : String(failure));
    return result as T;
  }
}

/** Values of GPUBufferUsage and GPUMapMode (WebGPU §5.1.1, §5.6): the globals are not there in Node. */
export const GPU_USAGE = { MAP_READ: 1, COPY_SRC: 4, COPY_DST: 8, STORAGE: 128, QUERY_RESOLVE: 512 } as const;
export const GPU_MAP_READ = 1;

export function encodeSteps(pass: GPUComputePassEncoder, steps: readonly Prepared[]): void {
  for (const s of steps) {
    pass.setPipeline(s.pipeline);
    pass.setBindGroup(0, s.group);
    pass.dispatchWorkgroups(...s.workgroups);
  }
}

const pipelineKey = (s: JobStep): string => `${s.entry}\n${s.wgsl}`;
const roundUp = (x: number, to: number): number => Math.ceil(x / to) * to;
/** writeBuffer takes multiples of 4 bytes. */
function padded(data: Uint8Array): Uint8Array {
  if (data.byteLength % 4 === 0) return data;
  const out = new Uint8Array(roundUp(data.byteLength, 4));
  out.set(data);
  return out;
}
