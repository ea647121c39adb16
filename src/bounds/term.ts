/** A lower bound as a statement: the bytes that must move, the formula, for which schedules it holds, and its source. */

export interface Term {
  /** Bytes read and written together; may be negative where the formula says nothing. */
  readonly bytes: number;
  readonly formula: string;
  /** Which schedules it holds for. */
  readonly range: string;
  readonly source: string;
}

/** The largest term; the first of equals. */
export function strongest(terms: readonly [Term, ...Term[]]): Term {
  let best = terms[0];
  for (const t of terms) if (t.bytes > best.bytes) best = t;
  return best;
}

export const ANY_SCHEDULE = 'any schedule';

/** Each input read once, each result written once. */
export const compulsory = (bytes: number): Term => ({
  bytes,
  formula: 'inputs once + results once',
  range: ANY_SCHEDULE,
  source: 'compulsory traffic',
});
