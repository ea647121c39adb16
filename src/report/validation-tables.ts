/** Tables of a validation on a device, the same on a terminal, in Markdown and on the page. */
import type { CaseResult } from '../validate/device/compare.js';
import type { DeviceReport, Part } from '../validate/device/report.js';
import { quantity } from './format.js';
import type { Cell, Column, Table } from './table.js';
import { shortName } from './words.js';

const text = (t: string): Cell => ({ text: t });
const share = (value: number): Cell => ({ text: quantity(value, '%'), value });
const count = (value: number): Cell => ({ text: String(value), value });
const time = (value: number): Cell => ({ text: quantity(value, 's'), value });
const tau = (value: number): Cell => ({ text: value.toFixed(2), value });
/** 3.5e-7 */
const small = (value: number): Cell => ({ text: value === 0 ? '0' : value.toExponential(1), value });

function table(id: string, title: string, head: readonly string[], rows: readonly (readonly Cell[])[]): Table {
  const columns = head.map((label, j): Column => {
    const numbers = rows.length > 0 && rows.every((r) => r[j]?.value !== undefined || r[j]?.text === '');
    return { key: label.toLowerCase().replaceAll(' ', '_'), label, align: numbers ? 'right' : 'left' };
  });
  return { id, title, columns, rows };
}

/** A row per kernel, or per group, and one of all. */
export function partsTable(report: DeviceReport, by: 'kernel' | 'group'): Table {
  const row = (name: string, p: Part): Cell[] => [
    text(name),
    count(p.n),
    small(p.greatest_error),
    small(p.tolerance),
    text(p.numerics_failed > 0 ? `${p.numerics_failed} wrong` : 'right'),
    text(p.bytes_unequal > 0 ? `${p.bytes_unequal} differ` : 'equal'),
    share(p.mape),
    share(p.median_ape),
    share(p.bias),
    p.pairs > 0 ? tau(p.kendall_tau) : text(''),
    count(p.pairs),
  ];
  const parts = by === 'kernel' ? report.by_kernel : report.by_group;
  return table(
    `validation-${by}`,
    by === 'kernel' ? 'By kernel' : 'By group',
    [
      by === 'kernel' ? 'Kernel' : 'Group',
      'Cases',
      'Error',
      'Tolerance',
      'Results',
      'Bytes',
      'Time off',
      'Median',
      'Bias',
      'Kendall τ',
      'Pairs',
    ],
    Object.entries(parts).map(([name, p]) => row(name, p)),
  );
}

/** The simulator beside simpler models on the same cases. */
export function baselinesTable(report: DeviceReport): Table {
  const { mape, median_ape, p90_ape, bias } = report;
  const models = Object.entries({ [report.machine]: { mape, median_ape, p90_ape, bias }, ...report.baselines });
  return table(
    'validation-baselines',
    'Beside simpler models',
    ['Model', 'Time off', 'Median', 'p90', 'Bias'],
    models.map(([name, e]) => [text(name), share(e.mape), share(e.median_ape), share(e.p90_ape), share(e.bias)]),
  );
}

/** Where the tolerances come from, of each group's case that comes nearest to its own. */
export function tolerancesTable(report: DeviceReport): Table {
  return table(
    'validation-tolerances',
    'Why the tolerance is what it is',
    ['Group', 'Tolerance', 'Why'],
    Object.entries(report.by_group).map(([name, p]) => [text(name), small(p.tolerance), text(p.why)]),
  );
}

export function casesTable(cases: readonly CaseResult[]): Table {
  return table(
    'validation-cases',
    'Cases',
    ['Case', 'Measured', 'From', 'To', 'Simulated', 'Off', 'Bound by', 'Error', 'Tolerance', 'Results', 'Bytes'],
    cases.map((c) => [
      text(c.id),
      time(c.measured_s),
      time(c.lo_s),
      time(c.hi_s),
      time(c.predicted_s),
      share(c.predicted_s / c.measured_s - 1),
      text(shortName(c.bound_by)),
      small(c.numerics.error),
      small(c.numerics.tolerance),
      text(c.numerics.pass ? 'right' : 'wrong'),
      text(c.bytes.equal ? (c.bytes.device ? 'equal' : 'equal, not counted') : (c.bytes.difference ?? 'differ')),
    ]),
  );
}

export function problemsTable(cases: readonly CaseResult[]): Table {
  const rows = [...new Set(cases.map((c) => c.problem))].flatMap((problem) =>
    cases
      .filter((c) => c.problem === problem)
      .sort((a, b) => a.measured_s - b.measured_s)
      .map((c) => [text(problem), text(c.id.replace(`${problem} `, '')), time(c.measured_s), time(c.predicted_s)]),
  );
  return table('validation-variants', 'Variants', ['Problem', 'Variant', 'Measured', 'Simulated'], rows);
}

/** Per problem: whether the tile that the model picks is the fastest. */
export function picksTable(report: DeviceReport): Table {
  return table(
    'validation-picks',
    'What the model would have picked',
    ['Problem', 'Variants', 'Kendall τ', 'Time off', 'Picked', 'Slower than the fastest by'],
    Object.entries(report.by_problem)
      .filter(([, p]) => p.variants > 1)
      .map(([name, p]) => [
        text(name),
        count(p.variants),
        tau(p.kendall_tau),
        share(p.mape),
        text(p.picked.replace(`${name} `, '')),
        share(p.regret),
      ]),
  );
}

export function worstTable(report: DeviceReport): Table {
  return table(
    'validation-worst',
    'Furthest off',
    ['Case', 'Measured', 'Simulated', 'Off', 'Bound by'],
    report.worst.map((w) => [
      text(w.id),
      time(w.measured_s),
      time(w.predicted_s),
      share(w.error),
      text(shortName(w.bound_by)),
    ]),
  );
}

/** Results that are wrong and bytes that differ, with the figures. */
export function faultsTable(report: DeviceReport): Table {
  const rows = report.cases.flatMap((c) => [
    ...(c.numerics.pass
      ? []
      : [
          [
            text(c.id),
            text(
              c.numerics.error > c.numerics.tolerance
                ? `results are off by ${c.numerics.error.toExponential(1)}, allowed ${c.numerics.tolerance.toExponential(1)} (${c.numerics.why})`
                : `the program computes something else than the kernel's reference: off by ${c.numerics.reference_error?.toExponential(1)}`,
            ),
          ],
        ]),
    ...(c.bytes.equal ? [] : [[text(c.id), text(c.bytes.difference ?? 'bytes differ')]]),
  ]);
  return table('validation-faults', 'Out of tolerance', ['Case', 'What'], rows);
}

export function skippedTable(report: DeviceReport): Table {
  return table(
    'validation-skipped',
    'Left out',
    ['Case', 'Why'],
    report.skipped.map((s) => [text(s.id), text(s.skip_reason.split('\n')[0]!)]),
  );
}

export function conceptsTable(report: DeviceReport): Table {
  return table(
    'validation-concepts',
    'What this device cannot put to the test',
    ['Concept', 'Why'],
    report.not_exercised.map((c) => [text(c.concept), text(c.why)]),
  );
}
