/**
 * Attention with whole rows of scores: a tile of queries meets all keys, then the softmax passes over the rows three
 * times (maximum, exponentials and their sum, division) while the array is at the next tile (FLAT: Kao et al.,
 * ASPLOS'23). Rows stay in the shared store where they fit; otherwise they, or the blocks of keys for which there is no
 * room, wait in the home store.
 */

import { bytesOf } from '../../base/dtype.js';
import type { ResourceGraph } from '../../machine/graph.js';
import { tileStoreOf } from '../../machine/graph.js';
import { type Program, tile } from '../ir.js';
import type { Kernel, Launch, ParamDef, Params } from '../kernel.js';
import { fusedNest } from '../nest-fused.js';
import {
  arrayRejects,
  attentionRanks,
  cascadeFor,
  matrixSides,
  onArrays,
  outerRanks,
  sumsOf,
  wholeRows,
} from './attention_array.js';
import { ATTENTION_MATH, ATTENTION_SHAPE, type Attention, attentionOp, attentionReference } from './attention_op.js';

const PARAMS = {
  bq: {
    description: 'queries of a tile: columns',
    values: Array.from({ length: 1024 }, (_, i) => i + 1),
    default: 256,
  },
  tiles: { description: 'tiles that share the keys they fetch; FLAT tries up to four', values: [1, 2, 4], default: 1 },
  spill: {
    description: '1: scores wait in the home store; 2: those of keys for which there is no room do',
    values: [0, 1, 2],
    default: 0,
  },
} as const satisfies Record<string, ParamDef>;
type Sizes = Params & Record<keyof typeof PARAMS, number>;

export const attention_rows_kept: Kernel<'attention'> = {
  name: 'attention_rows_kept',
  family: 'attention',
  math: `${ATTENTION_MATH}, whole rows of scores kept on an array of processing elements`,
  op: 'attention',
  shape: ATTENTION_SHAPE,
  params: PARAMS,
  toOp: attentionOp,
  rejects: arrayRejects,
  *candidates(op, machine) {
    const bq = Math.min(matrixSides(machine).x, op.q_len);
    const fits = rowsThatFit(op, machine);
    if (fits > 1) yield { bq: Math.min(bq, fits), tiles: 1, spill: 0 };
    const waits = shareThatWaits(op, bq, machine);
    if (fits < bq && waits < 1) yield { bq, tiles: 1, spill: 2 };
    for (const tiles of PARAMS.tiles.values) if (tiles * bq <= op.q_len) yield { bq, tiles, spill: 1 };
  },
  build(op, params, machine): readonly Launch[] {
    const { bq, tiles, spill } = params as Sizes;
    const program = programOf(op, bq, machine);
    const cascade = cascadeFor(program);
    const { queries, keys } = attentionRanks(cascade);
    const nest = fusedNest(cascade, machine, {
      outer: outerRanks(cascade),
      across: queries,
      width: bq,
      down: keys,
      group: tiles,
      spill: spill === 1,
      ...(spill === 2 && { waits: shareThatWaits(op, bq, machine) }),
      interleaved: true,
    });
    return [{ program, mapping: { ...onArrays(machine), nest } }];
  },
  reference: attentionReference,
};

/** Rows of scores that the shared store holds beside a block of keys and values and the rows' queries. */
function rowsThatFit(op: Attention, machine: ResourceGraph): number {
  const acc_B = bytesOf(sumsOf(op, machine)!);
  const blocks_B = 2 * matrixSides(machine).y * op.head_dim * bytesOf(op.kv);
  const row_B = op.kv_len * acc_B + op.head_dim * bytesOf(op.q) + 2 * acc_B;
  return Math.floor((tileStoreOf(machine)!.capacity_B - blocks_B) / row_B);
}

/** Of the blocks of keys, those whose scores have no room in the shared store; 1: none has. */
function shareThatWaits(op: Attention, bq: number, machine: ResourceGraph): number {
  const { y } = matrixSides(machine);
  const acc_B = bytesOf(sumsOf(op, machine)!);
  const beside_B = 2 * y * op.head_dim * bytesOf(op.kv) + bq * (op.head_dim * bytesOf(op.q) + 2 * acc_B);
  const fit = Math.floor((tileStoreOf(machine)!.capacity_B - beside_B) / (bq * y * acc_B));
  return Math.max(0, 1 - Math.max(0, fit) / Math.ceil(op.kv_len / y));
}

function programOf(op: Attention, bq: number, machine: ResourceGraph): Program {
  const acc = sumsOf(op, machine)!;
  const { head_dim: d, kv_len } = op;
  const { q, k, v, o, grid, tiles, scores, softmax, values } = wholeRows(op, acc, bq);
  const QK = tile('QK', 'shared', acc, bq, kv_len);
  const SN = { ...tile('SN', 'shared', acc, bq, kv_len), reuses: 'QK' };
  const A = { ...tile('A', 'shared', op.kv, bq, kv_len), reuses: 'QK' };
  return {
    name: `attention_rows_kept[${bq}x${kv_len}x${d}]`,
    tensors: [q, k, v, o],
    tiles: [...tiles.scores, QK, SN, A, ...tiles.softmax, ...tiles.values],
    grid,
    body: [...scores(QK), ...softmax(QK, SN, A), ...values(A)],
  };
}
