/** A sweep as reports take it. */
import type { Row } from '../explore/evaluate.js';
import type { Space } from '../explore/space.js';
import { frontOf } from '../explore/summary.js';
import { buildReport, formatOf, renderReport } from '../report/index.js';
import type { Sweep as ReportSweep } from '../report/model.js';
import { writeOutput } from './io.js';
import type { Sweep } from './space.js';
import { VERSION } from './version.js';

/** The points that have results, or only those of the front. */
export function sweepOf(space: Space, rows: readonly Row[], which: 'all' | 'front' = 'all'): ReportSweep {
  const front = new Set(frontOf(space, rows).map((row) => row.point));
  const shown = rows.filter((row) => row.status === 'ok' && (which === 'all' || front.has(row.point)));
  return {
    name: space.name,
    objectives: space.objectives.map(({ name, goal, unit }) => ({ key: name, label: name, unit: unit ?? '', goal })),
    points: shown.map((row) => ({
      id: String(row.point),
      config: { ...row.axes },
      values: { ...row.objectives },
      on_front: front.has(row.point),
    })),
    failed: rows.filter((row) => row.status === 'failed').length,
  };
}

/** The formulas that a space adds, with where they come from. */
export function sweepNotes(space: Space): string[] {
  return space.derived.map(
    ({ name, formula, unit, source }) =>
      `${name} = ${formula}${unit ? ` (${unit})` : ''}${source ? `. ${source}` : ''}`,
  );
}

export async function writeSweepReport({ space, rows }: Sweep, out: string): Promise<void> {
  const report = buildReport({
    runs: [],
    sweep: sweepOf(space, rows),
    command: `tilewright sweep ${space.name} -o ${out}`,
    version: VERSION,
    notes: sweepNotes(space),
  });
  writeOutput(out, await renderReport(report, formatOf(out)!));
}
