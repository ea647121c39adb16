/**
 * Decode attention split over the context (flash-decoding, Dao et al. 2023): each of `splits` workgroups attends to a
 * part of the keys and leaves its unscaled result, maximum and sum in scratch; a second launch combines them.
 * `vector` runs the products on lanes, as decode kernels without matrix instructions do when few rows share keys.
 */

import type { ResourceGraph } from '../../machine/graph.js';
import { copy, type Fx, type FxOp, loopVar, map, mapFn, type Program, reduce, tensor, tile, view } from '../ir.js';
import type { Kernel, Launch, Params } from '../kernel.js';
import { MUL } from '../math.js';
import { coreOf, INVERT } from './attention_core.js';
import { ATTENTION_MATH, ATTENTION_SHAPE, type Attention, attentionOp, attentionReference } from './attention_op.js';
import {
  ATTENTION_PARAMS,
  ATTENTION_VECTOR,
  ATTENTION_WIDEST,
  keyBlocks,
  packs,
  queryTiles,
} from './attention_params.js';
import { attentionMapping, attentionRejects, type Route, routeOf } from './attention_route.js';
import { keyLoops, queryTensor, rowsOf, storeRows } from './attention_rows.js';
import { ceil } from './dims.js';
import { vectorMapping } from './lanes.js';

const SPLITS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128] as const;
const PARAMS = {
  ...ATTENTION_PARAMS,
  splits: { description: 'parts of the context', values: SPLITS, default: 4 },
  vector: ATTENTION_VECTOR,
  widest: ATTENTION_WIDEST,
} as const;
type P = Params & Record<keyof typeof PARAMS, number>;

/** Rows (queries times heads that share keys) up to which products on lanes keep up with the keys' arrival. */
const VECTOR_ROWS = 8;

const S = loopVar('split');
const R = loopVar('row');
const f = (op: FxOp, ...args: Fx[]): Fx => ({ f: op, args });
/** From −m·c of a part and the least of them: 2^(m·c − max m·c). */
const PART_WEIGHT = mapFn('part_weight', 2, f('exp2', f('sub', { in: 1 }, { in: 0 })));

export const attention_split: Kernel<'attention'> = {
  name: 'attention_split',
  family: 'attention',
  math: `${ATTENTION_MATH}, parts of the context in parallel, then combined`,
  op: 'attention',
  shape: ATTENTION_SHAPE,
  params: PARAMS,
  toOp: attentionOp,
  rejects: attentionRejects,
  candidates,
  build(op, params, machine) {
    const { bq, bkv, stages, groups, pack, splits, vector, widest } = params as P;
    const route = routeOf(op, machine, vector === 1, widest || undefined)!;
    const rows = rowsOf(op, bq, pack === 1);
    const core = coreOf(op, route, rows, { bq, bkv, stages, groups });
    const parts = queryTensor(rows, 'o_part', route.acc, 'scratch', [splits], [op.head_dim]);
    const maxima = queryTensor(rows, 'm_part', route.acc, 'scratch', [splits], []);
    const sums = queryTensor(rows, 'l_part', route.acc, 'scratch', [splits], []);
    const program: Program = {
      name: `attention_split[${bq}x${bkv}x${op.head_dim},s${stages},${splits}]`,
      tensors: [...core.tensors, parts, maxima, sums],
      tiles: core.tiles,
      grid: [{ index: S, extent: splits }, ...rows.grid],
      body: [
        ...core.start,
        ...keyLoops(
          rows,
          bkv,
          (masked) => [core.loadKeys, core.loadValues, ...core.scores(masked), ...core.foldMax, ...core.accumulate],
          { at: S, of: splits },
        ),
        storeRows(rows, core.o, parts, [S], core.index),
        storeRows(rows, core.nmc, maxima, [S], core.index),
        storeRows(rows, core.l, sums, [S], core.index),
      ],
    };
    return [{ program, mapping: attentionMapping(route, groups, bq) }, combine(op, route, splits, machine)];
  },
  reference: attentionReference,
};

/** One workgroup a row: all parts at once, weighted by their maxima. Scratch m_part holds −m·c. */
function combine(op: Attention, route: Route, splits: number, machine: ResourceGraph): Launch {
  const { head_dim: d } = op;
  const { acc } = route;
  const rows = op.batch * op.q_len * op.heads;
  const o_part = tensor('o_part', acc, [splits, rows, d], 'scratch', 'activation');
  const m_part = tensor('m_part', acc, [splits, rows], 'scratch', 'activation');
  const l_part = tensor('l_part', acc, [splits, rows], 'scratch', 'activation');
  const o = tensor('o', op.o, [rows, d], 'output', 'activation');
  const parts = tile('parts', 'register', acc, splits, d);
  const w = tile('w', 'register', acc, splits, 1);
  const l = tile('l', 'register', acc, splits, 1);
  const least = tile('least', 'register', acc, 1, 1);
  const sum = tile('sum', 'register', acc, 1, 1);
  const out = tile('out', 'register', acc, 1, d);
  const program: Program = {
    name: `attention_combine[${splits}x${d}]`,
    tensors: [o_part, m_part, l_part, o],
    tiles: [parts, w, l, least, sum, out],
    grid: [{ index: R, extent: rows }],
    body: [
      copy(view(m_part, [0, R], [0, -1]), w),
      copy(view(l_part, [0, R], [0, -1]), l),
      copy(view(o_part, [0, R, 0], [0, 2]), parts),
      reduce('min', 0, w, least),
      map(PART_WEIGHT, [w, least], w),
      map(MUL, [l, w], l),
      reduce('sum', 0, l, sum),
      map(INVERT, [sum], sum),
      map(MUL, [parts, w], parts),
      reduce('sum', 0, parts, out),
      map(MUL, [out, sum], out),
      copy(out, view(o, [R, 0], [-1, 1])),
    ],
  };
  // 16 bytes a lane of one row, the parts along the lane groups
  const groups = Math.min(8, Math.max(1, ceil((splits * d) / 4, 16 * machine.cores.lane_group)));
  return { program, mapping: vectorMapping(machine, groups, splits) };
}

/**
 * Splits that give the cores between half a wave and eight workgroups each, at most four of them; none when there are
 * more queries than a few tiles, where one pass fills the machine by itself.
 */
function* candidates(op: Attention, machine: ResourceGraph): Iterable<Params> {
  const pack = packs(op);
  const group = pack ? op.heads / op.kv_heads : 1;
  const shared = op.q_len * group;
  for (const vector of shared <= VECTOR_ROWS ? [0, 1] : [0]) {
    const route = routeOf(op, machine, vector === 1);
    if (!route || (vector === 0 && route.mma === 'vector' && shared <= VECTOR_ROWS)) continue;
    const bq = queryTiles(shared, op.head_dim, route)[0]!;
    const workgroups = ceil(shared, bq) * (op.heads / group) * op.batch;
    const { count } = machine.cores;
    const useful = SPLITS.filter(
      (s) => s > 1 && s <= ceil(op.kv_len, 32) && workgroups * s >= count / 2 && workgroups * s <= 8 * count,
    );
    const most = SPLITS.filter((s) => s > 1 && s <= ceil(op.kv_len, 32)).slice(-1);
    const few = useful.length ? spread(useful, 4) : workgroups < count ? most : [];
    const blocks = route.mma === 'vector' ? [16, 32, 64] : [64, 128, 256];
    for (const bkv of op.head_dim <= 128 ? blocks : keyBlocks(op.head_dim, route))
      for (const splits of few)
        for (const stages of [2, 3])
          yield {
            bq,
            bkv,
            stages,
            groups: op.head_dim > 256 ? (route.lanes > 32 ? 2 : 8) : route.lanes > 32 ? 1 : 4,
            pack: pack ? 1 : 0,
            splits,
            vector,
          };
  }
}

/** At most n of the values, ends included, evenly spaced. */
const spread = (values: readonly number[], n: number): readonly number[] =>
  values.length <= n
    ? values
    : Array.from({ length: n }, (_, i) => values[Math.round((i * (values.length - 1)) / (n - 1))]!);
