/** Distinct values of Σ stride · index: how many places along one dim want different tiles. */

let seen = new Int32Array(1024);
let stamp = 0;

/** `terms` holds `length / 2` pairs of a stride (whole, not negative) and a count of indices from 0. */
export function distinctSums(terms: Float64Array, length: number): number {
  let most = 0;
  for (let i = 0; i < length; i += 2) most += terms[i]! * (terms[i + 1]! - 1);
  if (most + 1 > seen.length) {
    seen = new Int32Array(2 * (most + 1));
    stamp = 0;
  }
  stamp++;
  return mark(terms, length, 0, 0);
}

function mark(terms: Float64Array, length: number, i: number, at: number): number {
  if (i === length) {
    if (seen[at] === stamp) return 0;
    seen[at] = stamp;
    return 1;
  }
  let n = 0;
  const stride = terms[i]!;
  for (let j = terms[i + 1]!; j > 0; j--, at += stride) n += mark(terms, length, i + 2, at);
  return n;
}
