/** The data of a report as tables: one function each, used by page, Markdown and terminal alike. */
import { compact, percent, quantity, times } from './format.js';
import type { Report, Roofline, Run, Sweep } from './model.js';
import type { Cell, Column, Table } from './table.js';
import { shortName } from './words.js';

const left = (key: string, label: string): Column => ({ key, label, align: 'left' });
const right = (key: string, label: string): Column => ({ key, label, align: 'right' });
const say = (text: string): Cell => ({ text });
const show = (value: number | undefined, unit: string): Cell =>
  value === undefined ? { text: '' } : { text: quantity(value, unit), value };
const part = (value: number | undefined): Cell =>
  value === undefined ? { text: '' } : { text: percent(value), value };
const whole = (value: number): Cell => ({ text: quantity(value, ''), value });

/** Most runs that stand beside each other as columns; more become rows. */
const MOST_COLUMNS = 3;

/** Figures that the table of verdicts has, which goes before that of the figures. */
const IN_VERDICTS = new Set(['time_s', 'energy_J', 'roof_fraction']);

/** Key figures: of few runs a column each, beside its ratio to the first; of many a row each, less those of the verdicts. */
export function figuresTable(runs: readonly Run[]): Table {
  const keys = new Map<string, { label: string; unit: string }>();
  for (const run of runs) for (const f of run.figures) if (!keys.has(f.key)) keys.set(f.key, f);
  const valueIn = (run: Run, key: string) => run.figures.find((f) => f.key === key)?.value;
  if (runs.length > MOST_COLUMNS) {
    const rest = [...keys].filter(([key]) => !IN_VERDICTS.has(key));
    return {
      id: 'figures',
      title: 'Key figures',
      columns: [left('run', 'Run'), ...rest.map(([key, { label }]) => right(key, label))],
      rows: runs.map((run) => [say(run.label), ...rest.map(([key, { unit }]) => show(valueIn(run, key), unit))]),
    };
  }
  const columns = [left('figure', 'Figure')];
  runs.forEach((run, i) => {
    columns.push(right(run.id, runs.length > 1 ? run.label : 'Value'));
    if (i > 0) columns.push(right(`${run.id}.ratio`, '÷ first'));
  });
  const rows = [...keys].map(([key, { label, unit }]) => {
    const first = valueIn(runs[0]!, key);
    const row = [say(label)];
    runs.forEach((run, i) => {
      const value = valueIn(run, key);
      row.push(show(value, unit));
      if (i === 0) return;
      row.push(value === undefined || !first ? say('') : { text: times(value / first), value: value / first });
    });
    return row;
  });
  return { id: 'figures', title: 'Key figures', columns, rows };
}

/** Verdicts of many runs, a row each. */
export function verdictsTable(runs: readonly Run[]): Table {
  return {
    id: 'verdicts',
    title: 'Verdicts',
    columns: [
      left('run', 'Run'),
      right('time_s', 'Time'),
      right('energy_J', 'Energy'),
      left('bound_by', 'Bound by'),
      right('share', 'Of its time'),
      right('roof_fraction', 'Of the roof'),
      left('next', 'Next limit'),
    ],
    rows: runs.map((run) => [
      say(run.label),
      show(run.figures.find((f) => f.key === 'time_s')?.value, 's'),
      show(run.figures.find((f) => f.key === 'energy_J')?.value, 'J'),
      say(shortName(run.verdict.bound_by)),
      part(run.verdict.limits.find((l) => l.resource === run.verdict.bound_by)?.share),
      part(run.verdict.roof_fraction),
      say(run.verdict.next ? shortName(run.verdict.next) : ''),
    ]),
  };
}

/** Every op, in the order of the trace. */
export function opsTable(run: Run): Table {
  const phases = run.ops.some((op) => op.phase !== undefined);
  const stores = run.roofline.memory.map((m) => m.store);
  const home = stores[0] ?? 'dram';
  const columns = [
    left('name', 'Op'),
    ...(phases ? [left('phase', 'Phase')] : []),
    left('kind', 'Kind'),
    left('kernel', 'Kernel'),
    left('tile', 'Tile'),
    right('repeat', 'Repeat'),
    right('time_s', 'Time, one'),
    right('total_time_s', 'Time, all'),
    right('share', 'Share'),
    right('energy_J', 'Energy, one'),
    right('flops', 'FLOPs, one'),
    right('requested_B', `${shortName(home)} requested`),
    right('moved_B', `${shortName(home)} moved`),
    left('bound_by', 'Bound by'),
    right('roof_fraction', 'Of roof'),
  ];
  const rows = run.ops.map((op) => [
    say(op.name),
    ...(phases ? [say(op.phase ?? '')] : []),
    say(op.kind),
    say(op.kernel),
    say(op.tile),
    whole(op.repeat),
    show(op.time_s, 's'),
    show(op.total_time_s, 's'),
    part(op.share),
    show(op.energy_J, 'J'),
    show(op.flops, 'FLOP'),
    show(op.requested_B[home], 'B'),
    show(op.moved_B[home], 'B'),
    say(shortName(op.bound_by)),
    part(op.roof_fraction),
  ]);
  return { id: `${run.id}-ops`, title: `Ops of ${run.label}`, columns, rows };
}

export function limitsTable(run: Run): Table {
  const busy = run.verdict.limits.some((l) => l.busy !== undefined);
  return {
    id: `${run.id}-limits`,
    title: `What sets the pace: ${run.label}`,
    columns: [
      left('resource', 'Bound by'),
      right('time_s', 'Time'),
      right('share', 'Share'),
      ...(busy ? [right('busy', 'Busy')] : []),
    ],
    rows: run.verdict.limits.map((l) => [
      say(shortName(l.resource)),
      show(l.time_s, 's'),
      part(l.share),
      ...(busy ? [part(l.busy)] : []),
    ]),
  };
}

export function energyTable(runs: readonly Run[]): Table {
  const parts = [...new Set(runs.flatMap((r) => r.energy.map((e) => e.part)))];
  return {
    id: 'energy',
    title: 'Energy by part',
    columns: [
      left('part', 'Part'),
      ...runs.flatMap((r) => [right(r.id, runs.length > 1 ? r.label : 'Energy'), right(`${r.id}.share`, 'Share')]),
    ],
    rows: parts.map((name) => [
      say(shortName(name)),
      ...runs.flatMap((r) => {
        const found = r.energy.find((e) => e.part === name);
        return [show(found?.energy_J, 'J'), part(found?.share)];
      }),
    ]),
  };
}

export function trafficTable(run: Run): Table {
  const stores = [...new Set([...Object.keys(run.moved_B), ...Object.keys(run.requested_B)])];
  return {
    id: `${run.id}-traffic`,
    title: `Bytes per store: ${run.label}`,
    columns: [left('store', 'Store'), right('requested_B', 'Requested'), right('moved_B', 'Moved')],
    rows: stores.map((s) => [say(shortName(s)), show(run.requested_B[s], 'B'), show(run.moved_B[s], 'B')]),
  };
}

export function roofsTable(id: string, label: string, roofline: Roofline): Table {
  return {
    id: `${id}-roofs`,
    title: `Roofs of ${label}`,
    columns: [
      left('roof', 'Roof'),
      right('peak', 'Peak'),
      right('sustained', 'Sustained'),
      right('ridge', 'Ridge, DRAM'),
    ],
    rows: [
      ...roofline.memory.map((m) => [
        say(shortName(m.store)),
        show(m.B_per_s, 'B/s'),
        show(m.B_per_s * m.sustained_fraction, 'B/s'),
        say(''),
      ]),
      ...roofline.compute.map((c) => [
        say(`${c.unit} ${c.dtypes.join(', ')}`),
        show(c.flops_per_s, 'FLOP/s'),
        say(''),
        roofline.memory[0] ? show(c.flops_per_s / roofline.memory[0].B_per_s, 'FLOP/B') : say(''),
      ]),
    ],
  };
}

export function pointsTable(id: string, label: string, roofline: Roofline): Table {
  const stores = roofline.memory.map((m) => m.store);
  const points = [...roofline.points, ...(roofline.total ? [roofline.total] : [])];
  return {
    id: `${id}-points`,
    title: `Points of ${label}`,
    columns: [
      left('name', 'Op'),
      left('kind', 'Kind'),
      right('share', 'Share of time'),
      right('flops_per_s', 'Rate'),
      ...stores.map((s) => right(s, `FLOP/B at ${shortName(s)}`)),
      left('bound_by', 'Bound by'),
    ],
    rows: points.map((p) => [
      say(p.name),
      say(p.kind),
      part(p.share),
      show(p.flops_per_s, 'FLOP/s'),
      ...stores.map((s) => show(p.intensity[s], '')),
      say(shortName(p.bound_by)),
    ]),
  };
}

/** Points of the front first, then the others; `most` keeps a page readable (the JSON has all). */
export function sweepTable(sweep: Sweep, most = 500): Table {
  const keys = [...new Set(sweep.points.flatMap((p) => Object.keys(p.config)))];
  const sorted = [...sweep.points].sort((a, b) => Number(b.on_front) - Number(a.on_front)).slice(0, most);
  const cut = sweep.points.length - sorted.length;
  return {
    id: 'sweep',
    title: `Points of ${sweep.name}${cut > 0 ? ` (${cut} more in the JSON)` : ''}`,
    columns: [
      left('front', 'Front'),
      ...sweep.objectives.map((o) => right(o.key, o.label)),
      ...keys.map(
        (key) => ({ key: `config.${key}`, label: key, align: isNumeric(sweep, key) ? 'right' : 'left' }) as const,
      ),
    ],
    rows: sorted.map((p) => [
      say(p.on_front ? 'yes' : ''),
      ...sweep.objectives.map((o) => show(p.values[o.key], o.unit)),
      ...keys.map((key) => configCell(p.config[key])),
    ]),
  };
}

function isNumeric(sweep: Sweep, key: string): boolean {
  return sweep.points.every((p) => p.config[key] === undefined || typeof p.config[key] === 'number');
}

function configCell(value: number | string | boolean | undefined): Cell {
  if (value === undefined) return { text: '' };
  return typeof value === 'number' ? { text: compact(value), value } : { text: String(value) };
}

/** Numbers of all runs with their origin; one row where runs share a machine. */
export function assumptionsTable(report: Report): Table {
  const several = new Set(report.runs.map((r) => r.machine)).size > 1;
  const seen = new Set<string>();
  const rows: Cell[][] = [];
  for (const run of report.runs)
    for (const a of run.assumptions) {
      const key = JSON.stringify([run.machine, a]);
      if (seen.has(key)) continue;
      seen.add(key);
      rows.push([
        ...(several ? [say(run.machine)] : []),
        say(a.path),
        { text: a.unit === '' ? compact(a.value) : quantity(a.value, a.unit, 4), value: a.value },
        say(a.from),
        say(a.source),
      ]);
    }
  return {
    id: 'assumptions',
    title: 'Assumptions',
    columns: [
      ...(several ? [left('machine', 'Machine')] : []),
      left('path', 'Field'),
      right('value', 'Value'),
      left('from', 'From'),
      left('source', 'Source'),
    ],
    rows,
  };
}
