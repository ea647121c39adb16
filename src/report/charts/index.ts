/** The charts of a report, in reading order. */
import type { Report, Run } from '../model.js';
import { arrayTimeChart } from './array-time.js';
import type { Chart } from './chart.js';
import { energyChart } from './energy.js';
import { limitsChart } from './limits.js';
import { occupancyChart } from './occupancy.js';
import { paretoChart } from './pareto.js';
import { type RooflineSeries, rooflineChart } from './roofline.js';
import { timeChart } from './time.js';
import { wavefrontChart } from './wavefront.js';

/** With more runs than this, charts of single runs are folded away. */
export const FEW_RUNS = 3;

export function seriesOf(report: Report): RooflineSeries[] {
  return report.runs.map(({ id, label, machine, roofline }) => ({ id, label, machine, roofline }));
}

/** Charts over all runs, those there is data for. */
export function sharedCharts(report: Report): Chart[] {
  const { runs } = report;
  const all = [
    runs.length > 0 ? rooflineChart(seriesOf(report)) : undefined,
    runs.length > 1 ? limitsChart(runs) : undefined,
    energyChart(runs),
  ];
  return all.filter((chart) => chart !== undefined);
}

/** Launches on arrays that are drawn, those that take longest. */
const MOST_LAID = 3;

/** Charts of one run. */
export function runCharts(run: Run): Chart[] {
  return [timeChart(run), arrayTimeChart(run), ...launchCharts(run)].filter((chart) => chart !== undefined);
}

/** What launches on arrays do when; of the longest also how its array fills. */
function launchCharts(run: Run): (Chart | undefined)[] {
  const all = run.ops.flatMap((op) =>
    (op.arrays ?? []).map((o) => {
      const names = [...(run.ops.length > 1 ? [op.name] : []), ...(op.arrays!.length > 1 ? [o.launch] : [])];
      return { o, of: names.length > 0 ? `: ${names.join(', ')}` : '', time_s: (op.repeat * o.cycles) / op.clock_Hz! };
    }),
  );
  const longest = all.sort((a, b) => b.time_s - a.time_s).slice(0, MOST_LAID);
  const waves = longest.flatMap(
    ({ o, of }) => wavefrontChart(o, `${run.id}-wave`, `The array fills and drains${of}`) ?? [],
  );
  return [
    ...longest.map(({ o, of }, i) =>
      occupancyChart(o, `${run.id}-occupancy${i}`, `Which einsum is on which array when${of}`),
    ),
    waves[0],
  ];
}

export function sweepCharts(report: Report): Chart[] {
  const chart = report.sweep ? paretoChart(report.sweep) : undefined;
  return chart ? [chart] : [];
}

/** What a picture of the report shows. */
export function chartsOf(report: Report): Chart[] {
  const { runs } = report;
  const single =
    runs.length > FEW_RUNS
      ? []
      : runs.flatMap((run) =>
          runCharts(run).map((c) => (runs.length > 1 ? { ...c, title: `${c.title}: ${run.label}` } : c)),
        );
  return [...sharedCharts(report), ...single, ...sweepCharts(report)];
}
