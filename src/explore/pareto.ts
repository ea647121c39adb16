/**
 * The Pareto front: the points that no other point beats. p dominates q when it is at least as good in every objective
 * and better in one; so equal points do not dominate each other, and all of them stay.
 *
 * With two objectives: sort by the first, sweep with the best of the second, O(n log n) (Kung, Luccio and Preparata,
 * "On finding the maxima of a set of vectors", J. ACM 22(4), 1975). With more: a point can only be dominated by one
 * that sorts before it, so each is compared with the front so far, O(n · front).
 */
import { TilewrightError } from '../base/errors.js';

export const GOALS = ['min', 'max'] as const;
export type Goal = (typeof GOALS)[number];

/**
 * Indices of the non-dominated points, ascending. `points[i][j]` is objective j of point i.
 * Throws TilewrightError when a value is not finite or a point has another number of objectives than `goals`.
 */
export function paretoFront(points: readonly (readonly number[])[], goals: readonly Goal[]): number[] {
  if (goals.length === 0) throw new TilewrightError('internal: a Pareto front needs an objective', 1);
  const costs = points.map((point, i) => {
    if (point.length !== goals.length || !point.every(Number.isFinite))
      throw new TilewrightError(`internal: point ${i} of a Pareto front is [${point.join(', ')}]`, 1);
    return point.map((value, j) => (goals[j] === 'max' ? -value : value));
  });
  const order = costs.map((_, i) => i).sort((a, b) => compare(costs[a]!, costs[b]!));
  const front = goals.length <= 2 ? sweep(costs, order) : filter(costs, order);
  return front.sort((a, b) => a - b);
}

/** Lexicographic. */
function compare(a: readonly number[], b: readonly number[]): number {
  for (let j = 0; j < a.length; j++) if (a[j] !== b[j]) return a[j]! - b[j]!;
  return 0;
}

function sweep(costs: readonly (readonly number[])[], order: readonly number[]): number[] {
  const front: number[] = [];
  let last: readonly number[] | undefined;
  for (const i of order) {
    const cost = costs[i]!;
    // with one objective the second is always 0: only ties with the first point pass
    if (!last || compare(last, cost) === 0 || (cost[1] ?? 0) < (last[1] ?? 0)) {
      front.push(i);
      last = cost;
    }
  }
  return front;
}

function filter(costs: readonly (readonly number[])[], order: readonly number[]): number[] {
  const front: number[] = [];
  for (const i of order) if (!front.some((f) => dominates(costs[f]!, costs[i]!))) front.push(i);
  return front;
}

/** All objectives to be minimised. */
export function dominates(a: readonly number[], b: readonly number[]): boolean {
  let better = false;
  for (let j = 0; j < a.length; j++) {
    if (a[j]! > b[j]!) return false;
    if (a[j]! < b[j]!) better = true;
  }
  return better;
}
