/** A table of measured times beside the simulator: every row predicted, errors by group, and two baselines on the same rows. */
import { csvFormat } from 'd3-dsv';
import { InputError } from '../base/errors.js';
import { Mapper } from '../kernel/mapper.js';
import type { ResourceGraph } from '../machine/graph.js';
import type { Trace } from '../workload/op.js';
import type { Call, TableKind } from './calls.js';
import type { Row, Skip } from './fields.js';
import { ModelRuns, servedCsv } from './model-runs.js';
import { isInfeasible, type Mapped, mapCall, predictCall, readRows, readTable, reasonsOf, timeOf } from './predict.js';
import type { Served } from './served.js';
import { ASSUMED_SPREAD, classesOf, intervalOf, type SpreadTable } from './spread.js';
import { type Errors, errorsOf, kendallTau } from './statistics.js';

export interface MeasuredRow {
  readonly row: Row;
  readonly skip_reason?: string;
  readonly group?: string;
  readonly dtype?: string;
  readonly measured_s?: number;
  readonly predicted_s?: number;
  readonly lo_s?: number;
  readonly hi_s?: number;
  /** What no schedule can beat. */
  readonly bound_s?: number;
  /** What the interval goes by, from the narrowest class to the widest. */
  readonly classes?: readonly string[];
  readonly kernel?: string;
  readonly tile?: string;
  readonly bound_by?: string;
  /** Of a row of a whole model: which of its figures this is; the values are in `unit` then. */
  readonly quantity?: string;
  readonly unit?: 's' | 'J' | 'W';
  readonly parts?: Parts;
  /** What would be predicted if the prompt, which the table leaves out, were twice as long as assumed. */
  readonly longer?: number;
  /** The roofline, and the roofline at a constant efficiency of 0.8 with 3 µs. */
  readonly roofline_s?: number;
  readonly power_W?: number;
  readonly measured_power_W?: number;
  /** Of a row that names its kernel: 'followed', or why the name fixes nothing; and what the search picks by itself. */
  readonly named?: string;
  readonly free?: { readonly time_s: number; readonly other: boolean };
}

/** Of a whole model's step: seconds of kernels, of collectives among the devices, and of waiting for the host. */
export type Parts = Readonly<Record<'kernels' | 'collectives' | 'host', number>>;

/** Rows of whole models: what the predicted times are made of, and what the assumed length of the prompt decides. */
export interface ServedGroup {
  /** Mean shares of the predicted time. */
  readonly parts?: Parts;
  /** Mean change of the prediction with twice the prompt. */
  readonly twice_the_prompt?: number;
}

/** Rows that name their kernels: predicted with the tile known, and what the search by itself would have picked. */
export interface NamedKernels {
  readonly followed: number;
  /** By reason. */
  readonly not_followed: Record<string, number>;
  /** With the tile known, and as the search picks. */
  readonly known: Errors;
  readonly searched: Errors;
  /** Share of rows where the search picks otherwise, and how much faster the model thinks that is, in the mean. */
  readonly otherwise: number;
  readonly gain: number;
}

export interface MeasuredReport extends Errors {
  readonly machine: string;
  readonly table: string;
  readonly file: string;
  readonly n_skipped: number;
  readonly kendall_tau: number;
  readonly by_group: Record<string, Errors & { baselines: Record<string, Errors> }>;
  readonly baselines: Record<string, Errors>;
  readonly worst: {
    row: Row;
    measured_ms: number;
    predicted_ms: number;
    error: number;
    kernel: string;
    tile: string;
    bound_by: string;
    /** Of whole models: what the two values are, in thousandths of `unit`. */
    quantity?: string;
    unit?: string;
  }[];
  readonly skipped: Record<string, number>;
  /** Mean power of the rows that say what was measured, short ones left out. */
  readonly power?: Errors;
  readonly named?: NamedKernels;
  /** By group. */
  readonly served?: Record<string, ServedGroup>;
  /** Share of the measured values inside the 90 % interval. */
  readonly inside: number;
}

export interface MeasuredOptions {
  readonly onProgress?: (done: number, total: number) => void;
  /** Only rows whose `device` column is this. */
  readonly device?: string;
  readonly mapper?: Mapper;
  /** How far predictions for this machine are off. */
  readonly spread?: SpreadTable;
  /** Opens a workload by its text, for tables of whole models. */
  readonly open?: (workload: string) => Trace;
}

export function predictTable(
  text: string,
  file: string,
  machine: ResourceGraph,
  options: MeasuredOptions = {},
): { rows: MeasuredRow[]; kind: TableKind; columns: readonly string[] } {
  const table = readTable(text, file);
  const { kind, columns } = table;
  const mapper = options.mapper ?? new Mapper();
  const spread = options.spread ?? ASSUMED_SPREAD;
  const predicted = <T extends { group: string; dtype?: string; device?: string }>(
    read: readonly (T | Skip)[],
    predict: (row: Row, item: T) => MeasuredRow[],
  ): MeasuredRow[] =>
    read.flatMap((item, i): MeasuredRow[] => {
      options.onProgress?.(i, read.length);
      const row = table.rows[i]!;
      if ('skip' in item) return [{ row, skip_reason: item.skip }];
      try {
        return predict(row, item);
      } catch (e) {
        if (isInfeasible(e)) return [{ row, group: item.group, dtype: item.dtype, skip_reason: e.message }];
        throw e;
      }
    });
  if (kind.served) {
    const model = new ModelRuns(machine, mapper, options.open);
    const rows = predicted<Served>(readRows(table, kind.served, options.device), (row, s) =>
      model.figuresOf(row, s).map((r) => withInterval(r, spread)),
    );
    return { rows, kind, columns };
  }
  const calls = readRows(table, kind.call, options.device);
  if (calls.every((c) => 'skip' in c)) throw new InputError(`nothing can be predicted: ${reasonsOf(calls)}`, file);
  return { rows: predicted<Call>(calls, (row, c) => [predictRow(row, c, machine, mapper, spread)]), kind, columns };
}

export function predictRow(
  row: Row,
  call: Call,
  machine: ResourceGraph,
  mapper: Mapper,
  spread: SpreadTable,
): MeasuredRow {
  const mapped = mapCall(call, machine, mapper);
  const p = predictCall(mapped, machine);
  const main = call.ops.at(-1)!;
  const predicted = {
    row,
    group: call.group,
    dtype: call.dtype,
    measured_s: call.measured_s,
    predicted_s: p.time_s,
    bound_s: p.bound_s,
    classes: classesOf(main, p.time_s),
    kernel: p.choice.kernel,
    tile: Object.entries(p.choice.params)
      .map(([k, v]) => `${k}=${v}`)
      .join(' '),
    bound_by: p.run.bound_by,
    roofline_s: p.roofline_s,
    power_W: p.energy_J / (p.time_s - (call.host_s ?? 0)),
    measured_power_W: call.power_W,
    ...(call.named && { named: call.named }),
    ...(call.named === 'followed' && { free: freely(call, mapped, machine, mapper) }),
  };
  return withInterval(predicted, spread);
}

/** The call as the search maps it, the name of its kernel left aside. */
function freely(call: Call, named: Mapped, machine: ResourceGraph, mapper: Mapper): MeasuredRow['free'] {
  const free = mapCall({ ...call, steps: undefined }, machine, mapper);
  const [a, b] = [named.steps.at(-1)!.choice, free.steps.at(-1)!.choice];
  const other = a.kernel !== b.kernel || TILE.some((key) => a.params[key] !== b.params[key]);
  return { time_s: timeOf(free, machine), other };
}
/** Power meters sample over many repeats with the host's gaps between: rows shorter than this say little. */
const POWER_LEAST_S = 100e-6;

/** What a kernel's name tells. */
const TILE = ['bm', 'bn', 'split', 'rows', 'block', 'groups'] as const;

/** The row with the interval that a table gives it: never below what no schedule can beat. */
export function withInterval(row: MeasuredRow, spread: SpreadTable): MeasuredRow {
  const time_s = row.predicted_s!;
  const { lo_s, hi_s } = intervalOf(spread, row.classes!, time_s);
  return { ...row, lo_s: Math.min(time_s, Math.max(row.bound_s!, lo_s)), hi_s };
}

export function summarise(rows: readonly MeasuredRow[], machine: string, table: string, file: string): MeasuredReport {
  const done = rows.filter((r) => r.predicted_s !== undefined);
  const errors = (list: readonly MeasuredRow[], pick: (r: MeasuredRow) => number) =>
    errorsOf(
      list.map(pick),
      list.map((r) => r.measured_s!),
    );
  const baselines = (list: readonly MeasuredRow[]): Record<string, Errors> => ({
    roofline: errors(list, (r) => r.roofline_s!),
    'roofline / 0.8 + 3 us': errors(list, (r) => r.roofline_s! / 0.8 + 3e-6),
  });
  const groups = new Map<string, MeasuredRow[]>();
  for (const r of done) {
    const key = `${r.group} ${r.dtype}`;
    const list = groups.get(key);
    if (list) list.push(r);
    else groups.set(key, [r]);
  }
  const skipped: Record<string, number> = {};
  for (const r of rows) if (r.skip_reason) skipped[r.skip_reason] = (skipped[r.skip_reason] ?? 0) + 1;
  const withPower = done.filter((r) => r.measured_power_W !== undefined && r.measured_s! >= POWER_LEAST_S);
  const inside = done.filter((r) => r.measured_s! >= r.lo_s! && r.measured_s! <= r.hi_s!).length;
  const worst = [...done]
    .sort(
      (a, b) => Math.abs(Math.log(b.predicted_s! / b.measured_s!)) - Math.abs(Math.log(a.predicted_s! / a.measured_s!)),
    )
    .slice(0, 10);
  return {
    machine,
    table,
    file,
    ...errors(done, (r) => r.predicted_s!),
    n_skipped: rows.length - done.length,
    kendall_tau: kendallTau(
      done.map((r) => r.predicted_s!),
      done.map((r) => r.measured_s!),
      0.02,
    ),
    by_group: Object.fromEntries(
      [...groups].map(([key, list]) => [key, { ...errors(list, (r) => r.predicted_s!), baselines: baselines(list) }]),
    ),
    baselines: baselines(done),
    worst: worst.map((r) => ({
      row: r.row,
      measured_ms: r.measured_s! * 1e3,
      predicted_ms: r.predicted_s! * 1e3,
      error: r.predicted_s! / r.measured_s! - 1,
      kernel: r.kernel!,
      tile: r.tile!,
      bound_by: r.bound_by!,
      ...(r.quantity && { quantity: r.quantity, unit: r.unit }),
    })),
    skipped,
    ...(withPower.length > 0 && {
      power: errorsOf(
        withPower.map((r) => r.power_W!),
        withPower.map((r) => r.measured_power_W!),
      ),
    }),
    ...(done.some((r) => r.named) && { named: namedKernels(done) }),
    ...(done.some((r) => r.quantity) && {
      served: Object.fromEntries([...groups].map(([key, list]) => [key, servedGroup(list)])),
    }),
    inside: done.length > 0 ? inside / done.length : 0,
  };
}

/** Every input row with what was predicted for it, as CSV. */
export function rowsCsv(rows: readonly MeasuredRow[], columns: readonly string[]): string {
  const added = ['predicted_ms', 'lo_ms', 'hi_ms', 'kernel', 'tile', 'bound_by', 'skip_reason'];
  const milli = (s: number | undefined): string => (s === undefined ? '' : String(s * 1e3));
  if (rows.some((r) => r.quantity)) return servedCsv(rows, columns);
  return csvFormat(
    rows.map((r) => ({
      ...r.row,
      predicted_ms: milli(r.predicted_s),
      lo_ms: milli(r.lo_s),
      hi_ms: milli(r.hi_s),
      kernel: r.kernel ?? '',
      tile: r.tile ?? '',
      bound_by: r.bound_by ?? '',
      skip_reason: r.skip_reason ?? '',
    })),
    [...columns.filter((c) => !added.includes(c)), ...added] as never[],
  );
}

function namedKernels(rows: readonly MeasuredRow[]): NamedKernels {
  const followed = rows.filter((r) => r.free);
  const not_followed: Record<string, number> = {};
  for (const r of rows) if (r.named && !r.free) not_followed[r.named] = (not_followed[r.named] ?? 0) + 1;
  const measured = followed.map((r) => r.measured_s!);
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);
  return {
    followed: followed.length,
    not_followed,
    known: errorsOf(
      followed.map((r) => r.predicted_s!),
      measured,
    ),
    searched: errorsOf(
      followed.map((r) => r.free!.time_s),
      measured,
    ),
    otherwise: mean(followed.map((r) => (r.free!.other ? 1 : 0))),
    gain: mean(followed.map((r) => r.predicted_s! / r.free!.time_s - 1)),
  };
}

function servedGroup(rows: readonly MeasuredRow[]): ServedGroup {
  const mean = (list: readonly MeasuredRow[], pick: (r: MeasuredRow) => number) =>
    list.reduce((sum, r) => sum + pick(r) / list.length, 0);
  const parted = rows.filter((r) => r.parts);
  const longer = rows.filter((r) => r.longer !== undefined);
  const share = (part: keyof Parts) => mean(parted, (r) => r.parts![part] / r.predicted_s!);
  return {
    ...(parted.length > 0 && {
      parts: { kernels: share('kernels'), collectives: share('collectives'), host: share('host') },
    }),
    ...(longer.length > 0 && { twice_the_prompt: mean(longer, (r) => r.longer! / r.predicted_s! - 1) }),
  };
}
