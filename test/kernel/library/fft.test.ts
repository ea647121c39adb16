/** The transform beside the sum it is, and by the laws that make it one; what its trips and passes move. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../../src/base/errors.js';
import { evalMap } from '../../../src/kernel/interpret/map.js';
import { interpretLaunches } from '../../../src/kernel/interpret.js';
import type { Params } from '../../../src/kernel/kernel.js';
import { fft, tripsOf } from '../../../src/kernel/library/fft.js';
import { rootFns } from '../../../src/kernel/library/fft_roots.js';
import { radices } from '../../../src/kernel/library/fft_trip.js';
import { compulsoryBytesOf } from '../../../src/workload/op.js';
import { noise } from './difference.js';
import { WARP } from './plain-machines.js';

interface Signal {
  readonly re: Float64Array;
  readonly im: Float64Array;
}
const signal = (size: number, seed: number): Signal => {
  const next = noise(seed);
  return { re: Float64Array.from({ length: size }, next), im: Float64Array.from({ length: size }, next) };
};

/** Every term of every sum. */
function slowly({ re, im }: Signal, n: number, sign: 1 | -1): Signal {
  const out = { re: new Float64Array(re.length), im: new Float64Array(re.length) };
  for (let at = 0; at < re.length; at += n)
    for (let k = 0; k < n; k++)
      for (let j = 0; j < n; j++) {
        const angle = (sign * 2 * Math.PI * ((j * k) % n)) / n;
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        out.re[at + k]! += re[at + j]! * c - im[at + j]! * s;
        out.im[at + k]! += re[at + j]! * s + im[at + j]! * c;
      }
  return out;
}

interface Choice {
  readonly n: number;
  readonly batch: number;
  readonly params: Params;
}
function transformed({ n, batch, params }: Choice, x: Signal, inverse = 0, dtype: 'fp64' | 'fp32' = 'fp64'): Signal {
  const launches = fft.build(fft.toOp({ n, batch, inverse }, dtype), params, WARP);
  const rounding = dtype === 'fp32' ? 'dtype' : 'fp64';
  const { outputs } = interpretLaunches(launches, { x_re: x.re, x_im: x.im }, { rounding });
  return { re: outputs['y_re']!, im: outputs['y_im']! };
}

const apart = (a: Signal, b: Signal): number =>
  Math.max(...[...a.re].map((x, i) => Math.hypot(x - b.re[i]!, a.im[i]! - b.im[i]!)));
const power = ({ re, im }: Signal): number => re.reduce((sum, x, i) => sum + x * x + im[i]! * im[i]!, 0);

const choices: fc.Arbitrary<Choice> = fc.record({
  n: fc.integer({ min: 1, max: 9 }).map((e) => 2 ** e),
  batch: fc.integer({ min: 1, max: 3 }),
  params: fc.record({
    points: fc.integer({ min: 1, max: 9 }).map((e) => 2 ** e),
    cols: fc.constantFrom(1, 2, 3, 4, 8),
    radix: fc.constantFrom(2, 4, 8, 16),
    groups: fc.constant(1),
  }),
});
const RUNS = { numRuns: 40 };

describe('the transform', () => {
  test('is the sum that defines it, forward and backward, whatever its sizes', () => {
    fc.assert(
      fc.property(choices, fc.constantFrom(0, 1), (c, inverse) => {
        const x = signal(c.n * c.batch, c.n + c.batch);
        const scale = Math.sqrt(c.n);
        expect(apart(transformed(c, x, inverse), slowly(x, c.n, inverse ? 1 : -1)) / scale).toBeLessThan(1e-13);
      }),
      RUNS,
    );
  });
  test('is linear', () => {
    fc.assert(
      fc.property(choices, fc.double({ min: -3, max: 3, noNaN: true }), (c, by) => {
        const [x, y] = [signal(c.n * c.batch, 1), signal(c.n * c.batch, 2)];
        const mix = (a: Signal, b: Signal): Signal => ({
          re: a.re.map((v, i) => v + by * b.re[i]!),
          im: a.im.map((v, i) => v + by * b.im[i]!),
        });
        expect(apart(transformed(c, mix(x, y)), mix(transformed(c, x), transformed(c, y)))).toBeLessThan(1e-11);
      }),
      RUNS,
    );
  });
  test('keeps power, times n (Parseval), and comes back by its inverse, times n', () => {
    fc.assert(
      fc.property(choices, (c) => {
        const x = signal(c.n * c.batch, 3);
        const y = transformed(c, x);
        expect(power(y) / (c.n * power(x))).toBeCloseTo(1, 12);
        const back = transformed(c, y, 1);
        const divided = { re: back.re.map((v) => v / c.n), im: back.im.map((v) => v / c.n) };
        expect(apart(divided, x)).toBeLessThan(1e-12);
      }),
      RUNS,
    );
  });
  test('errs in fp32 by a few roundings, not by what units promise of sines', () => {
    for (const [points, radix] of [
      [1024, 16],
      [32, 8],
      [4, 4],
    ] as const) {
      const c = { n: 1024, batch: 1, params: { points, cols: 4, radix, groups: 1 } };
      const x = signal(c.n, 5);
      const exact = slowly(x, c.n, -1);
      const largest = Math.max(...exact.re.map((v, i) => Math.hypot(v, exact.im[i]!)));
      expect(apart(transformed(c, x, 0, 'fp32'), exact) / largest).toBeLessThan(4 * 2 ** -24);
    }
  });
  test('roots of unity are those of Math to the precision asked for', () => {
    for (const [work, most] of [
      ['fp32', 1e-8],
      ['fp64', 1e-15],
    ] as const) {
      const [re, im] = rootFns('row', 10, work);
      const [c, s] = [evalMap(re, [], [], 1024, 1), evalMap(im, [], [], 1024, 1)];
      for (let i = 0; i < 1024; i++) {
        expect(Math.abs(c[i]! - Math.cos((2 * Math.PI * i) / 1024))).toBeLessThan(most);
        expect(Math.abs(s[i]! + Math.sin((2 * Math.PI * i) / 1024))).toBeLessThan(most);
      }
    }
  });
  test('the reference is the sum too', () => {
    const op = fft.toOp({ n: 64, batch: 2, inverse: 1 }, 'fp64');
    const x = signal(128, 7);
    const { y_re, y_im } = fft.reference(op, { x_re: x.re, x_im: x.im });
    expect(apart({ re: y_re!, im: y_im! }, slowly(x, 64, 1))).toBeLessThan(1e-12);
  });
});

describe('trips and passes', () => {
  test('each trip moves every value once in and once out', () => {
    fc.assert(
      fc.property(choices, ({ n, batch, params }) => {
        const op = fft.toOp({ n, batch }, 'fp32');
        const launches = fft.build(op, params, WARP);
        const x = signal(n * batch, 1);
        const { launches: counted } = interpretLaunches(launches, { x_re: x.re, x_im: x.im });
        expect(counted).toHaveLength(Math.ceil(Math.log2(n) / Math.log2(Math.min(params['points']!, n))));
        for (const c of counted) expect(c.requested_B.level.global).toEqual(compulsoryBytesOf(op));
      }),
      RUNS,
    );
  });
  test('sizes of trips and radices of passes are as even as they can be', () => {
    expect(tripsOf({ n: 2 ** 20, batch: 1 }, 2 ** 13).map((t) => t.points)).toEqual([1024, 1024]);
    expect(tripsOf({ n: 2 ** 17, batch: 1 }, 100).map((t) => t.points)).toEqual([32, 64, 64]);
    expect(radices(1024, 16)).toEqual([8, 8, 16]);
    expect(radices(4096, 16)).toEqual([16, 16, 16]);
    expect(radices(2, 16)).toEqual([2]);
  });
  test('lengths that are no power of two and whole numbers are refused', () => {
    expect(() => fft.toOp({ n: 12 }, 'fp32')).toThrow(InputError);
    expect(() => fft.toOp({ n: 12 }, 'fp32')).toThrow('no power of two');
    expect(() => fft.toOp({ n: 1 }, 'fp32')).toThrow('no power of two');
    expect(() => fft.toOp({ n: 16 }, 'int8')).toThrow('roots of unity');
  });
});
