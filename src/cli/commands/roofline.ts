/** `tilewright roofline -m MACHINE [-w WORKLOAD] -o FILE.html|svg|png|json|md`. */
import type { Command } from 'commander';
import { InputError } from '../../base/errors.js';
import {
  computeRoofs,
  formatOf,
  memoryRoofs,
  pointsTable,
  REPORT_FORMATS,
  type RooflineSeries,
  renderRoofline,
  roofsTable,
  runOf,
  textTable,
} from '../../report/index.js';
import { openMachine } from '../files.js';
import { writeOutput } from '../io.js';
import { collect, splitSet } from '../options.js';
import { emit } from '../output.js';
import { type ReplayOptions, replayOptions } from '../replay.js';
import { commandLine, runsOf } from '../runs.js';
import { bold, STYLE } from '../style.js';
import { VERSION } from '../version.js';

interface Options extends ReplayOptions {
  readonly machine: readonly string[];
  readonly workload?: readonly string[];
  readonly level?: string;
}

export function define(command: Command): void {
  replayOptions(command)
    .requiredOption(
      '-m, --machine <name>',
      'name of a machine, or a path to its file; may stand several times',
      collect,
    )
    .option('-w, --workload <text>', 'a workload whose ops are drawn; may stand several times', collect)
    .option('--level <store>', 'memory level shown first', 'dram')
    .action(async (options: Options) => {
      const format = options.out === undefined || options.out === '-' ? undefined : formatOf(options.out);
      if (options.out !== undefined && options.out !== '-' && !format)
        throw new InputError(`the file's ending says no format; known: ${REPORT_FORMATS.join(', ')}`, options.out);
      const series = options.workload ? await withOps(options, options.workload) : await bare(options);
      const title = `Roofline of ${[...new Set(series.map((s) => s.machine))].join(', ')}`;
      const page = { title, version: VERSION, command: commandLine(), series, level: options.level };
      if (format) writeOutput(options.out!, await renderRoofline(page, options.json ? 'json' : format));
      else await emit(options, { json: () => page, text: () => series.map(seriesText).join('\n\n') });
    });
}

async function withOps(options: Options, workloads: readonly string[]): Promise<RooflineSeries[]> {
  const runs = await runsOf(options.machine, workloads, options);
  return runs.map((input, i) => {
    const { id, label, machine, roofline } = runOf(input, `run${i + 1}`);
    return { id, label, machine, roofline };
  });
}

async function bare(options: Options): Promise<RooflineSeries[]> {
  const series: RooflineSeries[] = [];
  for (const name of options.machine) {
    const { graph } = await openMachine(name, splitSet(options.set).machine);
    const roofline = { memory: memoryRoofs(graph), compute: computeRoofs(graph), points: [], without_flops: 0 };
    series.push({ id: graph.name, label: graph.title, machine: graph.name, roofline });
  }
  return series;
}

function seriesText({ id, label, roofline }: RooflineSeries): string {
  const tables = [
    roofsTable(id, label, roofline),
    ...(roofline.points.length > 0 ? [pointsTable(id, label, roofline)] : []),
  ];
  return tables.map((table) => `${bold(table.title)}\n${textTable(table, STYLE)}`).join('\n\n');
}
