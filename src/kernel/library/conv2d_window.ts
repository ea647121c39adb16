/**
 * Convolution that keeps its input tile over the window: a workgroup holds the results of py × px phases, pixel (qy, qx) of
 * every py × px block, a row of blocks an accumulator. An input tile, loaded once, serves every phase and every place of the
 * window that meets in it, so that the input is asked for (1 + (R − 1)/(py·stride))(1 + (R − 1)/(px·stride)) times instead of
 * (R/stride)²; the weights of all places are kept for a block of channels. This is the reuse of Demmel and Dinh's bound
 * (arXiv 1802.06905), by register blocking over pixels as direct convolutions do it (Georganas et al., SC 2018).
 */
import type { ResourceGraph } from '../../machine/graph.js';
import { convOut } from '../../workload/op.js';
import { add, copy, type Expr, loop, map, mma, mul, type Stmt, type Tile, tile, view } from '../ir.js';
import type { Kernel, Launch, Params } from '../kernel.js';
import { ZERO } from '../math.js';
import { CONV_MATH, CONV_SHAPE, type Conv, type ConvPlan, convOp, convReference, planFor, Y } from './conv2d.js';
import { ceil } from './dims.js';
import { finish, KK, M, mappingOf, N, type Tiles, tilesOf, Z } from './matmul_plan.js';
import { TILE_PARAMS } from './matmul_tiles.js';
import { noRoute, type Route, routeOf, scalingOf, widenFn } from './mma_route.js';

const PHASES = [1, 2, 3, 4, 6, 8] as const;
const PARAMS = {
  bm: { ...TILE_PARAMS.bm, description: 'blocks of pixels in a row of a workgroup', default: 16 },
  bn: { ...TILE_PARAMS.bn, description: 'output channels per workgroup', default: 64 },
  bk: TILE_PARAMS.bk,
  stages: { ...TILE_PARAMS.stages, description: 'buffers of weights and of input; 1: one input tile at a time' },
  groups_m: { ...TILE_PARAMS.groups_m, default: 1 },
  groups_n: { ...TILE_PARAMS.groups_n, default: 4 },
  py: { description: 'rows of pixels per block', values: PHASES, default: 2 },
  px: { description: 'columns of pixels per block', values: PHASES, default: 4 },
} as const;
type P = Params & Record<keyof typeof PARAMS, number>;

export const conv2d_window: Kernel<'conv2d'> = {
  name: 'conv2d_window',
  family: 'conv2d',
  math: `${CONV_MATH}, the input kept over the window`,
  op: 'conv2d',
  shape: CONV_SHAPE,
  params: PARAMS,
  toOp: convOp,
  rejects(op, machine) {
    if (op.kernel <= op.stride) return 'no input belongs to two places of the window';
    if (scalingOf(op) !== 'none') return 'its weights carry no scales';
    return routeOf(op, machine) ? undefined : noRoute(op, machine);
  },
  candidates,
  build(op, params, machine): readonly Launch[] {
    const p = params as P;
    const plan = planFor(op, machine);
    const { images, out } = plan.geometry;
    const { bm, bn, bk, py, px } = p;
    const t = tilesOf(plan, p, machine);
    const tiles = tilesOfWindow(op, p, plan.route, t);
    const z = images === 1 ? 0 : Z;
    const column = mul(N, bn);
    const body: Stmt[] = [
      ...tiles.acc.map((acc) => map(ZERO, [], acc)),
      loop(KK, 0, ceil(op.in_channels, bk), channelSteps(op, p, plan, tiles, z)),
    ];
    for (let qy = 0; qy < py; qy++)
      for (let qx = 0; qx < px; qx++) {
        const at = [z, add(mul(Y, py), qy), add(mul(M, bm * px), qx), column];
        finish(
          { bias: plan.bias && view(plan.bias, [column], [-1, 0]), activation: 'none' },
          tiles.acc[qy * px + qx]!,
          tiles.all,
          body,
          view(plan.C, at, [2, 3], { step: [px, 1] }),
        );
      }
    const grid = [
      { index: N, extent: ceil(op.out_channels, bn) },
      { index: M, extent: ceil(out[1], bm * px) },
      { index: Y, extent: ceil(out[0], py) },
    ];
    if (images > 1) grid.push({ index: Z, extent: images });
    return [
      {
        program: {
          name: `conv2d_window[${py}x${bm}·${px}x${bn}x${bk},s${p.stages}]`,
          tensors: plan.tensors,
          tiles: tiles.all,
          grid,
          body,
        },
        mapping: mappingOf(plan.route, p),
      },
    ];
  },
  reference: convReference,
};

interface WindowTiles {
  /** By place of the window, r·R + s, and as mma reads them. */
  readonly weights: readonly Tile[];
  readonly weightOperands: readonly Tile[];
  /** By offset in the input, ty·width + tx; one for all with a single buffer. */
  readonly inputs: readonly Tile[];
  readonly inputOperand: Tile | undefined;
  /** By phase, qy·px + qx. */
  readonly acc: readonly Tile[];
  readonly all: Tile[];
}

/** Offsets of input rows and columns that a block of py × px results meets. */
const spanOf = (op: Conv, phases: number): number => (phases - 1) * op.stride + op.kernel;

function tilesOfWindow(op: Conv, p: P, route: Route, t: Tiles): WindowTiles {
  const places = Array.from({ length: op.kernel ** 2 }, (_, i) => i);
  const weights = places.map((i): Tile => ({ ...t.bs, name: `b${i}` }));
  const widened = route.widenB ? places.map((i): Tile => ({ ...t.bm, name: `bw${i}` })) : [];
  const count = p.stages === 1 ? 1 : spanOf(op, p.py) * spanOf(op, p.px);
  const inputs = Array.from({ length: count }, (_, i): Tile => ({ ...t.as, name: `a${i}` }));
  const acc = Array.from({ length: p.py * p.px }, (_, i): Tile => ({ ...t.acc, name: `acc${i}` }));
  const inputOperand = route.widenA ? tile('aw', t.am.level, t.am.dtype, t.am.rows, t.am.cols) : undefined;
  const all = [...weights, ...widened, ...inputs, ...(inputOperand ? [inputOperand] : []), ...acc];
  return { weights, weightOperands: route.widenB ? widened : weights, inputs, inputOperand, acc, all };
}

/** A block of channels: the weights of all places, then each input tile with all that is multiplied with it. */
function channelSteps(op: Conv, p: P, plan: ConvPlan, tiles: WindowTiles, z: Expr): Stmt[] {
  const { kernel, stride, padding } = op;
  const { bm, bn, bk, py, px } = p;
  const channel = mul(KK, bk);
  const body: Stmt[] = [];
  tiles.weights.forEach((b, place) => void body.push(copy(view(plan.B, [place, channel, mul(N, bn)], [1, 2]), b)));
  const [rows, cols] = [spanOf(op, py), spanOf(op, px)];
  const place = (index: Expr, blocks: number, offset: number) => add(mul(index, blocks * stride), offset - padding);
  const input = (ty: number, tx: number) => tiles.inputs[tiles.inputs.length === 1 ? 0 : ty * cols + tx]!;
  const load = (ty: number, tx: number): Stmt =>
    copy(
      view(plan.A, [z, place(Y, py, ty), place(M, bm * px, tx), channel], [2, 3], { step: [px * stride, 1] }),
      input(ty, tx),
    );
  // with several buffers all copies stand first, so that they run ahead together
  const ahead = tiles.inputs.length > 1;
  const offsets = Array.from({ length: rows * cols }, (_, i) => [Math.floor(i / cols), i % cols] as const);
  const used = offsets.map(([ty, tx]) => [ty, tx, meetings(ty, tx, p, kernel, stride)] as const);
  if (ahead) for (const [ty, tx, uses] of used) if (uses.length > 0) body.push(load(ty, tx));
  if (plan.route.widenB)
    tiles.weightOperands.forEach((w, i) => void body.push(map(widenFn(plan.B.dtype), [tiles.weights[i]!], w)));
  for (const [ty, tx, uses] of used) {
    if (uses.length === 0) continue;
    if (!ahead) body.push(load(ty, tx));
    const a = input(ty, tx);
    if (tiles.inputOperand) body.push(map(widenFn(plan.A.dtype), [a], tiles.inputOperand));
    for (const { phase, at } of uses)
      body.push(mma(tiles.inputOperand ?? a, tiles.weightOperands[at]!, tiles.acc[phase]!));
  }
  return body;
}

/** Phases and places of the window that meet in an input tile. */
function meetings(
  ty: number,
  tx: number,
  { py, px }: P,
  kernel: number,
  stride: number,
): { phase: number; at: number }[] {
  const found: { phase: number; at: number }[] = [];
  for (let qy = 0; qy < py; qy++)
    for (let qx = 0; qx < px; qx++) {
      const r = ty - qy * stride;
      const s = tx - qx * stride;
      if (r >= 0 && r < kernel && s >= 0 && s < kernel) found.push({ phase: qy * px + qx, at: r * kernel + s });
    }
  return found;
}

/** Depth of a step and buffers. */
const STEPS = [
  [16, 2],
  [32, 1],
  [32, 2],
] as const;
const LANE_STEPS = [
  [8, 1],
  [8, 2],
] as const;

/** Blocks of about as many pixels as the tiles of an implicit product have, no wider than the image. */
function* candidates(op: Conv, machine: ResourceGraph): Iterable<Params> {
  const route = routeOf(op, machine);
  // larger windows make programs of thousands of statements
  if (!route || op.kernel > 5) return;
  const native = route.op?.m ?? 8;
  const [height, width] = convOut(op);
  for (const [py, px] of [
    [2, 2],
    [2, 4],
    [4, 4],
  ] as const) {
    if (py > 2 * height) continue;
    for (const bm of native >= 64 ? [native] : [native, 2 * native]) {
      if (bm * px > 2 * Math.max(width, px * native)) continue;
      for (const bn of [32, 64, 128]) {
        if (bn > 2 * op.out_channels || bm * bn * py * px > 256 * 128) continue;
        for (const [bk, stages] of route.mma === 'matrix' ? STEPS : LANE_STEPS)
          yield { bm, bn, bk, stages, ...groupsOf(route, bm, bn), py, px };
      }
    }
  }
}

function groupsOf(route: Route, bm: number, bn: number): { groups_m: number; groups_n: number } {
  if (route.group_lanes > 32) return { groups_m: Math.max(1, bm / route.op!.m), groups_n: 1 };
  return { groups_m: 1, groups_n: bn >= 64 ? 4 : 2 };
}
