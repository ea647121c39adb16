/**
 * `tilewright validate`: kernels on this computer's device beside the simulator; with `--measured FILE.csv -m MACHINE`
 * a table of measured times beside it.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { InfeasibleError, InputError, ToleranceError } from '../../base/errors.js';
import { quantity } from '../../report/format.js';
import { type MeasuredReport, predictTable, rowsCsv, summarise } from '../../validate/measured.js';
import { openMachine } from '../files.js';
import { readText, writeOutput } from '../io.js';
import { collect, common, dtypeOf, splitSet, wholeNumber } from '../options.js';
import { emit, endLine, note } from '../output.js';
import { startProgress } from '../progress.js';
import { bold, plainTable } from '../style.js';
import type { DeviceValidateOptions } from '../validate-device.js';
import { openTrace } from '../workload.js';

interface Options extends DeviceValidateOptions {
  readonly measured?: string;
  readonly device?: string;
  readonly rows?: string;
}

export function define(command: Command): void {
  common(command)
    .option('-m, --machine <name>', 'the machine to predict with; the one calibrated on this device when left out')
    .option('--kernels <a,b>', 'only these: kernels, groups, or files with your own (with --shape)')
    .option('--shape <key=value,…>', 'dimensions, for tile variants of one kernel instead of the fixed cases')
    .addOption(new Option('--dtype <name>', 'number format with --shape').argParser(dtypeOf).default('fp32'))
    .option('--tile <key=value,…>', 'one choice of parameters with --shape; otherwise several are run')
    .addOption(new Option('--cases <n>', 'so many cases, spread evenly').argParser(wholeNumber(1, 100_000)))
    .option('--quick', 'fewer cases, each timed once, bytes not counted on the device')
    .addOption(
      new Option('--fidelity <name>', 'how closely they are simulated').choices(['steady', 'event']).default('steady'),
    )
    .addOption(
      new Option('--tolerance <fraction>', 'exit code 4 when the mean error of the times is above').argParser(fraction),
    )
    .addOption(
      new Option('--clock <which>', 'what times the runs; timestamps of the device where it has them').choices([
        'timestamps',
        'host',
      ]),
    )
    .option('--no-robustness', 'shaders without checks of bounds')
    .option('--measured <file.csv>', 'a table of measured times instead of the device; its columns tell what it is')
    .option('--device <name>', 'with --measured: only rows whose device column says so')
    .option('--rows <out.csv>', 'with --measured: write every input row with its prediction, or why it was left out')
    .option('--set <path=value>', 'override a field of the machine', collect)
    .action(async (options: Options) => {
      if (options.measured === undefined) {
        if (options.rows !== undefined || options.device !== undefined)
          throw new InputError(`${options.rows === undefined ? '--device' : '--rows'} needs --measured`);
        const { validateDevice } = await import('../validate-device.js');
        return validateDevice(options);
      }
      if (options.machine === undefined) throw new InputError('--measured needs -m: the machine it was measured on');
      const machine = await openMachine(options.machine, splitSet(options.set).machine);
      const text = readText(options.measured);
      const progress = await startProgress('rows', text.split('\n').length, options);
      try {
        const { rows, kind, columns } = predictTable(text, options.measured, machine.graph, {
          device: options.device,
          open: openTrace,
          spread: machine.uncertainty,
          onProgress: (done) => progress.update(done),
        });
        progress.stop();
        const devices = new Set(rows.map((r) => r.row['device']));
        if (options.device === undefined && devices.size > 1)
          note(
            options,
            `rows of ${devices.size} devices, all predicted as ${machine.name}: ${[...devices].join(', ')} (--device takes one)`,
          );
        if (options.rows) writeOutput(options.rows, endLine(rowsCsv(rows, columns)));
        const report = summarise(rows, machine.name, kind.name, options.measured);
        await emit(options, { json: () => report, text: () => reportText(report) });
        if (report.n === 0)
          throw new InfeasibleError(`no row was predicted: ${Object.keys(report.skipped)[0] ?? 'there are none'}`);
        if (options.tolerance !== undefined && report.mape > options.tolerance)
          throw new ToleranceError(
            `the mean error is ${quantity(report.mape, '%')}, allowed ${quantity(options.tolerance, '%')}`,
          );
      } finally {
        progress.stop();
      }
    });
}

/** 0.2 or 20%. */
function fraction(text: string): number {
  const [, number, percent] = /^(\d*\.?\d+)\s*(%?)$/.exec(text.trim()) ?? [];
  const value = number === undefined ? Number.NaN : Number(number) / (percent ? 100 : 1);
  if (!(value > 0)) throw new InvalidArgumentError('Expected a fraction such as 0.2, or 20%.');
  return value;
}

function namedText(n: NonNullable<MeasuredReport['named']>): string {
  const unread = Object.entries(n.not_followed).map(([reason, count]) => `${count} rows: ${reason}`);
  const text =
    `${n.followed} rows name their kernel: mean error ${quantity(n.known.mape, '%')} with its tile, ` +
    `${quantity(n.searched.mape, '%')} with the tile that the search picks, another one in ` +
    `${quantity(n.otherwise, '%')} of the rows, which the model takes for ${quantity(n.gain, '%')} faster`;
  return [text, ...unread].join('\n');
}

function servedText(served: NonNullable<MeasuredReport['served']>): string {
  const share = (value: number | undefined) => (value === undefined ? '' : { text: quantity(value, '%'), value });
  return plainTable(
    ['Predicted', 'Kernels', 'Collectives', 'Host', 'With twice the prompt'],
    Object.entries(served).map(([name, { parts, twice_the_prompt }]) => [
      name,
      share(parts?.kernels),
      share(parts?.collectives),
      share(parts?.host),
      share(twice_the_prompt),
    ]),
  );
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
  const leftOut = skipped.map(([why, n]) => [count(n), why]);
  const left = skipped.length > 0 ? [plainTable(['Left out', 'Why'], leftOut)] : [];
  if (report.n === 0) return [bold(`${report.table} on ${report.machine}: no row was predicted`), ...left].join('\n\n');
  return [
    `${bold(`${report.table} on ${report.machine}: mean error ${quantity(report.mape, '%')} over ${report.n} rows`)}\nrank correlation (Kendall) ${report.kendall_tau.toFixed(3)}; ${quantity(report.inside, '%')} of the measured values lie in the 90 % interval`,
    plainTable(
      ['Group', ...columns, ...baselines.map((b) => `Mean of ${b}`)],
      [...groups, ['all', report] as const].map(([name, g]) => [
        name,
        ...errors(g),
        ...baselines.map((b) => share(g.baselines[b]!.mape)),
      ]),
    ),
    ...(report.power
      ? [`mean power: mean error ${quantity(report.power.mape, '%')}, bias ${quantity(report.power.bias, '%')}`]
      : []),
    ...(report.named ? [namedText(report.named)] : []),
    ...(report.served ? [servedText(report.served)] : []),
    plainTable(
      ['Furthest off', 'Measured', 'Predicted', 'Error', 'Kernel', 'Bound by'],
      report.worst.map((w) => [
        Object.values(w.row).slice(0, 6).join(' '),
        { text: quantity(w.measured_ms / 1e3, w.unit ?? 's'), value: w.measured_ms },
        { text: quantity(w.predicted_ms / 1e3, w.unit ?? 's'), value: w.predicted_ms },
        share(w.error),
        `${w.kernel} ${w.tile}`,
        w.bound_by,
      ]),
    ),
    ...left,
  ].join('\n\n');
}
