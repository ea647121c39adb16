/** A table of measured times beside the simulator: every row predicted, errors by group, and two baselines on the same rows. */
import { csvFormat, csvParse } from 'd3-dsv';
import { bytesOf } from '../base/dtype.js';
import { InfeasibleError, InputError, TilewrightError } from '../base/errors.js';
import { runBound } from '../engine/bound.js';
import { evaluateLaunches, inSequence, runLaunches } from '../engine/run.js';
import type { RunResult } from '../engine/types.js';
import { Mapper } from '../kernel/mapper.js';
import type { ResourceGraph } from '../machine/graph.js';
import { compulsoryBytesOf, flopsOf, type Op } from '../workload/op.js';
import { type Call, type Row, TABLES, type TableKind } from './calls.js';
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
  readonly kernel?: string;
  readonly tile?: string;
  readonly bound_by?: string;
  /** The roofline, and the roofline at a constant efficiency of 0.8 with 3 µs. */
  readonly roofline_s?: number;
  readonly power_W?: number;
  readonly measured_power_W?: number;
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
  }[];
  readonly skipped: Record<string, number>;
  readonly interval: string;
}

/**
 * Until a calibration states residuals, the interval is the spread that first-principles models of GPU kernels show
 * (a factor of 1.5 either way holds about nine in ten), and never below what no schedule can beat.
 */
const PRIOR_FACTOR = 1.5;

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

export interface MeasuredOptions {
  readonly onProgress?: (done: number, total: number) => void;
  /** Only rows whose `device` column is this. */
  readonly device?: string;
  readonly mapper?: Mapper;
}

export function predictTable(
  text: string,
  file: string,
  machine: ResourceGraph,
  options: MeasuredOptions = {},
): { rows: MeasuredRow[]; kind: TableKind; columns: string[] } {
  const { kind, rows, columns } = readTable(text, file);
  const mapper = options.mapper ?? new Mapper();
  const out = rows.map((row, i): MeasuredRow => {
    options.onProgress?.(i, rows.length);
    let call: Call | { skip: string };
    try {
      call = kind.call(row);
    } catch (e) {
      throw new InputError((e as Error).message, `${file}:${i + 2}`);
    }
    if ('skip' in call) return { row, skip_reason: call.skip };
    if (call.device && options.device && call.device !== options.device)
      return { row, skip_reason: `measured on ${call.device}` };
    try {
      return predict(row, call, machine, mapper);
    } catch (e) {
      if (e instanceof InfeasibleError || (e instanceof TilewrightError && e.exitCode === 3))
        return { row, group: call.group, dtype: call.dtype, skip_reason: e.message };
      throw e;
    }
  });
  return { rows: out, kind, columns };
}

function predict(row: Row, call: Call, machine: ResourceGraph, mapper: Mapper): MeasuredRow {
  const context = JSON.stringify(call.context);
  let main: { run: RunResult; kernel: string; tile: string } | undefined;
  let time_s = call.host_s ?? 0;
  let energy_J = 0;
  let bound_s = call.host_s ?? 0;
  for (const op of call.ops) {
    const choice = mapper.map(op, machine, {
      objective: 'time',
      context,
      evaluate: (launches) => evaluateLaunches(launches, machine, call.context),
    });
    const run = inSequence(runLaunches(choice.launches, machine, call.context, 'steady'));
    time_s += run.time_s;
    energy_J += run.energy_J;
    bound_s += runBound(op, machine, call.context).time_s;
    main = {
      run,
      kernel: choice.kernel,
      tile: Object.entries(choice.params)
        .map(([k, v]) => `${k}=${v}`)
        .join(' '),
    };
  }
  return {
    row,
    group: call.group,
    dtype: call.dtype,
    measured_s: call.measured_s,
    predicted_s: time_s,
    lo_s: Math.max(bound_s, time_s / PRIOR_FACTOR),
    hi_s: time_s * PRIOR_FACTOR,
    kernel: main!.kernel,
    tile: main!.tile,
    bound_by: main!.run.bound_by,
    roofline_s: roofline(call.ops[call.ops.length - 1]!, machine),
    power_W: energy_J / (time_s - (call.host_s ?? 0)),
    measured_power_W: call.power_W,
  };
}

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
    })),
    skipped,
    interval: `a factor of ${PRIOR_FACTOR} either way, assumed; ${done.length ? Math.round((100 * inside) / done.length) : 0} % of the measured values fall inside`,
  };
}

/** Every input row with what was predicted for it, as CSV. */
export function rowsCsv(rows: readonly MeasuredRow[], columns: readonly string[]): string {
  const added = ['predicted_ms', 'lo_ms', 'hi_ms', 'kernel', 'tile', 'bound_by', 'skip_reason'];
  const milli = (s: number | undefined): string => (s === undefined ? '' : String(s * 1e3));
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
