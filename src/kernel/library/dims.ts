/** Reading `--shape` into the dims of an op: defaults filled in, everything else checked. */
import { InputError, unknownName } from '../../base/errors.js';
import type { ShapeKey } from '../kernel.js';

/** What an op carries besides its dims. */
export const opHead = (kind: string) => ({ id: kind, name: kind, repeat: 1, deps: [] as string[] });

/**
 * The value of every key: given, or its default. Keys in `zero` may be 0, all others are at least 1.
 * Throws InputError on an unknown key, a missing one, or a value that is not a whole number in range.
 */
export function readShape<K extends string>(
  kernel: string,
  keys: Readonly<Record<K, ShapeKey>>,
  shape: Readonly<Record<string, number>>,
  zero: readonly NoInfer<K>[] = [],
): Record<K, number> {
  const names = Object.keys(keys) as K[];
  for (const given of Object.keys(shape))
    if (!(names as string[]).includes(given)) throw unknownName('shape key', given, names, `${kernel} --shape`);
  const out = {} as Record<K, number>;
  for (const name of names) {
    const value = shape[name] ?? keys[name].default;
    if (value === undefined)
      throw new InputError(`'${name}' is missing: ${keys[name].description}`, `${kernel} --shape`);
    const least = keys[name].words || zero.includes(name) ? 0 : 1;
    if (!Number.isSafeInteger(value) || value < least)
      throw new InputError(`'${name}' is ${value}, expected a whole number ≥ ${least}`, `${kernel} --shape`);
    out[name] = value;
  }
  return out;
}

/** Divides, rounding up. */
export const ceil = (a: number, b: number): number => Math.ceil(a / b);
/** The least power of two ≥ x. */
export const pow2 = (x: number): number => 2 ** Math.ceil(Math.log2(x));
