/**
 * Replays a trace on a machine: each op is mapped to its best kernel under the objective, run at the fidelity asked
 * for, and added up. Ops of one stream run one after another, each a launch (or several) of a captured graph.
 */
import { InfeasibleError } from '../base/errors.js';
import type { Kernel, Launch, Params } from '../kernel/kernel.js';
import { type Choice, Mapper, type Objective, type Pins } from '../kernel/mapper.js';
import { type ResourceGraph, storeOf } from '../machine/graph.js';
import { compulsoryBytesOf, flopsOf, type Op, type Trace } from '../workload/op.js';
import { footprintOf } from '../workload/summary.js';
import { runBound } from './bound.js';
import type { Indices } from './event/indices.js';
import type { Stateful } from './event/stateful.js';
import { layOut } from './nest/lay-out.js';
import { type Occupancy, occupanciesOf } from './nest/occupancy.js';
import { type Offload, offloadableBytes, type Streaming, streamingOf, waits } from './offload.js';
import { addRecords, evaluateLaunches, inSequence, largest, runLaunches } from './run.js';
import type { KernelSimulation, OpResult, Simulation } from './simulation.js';
import { COLD, type Context, type Fidelity, type RunResult, type Traffic } from './types.js';

export interface SimulateOptions {
  readonly fidelity?: Fidelity;
  readonly objective?: Objective;
  readonly launch?: 'graph' | 'eager';
  /** Pinned kernels and tiles by op kind or kernel family. */
  readonly pins?: Readonly<Record<string, Pins>>;
  /** A model that does not fit the memory is infeasible, not a warning. */
  readonly strict?: boolean;
  /** Shared over calls that use the same machine objects, so that equal ops are mapped once. */
  readonly mapper?: Mapper;
  /** Cache and DRAM with state and addresses, under `event`. */
  readonly memory?: Stateful;
  /** What index tensors of gathers and scatters hold, under `event`. */
  readonly indices?: Indices;
  /** What does not fit the device lives on its host. */
  readonly offload?: Offload;
  readonly onProgress?: (done: number, total: number) => void;
  /** Told the launches picked for each op, and their circumstances. */
  readonly onLaunches?: (launches: readonly Launch[], context: Context) => void;
}

/**
 * @throws InfeasibleError when an op fits no kernel, or under `strict` when the model does not fit
 */
export function simulate(trace: Trace, machine: ResourceGraph, options: SimulateOptions = {}): Simulation {
  const fidelity = options.fidelity ?? 'steady';
  const objective = options.objective ?? 'time';
  const launch = options.launch ?? 'graph';
  const mapper = options.mapper ?? new Mapper();
  const streaming = options.offload && streamingOf(trace, machine, options.offload);
  const warnings = streaming ? [] : footprintWarnings(trace, machine, options.strict ?? false);
  if (streaming?.share === 0) warnings.push(`${trace.name} fits ${machine.name}: nothing is offloaded`);
  const contexts = contextsOf(trace, launch);
  let ops: OpResult[] = [];
  trace.ops.forEach((op, i) => {
    ops.push(runOp(op, machine, contexts[i]!, { ...options, fidelity, objective, mapper }));
    options.onProgress?.(i + 1, trace.ops.length);
  });
  warnings.push(...closedForm(fidelity, ops));
  if (streaming) ops = streamed(trace, ops, streaming, machine);

  const total = (f: (o: OpResult) => number): number => ops.reduce((s, o) => s + f(o) * o.repeat, 0);
  const time_s = total((o) => o.time_s);
  const energy_J = total((o) => o.energy_J);
  const causes = new Map<string, number>();
  for (const o of ops) causes.set(o.bound_by, (causes.get(o.bound_by) ?? 0) + o.time_s * o.repeat);
  const phases: Simulation['phases'] = {};
  for (const o of ops) {
    const p = (phases[o.phase ?? 'all'] ??= { time_s: 0, energy_J: 0 });
    p.time_s += o.time_s * o.repeat;
    p.energy_J += o.energy_J * o.repeat;
  }
  const copying_s = streaming ? total((o) => o.streamed_B ?? 0) / streaming.link_B_per_s : 0;
  const bound_s = Math.max(
    copying_s,
    total((o) => o.bound_s),
  );
  const scaled = (pick: (o: OpResult) => Record<string, number>) =>
    addRecords(ops.map((o) => Object.fromEntries(Object.entries(pick(o)).map(([k, v]) => [k, v * o.repeat]))));
  return {
    machine: machine.name,
    workload: trace.name,
    fidelity,
    objective,
    launch,
    devices: trace.devices,
    time_s,
    launch_s: total((o) => o.launch_s),
    energy_J,
    power_W: energy_J / time_s,
    flops: total((o) => o.flops),
    flops_executed: total((o) => o.flops_executed),
    requested_B: scaled((o) => o.requested_B),
    moved_B: scaled((o) => o.moved_B),
    bound_by: largest(causes),
    roof_fraction: bound_s / time_s,
    energy_by_part_J: scaled((o) => o.energy_by_part_J),
    bound_s,
    footprint_B: { ...trace.footprint_B, capacity: homeCapacity(machine) },
    ...(trace.produces
      ? {
          produces: {
            ...trace.produces,
            per_s: trace.produces.count / time_s,
            energy_J_each: (energy_J * trace.devices) / trace.produces.count,
          },
        }
      : {}),
    ...(streaming && {
      offload: {
        what: streaming.what,
        share: streaming.share,
        host_B: streaming.host_B,
        disk_B: streaming.disk_B,
        staging_B: streaming.staging_B,
        link_B_per_s: streaming.link_B_per_s,
        wait_s: total((o) => o.wait_s ?? 0),
      },
    }),
    phases,
    ops,
    warnings,
  };
}

/** Nests have one engine at every fidelity: said where another was asked for. */
function closedForm(
  fidelity: Fidelity,
  ops: readonly { readonly arrays?: unknown; readonly name?: string }[],
): string[] {
  const laid = ops.filter((op) => op.arrays !== undefined);
  if (fidelity !== 'event' || laid.length === 0) return [];
  const what = ops.length > 1 ? `${laid.length} of ${ops.length} ops are` : 'the kernel is';
  return [`${what} laid on arrays: nests are timed in closed form, under event as under steady`];
}

/** The ops with what they wait for copies from the host, and those copies' bytes and energy. */
function streamed(trace: Trace, ops: readonly OpResult[], s: Streaming, machine: ResourceGraph): OpResult[] {
  const bytes = trace.ops.map((op) => s.share * offloadableBytes(op, s.what));
  const waited = waits(
    ops.map(({ time_s, repeat }, i) => ({ time_s, repeat, streamed_B: bytes[i]! })),
    s,
  );
  const { static_W } = machine.control;
  return ops.map((o, i) => {
    const streamed_B = bytes[i]!;
    const wait_s = waited[i]! / o.repeat;
    if (streamed_B === 0 && wait_s === 0) return o;
    const time_s = o.time_s + wait_s;
    const copied_J = streamed_B * s.pJ_per_B * 1e-12;
    const idle_J = static_W * wait_s;
    const parts = o.energy_by_part_J;
    const energy_J = o.energy_J + copied_J + idle_J;
    return {
      ...o,
      time_s,
      energy_J,
      power_W: energy_J / time_s,
      roof_fraction: o.bound_s / time_s,
      energy_by_part_J: {
        ...parts,
        link: (parts['link'] ?? 0) + copied_J,
        static: (parts['static'] ?? 0) + idle_J,
      },
      moved_B: { ...o.moved_B, host: (o.moved_B['host'] ?? 0) + streamed_B },
      bound_by: wait_s > o.time_s ? 'host' : o.bound_by,
      streamed_B,
      wait_s,
    };
  });
}

interface OpOptions extends SimulateOptions {
  readonly fidelity: Fidelity;
  readonly objective: Objective;
  readonly mapper: Mapper;
}

/** Maps and runs one op. */
function runOp(op: Op, machine: ResourceGraph, context: Context, options: OpOptions): OpResult {
  const bound = runBound(op, machine, context);
  let choice: Choice | undefined;
  let run = bound;
  let arrays: { arrays?: Occupancy[] } = {};
  if (options.fidelity !== 'bound') {
    choice = options.mapper.map(op, machine, {
      objective: options.objective,
      pins: options.pins?.[op.kind],
      context: JSON.stringify(context.reuse_B) + context.launch,
      evaluate: (launches) => evaluateLaunches(launches, machine, context),
      layOut: (launch) => layOut(launch, machine, options.objective),
    });
    const runs = runLaunches(choice.launches, machine, context, options.fidelity, options);
    run = inSequence(runs);
    arrays = occupanciesOf(choice.launches, runs, machine);
    options.onLaunches?.(choice.launches, context);
  }
  return {
    id: op.id,
    name: op.name,
    kind: op.kind,
    ...(op.phase ? { phase: op.phase } : {}),
    kernel: choice?.kernel ?? 'bound',
    tile: { ...(choice?.params ?? {}) },
    repeat: op.repeat,
    ...figures(op, run, bound),
    ...arrays,
  };
}

function figures(op: Op, run: RunResult, bound: RunResult) {
  return {
    time_s: run.time_s,
    launch_s: run.launch_s,
    energy_J: run.energy_J,
    power_W: run.power_W,
    flops: flopsOf(op),
    flops_executed: run.flops_executed,
    requested_B: bothWays(run.requested_B),
    moved_B: bothWays(run.moved_B),
    bound_by: run.bound_by,
    roof_fraction: bound.time_s / run.time_s,
    energy_by_part_J: { ...run.energy_by_part_J },
    bound_s: bound.time_s,
    clock_Hz: run.clock_Hz,
    busy_s: { ...run.busy_s },
    ...(run.memory && { memory: { ...run.memory, hits: { ...run.memory.hits } } as OpResult['memory'] }),
  };
}

export interface KernelOptions {
  readonly fidelity?: Fidelity;
  readonly objective?: Objective;
  readonly context?: Context;
  readonly kernel?: string;
  readonly params?: Params;
  readonly mapper?: Mapper;
  /** Kernels to choose from instead of the library's. */
  readonly kernels?: readonly Kernel[];
  /** Cache and DRAM with state and addresses, under `event`. */
  readonly memory?: Stateful;
  /** What index tensors of gathers and scatters hold, under `event`. */
  readonly indices?: Indices;
  /** Lays launches on arrays of PEs; a search when absent. */
  readonly layOut?: (launch: Launch) => Launch;
}

/** One op on one kernel, as `tilewright kernel` shows it. */
export function simulateKernel(
  op: Op,
  machine: ResourceGraph,
  options: KernelOptions = {},
): { result: KernelSimulation; choice: Choice; runs: RunResult[] } {
  const fidelity = options.fidelity ?? 'steady';
  const context = options.context ?? COLD;
  const mapper = options.mapper ?? new Mapper();
  const bound = runBound(op, machine, context);
  const choice = mapper.map(op, machine, {
    objective: options.objective ?? 'time',
    pins: { kernel: options.kernel, params: options.params },
    kernels: options.kernels,
    context: JSON.stringify(context.reuse_B) + context.launch,
    evaluate: (launches: readonly Launch[]) => evaluateLaunches(launches, machine, context),
    layOut: options.layOut ?? ((launch) => layOut(launch, machine, options.objective ?? 'time')),
  });
  const runs = fidelity === 'bound' ? [bound] : runLaunches(choice.launches, machine, context, fidelity, options);
  const run = inSequence(runs);
  const arrays = fidelity === 'bound' ? {} : occupanciesOf(choice.launches, runs, machine);
  const stalls = 'stalls_s' in run ? { stalls_s: run.stalls_s as Record<string, number> } : {};
  return {
    choice,
    runs,
    result: {
      machine: machine.name,
      kernel: choice.kernel,
      tile: { ...choice.params },
      fidelity,
      ...figures(op, run, bound),
      ...arrays,
      launches: runs.map((r, i) => ({
        program: fidelity === 'bound' ? 'any schedule' : choice.launches[i]!.program.name,
        time_s: r.time_s,
        ...(r.detail ?? {}),
      })),
      tried: choice.tried,
      ...stalls,
      warnings: closedForm(fidelity, [arrays]),
    },
  };
}

export type { Kernel };

/**
 * How long ago each op's tensors were touched: weights and cached keys a whole replay ago, activations since the op
 * that made them.
 */
function contextsOf(trace: Trace, launch: 'graph' | 'eager'): Context[] {
  const step_B = trace.footprint_B.weights + trace.footprint_B.kv_cache;
  const position = new Map(trace.ops.map((op, i) => [op.id, i]));
  const bytes = trace.ops.map((op) => {
    const { read_B, write_B } = compulsoryBytesOf(op);
    return read_B + write_B;
  });
  return trace.ops.map((op, i) => {
    let last = -1;
    for (const d of op.deps) last = Math.max(last, position.get(d) ?? -1);
    let between = 0;
    for (let j = Math.max(0, last + 1); j < i; j++) between += bytes[j]!;
    if (last < 0 && i > 0) between = step_B;
    const uncached = (op.kind === 'attention' && !op.cached) || op.kind === 'attention_backward';
    const fresh = uncached ? between : step_B;
    return { launch, reuse_B: { weight: step_B, activation: between, kv: fresh, index: between } };
  });
}

const homeCapacity = (machine: ResourceGraph): number => machine.stores.find((s) => s.role === 'home')?.capacity_B ?? 0;

function footprintWarnings(trace: Trace, machine: ResourceGraph, strict: boolean): string[] {
  const { weights, kv_cache, activations, gradients, optimiser } = trace.footprint_B;
  const need = footprintOf(trace.footprint_B);
  const home = machine.stores.find((s) => s.role === 'home') ?? storeOf(machine, 'dram');
  if (!home || need <= home.capacity_B) return [];
  const gib = (b: number) => `${(b / 2 ** 30).toFixed(1)} GiB`;
  const training = gradients === undefined ? '' : `, gradients ${gib(gradients)}, optimiser ${gib(optimiser ?? 0)}`;
  const message =
    `${trace.name} needs ${gib(need)} on each device (weights ${gib(weights)}, KV cache ${gib(kv_cache)}, activations ${gib(activations)}${training}), ` +
    `${machine.name} has ${gib(home.capacity_B)}: ${gib(need - home.capacity_B)} too much`;
  if (strict) throw new InfeasibleError(message);
  return [message];
}

function bothWays(traffic: Readonly<Record<string, Traffic>>): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const key in traffic) sum[key] = traffic[key]!.read_B + traffic[key]!.write_B;
  return sum;
}
