import { describe, expect, test } from 'vitest';
import {
  copy,
  loop,
  loopVar,
  map,
  mapFn,
  mma,
  type Program,
  reduce,
  tensor,
  tile,
  view,
} from '../../../src/kernel/ir.js';
import { errorOf, toleranceOf, UNIT } from '../../../src/validate/device/tolerance.js';

const K = loopVar('k');
const x = tensor('x', 'fp32', [64, 64], 'input', 'activation');
const out = tensor('out', 'fp32', [64, 64], 'output', 'activation');
const a = tile('a', 'shared', 'fp32', 16, 8);
const b = tile('b', 'shared', 'fp32', 8, 16);
const acc = tile('acc', 'register', 'fp32', 16, 16);
const row = tile('row', 'register', 'fp32', 16, 1);
const program = (body: Program['body'], to = out): Program => ({
  name: 'p',
  tensors: [x, to],
  tiles: [a, b, acc, row],
  grid: [],
  body,
});
const at = (t: typeof x) => view(t, [0, 0], [0, 1]);

describe('the tolerance counts what a result passes through', () => {
  test('a product: one rounding for each step of its depth, loops counted', () => {
    const t = toleranceOf([program([loop(K, 0, 4, [mma(a, b, acc)]), copy(acc, at(out))])]);
    expect(t.value).toBe(4 * 8 * UNIT);
    expect(t.why).toContain('32 terms summed');
  });
  test('a sum of a row; a maximum rounds nothing', () => {
    expect(toleranceOf([program([reduce('sum', 1, acc, row)])]).value).toBe(16 * UNIT);
    expect(toleranceOf([program([reduce('max', 1, acc, row)])]).value).toBe(0);
  });
  test('functions by the accuracy that WGSL promises, along the longest path', () => {
    const fn = mapFn('f', 1, {
      f: 'mul',
      args: [
        { f: 'rcp', args: [{ in: 0 }] },
        { f: 'add', args: [{ in: 0 }, 1] },
      ],
    });
    expect(toleranceOf([program([map(fn, [acc], acc)])]).value).toBe((1 + 5) * UNIT);
  });
  test('results stored in 16 bits by their format', () => {
    const narrow = tensor('out', 'fp16', [64, 64], 'output', 'activation');
    const t = toleranceOf([program([copy(acc, at(narrow))], narrow)]);
    expect(t.value).toBe(2 ** -11);
    expect(t.why).toContain('storage in fp16');
  });
  test('what is only moved must be equal, whole numbers as well', () => {
    expect(toleranceOf([program([copy(at(x), acc), copy(acc, at(out))])])).toMatchObject({
      value: 0,
      why: 'moved only: equal',
    });
    const whole = tensor('out', 'int32', [64, 64], 'output', 'activation');
    expect(toleranceOf([program([loop(K, 0, 4, [mma(a, b, acc)]), copy(acc, at(whole))], whole)]).value).toBe(0);
  });
});

describe('the error of a result', () => {
  test('is relative to its largest element', () =>
    expect(errorOf(Float64Array.of(1, 4.5), Float64Array.of(1.25, 4))).toBe(0.125));
  test('is infinite where it is no number', () => {
    expect(errorOf(Float64Array.of(Number.NaN), Float64Array.of(1))).toBe(Number.POSITIVE_INFINITY);
    expect(errorOf(Float64Array.of(Number.POSITIVE_INFINITY), Float64Array.of(1))).toBe(Number.POSITIVE_INFINITY);
  });
  test('is nothing where both are equal, zeros included', () => {
    expect(errorOf(Float64Array.of(0, 0), Float64Array.of(0, 0))).toBe(0);
    expect(errorOf(Float64Array.of(0.5), Float64Array.of(0))).toBe(0.5);
  });
});
