/** Error statistics of predictions against measurements; errors are fractions. */
import { mean, median, quantileSorted } from 'simple-statistics';

export interface Errors {
  readonly n: number;
  /** Mean, median and 90th percentile of |predicted/measured − 1|; mean of predicted/measured − 1. */
  readonly mape: number;
  readonly median_ape: number;
  readonly p90_ape: number;
  readonly bias: number;
}

export function errorsOf(predicted: readonly number[], measured: readonly number[]): Errors {
  const signed = predicted.map((p, i) => p / measured[i]! - 1);
  const ape = signed.map(Math.abs).sort((a, b) => a - b);
  if (ape.length === 0) return { n: 0, mape: 0, median_ape: 0, p90_ape: 0, bias: 0 };
  return {
    n: ape.length,
    mape: mean(ape),
    median_ape: median(ape),
    p90_ape: quantileSorted(ape, 0.9),
    bias: mean(signed),
  };
}

/**
 * Kendall's τ-b between two rankings, ties in either left out of its own pairs. Pairs closer than `tie` (a fraction,
 * the confidence interval of a measurement) are ties. Knight's merge sort would be O(n log n); with the interval ties
 * it is no longer exact, so all pairs are counted up to `most` items, evenly thinned beyond.
 */
export function kendallTau(x: readonly number[], y: readonly number[], tie = 0, most = 1500): number {
  return tauOf([countPairs(x, y, (i, j) => sign(y[i]!, y[j]!, tie), most)]);
}

/** Pairs by how two rankings order them; `tiedX`: only the first ties them. */
export interface Pairs {
  readonly concordant: number;
  readonly discordant: number;
  readonly tiedX: number;
  readonly tiedY: number;
}

/** τ-b over pairs that were counted apart (rankings of several problems, pooled); 0 when there are none. */
export function tauOf(parts: readonly Pairs[]): number {
  const total = (key: keyof Pairs) => parts.reduce((n, p) => n + p[key], 0);
  const [c, d] = [total('concordant'), total('discordant')];
  const denominator = Math.sqrt((c + d + total('tiedX')) * (c + d + total('tiedY')));
  return denominator > 0 ? (c - d) / denominator : 0;
}

/** Counts pairs; `orderY` says how the second ranking orders items i and j: −1, 1, or 0 for a tie. */
export function countPairs(
  x: readonly number[],
  y: readonly number[],
  orderY: (i: number, j: number) => number = (i, j) => sign(y[i]!, y[j]!, 0),
  most = 1500,
): Pairs {
  const step = Math.max(1, Math.ceil(x.length / most));
  const at: number[] = [];
  for (let i = 0; i < x.length; i += step) at.push(i);
  let concordant = 0;
  let discordant = 0;
  let tiedX = 0;
  let tiedY = 0;
  for (let i = 0; i < at.length; i++)
    for (let j = i + 1; j < at.length; j++) {
      const a = sign(x[at[i]!]!, x[at[j]!]!, 0);
      const b = orderY(at[i]!, at[j]!);
      if (a === 0 && b === 0) continue;
      if (a === 0) tiedX++;
      else if (b === 0) tiedY++;
      else if (a === b) concordant++;
      else discordant++;
    }
  return { concordant, discordant, tiedX, tiedY };
}

const sign = (a: number, b: number, tie: number): number =>
  Math.abs(a - b) <= tie * Math.max(a, b) ? 0 : Math.sign(a - b);
