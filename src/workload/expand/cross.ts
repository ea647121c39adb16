/**
 * Attention of a decoder over the encoder's output. Its keys and values are projected once per sequence, when the encoder
 * is done, and stay in the cache; each step projects queries only.
 */
import { appendToCache, attend, project } from './attention.js';
import { type Expansion, linear, type Pass } from './context.js';

export interface CrossBlock {
  readonly name: string;
  readonly layers: number;
  readonly input: string;
  readonly residual: string;
  readonly kv_len: number;
  /** Ops that wrote the encoder's keys and values; empty when an earlier run did. */
  readonly written: readonly string[];
}

/** Keys and values of every decoder layer from the encoder's output (`input`, in the format of products). */
export function encoderKeys(x: Expansion, pass: Pass, name: string, decoderLayers: number, input: string): string {
  const { head_dim, qkv_bias } = x.model.attention;
  const kv = linear(x, pass, {
    name: `${name}.kv_proj`,
    repeat: decoderLayers,
    deps: [input],
    rows: pass.rows,
    k: x.model.hidden,
    n: 2 * x.shard.kv_heads * head_dim,
    bias: qkv_bias,
  });
  return appendToCache(x, pass, name, decoderLayers, pass.rows, [kv]);
}

export function crossAttention(x: Expansion, pass: Pass, block: CrossBlock): string {
  const { head_dim, qkv_bias } = x.model.attention;
  const repeat = block.layers * pass.steps.length;
  const query = linear(x, pass, {
    name: `${block.name}.q_proj`,
    repeat,
    deps: [block.input],
    rows: pass.rows,
    k: x.model.hidden,
    n: x.shard.heads * head_dim,
    bias: qkv_bias,
  });
  // every step attends to the same keys, so one op stands for all of them
  const attended = attend(x, pass, {
    name: `${block.name}.core`,
    repeat,
    deps: [query, ...block.written],
    lengths: { batch: pass.sequences, q_len: pass.rows / pass.sequences, kv_len: block.kv_len },
    causal: false,
    window: 0,
    bias: false,
    cached: true,
  });
  return project(x, pass, block.name, repeat, [attended], block.residual);
}
