/**
 * Matrix product split over k: `split` workgroups share a tile of C, each sums its part of k into scratch, and a second
 * launch adds the parts and finishes them. Fills the machine when C has few tiles and k is long.
 */
import type { ResourceGraph } from '../../machine/graph.js';
import type { OpOf } from '../../workload/op.js';
import { add, copy, loop, loopVar, map, mul, type Program, type Stmt, view } from '../ir.js';
import type { Kernel, Launch, Params } from '../kernel.js';
import { ZERO } from '../math.js';
import { GEMM_SHAPE, matmulOp, splitRejects } from './gemm.js';
import { KK, lastOfTiles, M, mappingOf, matmulStep, N, planOf, tilesOf, Z } from './matmul_plan.js';
import { matmulReference } from './matmul_reference.js';
import { partialTensor, SPLITS, splitsFor, sumLaunch } from './matmul_split.js';
import { CLUSTER, clustersFor, PANEL, TILE_PARAMS, tileChoices } from './matmul_tiles.js';
import { routeOf } from './mma_route.js';

const S = loopVar('split');
/** Workgroups per core to aim at; where the whole has more than one already, more parts even out its last wave. */
const FEW = [1, 2];
const MORE = [2, 6];

export const gemm_split_k: Kernel<'matmul'> = {
  name: 'gemm_split_k',
  family: 'gemm',
  math: 'C[b,m,n] = act(Σ over parts of k of A·B + bias) + residual',
  op: 'matmul',
  shape: GEMM_SHAPE,
  params: {
    ...TILE_PARAMS,
    panel: PANEL,
    ...CLUSTER,
    split: { description: 'parts of k', values: SPLITS, default: 4 },
  },
  toOp: (shape, dtype) => matmulOp('gemm_split_k', shape, dtype),
  rejects: splitRejects,

  *candidates(op, machine) {
    const route = routeOf(op, machine);
    if (!route) return;
    const cores = machine.cores.count;
    for (const choice of tileChoices(op, route, machine, op.m, op.n, op.k)) {
      const tiles = op.batch * Math.ceil(op.m / choice.bm) * Math.ceil(op.n / choice.bn);
      for (const split of splitsFor(tiles, cores, Math.ceil(op.k / choice.bk), tiles > cores ? MORE : FEW))
        for (const cluster of clustersFor(machine, choice, op.m, op.n).slice(0, 2))
          yield { ...choice, panel: 1, split, ...cluster };
    }
  },

  build(op, p: Params, machine): readonly Launch[] {
    const { program, sum } = laidOut(op, p, machine);
    return [{ program, mapping: mappingOf(planOf(op, machine).route, p) }, sum];
  },

  reference: matmulReference,
};

const same = lastOfTiles<{ program: Program; sum: Launch }>();

/** What all clusters of the same tiles and parts share: the first program, and the second launch. */
function laidOut(op: OpOf<'matmul'>, p: Params, machine: ResourceGraph): { program: Program; sum: Launch } {
  const plan = planOf(op, machine);
  const known = same.get(plan, p);
  if (known) return known;
  const t = tilesOf(plan, p, machine);
  const bm = p['bm']!;
  const bn = p['bn']!;
  const bk = p['bk']!;
  // whole steps to each part; parts that would get none are left out
  const steps = Math.ceil(op.k / bk);
  const each = Math.ceil(steps / p['split']!);
  const parts = Math.ceil(steps / each);
  const partial = partialTensor(op, plan, parts);
  const row = mul(M, bm);
  const col = mul(N, bn);
  const z = op.batch === 1 ? 0 : Z;
  const body: Stmt[] = [
    map(ZERO, [], t.acc),
    loop(KK, 0, each, matmulStep(plan, t, z, row, col, add(mul(S, each * bk), mul(KK, bk)))),
    copy(t.acc, view(partial, [S, z, row, col], [2, 3])),
  ];
  const grid = [
    { index: N, extent: Math.ceil(op.n / bn) },
    { index: M, extent: Math.ceil(op.m / bm) },
    { index: S, extent: parts },
  ];
  if (op.batch > 1) grid.push({ index: Z, extent: op.batch });
  const tensors = [plan.A, plan.B, partial];
  if (t.scale) tensors.push(plan.scales!);
  const program: Program = {
    name: `gemm_split_k[${bm}x${bn}x${bk},s${p['stages']},/${parts}]`,
    tensors,
    tiles: t.all,
    grid,
    body,
  };
  return same.set(plan, p, { program, sum: sumLaunch('gemm_split_k', op, plan, partial, machine) });
}
