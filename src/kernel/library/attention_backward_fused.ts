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
import { BACKWARD_PARAMS, backwardBlocks } from './attention_backward_params.js';
import { sweepLaunch } from './attention_backward_sweep.js';

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
    const dqSums = queryGradientSums(op, route, p.bq);
    return [
      prepare(op, route, p.bq, machine, dqSums),
      sweepLaunch(op, route, p, dqSums),
      finish(op, route, p.bq, machine, dqSums),
    ];
  },
  reference: attentionBackwardReference,
};
