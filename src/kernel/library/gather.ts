/** Rows of a table by index: embedding lookup. */
import { copy, gather as gatherRows, tensor, tile, view } from '../ir.js';
import type { Kernel } from '../kernel.js';
import { opHead, readShape } from './dims.js';
import { vectorMapping } from './lanes.js';
import { INDEX_PARAMS, type IndexParams, indexCandidates, tilingOf } from './rows_by_index.js';

const SHAPE = {
  rows: { description: 'rows gathered' },
  cols: { description: 'width' },
  table_rows: { description: 'rows of the table' },
} as const;

export const gather: Kernel<'gather'> = {
  name: 'gather',
  family: 'gather',
  math: 'out[r, :] = table[index[r], :]',
  op: 'gather',
  shape: SHAPE,
  params: INDEX_PARAMS,
  toOp: (shape, dtype) => ({
    kind: 'gather',
    ...opHead('gather'),
    ...readShape('gather', SHAPE, shape),
    dtype,
  }),
  rejects: () => undefined,
  candidates: (op, machine) => indexCandidates(op.rows, op.cols, machine, op.dtype),
  build(op, params, machine) {
    const p = params as IndexParams;
    const { cols, grid, r0, c0 } = tilingOf(op.rows, op.cols, p);
    const table = tensor('table', op.dtype, [op.table_rows, op.cols], 'input', 'weight');
    const index = tensor('index', 'int32', [op.rows], 'input', 'index');
    const out = tensor('out', op.dtype, [op.rows, op.cols], 'output', 'activation');
    const rows = tile('rows', 'register', op.dtype, p.rows, cols);
    const at = tile('at', 'register', 'int32', p.rows, 1);
    return [
      {
        program: {
          name: `gather[${p.rows}x${cols}]`,
          tensors: [table, index, out],
          tiles: [rows, at],
          grid,
          body: [
            // rows past the end fetch nothing
            copy(view(index, [r0], [0, -1], { fill: -1 }), at),
            gatherRows(view(table, [0, c0], [0, 1]), at, rows),
            copy(rows, view(out, [r0, c0], [0, 1])),
          ],
        },
        mapping: vectorMapping(machine, p.groups, p.rows),
      },
    ];
  },
  reference(op, { table, index }) {
    const out = new Float64Array(op.rows * op.cols);
    for (let r = 0; r < op.rows; r++)
      for (let c = 0; c < op.cols; c++) out[r * op.cols + c] = table![index![r]! * op.cols + c]!;
    return { out };
  },
};
