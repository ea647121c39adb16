/** One scalar function over n elements: a stream. Each lane holds `per_lane` elements, in 16-byte accesses. */
import type { DType } from '../../base/dtype.js';
import { InputError } from '../../base/errors.js';
import { ELEMENTWISE, type ElementwiseFn } from '../../workload/op.js';
import { copy, loopVar, map, mul, tensor, tile, view } from '../ir.js';
import type { Kernel, Params } from '../kernel.js';
import { ELEMENTWISE_SCALE, elementwiseFn, isInteger, QUANTISE_SCALE, QUANTISED_MAX } from '../math.js';
import { ceil, opHead, readShape } from './dims.js';
import { erf } from './erf.js';
import { groupsParam, lacksMath, vectorMapping, vectorWidth, workDType } from './lanes.js';

const FNS = Object.keys(ELEMENTWISE) as ElementwiseFn[];
const SHAPE = {
  op: { description: `function: ${FNS.join(', ')}`, words: FNS },
  n: { description: 'elements of the result' },
} as const;
export const STREAM_PARAMS = {
  groups: groupsParam,
  per_lane: { description: 'elements of a lane', values: [1, 2, 4, 8, 16, 32, 64], default: 8 },
} as const;
export type StreamParams = Params & Record<keyof typeof STREAM_PARAMS, number>;

/** A stream of n elements over lanes: one to four vector accesses a lane, four to sixteen lane groups. */
export function streamCandidates(n: number, lane_group: number, dtype: DType): Params[] {
  const width = vectorWidth(dtype);
  const out: Params[] = [];
  for (const groups of [4, 8, 16])
    for (const per_lane of new Set([1, width, 2 * width, 4 * width]))
      if (per_lane <= 64 && (per_lane === 1 || per_lane * groups * lane_group < 2 * n || groups === 4))
        out.push({ groups, per_lane });
  return out;
}

const I = loopVar('i');

export const elementwise: Kernel<'elementwise'> = {
  name: 'elementwise',
  family: 'elementwise',
  math: 'out[i] = fn(a[i], b[i])',
  op: 'elementwise',
  shape: SHAPE,
  params: STREAM_PARAMS,
  toOp(shape, dtype) {
    const { op, n } = readShape('elementwise', SHAPE, shape);
    const fn = FNS[op];
    if (!fn) throw unknownIndex(op);
    const out = fn === 'quantise' ? 'int8' : fn === 'cast' ? (dtype === 'fp32' ? 'fp16' : 'fp32') : undefined;
    return { kind: 'elementwise', ...opHead('elementwise'), fn, n, dtype, out };
  },
  rejects: (op, machine) => lacksMath(machine, op.dtype),
  candidates: (op, machine) => streamCandidates(op.n, machine.cores.lane_group, op.dtype),
  build(op, params, machine) {
    const { groups, per_lane } = params as StreamParams;
    const out = op.out ?? op.dtype;
    const block = groups * machine.cores.lane_group * per_lane;
    // Moves and casts keep the bits they load; everything else is computed on wide numbers.
    const moves = op.fn === 'copy' || op.fn === 'cast';
    const held = moves ? op.dtype : workDType(op.dtype);
    const ta = tile('ta', 'register', held, 1, block);
    const to = op.fn === 'cast' ? tile('to', 'register', out, 1, block) : ta;
    const a = tensor('a', op.dtype, [op.n], 'input', 'activation');
    const result = tensor('out', out, [op.n], 'output', 'activation');
    const here = [mul(I, block)];
    const grid = [{ index: I, extent: ceil(op.n, block) }];
    const name = `elementwise_${op.fn}[${block}]`;
    const mapping = vectorMapping(machine, groups, 1);
    const fn = elementwiseFn(op.fn, out);
    const load = copy(view(a, here, [-1, 0]), ta);
    const store = copy(to, view(result, here, [-1, 0]));
    if (ELEMENTWISE[op.fn] === 2) {
      const b = tensor('b', op.dtype, [op.n], 'input', 'activation');
      const tb = tile('tb', 'register', held, 1, block);
      const body = [load, copy(view(b, here, [-1, 0]), tb), map(fn, [ta, tb], ta), store];
      return [{ program: { name, tensors: [a, b, result], tiles: [ta, tb], grid, body }, mapping }];
    }
    const body = op.fn === 'copy' ? [load, store] : [load, map(fn, [ta], to), store];
    return [{ program: { name, tensors: [a, result], tiles: to === ta ? [ta] : [ta, to], grid, body }, mapping }];
  },
  reference(op, { a, b }) {
    const fn = REFERENCE[op.fn];
    const to = op.out ?? op.dtype;
    return { out: a!.map((x, i) => fn(x, b?.[i] ?? 0, to)) };
  },
};

const unknownIndex = (op: number) =>
  new InputError(
    `'op' is ${op}, expected one of ${FNS.join(', ')} or its place 0 to ${FNS.length - 1}`,
    'elementwise --shape',
  );

/** To the nearest whole number, halves to the even one. */
const roundEven = (x: number): number => {
  const up = Math.round(x);
  return up - x === 0.5 && up % 2 !== 0 ? up - 1 : up;
};
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const gelu = (x: number): number => 0.5 * x * (1 + erf(x * Math.SQRT1_2));
const PHI = (x: number): number => 0.5 * (1 + erf(x * Math.SQRT1_2));
const REFERENCE: Record<ElementwiseFn, (a: number, b: number, out: DType) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  pow: (a, b) => a ** b,
  relu: (a) => Math.max(a, 0),
  gelu,
  gelu_tanh: (a) => 0.5 * a * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (a + 0.044715 * a ** 3))),
  silu: (a) => a * sigmoid(a),
  sigmoid,
  tanh: (a) => Math.tanh(a),
  exp: (a) => Math.exp(a),
  scale: (a) => a * ELEMENTWISE_SCALE,
  cast: (a) => a,
  copy: (a) => a,
  swiglu: (a, b) => a * sigmoid(a) * b,
  geglu: (a, b) => gelu(a) * b,
  quantise: (a, _, out) => {
    const limit = QUANTISED_MAX[out] ?? Number.POSITIVE_INFINITY;
    const x = Math.min(Math.max(a * QUANTISE_SCALE, -limit), limit);
    return isInteger(out) ? roundEven(x) : x;
  },
  relu_backward: (a, b) => (a > 0 ? b : 0),
  gelu_backward: (a, b) => b * (PHI(a) + (a * Math.exp(-a * a * 0.5)) / Math.sqrt(2 * Math.PI)),
  gelu_tanh_backward: (a, b) => {
    const c = Math.sqrt(2 / Math.PI);
    const t = Math.tanh(c * (a + 0.044715 * a ** 3));
    return b * (0.5 * (1 + t) + 0.5 * a * (1 - t * t) * c * (1 + 3 * 0.044715 * a * a));
  },
  silu_backward: (a, b) => b * sigmoid(a) * (1 + a * (1 - sigmoid(a))),
};
