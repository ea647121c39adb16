/**
 * The fast Fourier transform of n points (radix-2 graph): a set of X elements that are near or loaded leads to at most
 * X·log₂X vertices (Hong and Kung, STOC 1981, Theorem 4.1), so loads ≥ (X − M)(n·log₂n/(X·log₂X) − 1). Radix-M passes reach
 * 2n·⌈log₂n/log₂M⌉.
 */
import type { Term } from '../term.js';

/** `n` a power of two, `M` and `width_B` in bytes. */
export function fftTerm(n: number, width_B: number, M: number): Term {
  const near = M / width_B;
  let loads = Number.NEGATIVE_INFINITY;
  for (const x of [1.5, 2, 3, 4]) {
    const X = x * near;
    if (X > 1) loads = Math.max(loads, (X - near) * ((n * Math.log2(n)) / (X * Math.log2(X)) - 1));
  }
  return {
    bytes: (loads + n) * width_B,
    formula: 'n·log₂n/(2·log₂2M) − M + n',
    range: 'any schedule of the radix-2 graph',
    source: 'Hong and Kung, STOC 1981, Theorem 4.1',
  };
}

/** What radix-M passes move: an upper bound. */
export function fftPasses_B(n: number, width_B: number, M: number): number {
  const near = Math.max(2, 2 ** Math.floor(Math.log2(M / width_B)));
  return 2 * n * width_B * Math.ceil(Math.log2(n) / Math.log2(near));
}
