/**
 * Attention for fast memory smaller than head_dim² elements, in two launches (after Saha and Ye, arXiv 2402.07443: there
 * scores are better written out than computed again). First each tile of queries walks the keys: square tiles of
 * S = scale·Q·Kᵀ over short slices of the head are written as base-2 logarithms while the row's maximum and sum are kept
 * online. Then O = P·V in square tiles, each weight 2^(s − log₂ Σ) made where it is used. About 4N²d/√M + N² elements move,
 * where one pass moves 4N²d²/M.
 */
import { bytesOf, type DType } from '../../base/dtype.js';
import type { ResourceGraph } from '../../machine/graph.js';
import {
  copy,
  type Fx,
  type FxOp,
  loop,
  loopVar,
  map,
  mapFn,
  mma,
  mul,
  reduce,
  type Stmt,
  type Tile,
  tensor,
  tile,
  view,
} from '../ir.js';
import type { Kernel, Launch, Mapping, Params } from '../kernel.js';
import { MOVE, MUL, ZERO } from '../math.js';
import { scaleFns } from './attention_core.js';
import { MASKED, maskOf } from './attention_mask.js';
import { ATTENTION_MATH, ATTENTION_SHAPE, type Attention, attentionOp, attentionReference } from './attention_op.js';
import { attentionRejects, laneTile, type Route, routeOf, widening } from './attention_route.js';
import { J, keyLoops, rowsOf } from './attention_rows.js';
import { ceil } from './dims.js';

const SIDES = [16, 32, 64, 128, 256] as const;
const PARAMS = {
  bm: { description: 'queries of a score tile', values: SIDES, default: 64 },
  bn: { description: 'keys of a score tile', values: SIDES, default: 64 },
  bk: { description: 'slice of the head in one step', values: [16, 32, 64, 128], default: 16 },
  vm: { description: 'queries of a result tile', values: SIDES, default: 64 },
  vn: { description: 'slice of the head of a result tile', values: SIDES, default: 64 },
  vk: { description: 'keys in one step', values: [16, 32, 64, 128], default: 16 },
  stages: { description: 'buffers of both operands', values: [1, 2, 3, 4], default: 2 },
  groups: { description: 'lane groups', values: [1, 2, 4, 8], default: 4 },
} as const;
type P = Params & Record<keyof typeof PARAMS, number>;

const D = loopVar('k');
const N = loopVar('n');
const f = (op: FxOp, ...args: Fx[]): Fx => ({ f: op, args });
const x0: Fx = { in: 0 };
const x1: Fx = { in: 1 };
/** Finite in 16 bits and far below any logarithm of a weight. */
const FLOOR = mapFn('floor_masked', 1, f('max', x0, -60000));
const START_MAX = mapFn('start', 0, MASKED / 2);
const WEIGHT = mapFn('weight_base2', 2, f('exp2', f('sub', x0, x1)));
/** log₂ of the row's sum of weights, 2^m·l; past every logarithm for a row that saw no key, so that it weighs nothing. */
const LOG_SUM = mapFn('log_sum', 2, f('select', f('lt', x0, -30000), -MASKED, f('add', x0, f('log2', x1))));

/** Scores are kept at 16 bits at least. */
const scoreDType = (op: Attention): DType => (bytesOf(op.q) >= 2 ? op.q : 'bf16');
const widened = (op: Attention): Attention => ({ ...op, q: scoreDType(op) });

export const attention_small_memory: Kernel<'attention'> = {
  name: 'attention_small_memory',
  family: 'attention',
  math: `${ATTENTION_MATH}, scores through memory in square tiles`,
  op: 'attention',
  shape: ATTENTION_SHAPE,
  params: PARAMS,
  toOp: attentionOp,
  rejects: (op, machine) => attentionRejects(widened(op), machine),
  candidates,
  build(op, params, machine) {
    const p = params as P;
    const route = routeOf(widened(op), machine)!;
    return [scoresLaunch(op, p, route), valuesLaunch(op, p, route)];
  },
  reference: attentionReference,
};

const scoreTensor = (op: Attention) =>
  tensor('s', scoreDType(op), [op.batch, op.heads, op.q_len, op.kv_len], 'scratch', 'activation');
const sumTensor = (op: Attention, route: Route) =>
  tensor('log_sums', route.acc, [op.batch, op.heads, op.q_len], 'scratch', 'activation');

function mappingOf(route: Route, groups: number, rows: number): Mapping {
  const down = route.lanes > 32 ? Math.min(groups, Math.max(1, Math.floor(rows / route.m))) : groups >= 4 ? 2 : 1;
  return { lanes: groups * route.lanes, partition: [down, groups / down], resident: 0, panel: 1, mma: route.mma };
}

/** S and the log-sums of its rows; grid [query tiles, heads, batch], keys walked inside. */
function scoresLaunch(op: Attention, p: P, route: Route): Launch {
  const { head_dim: d } = op;
  const { bm, bn, bk, stages } = p;
  const rows = rowsOf(op, bm, false);
  const matrix = route.mma === 'matrix';
  const q = tensor('q', op.q, [op.batch, op.q_len, op.heads, d], 'input', 'activation');
  const k = tensor('k', op.kv, [op.batch, op.kv_len, op.kv_heads, d], 'input', 'kv');
  const s = scoreTensor(op);
  const sums = sumTensor(op, route);
  const tq = tile('tq', 'shared', route.operand, bm, bk, stages);
  const tk = tile('tk', 'shared', matrix ? op.kv : route.operand, bn, bk, stages);
  const lane = matrix ? undefined : laneTile(p.groups * route.lanes, bm, bn);
  const acc = tile('acc', 'register', route.acc, bm, bn, 1, lane);
  const one = (name: string): Tile => tile(name, 'register', route.acc, bm, 1);
  const m = one('m');
  const l = one('l');
  const alpha = one('alpha');
  const mask = maskOf(rows, route.acc);
  const widen = widening(op, route, tk);
  const fns = scaleFns(d);
  const tensors = [q, k, s, sums];
  const tiles = [tq, tk, acc, m, l, alpha, ...widen.tiles, ...mask.tiles];
  const bias: Stmt[] = [];
  if (op.relative_bias) {
    const t = tensor('bias', op.q, [op.heads, op.q_len, op.kv_len], 'input', 'weight');
    const tb = tile('tb', 'register', op.q, bm, bn);
    tensors.push(t);
    tiles.push(tb);
    bias.push(copy(view(t, [rows.head, rows.r0, mul(J, bn)], [1, 2]), tb), map(fns.bias, [acc, tb], acc));
  }
  const block = (masked: boolean): readonly Stmt[] => [
    map(ZERO, [], acc),
    loop(D, 0, ceil(d, bk), [
      copy(view(q, [rows.b, rows.r0, rows.head, mul(D, bk)], [1, 3]), tq),
      copy(view(k, [rows.b, mul(J, bn), rows.kvHead, mul(D, bk)], [1, 3]), tk),
      ...widen.steps,
      mma(tq, widen.out, acc, { tb: true }),
    ]),
    ...bias,
    map(fns.scale, [acc], acc),
    ...(masked ? [...mask.apply(acc, bn), map(FLOOR, [acc], acc)] : []),
    copy(acc, view(s, [rows.b, rows.head, rows.r0, mul(J, bn)], [2, 3])),
    map(MOVE, [m], alpha),
    reduce('max', 1, acc, m, true),
    map(WEIGHT, [alpha, m], alpha),
    map(MUL, [l, alpha], l),
    map(WEIGHT, [acc, m], acc),
    reduce('sum', 1, acc, l, true),
  ];
  return {
    program: {
      name: `attention_small_scores[${bm}x${bn}x${bk},s${stages}]`,
      tensors,
      tiles,
      grid: rows.grid,
      body: [
        ...mask.setup,
        map(START_MAX, [], m),
        map(ZERO, [], l),
        ...keyLoops(rows, bn, block),
        map(LOG_SUM, [m, l], l),
        copy(l, view(sums, [rows.b, rows.head, rows.r0], [2, -1])),
      ],
    },
    mapping: mappingOf(route, p.groups, bm),
  };
}

/** O[q, slice of d] over the keys that the tile's rows see; grid [slices, query tiles, heads, batch]. */
function valuesLaunch(op: Attention, p: P, route: Route): Launch {
  const { head_dim: d } = op;
  const { vm, vn, vk, stages } = p;
  const rows = rowsOf(op, vm, false);
  const matrix = route.mma === 'matrix';
  const s = scoreTensor(op);
  const sums = sumTensor(op, route);
  const v = tensor('v', op.kv, [op.batch, op.kv_len, op.kv_heads, d], 'input', 'kv');
  const o = tensor('o', op.o, [op.batch, op.q_len, op.heads, d], 'output', 'activation');
  const ts = tile('ts', 'shared', scoreDType(op), vm, vk, stages);
  const tv = tile('tv', 'shared', matrix ? op.kv : route.operand, vk, vn, stages);
  // weights take the operands' format; scores of that format make way for them
  const inPlace = scoreDType(op) === route.operand;
  const tp = inPlace ? ts : tile('tp', 'shared', route.operand, vm, vk);
  const sum = tile('log_sum', 'register', route.acc, vm, 1);
  const lane = matrix ? undefined : laneTile(p.groups * route.lanes, vm, vn);
  const acc = tile('acc', 'register', route.acc, vm, vn, 1, lane);
  const mask = maskOf(rows, route.acc);
  const widen = widening(op, route, tv);
  return {
    program: {
      name: `attention_small_values[${vm}x${vn}x${vk},s${stages}]`,
      tensors: [s, sums, v, o],
      tiles: [ts, tv, sum, acc, ...(inPlace ? [] : [tp]), ...widen.tiles, ...mask.tiles],
      grid: [{ index: N, extent: ceil(d, vn) }, ...rows.grid],
      body: [
        map(ZERO, [], acc),
        copy(view(sums, [rows.b, rows.head, rows.r0], [2, -1]), sum),
        ...mask.setup,
        ...keyLoops(rows, vk, (masked) => [
          copy(view(s, [rows.b, rows.head, rows.r0, mul(J, vk)], [2, 3]), ts),
          copy(view(v, [rows.b, mul(J, vk), rows.kvHead, mul(N, vn)], [1, 3]), tv),
          // the first launch left out tiles that its own rows do not see
          ...(masked ? [...mask.apply(ts, vk), map(FLOOR, [ts], ts)] : []),
          map(WEIGHT, [ts, sum], tp),
          ...widen.steps,
          mma(tp, widen.out, acc),
        ]),
        copy(acc, view(o, [rows.b, rows.r0, rows.head, mul(N, vn)], [1, 3])),
      ],
    },
    mapping: mappingOf(route, p.groups, vm),
  };
}

/** Square tiles of three sizes: a machine with much fast memory runs the one-pass kernel instead. */
function candidates(op: Attention, machine: ResourceGraph): Params[] {
  const route = routeOf(widened(op), machine);
  if (!route) return [];
  const sides = route.m >= 64 ? [64, 128] : [32, 64, 128];
  return sides.map((side) => ({
    bm: side,
    bn: side,
    bk: 16,
    vm: side,
    vn: Math.min(side, Math.max(16, 2 ** Math.ceil(Math.log2(op.head_dim)))),
    vk: 16,
    stages: 2,
    groups: route.lanes > 32 ? Math.max(1, Math.min(2, side / route.m)) : 4,
  }));
}
