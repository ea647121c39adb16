/** The charts of a report, in reading order. */
import type { Report, Run } from '../model.js';
import type { Chart } from './chart.js';
import { energyChart } from './energy.js';
import { limitsChart } from './limits.js';
import { paretoChart } from './pareto.js';
import { type RooflineSeries, rooflineChart } from './roofline.js';
import { timeChart } from './time.js';

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

/** Charts of one run. */
export function runCharts(run: Run): Chart[] {
  const chart = timeChart(run);
  return chart ? [chart] : [];
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
