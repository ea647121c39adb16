/** Rows of measured tables as calls, and a call predicted on a machine. */
import { csvParse } from 'd3-dsv';
import { bytesOf } from '../base/dtype.js';
import { InfeasibleError, InputError, TilewrightError } from '../base/errors.js';
import { runBound } from '../engine/bound.js';
import { evaluateLaunches, inSequence, runLaunches } from '../engine/run.js';
import type { Context, RunResult } from '../engine/types.js';
import type { Launch } from '../kernel/kernel.js';
import type { Choice, Mapper } from '../kernel/mapper.js';
import type { ResourceGraph } from '../machine/graph.js';
import { compulsoryBytesOf, flopsOf, type Op } from '../workload/op.js';
import { type Call, type Row, type Skip, type Step, TABLES, type TableKind } from './calls.js';

/** @throws InputError with file and line for a table that is not understood */
export function readTable(text: string, file: string): { kind: TableKind; rows: Row[]; columns: string[] } {
  const parsed = csvParse(text);
  const columns = parsed.columns;
  if (parsed.length === 0) throw new InputError('the table has no rows', file);
  const kind = TABLES.find((t) => t.columns.every((c) => columns.includes(c)));
  if (!kind) {
    const near = [...TABLES].sort((a, b) => missing(a, columns).length - missing(b, columns).length)[0]!;
    throw new InputError(
      `columns are ${columns.join(', ')}; nearest known table '${near.name}' also needs ${missing(near, columns).join(', ')}`,
      `${file}:1`,
    );
  }
  return { kind, rows: parsed as unknown as Row[], columns };
}

const missing = (t: TableKind, columns: readonly string[]): string[] => t.columns.filter((c) => !columns.includes(c));

/**
 * The call of a row, or why it is left out; `device`: only rows whose column of that name says so.
 * @throws InputError with file and line
 */
export function callOf(kind: TableKind, row: Row, place: string, device?: string): Call | Skip {
  let call: Call | Skip;
  try {
    call = kind.call(row);
  } catch (e) {
    throw new InputError((e as Error).message, place);
  }
  if (!('skip' in call) && call.device && device && call.device !== device)
    return { skip: `measured on ${call.device}` };
  return call;
}

/** A call with what was picked for each of the ops that it runs; the main op's stands last. */
export interface Mapped {
  readonly call: Call;
  readonly steps: readonly { readonly op: Op; readonly context: Context; readonly choice: Choice }[];
}

/** @throws InfeasibleError when an op fits no kernel */
export function mapCall(call: Call, machine: ResourceGraph, mapper: Mapper): Mapped {
  const steps = call.steps?.(machine) ?? call.ops.map((op) => ({ op }));
  // of kernels launched one by one only the first waits for the host, which runs ahead of the others
  const queued: Context = { ...call.context, launch: 'graph' };
  return {
    call,
    steps: steps.map((step, i) => {
      const context = i === 0 ? call.context : queued;
      return { op: step.op, context, choice: choose(step, context, machine, mapper) };
    }),
  };
}

/** Under the framework's choices where the machine can follow them, the best otherwise. */
function choose({ op, pins }: Step, context: Context, machine: ResourceGraph, mapper: Mapper): Choice {
  const options = {
    objective: 'time',
    context: JSON.stringify(context),
    evaluate: (launches: readonly Launch[]) => evaluateLaunches(launches, machine, context),
  } as const;
  if (pins)
    try {
      return mapper.map(op, machine, { ...options, pins });
    } catch (e) {
      if (!(e instanceof InfeasibleError)) throw e;
    }
  return mapper.map(op, machine, options);
}

/** Seconds of a call whose choices stand, on a machine that may be another than they were made for. */
export function timeOf({ call, steps }: Mapped, machine: ResourceGraph): number {
  let time_s = call.host_s ?? 0;
  for (const { choice, context } of steps) time_s += evaluateLaunches(choice.launches, machine, context).time_s;
  return time_s;
}

export interface Prediction {
  readonly time_s: number;
  readonly energy_J: number;
  /** What no schedule can beat. */
  readonly bound_s: number;
  readonly roofline_s: number;
  /** Of the main op. */
  readonly run: RunResult;
  readonly choice: Choice;
}

export function predictCall({ call, steps }: Mapped, machine: ResourceGraph): Prediction {
  let time_s = call.host_s ?? 0;
  let bound_s = time_s;
  let energy_J = 0;
  let run: RunResult | undefined;
  for (const { op, choice, context } of steps) {
    run = inSequence(runLaunches(choice.launches, machine, context, 'steady'));
    time_s += run.time_s;
    energy_J += run.energy_J;
    bound_s += runBound(op, machine, context).time_s;
  }
  const main = steps.at(-1)!;
  return { time_s, energy_J, bound_s, roofline_s: roofline(main.op, machine), run: run!, choice: main.choice };
}

/** Whether an error says that a row cannot run on a machine, which leaves it out. */
export const isInfeasible = (e: unknown): e is TilewrightError =>
  e instanceof InfeasibleError || (e instanceof TilewrightError && e.exitCode === 3);

/** The roofline everyone draws: useful FLOPs at the rated peak of the dtype, compulsory bytes at the specified bandwidth. */
function roofline(op: Op, machine: ResourceGraph): number {
  const types = 'a' in op ? [op.a, op.b] : op.kind === 'attention' ? [op.q, op.kv] : undefined;
  let rate = 0;
  if (types) {
    const wide = Math.max(bytesOf(types[0]!), bytesOf(types[1]!));
    for (const unit of machine.units)
      for (const m of unit.mma)
        if (bytesOf(m.a) === wide || m.a === types[0]) rate = Math.max(rate, 2 * m.macs_per_cycle);
  } else
    for (const unit of machine.units)
      for (const m of unit.mma) if (m.a === 'fp32') rate = Math.max(rate, 2 * m.macs_per_cycle);
  const home = machine.stores.find((s) => s.role === 'home')!;
  const { read_B, write_B } = compulsoryBytesOf(op);
  const peak = rate * machine.cores.count * machine.control.clock.nominal_Hz;
  return Math.max(rate > 0 ? flopsOf(op) / peak : 0, (read_B + write_B) / home.read_B_per_s);
}
