/**
 * Rows of measured tables divided for a calibration: `fit` to find the constants, `spread` to learn how far predictions
 * are off, `test` to say so. Strata (kind and dtype) are divided alike; the same seed divides the same way.
 */
import { uniformIntDistribution } from 'pure-rand/distribution/UniformIntDistribution';
import { xoroshiro128plus } from 'pure-rand/generator/XoroShiro';

export const PARTS = ['fit', 'spread', 'test'] as const;
export type Part = (typeof PARTS)[number];

/** Of each stratum, in the order fit, spread, test: the rest is test. */
const FIT_SHARE = 0.5;
const SPREAD_SHARE = 0.25;

export type Split<T> = Readonly<Record<Part, readonly T[]>>;

/** `rows`: at most so many in `fit`, drawn evenly from the strata. */
export function splitRows<T>(
  items: readonly T[],
  stratumOf: (item: T) => string,
  seed: number,
  rows: number,
): Split<T> {
  const strata = new Map<string, T[]>();
  for (const item of items) {
    const key = stratumOf(item);
    const list = strata.get(key);
    if (list) list.push(item);
    else strata.set(key, [item]);
  }
  const out: Record<Part, T[]> = { fit: [], spread: [], test: [] };
  // those with few rows give all they have, and leave more to the others
  const bySize = [...strata.values()].sort((a, b) => a.length - b.length);
  let left = rows;
  bySize.forEach((list, i) => {
    const order = shuffled(list, seed);
    const fit = Math.round(order.length * FIT_SHARE);
    const spread = fit + Math.round(order.length * SPREAD_SHARE);
    const drawn = Math.min(fit, Math.max(1, Math.floor(left / (bySize.length - i))));
    left -= drawn;
    out.fit.push(...order.slice(0, drawn));
    out.spread.push(...order.slice(fit, spread));
    out.test.push(...order.slice(spread));
  });
  return out;
}

/** Fisher–Yates. */
export function shuffled<T>(list: readonly T[], seed: number): T[] {
  const out = [...list];
  let rng = xoroshiro128plus(seed);
  for (let i = 0; i < out.length - 1; i++) {
    const [j, next] = uniformIntDistribution(i, out.length - 1, rng);
    rng = next;
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}
