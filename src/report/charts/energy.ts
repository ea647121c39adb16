/** Energy by part: a stacked bar a run, and below it (for one run) a stacked bar for each of the ops that take most. */
import { percent, quantity, scaleOf } from '../format.js';
import type { Run } from '../model.js';
import { energyTable, trafficTable } from '../tables.js';
import type { Chart } from './chart.js';
import { type StackRow, stackedBars } from './stacked.js';

const MOST_OPS = 10;
const UNLIKE = 8;

/** The chart; undefined when no run says where its energy goes. */
export function energyChart(runs: readonly Run[]): Chart | undefined {
  const order = partsOf(runs);
  if (order.length === 0) return undefined;
  const only = runs.length === 1 ? runs[0]! : undefined;
  const rows: StackRow[] = runs.map((run) => {
    const parts = Object.fromEntries(run.energy.map((e) => [e.part, e.energy_J]));
    return { name: only ? 'whole run' : run.label, parts, end: total(parts) };
  });
  const byOp = only && only.ops.length > 1 ? opRows(only) : [];
  rows.push(...byOp);
  const sums = rows.map((row) => sum(row.parts));
  // runs of very different sizes are compared by shares: the small ones would be slivers
  const shares = !only && Math.max(...sums) > UNLIKE * Math.min(...sums);
  const scale = shares ? { factor: 0.01, unit: '%' } : scaleOf(Math.max(...sums), 'J');
  const drawn = shares
    ? rows.map((row, i) => ({
        ...row,
        parts: Object.fromEntries(Object.entries(row.parts).map(([part, energy_J]) => [part, energy_J / sums[i]!])),
      }))
    : rows;
  return {
    id: 'energy',
    title: 'Energy by part',
    caption:
      byOp.length > 0
        ? 'Where the energy goes: the whole run, then the ops that take most of it, repeats counted.'
        : `Where the energy goes${shares ? '; the energy of the whole run behind each bar' : ''}.`,
    spec: stackedBars({
      rows: drawn,
      order,
      axis: { title: `${shares ? 'share of the energy' : 'energy'} (${scale.unit})`, factor: scale.factor },
      show: (value) => (shares ? percent(value) : quantity(value, 'J')),
      words: { row: only ? 'Op' : 'Run', part: 'Part', value: shares ? 'Of the energy' : 'Energy' },
    }),
    tables: [energyTable(runs), ...runs.map(trafficTable)],
  };
}

/** Parts of all runs, largest first. */
function partsOf(runs: readonly Run[]): string[] {
  const sums = new Map<string, number>();
  for (const run of runs) for (const e of run.energy) sums.set(e.part, (sums.get(e.part) ?? 0) + e.energy_J);
  return [...sums].sort((a, b) => b[1] - a[1]).map(([part]) => part);
}

function opRows(run: Run): StackRow[] {
  const rows = new Map<string, Record<string, number>>();
  for (const op of run.ops) {
    const parts = rows.get(op.name) ?? {};
    for (const [part, energy_J] of Object.entries(op.energy_by_part_J))
      parts[part] = (parts[part] ?? 0) + energy_J * op.repeat;
    rows.set(op.name, parts);
  }
  return [...rows]
    .sort((a, b) => sum(b[1]) - sum(a[1]))
    .slice(0, MOST_OPS)
    .filter(([, parts]) => sum(parts) > 0)
    .map(([name, parts]) => ({ name, parts, end: total(parts) }));
}

function sum(parts: Readonly<Record<string, number>>): number {
  return Object.values(parts).reduce((a, b) => a + b, 0);
}

function total(parts: Readonly<Record<string, number>>): string {
  return quantity(sum(parts), 'J');
}
