/** Runs claims: what was published beside what the simulator says of the same setup. */
import { bytesOf } from '../base/dtype.js';
import { InputError, positive } from '../base/errors.js';
import { type DimensionName, parseQuantity } from '../base/units.js';
import { liveBytes } from '../bounds/count.js';
import { leastIo } from '../bounds/least-io.js';
import { nearMachine } from '../bounds/near-machine.js';
import { scheduleOf, schedulesOf, searchFree } from '../bounds/schedules.js';
import { spaceOf } from '../bounds/space.js';
import { simulate, simulateKernel } from '../engine/simulate.js';
import { COLD } from '../engine/types.js';
import { type AnyKernel, kernelsNamed } from '../kernel/library/index.js';
import { Mapper, type Pins } from '../kernel/mapper.js';
import type { ResourceGraph } from '../machine/graph.js';
import type { TransformerModel } from '../workload/model.js';
import { flopsOf, type Op, type OpOf, type Trace } from '../workload/op.js';
import { type Claim, type ClaimCase, METRICS, type Metric, type Reproduced, type Setup } from './claim-schema.js';
import { layerOf } from './layer.js';
import { fullText } from './setup-text.js';
import { standardAttention } from './standard-attention.js';

/** What the command line opens for a claim. */
export interface Surroundings {
  machine(key: string): ResourceGraph;
  model(name: string): TransformerModel;
  workload(text: string): Trace;
}

/** A machine as a setup names it: its name, and the fields that differ. */
export interface NamedMachine {
  readonly name: string;
  readonly set: readonly string[];
  /** Both as one text: what `Surroundings.machine` is asked for. */
  readonly key: string;
}

const named = ({ machine, set = [] }: Setup): NamedMachine | undefined =>
  machine === undefined ? undefined : { name: machine, set, key: [machine, ...set].join(' --set ') };

/** The machines that a claim runs on. */
export function machinesOf(claim: Claim): NamedMachine[] {
  const all = claim.cases.flatMap((c) => sidesOf(claim, c).flatMap((s) => [named(s.baseline), named(s.treatment)]));
  return [...new Map(all.flatMap((m) => (m ? [[m.key, m] as const] : []))).values()];
}

export function reproduceClaim(name: string, claim: Claim, around: Surroundings): Reproduced[] {
  const mapper = new Mapper();
  return claim.cases.map((c) => reproduceCase(name, claim, c, around, mapper));
}

function reproduceCase(name: string, claim: Claim, c: ClaimCase, around: Surroundings, mapper: Mapper): Reproduced {
  const metric = c.metric ?? claim.metric;
  const { unit } = METRICS[metric];
  const place = `claim ${name}, ${c.name}`;
  const published = positive(figure(c.published, unit, place), `published figure of ${place}`);
  const sides = sidesOf(claim, c);
  const [first] = sides;
  const several = sides.length > 1 ? ` (mean over ${sides.length} sizes, this the first)` : '';
  const told = (s: Setup) => {
    const text = fullText(s);
    return text === undefined ? null : text + several;
  };
  const common = {
    claim: name,
    case: c.name,
    metric,
    unit,
    // what a metric of one side alone is not compared with is left out
    baseline: METRICS[metric].compares ? told(first!.baseline) : null,
    treatment: told(first!.treatment),
    published,
    source: c.source ?? claim.source,
  };
  if (c.missing !== undefined) return { ...common, simulated: null, residual: null, note: c.missing };
  const runs = sides.map(({ baseline, treatment }): Run => {
    const laid = (s: Setup) => ofLayer(s, around);
    return { baseline: laid(baseline), treatment: laid(treatment), around, place, mapper };
  });
  const simulated = positive(runs.reduce((sum, run) => sum + MEASURES[metric](run), 0) / runs.length, place);
  return { ...common, simulated, residual: simulated / published - 1, note: c.note ?? claim.note };
}

const DIMENSION: Record<string, DimensionName> = { s: 'time', B: 'bytes', 'FLOP/s': 'flops' };

function figure(published: number | string, unit: string, place: string): number {
  if (typeof published === 'number') return published;
  const dimension = DIMENSION[unit];
  if (!dimension) throw new InputError(`'${published}' must be a plain number`, place);
  return parseQuantity(published, dimension, place);
}

const merged = (whole: Setup | undefined, part: Setup | undefined): Setup => ({
  ...whole,
  ...part,
  ...(whole?.shape || part?.shape ? { shape: { ...whole?.shape, ...part?.shape } } : {}),
});

interface Sides {
  readonly baseline: Setup;
  readonly treatment: Setup;
}

/** What a case runs: once, or for each setup that it is the mean over. */
const sidesOf = (claim: Claim, c: ClaimCase): Sides[] =>
  (c.mean_over ?? [undefined]).map((each) => {
    const side = (whole: Setup | undefined, part: Setup | undefined) =>
      [claim.both, whole, c.both, part, each].reduce<Setup>(merged, {});
    return { baseline: side(claim.baseline, c.baseline), treatment: side(claim.treatment, c.treatment) };
  });

/** A setup of a layer with the shape of its attention, and the products beside it where they count. */
function ofLayer({ layer, ...setup }: Setup, around: Surroundings): Setup {
  if (!layer) return setup;
  const { attention, products } = layerOf(around.model(layer.model), layer.batch, layer.seq);
  const beside = layer.products ? [...(setup.beside ?? []), ...products] : setup.beside;
  return { ...setup, shape: { ...attention, ...setup.shape }, ...(beside && { beside }) };
}

interface Run extends Sides {
  readonly around: Surroundings;
  readonly place: string;
  /** Of all cases of a claim: ops that they share are mapped once. */
  readonly mapper: Mapper;
}

interface Timed {
  readonly time_s: number;
  readonly dram_B: number;
  readonly energy_J: number;
  /** Busy time of the array with rows and of the last, the lanes; and the time without launches. */
  readonly array_s: number;
  readonly lanes_s: number;
  readonly busy_s: number;
  /** Useful work: of the kernels that ran, or of one forward pass of standard attention. */
  readonly flops: number;
}

function kernelOf(s: Setup, place: string): { kernels: readonly AnyKernel[]; op: Op } {
  if (s.kernel === undefined) throw new InputError('needs a kernel and a shape', place);
  const kernels = kernelsNamed(s.kernel);
  return { kernels, op: kernels[0]!.toOp(s.shape ?? {}, s.dtype ?? 'fp16') };
}

/** The kernels of a workload's attention, in both passes, where the setup names them. */
function attentionPins(s: Setup): Record<string, Pins> {
  return {
    ...(s.kernel === undefined ? {} : { attention: { kernel: s.kernel, params: s.tile } }),
    ...(s.backward === undefined ? {} : { attention_backward: { kernel: s.backward, params: s.backward_tile } }),
  };
}

/** Of one device, by the operations that a training step's trace says papers count. */
function trainingRate(s: Setup, run: Run): number {
  if (s.workload === undefined) throw new InputError('needs a workload that trains', run.place);
  const { source, devices } = run.around.workload(s.workload);
  const flops = source['model_flops'];
  if (typeof flops !== 'number') throw new InputError(`${s.workload} is no training step`, run.place);
  return flops / devices / timed(s, run).time_s;
}

/** Simulated at steady fidelity. */
function timed(s: Setup, { around, place, mapper }: Run): Timed {
  const which = named(s);
  if (!which) throw new InputError('needs a machine', place);
  const machine = around.machine(which.key);
  const home = machine.stores.find((x) => x.role === 'home')!.id;
  const first = machine.arrays?.[0]?.unit ?? '';
  const last = machine.arrays?.at(-1)?.unit ?? '';
  const launch = s.launch ?? 'graph';
  if (s.ops || s.workload !== undefined) {
    const attention = s.ops
      ? (kernelOf({ ...s, kernel: s.kernel ?? 'attention' }, place).op as OpOf<'attention'>)
      : undefined;
    const trace = attention ? standardAttention(attention, s.ops!) : around.workload(s.workload!);
    const r = simulate(trace, machine, { launch, mapper, ...(attention ? {} : { pins: attentionPins(s) }) });
    const flops = attention ? flopsOf(attention) : r.flops;
    const busy = (unit: string) => r.ops.reduce((sum, o) => sum + (o.busy_s[unit] ?? 0) * o.repeat, 0);
    const { time_s, energy_J } = r;
    return {
      time_s,
      dram_B: r.moved_B[home] ?? 0,
      energy_J,
      array_s: busy(first),
      lanes_s: busy(last),
      busy_s: time_s - r.launch_s,
      flops,
    };
  }
  const passes: { setup: Setup; repeat: number }[] =
    s.backward === undefined
      ? [{ setup: s, repeat: 1 }]
      : [
          { setup: { ...s, shape: { ...s.shape, statistics: 1 } }, repeat: 1 },
          { setup: { ...s, kernel: s.backward, tile: s.backward_tile }, repeat: 1 },
        ];
  for (const { kernel, shape, repeat = 1 } of s.beside ?? [])
    passes.push({ setup: { ...s, kernel, shape, tile: undefined }, repeat });
  const sum = { time_s: 0, dram_B: 0, energy_J: 0, array_s: 0, lanes_s: 0, busy_s: 0, flops: 0 };
  for (const { setup: pass, repeat } of passes) {
    const { kernels, op } = kernelOf(pass, place);
    const { result } = simulateKernel(op, machine, {
      ...(kernels.length === 1 ? { kernel: kernels[0]!.name } : {}),
      ...(pass.tile ? { params: pass.tile } : {}),
      context: { ...COLD, launch },
    });
    sum.time_s += result.time_s * repeat;
    sum.dram_B += (result.moved_B[home] ?? 0) * repeat;
    sum.energy_J += result.energy_J * repeat;
    sum.array_s += (result.busy_s[first] ?? 0) * repeat;
    sum.lanes_s += (result.busy_s[last] ?? 0) * repeat;
    sum.busy_s += (result.time_s - result.launch_s) * repeat;
    sum.flops += result.flops * repeat;
  }
  return sum;
}

/** Requested bytes: of the tile given, or of the best within the capacity. */
function counted(s: Setup, place: string): { requested_B: number; op: Op; capacity_B: number } {
  const { kernels, op } = kernelOf(s, place);
  if (s.tile) {
    const one = scheduleOf(kernels[0]!, op, { ...defaultsOf(kernels[0]!), ...s.tile });
    return { requested_B: one.requested_B, op, capacity_B: one.live_B };
  }
  if (s.capacity === undefined) throw new InputError('needs a tile or a capacity', place);
  const capacity_B = parseQuantity(s.capacity, 'bytes', place);
  const found = bestWithin(kernels, op, capacity_B);
  if (found === undefined) throw new InputError(`no schedule fits ${s.capacity}`, place);
  return { requested_B: found, op, capacity_B };
}

function bestWithin(kernels: readonly AnyKernel[], op: Op, capacity_B: number): number | undefined {
  if (kernels.length > 1) return schedulesOf(op, capacity_B)[0]?.requested_B;
  const space = spaceOf(kernels[0]!.name, op);
  return space && searchFree(kernels[0]!, op, space, capacity_B)?.requested_B;
}

const defaultsOf = (kernel: AnyKernel) =>
  Object.fromEntries(Object.entries(kernel.params).map(([key, p]) => [key, p.default]));

/** Intermediates that launches leave in far memory for each other, and the largest live tile. */
function overhead(s: Setup, { around, place }: Run): number {
  const { kernels, op } = kernelOf(s, place);
  const [kernel] = kernels as readonly [AnyKernel];
  const machine = s.machine === undefined ? nearMachine(op) : around.machine(named(s)!.key);
  const launches = kernel.build(op, { ...defaultsOf(kernel), ...s.tile }, machine);
  const scratch = new Map(
    launches.flatMap(({ program }) =>
      program.tensors.filter((t) => t.role === 'scratch').map((t) => [t.name, t] as const),
    ),
  );
  let bytes = liveBytes(launches.map((l) => l.program));
  for (const t of scratch.values()) bytes += t.dims.reduce((a, b) => a * b, 1) * bytesOf(t.dtype);
  return bytes;
}

/** Where the baseline's best schedule and the treatment's move the same, by bisection over capacities. */
function crossover({ baseline, treatment, place }: Run): number {
  const { kernels: slow, op } = kernelOf(baseline, place);
  const { kernels: quick } = kernelOf(treatment, place);
  if (op.kind !== 'attention' && op.kind !== 'attention_backward') throw new InputError('is of attention', place);
  const square_B = op.head_dim ** 2 * bytesOf(op.kind === 'attention' ? op.q : op.dtype);
  const lessBelow = (x: number) => {
    const small = bestWithin(slow, op, x * square_B);
    const large = bestWithin(quick, op, x * square_B);
    return small !== undefined && (large === undefined || small < large);
  };
  let low = 1 / 32;
  let high = 8;
  if (!lessBelow(low) || lessBelow(high)) throw new InputError('the two do not cross between d²/32 and 8d²', place);
  while (high / low > 1.002) {
    const middle = Math.sqrt(low * high);
    if (lessBelow(middle)) low = middle;
    else high = middle;
  }
  return Math.sqrt(low * high);
}

/** FLOP/s of the fastest dense matrix instruction for the setup's format. */
function peakOf({ treatment, around, place }: Run): number {
  const machine = around.machine(named(treatment)!.key);
  const dtype = treatment.dtype ?? 'fp16';
  const macs = Math.max(
    0,
    ...machine.units.flatMap((u) => u.mma.filter((m) => m.a === dtype && m.b === dtype).map((m) => m.macs_per_cycle)),
  );
  return positive(2 * macs * machine.cores.count * machine.control.clock.nominal_Hz, `peak of ${place}`);
}

const passesOf = (s: Setup): number => s.passes ?? 1;

/** How each metric is taken. */
const MEASURES = {
  time_s: (r) => timed(r.treatment, r).time_s,
  speedup: (r) => timed(r.baseline, r).time_s / timed(r.treatment, r).time_s,
  flop_per_s(r) {
    const t = timed(r.treatment, r);
    return (t.flops * passesOf(r.treatment)) / t.time_s;
  },
  model_flop_per_s: (r) => trainingRate(r.treatment, r),
  peak_fraction(r) {
    const t = timed(r.treatment, r);
    return (t.flops * passesOf(r.treatment)) / t.time_s / peakOf(r);
  },
  energy_ratio: (r) => timed(r.treatment, r).energy_J / timed(r.baseline, r).energy_J,
  energy_J: (r) => timed(r.treatment, r).energy_J,
  lanes_busy(r) {
    const t = timed(r.treatment, r);
    return t.lanes_s / t.busy_s;
  },
  array_busy(r) {
    const t = timed(r.treatment, r);
    return t.array_s / t.busy_s;
  },
  dram_B: (r) => timed(r.treatment, r).dram_B,
  dram_ratio: (r) => timed(r.baseline, r).dram_B / timed(r.treatment, r).dram_B,
  requested_B: (r) => counted(r.treatment, r.place).requested_B,
  requested_ratio: (r) => counted(r.baseline, r.place).requested_B / counted(r.treatment, r.place).requested_B,
  overhead_B: (r) => overhead(r.treatment, r),
  overhead_ratio: (r) => overhead(r.baseline, r) / overhead(r.treatment, r),
  bound_ratio(r) {
    const { requested_B, op, capacity_B } = counted(r.treatment, r.place);
    return requested_B / leastIo(op, capacity_B).bytes;
  },
  crossover,
} satisfies Record<Metric, (r: Run) => number>;
