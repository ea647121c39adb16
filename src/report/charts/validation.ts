/** Charts of a validation: measured is solid, simulated dashed or hollow, everywhere. */
import type { CaseResult } from '../../validate/device/compare.js';
import { plain, quantity } from '../format.js';
import type { ComputeRoof, MemoryRoof, Point } from '../model.js';
import { cycle, INK, MUTED, OKABE_ITO, SHAPES } from '../palette.js';
import { casesTable, problemsTable } from '../validation-tables.js';
import { type Chart, clip, decades, haloed, legendColumns, logDomain, specOf } from './chart.js';
import { roofMarks } from './roof-lines.js';
import { frameOf, type RooflineSeries } from './roofline-data.js';

export interface ValidationView {
  readonly machine: string;
  readonly home: string;
  readonly memory: readonly MemoryRoof[];
  readonly compute: readonly ComputeRoof[];
  readonly cases: readonly CaseResult[];
}

const groupsOf = (cases: readonly CaseResult[]): string[] => [...new Set(cases.map((c) => c.group))];
const intensity = (c: CaseResult): number => {
  const { read_B, write_B } = c.bytes.interpreter.global;
  return c.flops_executed / (read_B + write_B);
};
const legend = (groups: readonly string[]) => ({ orient: 'bottom', columns: legendColumns(groups), title: null });
const groupScales = (groups: readonly string[]) => ({
  color: {
    field: 'group',
    type: 'nominal',
    scale: { domain: groups, range: cycle(OKABE_ITO, groups.length) },
    legend: legend(groups),
  },
  shape: {
    field: 'group',
    type: 'nominal',
    // with more groups than colours, the second of a colour has another shape
    scale: {
      domain: groups,
      range: groups.map((_, i) => SHAPES[(i + 3 * Math.floor(i / OKABE_ITO.length)) % SHAPES.length]!),
    },
    legend: legend(groups),
  },
});

/** Predicted over measured time of every case, with the line of agreement and a factor of two either way. */
export function agreementChart({ cases }: ValidationView): Chart {
  const groups = groupsOf(cases);
  const domain = logDomain(
    cases.flatMap((c) => [c.measured_s * 1e6, c.predicted_s * 1e6]),
    1.6,
    1.6,
  );
  const axis = (title: string) => ({
    title,
    values: decades(domain),
    format: '~g',
    grid: true,
  });
  const scale = { type: 'log', domain, nice: false };
  const x = { field: 'x', type: 'quantitative', scale, axis: axis('measured time (µs)') };
  const y = { field: 'y', type: 'quantitative', scale, axis: axis('simulated time (µs)') };
  const line = (factor: number, dash: readonly number[]) => ({
    data: {
      values: [
        { x: Math.max(domain[0], domain[0] / factor), y: Math.max(domain[0], domain[0] * factor) },
        { x: Math.min(domain[1], domain[1] / factor), y: Math.min(domain[1], domain[1] * factor) },
      ],
    },
    mark: { type: 'line', stroke: INK, strokeWidth: factor === 1 ? 1.4 : 1, strokeDash: [...dash], opacity: 0.7 },
    encoding: { x, y },
  });
  const points = cases.map((c) => ({
    x: c.measured_s * 1e6,
    y: c.predicted_s * 1e6,
    lo: c.lo_s * 1e6,
    hi: c.hi_s * 1e6,
    group: c.group,
    ...words(c),
  }));
  return {
    id: 'agreement',
    title: 'Simulated beside measured time',
    caption:
      'A mark is a case; on the line both agree, between the dashed lines within a factor of two. The bar through a mark is the 95 % confidence interval of the measurement.',
    spec: specOf({
      width: 560,
      height: 420,
      layer: [
        line(1, [1, 0]),
        line(2, [6, 4]),
        line(0.5, [6, 4]),
        {
          data: { values: points },
          mark: { type: 'rule', strokeWidth: 1, opacity: 0.5 },
          encoding: { x: { ...x, field: 'lo' }, x2: { field: 'hi' }, y, color: groupScales(groups).color },
        },
        {
          data: { values: points },
          mark: { type: 'point', filled: true, size: 46, opacity: 0.85, stroke: '#ffffff', strokeWidth: 0.6 },
          encoding: { x, y, ...groupScales(groups), tooltip: TOOLTIP },
        },
      ],
    }),
    tables: [casesTable(cases)],
  };
}

/** The device's own roofline: each case measured (solid) and simulated (hollow), a dashed line between the two. */
export function validationRoofline(view: ValidationView): Chart {
  const { cases, home } = view;
  const drawn = cases.filter((c) => c.flops_executed > 0);
  const groups = groupsOf(drawn);
  const point = (c: CaseResult, time_s: number): Point => ({
    name: c.id,
    kind: c.group,
    bound_by: c.bound_by,
    flops: c.flops_executed,
    time_s,
    flops_per_s: c.flops_executed / time_s,
    share: 0,
    intensity: { [home]: intensity(c) },
  });
  const series: RooflineSeries = {
    id: view.machine,
    label: view.machine,
    machine: view.machine,
    roofline: {
      memory: view.memory.filter((m) => m.store === home),
      compute: [...view.compute],
      points: drawn.flatMap((c) => [point(c, c.measured_s), point(c, c.predicted_s)]),
      without_flops: cases.length - drawn.length,
    },
  };
  const frame = frameOf(series.roofline.points, [series.roofline]);
  const marks = roofMarks([view.machine], () => view.machine, [series], [home], frame);
  const axis = (domain: readonly [number, number], title: string) => ({
    title,
    values: decades(domain),
    labelExpr: "datum.value >= 1000 ? format(datum.value, '~s') : format(datum.value, '~g')",
    grid: true,
  });
  const x = {
    field: 'x',
    type: 'quantitative',
    scale: { type: 'log', domain: frame.x, nice: false },
    axis: axis(frame.x, `executed FLOP per byte asked of ${home}`),
  };
  const y = {
    field: 'y',
    type: 'quantitative',
    scale: { type: 'log', domain: frame.y, nice: false },
    axis: axis(frame.y, 'FLOP/s'),
  };
  const ends = drawn.flatMap((c) =>
    ([c.measured_s, c.predicted_s] as const).map((t, i) => ({
      id: c.id,
      x: intensity(c),
      y: c.flops_executed / t,
      side: i === 0 ? 'measured' : 'simulated',
      group: c.group,
      ...words(c),
    })),
  );
  return {
    id: 'validation-roofline',
    title: 'On the roofline of the device',
    caption: `Filled: measured. Hollow: simulated; a dashed line joins the two of a case. The diagonal is what ${home} can feed, the horizontals what the units can do.${
      cases.length > drawn.length ? ` ${cases.length - drawn.length} cases do no FLOPs and have no mark.` : ''
    }`,
    spec: specOf({
      width: frame.width,
      height: frame.height,
      layer: [
        {
          data: { values: marks.lines },
          mark: { type: 'line', stroke: MUTED, strokeWidth: 1.6 },
          encoding: { x, y, detail: { field: 'id', type: 'nominal' } },
        },
        ...haloed({
          data: { values: marks.texts },
          mark: {
            type: 'text',
            align: { expr: 'datum.align' },
            angle: { expr: 'datum.angle' },
            baseline: 'bottom',
            dy: -3,
            fontSize: 10.5,
            fill: MUTED,
          },
          encoding: { x, y, text: { field: 'text', type: 'nominal' } },
        }),
        {
          data: { values: ends },
          mark: { type: 'line', strokeDash: [3, 3], strokeWidth: 1, opacity: 0.7 },
          encoding: { x, y, detail: { field: 'id', type: 'nominal' }, color: groupScales(groups).color },
        },
        ...[true, false].map((filled) => ({
          data: { values: ends.filter((e) => (e.side === 'measured') === filled) },
          mark: { type: 'point', filled, size: 44, strokeWidth: 1.3, opacity: 0.9 },
          encoding: { x, y, ...groupScales(groups), tooltip: [...TOOLTIP, { field: 'side', title: 'this mark' }] },
        })),
      ],
    }),
    tables: [],
  };
}

const LEAST_VARIANTS = 3;
const MOST_PANELS = 12;

/** Tile variants of each problem in the order measured: a solid line of measurements, a dashed one of predictions. */
export function variantsChart({ cases }: ValidationView): Chart | undefined {
  const problems = [...new Set(cases.map((c) => c.problem))]
    .map((name) => [name, cases.filter((c) => c.problem === name)] as const)
    .filter(([, list]) => list.length >= LEAST_VARIANTS)
    .sort((a, b) => b[1].length - a[1].length)
    .slice(0, MOST_PANELS);
  if (problems.length === 0) return undefined;
  const values = problems.flatMap(([problem, list]) =>
    [...list]
      .sort((a, b) => a.measured_s - b.measured_s)
      .flatMap((c, i) =>
        [
          { side: 'measured', y: c.measured_s * 1e6 },
          { side: 'simulated', y: c.predicted_s * 1e6 },
        ].map((end) => ({ problem: clip(problem, 34), place: i + 1, ...end, ...words(c) })),
      ),
  );
  const sides = ['measured', 'simulated'];
  return {
    id: 'variants',
    title: 'Tile variants of each problem',
    caption:
      'Variants from the fastest measured to the slowest. Solid: measured. Dashed: simulated; it rises where the ranking is right.',
    spec: specOf({
      data: { values },
      columns: 3,
      facet: {
        field: 'problem',
        type: 'nominal',
        sort: problems.map(([name]) => clip(name, 34)),
        header: { title: null, labelFontSize: 11.5, labelColor: INK },
      },
      resolve: { scale: { x: 'independent', y: 'independent' } },
      spec: {
        width: 215,
        height: 130,
        mark: { type: 'line', point: { size: 22 } },
        encoding: {
          x: {
            field: 'place',
            type: 'quantitative',
            axis: { title: 'place as measured', tickMinStep: 1, format: 'd', tickCount: 5, grid: false },
            scale: { nice: false },
          },
          y: {
            field: 'y',
            type: 'quantitative',
            scale: { type: 'log', nice: false, padding: 8 },
            axis: { title: 'µs', format: '~s', tickCount: 3, grid: false },
          },
          color: {
            field: 'side',
            type: 'nominal',
            scale: { domain: sides, range: [OKABE_ITO[0], OKABE_ITO[3]] },
            legend: { orient: 'bottom', title: null },
          },
          strokeDash: {
            field: 'side',
            type: 'nominal',
            scale: {
              domain: sides,
              range: [
                [1, 0],
                [5, 3],
              ],
            },
            legend: { orient: 'bottom', title: null },
          },
          tooltip: TOOLTIP,
        },
      },
    }),
    tables: [problemsTable(problems.flatMap(([, list]) => list))],
  };
}

const TOOLTIP = [
  { field: 'case', title: 'case' },
  { field: 'measured', title: 'measured' },
  { field: 'simulated', title: 'simulated' },
  { field: 'error', title: 'error' },
  { field: 'bound', title: 'simulated bound' },
];
const words = (c: CaseResult) => ({
  case: c.id,
  measured: `${quantity(c.measured_s, 's')} (${quantity(c.lo_s, 's')} to ${quantity(c.hi_s, 's')})`,
  simulated: quantity(c.predicted_s, 's'),
  error: `${plain(100 * (c.predicted_s / c.measured_s - 1))} %`,
  bound: c.bound_by,
});

export function validationCharts(view: ValidationView): Chart[] {
  if (view.cases.length === 0) return [];
  const variants = variantsChart(view);
  const roofline = view.cases.some((c) => c.flops_executed > 0) ? validationRoofline(view) : undefined;
  return [roofline, agreementChart(view), variants].filter((c) => c !== undefined);
}
