/**
 * Tensor parallelism after Megatron-LM (Shoeybi et al., arXiv:1909.08053): heads and inner columns are split, the
 * projections back to the stream are split by rows, the vocabulary by rows of its table. When there are fewer key/value
 * heads than devices, each is kept on several.
 */
import type { TransformerModel } from './model.js';

/** What one device holds. */
export interface Shard {
  readonly tp: number;
  readonly heads: number;
  readonly kv_heads: number;
  /** Inner columns of the dense block, or of each expert. */
  readonly ffn: number;
  /** Rows of the token table, padded to a multiple of tp. */
  readonly vocab: number;
}

export function shardOf(model: TransformerModel, tp: number): Shard {
  const { heads, kv_heads } = model.attention;
  return {
    tp,
    heads: heads / tp,
    kv_heads: Math.max(1, kv_heads / tp),
    ffn: innerWidth(model) / tp,
    vocab: Math.ceil((model.vocab ?? 0) / tp),
  };
}

/** Why the model does not split over `tp` devices; undefined when it does. */
export function shardFault(model: TransformerModel, tp: number): string | undefined {
  const { heads, kv_heads } = model.attention;
  if (heads % tp !== 0) return `does not divide the ${heads} heads of ${model.name}`;
  if (kv_heads % tp !== 0 && tp % kv_heads !== 0)
    return `and the ${kv_heads} key/value heads of ${model.name} do not divide each other`;
  if (innerWidth(model) % tp !== 0) return `does not divide the inner width ${innerWidth(model)} of ${model.name}`;
  return undefined;
}

/** Every split that works, ascending. */
export function shardsOf(model: TransformerModel): number[] {
  return Array.from({ length: Math.min(model.attention.heads, 1024) }, (_, i) => i + 1).filter(
    (tp) => shardFault(model, tp) === undefined,
  );
}

/** Inner width of the feed-forward block, or of one expert. */
export function innerWidth(model: TransformerModel): number {
  return model.experts?.hidden ?? model.ffn.hidden!;
}
