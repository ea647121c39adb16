/**
 * Matrix products: how many multiply–adds a phase of a schedule can do, hence how often memory must be asked.
 *
 * Cut a schedule into phases of X − M bytes loaded. What a phase works on was near when it began or was loaded in it, X
 * bytes together: a, b elements of the operands and r partial sums; besides these f sums begin in it. By Loomis and
 * Whitney (1949) it does V ≤ √(a·b·(r + f)) multiply–adds. Without fresh sums the most is
 * V₀ = (X/3)^{3/2}/√(pₐp_bp_c), p the bytes of each; X = 3M then gives the 2mnk/√M of Smith, Lowery, Langou and van de
 * Geijn (arXiv 1702.02017) and COSMA (Kwasniewski et al., SC 2019); the widths as in Chen et al. (arXiv 2204.08279).
 * Each result begins once (a second beginning saves at most 1.2 loads in what follows, and costs a store and a load), so that all phases share the fresh sums; V is bounded by the concave hull of its
 * maximum over f (a tangent from V₀, then (X/2)·√(f/(pₐp_b))). Dropping the fresh sums, as the form 2mnk/√M + mn does, is
 * wrong for k < 2√M: rows of A kept near while B streams past move m·n·k²/M + mn + mk.
 */
import type { Term } from '../term.js';

export interface Product {
  /** Multiply–adds. */
  readonly macs: number;
  /** Sums they make. */
  readonly results: number;
  /** Bytes of an element of each operand and of a partial sum. */
  readonly a_B: number;
  readonly b_B: number;
  readonly sum_B: number;
  /** Most products that share one element of a more than a matrix product does (windows of a convolution); 1. */
  readonly overlap?: number;
}

/** How much of X the near store is: 3 is best for long sums, 2 for short ones. */
const PHASES = [2, 2.5, 3, 3.5] as const;

/** Bytes that `cores`, each with M bytes of fast memory, load together; negative where this says nothing. */
export function productLoads(p: Product, M: number, cores = 1): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const x of PHASES) most = Math.max(most, (x - 1) * M * (phases(p, x * M) - cores));
  return most;
}

/** Least phases that together do all multiply–adds. */
function phases({ macs, results, a_B, b_B, sum_B, overlap = 1 }: Product, X: number): number {
  const scale = Math.sqrt(overlap / (a_B * b_B * sum_B));
  const fresh_B = results * sum_B;
  const whole = scale * (X / 3) ** 1.5;
  // where the tangent from V₀ touches (X/2)·√f
  const touch = (16 / 27) * X;
  const slope = (scale * X) / 4 / Math.sqrt(touch);
  // all sums fresh: macs ≤ h·(X/2)·√(fresh/h)·scale
  const short = (4 * macs * macs) / (X * X * scale * scale * fresh_B);
  if (fresh_B / short >= touch) return short;
  return Math.max((macs - slope * fresh_B) / whole, fresh_B / touch);
}

/** The bound of a product whose results take `written_B` bytes. */
export function productTerm(
  p: Product,
  written_B: number,
  M: number,
  cores = 1,
  formula = '2mnk/√M − mn/8 − 2M',
): Term {
  return {
    bytes: productLoads(p, M, cores) + written_B,
    formula,
    range: 'any schedule of the classical algorithm, partial sums at the accumulator’s width',
    source:
      'phases of 2M loads after Smith et al., arXiv 1702.02017, COSMA (SC 2019) and Chen et al., arXiv 2204.08279',
  };
}

/** C = L·B with L lower triangular: m(m + 1)/2 · n multiply–adds; Loomis–Whitney holds for any set of them. */
export function triangularTerm(m: number, n: number, width_B: number, sum_B: number, M: number): Term {
  const macs = (n * m * (m + 1)) / 2;
  return productTerm(
    { macs, results: m * n, a_B: width_B, b_B: width_B, sum_B },
    m * n * width_B,
    M,
    1,
    'm(m + 1)n/√M − mn/8 − 2M',
  );
}

/** N of M values of each row of A kept: fewer multiply–adds, and the indices that say which. */
export function sparseTerm(
  shape: { m: number; n: number; k: number; keep: number; of: number },
  width_B: number,
  sum_B: number,
  M: number,
): Term {
  const { m, n, k, keep, of } = shape;
  return productTerm(
    // a kept value comes with its index
    {
      macs: (m * n * k * keep) / of,
      results: m * n,
      a_B: width_B + Math.ceil(Math.log2(of)) / 8,
      b_B: width_B,
      sum_B,
    },
    m * n * width_B,
    M,
    1,
    `2mnk·${keep}/${of}/√M − mn/8 − 2M`,
  );
}
