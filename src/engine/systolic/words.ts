/** A number for each of many words, as far as there is memory. */
import { InputError } from '../../base/errors.js';

/** @throws InputError when there is no memory for so many */
export function wordsArray(words: number): Int32Array {
  try {
    return new Int32Array(words);
  } catch (e) {
    if (!(e instanceof RangeError)) throw e;
    throw new InputError(`${words} words of an operand are more than there is memory for`, 'systolic array');
  }
}
