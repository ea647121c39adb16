/**
 * Integer expressions as sums of digits: an index i of extent n is one digit, or, where a program divides it (window
 * positions of a convolution, heads that share keys), several, i = … + d₁·radix + d₀.
 */
import type { Expr, LoopVar } from './ir.js';

/** A part of an index, from 0 below `extent`. */
export interface Digit {
  readonly of: LoopVar;
  readonly radix: number;
  readonly extent: number;
}

export interface Affine {
  /** Digit → coefficient. */
  readonly terms: ReadonlyMap<Digit, number>;
  readonly offset: number;
}

/** Why an expression is no sum of digits. */
export class NotAffine extends Error {}

const constant = (offset: number): Affine => ({ terms: new Map(), offset });

/** Indices of a program with their extents, and the digits that its expressions divide them into. */
export class Digits {
  private readonly digits = new Map<LoopVar, Digit[]>();

  /** Declares an index from 0 below `extent`. */
  declare(index: LoopVar, extent: number): void {
    const known = this.digits.get(index);
    const size = known?.reduce((n, d) => n * d.extent, 1);
    if (size !== undefined && size !== extent)
      throw new NotAffine(`index ${index.var} runs to ${size} in one loop and to ${extent} in another`);
    if (!known) this.digits.set(index, [{ of: index, radix: 1, extent }]);
  }

  of(index: LoopVar): readonly Digit[] {
    const found = this.digits.get(index);
    if (!found) throw new NotAffine(`index ${index.var} is bound by no loop of constant bounds`);
    return found;
  }

  /** @throws NotAffine; Resplit when a division splits a digit: what was read before is to be read again */
  read(e: Expr): Affine {
    if (typeof e === 'number') return constant(e);
    if ('var' in e)
      return { terms: new Map(this.of(e).flatMap((d) => (d.extent > 1 ? [[d, d.radix]] : []))), offset: 0 };
    if (!('op' in e)) throw new NotAffine(`a place is looked up in table ${e.table.name}`);
    const a = this.read(e.a);
    const b = this.read(e.b);
    switch (e.op) {
      case '+':
        return plus(a, b, 1);
      case '-':
        return plus(a, b, -1);
      case '*':
        if (b.terms.size === 0) return times(a, b.offset);
        if (a.terms.size === 0) return times(b, a.offset);
        throw new NotAffine('a place is the product of two indices');
      case '/':
      case '%': {
        if (b.terms.size > 0) throw new NotAffine('a place is divided by an index');
        const [quotient, remainder] = this.divide(a, b.offset);
        return e.op === '/' ? quotient : remainder;
      }
      case 'min':
      case 'max': {
        const [lowA, highA] = range(a);
        const [lowB, highB] = range(b);
        if (highA <= lowB) return e.op === 'min' ? a : b;
        if (highB <= lowA) return e.op === 'min' ? b : a;
        throw new NotAffine(`a place is the ${e.op} of two others`);
      }
    }
  }

  private divide(a: Affine, by: number): [Affine, Affine] {
    const quotient = new Map<Digit, number>();
    const rest = new Map<Digit, number>();
    for (const [d, c] of a.terms) {
      if (c % by === 0) quotient.set(d, c / by);
      else if (c > 0 && by % c === 0 && d.extent > by / c) {
        this.split(d, by / c);
        throw new Resplit();
      } else rest.set(d, c);
    }
    const offset = ((a.offset % by) + by) % by;
    const remainder = { terms: rest, offset };
    const [low, high] = range(remainder);
    if (low < 0 || high >= by) throw new NotAffine(`a place is divided by ${by} across the digits of its indices`);
    return [{ terms: quotient, offset: Math.floor(a.offset / by) }, remainder];
  }

  private split(d: Digit, below: number): void {
    if (d.extent % below !== 0) throw new NotAffine(`index ${d.of.var} of ${d.extent} is divided by ${below}`);
    const all = this.digits.get(d.of)!;
    all.splice(
      all.indexOf(d),
      1,
      { of: d.of, radix: d.radix * below, extent: d.extent / below },
      { of: d.of, radix: d.radix, extent: below },
    );
  }
}

/** A digit was split: whatever was read before is to be read again. */
export class Resplit extends Error {}

function plus(a: Affine, b: Affine, sign: 1 | -1): Affine {
  const terms = new Map(a.terms);
  for (const [d, c] of b.terms) {
    const sum = (terms.get(d) ?? 0) + sign * c;
    if (sum === 0) terms.delete(d);
    else terms.set(d, sum);
  }
  return { terms, offset: a.offset + sign * b.offset };
}

const times = (a: Affine, by: number): Affine =>
  by === 0 ? constant(0) : { terms: new Map([...a.terms].map(([d, c]) => [d, c * by])), offset: a.offset * by };

function range({ terms, offset }: Affine): [low: number, high: number] {
  let low = offset;
  let high = offset;
  for (const [d, c] of terms) {
    if (c > 0) high += c * (d.extent - 1);
    else low += c * (d.extent - 1);
  }
  return [low, high];
}
