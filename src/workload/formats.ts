/** Number formats of a workload, per class of tensors. */
import { bytesOf, type DType } from '../base/dtype.js';
import type { TransformerModel } from './model.js';
import type { WorkloadSpec } from './spec.js';

export interface Dtypes {
  /** Residual stream, norms, logits, embedding tables: never narrower than 16 bits. */
  readonly stream: DType;
  /** Left operand of the products with parameters. */
  readonly activations: DType;
  /** Parameters of those products. */
  readonly weights: DType;
  /** Parameters of the lm head; those of the stream when it is the token table. */
  readonly head: DType;
  /** Keys and values in the cache. */
  readonly kv: DType;
}

/**
 * `dtype` sets every class, the others one each. A stream narrower than 16 bits would lose the residual sum, so narrow
 * activations are quantised just before each product and the stream stays at the model's own format.
 */
export function dtypesOf(model: TransformerModel, spec: WorkloadSpec): Dtypes {
  const activations = spec.activations ?? spec.dtype ?? model.dtype;
  const own = bytesOf(model.dtype) >= 2 ? model.dtype : 'bf16';
  const stream = activations === 'tf32' ? 'fp32' : bytesOf(activations) >= 2 ? activations : own;
  const weights = spec.weights ?? spec.dtype ?? model.dtype;
  return {
    stream,
    activations,
    weights,
    head: model.tied ? stream : (spec.head ?? weights),
    kv: spec.kv ?? (spec.dtype === 'tf32' ? 'fp32' : spec.dtype) ?? stream,
  };
}

/** Sums are kept in fp32, in int32 when both operands are integers, in fp64 for fp64. */
export function accumulator(a: DType, b: DType): DType {
  if (a === 'fp64' || b === 'fp64') return 'fp64';
  const integer = (d: DType) => d.startsWith('int') || d.startsWith('uint');
  return integer(a) && integer(b) ? 'int32' : 'fp32';
}
