/** Where each array's time goes: a bar an array for the whole run, then for the ops that take most of it. */
import { percent, quantity } from '../format.js';
import type { OpRow, Run } from '../model.js';
import { sizeText, type TimePart, timeByArray } from '../occupancy.js';
import type { Table } from '../table.js';
import { shortName } from '../words.js';
import type { Chart } from './chart.js';
import { type StackRow, stackedBars } from './stacked.js';

const MOST_OPS = 4;

/** From the left; the same order in every bar. */
const ORDER = [
  'work',
  'edges',
  'unfilled',
  'gated',
  'other_array',
  'reduction',
  'store',
  'fill_drain',
  'launch',
  'pause',
  'grid',
  'unused',
] as const satisfies readonly TimePart[];

/** The chart; undefined when no op is laid on arrays. */
export function arrayTimeChart(run: Run): Chart | undefined {
  const rows = rowsOf(run);
  if (rows.length === 0) return undefined;
  const order = ORDER.filter((part) => rows.some((r) => (r.parts[part] ?? 0) > 0));
  return {
    id: `${run.id}-arrays`,
    title: 'Where the arrays’ time goes',
    caption:
      'What the places of each array do, on the mean over places and time: useful work, or why not. The share of useful work behind each bar.',
    spec: stackedBars({
      rows,
      order,
      axis: { title: 'share of the time (%)', factor: 0.01 },
      show: (share) => percent(share),
      words: { row: 'Array', part: 'Its places', value: 'Of the time' },
    }),
    tables: [arrayTimeTable(run)],
  };
}

interface Row extends StackRow {
  readonly time_s: number;
}

function rowsOf(run: Run): Row[] {
  const sizes = new Map(
    run.ops.flatMap((op) => (op.arrays ?? []).flatMap((o) => o.arrays.map((a) => [a.unit, sizeText(a)] as const))),
  );
  const of = (ops: readonly OpRow[], name?: string): Row[] => {
    const time_s = ops.reduce((sum, op) => sum + op.time_s * op.repeat, 0);
    return [...timeByArray(ops)].map(([unit, parts]) => ({
      name: name === undefined ? `${unit} ${sizes.get(unit)}` : `${name} · ${unit}`,
      parts: Object.fromEntries([...parts].map(([part, s]) => [part, Math.max(0, s / time_s)])),
      end: percent((parts.get('work') ?? 0) / time_s),
      time_s,
    }));
  };
  if (run.ops.length === 1) return of(run.ops);
  const laid = run.ops.filter((op) => op.arrays).sort((a, b) => b.total_time_s - a.total_time_s);
  return [...of(run.ops), ...laid.slice(0, MOST_OPS).flatMap((op) => of([op], op.name))];
}

export function arrayTimeTable(run: Run): Table {
  const parts = ORDER.filter((part) => rowsOf(run).some((r) => (r.parts[part] ?? 0) > 0));
  return {
    id: `${run.id}-arrays`,
    title: `Where the arrays’ time goes: ${run.label}`,
    columns: [
      { key: 'row', label: 'Array', align: 'left' },
      { key: 'time_s', label: 'Time', align: 'right' },
      ...parts.map((part) => ({ key: part, label: shortName(part), align: 'right' as const })),
    ],
    rows: rowsOf(run).map((r) => [
      { text: r.name },
      { text: quantity(r.time_s, 's'), value: r.time_s },
      ...parts.map((part) => ({ text: percent(r.parts[part] ?? 0), value: r.parts[part] ?? 0 })),
    ]),
  };
}
