/** Which cases `validate` runs: all of the fixed set, some of it by kernel, or tile variants of one shape. */
import type { DType } from '../base/dtype.js';
import { InfeasibleError, InputError, unknownName } from '../base/errors.js';
import { isMisfit, residency } from '../kernel/fit.js';
import type { Params } from '../kernel/kernel.js';
import { type AnyKernel, kernelsNamed } from '../kernel/library/index.js';
import { parseShape } from '../kernel/shape.js';
import type { ResourceGraph } from '../machine/graph.js';
import { bindingOf } from '../validate/device/binding.js';
import { CASES, type DeviceCase } from '../validate/device/cases.js';
import { spread } from '../validate/device/run.js';
import type { AdapterInfo } from '../webgpu/device/job.js';
import { emitLaunches, emitOptions } from '../webgpu/program.js';
import type { Op } from '../workload/op.js';
import { parseAssignments } from './pins.js';
import { isKernelFile, loadUserKernel } from './user-kernels.js';

export interface CaseOptions {
  readonly kernels?: string;
  readonly shape?: string;
  readonly dtype: DType;
  readonly tile?: string;
  readonly cases?: number;
  readonly quick?: boolean;
}

/** Cases of a quick run, and tile variants of a shape, unless --cases says otherwise. */
const QUICK = 24;
const VARIANTS = 8;

export interface Chosen {
  readonly cases: readonly DeviceCase[];
  /** Kernels from files, by name. */
  readonly own: ReadonlyMap<string, AnyKernel>;
}

/** @throws InputError for names, shapes and tiles that are unknown */
export async function chooseCases(options: CaseOptions, machine: ResourceGraph, info: AdapterInfo): Promise<Chosen> {
  const names = (options.kernels ?? '').split(',').flatMap((n) => (n.trim() ? [n.trim()] : []));
  const files = names.filter(isKernelFile);
  const own = new Map<string, AnyKernel>();
  for (const file of files) {
    const kernel = await loadUserKernel(file);
    if (own.has(kernel.name)) throw new InputError(`the name '${kernel.name}' is that of another file too`, file);
    own.set(kernel.name, kernel);
  }
  if (options.shape === undefined && files.length < names.length + (names.length === 0 ? 1 : 0)) {
    if (options.tile !== undefined) throw new InputError('--tile needs --shape');
    if (files.length > 0)
      throw new InputError('kernels of the library beside a file need --shape, or a run of their own');
    const wanted = named(names);
    return { cases: spread(wanted, options.cases ?? (options.quick ? QUICK : wanted.length)), own };
  }
  if (names.length === 0) throw new InputError('--shape needs --kernels: a kernel, a family or a file with your own');
  const kernels = names.flatMap((name) => (isKernelFile(name) ? [] : kernelsNamed(name))).concat([...own.values()]);
  const cases = kernels.flatMap((kernel) => variants(kernel, options, bindingOf(machine), info));
  return { cases, own };
}

/** Cases of the fixed set by kernel or group. */
function named(names: readonly string[]): readonly DeviceCase[] {
  if (names.length === 0) return CASES;
  const known = [...new Set(CASES.flatMap((c) => [c.group, ...c.steps.map((s) => s.kernel)]))];
  for (const name of names)
    if (!known.includes(name) && !known.some((k) => k.startsWith(`${name}_`)))
      throw unknownName('kernel', name, known, '--kernels');
  const asked = (kernel: string) => names.some((n) => n === kernel || kernel.startsWith(`${n}_`));
  return CASES.filter((c) => names.includes(c.group) || c.steps.some((s) => asked(s.kernel)));
}

/** Tile variants of one kernel and shape that fit machine and device, spread over the candidates; or the one given. */
function variants(kernel: AnyKernel, options: CaseOptions, machine: ResourceGraph, info: AdapterInfo): DeviceCase[] {
  const shape = parseShape(options.shape ?? '', kernel.shape);
  const op = kernel.toOp(shape, options.dtype) as Op;
  const why = kernel.rejects(op, machine);
  if (why !== undefined) throw new InfeasibleError(`${kernel.name}: ${why}`);
  const dims = Object.entries(shape).map(([k, v]) => `${k}=${v}`);
  const problem = [kernel.family, ...dims].join(' ');
  const caseOf = (params: Params): DeviceCase => ({
    id: `${[kernel.name, ...dims].join(' ')} ${Object.entries(params)
      .map(([k, v]) => `${k}=${v}`)
      .join(',')}`.trim(),
    group: kernel.family,
    problem,
    dtype: options.dtype,
    steps: [{ kernel: kernel.name, shape, params }],
    raw: true,
  });
  if (options.tile !== undefined) {
    const params = parseAssignments(options.tile, `--tile ${options.tile}`);
    for (const [key, value] of Object.entries(params)) {
      const def = kernel.params[key];
      if (!def) throw unknownName('parameter', key, Object.keys(kernel.params), kernel.name);
      if (!def.values.includes(value))
        throw new InputError(`${key}=${value} is not legal; expected one of ${def.values.join(', ')}`, kernel.name);
    }
    return [caseOf(params)];
  }
  const defaults = Object.fromEntries(Object.entries(kernel.params).map(([key, def]) => [key, def.default]));
  const fitting: Params[] = [];
  let fault: Error | undefined;
  for (const params of kernel.candidates(op, machine) as Iterable<Params>)
    try {
      const launches = kernel.build(op, { ...defaults, ...params }, machine);
      const misfit = launches.map((l) => residency(l, machine)).find(isMisfit);
      if (misfit) throw new InfeasibleError(`${kernel.name} on ${machine.name} ${misfit.message}`);
      emitLaunches(launches, emitOptions(info));
      fitting.push(params);
    } catch (e) {
      if (!(e instanceof InfeasibleError || e instanceof InputError)) throw e;
      fault ??= e;
    }
  if (fitting.length === 0) throw fault ?? new InfeasibleError(`${kernel.name} has no candidates for ${problem}`);
  return spread(fitting, options.cases ?? VARIANTS).map(caseOf);
}
