/**
 * Levenberg–Marquardt on residuals with a robust loss (Huber), normal priors and bounds:
 *
 *   minimise  Σ wᵢ ρ(rᵢ(z)/σᵢ) + ½ Σ zⱼ²,   ρ(u) = u²/2 for |u| ≤ k, else k|u| − k²/2
 *
 * `z` are constants in standard deviations of their priors, derivatives are forward differences. σ is the robust spread
 * of the residuals of a row's group (1.4826 times their median absolute value), taken anew at each step: what the model
 * describes ill says less about its constants than what it describes well. Huber 1964; Moré 1978.
 */
import { median } from 'simple-statistics';

export interface Problem {
  /** Residuals at z. May be a promise, so that a caller can look at signals in between. */
  residuals(z: readonly number[]): Promise<Float64Array>;
  readonly weights: ArrayLike<number>;
  /** Of each residual: those of one group have one spread. */
  readonly groups: readonly string[];
  readonly bounds: readonly (readonly [least: number, greatest: number])[];
  readonly stopped?: () => boolean;
}

export interface Fit {
  readonly z: readonly number[];
  readonly cost: number;
  readonly steps: number;
}

/** Where the loss turns from square to linear, in σ: 95 % as efficient as squares on normal errors. */
const HUBER_K = 1.345;
/** Half a standard deviation of a prior would be too far for the kinks of a maximum of resources, rounding too near. */
const DIFFERENCE = 0.05;
const MAX_STEPS = 30;
/** Relative gain in cost below which the search ends. */
const GAIN = 1e-4;
const LEAST_SIGMA = 0.02;
/** A group's spread is within this factor of that of all rows, so that none is given up. */
const APART = 2;

export async function leastSquares(problem: Problem, start: readonly number[]): Promise<Fit> {
  const { weights, groups, bounds } = problem;
  const { lusolve } = await import('mathjs');
  let z = start.map((x, j) => clamp(x, bounds[j]!));
  let r = await problem.residuals(z);
  let sigma = spreads(r, groups);
  let damping = 1e-2;
  let jacobian = await jacobianAt(problem, z, r);
  let steps = 0;
  while (steps < MAX_STEPS && !problem.stopped?.()) {
    steps++;
    const cost = costOf(r, weights, sigma, z);
    const { hessian, gradient } = normal(jacobian, r, weights, sigma, z);
    // constants at a bound that the gradient presses against stay there
    const free = z.flatMap((x, j) => {
      const [least, greatest] = bounds[j]!;
      return (x <= least && gradient[j]! > 0) || (x >= greatest && gradient[j]! < 0) ? [] : [j];
    });
    let better = false;
    let gain = 0;
    while (!better && damping < 1e6 && free.length > 0 && !problem.stopped?.()) {
      const a = free.map((i) => free.map((j) => hessian[i]![j]! * (i === j ? 1 + damping : 1)));
      const d = lusolve(
        a,
        free.map((j) => -gradient[j]!),
      ) as unknown as number[][];
      const next = [...z];
      free.forEach((j, i) => {
        next[j] = clamp(z[j]! + d[i]![0]!, bounds[j]!);
      });
      const tried = await problem.residuals(next);
      const nextCost = costOf(tried, weights, sigma, next);
      if (nextCost < cost) {
        better = true;
        gain = (cost - nextCost) / cost;
        z = next;
        r = tried;
        damping = Math.max(1e-6, damping / 5);
      } else damping *= 4;
    }
    if (!better) break;
    sigma = spreads(r, groups);
    jacobian = await jacobianAt(problem, z, r);
    if (gain < GAIN) break;
  }
  return { z, cost: costOf(r, weights, sigma, z), steps };
}

/** ∂r/∂z, a column for each constant. */
async function jacobianAt(problem: Problem, z: readonly number[], r: Float64Array): Promise<Float64Array[]> {
  const columns: Float64Array[] = [];
  for (let j = 0; j < z.length; j++) {
    const [, greatest] = problem.bounds[j]!;
    const h = z[j]! + DIFFERENCE > greatest ? -DIFFERENCE : DIFFERENCE;
    const moved = [...z];
    moved[j] = z[j]! + h;
    const at = await problem.residuals(moved);
    columns.push(at.map((x, i) => (x - r[i]!) / h));
  }
  return columns;
}

/** Gauss–Newton Hessian and gradient of the cost; rows in the linear part of the loss count less (Huber's weights). */
function normal(
  jacobian: readonly Float64Array[],
  r: Float64Array,
  weights: ArrayLike<number>,
  sigma: Float64Array,
  z: readonly number[],
): { hessian: number[][]; gradient: number[] } {
  const n = jacobian.length;
  const hessian = jacobian.map((_, i) => jacobian.map((_, j) => (i === j ? 1 : 0)));
  const gradient = [...z];
  for (let k = 0; k < r.length; k++) {
    const u = Math.abs(r[k]!) / sigma[k]!;
    const w = (weights[k]! * (u > HUBER_K ? HUBER_K / u : 1)) / sigma[k]! ** 2;
    for (let i = 0; i < n; i++) {
      const g = w * jacobian[i]![k]!;
      if (g === 0) continue;
      gradient[i]! += g * r[k]!;
      for (let j = 0; j <= i; j++) hessian[i]![j]! += g * jacobian[j]![k]!;
    }
  }
  for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) hessian[i]![j] = hessian[j]![i]!;
  return { hessian, gradient };
}

/** Around z: derivatives, and the covariance of the constants in units of the priors' standard deviations (inverse Hessian). */
export async function curvatureAt(
  problem: Problem,
  z: readonly number[],
): Promise<{ readonly jacobian: readonly Float64Array[]; readonly covariance: readonly (readonly number[])[] }> {
  const { inv } = await import('mathjs');
  const r = await problem.residuals(z);
  const jacobian = await jacobianAt(problem, z, r);
  const { hessian } = normal(jacobian, r, problem.weights, spreads(r, problem.groups), z);
  return { jacobian, covariance: inv(hessian) as unknown as number[][] };
}

function costOf(r: Float64Array, weights: ArrayLike<number>, sigma: Float64Array, z: readonly number[]): number {
  let cost = 0;
  for (let i = 0; i < r.length; i++) {
    const u = Math.abs(r[i]!) / sigma[i]!;
    cost += weights[i]! * (u <= HUBER_K ? (u * u) / 2 : HUBER_K * u - HUBER_K ** 2 / 2);
  }
  for (const x of z) cost += (x * x) / 2;
  return cost;
}

/** The spread of each row's group. */
function spreads(r: Float64Array, groups: readonly string[]): Float64Array {
  const by = new Map<string, number[]>();
  groups.forEach((g, i) => {
    const list = by.get(g);
    if (list) list.push(Math.abs(r[i]!));
    else by.set(g, [Math.abs(r[i]!)]);
  });
  const robust = (list: number[]) => Math.max(LEAST_SIGMA, 1.4826 * median(list));
  const all = robust(Array.from(r, Math.abs));
  const sigma = new Map([...by].map(([g, list]) => [g, clamp(robust(list), [all / APART, all * APART])]));
  return Float64Array.from(groups, (g) => sigma.get(g)!);
}
const clamp = (x: number, [least, greatest]: readonly [number, number]) => Math.min(greatest, Math.max(least, x));
