import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Goal, paretoFront } from '../../src/explore/pareto.js';

/** The definition, pair by pair. */
function bruteForce(points: number[][], goals: Goal[]): number[] {
  const atLeast = (a: number, b: number, g: Goal) => (g === 'min' ? a <= b : a >= b);
  const beats = (p: number[], q: number[]) =>
    goals.every((g, j) => atLeast(p[j]!, q[j]!, g)) && goals.some((g, j) => !atLeast(q[j]!, p[j]!, g));
  return points.flatMap((q, i) => (points.some((p) => beats(p, q)) ? [] : [i]));
}

const cases = fc.integer({ min: 1, max: 4 }).chain((d) =>
  fc.record({
    goals: fc.array(fc.constantFrom<Goal>('min', 'max'), { minLength: d, maxLength: d }),
    // few distinct values, so that ties are common
    points: fc.array(
      fc.array(fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double({ min: -1, max: 1, noNaN: true })), {
        minLength: d,
        maxLength: d,
      }),
      { maxLength: 40 },
    ),
  }),
);

describe('the Pareto front', () => {
  test('is what the definition says, for any number of objectives', () => {
    fc.assert(
      fc.property(cases, ({ points, goals }) => {
        expect(paretoFront(points, goals)).toEqual(bruteForce(points, goals));
      }),
      { numRuns: 500 },
    );
  });

  test('does not depend on the order of the points', () => {
    fc.assert(
      fc.property(cases, ({ points, goals }) => {
        const reversed = points.slice().reverse();
        const back = paretoFront(reversed, goals).map((i) => points.length - 1 - i);
        expect(back.sort((a, b) => a - b)).toEqual(paretoFront(points, goals));
      }),
    );
  });

  test.each<[string, number[][], Goal[], number[]]>([
    ['one point', [[1, 2]], ['min', 'min'], [0]],
    [
      'equal points all stay',
      [
        [1, 2],
        [1, 2],
        [2, 2],
      ],
      ['min', 'min'],
      [0, 1],
    ],
    [
      'a tie in one objective is decided by the other',
      [
        [1, 3],
        [1, 2],
      ],
      ['min', 'min'],
      [1],
    ],
    [
      'max turns it round',
      [
        [1, 3],
        [1, 2],
      ],
      ['min', 'max'],
      [0],
    ],
    ['one objective: all the best', [[3], [1], [1]], ['min'], [1, 2]],
    ['nothing', [], ['min'], []],
  ])('%s', (_, points, goals, front) => {
    expect(paretoFront(points, goals)).toEqual(front);
  });

  test('refuses what is not finite or of another length', () => {
    expect(() => paretoFront([[Number.NaN, 1]], ['min', 'min'])).toThrow(/point 0/);
    expect(() => paretoFront([[1]], ['min', 'min'])).toThrow(/point 0/);
  });
});
