/** Results as pages and pictures, where the ending of --out asks for one. */
import { buildReport, formatOf, type RunInput, renderReport } from '../report/index.js';
import { writeOutput } from './io.js';
import type { CommonOptions } from './options.js';
import { note } from './output.js';
import { commandLine } from './runs.js';
import { VERSION } from './version.js';

/** Writes the report; false where --out is absent, text or JSON, which the command prints itself. */
export async function writeReport(runs: readonly RunInput[], options: CommonOptions): Promise<boolean> {
  const format = options.json || options.out === undefined ? undefined : formatOf(options.out);
  if (!format || format === 'json') return false;
  const report = buildReport({ runs, command: commandLine(), version: VERSION });
  writeOutput(options.out!, await renderReport(report, format));
  note(options, `wrote ${options.out}`);
  return true;
}
