/**
 * Launches of tile programs as a job for a device, and its answer as tensors and counts. Runs wherever a
 * KernelDevice does: a process with Dawn, or `navigator.gpu` in a browser.
 */
import { bytesOf } from '../base/dtype.js';
import { InfeasibleError, InputError } from '../base/errors.js';
import type { Bytes } from '../kernel/interpret/counts.js';
import type { Tensor } from '../kernel/ir.js';
import type { Launch } from '../kernel/kernel.js';
import type { AdapterInfo, Job, JobBuffer, JobResult, JobStep, TimingRequest } from './device/job.js';
import { SUBGROUP_MATRIX } from './device/open.js';
import { emitWgsl } from './wgsl/emit.js';
import type { MatrixShape } from './wgsl/matrix.js';
import type { Binding, EmitOptions, ShaderText } from './wgsl/options.js';
import { packTensor, sizeOf, unpackTensor } from './wgsl/pack.js';
import type { Stored } from './wgsl/types.js';

/** A device that runs jobs: DeviceProcess in Node; in a browser a Runner with the adapter's info. */
export interface KernelDevice {
  info(): Promise<AdapterInfo>;
  run(job: Job, limit_s?: number): Promise<JobResult>;
}

export interface RunOptions {
  readonly timing?: TimingRequest;
  /** Counts every access instead of timing. */
  readonly counting?: boolean;
  /** Store 16-bit floats as f16 where the device can; true when absent. */
  readonly f16?: boolean;
  /** Reduce by subgroup operations where the device has them; true when absent. */
  readonly subgroups?: boolean;
  /** Multiply packed bytes by WGSL's own functions where it has them; true when absent. */
  readonly dot4?: boolean;
  /** Pack small integers into words; true when absent. */
  readonly packed?: boolean;
  /** Multiply on subgroup matrices; false when absent: they are an experiment of Dawn's. */
  readonly subgroup_matrix?: boolean;
  readonly limit_s?: number;
}

/** What one launch moved, from its counters: bytes at the program's own formats. */
export interface DeviceCounts {
  readonly tensor: Record<string, Bytes>;
  /** Shared tiles, at copies, gathers and scatters. */
  readonly tile: Record<string, Bytes>;
  /** Elements that lanes really loaded and stored, operands and repeats included. */
  readonly issued: Record<string, number>;
}
export interface ProgramRun {
  readonly outputs: Record<string, Float64Array>;
  readonly shaders: readonly ShaderText[];
  readonly counts?: readonly DeviceCounts[];
  readonly timing?: JobResult['timing'];
  readonly compile_s: readonly number[];
  readonly first_run_s: number;
}

/** What a device's adapter lets the emitter use. */
export function emitOptions(
  info: AdapterInfo,
  options: Pick<RunOptions, 'f16' | 'subgroups' | 'dot4' | 'packed' | 'subgroup_matrix' | 'counting'> = {},
): EmitOptions {
  const { limits, features } = info;
  const numbered = features.includes('subgroups') && info.language_features.includes('subgroup_id');
  const limit = (name: string): number => {
    const v = limits[name];
    if (v === undefined) throw new InputError(`the adapter does not state ${name}`, info.name);
    return v;
  };
  return {
    f16: options.f16 !== false && features.includes('shader-f16'),
    subgroup: options.subgroups !== false && numbered ? info.subgroup : undefined,
    workgroup_B: limit('maxComputeWorkgroupStorageSize'),
    max_lanes: Math.min(limit('maxComputeInvocationsPerWorkgroup'), limit('maxComputeWorkgroupSizeX')),
    max_workgroups: limit('maxComputeWorkgroupsPerDimension'),
    storage_buffers: limit('maxStorageBuffersPerShaderStage'),
    matrix: options.subgroup_matrix ? matrixOf(info) : undefined,
    packed: options.packed,
    dot4: options.dot4 !== false && info.language_features.includes('packed_4x8_integer_dot_product'),
    compact: info.fallback,
    counting: options.counting === true,
  };
}

/** The device's f16 matrices that sum in f32. */
function matrixOf({ name, features, subgroup_matrix }: AdapterInfo): MatrixShape {
  if (!features.includes(SUBGROUP_MATRIX))
    throw new InfeasibleError(`${name} has no subgroup matrices: its adapter lacks the feature ${SUBGROUP_MATRIX}`);
  const shape = subgroup_matrix.find((c) => c.operand === 'f16' && c.result === 'f32');
  if (shape) return shape;
  const has = subgroup_matrix.map((c) => `${c.m}×${c.n}×${c.k} of ${c.operand} in ${c.result}`);
  throw new InfeasibleError(
    `${name} has no subgroup matrices of f16 that sum in f32; it has ${has.join(', ') || 'none'}`,
  );
}

const INTEGERS: ReadonlySet<Stored> = new Set<Stored>(['i32', 'i8', 'u8', 'i4']);

/** Shaders of all launches; a tensor that several launches share is stored alike in all of them. */
export function emitLaunches(launches: readonly Launch[], options: EmitOptions): ShaderText[] {
  const shaders = launches.map((l) => emitWgsl(l, options));
  const types = new Map<string, Stored>();
  for (const s of shaders)
    for (const b of s.bindings) {
      if (!b.tensor) continue;
      const known = types.get(b.name) ?? b.type;
      if (known !== b.type && INTEGERS.has(known) && options.packed !== false)
        return emitLaunches(launches, { ...options, packed: false });
      if (known !== b.type && options.f16) return emitLaunches(launches, { ...options, f16: false });
      types.set(b.name, known);
    }
  return shaders;
}

/**
 * Runs launches in order on `tensors` (row-major in each tensor's dims; inputs and inouts must be given).
 * Throws InputError on missing tensors, InfeasibleError where the device is too small, DeviceError.
 */
export async function runLaunches(
  device: KernelDevice,
  launches: readonly Launch[],
  tensors: Readonly<Record<string, Float64Array>>,
  options: RunOptions = {},
): Promise<ProgramRun> {
  const shaders = emitLaunches(launches, emitOptions(await device.info(), options));
  const { job, outputs } = jobOf(shaders, tensors, options);
  const result = await device.run(job, options.limit_s);
  const values: Record<string, Float64Array> = {};
  for (const { tensor, binding } of outputs.values())
    values[tensor.name] = unpackTensor(tensor, result.read[tensor.name]!, binding.type);
  return {
    outputs: values,
    shaders,
    counts: options.counting
      ? shaders.map((s, i) => countsOf(s, launches[i]!, result.read[counterName(i)] ?? new Uint8Array()))
      : undefined,
    timing: result.timing,
    compile_s: result.compile_s,
    first_run_s: result.first_run_s,
  };
}

const counterName = (step: number): string => `counters of step ${step}`;
const tableName = (step: number): string => `tables of step ${step}`;

/** The job of a list of shaders, and the tensors to read after it, in the state that the last writer leaves them. */
export function jobOf(
  shaders: readonly ShaderText[],
  tensors: Readonly<Record<string, Float64Array>>,
  options: Pick<RunOptions, 'timing' | 'counting'> = {},
): { job: Job; outputs: Map<string, { tensor: Tensor; binding: Binding }> } {
  const buffers = new Map<string, JobBuffer>();
  const outputs = new Map<string, { tensor: Tensor; binding: Binding }>();
  const read: string[] = [];
  const steps = shaders.map((s, step): JobStep => {
    const bindings = s.bindings.map((b): string => {
      if (b.name === 'counters' && !b.tensor) {
        const name = counterName(step);
        buffers.set(name, { name, size_B: sizeOf(b) });
        read.push(name);
        return name;
      }
      if (b.name === 'tables' && !b.tensor) {
        const name = tableName(step);
        buffers.set(name, { name, size_B: sizeOf(b), data: new Uint8Array(Int32Array.from(s.tables).buffer) });
        return name;
      }
      const tensor = b.tensor!;
      const size_B = sizeOf(b);
      const before = buffers.get(tensor.name);
      if (before && before.size_B !== size_B)
        throw new InputError(`tensor ${tensor.name} takes ${before.size_B} B in one launch and ${size_B} B in another`);
      if (!before) {
        const values = tensors[tensor.name];
        if (!values && (tensor.role === 'input' || tensor.role === 'inout'))
          throw new InputError(`tensor '${tensor.name}' [${tensor.dims}] is not given`);
        const size = tensor.dims.reduce((a, d) => a * d, 1);
        if (values && values.length !== size)
          throw new InputError(
            `tensor '${tensor.name}' [${tensor.dims}] holds ${size} elements, given ${values.length}`,
          );
        buffers.set(tensor.name, {
          name: tensor.name,
          size_B,
          data: values ? packTensor(tensor, values, b) : undefined,
        });
      }
      if (tensor.role !== 'input') outputs.set(tensor.name, { tensor, binding: b });
      return tensor.name;
    });
    return {
      name: s.wgsl.split('\n', 1)[0]!.replace('// ', ''),
      wgsl: s.wgsl,
      entry: s.entry,
      workgroups: s.workgroups,
      bindings,
    };
  });
  read.push(...outputs.keys());
  return { job: { buffers: [...buffers.values()], steps, read, timing: options.timing }, outputs };
}

function countsOf(s: ShaderText, launch: Launch, bytes: Uint8Array): DeviceCounts {
  const cells = new Uint32Array(bytes.buffer, bytes.byteOffset, s.counters.length);
  const tensor: Record<string, Bytes> = {};
  const tile: Record<string, Bytes> = {};
  const issued: Record<string, number> = {};
  const { program } = launch;
  for (const t of program.tensors) tensor[t.name] = { read_B: 0, write_B: 0 };
  for (const t of program.tiles) if (t.level === 'shared') tile[t.name] = { read_B: 0, write_B: 0 };
  for (const [i, what] of s.counters.entries()) {
    const n = cells[i]!;
    const [kind, name, way] = what.split(' ') as [string, string, string];
    if (kind === 'issued') {
      issued[what.slice('issued '.length)] = n;
      continue;
    }
    const [of, into] =
      kind === 'tensor'
        ? [program.tensors.find((t) => t.name === name), tensor]
        : [program.tiles.find((t) => t.name === name), tile];
    if (of) into[name]![way === 'read' ? 'read_B' : 'write_B'] += n * bytesOf(of.dtype);
  }
  return { tensor, tile, issued };
}
