/**
 * Convolution: for one place (r, s) of the window the multiply–adds are those of a matrix product, so V_rs² ≤ |I||F_rs||O|;
 * summed over places that can share an input (those a multiple of the stride apart), by Cauchy and Schwarz,
 * V² ≤ ⌈R/stride⌉²·|I||F||O|, and so on for each dim that the window walks (depth, T places). Hence up to R·S/stride²
 * times the reuse of a matrix product (Demmel and Dinh, arXiv 1802.06905; Chen et al., arXiv 2204.08279).
 */
import { bytesOf } from '../../base/dtype.js';
import { type Convolution, convDepth, convResults, convWeights } from '../../workload/op.js';
import type { Term } from '../term.js';
import { productTerm } from './product.js';

export function convolutionTerms(op: Convolution, M: number, cores: number): Term[] {
  const results = convResults(op);
  const deep = convDepth(op);
  const term = productTerm(
    {
      macs: results * (convWeights(op) / op.out_channels),
      results,
      a_B: bytesOf(op.a),
      b_B: bytesOf(op.b),
      sum_B: bytesOf(op.accumulate),
      overlap: Math.ceil(op.kernel / op.stride) ** 2 * Math.ceil(deep.kernel / deep.stride),
    },
    results * bytesOf(op.c),
    M,
    cores,
    `2G/(${op.kind === 'conv3d' ? '⌈R/stride⌉√⌈T/stride⌉√M' : '⌈R/stride⌉√M'}) − O/8 − 2M, G multiply–adds, O results`,
  );
  return [
    { ...term, source: 'Demmel and Dinh, arXiv 1802.06905, and Chen et al., arXiv 2204.08279; phases as for products' },
  ];
}
