/**
 * Tiled matrix product: each workgroup owns a bm × bn tile of C and walks k in steps of bk through multi-stage
 * shared tiles; bias, activation and residual are applied to the accumulator before it is stored.
 * Weights narrower than the activations are widened tile by tile on the way.
 */

import type { DType } from '../../base/dtype.js';
import { InputError } from '../../base/errors.js';
import type { ResourceGraph } from '../../machine/graph.js';
import type { OpOf } from '../../workload/op.js';
import { loop, map, mul, type Program, type Stmt, view } from '../ir.js';
import type { Kernel, Launch, Params, ShapeKey } from '../kernel.js';
import { ZERO } from '../math.js';
import { opHead, readShape } from './dims.js';
import { epilogueOf, finish, KK, lastOfTiles, M, mappingOf, matmulStep, N, planOf, tilesOf, Z } from './matmul_plan.js';
import { matmulReference } from './matmul_reference.js';
import { CLUSTER, clustersFor, PANEL, panelsFor, TILE_PARAMS, tileChoices } from './matmul_tiles.js';
import { noRoute, routeOf } from './mma_route.js';

export const GEMM_SHAPE = {
  m: { description: 'rows of A and C' },
  n: { description: 'columns of B and C' },
  k: { description: 'columns of A, rows of B: the reduction' },
  batch: { description: 'independent products', default: 1 },
} as const satisfies Record<string, ShapeKey>;

/** Formats that a product of `dtype` operands accumulates in and writes, as libraries default to. */
export function productFormats(dtype: DType): { a: DType; b: DType; c: DType; accumulate: DType } {
  switch (dtype) {
    case 'fp64':
      return { a: dtype, b: dtype, c: dtype, accumulate: 'fp64' };
    case 'fp32':
    case 'bf16':
    case 'fp16':
      return { a: dtype, b: dtype, c: dtype, accumulate: 'fp32' };
    case 'tf32':
      return { a: dtype, b: dtype, c: 'fp32', accumulate: 'fp32' };
    case 'int8':
    case 'uint8':
    case 'int4':
    case 'int1':
      return { a: dtype, b: dtype, c: 'int32', accumulate: 'int32' };
    case 'fp8_e4m3':
    case 'fp8_e5m2':
    case 'fp6_e3m2':
    case 'fp4_e2m1':
    case 'nvfp4':
    case 'mxfp4':
    case 'mxfp8':
      return { a: dtype, b: dtype, c: 'bf16', accumulate: 'fp32' };
    default:
      throw new InputError(`no matrix product of ${dtype}; use fp16, bf16, fp32, fp8_e4m3, int8 …`, '--dtype');
  }
}

/** A matmul op from m, n, k, batch; throws InputError on what is missing or illegal. */
export function matmulOp(kernel: string, shape: Readonly<Record<string, number>>, dtype: DType): OpOf<'matmul'> {
  const { m, n, k, batch } = readShape(kernel, GEMM_SHAPE, shape);
  return {
    kind: 'matmul',
    ...opHead('matmul'),
    batch,
    m,
    n,
    k,
    ...productFormats(dtype),
    weights: batch === 1,
    bias: false,
    activation: 'none',
    residual: false,
  };
}

/** Why the machine cannot do a matrix product at all. */
export const matmulRejects = (op: OpOf<'matmul'>, machine: ResourceGraph): string | undefined =>
  routeOf(op, machine) ? undefined : noRoute(op, machine);

const BLOCK_SCALED: readonly DType[] = ['nvfp4', 'mxfp4', 'mxfp8'];

/** Why the reduction of an op is not split: libraries apply block scales in one pass over k (DeepGEMM, cuBLASLt). */
export const splitRejects = (op: OpOf<'matmul'>, machine: ResourceGraph): string | undefined =>
  op.block_scaled || BLOCK_SCALED.includes(op.a)
    ? 'block-scaled operands are reduced in one pass'
    : matmulRejects(op, machine);

export const gemm: Kernel<'matmul'> = {
  name: 'gemm',
  family: 'gemm',
  math: 'C[b,m,n] = act(A[b,m,k] · B[b,k,n] + bias) + residual',
  op: 'matmul',
  shape: GEMM_SHAPE,
  params: { ...TILE_PARAMS, panel: PANEL, ...CLUSTER },
  toOp: (shape, dtype) => matmulOp('gemm', shape, dtype),
  rejects: matmulRejects,

  *candidates(op, machine) {
    const route = routeOf(op, machine);
    if (!route) return;
    for (const choice of tileChoices(op, route, machine, op.m, op.n, op.k)) {
      // written out: spreading objects is slow, and the choices are many
      const { bm, bn, bk, stages, groups_m, groups_n } = choice;
      const clusters = clustersFor(machine, choice, op.m, op.n);
      for (const panel of panelsFor(machine, choice, op.m, op.n))
        for (let i = 0; i < clusters.length; i++) {
          const { cluster_n, cluster_m } = clusters[i]!;
          yield { bm, bn, bk, stages, groups_m, groups_n, panel, cluster_n, cluster_m };
        }
    }
  },

  build: (op, p: Params, machine): readonly Launch[] => [
    { program: programOf(op, p, machine), mapping: mappingOf(planOf(op, machine).route, p) },
  ],

  reference: matmulReference,
};

const same = lastOfTiles<Program>();

/** Rasters and clusters are no part of the program: one serves all choices of the same tiles. */
function programOf(op: OpOf<'matmul'>, p: Params, machine: ResourceGraph): Program {
  const plan = planOf(op, machine);
  const known = same.get(plan, p);
  if (known) return known;
  const t = tilesOf(plan, p, machine);
  const bm = p['bm']!;
  const bn = p['bn']!;
  const bk = p['bk']!;
  const row = mul(M, bm);
  const col = mul(N, bn);
  const z = op.batch === 1 ? 0 : Z;
  const body: Stmt[] = [
    map(ZERO, [], t.acc),
    loop(KK, 0, Math.ceil(op.k / bk), matmulStep(plan, t, z, row, col, mul(KK, bk))),
  ];
  finish(epilogueOf(op, plan, col), t.acc, t.all, body, view(plan.C, [z, row, col], [1, 2]));
  return same.set(plan, p, {
    name: `gemm[${bm}x${bn}x${bk},s${p['stages']}]`,
    tensors: plan.tensors,
    tiles: t.all,
    grid: [
      { index: N, extent: Math.ceil(op.n / bn) },
      { index: M, extent: Math.ceil(op.m / bm) },
      { index: Z, extent: op.batch },
    ],
    body,
  });
}
