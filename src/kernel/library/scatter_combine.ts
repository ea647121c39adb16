/**
 * Combining rows without atomics: each result row gathers its `fan_in` rows of x and sums them weighted, as the
 * unpermute kernels of mixture-of-experts layers do. index and weight are [results, fan_in]; an index past the end of x
 * stands for no row.
 */
import { copy, gather, loop, loopVar, map, tensor, tile, view } from '../ir.js';
import type { Kernel } from '../kernel.js';
import { FMA, ZERO } from '../math.js';
import { lacksMath, vectorMapping, workDType } from './lanes.js';
import { INDEX_PARAMS, type IndexParams, indexCandidates, tilingOf } from './rows_by_index.js';
import { resultRows, SCATTER_SHAPE, scatterOp } from './scatter_op.js';

const K = loopVar('k');
/** Rows on their way at once. */
const AHEAD = 4;

export const scatter_combine: Kernel<'scatter'> = {
  name: 'scatter_combine',
  family: 'scatter',
  math: 'out[r, :] = Σₖ weight[r, k]·x[index[r, k], :]',
  op: 'scatter',
  shape: SCATTER_SHAPE,
  params: INDEX_PARAMS,
  toOp: scatterOp,
  rejects: (op, machine) => lacksMath(machine, op.dtype),
  candidates: (op, machine) => indexCandidates(resultRows(op), op.cols, machine, op.dtype),
  build(op, params, machine) {
    const p = params as IndexParams;
    const results = resultRows(op);
    const work = workDType(op.dtype);
    const { cols, grid, r0, c0 } = tilingOf(results, op.cols, p);
    const ahead = Math.min(AHEAD, op.fan_in);
    const x = tensor('x', op.dtype, [op.rows, op.cols], 'input', 'activation');
    const index = tensor('index', 'int32', [results, op.fan_in], 'input', 'index');
    const weight = tensor('weight', work, [results, op.fan_in], 'input', 'activation');
    const out = tensor('out', op.dtype, [results, op.cols], 'output', 'activation');
    const tx = tile('tx', 'register', work, p.rows, cols, ahead);
    const at = tile('at', 'register', 'int32', p.rows, 1, ahead);
    const w = tile('w', 'register', work, p.rows, 1, ahead);
    const sum = tile('sum', 'register', work, p.rows, cols);
    return [
      {
        program: {
          name: `scatter_combine[${p.rows}x${cols}]`,
          tensors: [x, index, weight, out],
          tiles: [tx, at, w, sum],
          grid,
          body: [
            map(ZERO, [], sum),
            loop(K, 0, op.fan_in, [
              copy(view(index, [r0, K], [0, -1], { fill: -1 }), at),
              copy(view(weight, [r0, K], [0, -1]), w),
              gather(view(x, [0, c0], [0, 1]), at, tx),
              map(FMA, [tx, w, sum], sum),
            ]),
            copy(sum, view(out, [r0, c0], [0, 1])),
          ],
        },
        mapping: vectorMapping(machine, p.groups, p.rows),
      },
    ];
  },
  reference(op, { x, index, weight }) {
    const results = resultRows(op);
    const out = new Float64Array(results * op.cols);
    for (let r = 0; r < results; r++)
      for (let k = 0; k < op.fan_in; k++) {
        const from = index![r * op.fan_in + k]!;
        if (from < 0 || from >= op.rows) continue;
        for (let c = 0; c < op.cols; c++)
          out[r * op.cols + c]! += weight![r * op.fan_in + k]! * x![from * op.cols + c]!;
      }
    return { out };
  },
};
