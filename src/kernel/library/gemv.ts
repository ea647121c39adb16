/**
 * Matrix product of few rows on multiply–adds: weights stream once from memory into registers, several steps ahead;
 * each lane keeps sums of its own rows of k, which are added across lanes at the end. Bound by memory, not by
 * arithmetic, so it needs no matrix instructions. k may also be split over workgroups, with a second launch that adds.
 */

import { bytesOf } from '../../base/dtype.js';
import { InputError } from '../../base/errors.js';
import type { ResourceGraph } from '../../machine/graph.js';
import { mathRateOf } from '../../machine/graph.js';
import type { OpOf } from '../../workload/op.js';
import { add, copy, div, loop, loopVar, map, mul, reduce, type Stmt, type Tile, tensor, tile, view } from '../ir.js';
import type { Kernel, Launch, Params } from '../kernel.js';
import { FMA, isInteger, ZERO } from '../math.js';
import { GEMM_SHAPE, matmulOp } from './gemm.js';
import { epilogueOf, finish, KK, makePlan, N, type Plan, Z } from './matmul_plan.js';
import { matmulReference } from './matmul_reference.js';
import { SPLITS, splitsFor, sumLaunch } from './matmul_split.js';
import { DEQUANTISE, type Route, SCALE_GROUP, scalingOf, widenFn } from './mma_route.js';

const S = loopVar('split');
/** Rows beyond which sums no longer fit the registers of a lane. */
const MOST_ROWS = 16;
/** Bytes of sums a lane may hold: half of 255 registers of 4 bytes. */
const SUMS_B = 512;
/** Workgroups per core to aim at when k is split. */
const WAVES = [2, 8];

/** Multiply–adds in fp32 (fp64 for fp64), whatever the storage. */
const routeFor = (op: OpOf<'matmul'>, machine: ResourceGraph): Route => ({
  mma: 'vector',
  a: op.a,
  // narrow weights are widened two at a time in the activations' own format
  b: bytesOf(op.b) >= 2 ? op.b : bytesOf(op.a) >= 2 ? op.a : 'fp16',
  acc: op.a === 'fp64' || op.b === 'fp64' ? 'fp64' : 'fp32',
  widenA: false,
  widenB: bytesOf(op.b) < 2,
  group_lanes: machine.cores.lane_group,
});

let lastOp: OpOf<'matmul'> | undefined;
let lastMachine: ResourceGraph | undefined;
let lastPlan: Plan | undefined;

/** The same tensors as the tiled product, on a route of plain multiply–adds. */
function planFor(op: OpOf<'matmul'>, machine: ResourceGraph): Plan {
  if (op === lastOp && machine === lastMachine && lastPlan) return lastPlan;
  lastPlan = makePlan(op, routeFor(op, machine));
  lastOp = op;
  lastMachine = machine;
  return lastPlan;
}

export const gemv: Kernel<'matmul'> = {
  name: 'gemv',
  family: 'gemv',
  math: 'C[b,m,n] = act(A[b,m,k] · B[b,k,n] + bias) + residual for m ≤ 16, on plain multiply–adds',
  op: 'matmul',
  shape: { ...GEMM_SHAPE, m: { description: 'rows of A and C, at most 16', default: 1 } },
  params: {
    bn: { description: 'columns per workgroup', values: [8, 16, 32, 64, 128, 256, 512], default: 64 },
    bk: { description: 'rows of B fetched at once', values: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512], default: 16 },
    stages: { description: 'fetches in flight', values: [1, 2, 3, 4, 6, 8, 12, 16], default: 4 },
    groups: { description: 'lane groups, which share the rows of k', values: [1, 2, 4, 8, 16], default: 4 },
    split: { description: 'parts of k (1: whole)', values: [1, ...SPLITS], default: 1 },
  },
  toOp: (shape, dtype) => matmulOp('gemv', { ...shape, m: shape['m'] ?? 1 }, dtype),

  rejects(op, machine) {
    if (op.m > MOST_ROWS) return `takes at most ${MOST_ROWS} rows, got ${op.m}`;
    if (isInteger(op.accumulate)) return `sums in floating point, not in ${op.accumulate}`;
    const { acc } = routeFor(op, machine);
    return mathRateOf(machine, 'fma', acc) ? undefined : `${machine.name} has no ${acc} multiply–adds`;
  },

  /** Each lane fetches 16 bytes (or half) of B at a time, as far as its sums fit; 64 bytes a lane in flight, or 128. */
  *candidates(op, machine) {
    const { cores } = machine;
    const { acc } = routeFor(op, machine);
    const grouped = scalingOf(op) === 'group';
    for (const bn of [32, 64, 128, 256]) {
      if (bn > 32 && bn >= 2 * op.n) continue;
      const tiles = op.batch * Math.ceil(op.n / bn);
      for (const groups of [4, 8]) {
        const lanes = groups * cores.lane_group;
        const seen = new Set<number>();
        for (const access_B of [16, 8]) {
          const most = Math.floor(SUMS_B / (op.m * bytesOf(acc)));
          const each = Math.min(access_B / bytesOf(op.b), 2 ** Math.floor(Math.log2(most)));
          const bk = Math.min(grouped ? SCALE_GROUP : 512, (each * lanes) / bn);
          if (!Number.isInteger(bk) || bk < 1 || seen.has(bk) || (bk > op.k && seen.size > 0)) continue;
          seen.add(bk);
          const steps = Math.ceil(op.k / bk);
          const inFlight_B = (bk * bn * bytesOf(op.b)) / lanes;
          let last = 0;
          for (const flight_B of [64, 128]) {
            const stages = Math.max(2, Math.min(8, 2 ** Math.floor(Math.log2(flight_B / inFlight_B))));
            if (stages === last) continue;
            last = stages;
            for (const split of [1, ...splitsFor(tiles, cores.count, steps, WAVES)])
              yield { bn, bk, stages, groups, split };
          }
        }
      }
    }
  },

  build(op, p: Params, machine): readonly Launch[] {
    const plan = planFor(op, machine);
    const { acc: accDType } = plan.route;
    const bn = p['bn']!;
    const bk = p['bk']!;
    const stages = p['stages']!;
    if (plan.scaling === 'group' && SCALE_GROUP % bk !== 0)
      throw new InputError(`bk=${bk} does not divide the ${SCALE_GROUP} rows that share a scale of B`);
    const steps = Math.ceil(op.k / bk);
    const each = Math.ceil(steps / p['split']!);
    const parts = Math.ceil(steps / each);
    const z = op.batch === 1 ? 0 : Z;
    const col = mul(N, bn);
    const k = parts === 1 ? mul(KK, bk) : add(mul(S, each * bk), mul(KK, bk));

    const b = tile('b_in', 'register', op.b, bk, bn, stages);
    const tiles: Tile[] = [b];
    const step: Stmt[] = [copy(view(plan.B, [z, k, col], [1, 2]), b)];
    let weights = b;
    if (plan.route.widenB) {
      weights = tile('b_wide', 'register', plan.route.b, bk, bn);
      tiles.push(weights);
      if (plan.scaling === 'group') {
        const scale = tile('b_scale', 'register', op.a, 1, bn, stages);
        tiles.push(scale);
        step.push(copy(view(plan.scales!, [div(k, SCALE_GROUP), col], [0, 1]), scale));
        step.push(map(DEQUANTISE, [b, scale], weights));
      } else step.push(map(widenFn(op.b), [b], weights));
    }
    const sums: Tile[] = [];
    const body: Stmt[] = [];
    for (let i = 0; i < op.m; i++) {
      const a = tile(A_NAMES[i]!, 'register', op.a, bk, 1, stages);
      const sum = tile(SUM_NAMES[i]!, 'register', accDType, bk, bn);
      tiles.push(a, sum);
      sums.push(sum);
      body.push(map(ZERO, [], sum));
      step.push(copy(view(plan.A, [z, i, k], [2, -1]), a), map(FMA, [a, weights, sum], sum));
    }
    body.push(loop(KK, 0, each, step));

    const out = tile('out', 'register', accDType, 1, bn);
    tiles.push(out);
    const partial =
      parts === 1 ? undefined : tensor('partial', accDType, [parts, op.batch, op.m, op.n], 'scratch', 'activation');
    const epilogue = epilogueOf(op, plan, col);
    for (let i = 0; i < op.m; i++) {
      body.push(reduce('sum', 0, sums[i]!, out));
      if (partial) body.push(copy(out, view(partial, [S, z, i, col], [-1, 3])));
      else finish(epilogue, out, tiles, body, view(plan.C, [z, i, col], [-1, 2]));
    }
    const grid = [
      { index: N, extent: Math.ceil(op.n / bn) },
      { index: S, extent: parts },
    ];
    if (op.batch > 1) grid.push({ index: Z, extent: op.batch });
    const groups = p['groups']!;
    const launch: Launch = {
      program: {
        name: `gemv[${bk}x${bn},s${stages},/${parts}]`,
        tensors: partial ? [...plan.tensors, partial] : plan.tensors,
        tiles,
        grid,
        body,
      },
      mapping: {
        lanes: groups * machine.cores.lane_group,
        partition: [groups, 1],
        resident: 0,
        panel: 1,
        mma: 'vector',
      },
    };
    return partial ? [launch, sumLaunch('gemv', op, plan, partial, machine)] : [launch];
  },

  reference: matmulReference,
};

const rowNames = (prefix: string): string[] => Array.from({ length: MOST_ROWS }, (_, i) => `${prefix}${i}`);
const A_NAMES = rowNames('a');
const SUM_NAMES = rowNames('sum');
