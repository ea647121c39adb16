/** The softmax of rows as a tile program, used alone and as the middle launch of unfused attention. */
import type { DType } from '../../base/dtype.js';
import {
  ceilDiv,
  copy,
  type Fx,
  type FxOp,
  loop,
  loopVar,
  map,
  mapFn,
  mul,
  type Program,
  reduce,
  type Tensor,
  tile,
  view,
} from '../ir.js';
import { LOG2E, MOVE, MUL, ZERO } from '../math.js';
import { workDType } from './lanes.js';

const I = loopVar('i');
const J = loopVar('j');
const f = (op: FxOp, ...args: Fx[]): Fx => ({ f: op, args });
const x0: Fx = { in: 0 };
const x1: Fx = { in: 1 };

/** What lies past the end of a row reads as: far below the numbers in it, and finite when scaled. */
const LOWEST = -1e38;
/** Scores below this are masked (attention writes −60 000, the lowest round number of fp16). */
const MASK_LIMIT = -30000;

/** For rows as they are (base e) and rows already in base-2 logarithms. */
const fnsFor = (scale: number) => ({
  negate: mapFn('negate', 1, f('mul', x0, -scale)),
  weight: mapFn('exp', 2, f('exp2', scale === 1 ? f('add', x0, x1) : f('fma', x0, scale, x1))),
  rescale: mapFn('rescale', 2, f('exp2', scale === 1 ? f('sub', x0, x1) : f('mul', f('sub', x0, x1), scale))),
});
const NATURAL = fnsFor(LOG2E);
const BINARY = fnsFor(1);
const START = mapFn('start', 0, LOWEST);
const RCP = mapFn('rcp', 1, f('rcp', x0));
/** 1/l, and 0 where the maximum says that the whole row is masked; operands l, −max. */
const RCP_UNMASKED = mapFn('rcp_unmasked', 2, f('select', f('lt', x1, -MASK_LIMIT), f('rcp', x0), 0));
const FINISH = mapFn('softmax', 3, f('mul', f('exp2', f('fma', x0, LOG2E, x1)), { in: 2 }));
const FINISH_BINARY = mapFn('softmax_base2', 3, f('mul', f('exp2', f('add', x0, x1)), { in: 2 }));

export interface SoftmaxRows {
  readonly name: string;
  /** [rows, cols] each; may be the same tensor. */
  readonly from: Tensor;
  readonly to: Tensor;
  readonly dtype: DType;
  readonly rows: number;
  readonly cols: number;
  /** Rows a workgroup; columns held at a time (0: all). */
  readonly rows_per: number;
  readonly block: number;
  /** Times that rows are read when they are held in blocks: 2 (if absent) or 3. */
  readonly passes?: number;
  /** Rows are base-2 logarithms, masked where below MASK_LIMIT. */
  readonly masked_base2?: boolean;
}

/**
 * Whole rows in registers when `block` is 0: one read, one write. Otherwise one read for maximum and sum together
 * (rescaled block by block), or one for each; and another for the result.
 */
export function softmaxProgram(s: SoftmaxRows): Program {
  const { rows_per: n, cols, block } = s;
  const work = workDType(s.dtype);
  const fns = s.masked_base2 ? BINARY : NATURAL;
  const held = block > 0 ? Math.min(block, cols) : cols;
  const m = tile('m', 'register', work, n, 1);
  const nm = tile('nm', 'register', work, n, 1);
  const l = tile('l', 'register', work, n, 1);
  const i0 = mul(I, n);
  const grid = [{ index: I, extent: Math.ceil(s.rows / n) }];
  const tensors = s.from === s.to ? [s.from] : [s.from, s.to];
  const invert = s.masked_base2 ? map(RCP_UNMASKED, [l, nm], l) : map(RCP, [l], l);
  const name = `${s.name}[${n}x${held}]`;
  if (held >= cols) {
    const x = tile('tx', 'register', work, n, cols);
    const whole = [i0, 0];
    return {
      name,
      tensors,
      tiles: [x, m, nm, l],
      grid,
      body: [
        copy(view(s.from, whole, [0, 1]), x),
        reduce('max', 1, x, m),
        map(fns.negate, [m], nm),
        map(fns.weight, [x, nm], x),
        reduce('sum', 1, x, l),
        invert,
        map(MUL, [x, l], x),
        copy(x, view(s.to, whole, [0, 1])),
      ],
    };
  }
  // two buffers, so that the next block is on its way while this one is summed
  const x = tile('tx', 'register', work, n, held, 2);
  const alpha = tile('alpha', 'register', work, n, 1);
  const e = tile('e', 'register', work, n, held);
  const here = [i0, mul(J, held)];
  const blocks = ceilDiv(cols, held);
  const load = copy(view(s.from, here, [0, 1], { fill: LOWEST }), x);
  const max = reduce('max', 1, x, m, true);
  const sum = [map(fns.weight, [x, nm], e), reduce('sum', 1, e, l, true)];
  const gathered =
    s.passes === 3
      ? [loop(J, 0, blocks, [load, max]), map(fns.negate, [m], nm), loop(J, 0, blocks, [load, ...sum])]
      : [
          loop(J, 0, blocks, [
            load,
            map(MOVE, [m], alpha),
            max,
            map(fns.rescale, [alpha, m], alpha),
            map(fns.negate, [m], nm),
            sum[0]!,
            map(MUL, [l, alpha], l),
            sum[1]!,
          ]),
        ];
  return {
    name,
    tensors,
    tiles: [x, m, nm, l, ...(s.passes === 3 ? [] : [alpha]), e],
    grid,
    body: [
      map(START, [], m),
      map(ZERO, [], l),
      ...gathered,
      invert,
      loop(J, 0, blocks, [
        copy(view(s.from, here, [0, 1]), x),
        map(s.masked_base2 ? FINISH_BINARY : FINISH, [x, nm, l], e),
        copy(e, view(s.to, here, [0, 1])),
      ]),
    ],
  };
}
