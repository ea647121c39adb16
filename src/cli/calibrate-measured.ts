/** `tilewright calibrate --measured FILES -m MACHINE`: fits a machine's uncertain constants to measured times. */
import { availableParallelism } from 'node:os';
import { dirname, relative, resolve } from 'node:path';
import { basename } from 'node:path/posix';
import { InputError } from '../base/errors.js';
import { FAMILIES } from '../machine/family.js';
import { quantity } from '../report/format.js';
import { type Calibrated, calibrateMachine } from '../validate/calibrate/calibrate.js';
import { crewOf } from '../validate/calibrate/crew.js';
import { describe, insideOf, reportOf, residualsOf } from '../validate/calibrate/describe.js';
import { samplesOf } from '../validate/calibrate/samples.js';
import { type MeasuredRow, summarise } from '../validate/measured.js';
import { spreadOf } from '../validate/spread.js';
import { findMachine, listMachines, openMachine, openMachineSource } from './files.js';
import { Interrupted, interruptible } from './interrupt.js';
import { readText, writeOutput } from './io.js';
import type { CommonOptions } from './options.js';
import { emit, jsonText, note } from './output.js';
import { startProgress } from './progress.js';
import { bold, plainTable } from './style.js';

export interface CalibrateMeasuredOptions extends CommonOptions {
  readonly measured: readonly string[];
  readonly machine?: string;
  readonly device?: string;
  readonly rows: number;
  readonly seed?: number;
  readonly jobs?: number;
  readonly name?: string;
}

const STEPS = 100;

/** @throws Interrupted after everything is written */
export async function calibrateMeasured(options: CalibrateMeasuredOptions): Promise<void> {
  if (options.machine === undefined) throw new InputError('--measured needs -m: the machine it was measured on');
  const found = findMachine(options.machine);
  const source = await openMachineSource(options.machine);
  const fitted = Object.entries(FAMILIES).flatMap(([name, f]) => (f.calibratable.length > 0 ? [`'${name}'`] : []));
  if (FAMILIES[source.family].calibratable.length === 0)
    throw new InputError(
      `machines of the family '${source.family}' have no constants to fit to measured times; those of ${fitted} have`,
      found.file,
    );
  const tables = options.measured.map((file) => ({ file, text: readText(file), device: options.device }));
  const { samples, skipped, reasons } = samplesOf(tables);
  if (samples.length === 0)
    throw new InputError(`no row is a call that can be simulated: ${reasons}`, options.measured.join(', '));
  if (skipped > 0) note(options, `left out ${reasons}`);
  const seed = options.seed ?? 0;
  const date = new Date().toISOString().slice(0, 10);
  const progress = await startProgress('calibrating', STEPS, options);
  const crew = await crewOf(source, tables, jobsFor(samples.length, options.jobs));
  const result = await interruptible((signal) =>
    calibrateMachine(source, samples, {
      seed,
      rows: options.rows,
      crew,
      stopped: () => signal.aborted,
      onProgress: (done, total, text) => progress.update(Math.round((STEPS * done) / total), text),
    }),
  ).finally(async () => {
    progress.stop();
    await crew.close();
  });
  const { title, uncertainty } = await openMachine(options.machine);
  const description = describe(
    result,
    {
      extends: parentName(found.name, found.path, options.out),
      name: options.name ?? `${found.name}-calibrated`,
      // no longer its datasheet alone
      title: title.replace(/ \(datasheet\)$/, ''),
      date,
      seed,
      files: options.measured.map((file) => basename(file.replaceAll('\\', '/'))),
    },
    uncertainty,
  );
  const toFile = options.out !== undefined && options.out !== '-';
  if (toFile) writeOutput(options.out!, jsonText(description));
  const report = {
    date,
    machine: found.name,
    seed,
    rows: { ...result.n, skipped },
    rounds: result.rounds,
    constants: result.fitted.map(reportOf),
    errors: errorsOf(result),
    inside: insideOf(result.test, spreadOf(residualsOf(result.spread))),
    description,
  };
  if (toFile) note(options, `wrote ${options.out}; use it: -m ${options.out}`);
  await emit({ ...options, out: undefined }, { json: () => report, text: () => reportText(report) });
  if (result.interrupted) throw new Interrupted('interrupted: the best constants so far were kept');
}

/** Samples below which another worker costs more than it brings. */
const LEAST_SAMPLES = 100;
const jobsFor = (samples: number, asked?: number): number =>
  asked ?? Math.max(1, Math.min(availableParallelism(), Math.floor(samples / LEAST_SAMPLES)));

/** Shipped machines are known by name, others by their path from the new file. */
function parentName(name: string, path: string, out: string | undefined): string {
  if (listMachines().includes(name) && findMachine(name).path === path) return name;
  const from = relative(dirname(resolve(out ?? '.')), path).replaceAll('\\', '/');
  return from.startsWith('.') ? from : `./${from}`;
}

/** By kind and dtype, of the rows kept out. */
function errorsOf({ before, test }: Calibrated) {
  const groups = (rows: readonly MeasuredRow[]) => summarise(rows, '', '', '').by_group;
  const [was, is] = [groups(before), groups(test)];
  return Object.fromEntries(Object.entries(is).map(([key, after]) => [key, { before: was[key]!, after }]));
}

interface Report {
  readonly machine: string;
  readonly rows: { readonly fit: number; readonly spread: number; readonly test: number };
  readonly constants: readonly ReturnType<typeof reportOf>[];
  readonly errors: ReturnType<typeof errorsOf>;
  readonly inside: number;
}

function reportText(r: Report): string {
  const number = (value: number, text: string) => ({ text, value });
  const share = (value: number) => number(value, quantity(value, '%'));
  return [
    bold(`${r.machine}: ${r.constants.length} constants fitted to ${r.rows.fit} rows, tried on ${r.rows.test} others`),
    plainTable(
      ['Constant', 'Was', 'From', 'Is', 'Within', 'Determined', 'Sensitivity', 'Most on', 'Least apart from', ''],
      r.constants.map((c) => [
        c.name,
        number(c.before, quantity(c.before, c.unit)),
        c.from,
        number(c.after, quantity(c.after, c.unit)),
        share(c.posterior_sd),
        share(c.determined),
        number(c.sensitivity, c.sensitivity.toFixed(3)),
        c.most,
        c.partner === undefined ? '' : `${c.partner} (${c.correlation!.toFixed(2)})`,
        c.warning ?? '',
      ]),
    ),
    plainTable(
      ['Rows kept out', 'Rows', 'Mean before', 'Mean', 'Median', '90th', 'Bias'],
      Object.entries(r.errors).map(([key, { before, after }]) => [
        key,
        number(after.n, String(after.n)),
        share(before.mape),
        share(after.mape),
        share(after.median_ape),
        share(after.p90_ape),
        share(after.bias),
      ]),
    ),
    `${quantity(r.inside, '%')} of the rows kept out lie inside their 90 % interval.`,
    'Within: standard deviation after the fit. Determined: share of the prior variance that the rows removed. Sensitivity: mean change of log time per change of log value (or of a share).',
  ].join('\n\n');
}
