/**
 * Attention in three phases on an array of processing elements, scores and weights in the home store between them: a
 * product, the softmax of rows in three passes, a product.
 */

import type { ResourceGraph } from '../../machine/graph.js';
import { copy, mul, type Program, tensor, tile, view } from '../ir.js';
import type { Kernel, Launch, ParamDef, Params } from '../kernel.js';
import { fusedNest } from '../nest-fused.js';
import {
  arrayRejects,
  attentionRanks,
  B,
  cascadeFor,
  H,
  matrixSides,
  onArrays,
  outerRanks,
  P,
  sumsOf,
  wholeRows,
} from './attention_array.js';
import { ATTENTION_MATH, ATTENTION_SHAPE, type Attention, attentionOp, attentionReference } from './attention_op.js';

const PARAMS = {
  bq: { description: 'queries of a tile', values: Array.from({ length: 1024 }, (_, i) => i + 1), default: 256 },
} as const satisfies Record<string, ParamDef>;
type Sizes = Params & Record<keyof typeof PARAMS, number>;

export const attention_phases: Kernel<'attention'> = {
  name: 'attention_phases',
  family: 'attention',
  math: `${ATTENTION_MATH}, three phases on an array of processing elements`,
  op: 'attention',
  shape: ATTENTION_SHAPE,
  params: PARAMS,
  toOp: attentionOp,
  rejects: arrayRejects,
  candidates: (op, machine) => [{ bq: Math.min(matrixSides(machine).x, op.q_len) }],
  build(op, params, machine): readonly Launch[] {
    const { bq } = params as Sizes;
    const mapping = onArrays(machine);
    const [scores, softmax, values] = programsOf(op, bq, machine);
    // products keep a tile of queries or sums and pass the keys; the softmax is laid like any program of rows
    const product = (program: Program): Launch => {
      const cascade = cascadeFor(program);
      const { queries, keys } = attentionRanks(cascade);
      const layout = { outer: outerRanks(cascade), across: queries, width: bq, down: keys, interleaved: true };
      return { program, mapping: { ...mapping, nest: fusedNest(cascade, machine, layout) } };
    };
    return [product(scores!), { program: softmax!, mapping }, product(values!)];
  },
  reference: attentionReference,
};

function programsOf(op: Attention, bq: number, machine: ResourceGraph): readonly Program[] {
  const acc = sumsOf(op, machine)!;
  const { head_dim: d, kv_len, batch, heads, q_len } = op;
  const { q, k, v, o, grid, tiles, ...phase } = wholeRows(op, acc, bq);
  const scores = tensor('s', acc, [batch, heads, q_len, kv_len], 'scratch', 'activation');
  const weights = tensor('a', op.kv, [batch, heads, q_len, kv_len], 'scratch', 'activation');
  const ts = tile('ts', 'shared', acc, bq, kv_len);
  const ta = tile('ta', 'shared', op.kv, bq, kv_len);
  const QK = tile('QK', 'register', acc, bq, kv_len);
  const SN = { ...tile('SN', 'shared', acc, bq, kv_len), reuses: 'ts' };
  const A = { ...tile('A', 'shared', op.kv, bq, kv_len), reuses: 'ts' };
  const rows = (t: typeof scores) => view(t, [B, H, mul(P, bq), 0], [2, 3]);
  return [
    {
      name: `attention_phases_scores[${bq}x${kv_len}x${d}]`,
      tensors: [q, k, scores],
      tiles: [...tiles.scores, QK],
      grid,
      body: [...phase.scores(QK), copy(QK, rows(scores))],
    },
    {
      name: `attention_phases_softmax[${bq}x${kv_len}]`,
      tensors: [scores, weights],
      tiles: [ts, SN, A, ...tiles.softmax],
      grid,
      body: [copy(rows(scores), ts), ...phase.softmax(ts, SN, A), copy(A, rows(weights))],
    },
    {
      name: `attention_phases_values[${bq}x${kv_len}x${d}]`,
      tensors: [weights, v, o],
      tiles: [ta, ...tiles.values],
      grid,
      body: [copy(rows(weights), ta), ...phase.values(ta)],
    },
  ];
}
