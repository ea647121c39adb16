/**
 * Persistent matrix product that balances the last wave (stream-K in its data-parallel form: Osama et al. 2023,
 * "Stream-K", section 4): one set of workgroups fills the machine and walks whole waves of tiles; the tiles left over
 * are split over k so that every workgroup has an equal part, and a second launch adds those parts.
 */
import type { ResourceGraph } from '../../machine/graph.js';
import type { OpOf } from '../../workload/op.js';
import {
  add,
  copy,
  div,
  type Expr,
  loop,
  loopVar,
  map,
  max,
  min,
  mod,
  mul,
  type Stmt,
  sub,
  type Tensor,
  tensor,
  view,
} from '../ir.js';
import type { Kernel, Launch, Params } from '../kernel.js';
import { ZERO } from '../math.js';
import { GEMM_SHAPE, matmulOp, splitRejects } from './gemm.js';
import { epilogueOf, finish, KK, M, mappingOf, matmulStep, N, type Plan, planOf, tilesOf } from './matmul_plan.js';
import { matmulReference } from './matmul_reference.js';
import { partialDType, sumBlock, sumMapping, sumParts, sumTensors } from './matmul_split.js';
import { TILE_PARAMS, type TileChoice, tileChoices } from './matmul_tiles.js';
import { routeOf } from './mma_route.js';

const WORKGROUP = loopVar('workgroup');
const WAVE = loopVar('wave');
const ONCE = loopVar('once');
const LEFT = loopVar('left');

/** How tiles fall on workgroups. */
interface Schedule {
  readonly workgroups: number;
  /** Waves in which every workgroup has a tile. */
  readonly waves: number;
  /** Tiles left over, and the parts that k is split into for each of them (0: none left). */
  readonly left: number;
  readonly parts: number;
  /** Steps of a part. */
  readonly each: number;
}

function scheduleOf(op: OpOf<'matmul'>, p: Params, machine: ResourceGraph): Schedule {
  const tiles = op.batch * Math.ceil(op.m / p['bm']!) * Math.ceil(op.n / p['bn']!);
  const steps = Math.ceil(op.k / p['bk']!);
  const workgroups = machine.cores.count * (p['per_core'] ?? 1);
  const waves = Math.floor(tiles / workgroups);
  const left = tiles - waves * workgroups;
  if (left === 0) return { workgroups, waves, left, parts: 0, each: 0 };
  const each = Math.ceil(steps / Math.max(1, Math.floor(workgroups / left)));
  return { workgroups, waves, left, parts: Math.ceil(steps / each), each };
}

/** Batch, first row and first column of a tile by number, columns fastest. */
function placeOf(op: OpOf<'matmul'>, bm: number, bn: number, t: Expr): [z: Expr, row: Expr, col: Expr] {
  const cols = Math.ceil(op.n / bn);
  const rows = Math.ceil(op.m / bm);
  const line = cols === 1 ? t : div(t, cols);
  const col = cols === 1 ? 0 : mul(mod(t, cols), bn);
  if (op.batch === 1) return [0, mul(line, bm), col];
  return [div(line, rows), mul(mod(line, rows), bm), col];
}

export const gemm_stream_k: Kernel<'matmul'> = {
  name: 'gemm_stream_k',
  family: 'gemm',
  math: 'C[b,m,n] = act(A·B + bias) + residual, the tiles of the last wave split over k',
  op: 'matmul',
  shape: GEMM_SHAPE,
  params: {
    ...TILE_PARAMS,
    per_core: { description: 'workgroups per core', values: [1, 2, 3, 4], default: 1 },
  },
  toOp: (shape, dtype) => matmulOp('gemm_stream_k', shape, dtype),
  rejects: splitRejects,

  /**
   * Only where the last wave leaves more than a tenth of the time idle and k can be split; the largest tiles first.
   * Where lane groups multiply from registers, vendors' libraries have no such kernels (A100: rows of 2.4 waves take 3).
   */
  *candidates(op, machine) {
    const route = routeOf(op, machine);
    if (!route || route.op?.operands === 'register') return;
    let given = 0;
    let last: TileChoice | undefined;
    for (const choice of tileChoices(op, route, machine, op.m, op.n, op.k)) {
      if (given >= MOST_CANDIDATES) return;
      const s = scheduleOf(op, choice, machine);
      const waves = s.waves + s.left / s.workgroups;
      if (s.parts < 2 || s.waves < 1 || Math.ceil(waves) < 1.1 * waves) continue;
      // workgroups stay, one a core: only the deepest pipeline of a tile is worth a try
      if (last && last.bm === choice.bm && last.bn === choice.bn) continue;
      last = choice;
      given++;
      yield { ...choice, per_core: 1 };
    }
  },

  build(op, p: Params, machine): readonly Launch[] {
    const plan = planOf(op, machine);
    const t = tilesOf(plan, p, machine);
    const bm = p['bm']!;
    const bn = p['bn']!;
    const bk = p['bk']!;
    const s = scheduleOf(op, p, machine);
    const steps = Math.ceil(op.k / bk);
    const body: Stmt[] = [];

    const whole = (tile: Expr, to: Stmt[]) => {
      const [z, row, col] = placeOf(op, bm, bn, tile);
      to.push(map(ZERO, [], t.acc), loop(KK, 0, steps, matmulStep(plan, t, z, row, col, mul(KK, bk))));
      finish(epilogueOf(op, plan, col), t.acc, t.all, to, view(plan.C, [z, row, col], [1, 2]));
    };
    const direct = s.parts === 1;
    if (s.waves > 0 || direct) {
      const wave: Stmt[] = [];
      whole(add(mul(WAVE, s.workgroups), WORKGROUP), wave);
      const waves = direct ? add(s.waves, min(1, max(0, sub(s.left, WORKGROUP)))) : s.waves;
      body.push(loop(WAVE, 0, waves, wave));
    }
    let partial: Tensor | undefined;
    if (s.parts > 1) {
      partial = tensor('partial', partialDType(plan.route.acc), [s.parts, s.left, bm, bn], 'scratch', 'activation');
      const left = div(WORKGROUP, s.parts);
      const part = mod(WORKGROUP, s.parts);
      const [z, row, col] = placeOf(op, bm, bn, add(left, s.waves * s.workgroups));
      body.push(
        loop(ONCE, 0, min(1, max(0, sub(s.left * s.parts, WORKGROUP))), [
          map(ZERO, [], t.acc),
          loop(KK, 0, s.each, matmulStep(plan, t, z, row, col, add(mul(part, s.each * bk), mul(KK, bk)))),
          copy(t.acc, view(partial, [part, left, 0, 0], [2, 3])),
        ]),
      );
    }
    const launch: Launch = {
      program: {
        name: `gemm_stream_k[${bm}x${bn}x${bk},s${p['stages']}]`,
        tensors: partial ? [...plan.tensors, partial] : plan.tensors,
        tiles: t.all,
        grid: [{ index: WORKGROUP, extent: s.workgroups }],
        body,
      },
      mapping: mappingOf(plan.route, p),
    };
    return partial ? [launch, leftLaunch(op, plan, partial, s, bm, bn, machine)] : [launch];
  },

  reference: matmulReference,
};

/** Few, since programs whose tiles are numbered take long to evaluate. */
const MOST_CANDIDATES = 6;

/** Adds the parts of the tiles left over and finishes them. */
function leftLaunch(
  op: OpOf<'matmul'>,
  plan: Plan,
  partial: Tensor,
  s: Schedule,
  bm: number,
  bn: number,
  machine: ResourceGraph,
): Launch {
  const [rows, wide] = sumBlock(bm, bn, s.left, machine.cores.count);
  const cols = Math.min(wide, bn);
  const [z, row, col] = placeOf(op, bm, bn, add(LEFT, s.waves * s.workgroups));
  const r = mul(M, rows);
  const c = mul(N, cols);
  const { acc, tiles, body } = sumParts(partial.dtype, s.parts, rows, cols, (part) =>
    view(partial, [part, LEFT, r, c], [2, 3]),
  );
  const first = add(col, c);
  // a tile may be no multiple of the block: its last block must not write into the next tile
  const to = view(plan.C, [z, add(row, r), first], [1, 2], { limit: [add(row, bm), add(col, bn)] });
  finish(epilogueOf(op, plan, first), acc, tiles, body, to);
  return {
    program: {
      name: `gemm_stream_k_sum[${rows}x${cols}]`,
      tensors: sumTensors(plan, partial),
      tiles,
      grid: [
        { index: N, extent: Math.ceil(bn / cols) },
        { index: M, extent: Math.ceil(bm / rows) },
        { index: LEFT, extent: s.left },
      ],
      body,
    },
    mapping: sumMapping(Math.max(64, cols), machine),
  };
}
