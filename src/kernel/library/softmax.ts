/** Softmax of rows: whole rows in registers when they fit, else online with the row read twice (Milakov & Gimelshein 2018). */
import { tensor } from '../ir.js';
import type { Kernel, Params } from '../kernel.js';
import { opHead, readShape } from './dims.js';
import { GROUPS, groupsParam, lacksMath, rowCandidates, vectorMapping } from './lanes.js';
import { softmaxProgram } from './softmax_rows.js';

export const ROW_PARAMS = {
  rows: { description: 'rows a workgroup', values: [1, 2, 4, 8, 16, 32], default: 1 },
  groups: { ...groupsParam, values: GROUPS },
  block: {
    description: 'columns held at a time; 0: whole rows',
    values: [0, 256, 512, 1024, 2048, 4096, 8192],
    default: 0,
  },
} as const;
export type RowParams = Params & Record<keyof typeof ROW_PARAMS, number>;

/** Softmax of rows held block by block: maximum and sum in one read, rescaled as they grow, or one after the other. */
const SOFTMAX_PARAMS = {
  ...ROW_PARAMS,
  passes: { description: 'times that rows held in blocks are read', values: [2, 3], default: 2 },
} as const;

export const ROW_SHAPE = { rows: { description: 'rows' }, cols: { description: 'columns' } } as const;

export const softmax: Kernel<'softmax'> = {
  name: 'softmax',
  family: 'softmax',
  math: 'out[r, c] = exp(x[r, c] − max x[r, :]) / Σ exp(x[r, :] − max x[r, :])',
  op: 'softmax',
  shape: ROW_SHAPE,
  params: SOFTMAX_PARAMS,
  toOp: (shape, dtype) => ({
    kind: 'softmax',
    ...opHead('softmax'),
    ...readShape('softmax', ROW_SHAPE, shape),
    dtype,
  }),
  rejects: (op, machine) => lacksMath(machine, op.dtype),
  candidates: (op, machine) => rowCandidates(op.rows, op.cols, machine, op.dtype).map((c) => ({ ...c, passes: 2 })),
  build(op, params, machine) {
    const { rows, groups, block, passes } = params as Params & Record<keyof typeof SOFTMAX_PARAMS, number>;
    const dims = [op.rows, op.cols];
    const program = softmaxProgram({
      name: 'softmax',
      from: tensor('x', op.dtype, dims, 'input', 'activation'),
      to: tensor('out', op.dtype, dims, 'output', 'activation'),
      dtype: op.dtype,
      rows: op.rows,
      cols: op.cols,
      rows_per: rows,
      block,
      passes,
    });
    return [{ program, mapping: vectorMapping(machine, groups, rows) }];
  },
  reference(op, { x }) {
    const out = new Float64Array(op.rows * op.cols);
    for (let r = 0; r < op.rows; r++) {
      const at = r * op.cols;
      let top = Number.NEGATIVE_INFINITY;
      for (let c = 0; c < op.cols; c++) top = Math.max(top, x![at + c]!);
      let sum = 0;
      for (let c = 0; c < op.cols; c++) sum += Math.exp(x![at + c]! - top);
      for (let c = 0; c < op.cols; c++) out[at + c] = Math.exp(x![at + c]! - top) / sum;
    }
    return { out };
  },
};
