/**
 * Tile programs of products that the library has no op for, to be counted beside their bounds: with a triangular left
 * operand, and with one of which `keep` of every `of` values are kept.
 */

import type { DType } from '../base/dtype.js';
import { bytesOf } from '../base/dtype.js';
import { defineKernel } from '../kernel/define.js';
import {
  add,
  copy,
  type GridDim,
  loop,
  loopVar,
  map,
  min,
  mma,
  mul,
  type Program,
  type Stmt,
  type Tensor,
  tensor,
  tile,
  type View,
  view,
} from '../kernel/ir.js';
import type { Kernel, Launch, Params } from '../kernel/kernel.js';
import { productFormats } from '../kernel/library/gemm.js';
import { ZERO } from '../kernel/math.js';

const N = loopVar('n');
const M = loopVar('m');
const K = loopVar('k');
const SIZES = {
  bm: { description: 'rows of C per workgroup', values: [8, 16, 32, 64, 128, 256], default: 64 },
  bn: { description: 'columns of C per workgroup', values: [8, 16, 32, 64, 128, 256], default: 64 },
} as const;

/** One lane: what counts is what passes between near and far. */
const launch = (program: Program): Launch => ({
  program,
  mapping: { lanes: 1, partition: [1, 1], resident: 0, panel: 1, mma: 'matrix' },
});

const gridOf = (m: number, n: number, { bm, bn }: Params): GridDim[] => [
  { index: N, extent: Math.ceil(n / bn!) },
  { index: M, extent: Math.ceil(m / bm!) },
];

interface Dims {
  readonly m: number;
  readonly n: number;
}

/** Tensors and tiles of C[m,n], held while columns of the left operand and rows of B stream by. */
function partsOf({ m, n }: Dims, k: number, p: Params, dtype: DType) {
  const { accumulate } = productFormats(dtype);
  const B = tensor('B', dtype, [k, n], 'input', 'activation');
  const C = tensor('C', dtype, [m, n], 'output', 'activation');
  const acc = tile('acc', 'register', accumulate, p['bm']!, p['bn']!);
  const col = mul(N, p['bn']!);
  const store = copy(acc, view(C, [mul(M, p['bm']!), col], [0, 1]));
  return { B, C, acc, col, store };
}

/** C = L·B: columns of L up to the tile's last row; above the diagonal L holds zeros. */
export const triangular_gemm: Kernel<'custom'> = defineKernel({
  name: 'triangular_gemm',
  math: 'C[m,n] = L[m,m]·B[m,n], L lower triangular',
  shape: { m: { description: 'rows of L, B and C' }, n: { description: 'columns of B and C' } },
  params: SIZES,
  work: ({ m, n }, dtype) => ({
    flops: m * (m + 1) * n,
    read_B: ((m * (m + 1)) / 2 + m * n) * bytesOf(dtype),
    write_B: m * n * bytesOf(dtype),
  }),
  build({ m, n }, p, _, dtype) {
    const { B, C, acc, col, store } = partsOf({ m, n }, m, p, dtype);
    const { bm, bn } = p as Record<'bm' | 'bn', number>;
    const L = tensor('L', dtype, [m, m], 'input', 'activation');
    const tl = tile('tl', 'shared', dtype, bm, 1);
    const tb = tile('tb', 'shared', dtype, 1, bn);
    return launch({
      name: `triangular_gemm[${bm}x${bn}]`,
      tensors: [L, B, C],
      tiles: [tl, tb, acc],
      grid: gridOf(m, n, p),
      body: [
        map(ZERO, [], acc),
        loop(K, 0, min(mul(add(M, 1), bm), m), [
          copy(view(L, [mul(M, bm), K], [0, 1]), tl),
          copy(view(B, [K, col], [0, 1]), tb),
          mma(tl, tb, acc),
        ]),
        store,
      ],
    });
  },
  reference({ m, n }, { L, B }) {
    const C = new Float64Array(m * n);
    for (let i = 0; i < m; i++)
      for (let k = 0; k <= i; k++) for (let j = 0; j < n; j++) C[i * n + j]! += L![i * m + k]! * B![k * n + j]!;
    return { C };
  },
});

/**
 * C = A·B with `keep` of every `of` values of A's rows: a step takes one group, its kept values with their places (log₂ of
 * bits each) and `of` rows of B. Counted, not run: a program does not say where kept values lie.
 */
export const sparse_gemm: Kernel<'custom'> = defineKernel({
  name: 'sparse_gemm',
  math: 'C[m,n] = A[m,k]·B[k,n], `keep` of every `of` values of A kept',
  shape: {
    m: { description: 'rows of A and C' },
    n: { description: 'columns of B and C' },
    k: { description: 'the reduction' },
    keep: { description: 'values kept', default: 2 },
    of: { description: 'of so many', default: 4 },
  },
  params: SIZES,
  work({ m, n, k, keep, of }, dtype) {
    const w = bytesOf(dtype);
    const kept = (m * k * keep) / of;
    return {
      flops: 2 * kept * n,
      read_B: kept * (w + placeBits(of) / 8) + k * n * w,
      write_B: m * n * w,
    };
  },
  build({ m, n, k, keep, of }, p, _, dtype) {
    const { B, C, acc, col, store } = partsOf({ m, n }, k, p, dtype);
    const { bm, bn } = p as Record<'bm' | 'bn', number>;
    const bits = placeBits(of);
    const groups = Math.ceil(k / of);
    const A = tensor('A', dtype, [m, groups * keep], 'input', 'weight');
    const places = tensor('places', 'int1', [m, groups * keep * bits], 'input', 'index');
    const ta = tile('ta', 'shared', dtype, bm, keep);
    const tp = tile('tp', 'shared', 'int1', bm, keep * bits);
    const tb = tile('tb', 'shared', dtype, of, bn);
    const rows = (t: Tensor, cols: number): View => view(t, [mul(M, bm), mul(K, cols)], [0, 1]);
    const multiply: Stmt[] = keep === 2 && of === 4 ? [mma(ta, tb, acc, { sparse: '2:4' })] : [];
    return launch({
      name: `sparse_gemm[${bm}x${bn}]`,
      tensors: [A, places, B, C],
      tiles: [ta, tp, tb, acc],
      grid: gridOf(m, n, p),
      body: [
        map(ZERO, [], acc),
        loop(K, 0, groups, [
          copy(rows(A, keep), ta),
          copy(rows(places, keep * bits), tp),
          copy(view(B, [mul(K, of), col], [0, 1]), tb),
          ...multiply,
        ]),
        store,
      ],
    });
  },
});

/** Bits that say which of `of` values one is. */
export const placeBits = (of: number): number => Math.ceil(Math.log2(of));
