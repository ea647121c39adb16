/**
 * The fast Fourier transform of n points (radix-2 graph): a set of X elements that are near or loaded leads to at most
 * X·log₂X vertices (Hong and Kung, STOC 1981, Theorem 4.1), so loads ≥ (X − M)(n·log₂n/(X·log₂X) − 1): one −1 for each
 * core, whose last set of loads may be cut short.
 */
import { bytesOf } from '../../base/dtype.js';
import type { OpOf } from '../../workload/op.js';
import type { Term } from '../term.js';

/** `M` in bytes. Of several transforms the graphs lie side by side: no set leads to more. */
export function fftTerm({ n, batch, dtype }: Pick<OpOf<'fft'>, 'n' | 'batch' | 'dtype'>, M: number, cores = 1): Term {
  const width_B = 2 * bytesOf(dtype);
  const near = M / width_B;
  const vertices = batch * n * Math.log2(n);
  let loads = Number.NEGATIVE_INFINITY;
  for (const x of [1.5, 2, 3, 4]) {
    const X = x * near;
    if (X > 1) loads = Math.max(loads, (X - near) * (vertices / (X * Math.log2(X)) - cores));
  }
  return {
    bytes: (loads + batch * n) * width_B,
    formula: batch === 1 ? 'n·log₂n/(2·log₂2M) − M + n' : 'b·n·log₂n/(2·log₂2M) − M + b·n',
    range: 'any schedule of the radix-2 graph',
    source: 'Hong and Kung, STOC 1981, Theorem 4.1',
  };
}
