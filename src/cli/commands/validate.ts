/** `tilewright validate --measured FILE.csv -m MACHINE`: measured times beside simulated ones. */
import type { Command } from 'commander';
import { quantity } from '../../report/format.js';
import { type MeasuredReport, predictTable, rowsCsv, summarise } from '../../validate/measured.js';
import { openMachine } from '../files.js';
import { readText, writeOutput } from '../io.js';
import { type CommonOptions, collect, common, splitSet } from '../options.js';
import { emit } from '../output.js';
import { startProgress } from '../progress.js';
import { bold, plainTable } from '../style.js';

interface Options extends CommonOptions {
  readonly measured: string;
  readonly machine: string;
  readonly device?: string;
  readonly rows?: string;
  readonly set?: readonly string[];
}

export function define(command: Command): void {
  common(command)
    .requiredOption('--measured <file.csv>', 'a table of measured times; its columns tell what it is')
    .requiredOption('-m, --machine <name>', 'the machine it was measured on')
    .option('--device <name>', 'only rows whose device column says so')
    .option('--rows <out.csv>', 'write every input row with its prediction, or why it was left out')
    .option('--set <path=value>', 'override a field of the machine', collect)
    .action(async (options: Options) => {
      const machine = await openMachine(options.machine, splitSet(options.set).machine);
      const text = readText(options.measured);
      const progress = await startProgress('rows', text.split('\n').length, options);
      try {
        const { rows, kind, columns } = predictTable(text, options.measured, machine.graph, {
          device: options.device,
          onProgress: (done) => progress.update(done),
        });
        progress.stop();
        if (options.rows) writeOutput(options.rows, rowsCsv(rows, columns));
        const report = summarise(rows, machine.name, kind.name, options.measured);
        await emit(options, { json: () => report, text: () => reportText(report) });
      } finally {
        progress.stop();
      }
    });
}

function reportText(report: MeasuredReport): string {
  const share = (value: number) => ({ text: quantity(value, '%'), value });
  const count = (value: number) => ({ text: String(value), value });
  const errors = (e: Pick<MeasuredReport, 'n' | 'mape' | 'median_ape' | 'p90_ape' | 'bias'>) => [
    count(e.n),
    share(e.mape),
    share(e.median_ape),
    share(e.p90_ape),
    share(e.bias),
  ];
  const columns = ['Rows', 'Mean', 'Median', '90th', 'Bias'];
  const groups = Object.entries(report.by_group);
  const baselines = Object.keys(report.baselines);
  const skipped = Object.entries(report.skipped).sort((a, b) => b[1] - a[1]);
  return [
    `${bold(`${report.table} on ${report.machine}: mean error ${quantity(report.mape, '%')} over ${report.n} rows`)}\nrank correlation (Kendall) ${report.kendall_tau.toFixed(3)}; interval: ${report.interval}`,
    plainTable(
      ['Group', ...columns, ...baselines.map((b) => `Mean of ${b}`)],
      [...groups, ['all', report] as const].map(([name, g]) => [
        name,
        ...errors(g),
        ...baselines.map((b) => share(g.baselines[b]!.mape)),
      ]),
    ),
    plainTable(
      ['Furthest off', 'Measured', 'Predicted', 'Error', 'Kernel', 'Bound by'],
      report.worst.map((w) => [
        Object.values(w.row).slice(0, 6).join(' '),
        { text: quantity(w.measured_ms / 1e3, 's'), value: w.measured_ms },
        { text: quantity(w.predicted_ms / 1e3, 's'), value: w.predicted_ms },
        share(w.error),
        `${w.kernel} ${w.tile}`,
        w.bound_by,
      ]),
    ),
    ...(skipped.length > 0
      ? [
          plainTable(
            ['Left out', 'Why'],
            skipped.map(([why, n]) => [count(n), why]),
          ),
        ]
      : []),
  ].join('\n\n');
}
