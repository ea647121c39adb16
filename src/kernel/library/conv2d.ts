/**
 * Convolution as an implicit matrix product: pixels of an output row × output channels, summed over the window and
 * the input channels. Tensors: A [batch, height, width, in] (NHWC), B [kernel, kernel, in, out], C NHWC. The window
 * reads A through strided views, so that no unfolded copy of it is made; views clip at the padding.
 */
import type { DType } from '../../base/dtype.js';
import { InputError } from '../../base/errors.js';
import type { ResourceGraph } from '../../machine/graph.js';
import { convOut, type OpOf } from '../../workload/op.js';
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

/** Images × rows × pixels a row that the product walks; a 1×1 window without stride makes one row of all pixels. */
interface Geometry {
  readonly images: number;
  readonly height: number;
  readonly width: number;
  readonly out: readonly [height: number, width: number];
}
function geometryOf(op: Conv): Geometry {
  if (op.kernel === 1 && op.stride === 1 && op.padding === 0) {
    const pixels = op.batch * op.height * op.width;
    return { images: 1, height: 1, width: pixels, out: [1, pixels] };
  }
  return { images: op.batch, height: op.height, width: op.width, out: convOut(op) };
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
let lastOp: Conv | undefined;
let lastMachine: ResourceGraph | undefined;
let lastPlan: ConvPlan | undefined;

export function planFor(op: Conv, machine: ResourceGraph): ConvPlan {
  if (op === lastOp && machine === lastMachine && lastPlan) return lastPlan;
  const route = routeOrThrow(op, machine);
  const geometry = geometryOf(op);
  const { images, height, width, out } = geometry;
  const scaling = scalingOf(op);
  const window = op.kernel ** 2;
  const A = tensor('A', op.a, [images, height, width, op.in_channels], 'input', 'activation');
  const B = tensor('B', op.b, [window, op.in_channels, op.out_channels], 'input', 'weight');
  const C = tensor('C', op.c, [images, out[0], out[1], op.out_channels], 'output', 'activation');
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

  *candidates(op, machine) {
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
  },

  build(op, p: Params, machine): readonly Launch[] {
    const plan = planFor(op, machine);
    const { images, out } = plan.geometry;
    const t = tilesOf(plan, p, machine);
    const bm = p['bm']!;
    const bn = p['bn']!;
    const bk = p['bk']!;
    const { kernel, stride, padding } = op;
    // one loop over window × channel blocks, so that copies run ahead across the window
    const blocks = Math.ceil(op.in_channels / bk);
    const window: Expr = kernel === 1 ? 0 : div(KK, blocks);
    const channel = mul(kernel === 1 ? KK : blocks === 1 ? 0 : mod(KK, blocks), bk);
    const place = (at: Expr, offset: Expr) => add(add(mul(at, stride), offset), -padding);
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
          place(y, kernel === 1 ? 0 : div(window, kernel)),
          place(x, kernel === 1 ? 0 : mod(window, kernel)),
          channel,
        ],
        [2, 3],
        { step: [stride, 1] },
      ),
      view(plan.B, [window, channel, col], [1, 2]),
      t.scale && view(plan.scales!, [div(channel, SCALE_GROUP), col], [0, 1]),
    );
    const body: Stmt[] = [map(ZERO, [], t.acc), loop(KK, 0, kernel ** 2 * blocks, step)];
    finish(
      {
        scale: plan.scaling === 'column' ? view(plan.scales!, [col], [-1, 0]) : undefined,
        bias: plan.bias && view(plan.bias, [col], [-1, 0]),
        activation: 'none',
      },
      t.acc,
      t.all,
      body,
      view(plan.C, [z, y, x, col], [2, 3]),
    );
    const grid = [
      { index: N, extent: Math.ceil(op.out_channels / bn) },
      { index: M, extent: Math.ceil(out[1] / bm) },
    ];
    if (out[0] > 1) grid.push({ index: Y, extent: out[0] });
    if (images > 1) grid.push({ index: Z, extent: images });
    return [
      {
        program: {
          name: `conv2d[${bm}x${bn}x${bk},s${p['stages']}]`,
          tensors: plan.tensors,
          tiles: t.all,
          grid,
          body,
        },
        mapping: mappingOf(plan.route, p),
      },
    ];
  },

  reference: convReference,
};

/** Plain loops in fp64. */
export function convReference(op: Conv, inputs: Readonly<Record<string, Float64Array>>): Record<string, Float64Array> {
  const a = input(inputs, 'A');
  const b = input(inputs, 'B');
  const scaling = scalingOf(op);
  const scales = scaling === 'none' ? undefined : input(inputs, 'scales');
  const bias = op.bias ? input(inputs, 'bias') : undefined;
  const { kernel, stride, padding, height, width, in_channels: ci, out_channels: co } = op;
  const [ho, wo] = convOut(op);
  const out = new Float64Array(op.batch * ho * wo * co);
  let at = 0;
  for (let z = 0; z < op.batch; z++)
    for (let y = 0; y < ho; y++)
      for (let x = 0; x < wo; x++)
        for (let o = 0; o < co; o++, at++) {
          let sum = bias?.[o] ?? 0;
          for (let r = 0; r < kernel; r++)
            for (let s = 0; s < kernel; s++) {
              const iy = y * stride + r - padding;
              const ix = x * stride + s - padding;
              if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
              for (let c = 0; c < ci; c++) {
                const scale = scales?.[scaling === 'group' ? Math.floor(c / SCALE_GROUP) * co + o : o] ?? 1;
                sum += a[((z * height + iy) * width + ix) * ci + c]! * b[((r * kernel + s) * ci + c) * co + o]! * scale;
              }
            }
          out[at] = sum;
        }
  return { C: out };
}
