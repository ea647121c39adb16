/**
 * What hides keys from the rows of a score tile, and which row of the flat tensors each tile row is when rows are
 * gathered: functions of the row number, computed once a tile of queries.
 */
import type { DType } from '../../base/dtype.js';
import { add, type Fx, type FxOp, type MapFn, map, mapFn, mul, type Stmt, sub, type Tile, tile } from '../ir.js';
import { J, type Rows } from './attention_rows.js';

const f = (op: FxOp, ...args: Fx[]): Fx => ({ f: op, args });
const row: Fx = { coord: 'row' };
const col: Fx = { coord: 'col' };
const x0: Fx = { in: 0 };
/** What a masked score becomes. Below every real score and below START, so that it weighs nothing. */
export const MASKED = -1e30;

const SHIFT = mapFn('shift', 1, f('sub', x0, { s: 0 }));
const BELOW = mapFn('mask_below', 2, f('select', f('lt', col, { in: 1 }), x0, MASKED));
const BETWEEN = mapFn(
  'mask_between',
  3,
  f('select', f('lt', col, { in: 1 }), f('select', f('lt', col, { in: 2 }), MASKED, x0), MASKED),
);
const BELOW_ALL = mapFn('mask_tail', 1, f('select', f('lt', col, { s: 0 }), x0, MASKED));
const BETWEEN_ALL = mapFn(
  'mask_span',
  1,
  f('select', f('lt', col, { s: 0 }), f('select', f('lt', col, { s: 1 }), MASKED, x0), MASKED),
);

interface RowFns {
  readonly hi: MapFn;
  readonly lo: MapFn;
  readonly index: MapFn;
}
const rowFns = new Map<number, RowFns>();
/** Functions of the row number for tiles whose rows hold `group` heads per query (1: one). */
function fnsOf(group: number): RowFns {
  let fns = rowFns.get(group);
  if (!fns) {
    const r = f('add', row, { s: 0 });
    const i = group === 1 ? r : f('floor', f('fma', r, 1 / group, 0.5 / group));
    const at = f('add', i, { s: 1 });
    const element = f('add', f('mul', i, { s: 2 }), f('add', f('sub', r, f('mul', i, group)), { s: 3 }));
    fns = {
      hi: mapFn('row_limit', 0, at),
      lo: mapFn('row_start', 0, f('max', f('min', at, { s: 2 }), 0)),
      index: mapFn('row_index', 0, f('select', f('lt', r, { s: 1 }), element, { s: 4 })),
    };
    rowFns.set(group, fns);
  }
  return fns;
}
const WINDOW_END = mapFn('window_end', 1, f('min', f('add', x0, { s: 0 }), { s: 1 }));
const WINDOW_START = mapFn('window_start', 1, f('sub', x0, { s: 0 }));

/** Tiles and statements that say which row of the flat tensor each tile row is, when rows are gathered. */
export function indexRows(rows: Rows): { index: Tile | undefined; setup: readonly Stmt[] } {
  if (rows.layout !== 'gathered') return { index: undefined, setup: [] };
  const { op, group } = rows;
  const index = tile('row_at', 'register', 'int32', rows.bq, 1);
  const start = add(mul(rows.b, op.q_len * op.heads), rows.head);
  const scalars = [rows.r0, op.q_len * group, op.heads, start, op.batch * op.q_len * op.heads];
  return { index, setup: [map(fnsOf(group).index, [], index, scalars)] };
}

/** Masks of score tiles: the tiles they need, what runs once, and what runs in each masked block. */
export interface Mask {
  readonly tiles: readonly Tile[];
  readonly setup: readonly Stmt[];
  apply(scores: Tile, bkv: number): readonly Stmt[];
}

export function maskOf(rows: Rows, acc: DType): Mask {
  const { op, bq, window, kv } = rows;
  if (rows.uniform)
    return {
      tiles: [],
      setup: [],
      apply: (s, bkv) => {
        const j0 = mul(J, bkv);
        return window > 0
          ? [map(BETWEEN_ALL, [s], s, [sub(rows.end, j0), sub(rows.begin, j0)])]
          : [map(BELOW_ALL, [s], s, [sub(kv, j0)])];
      },
    };
  const one = (name: string) => tile(name, 'register', acc, bq, 1);
  const hi = one('hi');
  const hiHere = one('hi_here');
  const fns = fnsOf(rows.layout === 'gathered' ? rows.group : 1);
  const shift = sub(kv, op.q_len);
  const causalEnd = [rows.r0, add(shift, 1)];
  if (window === 0)
    return {
      tiles: [hi, hiHere],
      setup: [map(fns.hi, [], hi, causalEnd)],
      apply: (s, bkv) => [map(SHIFT, [hi], hiHere, [mul(J, bkv)]), map(BELOW, [s, hiHere], s)],
    };
  const lo = one('lo');
  const loHere = one('lo_here');
  return {
    tiles: [hi, hiHere, lo, loHere],
    setup: op.causal
      ? [map(fns.hi, [], hi, causalEnd), map(WINDOW_START, [hi], lo, [window])]
      : [
          map(fns.lo, [], lo, [rows.r0, sub(shift, Math.floor(window / 2)), sub(kv, window)]),
          map(WINDOW_END, [lo], hi, [window, kv]),
        ],
    apply: (s, bkv) => [
      map(SHIFT, [hi], hiHere, [mul(J, bkv)]),
      map(SHIFT, [lo], loHere, [mul(J, bkv)]),
      map(BETWEEN, [s, hiHere, loHere], s),
    ],
  };
}
