/**
 * What the attention kernels for arrays of processing elements share: formats, the scaled queries, the functions, and
 * when they apply. Scores are base-2 logarithms: queries are multiplied by log2 e/√d once, when they arrive.
 */
import type { DType } from '../../base/dtype.js';
import { mmaOf, type ResourceGraph } from '../../machine/graph.js';
import { cascadeOf, hasCascade } from '../cascade.js';
import type { Cascade } from '../einsum.js';
import {
  copy,
  div,
  type Fx,
  type FxOp,
  loopVar,
  type MapFn,
  map,
  mapFn,
  mma,
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
import type { Mapping } from '../kernel.js';
import { ZERO } from '../math.js';
import { arraysOf, sidesOf } from '../nest-layout.js';
import type { Attention } from './attention_op.js';
import { ceil } from './dims.js';

const f = (op: FxOp, ...args: Fx[]): Fx => ({ f: op, args });
const x0: Fx = { in: 0 };
const x1: Fx = { in: 1 };

/** 2^(a − b) */
export const EXP2_SUB: MapFn = mapFn('exp2_sub', 2, f('exp2', f('sub', x0, x1)));
export const DIV: MapFn = mapFn('div', 2, f('div', x0, x1));

/** x where the row's query is no earlier than the column's key, and far below every score elsewhere. */
export const CAUSAL: MapFn = mapFn(
  'causal',
  1,
  f('fma', f('min', f('sub', f('add', { coord: 'row' }, { s: 0 }), { coord: 'col' }), 0), 1e30, x0),
);

const scales = new Map<number, MapFn>();
/** q·log2 e/√d */
export function scaleOf(head_dim: number): MapFn {
  let fn = scales.get(head_dim);
  if (!fn) scales.set(head_dim, (fn = mapFn('scale', 1, f('mul', x0, Math.LOG2E / Math.sqrt(head_dim)))));
  return fn;
}

export const P = loopVar('p');
export const H = loopVar('h');
export const B = loopVar('b');
export const J = loopVar('j');

/** The format sums are kept in: the operands' own where the array adds in it, else fp32. */
export function sumsOf(op: Attention, machine: ResourceGraph): DType | undefined {
  for (const acc of [op.q, 'fp32'] as const) if (mmaOf(machine, op.q, op.kv, acc)) return acc;
  return undefined;
}

/** Why attention is not laid on arrays here; undefined when it is. */
export function arrayRejects(op: Attention, machine: ResourceGraph): string | undefined {
  if (!machine.arrays) return `${machine.name} has no arrays of processing elements`;
  if (!arraysOf(machine).matrix) return `${machine.name} has no array with rows`;
  if (op.q !== op.kv || !sumsOf(op, machine)) return `no array of ${machine.name} multiplies ${op.q} by ${op.kv}`;
  if (op.heads % op.kv_heads !== 0) return `heads ${op.heads} is no multiple of kv_heads ${op.kv_heads}`;
  if (op.q_len === 1 || op.kv_len === 1) return 'one query, or one key, leaves columns or rows of the array empty';
  if (op.causal || (op.window > 0 && op.window < op.kv_len))
    return 'rows of a tile see different keys, which nests of loops do not tell apart';
  if (op.kv_lens) return 'sequences of different lengths';
  if (op.relative_bias) return 'a relative bias is not laid on arrays';
  return undefined;
}

/** Columns and rows of the array with rows. */
export function matrixSides(machine: ResourceGraph): { x: number; y: number } {
  return sidesOf(arraysOf(machine).matrix!);
}

/** Largest divisor of `extent` that is not above `most`. */
export function divisorUpTo(extent: number, most: number): number {
  for (let d = Math.min(extent, most); d > 1; d--) if (extent % d === 0) return d;
  return 1;
}

/** Tensors and query tile of attention over tiles of `width` queries. */
export function queriesOf(op: Attention, acc: DType, width: number) {
  const d = op.head_dim;
  const q = tensor('q', op.q, [op.batch, op.q_len, op.heads, d], 'input', 'activation');
  const k = tensor('k', op.kv, [op.batch, op.kv_len, op.kv_heads, d], 'input', 'kv');
  const v = tensor('v', op.kv, [op.batch, op.kv_len, op.kv_heads, d], 'input', 'kv');
  const o = tensor('o', op.o, [op.batch, op.q_len, op.heads, d], 'output', 'activation');
  const group = op.heads / op.kv_heads;
  const tq = tile('tq', 'shared', op.q, width, d);
  const qs = tile('QS', 'shared', op.q, width, d);
  const rows = (t: Tensor) => view(t, [B, mul(P, width), H, 0], [1, 3]);
  return {
    q,
    k,
    v,
    o,
    tq,
    qs,
    one: (name: string): Tile => tile(name, 'register', acc, width, 1),
    grid: [
      { index: P, extent: ceil(op.q_len, width) },
      { index: H, extent: op.heads },
      { index: B, extent: op.batch },
    ],
    queries: rows(q),
    results: rows(o),
    /** Keys or values from row `at`. */
    keys: (t: Tensor, at: Parameters<typeof view>[1][number]) => view(t, [B, at, div(H, group), 0], [1, 3]),
    scale: map(scaleOf(d), [tq], qs) as Stmt,
  };
}

/** What kernels of whole rows have alike: tiles of all keys and values, and the three phases over them. */
export function wholeRows(op: Attention, acc: DType, width: number) {
  const at = queriesOf(op, acc, width);
  const tk = tile('tk', 'shared', op.kv, op.kv_len, op.head_dim);
  const tv = tile('tv', 'shared', op.kv, op.kv_len, op.head_dim);
  const AV = tile('AV', 'register', op.o, width, op.head_dim);
  const [GM, SD] = [at.one('GM'), at.one('SD')];
  return {
    ...at,
    tiles: { scores: [at.tq, at.qs, tk], softmax: [GM, SD], values: [tv, AV] },
    scores: (to: Tile): Stmt[] => [
      copy(at.queries, at.tq),
      at.scale,
      copy(at.keys(at.k, 0), tk),
      map(ZERO, [], to),
      mma(at.qs, tk, to, { tb: true }),
    ],
    /** In three passes: the maximum, exponentials and their sum, division. */
    softmax: (scores: Tile, numerators: Tile, weights: Tile): Stmt[] => [
      reduce('max', 1, scores, GM),
      map(EXP2_SUB, [scores, GM], numerators),
      reduce('sum', 1, numerators, SD),
      map(DIV, [numerators, SD], weights),
    ],
    values: (weights: Tile): Stmt[] => [
      copy(at.keys(at.v, 0), tv),
      map(ZERO, [], AV),
      mma(weights, tv, AV),
      copy(AV, at.results),
    ],
  };
}

/** What a program's launch says where nests say the rest. */
export const onArrays = (machine: ResourceGraph): Omit<Mapping, 'nest'> => ({
  lanes: machine.cores.lane_group,
  partition: [1, 1],
  resident: 0,
  panel: 1,
  mma: 'matrix',
});

/** The cascade of a program that is made to have one. */
export function cascadeFor(program: Program): Cascade {
  const cascade = cascadeOf(program);
  if (!hasCascade(cascade)) throw new Error(`${program.name}: ${cascade.reason}`);
  return cascade;
}

/** Ranks of a cascade of attention: queries, keys (within a block) and blocks of keys where they are handed on. */
export function attentionRanks(cascade: Cascade): { queries: string; keys: string; block?: string } {
  const along = (names: readonly string[], dim: number) => {
    const access = cascade.einsums.flatMap((e) => [...e.ins, e.out]).find((x) => names.includes(x.tensor))!;
    return [...access.at[dim]!.terms].sort((x, y) => x.stride - y.stride).map((t) => t.rank);
  };
  const [queries] = along(['q', 'o'], 1);
  const [keys, block] = along(['k', 'v'], 1);
  return { queries: queries!, keys: keys!, ...(block !== undefined && { block }) };
}

/** Ranks of batch and heads. */
export const outerRanks = (cascade: Cascade): string[] =>
  Object.keys(cascade.ranks).filter((r) => r.startsWith(B.var) || r.startsWith(H.var));
