/** `tilewright validate --measured FILE.csv -m MACHINE`: a table of measured times beside the simulator. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Command } from 'commander';
import { InputError, ToleranceError } from '../../base/errors.js';
import { quantity } from '../../report/format.js';
import { type MeasuredReport, predictTable, rowsCsv, summarise } from '../../validate/measured.js';
import type { Errors } from '../../validate/statistics.js';
import { openMachine } from '../files.js';
import { writeOutput } from '../io.js';
import { type CommonOptions, collect, common, splitSet } from '../options.js';
import { emit } from '../output.js';
import { startProgress } from '../progress.js';
import { bold, plainTable } from '../style.js';

interface Options extends CommonOptions {
  readonly measured?: string;
  readonly machine?: string;
  readonly rows?: string;
  readonly device?: string;
  readonly tolerance?: number;
  readonly set?: readonly string[];
}

export function define(command: Command): void {
  common(command)
    .requiredOption('--measured <file.csv>', 'measured times; the kind of table is told by its columns')
    .requiredOption('-m, --machine <name>', 'machine they were measured on: a name, or a path to its file')
    .option('--rows <out.csv>', 'write every row with its prediction')
    .option('--device <name>', "only rows whose 'device' column says this")
    .option('--tolerance <percent>', 'exit with 4 when the mean error is larger', percent)
    .option('--set <path=value>', 'override a field of the machine', collect)
    .action(async (options: Options) => {
      const file = options.measured!;
      const { graph } = await openMachine(options.machine!, splitSet(options.set).machine);
      const text = readText(file);
      const progress = await startProgress('rows', text.split('\n').length - 2, options);
      const { rows, kind, columns } = predictTable(text, file, graph, {
        device: options.device,
        onProgress: (done) => done % 64 === 0 && progress.update(done),
      });
      progress.stop();
      const report = summarise(rows, graph.name, kind.name, basename(file));
      if (options.rows) writeOutput(options.rows, rowsCsv(rows, columns));
      await emit(options, { json: () => report, text: () => reportText(report) });
      if (options.tolerance !== undefined && report.mape > options.tolerance)
        throw new ToleranceError(
          `mean error ${(report.mape * 100).toFixed(1)} % is above the tolerance of ${(options.tolerance * 100).toFixed(1)} %`,
        );
    });
}

function percent(text: string): number {
  const value = Number(text.replace(/\s*%$/, ''));
  if (!(value > 0)) throw new InputError(`'${text}' is no percentage; expected something like 15`, '--tolerance');
  return value / 100;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new InputError(`cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`, file);
  }
}

const share = (value: number) => ({ text: `${(value * 100).toFixed(1)} %`, value });

function reportText(report: MeasuredReport): string {
  const line = (name: string, e: Errors) => [
    name,
    { text: String(e.n), value: e.n },
    share(e.mape),
    share(e.median_ape),
    share(e.p90_ape),
    share(e.bias),
  ];
  const header = ['', 'Rows', 'Mean error', 'Median', '90th pct', 'Bias'];
  const groups = Object.entries(report.by_group);
  const parts = [
    bold(`${report.file} (${report.table}) on ${report.machine}: mean error ${(report.mape * 100).toFixed(1)} %`),
    plainTable(header, [
      ...groups.map(([name, e]) => line(name, e)),
      line('all', report),
      ...Object.entries(report.baselines).map(([name, e]) => line(name, e)),
    ]),
    `Kendall's tau ${report.kendall_tau.toFixed(3)}; ${report.n_skipped} rows skipped. Interval: ${report.interval}.`,
    ...Object.entries(report.skipped).map(([reason, n]) => `skipped ${n}: ${reason}`),
    bold('Worst rows'),
    plainTable(
      ['Row', 'Measured', 'Predicted', 'Error', 'Kernel', 'Bound by'],
      report.worst.map((w) => [
        Object.values(w.row).slice(0, -1).join(' '),
        { text: quantity(w.measured_ms * 1e-3, 's'), value: w.measured_ms },
        { text: quantity(w.predicted_ms * 1e-3, 's'), value: w.predicted_ms },
        share(w.error),
        `${w.kernel} ${w.tile}`,
        w.bound_by,
      ]),
    ),
  ];
  return parts.join('\n\n');
}
