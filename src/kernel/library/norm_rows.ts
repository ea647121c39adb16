/**
 * Layer and RMS norm of rows as a tile program. With a residual stream the sum x + residual is formed first and written
 * back. Whole rows are held in registers when `block` is 0; otherwise a first read gathers sums, a second applies them.
 */
import type { OpOf } from '../../workload/op.js';
import {
  ceilDiv,
  copy,
  type Expr,
  type Fx,
  type FxOp,
  loop,
  loopVar,
  map,
  mapFn,
  mul,
  type Program,
  reduce,
  type Stmt,
  type Tensor,
  type Tile,
  tensor,
  tile,
  view,
} from '../ir.js';
import type { Kernel } from '../kernel.js';
import { ADD, SQUARE, ZERO } from '../math.js';
import { opHead, readShape } from './dims.js';
import { lacksMath, rowCandidates, vectorMapping, workDType } from './lanes.js';
import { ROW_PARAMS, type RowParams } from './softmax.js';

type Normalise = OpOf<'normalise'>;

/** Added to the variance (PyTorch's default for layer norm) or mean square (Llama's). */
export const NORM_EPS = { layer: 1e-5, rms: 1e-6 } as const;

const I = loopVar('i');
const J = loopVar('j');
const f = (op: FxOp, ...args: Fx[]): Fx => ({ f: op, args });
const [x0, x1, x2, x3]: Fx[] = [{ in: 0 }, { in: 1 }, { in: 2 }, { in: 3 }] as const;
const perColumn = f('mul', x0!, f('rcp', { s: 0 }));
/** sum / s0 */
const MEAN = mapFn('mean', 1, perColumn);
const CENTRE = mapFn('centre', 2, f('sub', x0!, x1!));
const RSTD = {
  layer: mapFn('rstd', 1, f('rsqrt', f('add', perColumn, NORM_EPS.layer))),
  rms: mapFn('rrms', 1, f('rsqrt', f('add', perColumn, NORM_EPS.rms))),
} as const;
/** From Σx² and the mean: the variance as E[x²] − mean², never below 0. */
const RSTD_OF_SUMS = mapFn(
  'rstd_of_sums',
  2,
  f('rsqrt', f('add', f('max', f('sub', perColumn, f('mul', x1!, x1!)), 0), NORM_EPS.layer)),
);
/** x·rstd·weight + bias of centred x, x·rrms·weight */
const APPLY_LAYER = mapFn('affine', 4, f('fma', f('mul', x0!, x1!), x2!, x3!));
const APPLY_RMS = mapFn('gain', 3, f('mul', f('mul', x0!, x1!), x2!));
/** (x − mean)·rstd·weight + bias */
const APPLY_UNCENTRED = mapFn('centre_affine', 5, f('fma', f('mul', f('sub', x0!, { in: 4 }), x1!), x2!, x3!));

const NORM_SHAPE = {
  rows: { description: 'rows' },
  cols: { description: 'columns normalised over' },
  residual: { description: '1: add the residual stream and write it back', default: 0 },
} as const;

function normProgram(op: Normalise, { rows: n, block }: RowParams): Program {
  const { norm, cols } = op;
  const layer = norm === 'layer';
  const work = workDType(op.dtype);
  const held = block > 0 ? Math.min(block, cols) : cols;
  const whole = held >= cols;
  const stages = whole ? 1 : 2;
  const dims = [op.rows, cols];
  const x = tensor('x', op.dtype, dims, 'input', 'activation');
  const residual = tensor('residual', op.dtype, dims, 'inout', 'activation');
  const weight = tensor('weight', op.dtype, [cols], 'input', 'weight');
  const bias = tensor('bias', op.dtype, [cols], 'input', 'weight');
  const out = tensor('out', op.dtype, dims, 'output', 'activation');
  const tx = tile('tx', 'register', work, n, held, stages);
  const tr = tile('tr', 'register', work, n, held, stages);
  const tw = tile('tw', 'register', work, 1, held, stages);
  const tb = tile('tb', 'register', work, 1, held, stages);
  const square = tile('square', 'register', work, n, held);
  const mean = tile('mean', 'register', work, n, 1);
  const sum = tile('sum', 'register', work, n, 1);
  const j0 = whole ? 0 : mul(J, held);
  const at = (t: Tensor) => view(t, [mul(I, n), j0], [0, 1]);
  const gain = (t: Tensor) => view(t, [j0], [-1, 0]);
  const loadGain: Stmt[] = [copy(gain(weight), tw), ...(layer ? [copy(gain(bias), tb)] : [])];
  const join: Stmt[] = op.residual ? [map(ADD, [tx, tr], tx), copy(tx, at(residual))] : [];
  const count: readonly Expr[] = [cols];
  const body: Stmt[] = whole
    ? [
        copy(at(x), tx),
        ...(op.residual ? [copy(at(residual), tr)] : []),
        ...loadGain,
        ...join,
        ...(layer ? [reduce('sum', 1, tx, mean), map(MEAN, [mean], mean, count), map(CENTRE, [tx, mean], tx)] : []),
        map(SQUARE, [tx], square),
        reduce('sum', 1, square, sum),
        map(RSTD[norm], [sum], sum, count),
        layer ? map(APPLY_LAYER, [tx, sum, tw, tb], tx) : map(APPLY_RMS, [tx, sum, tw], tx),
        copy(tx, at(out)),
      ]
    : [
        loop(J, 0, ceilDiv(cols, held), [
          copy(at(x), tx),
          ...(op.residual ? [copy(at(residual), tr)] : []),
          ...join,
          ...(layer ? [reduce('sum', 1, tx, mean, true)] : []),
          map(SQUARE, [tx], square),
          reduce('sum', 1, square, sum, true),
        ]),
        ...(layer
          ? [map(MEAN, [mean], mean, count), map(RSTD_OF_SUMS, [sum, mean], sum, count)]
          : [map(RSTD.rms, [sum], sum, count)]),
        loop(J, 0, ceilDiv(cols, held), [
          copy(at(op.residual ? residual : x), tx),
          ...loadGain,
          layer ? map(APPLY_UNCENTRED, [tx, sum, tw, tb, mean], tx) : map(APPLY_RMS, [tx, sum, tw], tx),
          copy(tx, at(out)),
        ]),
      ];
  const clear = whole ? [] : [...(layer ? [map(ZERO, [], mean)] : []), map(ZERO, [], sum)];
  const tiles: Tile[] = [tx, tw, square, sum];
  if (layer) tiles.push(tb, mean);
  if (op.residual) tiles.push(tr);
  return {
    name: `${norm}norm[${n}x${held}]`,
    tensors: [x, ...(op.residual ? [residual] : []), weight, ...(layer ? [bias] : []), out],
    tiles,
    grid: [{ index: I, extent: Math.ceil(op.rows / n) }],
    body: [...clear, ...body],
  };
}

/** The kernel of one norm. */
export const normKernel = (norm: 'layer' | 'rms', math: string): Kernel<'normalise'> => ({
  name: `${norm}norm`,
  family: `${norm}norm`,
  math,
  op: 'normalise',
  shape: NORM_SHAPE,
  params: ROW_PARAMS,
  toOp(shape, dtype) {
    const { rows, cols, residual } = readShape(`${norm}norm`, NORM_SHAPE, shape, ['residual']);
    return { kind: 'normalise', ...opHead(`${norm}norm`), norm, rows, cols, residual: residual > 0, dtype };
  },
  rejects: (op, machine) =>
    op.norm === norm ? lacksMath(machine, op.dtype) : `${norm}norm does not compute a ${op.norm} norm`,
  candidates: (op, machine) => rowCandidates(op.rows, op.cols, machine, op.dtype),
  build(op, params, machine) {
    const p = params as RowParams;
    return [{ program: normProgram(op, p), mapping: vectorMapping(machine, p.groups, p.rows) }];
  },
  reference(op, { x, residual, weight, bias }) {
    const { rows, cols } = op;
    const out = new Float64Array(rows * cols);
    const stream = residual?.slice() ?? new Float64Array();
    for (let r = 0; r < rows; r++) {
      const row = Array.from({ length: cols }, (_, c) => x![r * cols + c]! + (stream[r * cols + c] ?? 0));
      if (op.residual) for (const [c, v] of row.entries()) stream[r * cols + c] = v;
      const mean = norm === 'layer' ? row.reduce((a, b) => a + b, 0) / cols : 0;
      const variance = row.reduce((a, b) => a + (b - mean) ** 2, 0) / cols;
      const scale = 1 / Math.sqrt(variance + NORM_EPS[norm]);
      for (const [c, v] of row.entries()) out[r * cols + c] = (v - mean) * scale * weight![c]! + (bias?.[c] ?? 0);
    }
    const results: Record<string, Float64Array> = op.residual ? { out, residual: stream } : { out };
    return results;
  },
});
