/** `tilewright sweep SPACE`: every point of a design space. */
import type { Command } from 'commander';
import { type SearchName, searchNamed } from '../../explore/search.js';
import { formatOf } from '../../report/index.js';
import { textTable } from '../../report/table.js';
import { sweepTable } from '../../report/tables.js';
import { type CommonOptions, common, wholeNumber } from '../options.js';
import { DRAWN, emit, note } from '../output.js';
import { type Sweep, sweep } from '../space.js';
import { bold, plainTable, STYLE } from '../style.js';
import { sweepOf } from '../sweep-report.js';

interface Options extends CommonOptions {
  readonly seed?: number;
  readonly jobs?: number;
  readonly points?: number;
  readonly run?: string;
  readonly fresh?: boolean;
  readonly csv?: string;
  readonly search?: string;
}

export function define(command: Command): void {
  sweepOptions(command).action((space: string, options: Options) => run(space, 'grid', options));
}

export function sweepOptions(command: Command): Command {
  return common(command)
    .argument('<space>', 'name of a design space, or a path to its file')
    .option('--points <n>', 'evaluate at most so many points', wholeNumber(1, 1e9))
    .option('--run <folder>', 'folder of the run (default: reports/out/sweep-SPACE); an unfinished one goes on')
    .option('--fresh', 'discard what the folder holds')
    .option('--csv <file>', 'write every point as CSV');
}

export async function run(name: string, search: SearchName | string, options: Options): Promise<void> {
  const done = await sweep(name, { ...options, search: searchNamed(search) });
  note(options, `run folder: ${done.folder}`);
  if (options.out !== undefined && !options.json && formatOf(options.out) && formatOf(options.out) !== 'json') {
    const { writeSweepReport } = await import('../sweep-report.js');
    await writeSweepReport(done, options.out);
    return note(options, `wrote ${options.out}`);
  }
  await emit(options, { json: () => done.summary, text: () => sweepText(done) }, DRAWN);
}

function sweepText({ space, rows, summary }: Sweep): string {
  const { points, of, ok, excluded, failed, front } = summary;
  const parts = [
    bold(`${space.name}: ${front.length} of ${ok} points are on the Pareto front`),
    `${points} of ${of} points evaluated, ${excluded} excluded by constraints, ${failed} failed`,
    textTable(sweepTable(sweepOf(space, rows, 'front')), STYLE),
  ];
  if (summary.reasons.length > 0)
    parts.push(
      plainTable(
        ['Points', 'Status', 'Reason'],
        summary.reasons.map((r) => [{ text: String(r.points), value: r.points }, r.status, r.reason]),
      ),
    );
  return parts.join('\n\n');
}
