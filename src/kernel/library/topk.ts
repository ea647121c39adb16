/**
 * Routing: softmax over the experts of each token, then k times the greatest weight and its place (the first among
 * equals): the place is the least column number whose weight is not below the maximum, after which it is struck out.
 */
import { copy, type Fx, type FxOp, loop, loopVar, map, mapFn, mul, reduce, tensor, tile, view } from '../ir.js';
import type { Kernel } from '../kernel.js';
import { CONVERT, LOG2E, MUL } from '../math.js';
import { opHead, readShape } from './dims.js';
import { lacksMath, rowCandidates, vectorMapping, workDType } from './lanes.js';
import { ROW_PARAMS, type RowParams } from './softmax.js';

const SHAPE = {
  rows: { description: 'tokens' },
  cols: { description: 'experts' },
  k: { description: 'experts chosen' },
} as const;
const { rows: rowsParam, groups: groupsParam } = ROW_PARAMS;

const I = loopVar('i');
const K = loopVar('k');
const f = (op: FxOp, ...args: Fx[]): Fx => ({ f: op, args });
const [x0, x1]: [Fx, Fx] = [{ in: 0 }, { in: 1 }];
const col: Fx = { coord: 'col' };
const NEGATE = mapFn('negate', 1, f('mul', x0, -LOG2E));
const EXP = mapFn('exp', 2, f('exp2', f('fma', x0, LOG2E, x1)));
const RCP = mapFn('rcp', 1, f('rcp', x0));
/** The column where the weight is the maximum, else a number past all columns. */
const PLACE = mapFn('place', 2, f('select', f('lt', x0, x1), 1e9, col));
/** −1 at the chosen column, below every weight. */
const STRIKE = mapFn('strike', 2, f('select', f('lt', col, x1), x0, f('select', f('lt', x1, col), x0, -1)));

export const topk: Kernel<'topk'> = {
  name: 'topk',
  family: 'topk',
  math: 'weight[r, :], expert[r, :] = the k greatest of softmax(x[r, :]) and their columns',
  op: 'topk',
  shape: SHAPE,
  params: { rows: rowsParam, groups: groupsParam },
  toOp: (shape, dtype) => ({ kind: 'topk', ...opHead('topk'), ...readShape('topk', SHAPE, shape), dtype }),
  rejects: (op, machine) =>
    op.k > op.cols ? `cannot choose ${op.k} of ${op.cols} experts` : lacksMath(machine, op.dtype),
  *candidates(op, machine) {
    for (const { rows, groups, block } of rowCandidates(op.rows, op.cols, machine, op.dtype))
      if (block === 0) yield { rows: rows!, groups: groups! };
  },
  build(op, params, machine) {
    const { rows: n, groups } = params as RowParams;
    const work = workDType(op.dtype);
    const x = tensor('x', op.dtype, [op.rows, op.cols], 'input', 'activation');
    const weight = tensor('weight', work, [op.rows, op.k], 'output', 'activation');
    const expert = tensor('expert', 'int32', [op.rows, op.k], 'output', 'index');
    const p = tile('p', 'register', work, n, op.cols);
    const place = tile('place', 'register', work, n, op.cols);
    const top = tile('top', 'register', work, n, 1);
    const sum = tile('sum', 'register', work, n, 1);
    const at = tile('at', 'register', work, n, 1);
    const index = tile('index', 'register', 'int32', n, 1);
    const r0 = mul(I, n);
    return [
      {
        program: {
          name: `topk[${n}x${op.cols},${op.k}]`,
          tensors: [x, weight, expert],
          tiles: [p, place, top, sum, at, index],
          grid: [{ index: I, extent: Math.ceil(op.rows / n) }],
          body: [
            copy(view(x, [r0, 0], [0, 1]), p),
            reduce('max', 1, p, top),
            map(NEGATE, [top], top),
            map(EXP, [p, top], p),
            reduce('sum', 1, p, sum),
            map(RCP, [sum], sum),
            map(MUL, [p, sum], p),
            loop(K, 0, op.k, [
              reduce('max', 1, p, top),
              map(PLACE, [p, top], place),
              reduce('min', 1, place, at),
              map(STRIKE, [p, at], p),
              map(CONVERT, [at], index),
              copy(top, view(weight, [r0, K], [0, -1])),
              copy(index, view(expert, [r0, K], [0, -1])),
            ]),
          ],
        },
        mapping: vectorMapping(machine, groups, n),
      },
    ];
  },
  reference(op, { x }) {
    const weight = new Float64Array(op.rows * op.k);
    const expert = new Float64Array(op.rows * op.k);
    for (let r = 0; r < op.rows; r++) {
      const row = [...x!.subarray(r * op.cols, (r + 1) * op.cols)];
      const top = Math.max(...row);
      const sum = row.reduce((a, v) => a + Math.exp(v - top), 0);
      const order = row.map((_, c) => c).sort((a, b) => row[b]! - row[a]! || a - b);
      for (let k = 0; k < op.k; k++) {
        expert[r * op.k + k] = order[k]!;
        weight[r * op.k + k] = Math.exp(row[order[k]!]! - top) / sum;
      }
    }
    return { weight, expert };
  },
};
