/** NSGA-II on spaces whose fronts are known. */
import { describe, expect, test } from 'vitest';
import type { Row } from '../../src/explore/evaluate.js';
import { paretoFront } from '../../src/explore/pareto.js';
import { SEARCH, type SearchName } from '../../src/explore/search.js';
import { parseSpace, pointOf, type Space } from '../../src/explore/space.js';

const AXES = 6;
const VALUES = 10;
const space = parseSpace({
  name: 's',
  base: { machine: 'none', workload: 'none' },
  axes: Array.from({ length: AXES }, (_, i) => ({
    path: `machine.x${i}`,
    range: { from: 0, to: VALUES - 1, step: 1 },
  })),
  objectives: [
    { name: 'a', metric: 'time_s', goal: 'min' },
    { name: 'b', metric: 'energy_J', goal: 'min' },
  ],
});

/** ZDT1 on a grid: the front is b = 1 − √a, where all axes but the first are 0. */
function zdt1(values: readonly number[]): readonly [number, number] {
  const [a, ...rest] = values.map((v) => v / (VALUES - 1));
  const g = 1 + (9 * rest.reduce((sum, x) => sum + x, 0)) / rest.length;
  return [a!, g * (1 - Math.sqrt(a! / g))];
}

function rowOf(s: Space, id: number, excluded: (values: readonly number[]) => boolean = () => false): Row {
  const values = pointOf(s, id).values as number[];
  if (excluded(values)) return { point: id, axes: {}, status: 'excluded', reason: 'x' };
  const [a, b] = zdt1(values);
  return { point: id, axes: {}, status: 'ok', objectives: { a, b } };
}

function search(name: SearchName, seed: number, points: number, excluded?: (values: readonly number[]) => boolean) {
  const steps = SEARCH[name](space, { seed, points });
  const rows: Row[] = [];
  let start = 0;
  for (let step = steps.next([]); !step.done; step = steps.next(rows.slice(start))) {
    start = rows.length;
    for (let i = 0; i < step.value.length; i++) rows.push(rowOf(space, step.value.at(i), excluded));
  }
  return rows;
}

/** Area below (1, 10) that the points dominate. */
function hypervolume(rows: readonly Row[]): number {
  const costs = rows
    .filter((r) => r.objectives)
    .map(({ objectives }) => [objectives!['a']!, objectives!['b']!] as const);
  const front = paretoFront(costs, ['min', 'min']).map((i) => costs[i]!);
  front.sort((p, q) => p[0] - q[0]);
  let area = 0;
  let roof = 10;
  for (const [a, b] of front) {
    area += (1 - a) * Math.max(0, roof - b);
    roof = Math.min(roof, b);
  }
  return area;
}

describe('nsga2', () => {
  test('comes nearer to the front than as many random points, whatever the seed', () => {
    const best = hypervolume(Array.from({ length: VALUES }, (_, i) => rowOf(space, i * VALUES ** (AXES - 1))));
    for (let seed = 0; seed < 5; seed++) {
      const bred = best - hypervolume(search('nsga2', seed, 600));
      const drawn = best - hypervolume(search('random', seed, 600));
      expect(bred, `seed ${seed}`).toBeLessThan(0.25 * drawn);
    }
  });

  test('asks for no point twice, for as many as allowed, and for all of a small space', () => {
    const ids = search('nsga2', 3, 333).map((r) => r.point);
    expect(new Set(ids).size).toBe(333);
    const all = parseSpace({ ...spaceFile(3), name: 'small' });
    const steps = SEARCH.nsga2(all, { seed: 1 });
    const seen = new Set<number>();
    for (let step = steps.next([]); !step.done; ) {
      const batch = step.value;
      const rows: Row[] = Array.from({ length: batch.length }, (_, i) => {
        const id = batch.at(i);
        seen.add(id);
        return { point: id, axes: {}, status: 'ok', objectives: { a: id, b: 0 } };
      });
      step = steps.next(rows);
    }
    expect(seen.size).toBe(27);
  });

  test('is the same for the same seed and another for another', () => {
    const ids = (seed: number) => search('nsga2', seed, 100).map((r) => r.point);
    expect(ids(1)).toEqual(ids(1));
    expect(ids(1)).not.toEqual(ids(2));
  });

  test('leaves regions without results', () => {
    // everything but a twelfth is excluded
    const rows = search('nsga2', 1, 400, (values) => values[1]! + values[2]! > 4);
    const ok = (list: readonly Row[]) => list.filter((r) => r.status === 'ok').length / list.length;
    expect(ok(rows.slice(-200))).toBeGreaterThan(2 * ok(rows.slice(0, 40)));
    expect(ok(rows.slice(-200))).toBeGreaterThan(0.6);
  });

  test('goes on when nothing has a result', () => {
    expect(search('nsga2', 1, 50, () => true)).toHaveLength(50);
  });
});

function spaceFile(values: number) {
  return {
    base: { machine: 'none', workload: 'none' },
    axes: [0, 1, 2].map((i) => ({ path: `machine.x${i}`, range: { from: 0, to: values - 1, step: 1 } })),
    objectives: [
      { name: 'a', metric: 'time_s', goal: 'min' as const },
      { name: 'b', metric: 'energy_J', goal: 'min' as const },
    ],
  };
}
