/** Matrix products, batched and per group: see product.ts. Batches are disjoint sets of multiply–adds. */
import { bytesOf } from '../../base/dtype.js';
import type { OpOf } from '../../workload/op.js';
import type { Term } from '../term.js';
import { productTerm } from './product.js';

export function matmulTerms(op: OpOf<'matmul'>, M: number, cores: number): Term[] {
  const results = op.batch * op.m * op.n;
  return [
    productTerm(
      { macs: results * op.k, results, a_B: bytesOf(op.a), b_B: bytesOf(op.b), sum_B: bytesOf(op.accumulate) },
      results * bytesOf(op.c),
      M,
      cores,
    ),
  ];
}

export function groupedTerms(op: OpOf<'grouped_matmul'>, M: number, cores: number): Term[] {
  const results = op.rows * op.n;
  return [
    productTerm(
      { macs: results * op.k, results, a_B: bytesOf(op.a), b_B: bytesOf(op.b), sum_B: bytesOf(op.accumulate) },
      results * bytesOf(op.c),
      M,
      cores,
      'Σ over groups 2mnk/√M − mn/8, − 2M',
    ),
  ];
}
