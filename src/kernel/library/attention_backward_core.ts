/**
 * One block of the backward pass: weights and score gradients of a tile of queries against a block of keys, and which
 * blocks of queries see a block of keys. Shared by the kernels that keep both on the core (Dao 2023, algorithm 2).
 */
import {
  add,
  ceilDiv,
  copy,
  div,
  type Expr,
  type Fx,
  type FxOp,
  type LoopVar,
  loop,
  loopVar,
  type MapFn,
  map,
  mapFn,
  max,
  min,
  mma,
  mul,
  type Stmt,
  sub,
  type Tile,
  tile,
  view,
} from '../ir.js';
import type { Mapping } from '../kernel.js';
import { CONVERT, MOVE, ZERO } from '../math.js';
import type { AttentionBackward, BackwardTensors } from './attention_backward_op.js';
import { scaleFns } from './attention_core.js';
import { MASKED } from './attention_mask.js';
import { attentionMapping, laneTile, type Route } from './attention_route.js';
import { ceil } from './dims.js';

export const f = (op: FxOp, ...args: Fx[]): Fx => ({ f: op, args });
const x0: Fx = { in: 0 };
const x1: Fx = { in: 1 };
const col: Fx = { coord: 'col' };

/** −log₂ Σ */
const NEGATE = mapFn('negate', 1, f('sub', 0, x0));
/** P∘(dP − D); operands P, dP, D */
const SCORE_GRADIENT = mapFn('score_gradient', 3, f('mul', x0, f('sub', x1, { in: 2 })));
/** One past the last key that a row sees, in the block: row + s₀, at most s₁ (the keys left). */
const LAST = mapFn('keys_end', 0, f('min', f('add', { coord: 'row' }, { s: 0 }), { s: 1 }));
const FIRST = mapFn('keys_begin', 0, f('add', { coord: 'row' }, { s: 0 }));
const BELOW_ALL = mapFn('mask_tail', 1, f('select', f('lt', col, { s: 0 }), x0, MASKED));
const BELOW = mapFn('mask_below', 2, f('select', f('lt', col, x1), x0, MASKED));
const BETWEEN = mapFn(
  'mask_between',
  3,
  f('select', f('lt', col, x1), f('select', f('lt', col, { in: 2 }), MASKED, x0), MASKED),
);

const finals = new Map<number, MapFn>();
/** x/√d: gradients take the scale of the scores once, when they are whole. */
export function gradientScale(head_dim: number): MapFn {
  let fn = finals.get(head_dim);
  if (!fn) {
    fn = mapFn('scale', 1, f('mul', x0, 1 / Math.sqrt(head_dim)));
    finals.set(head_dim, fn);
  }
  return fn;
}

export interface Block {
  readonly bq: number;
  readonly bkv: number;
  readonly stages: number;
  readonly groups: number;
}

/** Tiles of a block of queries and a block of keys, and what is computed of them. */
export interface Pair {
  readonly tiles: readonly Tile[];
  readonly q: Tile;
  readonly dO: Tile;
  readonly k: Tile;
  readonly v: Tile;
  /** −log₂ Σ of the rows once `weights` has run, and D. */
  readonly sums: Tile;
  readonly deltas: Tile;
  /** dS in the operands' format. */
  readonly ds: Tile;
  /** P in the operands' format, when the kernel multiplies with it. */
  readonly p: Tile | undefined;
  readonly negateSums: Stmt;
  /** P from Q, K and the sums; `mask` acts on the scores. */
  weights(mask: readonly Stmt[]): readonly Stmt[];
  /** dS from P, dO and V. */
  readonly gradient: readonly Stmt[];
  readonly scores: Tile;
}

/**
 * `streamed`: which side is loaded block by block, in several buffers; `keepsWeights`: P is an operand too; `scoresIn`: a
 * tile as large that is dead once scores are written.
 */
export function pairOf(
  op: AttentionBackward,
  route: Route,
  z: Block,
  streamed: 'queries' | 'keys',
  keepsWeights: boolean,
  scoresIn?: string,
): Pair {
  const { head_dim: d } = op;
  const { bq, bkv } = z;
  const { operand, acc } = route;
  const fns = scaleFns(d);
  const ahead = (side: 'queries' | 'keys') => (streamed === side ? z.stages : 1);
  const lane = route.mma === 'matrix' ? undefined : laneTile(z.groups * route.lanes, bq, bkv);
  const q = tile('tq', 'shared', operand, bq, d, ahead('queries'));
  const dO = tile('tdo', 'shared', operand, bq, d, ahead('queries'));
  const k = tile('tk', 'shared', operand, bkv, d, ahead('keys'));
  const v = tile('tv', 'shared', operand, bkv, d, ahead('keys'));
  const sums = tile('sums', 'register', acc, bq, 1, ahead('queries'));
  const deltas = tile('delta', 'register', acc, bq, 1, ahead('queries'));
  const s: Tile = { ...tile('s', 'register', acc, bq, bkv, 1, lane), ...(scoresIn ? { reuses: scoresIn } : {}) };
  const dp = tile('dp', 'register', acc, bq, bkv, 1, lane);
  const p = keepsWeights ? tile('p', 'shared', operand, bq, bkv) : undefined;
  // P is done with when dS is written
  const ds: Tile = p
    ? { ...tile('ds', 'shared', operand, bq, bkv), reuses: 'p' }
    : tile('ds', 'shared', operand, bq, bkv);
  const narrow = operand === acc ? MOVE : CONVERT;
  return {
    tiles: [q, dO, k, v, sums, deltas, s, dp, ...(p ? [p] : []), ds],
    q,
    dO,
    k,
    v,
    sums,
    deltas,
    ds,
    p,
    scores: s,
    negateSums: map(NEGATE, [sums], sums),
    weights: (mask) => [
      map(ZERO, [], s),
      mma(q, k, s, { tb: true }),
      ...mask,
      map(fns.weight, [s, sums], s),
      ...(p ? [map(narrow, [s], p)] : []),
    ],
    gradient: [
      map(ZERO, [], dp),
      mma(dO, v, dp, { tb: true }),
      map(SCORE_GRADIENT, [s, dp, deltas], dp),
      map(narrow, [dp], ds),
    ],
  };
}

/** Block of keys and block of queries of the sweep over queries. */
export const KEYS = loopVar('j');
export const QUERIES = loopVar('i');
const MEMBER = loopVar('g');
export const HEAD = loopVar('h');
export const BATCH = loopVar('b');

/** The query head of the sweep: member of the group that shares the key/value head. */
export const memberHead = (op: AttentionBackward): Expr => {
  const group = op.heads / op.kv_heads;
  return group === 1 ? HEAD : add(mul(HEAD, group), MEMBER);
};

/** Tiles that hold which keys of the block a row sees, and the statements that hide the others. */
export function blockMask(op: AttentionBackward, pair: Pair, acc: Tile['dtype'], bq: number, bkv: number) {
  const key0 = mul(KEYS, bkv);
  const left = sub(op.kv_len, key0);
  const { scores: s } = pair;
  if (!op.causal) return { tiles: [] as Tile[], steps: [map(BELOW_ALL, [s], s, [left])] };
  const end = tile('keys_end', 'register', acc, bq, 1);
  // the position after the first row's own
  const after = sub(add(mul(QUERIES, bq), op.kv_len - op.q_len + 1), key0);
  if (!windowed(op)) return { tiles: [end], steps: [map(LAST, [], end, [after, left]), map(BELOW, [s, end], s)] };
  const begin = tile('keys_begin', 'register', acc, bq, 1);
  return {
    tiles: [end, begin],
    steps: [
      map(LAST, [], end, [after, left]),
      map(FIRST, [], begin, [sub(after, op.window)]),
      map(BETWEEN, [s, end, begin], s),
    ],
  };
}

/** What of an op says which queries see which keys. */
type Seeing = Pick<AttentionBackward, 'q_len' | 'kv_len' | 'causal' | 'window'>;
/** The index of the block of keys and that of the block of queries. */
interface Indices {
  readonly keys: LoopVar;
  readonly queries: LoopVar;
}
const INDICES: Indices = { keys: KEYS, queries: QUERIES };

const windowed = (op: Seeing): boolean => op.window > 0 && op.window < op.kv_len;

/**
 * Queries [begin, end) see some key of a block, [fullFrom, fullTo) every one; in elements, not blocks.
 * Query i stands at i + kv_len − q_len and sees keys up to there, `window` of them.
 */
function seeing(op: Seeing, block: LoopVar, bkv: number): { begin: Expr; end: Expr; fullFrom: Expr; fullTo: Expr } {
  const key0 = mul(block, bkv);
  const shift = op.kv_len - op.q_len;
  const at = (offset: number): Expr => max(add(key0, offset), 0);
  const whole = { begin: 0, end: op.q_len, fullFrom: 0, fullTo: op.q_len };
  const causal = op.causal ? { ...whole, begin: min(at(-shift), op.q_len), fullFrom: at(bkv - 1 - shift) } : whole;
  if (!windowed(op)) return causal;
  return {
    ...causal,
    end: min(at(bkv - 1 - shift + op.window), op.q_len),
    fullTo: min(at(op.window - shift), op.q_len),
  };
}

/** Blocks of `bq` queries [from, to) that block KEYS of `bkv` keys meets at all. */
export function queryBlocks(op: Seeing, bq: number, bkv: number, block = KEYS): { from: Expr; to: Expr } {
  const { begin, end } = seeing(op, block, bkv);
  return { from: div(begin, bq), to: ceilDiv(end, bq) };
}

/** Loops over the blocks of queries that see a block of keys, those at the ends masked. */
export function seeingLoops(
  op: Seeing,
  bq: number,
  bkv: number,
  body: (masked: boolean) => readonly Stmt[],
  { keys, queries }: Indices = INDICES,
): readonly Stmt[] {
  const blocks = ceil(op.q_len, bq);
  const { from, to } = queryBlocks(op, bq, bkv, keys);
  const { fullFrom: firstFull, fullTo: lastFull } = seeing(op, keys, bkv);
  let fullFrom = ceilDiv(firstFull, bq);
  // a block of keys that reaches past the last is masked throughout
  if (op.kv_len % bkv !== 0) {
    const past = min(div(mul(add(keys, 1), bkv), op.kv_len + 1), 1);
    fullFrom = max(fullFrom, mul(past, blocks));
  }
  const loops: Stmt[] = [];
  if (fullFrom !== 0) loops.push(loop(queries, from, min(fullFrom, to), body(true)));
  if (windowed(op)) {
    const fullTo = min(div(lastFull, bq), to);
    loops.push(loop(queries, max(from, fullFrom), fullTo, body(false)));
    loops.push(loop(queries, max(from, max(fullFrom, fullTo)), to, body(true)));
  } else loops.push(loop(queries, fullFrom, to, body(false)));
  return loops;
}

/** The same for all query heads of the group. */
export const queryLoops = (
  op: AttentionBackward,
  bq: number,
  bkv: number,
  body: (masked: boolean) => readonly Stmt[],
): readonly Stmt[] => memberLoop(op, seeingLoops(op, bq, bkv, body));

/** Around what is done for one query head: all that share the key/value head. */
export const memberLoop = (op: AttentionBackward, body: readonly Stmt[]): readonly Stmt[] =>
  op.heads === op.kv_heads ? body : [loop(MEMBER, 0, op.heads / op.kv_heads, body)];

/** Loads the block of queries QUERIES of `head`: Q, dO, the sums (negated) and D. */
export function loadQueries(pair: Pair, t: BackwardTensors, head: Expr, bq: number): readonly Stmt[] {
  const r0 = mul(QUERIES, bq);
  return [
    copy(view(t.q, [BATCH, r0, head, 0], [1, 3]), pair.q),
    copy(view(t.dO, [BATCH, r0, head, 0], [1, 3]), pair.dO),
    copy(view(t.sums, [BATCH, head, r0], [2, -1]), pair.sums),
    copy(view(t.deltas, [BATCH, head, r0], [2, -1]), pair.deltas),
    pair.negateSums,
  ];
}

/** Accumulator of a gradient: `rows` of keys or queries. */
export const gradientTile = (name: string, op: AttentionBackward, route: Route, rows: number, groups: number): Tile =>
  tile(
    name,
    'register',
    route.acc,
    rows,
    op.head_dim,
    1,
    route.mma === 'matrix' ? undefined : laneTile(groups * route.lanes, rows, op.head_dim),
  );

export const backwardMapping = (_op: AttentionBackward, route: Route, z: Block): Mapping =>
  attentionMapping(route, z.groups, Math.min(z.bq, z.bkv));
