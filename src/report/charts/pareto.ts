/** A sweep as points over its first two objectives, the Pareto front drawn through those that nothing beats. */
import { compact, quantity, scaleOf } from '../format.js';
import type { Objective, Sweep } from '../model.js';
import { printable } from '../table.js';
import { sweepTable } from '../tables.js';
import { type Chart, decades, logDomain, specOf } from './chart.js';

const WIDTH = 760;
const HEIGHT = 400;

/** The chart; undefined when the sweep has fewer than two objectives or no point. */
export function paretoChart(sweep: Sweep): Chart | undefined {
  const [a, b] = sweep.objectives;
  const usable = sweep.points.filter((p) => sweep.objectives.every((o) => Number.isFinite(p.values[o.key])));
  if (!a || !b || usable.length === 0) return undefined;
  const across = axisOf(
    a,
    usable.map((p) => p.values[a.key]!),
  );
  const up = axisOf(
    b,
    usable.map((p) => p.values[b.key]!),
  );
  const keys = [...new Set(usable.flatMap((p) => Object.keys(p.config)))];
  // field names of our own: users' paths hold dots and brackets, which vega reads as access
  const values = usable.map((p) => ({
    x: p.values[a.key]! / across.factor,
    y: p.values[b.key]! / up.factor,
    on_front: p.on_front,
    group: p.on_front ? 'Pareto front' : 'beaten by another point',
    ...Object.fromEntries(sweep.objectives.map((o, i) => [`o${i}`, quantity(p.values[o.key]!, o.unit)])),
    ...Object.fromEntries(keys.map((key, i) => [`c${i}`, shown(p.config[key])])),
  }));
  const x = { field: 'x', type: 'quantitative', title: across.title, scale: across.scale, axis: across.axis };
  const y = { field: 'y', type: 'quantitative', title: up.title, scale: up.scale, axis: up.axis };
  const body = {
    width: WIDTH,
    height: HEIGHT,
    data: { name: 'sweep', values },
    layer: [
      {
        transform: [{ filter: 'datum.on_front' }],
        mark: {
          type: 'line',
          interpolate: interpolation(a, b),
          stroke: '#D55E00',
          strokeWidth: 1.6,
          strokeDash: sweep.objectives.length > 2 ? [3, 3] : [1, 0],
          // with more than two objectives the front is no line in this plane
          opacity: sweep.objectives.length > 2 ? 0 : 1,
        },
        encoding: { x, y, order: { field: 'x', type: 'quantitative' } },
      },
      {
        mark: { type: 'point', filled: true, stroke: '#ffffff', strokeWidth: 0.7 },
        encoding: {
          x,
          y,
          color: {
            field: 'group',
            type: 'nominal',
            title: null,
            scale: { domain: ['Pareto front', 'beaten by another point'], range: ['#D55E00', '#8c959f'] },
            legend: { orient: 'bottom', symbolSize: 90 },
          },
          shape: {
            field: 'group',
            type: 'nominal',
            title: null,
            scale: { domain: ['Pareto front', 'beaten by another point'], range: ['diamond', 'circle'] },
            legend: { orient: 'bottom' },
          },
          size: { condition: { test: 'datum.on_front', value: 120 }, value: 42 },
          opacity: { condition: { test: 'datum.on_front', value: 1 }, value: 0.6 },
          order: { field: 'on_front', type: 'ordinal' },
          tooltip: [
            ...sweep.objectives.map((o, i) => ({ field: `o${i}`, title: printable(o.label), type: 'nominal' })),
            ...keys.map((key, i) => ({ field: `c${i}`, title: printable(key), type: 'nominal' })),
          ],
        },
      },
    ],
  };
  const front = usable.filter((p) => p.on_front).length;
  const words = [`${usable.length} points, ${front} of them on the front.`];
  if (sweep.failed > 0) words.push(`${sweep.failed} more fit nothing or failed.`);
  if (sweep.objectives.length > 2)
    words.push(`The front counts all ${sweep.objectives.length} objectives; the axes show the first two.`);
  return {
    id: 'pareto',
    title: `Sweep of ${sweep.name}`,
    caption: words.join(' '),
    spec: specOf(body),
    tables: [sweepTable(sweep)],
  };
}

function shown(value: number | string | boolean | undefined): string {
  if (value === undefined) return '';
  return typeof value === 'number' ? compact(value) : String(value);
}

/** Between two points of the front the worse of both is what one can have, so the steps turn towards the worse corner. */
function interpolation(a: Objective, b: Objective): string {
  return a.goal === b.goal
    ? a.goal === 'min'
      ? 'step-after'
      : 'step-before'
    : b.goal === 'max'
      ? 'step-after'
      : 'step-before';
}

/** Logarithmic when the values span more than a factor of 20 and are all positive, else linear around the values. */
function axisOf(objective: Objective, values: readonly number[]) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const goal = objective.goal === 'min' ? 'less is better' : 'more is better';
  const log = low > 0 && high / low > 20;
  const scale = log
    ? { factor: 1, unit: objective.unit }
    : scaleOf(Math.max(Math.abs(low), Math.abs(high)), objective.unit);
  const unit = scale.unit === '%' ? '' : scale.unit;
  const title = `${printable(objective.label)}${unit ? ` (${unit})` : ''}, ${goal}`;
  if (log) {
    const domain = logDomain(values, 1.3, 1.3);
    return {
      factor: 1,
      title,
      scale: { type: 'log', domain, nice: false },
      axis: {
        values: decades(domain),
        labelExpr: "datum.value >= 1000 ? format(datum.value, '~s') : format(datum.value, '~g')",
      },
    };
  }
  const pad = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  const bottom = low >= 0 ? Math.max(0, low - pad) : low - pad;
  return {
    factor: scale.factor,
    title,
    scale: { type: 'linear', domain: [bottom / scale.factor, (high + pad) / scale.factor], nice: true, zero: false },
    axis: { tickCount: 7 },
  };
}
