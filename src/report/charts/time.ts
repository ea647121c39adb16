/** Time by op: a bar each, longest first, coloured by what bounds it. Ops of one name are one bar. */
import { percent, quantity, scaleOf } from '../format.js';
import type { Run } from '../model.js';
import { colourOf } from '../palette.js';
import { limitsTable, opsTable } from '../tables.js';
import { shortName } from '../words.js';
import { BAR_WIDTH, type Chart, legendColumns, specOf } from './chart.js';
import { rowAxis } from './stacked.js';

const MOST_BARS = 18;

export interface Bar {
  readonly name: string;
  readonly bound_by: string;
  readonly time_s: number;
  readonly energy_J: number;
  readonly share: number;
  readonly runs: number;
}

/** Ops gathered by name (and phase, when there are several), longest first; the rest as one bar. */
export function barsOf(run: Run, most = MOST_BARS): Bar[] {
  const phases = new Set(run.ops.map((op) => phaseOf(op.phase))).size > 1;
  const bars = new Map<
    string,
    { time_s: number; energy_J: number; share: number; runs: number; by: Map<string, number> }
  >();
  for (const op of run.ops) {
    const name = phases ? `${phaseOf(op.phase)}: ${op.name}` : op.name;
    const bar = bars.get(name) ?? { time_s: 0, energy_J: 0, share: 0, runs: 0, by: new Map() };
    bar.time_s += op.total_time_s;
    bar.energy_J += op.energy_J * op.repeat;
    bar.share += op.share;
    bar.runs += op.repeat;
    bar.by.set(op.bound_by, (bar.by.get(op.bound_by) ?? 0) + op.total_time_s);
    bars.set(name, bar);
  }
  const sorted = [...bars]
    .map(([name, { by, ...bar }]) => ({ name, ...bar, bound_by: [...by].sort((a, b) => b[1] - a[1])[0]![0] }))
    .sort((a, b) => b.time_s - a.time_s);
  if (sorted.length <= most) return sorted;
  const rest = sorted.slice(most - 1);
  const sum = (pick: (bar: Bar) => number) => rest.reduce((total, bar) => total + pick(bar), 0);
  return [
    ...sorted.slice(0, most - 1),
    {
      name: `${rest.length} others`,
      bound_by: 'several',
      time_s: sum((b) => b.time_s),
      energy_J: sum((b) => b.energy_J),
      share: sum((b) => b.share),
      runs: sum((b) => b.runs),
    },
  ];
}

/** "decode@2048" and "decode@2049" are one phase. */
function phaseOf(phase: string | undefined): string {
  return phase?.split('@')[0] ?? '';
}

/** The chart; undefined for a single op, where it would say nothing. */
export function timeChart(run: Run): Chart | undefined {
  const bars = barsOf(run);
  if (bars.length < 2) return undefined;
  const scale = scaleOf(bars[0]!.time_s, 's');
  const limits = run.verdict.limits.map((l) => l.resource);
  const bounds = [...limits, 'several'].filter((id) => bars.some((b) => b.bound_by === id));
  const values = bars.map((bar, i) => ({
    // a counter keeps apart names that are alike once shortened
    key: `${i}`,
    name: bar.name,
    time: bar.time_s / scale.factor,
    label: `${quantity(bar.time_s, 's')}, ${percent(bar.share)}`,
    bound: shortName(bar.bound_by),
    runs: quantity(bar.runs, ''),
    energy: quantity(bar.energy_J, 'J'),
    share: percent(bar.share),
    total: quantity(bar.time_s, 's'),
  }));
  const y = rowAxis(values.map((v) => v.name));
  const longest = Math.max(...values.map((v) => v.time));
  const x = {
    field: 'time',
    type: 'quantitative',
    title: `time, repeats counted (${scale.unit})`,
    // room for the label of the longest
    scale: { domain: [0, longest > 0 ? longest * 1.2 : 1], nice: false },
    axis: { tickCount: 6 },
  };
  const body = {
    width: BAR_WIDTH,
    height: 24 * values.length,
    autosize: { type: 'fit-x', contains: 'padding' },
    data: { name: 'bars', values },
    layer: [
      {
        mark: { type: 'bar', cornerRadiusEnd: 2, height: { band: 0.68 } },
        encoding: {
          y,
          x,
          color: {
            field: 'bound',
            type: 'nominal',
            title: 'Bound by',
            scale: { domain: bounds.map(shortName), range: colourOf(bounds) },
            legend: { orient: 'bottom', columns: legendColumns(bounds.map(shortName)), symbolType: 'square' },
          },
          tooltip: [
            { field: 'name', title: 'Op' },
            { field: 'total', title: 'Time' },
            { field: 'share', title: 'Share' },
            { field: 'runs', title: 'Runs' },
            { field: 'energy', title: 'Energy' },
            { field: 'bound', title: 'Bound by' },
          ].map((t) => ({ ...t, type: 'nominal' })),
        },
      },
      {
        mark: { type: 'text', align: 'left', dx: 5, fontSize: 10.5 },
        encoding: { y, x, text: { field: 'label', type: 'nominal' } },
      },
    ],
  };
  return {
    id: `${run.id}-time`,
    title: 'Time by op',
    caption: 'All repeats of an op together, coloured by what sets its pace.',
    spec: specOf(body),
    tables: [limitsTable(run), opsTable(run)],
  };
}
