/**
 * The backward pass in two sweeps without additions in memory: workgroups that keep a tile of queries walk the keys for dQ
 * (and take D = rowsum(dO∘O) on the way), then workgroups that keep a block of keys walk the queries for dK and dV (the
 * order of Triton's tutorial kernel; deterministic). Scores and dP are computed in both, so that seven products are done
 * where one sweep does five.
 */
import { copy, map, mma, reduce, type Tile, view } from '../ir.js';
import type { Kernel, Launch, Params } from '../kernel.js';
import { MUL, ZERO } from '../math.js';
import { backwardMapping, gradientScale, gradientTile, pairOf } from './attention_backward_core.js';
import {
  type AttentionBackward,
  attentionBackwardOp,
  attentionBackwardReference,
  BACKWARD_MATH,
  BACKWARD_SHAPE,
  backwardRejects,
  backwardRoute,
  backwardTensors,
  forwardOf,
} from './attention_backward_op.js';
import { BACKWARD_PARAMS, backwardBlocks } from './attention_backward_params.js';
import { sweepLaunch } from './attention_backward_sweep.js';
import { maskOf } from './attention_mask.js';
import type { Route } from './attention_route.js';
import { keyLoops, keyView, rowsOf } from './attention_rows.js';

const PARAMS = {
  ...BACKWARD_PARAMS,
  sq: { ...BACKWARD_PARAMS.bq, description: 'queries a workgroup keeps in the sweep for dQ', default: 128 },
  skv: { ...BACKWARD_PARAMS.bkv, description: 'keys of a block in the sweep for dQ', default: 64 },
} as const;
type P = Params & Record<keyof typeof PARAMS, number>;

export const attention_backward_two_sweeps: Kernel<'attention_backward'> = {
  name: 'attention_backward_two_sweeps',
  family: 'attention_backward',
  math: `${BACKWARD_MATH}, a sweep over the keys for dQ and one over the queries for dK and dV`,
  op: 'attention_backward',
  shape: BACKWARD_SHAPE,
  params: PARAMS,
  toOp: attentionBackwardOp,
  rejects: backwardRejects,
  *candidates(op, machine) {
    for (const p of backwardBlocks(op, machine)) yield { ...p, sq: p['bkv']!, skv: p['bq']! };
  },
  build(op, params, machine) {
    const p = params as P;
    const route = backwardRoute(op, machine)!;
    return [queriesLaunch(op, route, p), sweepLaunch(op, route, p)];
  },
  reference: attentionBackwardReference,
};

/** dQ and D; grid [query tiles, heads, batch], keys walked inside. */
function queriesLaunch(op: AttentionBackward, route: Route, p: P): Launch {
  const forward = forwardOf(op);
  const { head_dim: d } = op;
  const z = { bq: p.sq, bkv: p.skv, stages: p.stages, groups: p.groups };
  const t = backwardTensors(op, route.acc);
  const rows = rowsOf(forward, z.bq, false);
  const pair = pairOf(op, route, z, 'keys', false);
  const dq = gradientTile('tdq', op, route, z.bq, z.groups);
  // needed for D alone, before dQ is
  const o: Tile = { ...gradientTile('to', op, route, z.bq, z.groups), reuses: 'tdq' };
  const mask = maskOf(rows, route.acc);
  const at = [rows.b, rows.r0, rows.head, 0];
  const row = [rows.b, rows.head, rows.r0];
  return {
    program: {
      name: `attention_backward_dq[${z.bq}x${z.bkv}x${d},s${z.stages}]`,
      tensors: [t.q, t.k, t.v, t.o, t.dO, t.sums, t.deltas, t.dq],
      tiles: [...pair.tiles, dq, o, ...mask.tiles],
      grid: rows.grid,
      body: [
        copy(view(t.q, at, [1, 3]), pair.q),
        copy(view(t.dO, at, [1, 3]), pair.dO),
        copy(view(t.o, at, [1, 3]), o),
        copy(view(t.sums, row, [2, -1]), pair.sums),
        pair.negateSums,
        map(MUL, [o, pair.dO], o),
        reduce('sum', 1, o, pair.deltas),
        copy(pair.deltas, view(t.deltas, row, [2, -1])),
        ...mask.setup,
        map(ZERO, [], dq),
        ...keyLoops(rows, z.bkv, (masked) => [
          copy(keyView(rows, t.k, z.bkv), pair.k),
          copy(keyView(rows, t.v, z.bkv), pair.v),
          ...pair.weights(masked ? mask.apply(pair.scores, z.bkv) : []),
          ...pair.gradient,
          mma(pair.ds, pair.k, dq),
        ]),
        map(gradientScale(d), [dq], dq),
        copy(dq, view(t.dq, at, [1, 3])),
      ],
    },
    mapping: backwardMapping(op, route, z),
  };
}
