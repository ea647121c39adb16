/**
 * The backward pass as frameworks run it without a fused kernel (Dao et al. 2022, algorithm 3), each N × N matrix through
 * memory: P from Q, K and the rows' sums; dV = Pᵀ·dO; dP = dO·Vᵀ; dS = P∘(dP − rowsum(P∘dP)) in the place of dP;
 * dQ = dS·K; dK = dSᵀ·Q. With square tiles it is also the schedule for fast memory smaller than head_dim²
 * (Li et al., arXiv 2410.09397). Tiles that the mask hides wholly are written as zeros, not multiplied.
 */
import type { ResourceGraph } from '../../machine/graph.js';
import {
  add,
  ceilDiv,
  copy,
  div,
  type Expr,
  type GridDim,
  loop,
  loopVar,
  map,
  mapFn,
  max,
  min,
  mma,
  mul,
  reduce,
  type Stmt,
  sub,
  type Tensor,
  type Tile,
  tensor,
  tile,
  type View,
  view,
} from '../ir.js';
import type { Kernel, Launch, Mapping, Params } from '../kernel.js';
import { MUL, ZERO } from '../math.js';
import { BATCH, f, gradientScale, HEAD, KEYS, memberHead, memberLoop, queryBlocks } from './attention_backward_core.js';
import {
  type AttentionBackward,
  attentionBackwardOp,
  attentionBackwardReference,
  BACKWARD_MATH,
  BACKWARD_SHAPE,
  type BackwardTensors,
  backwardRejects,
  backwardRoute,
  backwardTensors,
  forwardOf,
} from './attention_backward_op.js';
import { scaleFns } from './attention_core.js';
import { maskOf } from './attention_mask.js';
import { laneTile, type Route } from './attention_route.js';
import { J, type Rows, rowsOf } from './attention_rows.js';
import { ceil } from './dims.js';
import { GROUPS, groupsParam, rowCandidates, vectorMapping } from './lanes.js';

const SIDES = [16, 32, 64, 128, 256] as const;
const PARAMS = {
  bm: { description: 'queries of a tile of P and dP', values: SIDES, default: 128 },
  bn: { description: 'keys of a tile of P and dP', values: SIDES, default: 128 },
  bk: { description: 'slice of the head in one step', values: [16, 32, 64, 128], default: 32 },
  vm: { description: 'queries or keys of a tile of a gradient', values: SIDES, default: 128 },
  vn: { description: 'slice of the head of a tile of a gradient', values: SIDES, default: 64 },
  vk: { description: 'keys or queries in one step', values: [16, 32, 64, 128], default: 32 },
  stages: { description: 'buffers of both operands', values: [1, 2, 3, 4], default: 3 },
  groups: { description: 'lane groups of the products', values: [1, 2, 4, 8], default: 4 },
  rows: { description: 'rows a workgroup of the softmax’s gradient', values: [1, 2, 4, 8, 16, 32], default: 1 },
  block: { description: 'columns it holds at a time; 0: whole rows', values: [0, 1024, 2048, 4096, 8192], default: 0 },
  softmax_groups: { ...groupsParam, values: GROUPS, default: 4 },
} as const;
type P = Params & Record<keyof typeof PARAMS, number>;

const D = loopVar('k');
const N = loopVar('n');
const I = loopVar('i');
const C = loopVar('c');
/** −log₂ Σ */
const NEGATE = mapFn('negate', 1, f('sub', 0, { in: 0 }));
/** P∘(dP − D); operands P, dP, D */
const GRADIENT = mapFn('score_gradient', 3, f('mul', { in: 0 }, f('sub', { in: 1 }, { in: 2 })));

export const attention_backward_unfused: Kernel<'attention_backward'> = {
  name: 'attention_backward_unfused',
  family: 'attention_backward',
  math: `${BACKWARD_MATH}, in six launches through memory`,
  op: 'attention_backward',
  shape: BACKWARD_SHAPE,
  params: PARAMS,
  toOp: attentionBackwardOp,
  rejects: backwardRejects,
  candidates,
  build(op, params, machine) {
    const p = params as P;
    const route = backwardRoute(op, machine)!;
    const plan = planOf(op, p, route);
    const { t, weights, gradients } = plan;
    return [
      squareLaunch(plan, 'weights', t.q, t.k, weights),
      ofKeys(plan, 'dv', weights, t.dO, t.dv),
      squareLaunch(plan, 'dp', t.dO, t.v, gradients),
      softmaxGradient(plan, machine),
      ofQueries(plan),
      ofKeys(plan, 'dk', gradients, t.q, t.dk),
    ];
  },
  reference: attentionBackwardReference,
};

interface Plan {
  readonly op: AttentionBackward;
  readonly p: P;
  readonly route: Route;
  readonly t: BackwardTensors;
  /** P, and dP that becomes dS; [batch, heads, q_len, kv_len]. */
  readonly weights: Tensor;
  readonly gradients: Tensor;
}

function planOf(op: AttentionBackward, p: P, route: Route): Plan {
  const square = (name: string) =>
    tensor(name, op.dtype, [op.batch, op.heads, op.q_len, op.kv_len], 'scratch', 'activation');
  return { op, p, route, t: backwardTensors(op, route.acc), weights: square('p'), gradients: square('ds') };
}

function mappingOf(route: Route, groups: number, rows: number): Mapping {
  const down = route.lanes > 32 ? Math.min(groups, Math.max(1, Math.floor(rows / route.m))) : groups >= 4 ? 2 : 1;
  return { lanes: groups * route.lanes, partition: [down, groups / down], resident: 0, panel: 1, mma: route.mma };
}

const accumulator = (route: Route, p: P, rows: number, cols: number): Tile =>
  tile(
    'acc',
    'register',
    route.acc,
    rows,
    cols,
    1,
    route.mma === 'matrix' ? undefined : laneTile(p.groups * route.lanes, rows, cols),
  );

/** 1 when e > 0, else 0. */
const positive = (e: Expr): Expr => min(max(e, 0), 1);

/** Whether some row of the tile sees some key of block J. */
const seen = (op: AttentionBackward, rows: Rows, bn: number): Expr =>
  op.causal ? mul(positive(sub(rows.end, mul(J, bn))), positive(sub(mul(add(J, 1), bn), rows.begin))) : 1;

/** A·Bᵀ over the head: queries × keys, as scores made into weights or as it is; grid [key tiles, query tiles, heads, batch]. */
function squareLaunch(plan: Plan, name: 'weights' | 'dp', A: Tensor, B: Tensor, C: Tensor): Launch {
  const { op, p, route, t } = plan;
  const { bm, bn, bk, stages } = p;
  const rows = rowsOf(forwardOf(op), bm, false);
  const a = tile('ta', 'shared', route.operand, bm, bk, stages);
  const b = tile('tb', 'shared', route.operand, bn, bk, stages);
  const acc = accumulator(route, p, bm, bn);
  const tensors = [A, B, C];
  const tiles = [a, b, acc];
  const after: Stmt[] = [];
  if (name === 'weights') {
    const sums = tile('sums', 'register', route.acc, bm, 1);
    const mask = maskOf(rows, route.acc);
    tensors.push(t.sums);
    tiles.push(sums);
    after.push(copy(view(t.sums, [rows.b, rows.head, rows.r0], [2, -1]), sums), map(NEGATE, [sums], sums));
    if (op.causal) {
      tiles.push(...mask.tiles);
      after.push(...mask.setup, ...mask.apply(acc, bn));
    }
    after.push(map(scaleFns(op.head_dim).weight, [acc, sums], acc));
  }
  return {
    program: {
      name: `attention_${name}[${bm}x${bn}x${bk},s${stages}]`,
      tensors,
      tiles,
      grid: [{ index: J, extent: ceil(op.kv_len, bn) }, ...rows.grid],
      body: [
        map(ZERO, [], acc),
        loop(D, 0, mul(seen(op, rows, bn), ceil(op.head_dim, bk)), [
          copy(view(A, [rows.b, rows.r0, rows.head, mul(D, bk)], [1, 3]), a),
          copy(view(B, [rows.b, mul(J, bn), rows.kvHead, mul(D, bk)], [1, 3]), b),
          mma(a, b, acc, { tb: true }),
        ]),
        ...after,
        copy(acc, view(C, [rows.b, rows.head, rows.r0, mul(J, bn)], [2, 3])),
      ],
    },
    mapping: mappingOf(route, p.groups, bm),
  };
}

interface Product {
  readonly name: string;
  readonly tensors: readonly [A: Tensor, B: Tensor, C: Tensor];
  readonly grid: readonly GridDim[];
  /** Place of the square operand's and the other's block of one step, and of the result. */
  readonly a: View;
  readonly b: View;
  readonly c: View;
  /** The square operand is read transposed. */
  readonly transposed: boolean;
  readonly steps: (body: readonly Stmt[]) => readonly Stmt[];
  readonly scaled: boolean;
}

function productLaunch({ op, p, route }: Plan, x: Product): Launch {
  const { vm, vk, stages } = p;
  const vn = sliceOf(op, p);
  const a = tile('ta', 'shared', route.operand, x.transposed ? vk : vm, x.transposed ? vm : vk, stages);
  const b = tile('tb', 'shared', route.operand, vk, vn, stages);
  const acc = accumulator(route, p, vm, vn);
  return {
    program: {
      name: `attention_${x.name}[${vm}x${vn}x${vk},s${stages}]`,
      tensors: x.tensors,
      tiles: [a, b, acc],
      grid: x.grid,
      body: [
        map(ZERO, [], acc),
        ...x.steps([copy(x.a, a), copy(x.b, b), mma(a, b, acc, { ta: x.transposed })]),
        ...(x.scaled ? [map(gradientScale(op.head_dim), [acc], acc)] : []),
        copy(acc, x.c),
      ],
    },
    mapping: mappingOf(route, p.groups, vm),
  };
}

/** No wider than the head. */
const sliceOf = (op: AttentionBackward, p: P): number => Math.min(p.vn, 16 * ceil(op.head_dim, 16));

/** dV = Pᵀ·dO or dK = dSᵀ·Q, over the queries that see the tile's keys, of all heads of the group. */
function ofKeys(plan: Plan, name: 'dv' | 'dk', square: Tensor, B: Tensor, result: Tensor): Launch {
  const { op, p } = plan;
  const { vm, vk } = p;
  const vn = sliceOf(op, p);
  const head = memberHead(op);
  const { from, to } = queryBlocks(op, vk, vm);
  const slice = mul(N, vn);
  return productLaunch(plan, {
    name,
    tensors: [square, B, result],
    grid: [
      { index: N, extent: ceil(op.head_dim, vn) },
      { index: KEYS, extent: ceil(op.kv_len, vm) },
      { index: HEAD, extent: op.kv_heads },
      { index: BATCH, extent: op.batch },
    ],
    a: view(square, [BATCH, head, mul(I, vk), mul(KEYS, vm)], [2, 3]),
    b: view(B, [BATCH, mul(I, vk), head, slice], [1, 3]),
    c: view(result, [BATCH, mul(KEYS, vm), HEAD, slice], [1, 3]),
    transposed: true,
    steps: (body) => memberLoop(op, [loop(I, from, to, body)]),
    scaled: name === 'dk',
  });
}

/** dQ = dS·K over the keys that the tile's rows see. */
function ofQueries(plan: Plan): Launch {
  const { op, p, t, gradients } = plan;
  const { vm, vk } = p;
  const vn = sliceOf(op, p);
  const rows = rowsOf(forwardOf(op), vm, false);
  const slice = mul(N, vn);
  return productLaunch(plan, {
    name: 'dq',
    tensors: [gradients, t.k, t.dq],
    grid: [{ index: N, extent: ceil(op.head_dim, vn) }, ...rows.grid],
    a: view(gradients, [rows.b, rows.head, rows.r0, mul(J, vk)], [2, 3]),
    b: view(t.k, [rows.b, mul(J, vk), rows.kvHead, slice], [1, 3]),
    c: view(t.dq, [rows.b, rows.r0, rows.head, slice], [1, 3]),
    transposed: false,
    steps: (body) => [loop(J, div(rows.begin, vk), ceilDiv(rows.end, vk), body)],
    scaled: true,
  });
}

/** dS = P∘(dP − rowsum(P∘dP)), row by row: one read of each where a row is held whole, two otherwise. */
function softmaxGradient({ op, p, route, weights, gradients }: Plan, machine: ResourceGraph): Launch {
  const { rows: n } = p;
  const cols = p.block > 0 ? Math.min(p.block, op.kv_len) : op.kv_len;
  const blocks = ceil(op.kv_len, cols);
  const stages = blocks > 1 ? 2 : 1;
  const { acc } = route;
  const w = tile('w', 'register', acc, n, cols, stages);
  const g = tile('g', 'register', acc, n, cols, stages);
  const product = tile('wg', 'register', acc, n, cols);
  const sum = tile('sum', 'register', acc, n, 1);
  const at = [BATCH, HEAD, mul(I, n), mul(C, cols)];
  const load = [copy(view(weights, at, [2, 3]), w), copy(view(gradients, at, [2, 3]), g)];
  const sums = [map(MUL, [w, g], product), reduce('sum', 1, product, sum, true)];
  const finish = [map(GRADIENT, [w, g, sum], g), copy(g, view(gradients, at, [2, 3]))];
  return {
    program: {
      name: `attention_softmax_gradient[${n}x${cols}]`,
      tensors: [weights, gradients],
      tiles: [w, g, product, sum],
      grid: [
        { index: I, extent: ceil(op.q_len, n) },
        { index: HEAD, extent: op.heads },
        { index: BATCH, extent: op.batch },
      ],
      body:
        blocks > 1
          ? [map(ZERO, [], sum), loop(C, 0, blocks, [...load, ...sums]), loop(C, 0, blocks, [...load, ...finish])]
          : [loop(C, 0, 1, [...load, map(ZERO, [], sum), ...sums, ...finish])],
    },
    mapping: vectorMapping(machine, p.softmax_groups, n),
  };
}

/** Tiles of library products, each with a narrow and a wide gradient of the softmax. */
function candidates(op: AttentionBackward, machine: ResourceGraph): Params[] {
  const route = backwardRoute(op, machine);
  if (!route) return [];
  const sides: readonly (readonly [number, number])[] =
    route.m >= 64
      ? [
          [128, 128],
          [64, 128],
          [64, 64],
        ]
      : [
          [128, 128],
          [64, 64],
        ];
  const all = rowCandidates(op.batch * op.heads * op.q_len, op.kv_len * 3, machine, op.dtype).filter(
    ({ block }) => block === 0 || block! < op.kv_len,
  );
  const softmaxes = [...new Set([all[0], all.at(-1)])].filter((c) => c !== undefined);
  const out: Params[] = [];
  const slice = Math.min(128, Math.max(16, 2 ** Math.ceil(Math.log2(op.head_dim))));
  for (const [bm, bn] of sides)
    for (const bk of route.mma === 'vector' ? [16] : [32, 64])
      for (const { rows, groups, block } of softmaxes)
        out.push({
          bm,
          bn,
          bk: Math.min(bk, 16 * ceil(op.head_dim, 16)),
          vm: bm,
          vn: slice,
          vk: bk,
          stages: route.mma === 'vector' ? 2 : 3,
          groups: route.lanes > 32 ? Math.max(1, Math.min(2, bm / route.m)) : bm * bn >= 16384 ? 8 : 4,
          rows: rows!,
          block: block!,
          softmax_groups: groups!,
        });
  return out;
}
