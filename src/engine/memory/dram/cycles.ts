/**
 * Cycles in 32 bits, which are reckoned with much faster than numbers are otherwise: a channel counts them from an epoch
 * of its own, that follows before they get beyond `REACH`.
 */

/** Cycles after which the epoch follows; no constraint is longer. */
export const REACH = 2 ** 29;
export const NEVER = 2 ** 31 - 1;
/** Earlier than any cycle that still matters. */
export const PAST = -(2 ** 30);

/** A cycle counted from an epoch that is `by` cycles later. */
export const since = (cycle: number, by: number): number => (cycle === NEVER ? NEVER : Math.max(PAST, cycle - by));

/** The same of many. */
export function shift(cycles: Int32Array, by: number): void {
  for (let i = 0; i < cycles.length; i++) cycles[i] = since(cycles[i]!, by);
}
