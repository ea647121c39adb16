import { describe, expect, test } from 'vitest';
import { shuffled } from '../../src/validate/calibrate/split.js';
import { matmul } from '../../src/validate/calls.js';
import { classesOf, inPlaceOf, intervalOf, type Residual, spreadOf, unmeasuredOf } from '../../src/validate/spread.js';

const op = matmul(1, 64, 64, 64, 'bf16', 'bf16', 'bf16');
const residual = (ratio: number, classes = ['all']): Residual => ({
  classes,
  predicted_s: 1,
  measured_s: ratio,
});

const hash = (i: number): number => {
  const x = Math.sin(i * 127.1 + 311.7) * 43758.5453;
  return Math.max(1e-9, x - Math.floor(x));
};

describe('quantiles', () => {
  test('are the 5 % and 95 % ranks of n + 1', () => {
    // 1 … 99: ranks 5 and 95 of 100, the lower one row further out
    const list = shuffled(
      Array.from({ length: 99 }, (_, i) => residual(i + 1)),
      5,
    );
    expect(spreadOf(list)['all']).toEqual({ lo: 4, hi: 95, n: 99 });
  });
  test('a new table takes the place of what the old one says of the same rows by size, and of nothing else', () => {
    const old = { gemm_8_8_short: { lo: 0.9, hi: 1.1 }, gemm_8_8_block_short: { lo: 0.8, hi: 1.2 } };
    const fresh = { gemm_8_8: { lo: 0.5, hi: 2 }, gemm_8_8_long: { lo: 0.6, hi: 1.5 } };
    expect(inPlaceOf(old, fresh)).toEqual({ ...fresh, gemm_8_8_short: fresh.gemm_8_8 });
  });
  test('hold about nine in ten of new draws', () => {
    const draws = shuffled(
      Array.from({ length: 4000 }, (_, i) =>
        residual(Math.exp(0.3 * Math.sin(i * 12.9898) + 0.1 * Math.cos(i * 78.233))),
      ),
      11,
    );
    const { lo, hi } = spreadOf(draws.slice(0, 2000))['all']!;
    const inside = draws.slice(2000).filter((r) => r.measured_s >= lo && r.measured_s <= hi).length / 2000;
    expect(inside).toBeGreaterThan(0.88);
    expect(inside).toBeLessThan(0.92);
  });
  test('for a machine that nobody measured hold about nine in ten rows of one more GPU', () => {
    // GPUs off by factors of their own, rows by smaller ones
    const normal = (i: number) => Math.sqrt(-2 * Math.log(hash(2 * i))) * Math.cos(2 * Math.PI * hash(2 * i + 1));
    const gpu = (g: number) =>
      Array.from({ length: 60 }, (_, i) => residual(Math.exp(0.2 * normal(g) + 0.1 * normal(1000 + 60 * g + i))));
    let inside = 0;
    const draws = 200;
    for (let g = 0; g < draws; g++) {
      const { lo, hi } = unmeasuredOf([1, 2, 3, 4, 5].map((j) => gpu(6 * g + j)))['all']!;
      inside += gpu(6 * g).filter((r) => r.measured_s >= lo && r.measured_s <= hi).length / 60 / draws;
    }
    expect(inside).toBeGreaterThan(0.87);
    expect(inside).toBeLessThan(0.96);
  });
  test('for a machine that nobody measured are no narrower than those of the others, and wider for few', () => {
    const rows = (shift: number) => Array.from({ length: 99 }, (_, i) => residual(shift + i / 1000));
    const wide = unmeasuredOf([rows(1), rows(0.5)])['all']!;
    expect(wide.lo).toBeLessThan(0.5);
    expect(wide.hi).toBeGreaterThan(1.1);
    expect(wide.n).toBe(198);
    const more = unmeasuredOf([rows(1), rows(0.5), rows(1), rows(0.5), rows(1), rows(0.5)])['all']!;
    expect(more.hi / more.lo).toBeLessThan(wide.hi / wide.lo);
  });
  test('of a kind that no GPU has shown take in the spread among kinds', () => {
    const kinds = (one: number, other: number) => [
      ...Array.from({ length: 20 }, () => residual(one, ['one', 'all'])),
      ...Array.from({ length: 20 }, () => residual(other, ['other', 'all'])),
    ];
    const apart = unmeasuredOf([kinds(0.5, 2), kinds(0.5, 2)]);
    expect(apart['all']!.lo).toBeLessThan(0.5);
    expect(apart['all']!.hi).toBeGreaterThan(2);
    expect(apart['one']!.hi).toBeLessThan(apart['all']!.hi);
  });
  test('of classes with few rows are none', () => {
    const list = Array.from({ length: 60 }, (_, i) => residual(1, i < 20 ? ['few', 'all'] : ['all']));
    expect(Object.keys(spreadOf(list))).toEqual(['all']);
  });
});

describe('an interval', () => {
  test('goes by the narrowest class that is known', () => {
    const table = { all: { lo: 0.5, hi: 2 }, gemm: { lo: 0.8, hi: 1.25 }, gemm_16_16_long: { lo: 0.95, hi: 1.05 } };
    expect(intervalOf(table, classesOf(op, 1e-3), 1e-3)).toEqual({
      lo_s: 0.95 * 1e-3,
      hi_s: 1.05 * 1e-3,
      by: 'gemm_16_16_long',
    });
    expect(intervalOf(table, classesOf(op, 1e-5), 1e-5).by).toBe('gemm');
    expect(intervalOf({ all: { lo: 0.5, hi: 2 } }, classesOf(op, 1), 1).by).toBe('all');
    expect(intervalOf({}, classesOf(op, 1), 1)).toMatchObject({ hi_s: 1.5, by: 'assumed' });
  });
  test('classes tell number formats and block scales apart', () => {
    expect(classesOf(matmul(1, 8, 8, 8, 'bf16', 'int4', 'bf16'), 1e-5)[1]).toBe('gemm_16_4');
    expect(classesOf({ ...matmul(1, 8, 8, 8, 'fp8_e4m3', 'fp8_e4m3', 'bf16'), block_scaled: true }, 1e-5)[1]).toBe(
      'gemm_8_8_block',
    );
    expect(classesOf(matmul(1, 8, 8, 8, 'nvfp4', 'nvfp4', 'bf16'), 1e-5)[1]).toBe('gemm_4_4');
  });
});
