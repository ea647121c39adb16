/**
 * Attention as frameworks run it without a fused kernel, each step an op that passes its N × N result through memory:
 * S = QKᵀ, mask, softmax, dropout, O = PV; backward dV = PᵀdO, dP = dOVᵀ, dropout, the softmax's gradient
 * P∘(dP − rowsum), mask, dQ = dS·K, dK = dSᵀ·Q (Dao et al. 2022, appendix B).
 */
import { InputError } from '../base/errors.js';
import type { ElementwiseFn, Op, OpOf, Trace } from '../workload/op.js';

export interface Steps {
  readonly backward: boolean;
  readonly mask: boolean;
  readonly dropout: boolean;
}

export function standardAttention(a: OpOf<'attention'>, steps: Steps): Trace {
  if (a.kv_heads !== a.heads) throw new InputError('every head has keys of its own here', 'standard_attention');
  const batch = a.batch * a.heads;
  const ops: Op[] = [];
  const head = (name: string) => ({
    id: name,
    name,
    repeat: 1,
    deps: ops.length > 0 ? [ops.at(-1)!.id] : [],
  });
  const product = (name: string, m: number, n: number, k: number) =>
    ops.push({
      kind: 'matmul',
      ...head(name),
      batch,
      m,
      n,
      k,
      a: a.q,
      b: a.kv,
      c: a.o,
      accumulate: 'fp32',
      weights: false,
      bias: false,
      activation: 'none',
      residual: false,
    });
  const scores = batch * a.q_len * a.kv_len;
  const each = (name: string, fn: ElementwiseFn) =>
    ops.push({ kind: 'elementwise', ...head(name), fn, n: scores, dtype: a.q });
  const { q_len: q, kv_len: kv, head_dim: d } = a;
  product('scores', q, kv, d);
  if (steps.mask) each('mask', 'scale');
  ops.push({ kind: 'softmax', ...head('softmax'), rows: batch * q, cols: kv, dtype: a.q });
  // the kept entries are remembered as a tensor of their own, read with the weights
  if (steps.dropout) each('dropout', 'mul');
  product('values', q, d, kv);
  if (steps.backward) {
    product('dV', kv, d, q);
    product('dP', q, kv, d);
    if (steps.dropout) each('dropout_gradient', 'mul');
    each('softmax_gradient', 'mul');
    if (steps.mask) each('mask_gradient', 'scale');
    product('dQ', q, d, kv);
    product('dK', kv, d, q);
  }
  return {
    name: `standard attention${steps.backward ? ', forward and backward' : ''}`,
    source: { kind: 'standard attention' },
    ops,
    devices: 1,
    footprint_B: { weights: 0, kv_cache: 0, activations: 0 },
    parameters: 0,
  };
}
