/** Against closed forms: with normal priors the solution of a linear problem is ridge regression's. */
import { inv, multiply, transpose } from 'mathjs';
import { describe, expect, test } from 'vitest';
import { curvatureAt, leastSquares, type Problem } from '../../../src/validate/calibrate/least-squares.js';

// residuals A·z − b
const A = [
  [1, 0.2],
  [0.5, -1],
  [-0.3, 0.8],
  [1.5, 1],
  [-1, 0.4],
  [0.1, 0.9],
];
const linear = (b: readonly number[], bounds: Problem['bounds'], a = A): Problem => ({
  weights: b.map(() => 1),
  groups: b.map(() => 'all'),
  bounds,
  residuals: async (z) => Float64Array.from(a, (row, i) => row[0]! * z[0]! + row[1]! * z[1]! - b[i]!),
});
const FREE: Problem['bounds'] = [
  [-10, 10],
  [-10, 10],
];
const truth = [1.2, -0.7];
const exact = A.map((row) => row[0]! * truth[0]! + row[1]! * truth[1]!);

describe('least squares', () => {
  test('finds what made the data', async () => {
    const { z } = await leastSquares(linear(exact, FREE), [0, 0]);
    // residuals end at the least spread, 0.02, so that the prior weighs next to nothing
    expect(z[0]).toBeCloseTo(truth[0]!, 2);
    expect(z[1]).toBeCloseTo(truth[1]!, 2);
  });
  test('stays in bounds, and finds the best there', async () => {
    const { z } = await leastSquares(linear(exact, [[-1, 0.5], FREE[1]!]), [0, 0]);
    expect(z[0]).toBe(0.5);
    // the best z₁ given z₀ by least absolute and square loss alike lies between those of single rows
    expect(z[1]).toBeGreaterThan(-3);
    expect(z[1]).toBeLessThan(2);
  });
  test('is not led away by one row that is far off', async () => {
    const a = Array.from({ length: 30 }, (_, i) => [Math.cos(i), Math.sin(2 * i)]);
    const noise = (i: number) => 0.05 * Math.sin(7.3 * i);
    const b = a.map((row, i) => row[0]! * truth[0]! + row[1]! * truth[1]! + noise(i) + (i === 4 ? 50 : 0));
    const { z } = await leastSquares(linear(b, FREE, a), [0, 0]);
    expect(z[0]).toBeCloseTo(truth[0]!, 1);
    expect(z[1]).toBeCloseTo(truth[1]!, 1);
  });
  test('keeps to the prior where no row says anything', async () => {
    const b = [1, 1, 1, 1];
    const problem = linear(b, FREE, [
      [1, 0],
      [1, 0],
      [1, 0],
      [1, 0],
    ]);
    const { z } = await leastSquares(problem, [0, 0.5]);
    expect(z[1]).toBeCloseTo(0, 3);
    const { covariance } = await curvatureAt(problem, z);
    expect(covariance[1]![1]).toBeCloseTo(1, 6);
  });
  test('stops when told to', async () => {
    const { z, steps } = await leastSquares({ ...linear(exact, FREE), stopped: () => true }, [0.3, 0.3]);
    expect(steps).toBe(0);
    expect(z).toEqual([0.3, 0.3]);
  });
});

test('the covariance is the inverse of JᵀJ/σ² + 1', async () => {
  // all residuals 0.1 in size, so that σ is 0.14826 and every row is in the square part of the loss
  const b = A.map((_, i) => (i % 2 === 0 ? 0.1 : -0.1));
  const { covariance, jacobian } = await curvatureAt(linear(b, FREE), [0, 0]);
  A.forEach((row, i) => {
    expect(jacobian[0]![i]).toBeCloseTo(row[0]!, 9);
    expect(jacobian[1]![i]).toBeCloseTo(row[1]!, 9);
  });
  const jtj = multiply(transpose(A), A) as number[][];
  const expected = inv(jtj.map((row, i) => row.map((x, j) => x / 0.14826 ** 2 + (i === j ? 1 : 0)))) as number[][];
  for (const i of [0, 1]) for (const j of [0, 1]) expect(covariance[i]![j]).toBeCloseTo(expected[i]![j]!, 9);
});
