/** What a run found: how many points there were, why some failed, and the Pareto front; as JSON and as CSV. */
import { type Static, Type } from '@sinclair/typebox';
import { type Row, resultNames } from './evaluate.js';
import { paretoFront } from './pareto.js';
import type { Space } from './space.js';

const Value = Type.Union([Type.Number(), Type.String(), Type.Boolean()]);
const strict = { additionalProperties: false };

export const SummarySchema = Type.Object(
  {
    space: Type.String(),
    search: Type.String(),
    seed: Type.Integer(),
    points: Type.Integer({ description: 'evaluated' }),
    of: Type.Integer({ description: 'points of the whole grid' }),
    ok: Type.Integer({ description: 'with results that meet the constraints' }),
    excluded: Type.Integer({ description: 'by a constraint' }),
    failed: Type.Integer({ description: 'nothing fits, or not a valid configuration' }),
    reasons: Type.Array(Type.Object({ status: Type.String(), reason: Type.String(), points: Type.Integer() }, strict), {
      description: 'why points were excluded or failed, most frequent first',
    }),
    objectives: Type.Array(
      Type.Object({ name: Type.String(), metric: Type.String(), goal: Type.String(), unit: Type.String() }, strict),
    ),
    front: Type.Array(
      Type.Object(
        {
          point: Type.Integer(),
          axes: Type.Record(Type.String(), Value),
          objectives: Type.Record(Type.String(), Type.Number()),
          derived: Type.Record(Type.String(), Value),
          results: Type.Record(Type.String(), Value),
        },
        strict,
      ),
      { description: 'points that no other beats, by id' },
    ),
  },
  { ...strict, $id: 'sweep', title: 'Sweep' },
);
export type Summary = Static<typeof SummarySchema>;

/** At most this many different reasons are listed. */
const MOST_REASONS = 20;

export function summarise(space: Space, search: { name: string; seed: number }, rows: readonly Row[]): Summary {
  const ok = rows.filter((row) => row.status === 'ok');
  const front = frontOf(space, rows);
  const count = (status: Row['status']) => rows.filter((row) => row.status === status).length;
  return {
    space: space.name,
    search: search.name,
    seed: search.seed,
    points: rows.length,
    of: space.size,
    ok: ok.length,
    excluded: count('excluded'),
    failed: count('failed'),
    reasons: reasonsOf(rows),
    objectives: space.objectives.map(({ name, metric, goal, unit }) => ({ name, metric, goal, unit: unit ?? '' })),
    front: front.map(({ point, axes, objectives, derived, results }) => ({
      point,
      axes: { ...axes },
      objectives: { ...objectives },
      derived: { ...derived },
      results: { ...results },
    })),
  };
}

/** Rows of the Pareto front, by id. */
export function frontOf(space: Space, rows: readonly Row[]): Row[] {
  const ok = rows.filter((row) => row.status === 'ok').sort((a, b) => a.point - b.point);
  const names = space.objectives.map((o) => o.name);
  const values = ok.map((row) => names.map((name) => row.objectives![name]!));
  return paretoFront(
    values,
    space.objectives.map((o) => o.goal),
  ).map((i) => ok[i]!);
}

function reasonsOf(rows: readonly Row[]): Summary['reasons'] {
  const found = new Map<string, Summary['reasons'][number]>();
  for (const { status, reason } of rows) {
    if (status === 'ok') continue;
    const key = `${status} ${reason}`;
    const entry = found.get(key) ?? { status, reason: reason ?? '', points: 0 };
    entry.points++;
    found.set(key, entry);
  }
  return [...found.values()]
    .sort((a, b) => b.points - a.points || (a.reason < b.reason ? -1 : 1))
    .slice(0, MOST_REASONS);
}

/** One line a row, with a header; RFC 4180. */
export function csvOf(space: Space, rows: readonly Row[]): string {
  const results = resultNames(space);
  const axes = space.axes.map((axis) => axis.name);
  const derived = space.derived.map((d) => d.name);
  const taken = new Set([...results, ...axes, ...derived]);
  const objectives = space.objectives.map((o) => o.name).filter((name) => !taken.has(name));
  const header = ['point', 'status', ...axes, ...objectives, ...derived, ...results, 'on_front', 'reason'];
  const front = new Set(frontOf(space, rows).map((row) => row.point));
  const pick = (from: Readonly<Record<string, unknown>> | undefined, names: readonly string[]) =>
    names.map((name) => from?.[name]);
  const lines = rows.map((row) => [
    row.point,
    row.status,
    ...pick(row.axes, axes),
    ...pick(row.objectives, objectives),
    ...pick(row.derived, derived),
    ...pick(row.results, results),
    row.status === 'ok' ? front.has(row.point) : undefined,
    row.reason,
  ]);
  return [header, ...lines].map((line) => `${line.map(field).join(',')}\r\n`).join('');
}

function field(value: unknown): string {
  if (value === undefined || value === null) return '';
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
