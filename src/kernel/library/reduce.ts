/**
 * Sum or maximum of each row. Lanes accumulate blocks of columns and are folded once at the end; rows so few that they
 * leave cores idle are cut into `splits` parts, which a second launch folds.
 */
import {
  ceilDiv,
  copy,
  loop,
  loopVar,
  map,
  mapFn,
  min,
  mul,
  type Program,
  reduce as reduceTile,
  tensor,
  tile,
  view,
} from '../ir.js';
import type { Kernel, Launch, Params } from '../kernel.js';
import { ADD, MAX, ZERO } from '../math.js';
import { ceil, opHead, readShape } from './dims.js';
import { groupsParam, lacksMath, vectorMapping, vectorWidth, workDType } from './lanes.js';

const SHAPE = {
  rows: { description: 'rows' },
  cols: { description: 'columns reduced' },
  op: { description: 'sum or max', words: ['sum', 'max'], default: 0 },
} as const;
const SPLITS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] as const;
const PARAMS = {
  rows: { description: 'rows a workgroup', values: [1, 2, 4, 8, 16, 32], default: 1 },
  block: { description: 'columns a step', values: [32, 64, 128, 256, 512, 1024, 2048, 4096], default: 1024 },
  stages: { description: 'steps on their way at once', values: [1, 2, 4], default: 4 },
  splits: { description: 'parts of a row', values: SPLITS, default: 1 },
  groups: groupsParam,
} as const;
type P = Params & Record<keyof typeof PARAMS, number>;

const S = loopVar('split');
const I = loopVar('i');
const J = loopVar('j');
/** Below every number; what a maximum starts from and reads past the end of a row. */
const LOWEST = -1e38;
const START = { sum: ZERO, max: mapFn('start', 0, LOWEST) } as const;
const FOLD = { sum: ADD, max: MAX } as const;

export const reduce: Kernel<'reduce'> = {
  name: 'reduce',
  family: 'reduce',
  math: 'out[r] = Σ x[r, :] or max x[r, :]',
  op: 'reduce',
  shape: SHAPE,
  params: PARAMS,
  toOp(shape, dtype) {
    const { rows, cols, op } = readShape('reduce', SHAPE, shape);
    return { kind: 'reduce', ...opHead('reduce'), rows, cols, op: op === 1 ? 'max' : 'sum', dtype };
  },
  rejects: (op, machine) => lacksMath(machine, op.dtype),
  candidates(op, machine) {
    const lane = machine.cores.lane_group;
    const { count } = machine.cores;
    const width = vectorWidth(op.dtype);
    const out: Params[] = [];
    for (const groups of [1, 4, 8, 16])
      for (const rows of PARAMS.rows.values)
        for (const block of PARAMS.block.values) {
          const each = (rows * block) / (groups * lane);
          if (each !== width && each !== 2 * width && !(rows === 1 && block === 32 && groups === 1)) continue;
          if (block >= 2 * Math.max(op.cols, 32) || (rows > 1 && (rows > op.rows || block < op.cols / 4))) continue;
          const workgroups = ceil(op.rows, rows);
          const wanted = SPLITS.filter(
            (s) => s > 1 && workgroups * s >= count && workgroups * s <= 8 * count && s * block <= op.cols,
          );
          const splits = workgroups >= count ? [] : wanted.slice(-2);
          for (const s of [1, ...splits]) out.push({ rows, block, stages: op.cols > block ? 4 : 1, splits: s, groups });
        }
    return out.slice(0, 60);
  },
  build(op, params, machine) {
    const p = params as P;
    const work = workDType(op.dtype);
    const x = tensor('x', op.dtype, [op.rows, op.cols], 'input', 'activation');
    const out = tensor('out', op.dtype, [op.rows], 'output', 'activation');
    const part = p.splits > 1 ? tensor('part', work, [op.rows, p.splits], 'scratch', 'activation') : undefined;
    const acc = tile('acc', 'register', work, p.rows, p.block);
    const tx = tile('tx', 'register', work, p.rows, p.block, p.stages);
    const result = tile('result', 'register', work, p.rows, 1);
    const i0 = mul(I, p.rows);
    const steps = ceil(op.cols, p.block);
    const each = ceil(steps, p.splits);
    const from = p.splits > 1 ? mul(S, each) : 0;
    const rows = { index: I, extent: ceil(op.rows, p.rows) };
    const program: Program = {
      name: `reduce_${op.op}[${p.rows}x${p.block},s${p.stages},${p.splits}]`,
      tensors: [x, part ?? out],
      tiles: [acc, tx, result],
      grid: part ? [{ index: S, extent: p.splits }, rows] : [rows],
      body: [
        map(START[op.op], [], acc),
        loop(J, from, part ? min({ op: '+', a: from, b: each }, steps) : ceilDiv(op.cols, p.block), [
          copy(view(x, [i0, mul(J, p.block)], [0, 1], { fill: op.op === 'max' ? LOWEST : 0 }), tx),
          map(FOLD[op.op], [acc, tx], acc),
        ]),
        reduceTile(op.op, 1, acc, result),
        copy(result, part ? view(part, [i0, S], [0, -1]) : view(out, [i0], [0, -1])),
      ],
    };
    const first: Launch = { program, mapping: vectorMapping(machine, p.groups, p.rows) };
    if (!part) return [first];
    const n = Math.min(8, op.rows);
    const parts = tile('parts', 'register', work, n, p.splits);
    const whole = tile('whole', 'register', work, n, 1);
    const second: Program = {
      name: `reduce_parts[${n}x${p.splits}]`,
      tensors: [part, out],
      tiles: [parts, whole],
      grid: [{ index: I, extent: ceil(op.rows, n) }],
      body: [
        copy(view(part, [mul(I, n), 0], [0, 1]), parts),
        reduceTile(op.op, 1, parts, whole),
        copy(whole, view(out, [mul(I, n)], [0, -1])),
      ],
    };
    return [first, { program: second, mapping: vectorMapping(machine, Math.min(n, 8) < 4 ? 1 : 4, n) }];
  },
  reference(op, { x }) {
    const out = new Float64Array(op.rows);
    for (let r = 0; r < op.rows; r++) {
      const row = x!.subarray(r * op.cols, (r + 1) * op.cols);
      out[r] = op.op === 'max' ? row.reduce((a, b) => Math.max(a, b)) : row.reduce((a, b) => a + b, 0);
    }
    return { out };
  },
};
