/**
 * What the matrix-product kernels share for one op on one machine: route, tensors, tiles, the statements of the main
 * loop and of the epilogue. Programs of all tile choices are made from the same plan, so that a search is cheap.
 */
import { InfeasibleError, InputError } from '../../base/errors.js';
import type { ResourceGraph } from '../../machine/graph.js';
import type { OpOf } from '../../workload/op.js';
import {
  copy,
  div,
  type Expr,
  loopVar,
  map,
  mapFn,
  mma,
  type Stmt,
  type Tensor,
  type Tile,
  tensor,
  tile,
  type View,
  view,
} from '../ir.js';
import type { Mapping, Params } from '../kernel.js';
import { ADD, activationFn, isInteger, MOVE, MUL, ZERO } from '../math.js';
import {
  DEQUANTISE,
  type Formats,
  noRoute,
  type Route,
  routeOf,
  SCALE_GROUP,
  type Scaling,
  scalingOf,
  widenFn,
} from './mma_route.js';

/** Grid and loop indices; one set serves every program, since identity matters only within one. */
export const N = loopVar('n');
export const M = loopVar('m');
export const Z = loopVar('batch');
export const KK = loopVar('k');

export interface Plan {
  readonly route: Route;
  readonly scaling: Scaling;
  /** Sums of blocks of k are scaled on the lanes. */
  readonly promoted: boolean;
  readonly A: Tensor;
  readonly B: Tensor;
  readonly C: Tensor;
  readonly bias?: Tensor;
  readonly residual?: Tensor;
  readonly scales?: Tensor;
  readonly tensors: readonly Tensor[];
}

/** The scale is part of one multiply–add for each element. */
const PROMOTE = mapFn('promote', 2, { f: 'fma', args: [{ in: 0 }, 1, { in: 1 }] });

let lastOp: OpOf<'matmul'> | undefined;
let lastMachine: ResourceGraph | undefined;
let lastPlan: Plan | undefined;

/** The plan of an op; throws InfeasibleError when the machine has no route (the kernel rejects such ops). */
export function planOf(op: OpOf<'matmul'>, machine: ResourceGraph): Plan {
  if (op === lastOp && machine === lastMachine && lastPlan) return lastPlan;
  lastPlan = makePlan(op, routeOrThrow(op, machine));
  lastOp = op;
  lastMachine = machine;
  return lastPlan;
}

/** The last thing made for a plan and a choice of tiles (and parts of k): searches try it on several mappings. */
export function lastOfTiles<T>() {
  let plan: Plan | undefined;
  let params: Params | undefined;
  let made: T | undefined;
  return {
    get: (of: Plan, p: Params): T | undefined => {
      if (of !== plan || !params) return undefined;
      for (let i = 0; i < PROGRAM_PARAMS.length; i++) {
        const key = PROGRAM_PARAMS[i]!;
        if (p[key] !== params[key]) return undefined;
      }
      return made;
    },
    set: (of: Plan, p: Params, value: T): T => {
      plan = of;
      params = { ...p };
      made = value;
      return value;
    },
  };
}

/** The parameters that a program depends on; others are the mapping's. */
const PROGRAM_PARAMS = ['bm', 'bn', 'bk', 'stages', 'groups_m', 'groups_n', 'split'] as const;

/** Tensors of a matmul op on a route. */
export function makePlan(op: OpOf<'matmul'>, route: Route): Plan {
  const scaling = scalingOf(op);
  const { batch, m, n, k } = op;
  const A = tensor('A', op.a, [batch, m, k], 'input', 'activation');
  const B = tensor('B', op.b, [batch, k, n], 'input', op.weights ? 'weight' : 'activation');
  const C = tensor('C', op.c, [batch, m, n], 'output', 'activation');
  const scales = scalesTensor(op, scaling, k, n);
  const bias = op.bias ? tensor('bias', op.c, [n], 'input', 'weight') : undefined;
  const residual = op.residual ? tensor('residual', op.c, [batch, m, n], 'input', 'activation') : undefined;
  const tensors = [A, B, C];
  for (const t of [scales, bias, residual]) if (t) tensors.push(t);
  const promoted = op.block_scaled === true && route.mma === 'matrix' && route.op?.accumulator === 'register';
  return { route, scaling, promoted, A, B, C, bias, residual, scales, tensors };
}

export function routeOrThrow(formats: Formats, machine: ResourceGraph): Route {
  const route = routeOf(formats, machine);
  if (!route) throw new InfeasibleError(noRoute(formats, machine));
  return route;
}

/** Scales of quantised weights, in the activations' format: [n] by column, [⌈k/128⌉, n] by group. */
export function scalesTensor(formats: Formats, scaling: Scaling, k: number, n: number): Tensor | undefined {
  if (scaling === 'none') return undefined;
  return scaling === 'column'
    ? tensor('scales', formats.a, [n], 'input', 'weight')
    : tensor('scales', formats.a, [Math.ceil(k / SCALE_GROUP), n], 'input', 'weight');
}

/** The tiles of a main loop: stored operands, what mma reads of them, and the accumulator. */
export interface Tiles {
  readonly as: Tile;
  readonly bs: Tile;
  readonly am: Tile;
  readonly bm: Tile;
  readonly scale?: Tile;
  /** Sum of one block of k, before its scales: block-scaled operands on units that accumulate in registers. */
  readonly part?: Tile;
  readonly acc: Tile;
  readonly all: Tile[];
}

/** Tiles of a choice of bm, bn, bk, stages, groups_m, groups_n; throws InputError where they do not divide. */
export function tilesOf(
  plan: Pick<Plan, 'route' | 'scaling' | 'A' | 'B'> & { readonly promoted?: boolean },
  p: Params,
  machine: ResourceGraph,
): Tiles {
  const { route } = plan;
  const bm = p['bm']!;
  const bn = p['bn']!;
  const bk = p['bk']!;
  const stages = p['stages']!;
  const as = tile('As', 'shared', plan.A.dtype, bm, bk, stages);
  const bs = tile('Bs', 'shared', plan.B.dtype, bk, bn, stages);
  const all = [as, bs];
  // instructions that read operands from shared memory need the widened tile there; others take it from registers
  const near = route.op?.operands === 'register' ? 'register' : 'shared';
  let am = as;
  let bmTile = bs;
  let scale: Tile | undefined;
  if (route.widenA) all.push((am = tile('Aw', near, route.a, bm, bk)));
  if (route.widenB) all.push((bmTile = tile('Bw', near, route.b, bk, bn)));
  if (plan.scaling === 'group') {
    if (SCALE_GROUP % bk !== 0)
      throw new InputError(`bk=${bk} does not divide the ${SCALE_GROUP} rows that share a scale of B`);
    all.push((scale = tile('Ss', 'shared', plan.A.dtype, 1, bn, stages)));
  }
  const acc = tile('acc', 'register', route.acc, bm, bn, 1, laneTile(route, p, machine));
  all.push(acc);
  let part: Tile | undefined;
  if (plan.promoted) all.push((part = tile('part', 'register', route.acc, bm, bn, 1, acc.lane)));
  return { as, bs, am, bm: bmTile, scale, part, acc, all };
}

/** Rows × columns of lanes in a lane group on plain multiply–adds: as square as a power of two allows. */
export function laneGrid(machine: ResourceGraph): readonly [number, number] {
  const rows = 2 ** Math.floor(Math.log2(machine.cores.lane_group) / 2);
  return [rows, machine.cores.lane_group / rows];
}

function laneTile(route: Route, p: Params, machine: ResourceGraph): readonly [number, number] | undefined {
  const rows = p['bm']! / p['groups_m']!;
  const cols = p['bn']! / p['groups_n']!;
  if (route.mma === 'matrix') {
    if (Number.isInteger(rows) && Number.isInteger(cols)) return undefined;
  } else {
    const [lr, lc] = laneGrid(machine);
    if (Number.isInteger(rows / lr) && Number.isInteger(cols / lc)) return [rows / lr, cols / lc];
  }
  throw new InputError(
    `${p['groups_m']}×${p['groups_n']} lane groups do not divide a ${p['bm']}×${p['bn']} tile${
      route.mma === 'vector' ? ` into whole tiles of ${laneGrid(machine).join('×')} lanes` : ''
    }`,
  );
}

export function mappingOf(route: Route, p: Params): Mapping {
  const gm = p['groups_m']!;
  const gn = p['groups_n']!;
  const cn = p['cluster_n'] ?? 1;
  const cm = p['cluster_m'] ?? 1;
  const lanes = gm * gn * route.group_lanes;
  const panel = p['panel'] ?? 1;
  const { mma } = route;
  return cn * cm > 1
    ? { lanes, partition: [gm, gn], resident: 0, panel, cluster: [cn, cm], mma }
    : { lanes, partition: [gm, gn], resident: 0, panel, mma };
}

/**
 * One step of the main loop: fetch both operands, widen what is stored narrower than mma reads it, multiply.
 * `scale` is where the scales of this step's group of rows lie, when scaling is by group.
 */
export function mainStep(route: Route, t: Tiles, a: View, b: View, scale?: View): Stmt[] {
  const body: Stmt[] = [copy(a, t.as), copy(b, t.bs)];
  if (t.scale) body.push(copy(scale!, t.scale));
  if (route.widenA) body.push(map(widenFn(t.as.dtype), [t.as], t.am));
  if (route.widenB)
    body.push(t.scale ? map(DEQUANTISE, [t.bs, t.scale], t.bm) : map(widenFn(t.bs.dtype), [t.bs], t.bm));
  // DeepGEMM: each 128 of k is summed by itself, scaled on the lanes and added up there
  if (t.part) body.push(map(ZERO, [], t.part), mma(t.am, t.bm, t.part), map(PROMOTE, [t.part, t.acc], t.acc));
  else body.push(mma(t.am, t.bm, t.acc));
  return body;
}

/** The step of a matmul op at batch z, and the first row, column and depth of its tiles. */
export function matmulStep(plan: Plan, t: Tiles, z: Expr, row: Expr, col: Expr, k: Expr): Stmt[] {
  return mainStep(
    plan.route,
    t,
    view(plan.A, [z, row, k], [1, 2]),
    view(plan.B, [z, k, col], [1, 2]),
    t.scale && view(plan.scales!, [div(k, SCALE_GROUP), col], [0, 1]),
  );
}

/** What follows the sum: C = act(acc·scale + bias) + residual, from the accumulator to a view of C. */
export interface Epilogue {
  /** Scales of these columns, when scaling is by column. */
  readonly scale?: View;
  /** Bias of these columns. */
  readonly bias?: View;
  readonly residual?: Tensor;
  readonly activation: OpOf<'matmul'>['activation'];
}

/** The epilogue of a matmul op for the columns from `col`. */
export const epilogueOf = (op: OpOf<'matmul'>, plan: Plan, col: Expr): Epilogue => ({
  scale: plan.scaling === 'column' ? view(plan.scales!, [col], [-1, 0]) : undefined,
  bias: plan.bias && view(plan.bias, [col], [-1, 0]),
  residual: plan.residual,
  activation: op.activation,
});

/**
 * Appends the statements of the epilogue to `body` and the tiles they need to `tiles`. Called again for other rows of
 * the same columns, it uses the scales and bias already fetched.
 */
export function finish(e: Epilogue, acc: Tile, tiles: Tile[], body: Stmt[], to: View): void {
  const known = (name: string) => tiles.find((t) => t.name === name);
  const fetched = (name: string, from: View): Tile => {
    let t = known(name);
    if (!t) {
      t = tile(name, 'register', from.tensor.dtype, 1, acc.cols);
      tiles.push(t);
      body.push(copy(from, t));
    }
    return t;
  };
  let out = acc;
  if (isInteger(acc.dtype) && (e.scale || e.bias || e.residual || e.activation !== 'none')) {
    out = { ...tile('sum', 'register', 'fp32', acc.rows, acc.cols), reuses: acc.name };
    tiles.push(out);
    body.push(map(MOVE, [acc], out));
  }
  if (e.scale) body.push(map(MUL, [out, fetched('scale', e.scale)], out));
  if (e.bias) body.push(map(ADD, [out, fetched('b', e.bias)], out));
  if (e.activation !== 'none') body.push(map(activationFn(e.activation), [out], out));
  if (e.residual) {
    let r = known('r');
    if (!r) {
      r = tile('r', 'register', e.residual.dtype, acc.rows, acc.cols);
      tiles.push(r);
    }
    body.push(copy({ ...to, tensor: e.residual }, r), map(ADD, [out, r], out));
  }
  body.push(copy(out, to));
}
