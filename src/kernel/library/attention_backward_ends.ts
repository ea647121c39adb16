/** What runs before and after a sweep that sums dQ in memory: D = rowsum(dO∘O) and cleared sums; dQ from the sums. */
import type { ResourceGraph } from '../../machine/graph.js';
import { copy, map, mul, reduce, type Tensor, tensor, tile, view } from '../ir.js';
import type { Launch } from '../kernel.js';
import { MUL, ZERO } from '../math.js';
import { BATCH, gradientScale, HEAD, QUERIES } from './attention_backward_core.js';
import { type AttentionBackward, backwardTensors } from './attention_backward_op.js';
import type { Route } from './attention_route.js';
import { ceil } from './dims.js';
import { vectorMapping } from './lanes.js';

/** Sums of dQ, padded to whole tiles of `bq` queries as FlashAttention pads them. */
export const queryGradientSums = (op: AttentionBackward, route: Route, bq: number): Tensor =>
  tensor('dq_sums', route.acc, [op.batch, op.heads, ceil(op.q_len, bq) * bq, op.head_dim], 'scratch', 'activation');

/** Most rows of queries in a workgroup of the launches before and after the sweep, and their lane groups. */
const STREAM_ROWS = 32;
const STREAM_GROUPS = 4;

/** D of each row; sums of dQ cleared. */
export function prepare(
  op: AttentionBackward,
  route: Route,
  bq: number,
  machine: ResourceGraph,
  dqSums: Tensor,
): Launch {
  const { o, dO, deltas } = backwardTensors(op, route.acc);
  const { head_dim: d } = op;
  const n = Math.min(STREAM_ROWS, bq);
  const to = tile('to', 'register', route.acc, n, d);
  const tdo = tile('tdo', 'register', route.acc, n, d);
  const delta = tile('delta', 'register', route.acc, n, 1);
  const r0 = mul(QUERIES, n);
  return {
    program: {
      name: `attention_deltas[${n}x${d}]`,
      tensors: [o, dO, deltas, dqSums],
      tiles: [to, tdo, delta],
      grid: [
        { index: QUERIES, extent: ceil(dqSums.dims[2]!, n) },
        { index: HEAD, extent: op.heads },
        { index: BATCH, extent: op.batch },
      ],
      body: [
        copy(view(o, [BATCH, r0, HEAD, 0], [1, 3]), to),
        copy(view(dO, [BATCH, r0, HEAD, 0], [1, 3]), tdo),
        map(MUL, [to, tdo], to),
        reduce('sum', 1, to, delta),
        copy(delta, view(deltas, [BATCH, HEAD, r0], [2, -1])),
        map(ZERO, [], to),
        copy(to, view(dqSums, [BATCH, HEAD, r0, 0], [2, 3])),
      ],
    },
    mapping: vectorMapping(machine, STREAM_GROUPS, n),
  };
}

/** dQ from its sums. */
export function finish(
  op: AttentionBackward,
  route: Route,
  bq: number,
  machine: ResourceGraph,
  dqSums: Tensor,
): Launch {
  const { dq } = backwardTensors(op, route.acc);
  const { head_dim: d } = op;
  const n = Math.min(STREAM_ROWS, bq);
  const t = tile('tdq', 'register', route.acc, n, d);
  const r0 = mul(QUERIES, n);
  return {
    program: {
      name: `attention_dq[${n}x${d}]`,
      tensors: [dqSums, dq],
      tiles: [t],
      grid: [
        { index: QUERIES, extent: ceil(op.q_len, n) },
        { index: HEAD, extent: op.heads },
        { index: BATCH, extent: op.batch },
      ],
      body: [
        copy(view(dqSums, [BATCH, HEAD, r0, 0], [2, 3], { limit: [op.q_len, undefined] }), t),
        map(gradientScale(d), [t], t),
        copy(t, view(dq, [BATCH, r0, HEAD, 0], [1, 3])),
      ],
    },
    mapping: vectorMapping(machine, STREAM_GROUPS, n),
  };
}
