/** The text of `--shape`: key=value pairs, into the numbers that a kernel's `toOp` takes. */
import { InputError, nearestName, unknownName } from '../base/errors.js';
import type { ShapeKey } from './kernel.js';

/**
 * Reads "m=4096,n=4096,k=4096" against a kernel's keys. Values are whole numbers ≥ 0 (the kernel itself says which may
 * be 0), true or false, or one of the key's words. Throws InputError, naming `place`, on a pair that is none, an
 * unknown key (with the nearest), a key given twice or left out, or a value that is not a whole number.
 */
export function parseShape(
  text: string,
  keys: Readonly<Record<string, ShapeKey>>,
  place = '--shape',
): Record<string, number> {
  const names = Object.keys(keys);
  const shape: Record<string, number> = {};
  for (const pair of text.split(',').map((p) => p.trim())) {
    if (pair === '') continue;
    const split = pair.indexOf('=');
    if (split <= 0) throw new InputError(`expected key=value, got '${pair}' (keys: ${names.join(', ')})`, place);
    const key = pair.slice(0, split).trim();
    const def = Object.hasOwn(keys, key) ? keys[key] : undefined;
    if (!def) throw unknownName('shape key', key, names, place);
    if (key in shape) throw new InputError(`'${key}' is given twice`, place);
    shape[key] = readValue(key, pair.slice(split + 1).trim(), def, place);
  }
  for (const name of names)
    if (!(name in shape) && keys[name]!.default === undefined)
      throw new InputError(`'${name}' is missing: ${keys[name]!.description}`, place);
  return shape;
}

function readValue(key: string, text: string, def: ShapeKey, place: string): number {
  if (def.words) {
    const at = def.words.indexOf(text);
    if (at >= 0) return at;
    if (!/^[0-9]+$/.test(text)) {
      const near = nearestName(text, def.words);
      const hint = near ? `; did you mean '${near}'?` : '';
      throw new InputError(`'${key}' is '${text}'${hint} (known: ${def.words.join(', ')})`, place);
    }
  }
  if (text === 'true') return 1;
  if (text === 'false') return 0;
  const value = text === '' ? Number.NaN : Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new InputError(`'${key}' is '${text}', expected a whole number${def.words ? '' : ' ≥ 1'}`, place);
  return value;
}
