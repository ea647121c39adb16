import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compact, percent, plain, quantity, scaleOf, times } from '../../src/report/format.js';

describe('numbers for readers', () => {
  it.each([
    [0.0123, 's', '12.3 ms'],
    [9.9996e-4, 's', '1.00 ms'],
    [0, 's', '0 s'],
    [3.35e12, 'B/s', '3.35 TB/s'],
    [1, 'B', '1 B'],
    [0.25, 'B', '0.250 B'],
    [989.4e12, 'FLOP/s', '989 TFLOP/s'],
    [0.3844, 'J/token', '384 mJ/token'],
    [44238.2, 'token/s', '44,238 token/s'],
    [295.3, 'FLOP/B', '295 FLOP/B'],
    [0.595, '%', '59.5 %'],
    [700, 'W', '700 W'],
    [128, '', '128'],
    [Number.NaN, 's', '–'],
    [Number.POSITIVE_INFINITY, 'B', '–'],
  ])('%d %s reads %s', (value, unit, text) => {
    expect(quantity(value, unit)).toBe(text);
  });

  it('says that a share is small rather than 0', () => {
    expect(percent(0.0001)).toBe('<0.1 %');
    expect(percent(0)).toBe('0.0 %');
    expect(percent(1)).toBe('100 %');
  });

  it('writes settings and ratios', () => {
    expect(compact(132)).toBe('132');
    expect(compact(3.35e12)).toBe('3.35 T');
    expect(compact(0.92)).toBe('0.92');
    expect(times(2)).toBe('2.00×');
    expect(plain(1234567)).toBe('1,234,567');
  });

  it('stays within half a unit of the third digit, whatever the size', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-11, max: 1e17, noNaN: true }), (value) => {
        const { factor } = scaleOf(value, 's');
        const [number] = quantity(value, 's').split(' ');
        expect(Math.abs((Number(number!.replaceAll(',', '')) * factor) / value - 1)).toBeLessThanOrEqual(0.00501);
      }),
    );
  });
});
