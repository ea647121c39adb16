/** Writes new keys and values into the cache at each token's slot, converting to the cache's dtype. */
import { copy, map, scatter, tensor, tile, view } from '../ir.js';
import type { Kernel } from '../kernel.js';
import { CONVERT } from '../math.js';
import { opHead, readShape } from './dims.js';
import { lacksMath, vectorMapping } from './lanes.js';
import { INDEX_PARAMS, type IndexParams, indexCandidates, tilingOf } from './rows_by_index.js';

const SHAPE = { rows: { description: 'tokens' }, cols: { description: 'kv_heads × head_dim × 2' } } as const;

/** The cache is as large as what is written into it here; `slots` says which of its rows each token takes. */
export const kv_append: Kernel<'kv_append'> = {
  name: 'kv_append',
  family: 'kv_append',
  math: 'cache[slots[r], :] = x[r, :]',
  op: 'kv_append',
  shape: SHAPE,
  params: INDEX_PARAMS,
  toOp: (shape, dtype) => ({
    kind: 'kv_append',
    ...opHead('kv_append'),
    ...readShape('kv_append', SHAPE, shape),
    dtype,
    kv: dtype,
  }),
  rejects: (op, machine) => lacksMath(machine, op.dtype),
  candidates: (op, machine) => indexCandidates(op.rows, op.cols, machine, op.dtype),
  build(op, params, machine) {
    const p = params as IndexParams;
    const { cols, grid, r0, c0 } = tilingOf(op.rows, op.cols, p);
    const x = tensor('x', op.dtype, [op.rows, op.cols], 'input', 'activation');
    const slots = tensor('slots', 'int32', [op.rows], 'input', 'index');
    const cache = tensor('cache', op.kv, [op.rows, op.cols], 'output', 'kv');
    const tx = tile('tx', 'register', op.dtype, p.rows, cols);
    const to = op.kv === op.dtype ? tx : tile('to', 'register', op.kv, p.rows, cols);
    const at = tile('at', 'register', 'int32', p.rows, 1);
    return [
      {
        program: {
          name: `kv_append[${p.rows}x${cols}]`,
          tensors: [x, slots, cache],
          tiles: to === tx ? [tx, at] : [tx, at, to],
          grid,
          body: [
            // rows past the end take no slot
            copy(view(slots, [r0], [0, -1], { fill: -1 }), at),
            copy(view(x, [r0, c0], [0, 1]), tx),
            ...(to === tx ? [] : [map(CONVERT, [tx], to)]),
            scatter(to, at, view(cache, [0, c0], [0, 1]), 'set'),
          ],
        },
        mapping: vectorMapping(machine, p.groups, p.rows),
      },
    ];
  },
  reference(op, { x, slots }) {
    const cache = new Float64Array(op.rows * op.cols);
    for (let r = 0; r < op.rows; r++)
      for (let c = 0; c < op.cols; c++) cache[slots![r]! * op.cols + c] = x![r * op.cols + c]!;
    return { cache };
  },
};
