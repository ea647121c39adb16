/** Energy by part: a stacked bar a run, and below it (for one run) a stacked bar for each of the ops that take most. */
import { quantity, scaleOf } from '../format.js';
import type { Run } from '../model.js';
import { energyTable, trafficTable } from '../tables.js';
import type { Chart } from './chart.js';
import { type StackRow, stackedBars } from './stacked.js';

const MOST_OPS = 10;

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
  const scale = scaleOf(Math.max(...rows.map((row) => sum(row.parts))), 'J');
  return {
    id: 'energy',
    title: 'Energy by part',
    caption:
      byOp.length > 0
        ? 'Where the energy goes: the whole run, then the ops that take most of it, repeats counted.'
        : 'Where the energy goes.',
    spec: stackedBars({
      rows,
      order,
      axis: { title: `energy (${scale.unit})`, factor: scale.factor },
      show: (value) => quantity(value, 'J'),
      words: { row: only ? 'Op' : 'Run', part: 'Part', value: 'Energy' },
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
