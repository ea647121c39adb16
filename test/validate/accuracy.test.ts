import { describe, expect, test } from 'vitest';
import { accuracyMarkdown, renderAccuracy } from '../../src/report/index.js';
import { type AccuracySet, accuracyOf } from '../../src/validate/accuracy.js';
import type { MeasuredRow } from '../../src/validate/measured.js';

const row = (measured_us: number, predicted_us: number, more: Partial<MeasuredRow> = {}): MeasuredRow => ({
  row: { gemm_dtype: 'bfloat16', m: '1', n: '2', k: '3', latency_ms: String(measured_us / 1e3) },
  group: 'gemm',
  dtype: 'bfloat16',
  measured_s: measured_us * 1e-6,
  predicted_s: predicted_us * 1e-6,
  lo_s: predicted_us * 0.9e-6,
  hi_s: predicted_us * 1.1e-6,
  roofline_s: measured_us * 0.4e-6,
  bound_by: 'dram',
  kernel: 'gemm',
  tile: 'bm=64',
  ...more,
});
const sets: AccuracySet[] = [
  { gpu: 'x', machine: 'x', how: 'calibrated', rows: [row(110, 99), row(220, 286), row(5, 5, { dtype: 'fp8' })] },
  {
    gpu: 'x',
    machine: 'x-datasheet',
    how: 'datasheet',
    rows: [row(110, 55), row(220, 110), row(5, 10, { dtype: 'fp8' })],
  },
];
const report = accuracyOf(sets, '2000-01-01');

describe('accuracy', () => {
  test('is counted by kernel, beside baselines on the same rows', () => {
    const [calibrated, datasheet] = report.by_kernel;
    expect(calibrated).toMatchObject({ gpu: 'x', kernel: 'gemm', how: 'calibrated', n: 3 });
    expect(calibrated!.mape).toBeCloseTo((0.1 + 0.3 + 0) / 3, 12);
    expect(calibrated!.bias).toBeCloseTo((-0.1 + 0.3 + 0) / 3, 12);
    // 110 of 89 to 109 is out, 220 of 257 to 315 is out, 5 of 4.5 to 5.5 is in
    expect(calibrated!.inside).toBeCloseTo(1 / 3, 12);
    expect(datasheet!.mape).toBeCloseTo((0.5 + 0.5 + 1) / 3, 12);
    expect(calibrated!.roofline).toBeCloseTo(0.6, 12);
    expect(calibrated!.efficiency).toBeCloseTo(
      (Math.abs(58 / 110 - 1) + Math.abs(113 / 220 - 1) + Math.abs(5.5 / 5 - 1)) / 3,
      12,
    );
  });
  test('and by format and size', () => {
    expect(report.by_dtype.map((p) => [p.how, p.dtype, p.n])).toEqual([
      ['calibrated', 'bfloat16', 2],
      ['calibrated', 'fp8', 1],
      ['datasheet', 'bfloat16', 2],
      ['datasheet', 'fp8', 1],
    ]);
    expect(report.by_size.filter((p) => p.how === 'calibrated').map((p) => [p.size, p.n])).toEqual([
      ['0.1 to 1 ms', 2],
      ['below 10 µs', 1],
    ]);
  });
  test('shows the rows that are furthest off as the machine of that name predicts, with what their figures say', () => {
    expect(report.worst.map((w) => w.measured_s)).toEqual(
      sets[0]!.rows.map((r) => r.measured_s).sort((a, b) => b! - a!),
    );
    expect(report.worst[0]!.why).toMatch(/better way.*measured at 40 % of the roofline, predicted at 31 %/);
    expect(report.worst[0]!.row).toBe('dtype=bfloat16 m=1 n=2 k=3');
  });
  test('thins points evenly and keeps the shortest', () => {
    const many = Array.from({ length: 100 }, (_, i) => row(i + 1, i + 1));
    const { points } = accuracyOf([{ gpu: 'y', machine: 'y', how: 'datasheet', rows: many }], '', 10);
    expect(points).toHaveLength(10);
    expect(points[0]!.measured_s).toBeCloseTo(1e-6, 12);
  });
  test('is a page, Markdown and a picture', async () => {
    expect(accuracyMarkdown(report)).toMatch(/\| x \| gemm \| 3 \| calibrated \| 13\.3 % \| .* \| 66\.7 % \|/);
    const page = { title: 'T', version: '0', command: 'c' };
    const html = String(await renderAccuracy(report, page, 'html'));
    expect(html).toContain('accuracy-scatter');
    expect(html).toContain('Furthest off');
    const png = await renderAccuracy(report, page, 'png');
    expect([...(png as Uint8Array).slice(1, 4)]).toEqual([0x50, 0x4e, 0x47]);
  });
});
