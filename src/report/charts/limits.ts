/** What sets the pace, run beside run: the shares of the time that ops bound by each resource take. */
import { quantity } from '../format.js';
import type { Run } from '../model.js';
import { limitsTable } from '../tables.js';
import type { Chart } from './chart.js';
import { stackedBars } from './stacked.js';

export function limitsChart(runs: readonly Run[]): Chart {
  const sums = new Map<string, number>();
  for (const run of runs)
    for (const l of run.verdict.limits) sums.set(l.resource, (sums.get(l.resource) ?? 0) + l.share);
  return {
    id: 'limits',
    title: 'What sets the pace',
    caption: 'Shares of the time by what bounds the ops that take it; the time of the whole run behind each bar.',
    spec: stackedBars({
      rows: runs.map((run) => ({
        name: run.label,
        parts: Object.fromEntries(run.verdict.limits.map((l) => [l.resource, l.share])),
        end: quantity(run.figures.find((f) => f.key === 'time_s')?.value ?? 0, 's'),
      })),
      order: [...sums].sort((a, b) => b[1] - a[1]).map(([resource]) => resource),
      axis: { title: 'share of the time (%)', factor: 0.01 },
      show: (share) => `${(share * 100).toFixed(1)} %`,
      words: { row: 'Run', part: 'Bound by', value: 'Of the time' },
    }),
    tables: runs.map(limitsTable),
  };
}
