import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DType } from '../../../src/base/dtype.js';
import { roundTensor, roundTo } from '../../../src/kernel/interpret/round.js';

/** All non-negative finite values of a format with `e` exponent and `f` fraction bits and this bias, by its definition. */
function valuesOf(e: number, f: number, bias: number, max: number): number[] {
  const out: number[] = [];
  for (let exponent = 0; exponent < 2 ** e; exponent++)
    for (let m = 0; m < 2 ** f; m++) {
      const v = exponent === 0 ? (m / 2 ** f) * 2 ** (1 - bias) : (1 + m / 2 ** f) * 2 ** (exponent - bias);
      if (v <= max) out.push(v);
    }
  return out;
}

describe.each([
  ['fp16', 5, 10, 15, 65504],
  ['fp8_e4m3', 4, 3, 7, 448],
  ['fp8_e5m2', 5, 2, 15, 57344],
  ['fp6_e3m2', 3, 2, 3, 28],
  ['fp4_e2m1', 2, 1, 1, 6],
] as [DType, number, number, number, number][])('%s', (dtype, e, f, bias, max) => {
  const all = valuesOf(e, f, bias, max);
  it('keeps every value it holds', () => {
    for (const v of all) {
      expect(roundTo(dtype, v)).toBe(v);
      expect(roundTo(dtype, -v)).toBe(-v);
    }
  });
  it('rounds what lies between to the nearer, and midpoints to the even one', () => {
    for (let i = 0; i + 1 < all.length; i++) {
      const [low, high] = [all[i]!, all[i + 1]!];
      const middle = (low + high) / 2;
      expect(roundTo(dtype, low + (high - low) * 0.49)).toBe(low);
      expect(roundTo(dtype, low + (high - low) * 0.51)).toBe(high);
      expect(roundTo(dtype, middle)).toBe(i % 2 === 0 ? low : high);
    }
  });
});

it.each([
  ['fp16', 65520, Number.POSITIVE_INFINITY],
  ['fp8_e5m2', 1e9, Number.POSITIVE_INFINITY],
  ['fp8_e4m3', 1e9, 448],
  ['fp8_e4m3', Number.NEGATIVE_INFINITY, -448],
  ['fp4_e2m1', 100, 6],
  ['bf16', 1 + 2 ** -8, 1],
  ['bf16', 1 + 3 * 2 ** -8, 1 + 2 ** -6],
  ['tf32', 1 + 2 ** -11, 1],
  ['int8', 200, 127],
  ['int8', -2.5, -2],
  ['uint8', -3, 0],
  ['int4', 7.9, 7],
] as [DType, number, number][])('%s holds %f as %f', (dtype, x, expected) => expect(roundTo(dtype, x)).toBe(expected));

it('bf16 agrees with rounding the upper half of a float', () => {
  const view = new DataView(new ArrayBuffer(4));
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true, max: 2 ** 126, min: -(2 ** 126) }), (x) => {
      view.setFloat32(0, x);
      const u = view.getUint32(0);
      view.setUint32(0, ((u + 0x7fff + ((u >>> 16) & 1)) & 0xffff0000) >>> 0);
      expect(roundTo('bf16', x)).toBe(view.getFloat32(0));
    }),
  );
});

it('a block of mxfp4 is scaled by a power of two of its greatest element', () => {
  const x = new Float64Array(64);
  x[0] = 5;
  x[1] = 0.3;
  x[32] = 0.05;
  x[33] = 0.004;
  roundTensor('mxfp4', x, 64);
  expect([x[0], x[1], x[32], x[33]]).toEqual([4, 0.5, 0.046875, 0.00390625]);
});
