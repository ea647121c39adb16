/**
 * Convolution as an implicit matrix product: pixels of an output row × output channels, summed over the window and
 * the input channels. Tensors: A [batch, height, width, in] (NHWC), B [kernel, kernel, in, out], C NHWC. The window
 * reads A through strided views, so that no unfolded copy of it is made; views clip at the padding. Volumes (conv3d) have
 * planes before their rows.
 */
import type { DType } from '../../base/dtype.js';
import { InputError } from '../../base/errors.js';
import type { ResourceGraph } from '../../machine/graph.js';
import { type Convolution, convDepth, convOut, convResults, type OpOf } from '../../workload/op.js';
import { add, div, type Expr, loop, loopVar, map, mod, mul, type Stmt, type Tensor, tensor, view } from '../ir.js';
import type { Kernel, Launch, Params, ShapeKey } from '../kernel.js';
import { ZERO } from '../math.js';
import { opHead, readShape } from './dims.js';
import { productFormats } from './gemm.js';
import { finish, KK, M, mainStep, mappingOf, N, routeOrThrow, scalesTensor, tilesOf, Z } from './matmul_plan.js';
import { input } from './matmul_reference.js';
import { PANEL, panelsFor, TILE_PARAMS, tileChoices } from './matmul_tiles.js';
import { noRoute, type Route, routeOf, SCALE_GROUP, type Scaling, scalingOf } from './mma_route.js';

export type Conv = OpOf<'conv2d'>;
/** Row of results, or the first of several. */
export const Y = loopVar('y');
/** Plane of results. */
const D = loopVar('d');

/** Images × planes × rows × pixels a row that the product walks; a window of one place without stride makes one row of all. */
interface Geometry {
  readonly images: number;
  readonly depth: number;
  readonly height: number;
  readonly width: number;
  readonly planes: number;
  readonly out: readonly [height: number, width: number];
}
function geometryOf(op: Convolution): Geometry {
  const deep = convDepth(op);
  if (Math.max(op.kernel, op.stride, deep.kernel, deep.stride) === 1 && op.padding + deep.padding === 0) {
    const pixels = op.batch * deep.size * op.height * op.width;
    return { images: 1, depth: 1, height: 1, width: pixels, planes: 1, out: [1, pixels] };
  }
  const { batch: images, height, width } = op;
  return { images, depth: deep.size, height, width, planes: deep.out, out: convOut(op) };
}

export interface ConvPlan {
  readonly route: Route;
  readonly scaling: Scaling;
  readonly geometry: Geometry;
  readonly A: Tensor;
  readonly B: Tensor;
  readonly C: Tensor;
  readonly bias?: Tensor;
  readonly scales?: Tensor;
  readonly tensors: readonly Tensor[];
}
let lastOp: Convolution | undefined;
let lastMachine: ResourceGraph | undefined;
let lastPlan: ConvPlan | undefined;

export function planFor(op: Convolution, machine: ResourceGraph): ConvPlan {
  if (op === lastOp && machine === lastMachine && lastPlan) return lastPlan;
  const route = routeOrThrow(op, machine);
  const geometry = geometryOf(op);
  const { images, height, width, out } = geometry;
  const scaling = scalingOf(op);
  const window = convDepth(op).kernel * op.kernel ** 2;
  const planes = (n: number) => (op.kind === 'conv3d' ? [n] : []);
  const A = tensor(
    'A',
    op.a,
    [images, ...planes(geometry.depth), height, width, op.in_channels],
    'input',
    'activation',
  );
  const B = tensor('B', op.b, [window, op.in_channels, op.out_channels], 'input', 'weight');
  const C = tensor(
    'C',
    op.c,
    [images, ...planes(geometry.planes), out[0], out[1], op.out_channels],
    'output',
    'activation',
  );
  const scales = scalesTensor(op, scaling, op.in_channels, op.out_channels);
  const bias = op.bias ? tensor('bias', op.c, [op.out_channels], 'input', 'weight') : undefined;
  const tensors = [A, B, C];
  for (const t of [scales, bias]) if (t) tensors.push(t);
  lastPlan = { route, scaling, geometry, A, B, C, bias, scales, tensors };
  lastOp = op;
  lastMachine = machine;
  return lastPlan;
}

export const CONV_SHAPE = {
  batch: { description: 'images', default: 1 },
  in_channels: { description: 'input channels' },
  out_channels: { description: 'output channels' },
  height: { description: 'input height' },
  width: { description: 'input width' },
  kernel: { description: 'side of the window', default: 3 },
  stride: { description: 'step of the window', default: 1 },
  padding: { description: 'zeros around the image', default: 0 },
} as const satisfies Record<string, ShapeKey>;

export const CONV_MATH =
  'C[b,y,x,o] = Σ over r, s, c of A[b, y·stride + r − padding, x·stride + s − padding, c] · B[r,s,c,o] + bias';

export function convOp(shape: Readonly<Record<string, number>>, dtype: DType): Conv {
  const s = readShape('conv2d', CONV_SHAPE, shape, ['padding']);
  const op: Conv = { kind: 'conv2d', ...opHead('conv2d'), ...s, ...productFormats(dtype), bias: false };
  if (convOut(op).some((extent) => extent < 1))
    throw new InputError(`a window of ${s.kernel} does not fit ${s.height}×${s.width}`, 'conv2d --shape');
  return op;
}

export const conv2d: Kernel<'conv2d'> = {
  name: 'conv2d',
  family: 'conv2d',
  math: CONV_MATH,
  op: 'conv2d',
  shape: CONV_SHAPE,
  params: { ...TILE_PARAMS, panel: PANEL },

  toOp: convOp,

  rejects: (op, machine) => (routeOf(op, machine) ? undefined : noRoute(op, machine)),

  candidates: convCandidates,
  build: convLaunches,
  reference: convReference,
};

export function* convCandidates(op: Convolution, machine: ResourceGraph): Iterable<Params> {
  const route = routeOf(op, machine);
  if (!route) return;
  const width = geometryOf(op).out[1];
  let last: { bm: number; bn: number; bk: number } | undefined;
  for (const choice of tileChoices(op, route, machine, width, op.out_channels, op.in_channels)) {
    // one stage count and one panel a tile: the search space of a convolution is a third of a product's
    if (last && last.bm === choice.bm && last.bn === choice.bn && last.bk === choice.bk) continue;
    last = choice;
    yield { ...choice, panel: panelsFor(machine, choice, width, op.out_channels).at(-1)! };
  }
}

/** The product over window × channels, of images or volumes. */
export function convLaunches(op: Convolution, p: Params, machine: ResourceGraph): readonly Launch[] {
  const plan = planFor(op, machine);
  const { images, planes, out } = plan.geometry;
  const t = tilesOf(plan, p, machine);
  const bm = p['bm']!;
  const bn = p['bn']!;
  const bk = p['bk']!;
  const { kernel } = op;
  const deep = convDepth(op);
  const places = deep.kernel * kernel ** 2;
  // one loop over window × channel blocks, so that copies run ahead across the window
  const blocks = Math.ceil(op.in_channels / bk);
  const window: Expr = places === 1 ? 0 : div(KK, blocks);
  const channel = mul(places === 1 ? KK : blocks === 1 ? 0 : mod(KK, blocks), bk);
  const place = (at: Expr, offset: Expr, { stride, padding }: { stride: number; padding: number }) =>
    add(add(mul(at, stride), offset), -padding);
  const plane = deep.kernel === 1 ? 0 : div(window, kernel ** 2);
  const line = kernel === 1 ? 0 : deep.kernel === 1 ? div(window, kernel) : mod(div(window, kernel), kernel);
  const volume = op.kind === 'conv3d';
  const d = planes === 1 ? 0 : D;
  const axes = volume ? ([3, 4] as const) : ([2, 3] as const);
  const z = images === 1 ? 0 : Z;
  const y = out[0] === 1 ? 0 : Y;
  const x = mul(M, bm);
  const col = mul(N, bn);
  const step = mainStep(
    plan.route,
    t,
    view(
      plan.A,
      [
        z,
        ...(volume ? [place(d, plane, deep)] : []),
        place(y, line, op),
        place(x, kernel === 1 ? 0 : mod(window, kernel), op),
        channel,
      ],
      axes,
      { step: [op.stride, 1] },
    ),
    view(plan.B, [window, channel, col], [1, 2]),
    t.scale && view(plan.scales!, [div(channel, SCALE_GROUP), col], [0, 1]),
  );
  const body: Stmt[] = [map(ZERO, [], t.acc), loop(KK, 0, places * blocks, step)];
  finish(
    {
      scale: plan.scaling === 'column' ? view(plan.scales!, [col], [-1, 0]) : undefined,
      bias: plan.bias && view(plan.bias, [col], [-1, 0]),
      activation: 'none',
    },
    t.acc,
    t.all,
    body,
    view(plan.C, [z, ...(volume ? [d] : []), y, x, col], axes),
  );
  const grid = [
    { index: N, extent: Math.ceil(op.out_channels / bn) },
    { index: M, extent: Math.ceil(out[1] / bm) },
  ];
  if (out[0] > 1) grid.push({ index: Y, extent: out[0] });
  if (planes > 1) grid.push({ index: D, extent: planes });
  if (images > 1) grid.push({ index: Z, extent: images });
  return [
    {
      program: {
        name: `${op.kind}[${bm}x${bn}x${bk},s${p['stages']}]`,
        tensors: plan.tensors,
        tiles: t.all,
        grid,
        body,
      },
      mapping: mappingOf(plan.route, p),
    },
  ];
}

/** Plain loops in fp64. */
export function convReference(
  op: Convolution,
  inputs: Readonly<Record<string, Float64Array>>,
): Record<string, Float64Array> {
  const a = input(inputs, 'A');
  const b = input(inputs, 'B');
  const scaling = scalingOf(op);
  const scales = scaling === 'none' ? undefined : input(inputs, 'scales');
  const bias = op.bias ? input(inputs, 'bias') : undefined;
  const { kernel, stride, padding, height, width, in_channels: ci, out_channels: co } = op;
  const deep = convDepth(op);
  const [ho, wo] = convOut(op);
  const out = new Float64Array(convResults(op));
  let at = 0;
  for (let z = 0; z < op.batch; z++)
    for (let d = 0; d < deep.out; d++)
      for (let y = 0; y < ho; y++)
        for (let x = 0; x < wo; x++)
          for (let o = 0; o < co; o++, at++) {
            let sum = bias?.[o] ?? 0;
            for (let place = 0; place < deep.kernel * kernel ** 2; place++) {
              const id = d * deep.stride + Math.floor(place / kernel ** 2) - deep.padding;
              const iy = y * stride + (Math.floor(place / kernel) % kernel) - padding;
              const ix = x * stride + (place % kernel) - padding;
              if (id < 0 || id >= deep.size || iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
              for (let c = 0; c < ci; c++) {
                const scale = scales?.[scaling === 'group' ? Math.floor(c / SCALE_GROUP) * co + o : o] ?? 1;
                const from = (((z * deep.size + id) * height + iy) * width + ix) * ci + c;
                sum += a[from]! * b[(place * ci + c) * co + o]! * scale;
              }
            }
            out[at] = sum;
          }
  return { C: out };
}
