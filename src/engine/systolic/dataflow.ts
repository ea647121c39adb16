/**
 * A matrix product on a systolic array, cycle by cycle: which operand element each edge port takes and which result
 * leaves, for the three stationary dataflows. A fold is one tile of the stationary operand (of the result, when that
 * stays); folds run one after another, each drained before the next. Skew: port p works p cycles behind port 0.
 *
 * Cycles of a fold on R × C elements, with T streamed: output stationary T + R + C − 2, the others T + 2R + C − 2
 * (R more to load what stays). Samajdar et al., SCALE-Sim (ISPASS 2020), which prints the last cycle's number: one less.
 */
import { InputError, unknownName } from '../../base/errors.js';
import { wordsArray } from './words.js';

export const DATAFLOWS = ['os', 'ws', 'is'] as const;
/** Output, weight or input stationary. */
export type Dataflow = (typeof DATAFLOWS)[number];

/** C[m,n] = Σ A[m,k]·B[k,n]. Addresses say which words are the same; −1 where there is none (padding). */
export interface Product {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: (m: number, k: number) => number;
  readonly b: (k: number, n: number) => number;
  /** Words of each operand: addresses lie below. */
  readonly words: { readonly a: number; readonly b: number };
}

/** A dense product: every operand element is a word of its own. */
export const denseProduct = (m: number, n: number, k: number): Product => ({
  m,
  n,
  k,
  a: (i, j) => i * k + j,
  b: (i, j) => i * n + j,
  words: { a: m * k, b: k * n },
});

export interface Folds {
  readonly rows: number;
  readonly cols: number;
  /** Extent over the array's rows, over its columns, and in time. */
  readonly across: readonly [rows: number, cols: number, time: number];
  /** Folds along rows and columns; those along rows vary fastest. */
  readonly count: readonly [rows: number, cols: number];
  readonly cycles_per_fold: number;
  readonly cycles: number;
}

/**
 * How a product folds onto rows × cols.
 * @throws InputError for sizes that are not whole and positive
 */
export function foldsOf(dataflow: Dataflow, p: Pick<Product, 'm' | 'n' | 'k'>, rows: number, cols: number): Folds {
  if (!DATAFLOWS.includes(dataflow)) throw unknownName('dataflow', dataflow, DATAFLOWS);
  for (const [name, value] of Object.entries({ m: p.m, n: p.n, k: p.k, rows, cols }))
    if (!Number.isInteger(value) || value < 1)
      throw new InputError(`${name} = ${value}: expected a whole number of at least 1`, 'systolic array');
  const across = { os: [p.m, p.n, p.k], ws: [p.k, p.n, p.m], is: [p.k, p.m, p.n] } as const;
  const [down, right, time] = across[dataflow];
  const count = [Math.ceil(down / rows), Math.ceil(right / cols)] as const;
  const cycles_per_fold = time + (dataflow === 'os' ? rows : 2 * rows) + cols - 2;
  return {
    rows,
    cols,
    across: across[dataflow],
    count,
    cycles_per_fold,
    cycles: cycles_per_fold * count[0] * count[1],
  };
}

/** Multiply–accumulates of a product over what the whole array could do in the cycles of its folds. */
export function utilisationOf(f: Folds): number {
  const [down, right, time] = f.across;
  return (down * right * time) / (f.rows * f.cols * f.cycles);
}

/** Share of the array's elements that hold work, over folds. */
export function occupancyOf(f: Folds): number {
  return (f.across[0] * f.across[1]) / (f.rows * f.cols * f.count[0] * f.count[1]);
}

/** Receives what a cycle asks for at the array's edges: addresses, in port order. */
export interface Demand {
  a(address: number): void;
  b(address: number): void;
  c(address: number): void;
  /** All of this cycle's requests were given. */
  cycle(): void;
}

/** Walks every cycle of every fold. Words without an address are not asked for. */
export function walk(dataflow: Dataflow, p: Product, f: Folds, demand: Demand): void {
  for (let fc = 0; fc < f.count[1]; fc++)
    for (let fr = 0; fr < f.count[0]; fr++)
      for (let t = 0; t < f.cycles_per_fold; t++) {
        if (dataflow === 'os') outputStationary(p, f, fr, fc, t, demand);
        else stationary(dataflow, p, f, fr, fc, t, demand);
        demand.cycle();
      }
}

function outputStationary(p: Product, f: Folds, fr: number, fc: number, t: number, demand: Demand): void {
  const m0 = fr * f.rows;
  const n0 = fc * f.cols;
  const ports = Math.min(f.rows, p.m - m0);
  for (let r = Math.max(0, t - p.k + 1); r < ports && r <= t; r++) give(demand, 'a', p.a(m0 + r, t - r));
  const columns = Math.min(f.cols, p.n - n0);
  for (let c = Math.max(0, t - p.k + 1); c < columns && c <= t; c++) give(demand, 'b', p.b(t - c, n0 + c));
  // a result leaves when its last product is added
  for (let c = 0; c < columns; c++) {
    const r = t - c - (p.k - 1);
    if (r >= 0 && r < ports) demand.c((m0 + r) * p.n + n0 + c);
  }
}

function stationary(dataflow: Dataflow, p: Product, f: Folds, fr: number, fc: number, t: number, demand: Demand): void {
  const weights = dataflow === 'ws';
  const [down, right, time] = f.across;
  const k0 = fr * f.rows;
  const s0 = fc * f.cols;
  const columns = Math.min(f.cols, right - s0);
  // what stays is pushed in from the top, the lowest row first
  const k = k0 + f.rows - 1 - t;
  if (t < f.rows && k < down)
    for (let c = 0; c < columns; c++) give(demand, weights ? 'b' : 'a', weights ? p.b(k, s0 + c) : p.a(s0 + c, k));
  const ports = Math.min(f.rows, down - k0);
  const first = t - f.rows;
  for (let r = Math.max(0, first - time + 1); r < ports && r <= first; r++)
    give(demand, weights ? 'a' : 'b', weights ? p.a(first - r, k0 + r) : p.b(k0 + r, first - r));
  for (let c = 0; c < columns; c++) {
    const i = first - (f.rows - 1) - c;
    if (i >= 0 && i < time) demand.c(weights ? i * p.n + s0 + c : (s0 + c) * p.n + i);
  }
}

function give(demand: Demand, operand: 'a' | 'b', address: number): void {
  if (address >= 0) demand[operand](address);
}

/** An operand's words in the order in which a prefetcher streams them to the array; −1: an idle place. */
export function fetchOrder(dataflow: Dataflow, operand: 'a' | 'b', p: Product, f: Folds): Int32Array {
  const [down, right, time] = f.across;
  const along = dataflow === 'os' ? (operand === 'a' ? 'rows' : 'cols') : undefined;
  const stays = dataflow === 'ws' ? 'b' : dataflow === 'is' ? 'a' : undefined;
  if (operand === stays) {
    // a fold's column of tiles, row by row, as the elements are loaded
    const of = stays === 'b' ? (k: number, s: number) => p.b(k, s) : (k: number, s: number) => p.a(s, k);
    return stacked(f.count[1], down, f.cols, right, (k, s) => of(k, s), false);
  }
  if (along === 'cols') return stacked(f.count[1], p.k, f.cols, right, (k, n) => p.b(k, n), true);
  if (along === 'rows') return stacked(f.count[0], p.k, f.rows, down, (k, m) => p.a(m, k), true);
  const of = stays === 'b' ? (i: number, k: number) => p.a(i, k) : (i: number, k: number) => p.b(k, i);
  return stacked(f.count[0], time, f.rows, down, of, true);
}

/**
 * Blocks of `height` × `width`, one below another, read row by row, or along antidiagonals from bottom left to top
 * right: the order of skewed ports.
 */
function stacked(
  blocks: number,
  height: number,
  width: number,
  extent: number,
  at: (row: number, col: number) => number,
  skewed: boolean,
): Int32Array {
  const rows = blocks * height;
  const order = wordsArray(rows * width);
  const element = (row: number, c: number): number => {
    const block = Math.floor(row / height);
    const col = block * width + c;
    return col < extent ? at(row % height, col) : -1;
  };
  let next = 0;
  if (skewed) {
    for (let d = 0; d < rows + width - 1; d++)
      for (let row = Math.min(d, rows - 1); row >= Math.max(0, d - width + 1); row--)
        order[next++] = element(row, d - row);
  } else for (let row = 0; row < rows; row++) for (let c = 0; c < width; c++) order[next++] = element(row, c);
  return order;
}
