/**
 * One pass over the keys on an array of processing elements (FuseMax: Nayak et al., MICRO'24): keys of a block down the
 * rows, queries across the columns, so that the scores, their maximum, exponentials and weighted values of a block are
 * made where they lie, while the lanes correct what earlier blocks left. Tensors as in the paper: scores QK, local and
 * running maximum LM and RM, numerators SLN, their sum SLD, weighted values SLNV; corrections PRM, SPD, SPNV; running
 * denominator RD and numerator RNV.
 */

import { InfeasibleError } from '../../base/errors.js';
import type { ResourceGraph } from '../../machine/graph.js';
import { add, ceilDiv, copy, loop, map, mapFn, min, mma, mul, type Program, reduce, sub, tile } from '../ir.js';
import type { Kernel, Launch, ParamDef, Params } from '../kernel.js';
import { ADD, MAX, MOVE, MUL, ZERO } from '../math.js';
import { fusedNest } from '../nest-fused.js';
import {
  arrayRejects,
  attentionRanks,
  CAUSAL,
  cascadeFor,
  DIV,
  divisorUpTo,
  EXP2_SUB,
  J,
  matrixSides,
  onArrays,
  outerRanks,
  P,
  queriesOf,
  sumsOf,
} from './attention_array.js';
import { ATTENTION_MATH, ATTENTION_SHAPE, type Attention, attentionOp, attentionReference } from './attention_op.js';

const PARAMS = {
  bq: {
    description: 'queries of a tile: columns',
    values: Array.from({ length: 1024 }, (_, i) => i + 1),
    default: 256,
  },
  bkv: { description: 'keys of a block: rows', values: Array.from({ length: 1024 }, (_, i) => i + 1), default: 256 },
  interleave: {
    description: '1: tiles of queries take turns, so that none waits for its maximum',
    values: [0, 1],
    default: 1,
  },
} as const satisfies Record<string, ParamDef>;
type Sizes = Params & Record<keyof typeof PARAMS, number>;

/** Where the running maximum starts: below every score. */
const START = mapFn('start', 0, -1e30);

/** Sums that leave the array's edge into the lanes. */
const DIRECT: ReadonlySet<string> = new Set(['SLNV']);

/** Stages of an epoch where the array does all that is as large as the scores (the paper's figure of its pipeline). */
const INTERLEAVED = [
  ['QS', 'QK', 'QM', 'LM', 'RD', 'RNV', 'o'],
  ['RM'],
  ['SLN', 'SLD', 'PRM', 'SPD'],
  ['SLNV', 'SPNV'],
] as const;
/** The same for one tile at a time: its numerator is brought up to date before the next block. */
const ALONE = [
  ['QS', 'QK', 'QM', 'LM', 'RD', 'o'],
  ['RM'],
  ['SLN', 'SLD', 'PRM', 'SPD'],
  ['SLNV', 'SPNV', 'RNV'],
] as const;

export const attention_one_pass: Kernel<'attention'> = {
  name: 'attention_one_pass',
  family: 'attention',
  math: `${ATTENTION_MATH}, one pass on an array of processing elements`,
  op: 'attention',
  shape: ATTENTION_SHAPE,
  params: PARAMS,
  toOp: attentionOp,
  rejects(op, machine) {
    // causal: tiles of queries differ in how many blocks of keys they see, and in nothing else
    if (op.causal && op.kv_len < op.q_len) return 'queries before the first key';
    return arrayRejects({ ...op, causal: false }, machine);
  },
  *candidates(op, machine) {
    const { x, y } = matrixSides(machine);
    const bq = op.causal ? divisorUpTo(op.q_len, x) : Math.min(x, op.q_len);
    const bkv = divisorUpTo(op.kv_len, y);
    if (bkv > 1) for (const interleave of [1, 0]) yield { bq, bkv, interleave };
  },
  build(op, params, machine): readonly Launch[] {
    const { bq, bkv, interleave } = params as Sizes;
    if (op.causal && (op.q_len % bq !== 0 || op.kv_len % bkv !== 0))
      throw new InfeasibleError(`causal attention: bq ${bq} and bkv ${bkv} must divide ${op.q_len} and ${op.kv_len}`);
    const program = programOf(op, bq, bkv, machine);
    const cascade = cascadeFor(program);
    const { queries, keys, block } = attentionRanks(cascade);
    const wide = machine.units.some((u) => u.id === machine.arrays![0]!.unit && u.math['exp2'] && u.math['max']);
    const nest = fusedNest(cascade, machine, {
      outer: outerRanks(cascade),
      across: queries,
      width: bq,
      down: keys,
      ...(block && { block }),
      direct: DIRECT,
      ...(wide && { stages: interleave ? INTERLEAVED : ALONE }),
      interleaved: interleave === 1,
    });
    return [{ program, mapping: { ...onArrays(machine), nest } }];
  },
  reference: attentionReference,
};

function programOf(op: Attention, bq: number, bkv: number, machine: ResourceGraph): Program {
  const acc = sumsOf(op, machine)!;
  const d = op.head_dim;
  const { q, k, v, o, tq, qs, one, grid, queries, results, keys, scale } = queriesOf(op, acc, bq);
  const tk = tile('tk', 'shared', op.kv, bkv, d, 2);
  const tv = tile('tv', 'shared', op.kv, bkv, d, 2);
  const QK = tile('QK', 'register', acc, bq, bkv);
  const QM = op.causal ? { ...tile('QM', 'register', acc, bq, bkv), reuses: 'QK' } : QK;
  const SLN = tile('SLN', 'register', op.kv, bq, bkv);
  const SLNV = tile('SLNV', 'register', acc, bq, d);
  const SPNV = tile('SPNV', 'register', acc, bq, d);
  const RNV = tile('RNV', 'register', acc, bq, d);
  const AV = tile('AV', 'register', op.o, bq, d);
  const [LM, RM, was, PRM, SLD, SPD, RD] = ['LM', 'RM', 'was', 'PRM', 'SLD', 'SPD', 'RD'].map(one);
  const at = mul(J, bkv);
  // the place of a tile's first query, and the end of the keys that its last one sees
  const first = add(op.kv_len - op.q_len, mul(P, bq));
  const end = op.causal ? min(add(first, bq), op.kv_len) : op.kv_len;
  return {
    name: `attention_one_pass[${bq}x${bkv}x${d}]`,
    tensors: [q, k, v, o],
    tiles: [
      tq,
      qs,
      tk,
      tv,
      QK,
      ...(op.causal ? [QM] : []),
      SLN,
      SLNV,
      SPNV,
      RNV,
      AV,
      LM!,
      RM!,
      was!,
      PRM!,
      SLD!,
      SPD!,
      RD!,
    ],
    grid,
    body: [
      copy(queries, tq),
      scale,
      map(START, [], RM!),
      map(ZERO, [], RD!),
      map(ZERO, [], RNV),
      loop(J, 0, ceilDiv(end, bkv), [
        copy(keys(k, at), tk),
        copy(keys(v, at), tv),
        map(ZERO, [], QK),
        mma(qs, tk, QK, { tb: true }),
        ...(op.causal ? [map(CAUSAL, [QK], QM, [sub(first, at)])] : []),
        reduce('max', 1, QM, LM!),
        map(MOVE, [RM!], was!),
        map(MAX, [RM!, LM!], RM!),
        map(EXP2_SUB, [QM, RM!], SLN),
        reduce('sum', 1, SLN, SLD!),
        map(EXP2_SUB, [was!, RM!], PRM!),
        map(MUL, [RD!, PRM!], SPD!),
        map(ADD, [SLD!, SPD!], RD!),
        map(ZERO, [], SLNV),
        mma(SLN, tv, SLNV),
        map(MUL, [RNV, PRM!], SPNV),
        map(ADD, [SLNV, SPNV], RNV),
      ]),
      map(DIV, [RNV, RD!], AV),
      copy(AV, results),
    ],
  };
}
