import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sample } from '../../src/explore/sample.js';
import { SEARCH, searchNamed } from '../../src/explore/search.js';
import { parseSpace } from '../../src/explore/space.js';

const space = parseSpace({
  name: 's',
  base: { machine: 'none', workload: 'none' },
  axes: [{ path: 'machine.x', range: { from: 1, to: 40, step: 1 } }],
  objectives: [{ name: 'time', metric: 'time_s', goal: 'min' }],
});
function idsOf(name: 'grid' | 'random', options: { seed: number; points?: number }): number[] {
  const search = SEARCH[name](space, options);
  const ids: number[] = [];
  for (let step = search.next([]); !step.done; step = search.next([])) {
    const batch = step.value;
    for (let i = 0; i < batch.length; i++) ids.push(batch.at(i));
  }
  return ids;
}

describe('searches', () => {
  test('grid takes every point in order, or the first of them', () => {
    expect(idsOf('grid', { seed: 0 })).toEqual(Array.from({ length: 40 }, (_, i) => i));
    expect(idsOf('grid', { seed: 0, points: 3 })).toEqual([0, 1, 2]);
  });
  test('random is the same for the same seed and another for another', () => {
    expect(idsOf('random', { seed: 1, points: 20 })).toEqual(idsOf('random', { seed: 1, points: 20 }));
    expect(idsOf('random', { seed: 1, points: 20 })).not.toEqual(idsOf('random', { seed: 2, points: 20 }));
  });
  test('random draws different points of the space, all of them when asked for as many', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(300), fc.nat(), (size, n, seed) => {
        const drawn = sample(size, Math.min(n, size), seed);
        expect(new Set(drawn).size).toBe(Math.min(n, size));
        expect(drawn.every((id) => Number.isInteger(id) && id >= 0 && id < size)).toBe(true);
      }),
    );
    expect(idsOf('random', { seed: 3, points: 99 }).sort((a, b) => a - b)).toEqual(idsOf('grid', { seed: 0 }));
  });
  test('random draws each point about equally often', () => {
    const hits = new Array<number>(10).fill(0);
    for (let seed = 0; seed < 2000; seed++) for (const id of sample(10, 3, seed)) hits[id]!++;
    // 600 expected; binomial deviation 20.5
    for (const n of hits) expect(Math.abs(n - 600)).toBeLessThan(5 * 20.5);
  });
  test('reaches all of a space too large to list', () => {
    const drawn = sample(2 ** 52, 1000, 1);
    expect(Math.max(...drawn)).toBeGreaterThan(0.95 * 2 ** 52);
    expect(new Set(drawn).size).toBe(1000);
  });
  test('one that there is not says what there is', () => {
    expect(() => searchNamed('simplex')).toThrow(/unknown search 'simplex'.*\(known: grid, nsga2, random\)/);
    expect(() => searchNamed('randon')).toThrow(/did you mean 'random'/);
  });
});
