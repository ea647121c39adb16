/**
 * The backward pass in FlashAttention's first order (Dao et al. 2022, algorithm 4): one workgroup a head walks the blocks of
 * keys and, for each, the queries, whose dQ it reads, adds to and writes back. No atomic additions, but as many workgroups
 * as there are heads, and sums of dQ that pass through memory once a block of keys.
 */
import type { Kernel, Params } from '../kernel.js';
import { finish, prepare, queryGradientSums } from './attention_backward_ends.js';
import {
  attentionBackwardOp,
  attentionBackwardReference,
  BACKWARD_MATH,
  BACKWARD_SHAPE,
  backwardRejects,
  backwardRoute,
} from './attention_backward_op.js';
import { BACKWARD_PARAMS, groupsOf } from './attention_backward_params.js';
import { sweepLaunch } from './attention_backward_sweep.js';
import { FIRST_BLOCKS } from './attention_params.js';

type P = Params & Record<keyof typeof BACKWARD_PARAMS, number>;

export const attention_backward_keys_outer: Kernel<'attention_backward'> = {
  name: 'attention_backward_keys_outer',
  family: 'attention_backward',
  math: `${BACKWARD_MATH}, one workgroup a head, keys in the outer loop`,
  op: 'attention_backward',
  shape: BACKWARD_SHAPE,
  params: BACKWARD_PARAMS,
  toOp: attentionBackwardOp,
  rejects: backwardRejects,
  *candidates(op, machine) {
    const route = backwardRoute(op, machine);
    if (!route) return;
    for (const [bq, bkv] of FIRST_BLOCKS)
      for (const groups of groupsOf(op.head_dim, route)) yield { bq, bkv, stages: 1, groups };
  },
  build(op, params, machine) {
    const p = params as P;
    const route = backwardRoute(op, machine)!;
    const dqSums = queryGradientSums(op, route, p.bq);
    return [
      prepare(op, route, p.bq, machine, dqSums),
      sweepLaunch(op, route, p, dqSums, true),
      finish(op, route, p.bq, machine, dqSums),
    ];
  },
  reference: attentionBackwardReference,
};
