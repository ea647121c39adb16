/** What stays of a forward pass until the backward pass has read it. */
import { bytesOf } from '../../base/dtype.js';
import { compulsoryBytesOf, type ElementwiseFn, type Op } from '../op.js';

/** The function by which an activation's gradient passes to its input; undefined for others. */
export function slopeOf(fn: ElementwiseFn): ElementwiseFn | undefined {
  return SLOPES[fn];
}
const SLOPES: Partial<Record<ElementwiseFn, ElementwiseFn>> = {
  relu: 'relu_backward',
  gelu: 'gelu_backward',
  gelu_tanh: 'gelu_tanh_backward',
  silu: 'silu_backward',
};

/** A tensor, by the op that wrote it, and its bytes; `key` tells apart tensors that one op wrote. */
export interface Kept {
  readonly id: string;
  readonly key: string;
  readonly bytes: number;
}

/** What the backward pass of a forward op reads. Statistics of norms, two numbers a row, are not counted. */
export function keptFor(op: Op): Kept[] {
  const keep = (id: string, bytes: number, key = id): Kept => ({ id, key, bytes });
  const [a = op.id, b] = op.deps;
  const { read_B, write_B } = compulsoryBytesOf(op);
  switch (op.kind) {
    case 'matmul': {
      if (op.weights) return [keep(a, op.m * op.k * bytesOf(op.a))];
      const left = op.batch * op.m * op.k * bytesOf(op.a);
      const right = op.batch * op.k * op.n * bytesOf(op.b);
      return [keep(a, left, b === undefined ? `${op.id}.a` : a), keep(b ?? a, right, `${op.id}.b`)];
    }
    case 'normalise':
      return [keep(a, op.rows * op.cols * bytesOf(op.dtype))];
    case 'attention':
      return [keep(a, read_B, `${op.id}.inputs`), keep(op.id, write_B)];
    case 'softmax':
      return [keep(op.id, write_B)];
    case 'elementwise': {
      const one = op.n * bytesOf(op.dtype);
      if (slopeOf(op.fn)) return [keep(a, one)];
      if (op.fn === 'swiglu' || op.fn === 'geglu') return [keep(a, 2 * one)];
      if (op.fn === 'mul') return op.deps.map((id) => keep(id, one));
      return [];
    }
    case 'reduce':
      return [keep(a, read_B)];
    default:
      return [];
  }
}
