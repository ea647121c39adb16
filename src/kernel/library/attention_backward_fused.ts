/**
 * The backward pass in one sweep (FlashAttention-2, Dao 2023, algorithm 2): each workgroup keeps a block of keys and values
 * with their gradients and walks the queries that see it; dQ is summed in memory by atomic additions. A launch before it
 * takes D = rowsum(dO∘O) and clears the sums, one after it scales them and writes dQ. Sums are padded to whole tiles of
 * queries, as FlashAttention pads them.
 */
import type { ResourceGraph } from '../../machine/graph.js';
import { copy, map, mul, reduce, type Tensor, tensor, tile, view } from '../ir.js';
import type { Kernel, Launch, Params } from '../kernel.js';
import { MUL, ZERO } from '../math.js';
import { BATCH, gradientScale, HEAD, QUERIES } from './attention_backward_core.js';
import {
  type AttentionBackward,
  attentionBackwardOp,
  attentionBackwardReference,
  BACKWARD_MATH,
  BACKWARD_SHAPE,
  backwardRejects,
  backwardRoute,
  backwardTensors,
} from './attention_backward_op.js';
import { BACKWARD_PARAMS, backwardBlocks } from './attention_backward_params.js';
import { sweepLaunch } from './attention_backward_sweep.js';
import type { Route } from './attention_route.js';
import { ceil } from './dims.js';
import { vectorMapping } from './lanes.js';

type P = Params & Record<keyof typeof BACKWARD_PARAMS, number>;

export const attention_backward_fused: Kernel<'attention_backward'> = {
  name: 'attention_backward_fused',
  family: 'attention_backward',
  math: `${BACKWARD_MATH}, one sweep over the keys, dQ by atomic additions`,
  op: 'attention_backward',
  shape: BACKWARD_SHAPE,
  params: BACKWARD_PARAMS,
  toOp: attentionBackwardOp,
  rejects: backwardRejects,
  candidates: (op, machine) => backwardBlocks(op, machine),
  build(op, params, machine) {
    const p = params as P;
    const route = backwardRoute(op, machine)!;
    const padded = ceil(op.q_len, p.bq) * p.bq;
    const dqSums = tensor('dq_sums', route.acc, [op.batch, op.heads, padded, op.head_dim], 'scratch', 'activation');
    return [
      prepare(op, route, p, machine, dqSums),
      sweepLaunch(op, route, p, dqSums),
      finish(op, route, p, machine, dqSums),
    ];
  },
  reference: attentionBackwardReference,
};

/** Most rows of queries in a workgroup of the launches before and after the sweep, and their lane groups. */
const STREAM_ROWS = 32;
const STREAM_GROUPS = 4;

/** D of each row; sums of dQ cleared. */
function prepare(op: AttentionBackward, route: Route, p: P, machine: ResourceGraph, dqSums: Tensor): Launch {
  const { o, dO, deltas } = backwardTensors(op, route.acc);
  const { head_dim: d } = op;
  const n = Math.min(STREAM_ROWS, p.bq);
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
function finish(op: AttentionBackward, route: Route, p: P, machine: ResourceGraph, dqSums: Tensor): Launch {
  const { dq } = backwardTensors(op, route.acc);
  const { head_dim: d } = op;
  const n = Math.min(STREAM_ROWS, p.bq);
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
