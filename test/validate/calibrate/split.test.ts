import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { splitRows } from '../../../src/validate/calibrate/split.js';

const items = (counts: readonly number[]) =>
  counts.flatMap((n, s) => Array.from({ length: n }, (_, i) => ({ id: `${s}.${i}`, stratum: `s${s}` })));
const split = (counts: readonly number[], seed: number, rows = 1e9) =>
  splitRows(items(counts), (x) => x.stratum, seed, rows);

describe('rows are divided', () => {
  test('so that no row is in two parts, whatever the seed', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 }),
        fc.nat(1000),
        (n, seed) => {
          const { fit, spread, test: kept } = split(n, seed);
          const all = [...fit, ...spread, ...kept].map((x) => x.id);
          expect(new Set(all).size).toBe(all.length);
          expect(all.length).toBe(n.reduce((a, b) => a + b, 0));
        },
      ),
    );
  });
  test('half, a quarter, a quarter of each stratum', () => {
    const parts = split([100, 40], 7);
    for (const [name, n] of [
      ['s0', 100],
      ['s1', 40],
    ] as const)
      expect(Object.values(parts).map((p) => p.filter((x) => x.stratum === name).length)).toEqual([
        n / 2,
        n / 4,
        n / 4,
      ]);
  });
  test('the same way for the same seed, another way for another', () => {
    const ids = (seed: number) => split([60], seed).fit.map((x) => x.id);
    expect(ids(3)).toEqual(ids(3));
    expect(ids(3)).not.toEqual(ids(4));
  });
  test('and no row to try is ever one to fit, however many are fitted', () => {
    const kept = new Set(split([80, 20], 1, 10).test.map((x) => x.id));
    const few = split([80, 20], 1, 10).fit;
    expect(few).toHaveLength(10);
    for (const { id } of split([80, 20], 1).fit) expect(kept.has(id)).toBe(false);
    // what a small stratum lacks goes to the others
    expect(split([200, 4], 1, 50).fit).toHaveLength(50);
  });
});
