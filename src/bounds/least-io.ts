/**
 * The least bytes that any schedule of an op must move across a boundary with `capacity_B` of fast memory on the near
 * side: the larger of the compulsory traffic (each input read once, each result written once) and the I/O lower bound.
 *
 * matmul: Q ≥ 2mnk/√M − 2M elements (Smith, Lowery, Langou, van de Geijn, arXiv 1702.02017); reads and writes.
 * attention: Q ≥ N²d²/(4M + 2d²) − M elements for M ≥ d²/2, from the M-partition lemma of Saha and Ye (arXiv 2402.07443)
 * with Hong and Kung's Q ≥ M(P(2M) − 1); N² becomes the query–key pairs that the mask lets through.
 */
import { bytesOf } from '../base/dtype.js';
import { attentionPairs, compulsoryBytesOf, type Op } from '../workload/op.js';

export interface LeastIo {
  readonly bytes: number;
  readonly compulsory_B: number;
  readonly formula: string;
  readonly source: string;
}

export function leastIo(op: Op, capacity_B: number): LeastIo {
  const { read_B, write_B } = compulsoryBytesOf(op);
  const compulsory_B = read_B + write_B;
  const compulsory: LeastIo = {
    bytes: compulsory_B,
    compulsory_B,
    formula: 'inputs once + results once',
    source: 'compulsory traffic',
  };
  const larger = (elements: number, width_B: number, formula: string, source: string): LeastIo =>
    elements * width_B > compulsory_B ? { bytes: elements * width_B, compulsory_B, formula, source } : compulsory;
  switch (op.kind) {
    case 'matmul': {
      const width = Math.min(bytesOf(op.a), bytesOf(op.b), bytesOf(op.c));
      const M = capacity_B / width;
      return larger(
        op.batch * ((2 * op.m * op.n * op.k) / Math.sqrt(M) - 2 * M),
        width,
        '2mnk/√M − 2M',
        'Smith et al., arXiv 1702.02017',
      );
    }
    case 'grouped_matmul': {
      const width = Math.min(bytesOf(op.a), bytesOf(op.b), bytesOf(op.c));
      const M = capacity_B / width;
      return larger(
        (2 * op.rows * op.n * op.k) / Math.sqrt(M) - 2 * M * op.groups,
        width,
        'Σ 2mnk/√M − 2M',
        'Smith et al., arXiv 1702.02017',
      );
    }
    case 'attention': {
      const width = Math.min(bytesOf(op.q), bytesOf(op.kv), bytesOf(op.o));
      const M = capacity_B / width;
      const d = op.head_dim;
      if (M < (d * d) / 2) return compulsory;
      const perHead = attentionPairs(op) / op.batch;
      return larger(
        op.batch * op.heads * ((perHead * d * d) / (4 * M + 2 * d * d) - M),
        width,
        'N²d²/(4M + 2d²) − M',
        'Saha and Ye, arXiv 2402.07443',
      );
    }
    default:
      return compulsory;
  }
}
