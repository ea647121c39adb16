/** Different numbers drawn evenly from many. */
import { uniformIntDistribution } from 'pure-rand/distribution/UniformIntDistribution';
import { xoroshiro128plus } from 'pure-rand/generator/XoroShiro';
import { InputError } from '../base/errors.js';

const MOST_DRAWN = 10_000_000;

/**
 * `count` different numbers of 0 … size − 1: the first steps of a Fisher–Yates shuffle, on a table of what has been
 * swapped, so that memory goes with `count` and not with `size`.
 */
export function sample(size: number, count: number, seed: number): number[] {
  if (count > MOST_DRAWN) throw new InputError(`${count} random points are more than the ${MOST_DRAWN} drawn at once`);
  let rng = xoroshiro128plus(seed);
  const swapped = new Map<number, number>();
  const out: number[] = [];
  for (let i = 0; i < count; i++) {
    const [j, next] = uniformIntDistribution(i, size - 1, rng);
    rng = next;
    out.push(swapped.get(j) ?? j);
    swapped.set(j, swapped.get(i) ?? i);
    swapped.delete(i);
  }
  return out;
}
