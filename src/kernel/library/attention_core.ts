/**
 * One block of attention: scores of a tile of queries against a block of keys, and the online softmax that folds
 * blocks together (Milakov & Gimelshein 2018; order of FlashAttention-2, Dao 2023). Exponentials are exp2 with
 * log2 e/√d folded into one multiply–add: p = exp2(s·c − m·c).
 */
import type { DType } from '../../base/dtype.js';
import {
  copy,
  type Fx,
  type FxOp,
  type MapFn,
  map,
  mapFn,
  mma,
  reduce,
  type Stmt,
  type Tensor,
  type Tile,
  tensor,
  tile,
  view,
} from '../ir.js';
import { CONVERT, LOG2E, MOVE, MUL, ZERO } from '../math.js';
import { indexRows, MASKED, type Mask, maskOf } from './attention_mask.js';
import { type Attention, NO_KEY } from './attention_op.js';
import { laneTile, type Route } from './attention_route.js';
import { J, keyView, loadRows, queryTensor, type Rows } from './attention_rows.js';
import { widenFn } from './mma_route.js';

const f = (op: FxOp, ...args: Fx[]): Fx => ({ f: op, args });
const x0: Fx = { in: 0 };
const x1: Fx = { in: 1 };

/** Where the running maximum starts: above masked scores, so that they weigh 0 even in a row that sees no key. */
const START = MASKED / 2;

export interface ScaleFns {
  /** −m·c */
  readonly negate: MapFn;
  /** exp2(s·c − m·c); operands s, −m·c */
  readonly weight: MapFn;
  /** exp2((m_old − m)·c); a difference of equals is 0 however large they are */
  readonly rescale: MapFn;
  /** s + bias·√d, so that the scale folded in later leaves the bias as it is */
  readonly bias: MapFn;
  /** s·c */
  readonly scale: MapFn;
  /** s/√d */
  readonly plain: MapFn;
}
/** For scores that are scaled already: exponentials of base e, as a multiplication by log2 e and exp2. */
const SCALED: Pick<ScaleFns, 'negate' | 'weight' | 'rescale'> = {
  negate: mapFn('negate', 1, f('mul', x0, -LOG2E)),
  weight: mapFn('exponential', 2, f('exp2', f('mul', f('sub', x0, x1), LOG2E))),
  rescale: mapFn('rescale', 2, f('exp2', f('mul', f('sub', x0, x1), LOG2E))),
};
const scales = new Map<number, ScaleFns>();
/** The functions whose constants hold the scale 1/√head_dim. */
export function scaleFns(head_dim: number): ScaleFns {
  let fns = scales.get(head_dim);
  if (!fns) {
    const c = LOG2E / Math.sqrt(head_dim);
    fns = {
      negate: mapFn('negate_scaled', 1, f('mul', x0, -c)),
      weight: mapFn('weight', 2, f('exp2', f('fma', x0, c, x1))),
      rescale: mapFn('rescale', 2, f('exp2', f('mul', f('sub', x0, x1), c))),
      bias: mapFn('bias', 2, f('fma', x1, Math.sqrt(head_dim), x0)),
      scale: mapFn('scale', 1, f('mul', x0, c)),
      plain: mapFn('scale', 1, f('mul', x0, 1 / Math.sqrt(head_dim))),
    };
    scales.set(head_dim, fns);
  }
  return fns;
}
/** Where the running maximum starts. */
export const START_MAX = mapFn('start', 0, START);
/** 1/l, and 0 for a row that saw no key. */
export const INVERT = mapFn('invert', 1, f('select', f('lt', 0, x0), f('rcp', x0), 0));

/** log₂ Σ e^score from the row's sum and −m·c. */
const LOG_SUM = mapFn('log_sum', 2, f('select', f('lt', 0, x0), f('sub', f('log2', x0), x1), NO_KEY));

/** log₂ Σ e^score of each row, written for the backward pass; made in the place of −m·c. */
export function statisticsOf(op: Attention, rows: Rows, core: Core, acc: DType): { tensors: Tensor[]; steps: Stmt[] } {
  if (!op.statistics) return { tensors: [], steps: [] };
  const { l, nmc } = core;
  const sums = tensor('log_sums', acc, [op.batch, op.heads, op.q_len], 'output', 'activation');
  return {
    tensors: [sums],
    steps: [map(LOG_SUM, [l, nmc], nmc), copy(nmc, view(sums, [rows.b, rows.head, rows.r0], [2, -1]))],
  };
}

/** Rows up to which lanes convert keys as they read them. */
const FEW_ROWS = 8;

export interface Sizes {
  readonly bq: number;
  readonly bkv: number;
  readonly stages: number;
  readonly groups: number;
  /** Scores are scaled before anything else is done with them. */
  readonly scaled?: boolean;
}

/** Tensors, tiles and statements of attention over one tile of queries. */
export interface Core {
  readonly tensors: readonly Tensor[];
  readonly tiles: readonly Tile[];
  /** Rows' places in the flat tensors, when they are gathered. */
  readonly index: Tile | undefined;
  readonly o: Tile;
  readonly m: Tile;
  /** −m·c */
  readonly nmc: Tile;
  readonly l: Tile;
  /** Index, query tile, limits, cleared accumulators. */
  readonly start: readonly Stmt[];
  /** Loads the block's keys. */
  readonly loadKeys: Stmt;
  /** Scores of block J into s, masked or not. */
  scores(masked: boolean): readonly Stmt[];
  /** Folds scores into m, rescaling l and o. */
  readonly foldMax: readonly Stmt[];
  /** Folds scores into m alone. */
  readonly max: Stmt;
  /** −m·c from m. */
  readonly fixMax: Stmt;
  /** Loads the block's values. */
  readonly loadValues: Stmt;
  /** Weights from scores, folded into l and o. */
  readonly accumulate: readonly Stmt[];
  /** o divided by l. */
  readonly normalise: readonly Stmt[];
}

export function coreOf(op: Attention, route: Route, rows: Rows, z: Sizes): Core {
  const { head_dim: d } = op;
  const { bq, bkv, stages } = z;
  const { operand, acc } = route;
  const matrix = route.mma === 'matrix';
  const lanes = z.groups * route.lanes;
  const one = (name: string): Tile => tile(name, 'register', acc, bq, 1);

  const q = queryTensor(rows, 'q', op.q, 'input', [], [d]);
  const k = tensor('k', op.kv, [op.batch, op.kv_len, op.kv_heads, d], 'input', 'kv');
  const v = tensor('v', op.kv, [op.batch, op.kv_len, op.kv_heads, d], 'input', 'kv');
  const tq = tile('tq', 'shared', operand, bq, d);
  // On lanes many rows share a converted copy of the keys; few rows convert what they read.
  const widens = op.kv !== operand && (matrix || bq <= FEW_ROWS);
  const stored = matrix || widens ? op.kv : operand;
  const tk = tile('tk', 'shared', stored, bkv, d, stages);
  const tv = tile('tv', 'shared', stored, bkv, d, stages);
  const s = tile('s', 'register', acc, bq, bkv, 1, matrix ? undefined : laneTile(lanes, bq, bkv));
  const o = tile('o_acc', 'register', acc, bq, d, 1, matrix ? undefined : laneTile(lanes, bq, d));
  // On lanes the weights go through shared storage, since each lane needs those of its whole row.
  const p: Tile = matrix
    ? operand === acc
      ? s
      : { name: 'p', level: 'register', dtype: operand, rows: bq, cols: bkv, stages: 1, reuses: 's' }
    : tile('p', 'shared', operand, bq, bkv);
  const m = one('m');
  const nmc = one('nmc');
  const l = one('l');
  const alpha = one('alpha');
  const fns = z.scaled ? { ...scaleFns(d), ...SCALED } : scaleFns(d);

  // Keys and values are widened to the operands' format in registers or, when the unit reads shared, there;
  // the keys are done with when the values are widened.
  const level = route.fromShared ? 'shared' : 'register';
  const kOperand = widens ? tile('kw', level, operand, bkv, d) : tk;
  const vOperand: Tile = widens
    ? { name: 'vw', level, dtype: operand, rows: bkv, cols: d, stages: 1, reuses: 'kw' }
    : tv;
  const widenWith = matrix ? widenFn(op.kv) : CONVERT;
  const widen = (from: Tile, to: Tile): readonly Stmt[] => (widens ? [map(widenWith, [from], to)] : []);

  const mask: Mask = maskOf(rows, acc);
  const { index, setup } = indexRows(rows);
  const tensors: Tensor[] = [q, k, v];
  const tiles: Tile[] = [tq, tk, tv, s, o, m, nmc, l, alpha, ...mask.tiles];
  if (p !== s) tiles.push(p);
  if (widens) tiles.push(kOperand, vOperand);
  if (index) tiles.push(index);
  const biasSteps: Stmt[] = [];
  if (op.relative_bias) {
    const bias = tensor('bias', op.q, [op.heads, op.q_len, op.kv_len], 'input', 'weight');
    const tb = tile('tb', 'register', op.q, bq, bkv);
    tensors.push(bias);
    tiles.push(tb);
    biasSteps.push(copy(view(bias, [rows.head, rows.r0, { op: '*', a: J, b: bkv }], [1, 2]), tb));
    biasSteps.push(map(fns.bias, [s, tb], s));
  }

  const score: readonly Stmt[] = [
    map(ZERO, [], s),
    ...widen(tk, kOperand),
    mma(tq, kOperand, s, { tb: true }),
    ...biasSteps,
    ...(z.scaled ? [map(fns.plain, [s], s)] : []),
  ];
  const max = reduce('max', 1, s, m, true);
  const fixMax = map(fns.negate, [m], nmc);
  return {
    tensors,
    tiles,
    index,
    o,
    m,
    nmc,
    l,
    start: [
      ...setup,
      loadRows(rows, q, tq, index),
      ...mask.setup,
      map(ZERO, [], o),
      map(ZERO, [], l),
      map(START_MAX, [], m),
      map(fns.negate, [m], nmc),
    ],
    loadKeys: copy(keyView(rows, k, bkv), tk),
    scores: (masked) => (masked ? [...score, ...mask.apply(s, bkv)] : score),
    max,
    foldMax: [
      map(MOVE, [m], alpha),
      max,
      map(fns.rescale, [alpha, m], alpha),
      fixMax,
      map(MUL, [l, alpha], l),
      map(MUL, [o, alpha], o),
    ],
    fixMax,
    loadValues: copy(keyView(rows, v, bkv), tv),
    accumulate: [
      map(fns.weight, [s, z.scaled ? m : nmc], s),
      reduce('sum', 1, s, l, true),
      ...(p === s ? [] : [map(operand === acc ? MOVE : CONVERT, [s], p)]),
      ...widen(tv, vOperand),
      mma(p, vOperand, o),
    ],
    normalise: [map(INVERT, [l], l), map(MUL, [o, l], o)],
  };
}
