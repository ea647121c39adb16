/**
 * The backward pass of attention as an op: with S = Q·Kᵀ/√d + mask, P = softmax(S), and dO given,
 * dV = Pᵀ·dO, dP = dO·Vᵀ, dS = P∘(dP − D) with D = rowsum(dO∘O) = rowsum(P∘dP), dQ = dS·K/√d, dK = dSᵀ·Q/√d
 * (Dao et al. 2022, appendix B.4). Tensors: q, o, do, dq [batch, q_len, heads, d]; k, v, dk, dv [batch, kv_len,
 * kv_heads, d]; log_sums [batch, heads, q_len], log₂ Σ e^S of each row. o and log_sums are what the forward pass wrote for
 * these q, k and v: kernels differ in which of them they use.
 */
import { bytesOf, type DType } from '../../base/dtype.js';
import { InputError } from '../../base/errors.js';
import { mathRateOf, type ResourceGraph } from '../../machine/graph.js';
import type { OpOf } from '../../workload/op.js';
import { type Tensor, tensor } from '../ir.js';
import { ATTENTION_SHAPE, type Attention, visible } from './attention_op.js';
import { attentionRejects, routeOf } from './attention_route.js';
import { opHead, readShape } from './dims.js';

export type AttentionBackward = OpOf<'attention_backward'>;

export const BACKWARD_MATH = 'dV = Pᵀ·dO, dS = P∘(dO·Vᵀ − rowsum(dO∘O)), dQ = dS·K/√d, dK = dSᵀ·Q/√d';

const { statistics: _, ...SHAPE } = ATTENTION_SHAPE;
export const BACKWARD_SHAPE = SHAPE;

export function attentionBackwardOp(shape: Readonly<Record<string, number>>, dtype: DType): AttentionBackward {
  const place = 'attention_backward --shape';
  const s = readShape('attention_backward', BACKWARD_SHAPE, shape, ['kv_heads', 'kv_len', 'causal', 'window']);
  const kv_heads = s.kv_heads || s.heads;
  if (s.heads % kv_heads !== 0) throw new InputError(`heads ${s.heads} is no multiple of kv_heads ${kv_heads}`, place);
  if (s.causal > 1) throw new InputError(`'causal' is ${s.causal}, expected 0 or 1`, place);
  return {
    kind: 'attention_backward',
    ...opHead('attention_backward'),
    batch: s.batch,
    heads: s.heads,
    kv_heads,
    q_len: s.q_len,
    kv_len: s.kv_len || s.q_len,
    head_dim: s.head_dim,
    causal: s.causal === 1,
    window: s.window,
    dtype,
  };
}

const forwards = new WeakMap<AttentionBackward, Attention>();
/** The forward pass that it is the backward of. */
export function forwardOf(op: AttentionBackward): Attention {
  let forward = forwards.get(op);
  if (!forward) {
    const { dtype, ...rest } = op;
    forward = { ...rest, kind: 'attention', statistics: true, q: dtype, kv: dtype, o: dtype };
    forwards.set(op, forward);
  }
  return forward;
}

export const backwardRoute = (op: AttentionBackward, machine: ResourceGraph) => routeOf(forwardOf(op), machine);

export function backwardRejects(op: AttentionBackward, machine: ResourceGraph): string | undefined {
  if (bytesOf(op.dtype) < 2)
    return `gradients in ${op.dtype} would lose their small values; 16 bits are the least here`;
  if (op.window > 0 && op.window < op.kv_len && !op.causal)
    return 'windows around a query are of the forward pass alone';
  const why = attentionRejects(forwardOf(op), machine, true);
  if (why !== undefined) return why;
  const { acc } = backwardRoute(op, machine)!;
  return mathRateOf(machine, 'fma', acc) ? undefined : `${machine.name} has no multiply–adds for ${acc}`;
}

/** Every tensor of the op, by name; statistics and scratch sums in the accumulators' format. */
export function backwardTensors(op: AttentionBackward, acc: DType) {
  const queries = [op.batch, op.q_len, op.heads, op.head_dim];
  const keys = [op.batch, op.kv_len, op.kv_heads, op.head_dim];
  const rows = [op.batch, op.heads, op.q_len];
  const of = (name: string, dims: readonly number[], role: Tensor['role'], dtype = op.dtype): Tensor =>
    tensor(name, dtype, dims, role, 'activation');
  return {
    q: of('q', queries, 'input'),
    k: tensor('k', op.dtype, keys, 'input', 'kv'),
    v: tensor('v', op.dtype, keys, 'input', 'kv'),
    o: of('o', queries, 'input'),
    dO: of('do', queries, 'input'),
    sums: of('log_sums', rows, 'input', acc),
    dq: of('dq', queries, 'output'),
    dk: of('dk', keys, 'output'),
    dv: of('dv', keys, 'output'),
    /** D, the row sums of dO∘O. */
    deltas: of('deltas', rows, 'scratch', acc),
  };
}
export type BackwardTensors = ReturnType<typeof backwardTensors>;

/** Plain loops in fp64. */
export function attentionBackwardReference(
  op: AttentionBackward,
  inputs: Readonly<Record<string, Float64Array>>,
): Record<string, Float64Array> {
  const { q, k, v, log_sums } = inputs as Record<'q' | 'k' | 'v' | 'log_sums', Float64Array>;
  const dO = inputs['do']!;
  const { batch, heads, kv_heads, head_dim: d, q_len, kv_len } = op;
  const group = heads / kv_heads;
  const scale = 1 / Math.sqrt(d);
  const dq = new Float64Array(q.length);
  const dk = new Float64Array(k.length);
  const dv = new Float64Array(v.length);
  const dot = (a: Float64Array, i: number, b: Float64Array, j: number): number => {
    let sum = 0;
    for (let x = 0; x < d; x++) sum += a[i + x]! * b[j + x]!;
    return sum;
  };
  for (let b = 0; b < batch; b++)
    for (let h = 0; h < heads; h++)
      for (let i = 0; i < q_len; i++) {
        const row = ((b * q_len + i) * heads + h) * d;
        const sum = log_sums[(b * heads + h) * q_len + i]!;
        const [from, to] = visible(op, kv_len, i);
        const key = (j: number): number => ((b * kv_len + j) * kv_heads + Math.floor(h / group)) * d;
        const p = (j: number): number => 2 ** (dot(q, row, k, key(j)) * scale * Math.LOG2E - sum);
        const dp = (j: number): number => dot(dO, row, v, key(j));
        let delta = 0;
        for (let j = from; j < to; j++) delta += p(j) * dp(j);
        for (let j = from; j < to; j++) {
          const weight = p(j);
          const ds = weight * (dp(j) - delta) * scale;
          const at = key(j);
          for (let x = 0; x < d; x++) {
            dv[at + x]! += weight * dO[row + x]!;
            dq[row + x]! += ds * k[at + x]!;
            dk[at + x]! += ds * q[row + x]!;
          }
        }
      }
  return { dq, dk, dv };
}
