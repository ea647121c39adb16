/**
 * Two passes over the keys in one launch: the first finds each row's maximum, the second recomputes the scores and
 * accumulates weights and values against it, so that nothing is ever rescaled (the two-pass cascade of FuseMax,
 * Nayak et al. 2024). Keys are read twice and scores computed twice; values are read once.
 */
import type { Program } from '../ir.js';
import type { Kernel, Params } from '../kernel.js';
import { coreOf } from './attention_core.js';
import { ATTENTION_MATH, ATTENTION_SHAPE, attentionOp, attentionReference } from './attention_op.js';
import { ATTENTION_PARAMS, tileCandidates } from './attention_params.js';
import { attentionMapping, attentionRejects, routeOf } from './attention_route.js';
import { keyLoops, queryTensor, rowsOf, storeRows } from './attention_rows.js';

type P = Params & Record<keyof typeof ATTENTION_PARAMS, number>;

export const attention_two_pass: Kernel<'attention'> = {
  name: 'attention_two_pass',
  family: 'attention',
  math: `${ATTENTION_MATH}, the maximum in a first pass`,
  op: 'attention',
  shape: ATTENTION_SHAPE,
  params: ATTENTION_PARAMS,
  toOp: attentionOp,
  rejects: (op, machine) => attentionRejects(op, machine),
  candidates: (op, machine) => tileCandidates(op, machine, [1, 2]),
  build(op, params, machine) {
    const { bq, bkv, stages, groups, pack } = params as P;
    const route = routeOf(op, machine)!;
    const rows = rowsOf(op, bq, pack === 1);
    const core = coreOf(op, route, rows, { bq, bkv, stages, groups });
    const o = queryTensor(rows, 'o', op.o, 'output', [], [op.head_dim]);
    const program: Program = {
      name: `attention_two_pass[${bq}x${bkv}x${op.head_dim},s${stages}]`,
      tensors: [...core.tensors, o],
      tiles: core.tiles.filter((t) => t.name !== 'alpha'),
      grid: rows.grid,
      body: [
        ...core.start,
        ...keyLoops(rows, bkv, (masked) => [core.loadKeys, ...core.scores(masked), core.max]),
        core.fixMax,
        ...keyLoops(rows, bkv, (masked) => [
          core.loadKeys,
          core.loadValues,
          ...core.scores(masked),
          ...core.accumulate,
        ]),
        ...core.normalise,
        storeRows(rows, core.o, o, [], core.index),
      ],
    };
    return [{ program, mapping: attentionMapping(route, groups, bq) }];
  },
  reference: attentionReference,
};
