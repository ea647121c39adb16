/**
 * Attention as an op: softmax(Q·Kᵀ/√d + mask)·V per batch and head. Tensors: q, o [batch, q_len, heads, head_dim];
 * k, v [batch, kv_len, kv_heads, head_dim]; with a relative bias also bias [heads, q_len, kv_len] (the table of
 * relative positions laid out, as libraries do once for all layers). Queries are the last q_len of kv_len positions.
 * With `statistics` also log_sums [batch, heads, q_len], log₂ Σ e^score of each row, from which the backward pass
 * computes the weights again.
 */
import type { DType } from '../../base/dtype.js';
import { InputError } from '../../base/errors.js';
import type { OpOf } from '../../workload/op.js';
import { opHead, readShape } from './dims.js';

export type Attention = OpOf<'attention'>;

export const ATTENTION_MATH = 'O = softmax(Q·Kᵀ/√d + mask)·V per batch and head';

export const ATTENTION_SHAPE = {
  batch: { description: 'sequences', default: 1 },
  heads: { description: 'query heads' },
  kv_heads: { description: 'key/value heads; as many as heads when absent', default: 0 },
  q_len: { description: 'queries per sequence' },
  kv_len: { description: 'keys per sequence; as many as queries when absent', default: 0 },
  head_dim: { description: 'width of a head' },
  causal: { description: '1: a query sees no later key', default: 0 },
  window: { description: 'keys a query sees at most; 0: all', default: 0 },
  statistics: { description: '1: also writes log₂ of each row’s sum of weights', default: 0 },
} as const;

export function attentionOp(shape: Readonly<Record<string, number>>, dtype: DType): Attention {
  const s = readShape('attention', ATTENTION_SHAPE, shape, ['kv_heads', 'kv_len', 'causal', 'window', 'statistics']);
  const kv_heads = s.kv_heads || s.heads;
  if (s.heads % kv_heads !== 0)
    throw new InputError(`heads ${s.heads} is no multiple of kv_heads ${kv_heads}`, 'attention --shape');
  if (s.causal > 1) throw new InputError(`'causal' is ${s.causal}, expected 0 or 1`, 'attention --shape');
  return {
    kind: 'attention',
    ...opHead('attention'),
    batch: s.batch,
    heads: s.heads,
    kv_heads,
    q_len: s.q_len,
    kv_len: s.kv_len || s.q_len,
    head_dim: s.head_dim,
    causal: s.causal === 1,
    window: s.window,
    ...(s.statistics ? { statistics: true } : {}),
    q: dtype,
    kv: dtype,
    o: dtype.startsWith('fp8') ? 'bf16' : dtype,
  };
}

/** Keys [from, to) that query i of a sequence of `kv` keys sees; `window` keys around it when not causal. */
export function visible(
  op: Pick<Attention, 'q_len' | 'causal' | 'window'>,
  kv: number,
  i: number,
): [from: number, to: number] {
  const at = kv - op.q_len + i;
  if (op.causal) return [op.window > 0 ? Math.max(0, at - op.window + 1) : 0, Math.max(0, at + 1)];
  if (op.window === 0 || op.window >= kv) return [0, kv];
  const from = Math.min(Math.max(at - Math.floor(op.window / 2), 0), kv - op.window);
  return [from, from + op.window];
}

/** The logarithm of a row that sees no key: past every other, so that its scores weigh nothing. */
export const NO_KEY = 1e30;

/** Plain loops in fp64. A query that sees no key gives 0. */
export function attentionReference(
  op: Attention,
  inputs: Readonly<Record<string, Float64Array>>,
): Record<string, Float64Array> {
  const { q, k, v, bias } = inputs as Record<'q' | 'k' | 'v' | 'bias', Float64Array>;
  const { heads, kv_heads, head_dim: d, q_len } = op;
  const group = heads / kv_heads;
  const o = new Float64Array(op.batch * q_len * heads * d);
  const log_sums = new Float64Array(op.batch * heads * q_len);
  for (let b = 0; b < op.batch; b++) {
    const kv = op.kv_lens?.[b] ?? op.kv_len;
    for (let h = 0; h < heads; h++)
      for (let i = 0; i < q_len; i++) {
        const [from, to] = visible(op, kv, i);
        const at = ((b * q_len + i) * heads + h) * d;
        const key = (j: number) => ((b * op.kv_len + j) * kv_heads + Math.floor(h / group)) * d;
        const scores: number[] = [];
        for (let j = from; j < to; j++) {
          let s = 0;
          for (let x = 0; x < d; x++) s += q[at + x]! * k[key(j) + x]!;
          s /= Math.sqrt(d);
          if (op.relative_bias) s += bias[(h * q_len + i) * op.kv_len + j]!;
          scores.push(s);
        }
        const top = Math.max(...scores);
        let sum = 0;
        for (const s of scores) sum += Math.exp(s - top);
        log_sums[(b * heads + h) * q_len + i] = scores.length > 0 ? top * Math.LOG2E + Math.log2(sum) : NO_KEY;
        for (const [n, s] of scores.entries())
          for (let x = 0; x < d; x++) o[at + x]! += (Math.exp(s - top) / sum) * v[key(from + n) + x]!;
      }
  }
  return op.statistics ? { o, log_sums } : { o };
}
