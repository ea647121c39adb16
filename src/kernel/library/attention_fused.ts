/**
 * One pass over the keys with an online softmax (FlashAttention-2, Dao 2023): scores never leave the core.
 * Each workgroup keeps a tile of queries and walks the blocks of keys; those at the mask's edge apart from the rest.
 */
import type { Program } from '../ir.js';
import type { Kernel, Params } from '../kernel.js';
import { coreOf, statisticsOf } from './attention_core.js';
import { ATTENTION_MATH, ATTENTION_SHAPE, attentionOp, attentionReference } from './attention_op.js';
import { ATTENTION_PARAMS, ATTENTION_VECTOR, ATTENTION_WIDEST, tileCandidates } from './attention_params.js';
import { attentionMapping, attentionRejects, routeOf } from './attention_route.js';
import { keyLoops, queryTensor, rowsOf, storeRows } from './attention_rows.js';

const PARAMS = {
  ...ATTENTION_PARAMS,
  vector: ATTENTION_VECTOR,
  widest: ATTENTION_WIDEST,
  scaled: {
    description: '1: scores are scaled by themselves, and exponentials are of base e; 0: one multiply–add before exp2',
    values: [0, 1],
    default: 0,
  },
} as const;
type P = Params & Record<keyof typeof PARAMS, number>;

export const attention_fused: Kernel<'attention'> = {
  name: 'attention_fused',
  family: 'attention',
  math: `${ATTENTION_MATH}, one pass with online softmax`,
  op: 'attention',
  shape: ATTENTION_SHAPE,
  params: PARAMS,
  toOp: attentionOp,
  rejects: (op, machine) => attentionRejects(op, machine, true),
  candidates: (op, machine) => tileCandidates(op, machine, [1, 2, 3]).map((c) => ({ ...c, vector: 0 })),
  build(op, params, machine) {
    const { bq, bkv, stages, groups, pack, vector, widest, scaled } = params as P;
    const route = routeOf(op, machine, vector === 1, widest || undefined)!;
    const rows = rowsOf(op, bq, pack === 1 && !op.statistics);
    const core = coreOf(op, route, rows, { bq, bkv, stages, groups, scaled: scaled === 1 });
    const o = queryTensor(rows, 'o', op.o, 'output', [], [op.head_dim]);
    const sums = statisticsOf(op, rows, core, route.acc);
    const program: Program = {
      name: `attention_fused[${bq}x${bkv}x${op.head_dim},s${stages}]`,
      tensors: [...core.tensors, o, ...sums.tensors],
      tiles: core.tiles,
      grid: rows.grid,
      body: [
        ...core.start,
        ...keyLoops(rows, bkv, (masked) => [
          core.loadKeys,
          core.loadValues,
          ...core.scores(masked),
          ...core.foldMax,
          ...core.accumulate,
        ]),
        ...sums.steps,
        ...core.normalise,
        storeRows(rows, core.o, o, [], core.index),
      ],
    };
    return [{ program, mapping: attentionMapping(route, groups, bq) }];
  },
  reference: attentionReference,
};
