/** Combining rows by atomic addition: each row of x knows its result row; out holds what it is added to. */
import { copy, map, scatter, tensor, tile, view } from '../ir.js';
import type { Kernel } from '../kernel.js';
import { MUL } from '../math.js';
import { lacksMath, vectorMapping, workDType } from './lanes.js';
import { INDEX_PARAMS, type IndexParams, indexCandidates, tilingOf } from './rows_by_index.js';
import { resultRows, SCATTER_SHAPE, scatterOp } from './scatter_op.js';

export const scatter_add: Kernel<'scatter'> = {
  name: 'scatter_add',
  family: 'scatter',
  math: 'out[index[r], :] += weight[r]·x[r, :], atomically',
  op: 'scatter',
  shape: SCATTER_SHAPE,
  params: INDEX_PARAMS,
  toOp: scatterOp,
  rejects: (op, machine) => lacksMath(machine, op.dtype),
  candidates: (op, machine) => indexCandidates(op.rows, op.cols, machine, op.dtype),
  build(op, params, machine) {
    const p = params as IndexParams;
    const work = workDType(op.dtype);
    const { cols, grid, r0, c0 } = tilingOf(op.rows, op.cols, p);
    const x = tensor('x', op.dtype, [op.rows, op.cols], 'input', 'activation');
    const index = tensor('index', 'int32', [op.rows], 'input', 'index');
    const weight = tensor('weight', work, [op.rows], 'input', 'activation');
    const out = tensor('out', op.dtype, [resultRows(op), op.cols], 'inout', 'activation');
    const tx = tile('tx', 'register', work, p.rows, cols);
    const at = tile('at', 'register', 'int32', p.rows, 1);
    const w = tile('w', 'register', work, p.rows, 1);
    return [
      {
        program: {
          name: `scatter_add[${p.rows}x${cols}]`,
          tensors: [x, index, weight, out],
          tiles: [tx, at, w],
          grid,
          body: [
            copy(view(index, [r0], [0, -1], { fill: -1 }), at),
            copy(view(weight, [r0], [0, -1]), w),
            copy(view(x, [r0, c0], [0, 1]), tx),
            map(MUL, [tx, w], tx),
            scatter(tx, at, view(out, [0, c0], [0, 1]), 'add'),
          ],
        },
        mapping: vectorMapping(machine, p.groups, p.rows),
      },
    ];
  },
  reference(op, { x, index, weight, out }) {
    const sum = out!.slice();
    for (let r = 0; r < op.rows; r++)
      for (let c = 0; c < op.cols; c++) sum[index![r]! * op.cols + c]! += weight![r]! * x![r * op.cols + c]!;
    return { out: sum };
  },
};
