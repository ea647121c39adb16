/** `tilewright report -m MACHINE… -w WORKLOAD… [--sweep SPACE] -o FILE.html|md|json|svg|png`. */
import type { Command } from 'commander';
import { InputError } from '../../base/errors.js';
import { buildReport, formatOf, REPORT_FORMATS, renderReport } from '../../report/index.js';
import { writeOutput } from '../io.js';
import { collect } from '../options.js';
import { emit, note } from '../output.js';
import { type ReplayOptions, replayOptions } from '../replay.js';
import { commandLine, runsOf } from '../runs.js';
import { VERSION } from '../version.js';

interface Options extends ReplayOptions {
  readonly machine: readonly string[];
  readonly workload: readonly string[];
  readonly sweep?: string;
  readonly title?: string;
  readonly seed?: number;
  readonly jobs?: number;
}

export function define(command: Command): void {
  replayOptions(command)
    .requiredOption(
      '-m, --machine <name>',
      'name of a machine, or a path to its file; may stand several times',
      collect,
    )
    .requiredOption('-w, --workload <text>', 'NAME:phase,key=value,…; may stand several times', collect)
    .option('--sweep <space>', 'a design space to sweep, for its Pareto front')
    .option('--title <text>', 'of the page')
    .action(async (options: Options) => {
      const toFile = options.out !== undefined && options.out !== '-';
      const format = options.json ? 'json' : toFile ? formatOf(options.out!) : 'md';
      if (!format)
        throw new InputError(`the file's ending says no format; known: ${REPORT_FORMATS.join(', ')}`, options.out);
      const runs = await runsOf(options.machine, options.workload, options);
      const report = buildReport({
        runs,
        ...(options.sweep ? { sweep: await sweepPart(options.sweep, options) } : {}),
        title: options.title,
        command: commandLine(),
        version: VERSION,
      });
      const rendered = await renderReport(report, format);
      if (toFile) writeOutput(options.out!, rendered);
      else await emit({}, { json: () => report, text: () => String(rendered) });
      if (toFile) note(options, `wrote ${options.out}`);
    });
}

async function sweepPart(name: string, options: Options) {
  const { sweep } = await import('../space.js');
  const { sweepOf } = await import('../sweep-report.js');
  const { space, rows } = await sweep(name, { ...options, search: 'grid' });
  return sweepOf(space, rows);
}
