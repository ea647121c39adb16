/** Values of a measured row, read strictly: an InputError says which column, what it holds and what was expected. */
import { InputError, nearestName } from '../base/errors.js';

export type Row = Readonly<Record<string, string>>;
export type Skip = { readonly skip: string };

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

export function textOf(row: Row, column: string): string {
  const text = row[column];
  if (text === undefined) {
    const near = nearestName(column, Object.keys(row));
    throw new InputError(`there is no column ${column}${near ? `; is it what '${near}' means?` : ''}`);
  }
  return text;
}

function numberOf(row: Row, column: string, expected: string, fits: (value: number) => boolean): number {
  const text = textOf(row, column);
  const value = NUMBER.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(value) || !fits(value))
    throw new InputError(`column ${column} is ${text === '' ? 'empty' : `'${text}'`}, expected ${expected}`);
  return value;
}

/** Counts and dimensions. */
export const whole = (row: Row, column: string, least = 1): number =>
  numberOf(row, column, `a whole number ≥ ${least}`, (v) => Number.isSafeInteger(v) && v >= least);

export const positive = (row: Row, column: string): number =>
  numberOf(row, column, 'a number above 0', (value) => value > 0);

/** Of a column in ms. */
export const secondsOf = (row: Row, column = 'latency_ms'): number => positive(row, column) * 1e-3;

/**
 * A name that is none of `known`. One with a letter wrong, or letters in another order, is a slip of the pen; others are
 * things that the simulator does not know, and leave their row out.
 */
export function unknown(what: string, given: string, known: readonly string[]): Skip {
  if (given === '') throw new InputError(`${what} is empty, expected one of ${known.join(', ')}`);
  const near = known.find((name) => isSlip(given.toLowerCase(), name.toLowerCase()));
  if (near) throw new InputError(`unknown ${what} '${given}'; did you mean '${near}'?`);
  return { skip: `unknown ${what} '${given}' (known: ${known.join(', ')})` };
}

/** Digits that differ make another format, not a slip. */
function isSlip(a: string, b: string): boolean {
  if (a !== b && sorted(a) === sorted(b)) return true;
  const digits = (text: string) => text.replace(/\D/g, '');
  if (digits(a) !== digits(b) || Math.abs(a.length - b.length) > 1) return false;
  let same = 0;
  while (same < Math.min(a.length, b.length) && a[same] === b[same]) same++;
  const rest = (text: string, skipped: number) => text.slice(same + skipped);
  return (
    rest(a, a.length >= b.length ? 1 : 0) === rest(b, b.length >= a.length ? 1 : 0) && Math.min(a.length, b.length) > 2
  );
}
const sorted = (text: string) => [...text].sort().join('');
