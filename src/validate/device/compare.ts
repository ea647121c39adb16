/**
 * One case, run for real and simulated from the same launches:
 *
 *   build ─► interpret (fp64) ─► expected results, bytes
 *         ─► engine ───────────► predicted time, bytes
 *         ─► shader ─► device ─► results, measured time
 *         ─► shader with counters ─► device ─► bytes
 */
import { bytesOf } from '../../base/dtype.js';
import { InfeasibleError, InputError } from '../../base/errors.js';
import { runBound } from '../../engine/bound.js';
import { inSequence, runLaunches as predict } from '../../engine/run.js';
import type { Context, RunResult } from '../../engine/types.js';
import { type Interpretation, interpretLaunches } from '../../kernel/interpret.js';
import type { Launch } from '../../kernel/kernel.js';
import type { AnyKernel } from '../../kernel/library/index.js';
import type { ResourceGraph } from '../../machine/graph.js';
import { DeviceError } from '../../webgpu/device/errors.js';
import type { Timing, TimingRequest } from '../../webgpu/device/job.js';
import { lowQuantile } from '../../webgpu/device/statistics.js';
import { type KernelDevice, runLaunches } from '../../webgpu/program.js';
import { flopsOf } from '../../workload/op.js';
import { buildCase } from './binding.js';
import { type BytesResult, compareBytes } from './bytes.js';
import type { DeviceCase } from './cases.js';
import { inputsOf } from './inputs.js';
import { errorOf, type Tolerance, toleranceOf } from './tolerance.js';

export interface CaseResult {
  readonly id: string;
  readonly group: string;
  readonly problem: string;
  readonly kernel: string;
  readonly dtype: string;
  /** Useful, of the ops. */
  readonly flops: number;
  readonly flops_executed: number;
  readonly numerics: {
    /** Largest |device − interpreter| over the largest result, over all outputs. */
    readonly error: number;
    readonly tolerance: number;
    readonly why: string;
    readonly pass: boolean;
    /** The same of the interpreter against the kernel's plain loops, where it has some. */
    readonly reference_error?: number;
  };
  readonly bytes: BytesResult;
  readonly measured_s: number;
  /** 95 % confidence interval. */
  readonly lo_s: number;
  readonly hi_s: number;
  readonly predicted_s: number;
  /** What no schedule of the ops can beat: the roofline with the least I/O of each. */
  readonly roofline_s: number;
  /** By a description of which nothing was measured. */
  readonly uncalibrated_s?: number;
  readonly bound_by: string;
  readonly compile_s: number;
  readonly clock: 'timestamps' | 'host';
}
export interface SkippedCase {
  readonly id: string;
  readonly group: string;
  readonly problem: string;
  readonly skip_reason: string;
}

export interface CompareOptions {
  /** As `bindingOf` gives it. */
  readonly machine: ResourceGraph;
  readonly device: KernelDevice;
  readonly fidelity: 'steady' | 'event';
  /** A description of such a device of which nothing was measured, to compare with. */
  readonly uncalibrated?: ResourceGraph;
  readonly own: ReadonlyMap<string, AnyKernel>;
  readonly timing: TimingRequest;
  /** Also runs the shader that counts its accesses. */
  readonly counting: boolean;
  /** Counts there, so that both shaders of a case are compiled at once; on `device` when absent. Nothing is timed meanwhile. */
  readonly counter?: KernelDevice;
}

/** What a case is before the device is asked: cheap to make, so that all can be predicted first. */
export interface Prepared {
  readonly case: DeviceCase;
  readonly launches: readonly Launch[];
  readonly kernel: string;
  readonly flops: number;
  readonly inputs: Record<string, Float64Array>;
  readonly tolerance: Tolerance;
  readonly predicted: readonly RunResult[];
  readonly roofline_s: number;
  readonly uncalibrated_s: number | undefined;
  readonly bytes: number;
  reference(): Record<string, Float64Array> | undefined;
}

/** Builds and predicts; a case that the machine cannot hold is said as skipped. */
export function prepare(c: DeviceCase, options: Omit<CompareOptions, 'device' | 'timing'>): Prepared | SkippedCase {
  const { machine, own, fidelity, uncalibrated } = options;
  try {
    const { launches, ops, kernels } = buildCase(c, machine, own);
    const inputs = inputsOf(launches, c.pattern);
    const context = warm(launches);
    return {
      case: c,
      launches,
      inputs,
      kernel: [...new Set(kernels.map((k) => k.name))].join(' + '),
      flops: ops.reduce((n, op) => n + flopsOf(op), 0),
      tolerance: toleranceOf(launches.map((l) => l.program)),
      predicted: predict(launches, machine, context, fidelity),
      roofline_s: ops.reduce((s, op) => s + runBound(op, machine, context).time_s, 0),
      uncalibrated_s: uncalibrated && inSequence(predict(launches, uncalibrated, context, fidelity)).time_s,
      bytes: context.reuse_B.activation,
      reference: () => (ops.length === 1 ? kernels[0]!.reference(ops[0]!, inputs) : undefined),
    };
  } catch (e) {
    if (e instanceof InfeasibleError || (e instanceof InputError && !c.raw)) return skipped(c, e.message);
    throw e;
  }
}

export const isSkipped = (x: object): x is SkippedCase => 'skip_reason' in x;

export const skipped = ({ id, group, problem }: DeviceCase, skip_reason: string): SkippedCase => ({
  id,
  group,
  problem,
  skip_reason,
});

/** Batches repeat a case on the same tensors: what fits a cache is there from the run before. */
function warm(launches: readonly Launch[]): Context {
  const bytes = new Map<string, number>();
  for (const { program } of launches)
    for (const t of program.tensors) bytes.set(t.name, t.dims.reduce((a, b) => a * b, 1) * bytesOf(t.dtype));
  const all = [...bytes.values()].reduce((a, b) => a + b, 0);
  return { launch: 'graph', reuse_B: { weight: all, activation: all, kv: all, index: all } };
}

/** Times a case again; its samples, in seconds. */
export async function timeAgain(p: Prepared, { device, timing }: CompareOptions): Promise<readonly number[]> {
  const run = await runLaunches(device, p.launches, p.inputs, { timing });
  return run.timing!.samples_s;
}

/** A result with more samples: disturbances of a shared machine last longer than one series of batches. */
export function withSamples(r: CaseResult, samples_s: readonly number[]): CaseResult {
  const { value, lo, hi } = lowQuantile(samples_s);
  return { ...r, measured_s: value, lo_s: lo, hi_s: hi };
}

/** Runs a prepared case. Throws DeviceError when the device is gone; what one shader cannot do skips its case. */
export async function compare(
  p: Prepared,
  options: CompareOptions,
): Promise<{ result: CaseResult; samples_s: readonly number[] } | SkippedCase> {
  const { device, machine } = options;
  const { launches, inputs, tolerance } = p;
  const { outputs: expected, launches: interpreted } = interpretLaunches(launches, inputs);
  let run: Awaited<ReturnType<typeof runLaunches>>;
  let counted: Awaited<ReturnType<typeof runLaunches>> | undefined;
  let timing: Timing;
  try {
    [counted, run] = await Promise.all([
      options.counting ? runLaunches(options.counter ?? device, launches, inputs, { counting: true }) : undefined,
      runLaunches(device, launches, inputs),
    ]);
    timing = (await runLaunches(device, launches, inputs, { timing: options.timing })).timing!;
  } catch (e) {
    if (e instanceof InfeasibleError || (e instanceof DeviceError && e.kind === 'out-of-memory'))
      return skipped(p.case, e.message);
    throw e;
  }
  const predicted = inSequence(p.predicted);
  const finals = outputsOf(launches);
  let error = 0;
  for (const name of finals) error = Math.max(error, errorOf(run.outputs[name]!, expected[name]!));
  const reference = referenceError(p, expected);
  const result: CaseResult = {
    id: p.case.id,
    group: p.case.group,
    problem: p.case.problem,
    kernel: p.kernel,
    dtype: p.case.dtype,
    flops: p.flops,
    flops_executed: flopsExecuted(interpreted),
    numerics: {
      error,
      tolerance: tolerance.value,
      why: tolerance.why,
      pass: error <= tolerance.value && (reference === undefined || reference <= referenceTolerance(tolerance.value)),
      ...(reference !== undefined && { reference_error: reference }),
    },
    bytes: compareBytes(interpreted, p.predicted, machine, counted?.counts),
    measured_s: timing.time_s,
    lo_s: timing.lo_s,
    hi_s: timing.hi_s,
    predicted_s: predicted.time_s,
    roofline_s: p.roofline_s,
    ...(p.uncalibrated_s !== undefined && { uncalibrated_s: p.uncalibrated_s }),
    bound_by: predicted.bound_by,
    compile_s: [run, counted].reduce((s, r) => s + (r ? r.compile_s.reduce((a, b) => a + b, 0) + r.first_run_s : 0), 0),
    clock: timing.clock,
  };
  return { result, samples_s: timing.samples_s };
}

/** Names of tensors that a user gets: written, and no scratch. */
function outputsOf(launches: readonly Launch[]): Set<string> {
  const names = new Set<string>();
  for (const { program } of launches)
    for (const t of program.tensors) if (t.role === 'output' || t.role === 'inout') names.add(t.name);
  return names;
}

const flopsExecuted = (parts: readonly Interpretation[]): number => parts.reduce((n, p) => n + p.flops_executed, 0);

/** Programs approximate functions, and loops do not: the erf of gelu to 1.5e−7. */
export const referenceTolerance = (tolerance: number): number => Math.max(tolerance, 1e-6);

function referenceError(p: Prepared, expected: Record<string, Float64Array>): number | undefined {
  const reference = p.reference();
  if (!reference) return undefined;
  let worst: number | undefined;
  for (const [name, values] of Object.entries(reference)) {
    const got = expected[name];
    if (!got || got.length !== values.length) continue;
    worst = Math.max(worst ?? 0, errorOf(got, values));
  }
  return worst;
}
