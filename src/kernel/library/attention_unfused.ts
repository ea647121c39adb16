/**
 * Three launches, as frameworks run attention without a fused kernel: S = Q·Kᵀ scaled and masked to scratch, the softmax
 * of its rows in place, O = P·V. S takes the queries' dtype (16 bits at least) and holds base-2 logarithms.
 * Blocks that the mask hides wholly are not multiplied (in either product), but S is written and read in full.
 */
import { bytesOf, type DType } from '../../base/dtype.js';
import type { ResourceGraph } from '../../machine/graph.js';
import {
  add,
  ceilDiv,
  copy,
  div,
  type Expr,
  type Fx,
  loop,
  loopVar,
  map,
  mapFn,
  max,
  min,
  mma,
  mul,
  type Stmt,
  sub,
  tensor,
  tile,
  view,
} from '../ir.js';
import type { Kernel, Launch, Mapping, Params } from '../kernel.js';
import { ZERO } from '../math.js';
import { scaleFns } from './attention_core.js';
import { maskOf } from './attention_mask.js';
import { ATTENTION_MATH, ATTENTION_SHAPE, type Attention, attentionOp, attentionReference } from './attention_op.js';
import { attentionRejects, laneTile, type Route, routeOf, widening } from './attention_route.js';
import { J, type Rows, rowsOf } from './attention_rows.js';
import { ceil } from './dims.js';
import { GROUPS, groupsParam, rowCandidates, vectorMapping } from './lanes.js';
import { softmaxProgram } from './softmax_rows.js';

const PARAMS = {
  bm: { description: 'rows of a tile of either product', values: [16, 32, 64, 128, 256], default: 128 },
  bn: { description: 'columns of a tile of either product', values: [16, 32, 64, 128, 256], default: 128 },
  bk: { description: 'depth of a block of either product', values: [16, 32, 64, 128], default: 32 },
  stages: { description: 'buffers of both operands', values: [1, 2, 3, 4], default: 3 },
  groups: { description: 'lane groups of the products', values: [1, 2, 4, 8], default: 4 },
  rows: { description: 'rows a workgroup of the softmax', values: [1, 2, 4, 8, 16, 32], default: 1 },
  block: {
    description: 'columns the softmax holds at a time; 0: whole rows',
    values: [0, 2048, 4096, 8192],
    default: 0,
  },
  softmax_groups: { ...groupsParam, values: GROUPS, default: 4 },
} as const;
type P = Params & Record<keyof typeof PARAMS, number>;

const D = loopVar('k');
const N = loopVar('n');
/** Keeps masked scores finite in 16 bits: −60 000 is representable in fp16 and far below any logarithm of a weight. */
const x0: Fx = { in: 0 };
const FLOOR = mapFn('floor_masked', 1, { f: 'max', args: [x0, -60000] });

/** S and its products run at 16 bits at least. */
const scoreDType = (op: Attention): DType => (bytesOf(op.q) >= 2 ? op.q : 'bf16');

export const attention_unfused: Kernel<'attention'> = {
  name: 'attention_unfused',
  family: 'attention',
  math: `${ATTENTION_MATH}, in three launches through memory`,
  op: 'attention',
  shape: ATTENTION_SHAPE,
  params: PARAMS,
  toOp: attentionOp,
  rejects: (op, machine) => attentionRejects({ ...op, q: scoreDType(op) }, machine),
  candidates,
  build(op, params, machine) {
    const p = params as P;
    const route = routeOf({ ...op, q: scoreDType(op) }, machine)!;
    const rows = rowsOf(op, p.bm, false);
    const softmax = softmaxProgram({
      name: 'attention_softmax',
      ...scratch(op),
      dtype: scoreDType(op),
      rows: op.batch * op.heads * op.q_len,
      cols: op.kv_len,
      rows_per: p.rows,
      block: p.block,
      masked_base2: true,
    });
    return [
      scoresLaunch(op, p, route, rows),
      { program: softmax, mapping: vectorMapping(machine, p.softmax_groups, p.rows) },
      valuesLaunch(op, p, route, rows),
    ];
  },
  reference: attentionReference,
};

function scratch(op: Attention) {
  const s = tensor('s', scoreDType(op), [op.batch * op.heads * op.q_len, op.kv_len], 'scratch', 'activation');
  return { from: s, to: s };
}
const scoreTensor = (op: Attention) =>
  tensor('s', scoreDType(op), [op.batch, op.heads, op.q_len, op.kv_len], 'scratch', 'activation');

function mappingOf(route: Route, groups: number, bm: number): Mapping {
  const down = route.lanes > 32 ? Math.min(groups, Math.max(1, Math.floor(bm / route.m))) : groups >= 4 ? 2 : 1;
  return { lanes: groups * route.lanes, partition: [down, groups / down], resident: 0, panel: 1, mma: route.mma };
}

/** S[q, kv] = scale·Q·Kᵀ (+ bias), masked; grid [key tiles, query tiles, heads, batch]. */
function scoresLaunch(op: Attention, p: P, route: Route, rows: Rows): Launch {
  const { head_dim: d } = op;
  const { bm, bn, bk, stages } = p;
  const matrix = route.mma === 'matrix';
  const q = tensor('q', op.q, [op.batch, op.q_len, op.heads, d], 'input', 'activation');
  const k = tensor('k', op.kv, [op.batch, op.kv_len, op.kv_heads, d], 'input', 'kv');
  const s = scoreTensor(op);
  const tq = tile('tq', 'shared', route.operand, bm, bk, stages);
  const tk = tile('tk', 'shared', matrix ? op.kv : route.operand, bn, bk, stages);
  const acc = tile(
    'acc',
    'register',
    route.acc,
    bm,
    bn,
    1,
    matrix ? undefined : laneTile(p.groups * route.lanes, bm, bn),
  );
  const widen = widening(op, route, tk);
  const mask = maskOf(rows, route.acc);
  const masks = !rows.uniform || rows.window > 0 || rows.ragged;
  const fns = scaleFns(d);
  const tensors = [q, k, s];
  const tiles = [tq, tk, acc, ...widen.tiles, ...(masks ? mask.tiles : [])];
  const bias: Stmt[] = [];
  if (op.relative_bias) {
    const t = tensor('bias', op.q, [op.heads, op.q_len, op.kv_len], 'input', 'weight');
    const tb = tile('tb', 'register', op.q, bm, bn);
    tensors.push(t);
    tiles.push(tb);
    bias.push(copy(view(t, [rows.head, rows.r0, mul(J, bn)], [1, 2]), tb), map(fns.bias, [acc, tb], acc));
  }
  const steps = ceil(d, bk);
  // 1 when some row sees some key of this tile
  const positive = (e: Expr): Expr => min(max(e, 0), 1);
  const seen: Expr = masks
    ? mul(positive(sub(rows.end, mul(J, bn))), positive(sub(mul(add(J, 1), bn), rows.begin)))
    : 1;
  return {
    program: {
      name: `attention_scores[${bm}x${bn}x${bk},s${stages}]`,
      tensors,
      tiles,
      grid: [{ index: J, extent: ceil(op.kv_len, bn) }, ...rows.grid],
      body: [
        map(ZERO, [], acc),
        loop(D, 0, mul(seen, steps), [
          copy(view(q, [rows.b, rows.r0, rows.head, mul(D, bk)], [1, 3]), tq),
          copy(view(k, [rows.b, mul(J, bn), rows.kvHead, mul(D, bk)], [1, 3]), tk),
          ...widen.steps,
          mma(tq, widen.out, acc, { tb: true }),
        ]),
        ...bias,
        map(fns.scale, [acc], acc),
        ...(masks ? [...mask.setup, ...mask.apply(acc, bn), map(FLOOR, [acc], acc)] : []),
        copy(acc, view(s, [rows.b, rows.head, rows.r0, mul(J, bn)], [2, 3])),
      ],
    },
    mapping: mappingOf(route, p.groups, bm),
  };
}

/** O[q, d] = P·V over the keys that the tile's rows see; grid [head tiles, query tiles, heads, batch]. */
function valuesLaunch(op: Attention, p: P, route: Route, rows: Rows): Launch {
  const { head_dim: d } = op;
  const { bm, bk, stages } = p;
  const bn = Math.min(p.bn, 16 * ceil(d, 16));
  const matrix = route.mma === 'matrix';
  const s = scoreTensor(op);
  const v = tensor('v', op.kv, [op.batch, op.kv_len, op.kv_heads, d], 'input', 'kv');
  const o = tensor('o', op.o, [op.batch, op.q_len, op.heads, d], 'output', 'activation');
  const tp = tile('tp', 'shared', route.operand, bm, bk, stages);
  const tv = tile('tv', 'shared', matrix ? op.kv : route.operand, bk, bn, stages);
  const acc = tile(
    'acc',
    'register',
    route.acc,
    bm,
    bn,
    1,
    matrix ? undefined : laneTile(p.groups * route.lanes, bm, bn),
  );
  const widen = widening(op, route, tv);
  return {
    program: {
      name: `attention_values[${bm}x${bn}x${bk},s${stages}]`,
      tensors: [s, v, o],
      tiles: [tp, tv, acc, ...widen.tiles],
      grid: [{ index: N, extent: ceil(d, bn) }, ...rows.grid],
      body: [
        map(ZERO, [], acc),
        loop(J, div(rows.begin, bk), ceilDiv(rows.end, bk), [
          copy(view(s, [rows.b, rows.head, rows.r0, mul(J, bk)], [2, 3]), tp),
          copy(view(v, [rows.b, mul(J, bk), rows.kvHead, mul(N, bn)], [1, 3]), tv),
          ...widen.steps,
          mma(tp, widen.out, acc),
        ]),
        copy(acc, view(o, [rows.b, rows.r0, rows.head, mul(N, bn)], [1, 3])),
      ],
    },
    mapping: mappingOf(route, p.groups, bm),
  };
}

/** A few tiles of each size, each with the narrowest and widest sensible softmax. */
function candidates(op: Attention, machine: ResourceGraph): Params[] {
  const route = routeOf({ ...op, q: scoreDType(op) }, machine);
  if (!route) return [];
  const tiles =
    route.m >= 64
      ? [
          [128, 128],
          [128, 256],
          [64, 128],
          [64, 64],
        ]
      : route.mma === 'vector'
        ? [
            [64, 64],
            [128, 64],
            [128, 128],
            [16, 64],
          ]
        : [
            [128, 128],
            [64, 128],
            [64, 64],
            [16, 64],
          ];
  // score matrices this large always lose to fused kernels: one choice each is enough to show by how much
  const large = op.q_len * op.kv_len > 2 ** 22;
  const all = rowCandidates(op.batch * op.heads * op.q_len, op.kv_len, machine, scoreDType(op));
  const softmaxes = [...new Set(large ? [all[0]] : [all[0], all[all.length >> 1], all.at(-1)])].filter(
    (c) => c !== undefined,
  );
  const out: Params[] = [];
  for (const [bm, bn] of (large ? tiles.slice(0, 1) : tiles) as [number, number][])
    for (const bk of route.mma === 'vector' ? [16] : large ? [64] : [32, 64])
      for (const stages of large ? [3] : [2, 3])
        for (const { rows, groups, block } of softmaxes)
          out.push({
            bm,
            bn,
            bk,
            stages,
            groups: route.lanes > 32 ? Math.max(1, Math.min(2, bm / route.m)) : bm * bn >= 16384 ? 8 : 4,
            rows: rows!,
            block: block!,
            softmax_groups: groups!,
          });
  return out;
}
