/** What is known of an integer expression before it runs: its interval and a number that divides it. */
import type { Expr, LoopVar, Program, Stmt } from './ir.js';

export interface Range {
  readonly lo: number;
  readonly hi: number;
}
export type Ranges = ReadonlyMap<LoopVar, Range>;

/** Intervals of all grid and loop indices; an index used by several loops gets the hull of its intervals. */
export function rangesOf(program: Program): Ranges {
  const ranges = new Map<LoopVar, Range>();
  for (const g of program.grid) ranges.set(g.index, { lo: 0, hi: Math.max(0, g.extent - 1) });
  const visit = (body: readonly Stmt[]): void => {
    for (const s of body) {
      if (s.kind !== 'loop') continue;
      const lo = rangeOf(s.from, ranges).lo;
      const hi = Math.max(lo, rangeOf(s.to, ranges).hi - 1);
      const old = ranges.get(s.index);
      ranges.set(s.index, old ? { lo: Math.min(lo, old.lo), hi: Math.max(hi, old.hi) } : { lo, hi });
      visit(s.body);
    }
  };
  visit(program.body);
  return ranges;
}

export function rangeOf(e: Expr, ranges: Ranges): Range {
  if (typeof e === 'number') return { lo: e, hi: e };
  if ('var' in e) return ranges.get(e) ?? { lo: Number.NEGATIVE_INFINITY, hi: Number.POSITIVE_INFINITY };
  if ('table' in e) {
    let lo = Number.POSITIVE_INFINITY;
    let hi = Number.NEGATIVE_INFINITY;
    for (const v of e.table.values) {
      if (v < lo) lo = v;
      if (v > hi) hi = v;
    }
    return { lo, hi };
  }
  const a = rangeOf(e.a, ranges);
  const b = rangeOf(e.b, ranges);
  const corners = (f: (x: number, y: number) => number): Range => {
    const all = [f(a.lo, b.lo), f(a.lo, b.hi), f(a.hi, b.lo), f(a.hi, b.hi)].map((x) => (Number.isNaN(x) ? 0 : x));
    return { lo: Math.min(...all), hi: Math.max(...all) };
  };
  switch (e.op) {
    case '+':
      return { lo: a.lo + b.lo, hi: a.hi + b.hi };
    case '-':
      return { lo: a.lo - b.hi, hi: a.hi - b.lo };
    case '*':
      return corners((x, y) => x * y);
    case '/':
      if (b.lo <= 0) return { lo: Number.NEGATIVE_INFINITY, hi: Number.POSITIVE_INFINITY };
      return corners((x, y) => Math.floor(x / y));
    case '%':
      if (b.lo <= 0) return { lo: Number.NEGATIVE_INFINITY, hi: Number.POSITIVE_INFINITY };
      return { lo: 0, hi: a.lo >= 0 ? Math.min(a.hi, b.hi - 1) : b.hi - 1 };
    case 'min':
      return { lo: Math.min(a.lo, b.lo), hi: Math.min(a.hi, b.hi) };
    case 'max':
      return { lo: Math.max(a.lo, b.lo), hi: Math.max(a.hi, b.hi) };
  }
}

/** Whether the expression is a multiple of n whatever its indices are (it may be one even when this says no). */
export function isMultiple(e: Expr, n: number): boolean {
  if (typeof e === 'number') return e % n === 0;
  if ('var' in e) return false;
  if ('table' in e) return e.table.values.every((v) => v % n === 0);
  switch (e.op) {
    case '+':
    case '-':
    case 'min':
    case 'max':
      return isMultiple(e.a, n) && isMultiple(e.b, n);
    case '*': {
      if (isMultiple(e.a, n) || isMultiple(e.b, n)) return true;
      // 2·(something even) is a multiple of 4
      for (let f = 2; f < n; f++) if (n % f === 0 && isMultiple(e.a, f) && isMultiple(e.b, n / f)) return true;
      return false;
    }
    case '%':
      return isMultiple(e.a, n) && isMultiple(e.b, n);
    case '/':
      return false;
  }
}
