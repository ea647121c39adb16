/**
 * Errors a user can act on. Each carries the exit code of the command line:
 * 2 bad usage or input, 3 infeasible (nothing fits), 4 validation out of tolerance.
 */
import { distance } from 'fastest-levenshtein';

export class TilewrightError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.name = new.target.name;
    this.exitCode = exitCode;
  }
}

/** Bad usage or input. `place` is a file, a line or a path inside it. */
export class InputError extends TilewrightError {
  constructor(message: string, place?: string) {
    super(place ? `${place}: ${message}` : message, 2);
  }
}

/** Nothing fits: says by how much and what would. */
export class InfeasibleError extends TilewrightError {
  constructor(message: string) {
    super(message, 3);
  }
}

/** A comparison with measured or published figures is out of tolerance. */
export class ToleranceError extends TilewrightError {
  constructor(message: string) {
    super(message, 4);
  }
}

/** The closest of `names` to `given`, or undefined when none is near enough to be a slip of the pen. */
export function nearestName(given: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const name of names) {
    const d = distance(given.toLowerCase(), name.toLowerCase());
    if (d < bestDistance) {
      bestDistance = d;
      best = name;
    }
  }
  return bestDistance <= Math.max(2, Math.ceil(given.length / 2)) ? best : undefined;
}

/** "unknown machine 'h100-sxn'; did you mean 'h100-sxm'? (known: a, b, c)" */
export function unknownName(what: string, given: string, names: readonly string[], place?: string): InputError {
  const near = nearestName(given, names);
  const known = names.length <= 40 ? ` (known: ${[...names].sort().join(', ')})` : '';
  return new InputError(`unknown ${what} '${given}'${near ? `; did you mean '${near}'?` : ''}${known}`, place);
}

/** Returns `value` when it is finite and (unless `allowZero`) positive; a result that is not is an internal fault. */
export function positive(value: number, what: string, allowZero = false): number {
  if (!Number.isFinite(value) || value < 0 || (value === 0 && !allowZero))
    throw new TilewrightError(
      `internal: ${what} is ${value}, expected a ${allowZero ? 'non-negative' : 'positive'} finite number`,
      1,
    );
  return value;
}
