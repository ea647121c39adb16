/** Tables of accuracy, the same in Markdown and on the page. */
import { type AccuracyPart, ALL, type WorstRow } from '../validate/accuracy.js';
import { quantity } from './format.js';
import type { Cell, Column, Table } from './table.js';
import { shortName } from './words.js';

const text = (t: string): Cell => ({ text: t });
const share = (value: number): Cell => ({ text: `${(100 * value).toFixed(1)} %`, value });
const count = (value: number): Cell => ({ text: String(value), value });
const time = (value: number): Cell => ({ text: quantity(value, 's'), value });

function table(id: string, title: string, head: readonly string[], rows: readonly (readonly Cell[])[]): Table {
  const columns = head.map((label, j): Column => {
    const numbers = rows.length > 0 && rows.every((r) => r[j]?.value !== undefined || r[j]?.text === '');
    return { key: label.toLowerCase().replaceAll(' ', '_'), label, align: numbers ? 'right' : 'left' };
  });
  return { id, title, columns, rows };
}

/** A row for each part; columns that are the same for all are left out. */
export function accuracyTable(id: string, title: string, parts: readonly AccuracyPart[]): Table {
  const dtypes = parts.some((p) => p.dtype !== ALL);
  const sizes = parts.some((p) => p.size !== ALL);
  return table(
    id,
    title,
    [
      'GPU',
      'Kernel',
      ...(dtypes ? ['Format'] : []),
      ...(sizes ? ['Measured time'] : []),
      'Constants',
      'Rows',
      'Mean error',
      'Median',
      '90th',
      'Bias',
      'In the 90 % interval',
      'Roofline',
      'Roofline / 0.8 + 3 µs',
    ],
    parts.map((p) => [
      text(p.gpu),
      text(p.kernel),
      ...(dtypes ? [text(p.dtype)] : []),
      ...(sizes ? [text(p.size)] : []),
      text(p.how),
      count(p.n),
      share(p.mape),
      share(p.median_ape),
      share(p.p90_ape),
      share(p.bias),
      share(p.inside),
      share(p.roofline),
      share(p.efficiency),
    ]),
  );
}

/** One row for each GPU and kernel: as the machine of that name predicts, beside its datasheet alone. */
export function accuracySummary(parts: readonly AccuracyPart[]): Table {
  const datasheet = (p: AccuracyPart) =>
    parts.find((o) => o.gpu === p.gpu && o.kernel === p.kernel && o.how === 'datasheet');
  const first = parts.filter((p, i) => parts.findIndex((o) => o.gpu === p.gpu && o.kernel === p.kernel) === i);
  return table(
    'accuracy',
    'Accuracy',
    [
      'GPU',
      'Kernel',
      'Rows',
      'Constants',
      'Mean error',
      'Median',
      'Bias',
      'In the 90 % interval',
      'Datasheet alone',
      'Roofline / 0.8 + 3 µs',
    ],
    first.map((p) => {
      const d = p.how === 'datasheet' ? undefined : datasheet(p);
      return [
        text(p.gpu),
        text(p.kernel),
        count(p.n),
        text(p.how),
        share(p.mape),
        share(p.median_ape),
        share(p.bias),
        share(p.inside),
        d ? share(d.mape) : text(''),
        share(p.efficiency),
      ];
    }),
  );
}

export function worstRowsTable(worst: readonly WorstRow[]): Table {
  return table(
    'accuracy-worst',
    'Furthest off',
    ['GPU', 'Kernel', 'Call', 'Measured', 'Predicted', 'Off', 'Picked', 'Bound by', 'What the figures say'],
    worst.map((w) => [
      text(w.gpu),
      text(w.kernel),
      text(w.row),
      time(w.measured_s),
      time(w.predicted_s),
      share(w.predicted_s / w.measured_s - 1),
      text(w.picked),
      text(shortName(w.bound_by)),
      text(w.why),
    ]),
  );
}
