/** Convolution of video and volumes: that of images, with planes before the rows and a window that walks them too. */
import { InputError } from '../../base/errors.js';
import type { OpOf } from '../../workload/op.js';
import { opFault } from '../../workload/op-check.js';
import type { Kernel, ShapeKey } from '../kernel.js';
import { CONV_SHAPE, conv2d, convCandidates, convLaunches, convReference } from './conv2d.js';
import { opHead, readShape } from './dims.js';
import { productFormats } from './gemm.js';
import { noRoute, routeOf } from './mma_route.js';

const SHAPE = {
  ...CONV_SHAPE,
  batch: { description: 'volumes', default: 1 },
  depth: { description: 'input depth (frames)' },
  kernel: { description: 'side of the window in height and width', default: 3 },
  kernel_depth: { description: 'depth of the window', default: 3 },
  stride_depth: { description: 'step of the window in depth', default: 1 },
  padding_depth: { description: 'zeros before and after in depth', default: 0 },
} as const satisfies Record<string, ShapeKey>;

export const conv3d: Kernel<'conv3d'> = {
  name: 'conv3d',
  family: 'conv3d',
  math: 'C[b,d,y,x,o] = Σ over t, r, s, c of A[b, d·stride + t − padding, …, c] · B[t,r,s,c,o] + bias',
  op: 'conv3d',
  shape: SHAPE,
  params: conv2d.params,
  toOp(shape, dtype) {
    const s = readShape('conv3d', SHAPE, shape, ['padding', 'padding_depth']);
    const op: OpOf<'conv3d'> = { kind: 'conv3d', ...opHead('conv3d'), ...s, ...productFormats(dtype), bias: false };
    const fault = opFault(op);
    if (fault) throw new InputError(fault, 'conv3d --shape');
    return op;
  },
  rejects: (op, machine) => (routeOf(op, machine) ? undefined : noRoute(op, machine)),
  candidates: convCandidates,
  build: convLaunches,
  reference: convReference,
};
