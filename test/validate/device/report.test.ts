import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { validationCharts } from '../../../src/report/charts/validation.js';
import { computeRoofs, memoryRoofs, renderValidation, textTable, validationTables } from '../../../src/report/index.js';
import { compileChart } from '../../../src/report/render/vega.js';
import type { CaseResult, SkippedCase } from '../../../src/validate/device/compare.js';
import { DeviceReportSchema, outOfTolerance, reportOf } from '../../../src/validate/device/report.js';
import type { AdapterInfo } from '../../../src/webgpu/device/job.js';
import { CPU } from './machine.js';
import { result } from './results.js';

const info: AdapterInfo = {
  name: 'a device',
  vendor: '',
  architecture: '',
  fallback: true,
  features: [],
  language_features: [],
  limits: {},
  subgroup: [8, 8],
  subgroup_matrix: [],
};
const report = (results: readonly (CaseResult | SkippedCase)[], failed = 0) =>
  reportOf({ results, failed, interrupted: false, duration_s: 1, largest_B: 1e5 }, CPU, info, 'steady');

describe('errors of times', () => {
  test('are relative to what was measured', () => {
    const r = report([result('a', 1e-3, 1.1e-3), result('b', 2e-3, 1e-3, { problem: 'two' })]);
    expect(r.mape).toBeCloseTo(0.3, 12);
    expect(r.bias).toBeCloseTo(-0.2, 12);
    expect(r.n).toBe(2);
    expect(r.worst[0]!.id).toBe('b');
    expect(r.baselines['roofline']!.mape).toBeCloseTo(0.9, 12);
  });
});

describe('the ranking', () => {
  const three = (b: number, spread = 0.01) => [
    result('a', 1e-3, 1e-3),
    result('b', 2e-3, b, { spread }),
    result('c', 3e-3, 3e-3),
  ];
  test('is 1 where all pairs are in order and −1 where none is', () => {
    expect(report(three(2e-3)).kendall_tau).toBe(1);
    expect(report([result('a', 1e-3, 2e-3), result('b', 2e-3, 1e-3)]).kendall_tau).toBe(-1);
  });
  test('loses by a pair in the wrong order', () => expect(report(three(4e-3)).kendall_tau).toBeCloseTo(1 / 3, 12));
  test('leaves out pairs that the measurement does not tell apart', () => {
    const r = report(three(4e-3, 0.6));
    expect(r.by_group['gemm']!.pairs).toBe(1);
    expect(r.kendall_tau).toBe(1);
  });
  test('is among tiles of one problem alone', () => {
    const r = report([
      result('a', 1e-3, 5e-3),
      result('b', 2e-3, 6e-3),
      result('c', 8e-3, 1e-3, { problem: 'two' }),
      result('d', 9e-3, 2e-3, { problem: 'two' }),
    ]);
    expect(r.kendall_tau).toBe(1);
    expect(r.kendall_tau_all).toBeLessThan(0);
  });
  test('says what picking by the model would cost', () => {
    const r = report([result('a', 1e-3, 2e-3), result('b', 1.5e-3, 1e-3)]);
    expect(r.by_problem['one']).toMatchObject({ fastest: 'a', picked: 'b', regret: 0.5 });
  });
});

describe('out of tolerance is', () => {
  const fine = result('a', 1e-3, 1.2e-3);
  test('nothing of a run that agrees, unless the times are off by more than allowed', () => {
    expect(outOfTolerance(report([fine]))).toBeUndefined();
    expect(outOfTolerance(report([fine]), 0.21)).toBeUndefined();
    expect(outOfTolerance(report([fine]), 0.19)).toContain('20.0 %, allowed 19.0 %');
  });
  test('a wrong result, a byte too many, a shader that failed', () => {
    const wrong = { ...fine, numerics: { ...fine.numerics, error: 1, pass: false } };
    expect(outOfTolerance(report([wrong]))).toContain('1 of 1 results are wrong');
    expect(outOfTolerance(report([{ ...fine, bytes: { ...fine.bytes, equal: false } }]))).toContain(
      'byte counts differ',
    );
    expect(outOfTolerance(report([fine], 1))).toContain('1 cases failed');
  });
});

test('what a CPU device cannot show is listed, with the reason', () => {
  const concepts = report([result('a', 1e-3, 1e-3)]).not_exercised.map((c) => c.concept);
  for (const c of [
    'matrix units',
    'asynchronous copies',
    'caches shared by many cores',
    'home memory bandwidth and cold caches',
  ])
    expect(concepts).toContain(c);
});

const some = report([
  result('a', 1e-3, 1.1e-3),
  result('b', 2e-3, 1.9e-3),
  result('c', 3e-3, 3.3e-3),
  result('d', 4e-4, 3e-4, { group: 'transpose', problem: 'two', kernel: 'transpose', flops: 0, flops_executed: 0 }),
  { id: 'e', group: 'gemm', problem: 'one', skip_reason: 'needs 64 KiB of shared memory, has 32 KiB' },
]);
const view = {
  machine: CPU.name,
  home: 'dram',
  memory: memoryRoofs(CPU),
  compute: computeRoofs(CPU),
  cases: some.cases,
};
const page = { title: 'Validation', version: '1', command: 'tilewright validate' };

test('the data is what the schema says', () => {
  const validate = new Ajv({ strict: false }).compile(DeviceReportSchema);
  expect(validate(JSON.parse(JSON.stringify(some))), JSON.stringify(validate.errors)).toBe(true);
});

test('charts compile without a warning, and empty runs have none', async () => {
  const charts = validationCharts(view);
  expect(charts.map((c) => c.id)).toEqual(['validation-roofline', 'agreement', 'variants']);
  for (const chart of charts) await compileChart(chart, (message) => expect.fail(message));
  expect(validationCharts({ ...view, cases: [] })).toEqual([]);
});

test('the page holds data, charts and tables; Markdown and the terminal the same figures', async () => {
  const html = String(await renderValidation(some, view, page, 'html'));
  expect(html).toContain('data-chart="validation-roofline"');
  expect(html).toContain('What this device cannot put to the test');
  expect(html).toContain('needs 64 KiB of shared memory');
  const md = String(await renderValidation(some, view, page, 'md'));
  expect(md).toContain('## By kernel');
  expect(md).toContain('16 terms summed');
  expect(
    validationTables(some)
      .map((t) => textTable(t))
      .join('\n'),
  ).toContain('Kendall τ');
});
