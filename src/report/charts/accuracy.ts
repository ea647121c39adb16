/** Charts of accuracy: predicted against measured times, and errors by GPU and kernel beside the baselines. */
import type { AccuracyPart, AccuracyReport } from '../../validate/accuracy.js';
import { accuracyTable } from '../accuracy-tables.js';
import { plain, quantity } from '../format.js';
import { cycle, INK, OKABE_ITO, SHAPES } from '../palette.js';
import { type Chart, decades, legendColumns, logDomain, specOf } from './chart.js';

const distinct = (names: readonly string[]): string[] => [...new Set(names)];

/** A panel for each GPU; on the line both agree, between the dashed lines within a factor of 1.5. */
export function scatterChart({ points }: AccuracyReport): Chart {
  const gpus = distinct(points.map((p) => p.gpu));
  const kernels = distinct(points.map((p) => p.kernel));
  const us = (s: number) => s * 1e6;
  const domain = logDomain(
    points.flatMap((p) => [us(p.measured_s), us(p.predicted_s)]),
    1.5,
    1.5,
  );
  const axis = (title: string) => ({ title, values: decades(domain), format: '~s', grid: true });
  const scale = { type: 'log', domain, nice: false };
  const x = { field: 'x', type: 'quantitative', scale, axis: axis('measured (µs)') };
  const y = { field: 'y', type: 'quantitative', scale, axis: axis('predicted (µs)') };
  const line = (name: string, factor: number) =>
    gpus.flatMap((gpu) => [
      { gpu, line: name, x: Math.max(domain[0], domain[0] / factor), y: Math.max(domain[0], domain[0] * factor) },
      { gpu, line: name, x: Math.min(domain[1], domain[1] / factor), y: Math.min(domain[1], domain[1] * factor) },
    ]);
  const lines = [...line('same', 1), ...line('more', 1.5), ...line('less', 1 / 1.5)];
  const colour = {
    field: 'kernel',
    type: 'nominal',
    scale: { domain: kernels, range: cycle(OKABE_ITO, kernels.length) },
    legend: { orient: 'bottom', columns: legendColumns(kernels), title: null },
  };
  const shape = {
    ...colour,
    scale: {
      domain: kernels,
      range: kernels.map((_, i) => SHAPES[(i + 3 * Math.floor(i / OKABE_ITO.length)) % SHAPES.length]!),
    },
  };
  const marks = points.map((p) => ({
    gpu: p.gpu,
    kernel: p.kernel,
    x: us(p.measured_s),
    y: us(p.predicted_s),
    dtype: p.dtype,
    measured: quantity(p.measured_s, 's'),
    predicted: `${quantity(p.predicted_s, 's')} (${quantity(p.lo_s, 's')} to ${quantity(p.hi_s, 's')})`,
    error: `${plain(100 * (p.predicted_s / p.measured_s - 1))} %`,
    bound: p.bound_by,
  }));
  return {
    id: 'accuracy-scatter',
    title: 'Predicted against measured',
    caption:
      'A mark is a call that no constant was fitted to. On the line both agree, between the dashed lines within a factor of 1.5.',
    spec: specOf({
      data: { values: [...lines, ...marks] },
      columns: 2,
      facet: { field: 'gpu', type: 'nominal', sort: gpus, header: { title: null, labelFontSize: 12, labelColor: INK } },
      spec: {
        width: 370,
        height: 290,
        layer: [
          {
            transform: [{ filter: 'isValid(datum.line)' }],
            mark: { type: 'line', stroke: INK, strokeWidth: 1.2, opacity: 0.7 },
            encoding: {
              x,
              y,
              detail: { field: 'line', type: 'nominal' },
              strokeDash: { condition: { test: "datum.line === 'same'", value: [1, 0] }, value: [5, 4] },
            },
          },
          {
            transform: [{ filter: 'isValid(datum.kernel)' }],
            mark: { type: 'point', filled: true, size: 16, opacity: 0.65 },
            encoding: {
              x,
              y,
              color: colour,
              shape,
              tooltip: ['kernel', 'dtype', 'measured', 'predicted', 'error', 'bound'].map((field) => ({ field })),
            },
          },
        ],
      },
    }),
    tables: [],
  };
}

/** What a mark of the error chart stands for, in reading order. */
const METHODS: readonly (readonly [name: string, of: (p: AccuracyPart) => number | undefined])[] = [
  ['roofline', (p) => p.roofline],
  ['roofline / 0.8 + 3 µs', (p) => p.efficiency],
  ['transferred', (p) => (p.how === 'transferred' ? p.mape : undefined)],
  ['same chip', (p) => (p.how === 'same chip' ? p.mape : undefined)],
  ['datasheet', (p) => (p.how === 'datasheet' ? p.mape : undefined)],
  ['calibrated', (p) => (p.how === 'calibrated' ? p.mape : undefined)],
];

/** Mean error of each GPU and kernel, beside the baselines on the same rows. */
export function errorsChart({ by_kernel }: AccuracyReport): Chart {
  const values = by_kernel.flatMap((p) =>
    METHODS.flatMap(([method, of]) => {
      const error = of(p);
      return error === undefined ? [] : [{ what: `${p.gpu} · ${p.kernel}`, method, error: 100 * error, rows: p.n }];
    }),
  );
  const names = METHODS.map(([name]) => name).filter((name) => values.some((v) => v.method === name));
  const whats = distinct(values.map((v) => v.what));
  const scale = (range: readonly unknown[]) => ({ domain: names, range });
  const legend = { orient: 'bottom', title: null, columns: legendColumns(names) };
  const colours: Readonly<Record<string, string>> = {
    roofline: '#999999',
    'roofline / 0.8 + 3 µs': OKABE_ITO[3],
    transferred: OKABE_ITO[2],
    'same chip': OKABE_ITO[4],
    datasheet: OKABE_ITO[1],
    calibrated: OKABE_ITO[0],
  };
  const most = Math.max(20, ...values.map((v) => v.error));
  return {
    id: 'accuracy-errors',
    title: 'Mean error by GPU and kernel',
    caption: 'Mean of |predicted ÷ measured − 1|, of every prediction and baseline on the same rows.',
    spec: specOf({
      data: { values },
      width: 560,
      height: { step: 17 },
      layer: [
        {
          mark: { type: 'rule', stroke: '#bbbbbb', strokeWidth: 1 },
          encoding: {
            y: { field: 'what', type: 'nominal', sort: whats },
            x: { aggregate: 'min', field: 'error', type: 'quantitative' },
            x2: { aggregate: 'max', field: 'error' },
          },
        },
        {
          mark: { type: 'point', filled: true, size: 62, opacity: 0.95 },
          encoding: {
            y: {
              field: 'what',
              type: 'nominal',
              sort: whats,
              axis: { title: null, labelLimit: 300, grid: true, gridColor: '#f0f0f0' },
            },
            x: {
              field: 'error',
              type: 'quantitative',
              scale: { domain: [0, Math.ceil(most / 10) * 10], nice: false },
              axis: { title: 'mean error (%)', grid: true },
            },
            color: { field: 'method', type: 'nominal', scale: scale(names.map((n) => colours[n])), legend },
            shape: {
              field: 'method',
              type: 'nominal',
              scale: scale(names.map((_, i) => SHAPES[i % SHAPES.length])),
              legend,
            },
            tooltip: ['what', 'method', 'error', 'rows'].map((field) => ({ field })),
          },
        },
      ],
    }),
    tables: [accuracyTable('accuracy-kernel', 'By GPU and kernel', by_kernel)],
  };
}

export const accuracyCharts = (report: AccuracyReport): Chart[] => [errorsChart(report), scatterChart(report)];
