/**
 * Roots of unity as maps, and products with them. Cosine and sine are polynomials of the angle in turns: what WGSL and
 * fast-math units promise of theirs (2⁻¹¹) is no use to a transform, and a table would have to be read from far.
 */
import { type Fx, type FxOp, type MapFn, mapFn } from '../ir.js';

const f = (op: FxOp, ...args: Fx[]): Fx => ({ f: op, args });
const [a, b, c, d]: Fx[] = [{ in: 0 }, { in: 1 }, { in: 2 }, { in: 3 }];
const row: Fx = { coord: 'row' };
/** A column's number, counted from the first scalar. */
const column: Fx = f('add', { s: 0 }, { coord: 'col' });

/** (a + ib)·(c + id) */
export const TIMES_RE = mapFn('times_re', 4, f('sub', f('mul', a!, c!), f('mul', b!, d!)));
export const TIMES_IM = mapFn('times_im', 4, f('fma', a!, d!, f('mul', b!, c!)));
export const SUB = mapFn('sub', 2, f('sub', a!, b!));

/** (a + ib)·W with W the k-th of 16 roots, e^(−2πi·k/16). */
const turned = (k: number): readonly [MapFn, MapFn] => {
  const [re, im] = [Math.cos((Math.PI * k) / 8), -Math.sin((Math.PI * k) / 8)];
  return [
    mapFn(`turn${k}_re`, 2, f('fma', a!, re, f('mul', b!, -im))),
    mapFn(`turn${k}_im`, 2, f('fma', a!, im, f('mul', b!, re))),
  ];
};
export const TURNS = Array.from({ length: 8 }, (_, k) => turned(k));

/** What a root's angle grows with. */
const GROWS = { row, column, both: f('mul', column, row) } as const satisfies Record<string, Fx>;
export type Grows = keyof typeof GROWS;

/**
 * Terms of the two series for angles within a quarter turn: what is left out is below 10⁻⁸ in fp32, 10⁻¹⁶ in fp64
 * ((π/2)^(2n)/(2n)!).
 */
const TERMS = { fp32: 7, fp64: 11 } as const;

/** Σ (−1)^i (2π)^(2i + odd)/(2i + odd)! u^i */
function series(u: Fx, terms: number, odd: 0 | 1): Fx {
  const term = (i: number): number => {
    let x = odd ? 2 * Math.PI : 1;
    for (let j = 1; j <= i; j++) x *= -(4 * Math.PI ** 2) / ((2 * j + odd) * (2 * j + odd - 1));
    return x;
  };
  let sum: Fx = term(terms - 1);
  for (let i = terms - 2; i >= 0; i--) sum = f('fma', sum, u, term(i));
  return sum;
}

/** e^(−2πi·x) for x in [0, 1): whole half turns only change the sign. */
function root(x: Fx, terms: number): readonly [re: Fx, im: Fx] {
  const halves = f('round', f('mul', x, 2));
  const rest = f('fma', halves, -0.5, x);
  const odd = f('sub', halves, 1);
  const sign = f('fma', f('mul', odd, odd), 2, -1);
  const u = f('mul', rest, rest);
  return [f('mul', sign, series(u, terms, 0)), f('mul', f('mul', sign, rest), f('sub', 0, series(u, terms, 1)))];
}

const known = new Map<string, readonly [MapFn, MapFn]>();

/** e^(−2πi·x/2^bits), x what the angle grows with, below 2^bits: real and imaginary part. */
export function rootFns(grows: Grows, bits: number, work: 'fp32' | 'fp64'): readonly [MapFn, MapFn] {
  const key = `${grows}/2^${bits} ${work}`;
  let fns = known.get(key);
  if (!fns) {
    const [re, im] = root(f('mul', GROWS[grows], 2 ** -bits), TERMS[work]);
    fns = [mapFn(`root_re[${key}]`, 0, re), mapFn(`root_im[${key}]`, 0, im)];
    known.set(key, fns);
  }
  return fns;
}
