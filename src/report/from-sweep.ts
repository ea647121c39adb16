/** A run of a design space → the data of its chart: every point that has results, the front marked. */
import type { Sweep, SweepPoint } from './model.js';

type Value = number | string | boolean;

/** What `sweep` writes: the summary, and a row per point. */
export interface SweepSummary {
  readonly space: string;
  readonly objectives: readonly { readonly name: string; readonly goal: string; readonly unit: string }[];
  readonly excluded: number;
  readonly failed: number;
  readonly front: readonly { readonly point: number }[];
}

export interface SweepRow {
  readonly point: number;
  readonly status: string;
  readonly axes: Readonly<Record<string, Value>>;
  readonly objectives?: Readonly<Record<string, number>>;
}

export function sweepOf(summary: SweepSummary, rows: readonly SweepRow[]): Sweep {
  const front = new Set(summary.front.map((p) => p.point));
  const points: SweepPoint[] = rows
    .filter((row) => row.status === 'ok')
    .map((row) => ({
      id: String(row.point),
      config: { ...row.axes },
      values: { ...row.objectives },
      on_front: front.has(row.point),
    }));
  return {
    name: summary.space,
    objectives: summary.objectives.map(({ name, goal, unit }) => ({
      key: name,
      label: name.replaceAll('_', ' '),
      unit,
      goal: goal === 'max' ? 'max' : 'min',
    })),
    points,
    failed: summary.excluded + summary.failed,
  };
}
