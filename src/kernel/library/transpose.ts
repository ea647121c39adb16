/** Transposes matrices through a shared tile, so that reads and writes both run along rows. */
import { copy, loopVar, mul, tensor, tile, view } from '../ir.js';
import type { Kernel, Params } from '../kernel.js';
import { ceil, opHead, readShape } from './dims.js';
import { groupsParam, vectorMapping } from './lanes.js';

const SHAPE = {
  batch: { description: 'matrices', default: 1 },
  rows: { description: 'rows' },
  cols: { description: 'columns' },
} as const;
const PARAMS = {
  tile: { description: 'side of the square tile', values: [16, 32, 64, 128], default: 64 },
  groups: groupsParam,
} as const;
type P = Params & Record<keyof typeof PARAMS, number>;

const C = loopVar('col');
const R = loopVar('row');
const B = loopVar('batch');

export const transpose: Kernel<'transpose'> = {
  name: 'transpose',
  family: 'transpose',
  math: 'out[b, c, r] = x[b, r, c]',
  op: 'transpose',
  shape: SHAPE,
  params: PARAMS,
  toOp: (shape, dtype) => ({
    kind: 'transpose',
    ...opHead('transpose'),
    ...readShape('transpose', SHAPE, shape),
    dtype,
  }),
  rejects: () => undefined,
  *candidates(op, machine) {
    for (const side of PARAMS.tile.values)
      for (const groups of [2, 4, 8, 16]) {
        const each = (side * side) / (groups * machine.cores.lane_group);
        if (each >= 2 && each <= 64 && (side <= 32 || side < 2 * Math.max(op.rows, op.cols)))
          yield { tile: side, groups };
      }
  },
  build(op, params, machine) {
    const { tile: side, groups } = params as P;
    const x = tensor('x', op.dtype, [op.batch, op.rows, op.cols], 'input', 'activation');
    const out = tensor('out', op.dtype, [op.batch, op.cols, op.rows], 'output', 'activation');
    const t = tile('t', 'shared', op.dtype, side, side);
    const [r0, c0] = [mul(R, side), mul(C, side)];
    return [
      {
        program: {
          name: `transpose[${side}x${side}]`,
          tensors: [x, out],
          tiles: [t],
          grid: [
            { index: C, extent: ceil(op.cols, side) },
            { index: R, extent: ceil(op.rows, side) },
            { index: B, extent: op.batch },
          ],
          body: [copy(view(x, [B, r0, c0], [1, 2]), t), copy(t, view(out, [B, c0, r0], [2, 1]))],
        },
        mapping: vectorMapping(machine, groups, side),
      },
    ];
  },
  reference(op, { x }) {
    const out = new Float64Array(op.batch * op.rows * op.cols);
    for (let b = 0; b < op.batch; b++)
      for (let r = 0; r < op.rows; r++)
        for (let c = 0; c < op.cols; c++) out[(b * op.cols + c) * op.rows + r] = x![(b * op.rows + r) * op.cols + c]!;
    return { out };
  },
};
