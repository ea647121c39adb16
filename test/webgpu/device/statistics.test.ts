import { expect, it } from 'vitest';
import { lowQuantile } from '../../../src/webgpu/device/statistics.js';
import { assertFine } from '../../../src/webgpu/device/time.js';

it('the median of 1…9 is 5, between order statistics 2 and 8 (binomial(9, ½): 96 %)', () =>
  expect(lowQuantile([9, 1, 8, 2, 7, 3, 6, 4, 5], 0.5)).toEqual({ value: 5, lo: 2, hi: 8 }));
it('a low quantile is not moved by a slow tail', () => {
  const quiet = Array.from({ length: 30 }, (_, i) => 100 + i * 0.1);
  const disturbed = quiet.map((x, i) => (i > 15 ? x * 5 : x));
  expect(lowQuantile(disturbed).value).toBe(lowQuantile(quiet).value);
});
it('the interval holds the value and shrinks with more samples', () => {
  const few = lowQuantile(Array.from({ length: 10 }, (_, i) => i / 10));
  const many = lowQuantile(Array.from({ length: 1000 }, (_, i) => i / 1000));
  for (const q of [few, many]) {
    expect(q.lo).toBeLessThanOrEqual(q.value);
    expect(q.hi).toBeGreaterThanOrEqual(q.value);
  }
  expect(many.hi - many.lo).toBeLessThan(few.hi - few.lo);
});
it('one sample is its own interval', () => expect(lowQuantile([3])).toEqual({ value: 3, lo: 3, hi: 3 }));
it('timestamps whose low bits never vary are refused, others pass', () => {
  expect(() => assertFine([65536n, 131072n, 0n])).toThrow(/quantisation is on/);
  expect(() => assertFine([65536n, 131073n])).not.toThrow();
});
