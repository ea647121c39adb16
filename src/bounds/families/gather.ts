/**
 * Gathers: rows of a table by index. In free order each distinct row comes once; in a given order the least is what
 * Belady's replacement misses (IBM Systems Journal 5(2), 1966: the row used farthest in the future goes).
 */

/** Distinct rows of an index list. */
export const distinctRows = (indices: readonly number[]): number => new Set(indices).size;

/** Fetches that no replacement can avoid, for indices in this order and room for `rows` rows near. */
export function beladyMisses(indices: readonly number[], rows: number): number {
  if (rows < 1) return indices.length;
  const next = new Array<number>(indices.length);
  const seen = new Map<number, number>();
  for (let i = indices.length - 1; i >= 0; i--) {
    next[i] = seen.get(indices[i]!) ?? Number.POSITIVE_INFINITY;
    seen.set(indices[i]!, i);
  }
  /** Row → its next use. */
  const held = new Map<number, number>();
  let misses = 0;
  for (const [i, row] of indices.entries()) {
    if (!held.has(row)) {
      misses++;
      if (held.size >= rows) {
        let victim = row;
        let farthest = -1;
        for (const [r, use] of held)
          if (use > farthest) {
            farthest = use;
            victim = r;
          }
        // a row that is used again later than all that is held need not stay
        if (farthest < next[i]!) continue;
        held.delete(victim);
      }
    }
    held.set(row, next[i]!);
  }
  return misses;
}

/**
 * Bytes of a gather whose rows are each used `reuse` times on average, in any order that brings at most `rows` rows near:
 * the first use of each, and every use when nothing stays.
 */
export function gatherReuse_B(uses: number, reuse: number, row_B: number): number {
  return Math.ceil(uses / reuse) * row_B;
}
