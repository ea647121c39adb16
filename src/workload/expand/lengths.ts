/** Lengths of a batch as attention sees them. */
import type { ResolvedSpec } from '../resolve.js';
import type { Lengths } from './context.js';

/** The lengths in the phase's own key, one per sequence when ragged; `alike` is the common one otherwise. */
export function lengthsOf(spec: ResolvedSpec, alike: number): { tokens: number; longest: number } {
  if (!spec.lens) return { tokens: spec.batch * alike, longest: alike };
  return { tokens: spec.lens.reduce((a, b) => a + b, 0), longest: Math.max(...spec.lens) };
}

/** Whole sequences attending to themselves: a group for each distinct length, ascending. */
export function wholeSequences(spec: ResolvedSpec, alike: number): Lengths[] {
  if (!spec.lens) return [{ batch: spec.batch, q_len: alike, kv_len: alike }];
  const counts = new Map<number, number>();
  for (const length of spec.lens) counts.set(length, (counts.get(length) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => a - b).map(([n, batch]) => ({ batch, q_len: n, kv_len: n }));
}

/** One new query a sequence over `alike` keys, or over each sequence's own number of them; `grown` more in any case. */
export function oneQueryEach(spec: ResolvedSpec, alike: number, grown = 0): Lengths {
  if (!spec.lens) return { batch: spec.batch, q_len: 1, kv_len: alike + grown };
  const kv_lens = spec.lens.map((n) => n + grown);
  return { batch: spec.batch, q_len: 1, kv_len: Math.max(...kv_lens), kv_lens };
}
