/** A low quantile of repeated times, with a confidence interval that assumes nothing of their distribution. */

/** Disturbances only add time, so the lower part of the samples is the machine's own. */
export const QUANTILE = 0.2;
const CONFIDENCE = 0.95;

export interface Quantile {
  readonly value: number;
  readonly lo: number;
  readonly hi: number;
}

/**
 * Quantile q of the samples (linear between order statistics) and the interval between the order statistics whose
 * binomial coverage is at least 95 % (Conover, Practical Nonparametric Statistics, 3rd ed., §3.2); with too few samples
 * the interval is their whole range. Throws RangeError without samples.
 */
export function lowQuantile(samples: readonly number[], q = QUANTILE): Quantile {
  const x = [...samples].sort((a, b) => a - b);
  const n = x.length;
  if (n === 0) throw new RangeError('no samples');
  const at = q * (n - 1);
  const low = Math.floor(at);
  const value = x[low]! + (at - low) * (x[Math.min(low + 1, n - 1)]! - x[low]!);
  const tail = (1 - CONFIDENCE) / 2;
  let below = 0;
  let lo = 0;
  let hi = n - 1;
  let p = (1 - q) ** n;
  for (let k = 0; k <= n; k++) {
    below += p;
    if (below <= tail) lo = k;
    if (below >= 1 - tail) {
      hi = Math.min(k, n - 1);
      break;
    }
    p *= ((n - k) / (k + 1)) * (q / (1 - q));
  }
  return { value, lo: Math.min(x[lo]!, value), hi: Math.max(x[hi]!, value) };
}
