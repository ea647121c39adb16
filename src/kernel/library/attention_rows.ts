/**
 * How the queries of attention are laid on the rows of a tile, and which keys those rows see.
 *
 * - queries: rows are consecutive queries of one head; grid [query tiles, heads, batch].
 * - heads: one query per sequence; rows are the query heads that share a key/value head; grid [tiles, kv_heads, batch].
 * - gathered: few queries; rows are (query, head of the group) pairs, fetched and stored row by row (FlashAttention's
 *   PackGQA); grid as heads.
 *
 * Blocks of keys that all rows see wholly run without a mask; only the blocks at the ends are masked (attention_mask).
 */
import type { DType } from '../../base/dtype.js';
import {
  add,
  ceilDiv,
  copy,
  div,
  type Expr,
  type GridDim,
  gather,
  lookup,
  loop,
  loopVar,
  max,
  min,
  mul,
  type Stmt,
  scatter,
  sub,
  type Tensor,
  type Tile,
  tensor,
  view,
} from '../ir.js';
import type { Attention } from './attention_op.js';
import { ceil } from './dims.js';

const T = loopVar('t');
const H = loopVar('h');
const B = loopVar('b');
/** Index of the block of keys. */
export const J = loopVar('j');

export interface Rows {
  readonly op: Attention;
  readonly layout: 'queries' | 'heads' | 'gathered';
  readonly bq: number;
  readonly grid: readonly GridDim[];
  readonly b: Expr;
  /** First query head of the tile's rows, and the head a bias is read for (queries only). */
  readonly head: Expr;
  readonly kvHead: Expr;
  readonly group: number;
  /** First row of the tile. */
  readonly r0: Expr;
  readonly kv: Expr;
  readonly ragged: boolean;
  /** All rows see the same keys. */
  readonly uniform: boolean;
  /** Keys a query may see at most; 0: all. */
  readonly window: number;
  /** Keys [begin, end) are seen by some row, [fullFrom, fullTo) by all. */
  readonly begin: Expr;
  readonly end: Expr;
  readonly fullFrom: Expr;
  readonly fullTo: Expr;
}

/** Lays out `bq` rows a tile; `pack` puts the query heads of a group into one tile. */
export function rowsOf(op: Attention, bq: number, pack: boolean): Rows {
  const group = op.heads / op.kv_heads;
  const packed = pack && group > 1 && !op.relative_bias;
  const layout = !packed ? 'queries' : op.q_len === 1 ? 'heads' : 'gathered';
  const rows = packed ? op.q_len * group : op.q_len;
  const tiles = ceil(rows, bq);
  const grid = [
    { index: T, extent: tiles },
    { index: H, extent: packed ? op.kv_heads : op.heads },
    { index: B, extent: op.batch },
  ];
  const r0 = tiles === 1 ? 0 : mul(T, bq);
  const ragged = op.kv_lens !== undefined;
  const kv = op.kv_lens ? lookup({ name: 'kv_lens', values: op.kv_lens }, B) : op.kv_len;
  const window = op.window < op.kv_len ? op.window : 0;
  const first = layout === 'queries' ? r0 : layout === 'heads' ? 0 : div(r0, group);
  const last =
    op.q_len === 1
      ? 0
      : layout === 'queries'
        ? sub(min(add(r0, bq), op.q_len), 1)
        : div(sub(min(add(r0, bq), rows), 1), group);
  const shift = sub(kv, op.q_len);
  // with fewer keys than queries the first queries see nothing
  const clip = (e: Expr): Expr => (ragged || op.kv_len < op.q_len || window > 0 ? max(e, 0) : e);
  let begin: Expr = 0;
  let end = kv;
  let fullFrom: Expr = 0;
  let fullTo = kv;
  if (op.causal) {
    end = clip(add(add(shift, last), 1));
    fullTo = clip(add(add(shift, first), 1));
    if (window > 0) {
      begin = max(sub(fullTo, window), 0);
      fullFrom = max(sub(end, window), 0);
    }
  } else if (window > 0) {
    const from = (i: Expr) => max(min(sub(add(shift, i), Math.floor(window / 2)), sub(kv, window)), 0);
    begin = from(first);
    fullFrom = from(last);
    end = min(add(fullFrom, window), kv);
    fullTo = min(add(begin, window), kv);
  }
  return {
    op,
    layout,
    bq,
    grid,
    b: B,
    head: packed ? mul(H, group) : H,
    kvHead: packed ? H : div(H, group),
    group,
    r0,
    kv,
    ragged,
    uniform: op.q_len === 1 || (!op.causal && window === 0),
    window,
    begin,
    end,
    fullFrom,
    fullTo,
  };
}

/** Dims of a per-query tensor: [...lead, batch, q_len, heads, ...inner], rows flattened when they are gathered. */
export function queryTensor(
  rows: Rows,
  name: string,
  dtype: DType,
  role: Tensor['role'],
  lead: readonly number[],
  inner: readonly number[],
): Tensor {
  const { op } = rows;
  const own = rows.layout === 'gathered' ? [op.batch * op.q_len * op.heads] : [op.batch, op.q_len, op.heads];
  return tensor(name, dtype, [...lead, ...own, ...inner], role, 'activation');
}

/** The window of a tile's rows onto a per-query tensor with one inner dim, or none. */
function rowView(rows: Rows, t: Tensor, lead: readonly Expr[], inner: boolean) {
  const n = lead.length;
  const { layout, group } = rows;
  if (layout === 'gathered') return view(t, inner ? [...lead, 0, 0] : [...lead, 0], [n, inner ? n + 1 : -1]);
  const own = layout === 'queries' ? [rows.b, rows.r0, rows.head] : [rows.b, 0, add(rows.head, rows.r0)];
  const at = inner ? [...lead, ...own, 0] : [...lead, ...own];
  const col = inner ? n + 3 : -1;
  return layout === 'queries'
    ? view(t, at, [n + 1, col])
    : view(t, at, [n + 2, col], { limit: [add(rows.head, group), undefined] });
}

/** Reads the rows' queries; gathered rows go by `index`. */
export const loadRows = (rows: Rows, from: Tensor, to: Tile, index: Tile | undefined): Stmt =>
  index ? gather(rowView(rows, from, [], true), index, to) : copy(rowView(rows, from, [], true), to);

/** Stores the rows' results. */
export function storeRows(rows: Rows, from: Tile, to: Tensor, lead: readonly Expr[], index: Tile | undefined): Stmt {
  const v = rowView(rows, to, lead, to.dims.length - lead.length === (rows.layout === 'gathered' ? 2 : 4));
  return index ? scatter(from, index, v, 'set') : copy(from, v);
}

/**
 * Loops over the blocks of `bkv` keys that the rows see, those at the ends masked; with `part` only part
 * `part.at` of `part.of` equal parts of them.
 */
export function keyLoops(
  rows: Rows,
  bkv: number,
  body: (masked: boolean) => readonly Stmt[],
  part?: { at: Expr; of: number },
): readonly Stmt[] {
  let from = div(rows.begin, bkv);
  let to = ceilDiv(rows.end, bkv);
  if (part) {
    const each = ceilDiv(sub(to, from), part.of);
    const start = add(from, mul(part.at, each));
    const stop = to;
    from = min(start, stop);
    to = min(add(start, each), stop);
  }
  if (rows.uniform && rows.window === 0 && !rows.ragged && rows.op.kv_len % bkv === 0)
    return [loop(J, from, to, body(false))];
  const fullTo = div(rows.fullTo, bkv);
  const masked = body(true);
  const loops: Stmt[] = [];
  const push = (a: Expr, z: Expr, inner: readonly Stmt[]) => {
    if (typeof a !== 'number' || typeof z !== 'number' || a < z) loops.push(loop(J, a, z, inner));
  };
  if (rows.window > 0) {
    const fullFrom = ceilDiv(rows.fullFrom, bkv);
    push(from, min(fullFrom, to), masked);
    push(max(from, fullFrom), min(fullTo, to), body(false));
    push(max(from, max(fullFrom, fullTo)), to, masked);
  } else {
    push(from, part ? min(fullTo, to) : fullTo, body(false));
    push(part || from !== 0 ? max(from, fullTo) : fullTo, to, masked);
  }
  return loops;
}

/** The block's keys or values: rows are keys, columns the head. */
export const keyView = (rows: Rows, t: Tensor, bkv: number) =>
  view(t, [rows.b, mul(J, bkv), rows.kvHead, 0], [1, 3], rows.ragged ? { limit: [rows.kv, undefined] } : undefined);
