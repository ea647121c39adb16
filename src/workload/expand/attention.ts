/**
 * The attention block: projection of queries, keys and values (one product), their norms and rotation, the append to the
 * cache, attention, and the projection back, whose epilogue adds bias and residual. Over devices the heads are split and
 * the partial projections summed; the first device alone adds bias and residual to its part, so the sum has them once.
 */
import { accumulator } from '../formats.js';
import { allReduce, type Expansion, type Lengths, linear, type Pass, productInput } from './context.js';

export interface AttentionBlock {
  /** `layer.attention`, `decoder.cross`… */
  readonly name: string;
  readonly layers: number;
  /** The normed stream, in the format of products. */
  readonly input: string;
  /** The stream that the block is added to. */
  readonly residual: string;
  readonly causal: boolean;
  /** Keys and values are kept for later steps. */
  readonly cached: boolean;
  /** Gathers of the relative position biases, one a step, where the stack has them. */
  readonly bias?: readonly string[];
}

export function selfAttention(x: Expansion, pass: Pass, block: AttentionBlock): string {
  const { heads, kv_heads } = x.shard;
  const { head_dim, qkv_bias, qk_norm } = x.model.attention;
  const repeat = block.layers * pass.steps.length;
  let qkv = linear(x, pass, {
    name: `${block.name}.qkv_proj`,
    repeat,
    deps: [block.input],
    rows: pass.rows,
    k: x.model.hidden,
    n: (heads + 2 * kv_heads) * head_dim,
    bias: qkv_bias,
  });
  const projected = qkv;
  if (qk_norm)
    qkv = x.emit(pass, {
      kind: 'normalise',
      name: `${block.name}.qk_norm`,
      repeat,
      deps: [qkv],
      norm: 'rms',
      rows: pass.rows * (heads + kv_heads),
      cols: head_dim,
      residual: false,
      dtype: x.dtypes.stream,
    });
  if (x.model.positions.kind === 'rotary')
    qkv = x.emit(pass, {
      kind: 'rotary',
      name: `${block.name}.rotary`,
      repeat,
      deps: [qkv],
      rows: pass.rows,
      heads: heads + kv_heads,
      head_dim,
      dtype: x.dtypes.stream,
    });
  const sources = qkv === projected ? [qkv] : [qkv, projected];
  if (block.cached) sources.push(appendToCache(x, pass, block.name, repeat, pass.rows, sources));
  const attended = pass.steps.flatMap((groups, step) =>
    groups.map((lengths) =>
      attend(x, pass, {
        name: `${block.name}.core${suffix(pass, groups, lengths)}`,
        repeat: block.layers,
        deps: block.bias ? [...sources, block.bias[step]!] : sources,
        lengths,
        causal: block.causal,
        window: x.model.attention.window ?? 0,
        bias: block.bias !== undefined,
        cached: block.cached,
      }),
    ),
  );
  return project(x, pass, block.name, repeat, attended, block.residual);
}

/** Keys and values of `rows` tokens into the cache. */
export function appendToCache(
  x: Expansion,
  pass: Pass,
  name: string,
  repeat: number,
  rows: number,
  deps: readonly string[],
): string {
  return x.emit(pass, {
    kind: 'kv_append',
    name: `${name}.kv_append`,
    repeat,
    deps: [...deps],
    rows,
    cols: 2 * x.shard.kv_heads * x.model.attention.head_dim,
    dtype: x.dtypes.stream,
    kv: x.dtypes.kv,
  });
}

interface Attend {
  readonly name: string;
  readonly repeat: number;
  readonly deps: readonly string[];
  readonly lengths: Lengths;
  readonly causal: boolean;
  readonly window: number;
  readonly bias: boolean;
  readonly cached: boolean;
}

export function attend(x: Expansion, pass: Pass, a: Attend): string {
  const { batch, q_len, kv_len, kv_lens } = a.lengths;
  if (x.training?.attention === 'unfused') return unfused(x, pass, a);
  return x.emit(pass, {
    kind: 'attention',
    name: a.name,
    repeat: a.repeat,
    deps: [...a.deps],
    batch,
    heads: x.shard.heads,
    kv_heads: x.shard.kv_heads,
    q_len,
    kv_len,
    head_dim: x.model.attention.head_dim,
    causal: a.causal,
    window: a.window,
    ...(kv_lens ? { kv_lens: [...kv_lens] } : {}),
    ...(a.bias ? { relative_bias: true } : {}),
    ...(a.cached ? { cached: true } : {}),
    ...(x.training ? { statistics: true } : {}),
    q: x.dtypes.stream,
    kv: a.cached ? x.dtypes.kv : x.dtypes.stream,
    o: productInput(x),
  });
}

/** Scores, softmax with the scale and mask in it, and values, all keys of every query. */
function unfused(x: Expansion, pass: Pass, a: Attend): string {
  const { batch, q_len, kv_len } = a.lengths;
  const { head_dim } = x.model.attention;
  const { heads } = x.shard;
  const { stream } = x.dtypes;
  const product = (name: string, deps: string[], n: number, k: number) =>
    x.emit(pass, {
      kind: 'matmul',
      name: `${a.name}.${name}`,
      repeat: a.repeat,
      deps,
      batch: batch * heads,
      m: q_len,
      n,
      k,
      a: stream,
      b: stream,
      c: stream,
      accumulate: accumulator(stream, stream),
      weights: false,
      bias: false,
      activation: 'none',
      residual: false,
    });
  const weights = x.emit(pass, {
    kind: 'softmax',
    name: `${a.name}.softmax`,
    repeat: a.repeat,
    deps: [product('scores', a.deps.slice(0, 1), kv_len, head_dim)],
    rows: batch * heads * q_len,
    cols: kv_len,
    dtype: stream,
  });
  return product('values', [weights, ...a.deps.slice(-1)], head_dim, kv_len);
}

/** Back to the stream. */
export function project(
  x: Expansion,
  pass: Pass,
  name: string,
  repeat: number,
  attended: readonly string[],
  residual: string,
): string {
  const out = linear(x, pass, {
    name: `${name}.out_proj`,
    repeat,
    deps: [...attended, residual],
    rows: pass.rows,
    k: x.shard.heads * x.model.attention.head_dim,
    n: x.model.hidden,
    bias: x.model.attention.out_bias,
    residual: true,
  });
  return allReduce(x, pass, { name: `${name}.all_reduce`, repeat, deps: [out] }, pass.rows);
}

/** Tells apart the steps of a pass by their longest context, and the groups of a ragged step by their length. */
function suffix(pass: Pass, groups: readonly Lengths[], lengths: Lengths): string {
  const longest = Math.max(...groups.map((g) => g.kv_len));
  return `${pass.steps.length > 1 ? `@${longest}` : ''}${groups.length > 1 ? `#${lengths.kv_len}` : ''}`;
}
