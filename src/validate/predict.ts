/** Rows of measured tables as calls, and a call predicted on a machine. */
import { bytesOf } from '../base/dtype.js';
import { InfeasibleError, InputError, nearestName, TilewrightError } from '../base/errors.js';
import { runBound } from '../engine/bound.js';
import { evaluateLaunches, inSequence, runLaunches } from '../engine/run.js';
import type { Context, RunResult } from '../engine/types.js';
import type { Launch } from '../kernel/kernel.js';
import type { Choice, Mapper } from '../kernel/mapper.js';
import type { ResourceGraph } from '../machine/graph.js';
import { compulsoryBytesOf, flopsOf, type Op } from '../workload/op.js';
import { type Call, type Step, TABLES, type TableKind } from './calls.js';
import { readCsv } from './csv.js';
import type { Row, Skip } from './fields.js';
import { withHabit } from './kernel-habits.js';

/** A table that is understood, and where each of its rows stands. */
export interface MeasuredTable {
  readonly kind: TableKind;
  readonly rows: readonly Row[];
  readonly places: readonly string[];
  readonly columns: readonly string[];
}

/** @throws InputError with file and line for a table that is not understood */
export function readTable(text: string, file: string): MeasuredTable {
  const { columns, rows } = readCsv(text, file);
  const kind = TABLES.find((t) => t.columns.every((c) => columns.includes(c)));
  if (!kind) throw notATable(columns, `${file}:1`);
  return {
    kind,
    rows: rows.map(({ values }) => Object.fromEntries(columns.map((name, i) => [name, values[i]!]))),
    places: rows.map(({ line }) => `${file}:${line}`),
    columns,
  };
}

function notATable(columns: readonly string[], place: string): InputError {
  const near = [...TABLES].sort((a, b) => missing(a, columns).length - missing(b, columns).length)[0]!;
  const others = columns.filter((c) => !near.columns.includes(c));
  const needed = missing(near, columns).map((name) => {
    const written = nearestName(name, others);
    return written === undefined ? name : `${name} (is that '${written}'?)`;
  });
  return new InputError(
    `columns are ${columns.join(', ')}; the nearest known table '${near.name}' also needs ${needed.join(', ')}`,
    place,
  );
}

const missing = (t: TableKind, columns: readonly string[]): string[] => t.columns.filter((c) => !columns.includes(c));

/**
 * What `read` makes of each row, or why it is left out; `device`: only rows whose column of that name says so. All rows
 * are read before the first is predicted, so that what is wrong with the last is said at once.
 * @throws InputError with file and line
 */
export function readRows<T extends { readonly device?: string }>(
  { rows, places }: MeasuredTable,
  read: (row: Row) => T | Skip,
  device?: string,
): (T | Skip)[] {
  return rows.map((row, i) => {
    try {
      const made = read(row);
      if ('skip' in made || device === undefined || (made.device ?? device) === device) return made;
      return { skip: `measured on ${made.device}` };
    } catch (e) {
      throw e instanceof InputError ? new InputError(e.message, places[i]) : e;
    }
  });
}

/** Why rows were left out, the most frequent reason first. */
export function reasonsOf(skips: readonly (Skip | object)[]): string {
  const count = new Map<string, number>();
  for (const s of skips) if ('skip' in s) count.set(s.skip, (count.get(s.skip) ?? 0) + 1);
  return [...count]
    .sort((a, b) => b[1] - a[1])
    .map(([reason, n]) => `${n} row${n === 1 ? '' : 's'}: ${reason}`)
    .join('; ');
}

/** A call with what was picked for each of the ops that it runs; the main op's stands last. */
export interface Mapped {
  readonly call: Call;
  readonly steps: readonly { readonly op: Op; readonly context: Context; readonly choice: Choice }[];
}

/** @throws InfeasibleError when an op fits no kernel */
export function mapCall(call: Call, machine: ResourceGraph, mapper: Mapper): Mapped {
  const steps = call.steps?.(machine) ?? call.ops.map((op) => ({ op }));
  const first = call.contextOn?.(machine) ?? call.context;
  // of kernels launched one by one only the first waits for the host, which runs ahead of the others
  const queued: Context = { ...first, launch: 'graph' };
  return {
    call,
    steps: steps.map((step, i) => {
      const context = i === 0 ? first : queued;
      return { op: step.op, context, choice: choose(step, context, machine, mapper) };
    }),
  };
}

/** Under the framework's choices where the machine can follow them, the best otherwise. */
function choose({ op, pins, habit }: Step, context: Context, machine: ResourceGraph, mapper: Mapper): Choice {
  const options = {
    objective: 'time',
    context: JSON.stringify([context, habit]),
    ...(habit && { layOut: (launch: Launch) => withHabit(launch, habit) }),
    evaluate: (launches: readonly Launch[]) => evaluateLaunches(launches, machine, context),
  } as const;
  let best: Choice | undefined;
  for (const p of pins ? [pins].flat() : [])
    try {
      const choice = mapper.map(op, machine, { ...options, pins: p });
      if (!best || choice.time_s < best.time_s) best = choice;
    } catch (e) {
      if (!(e instanceof InfeasibleError)) throw e;
    }
  return best ?? mapper.map(op, machine, options);
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
