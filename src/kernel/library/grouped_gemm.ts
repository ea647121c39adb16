/**
 * Per-expert products in one launch: rows are sorted by group, and a table gives each workgroup its group and its first
 * row, so that groups without rows cost nothing and ragged ends are clipped (as grouped GEMM of CUTLASS and vLLM do).
 */
import type { DType } from '../../base/dtype.js';
import { InputError } from '../../base/errors.js';
import type { ResourceGraph } from '../../machine/graph.js';
import type { OpOf } from '../../workload/op.js';
import { div, lookup, loop, loopVar, map, mul, type Stmt, type Table, type Tensor, tensor, view } from '../ir.js';
import type { Kernel, Launch, Params, ShapeKey } from '../kernel.js';
import { ZERO } from '../math.js';
import { opHead, readShape } from './dims.js';
import { productFormats } from './gemm.js';
import { finish, KK, mainStep, mappingOf, N, routeOrThrow, tilesOf } from './matmul_plan.js';
import { ACTIVATION, input } from './matmul_reference.js';
import { PANEL, panelsFor, TILE_PARAMS, tileChoices } from './matmul_tiles.js';
import { noRoute, type Route, routeOf, SCALE_GROUP, type Scaling, scalingOf } from './mma_route.js';

type Grouped = OpOf<'grouped_matmul'>;
const TILE = loopVar('row_tile');

/** Rows of each group: as given, else as even as whole rows allow (the first groups get one more). */
export function groupRows(op: Grouped): readonly number[] {
  if (op.rows_by_group) return op.rows_by_group;
  const least = Math.floor(op.rows / op.groups);
  const more = op.rows % op.groups;
  return Array.from({ length: op.groups }, (_, g) => least + (g < more ? 1 : 0));
}

/** Group, first row and end of each tile of bm rows; groups without rows have none. */
function tableOf(rows: readonly number[], bm: number): { group: Table; start: Table; end: Table } {
  const group: number[] = [];
  const start: number[] = [];
  const end: number[] = [];
  let first = 0;
  for (let g = 0; g < rows.length; g++) {
    const last = first + rows[g]!;
    for (let r = first; r < last; r += bm) {
      group.push(g);
      start.push(r);
      end.push(last);
    }
    first = last;
  }
  return {
    group: { name: 'tile_group', values: group },
    start: { name: 'tile_start', values: start },
    end: { name: 'tile_end', values: end },
  };
}

interface Plan {
  readonly route: Route;
  readonly scaling: Scaling;
  readonly rows: readonly number[];
  readonly A: Tensor;
  readonly B: Tensor;
  readonly C: Tensor;
  readonly scales?: Tensor;
  readonly tensors: readonly Tensor[];
}
let lastOp: Grouped | undefined;
let lastMachine: ResourceGraph | undefined;
let lastPlan: Plan | undefined;

function planFor(op: Grouped, machine: ResourceGraph): Plan {
  if (op === lastOp && machine === lastMachine && lastPlan) return lastPlan;
  const route = routeOrThrow(op, machine);
  const rows = groupRows(op);
  const given = rows.reduce((a, b) => a + b, 0);
  if (given !== op.rows) throw new InputError(`rows_by_group add up to ${given}, rows is ${op.rows}`, op.name);
  const { n, k } = op;
  const scaling = scalingOf(op);
  const A = tensor('A', op.a, [op.rows, k], 'input', 'activation');
  const B = tensor('B', op.b, [rows.length, k, n], 'input', 'weight');
  const C = tensor('C', op.c, [op.rows, n], 'output', 'activation');
  const scaleRows = scaling === 'group' ? Math.ceil(k / SCALE_GROUP) : 1;
  const scales =
    scaling === 'none' ? undefined : tensor('scales', op.a, [rows.length, scaleRows, n], 'input', 'weight');
  lastPlan = { route, scaling, rows, A, B, C, scales, tensors: scales ? [A, B, C, scales] : [A, B, C] };
  lastOp = op;
  lastMachine = machine;
  return lastPlan;
}

const SHAPE = {
  groups: { description: 'experts that receive rows' },
  rows: { description: 'token–expert pairs' },
  n: { description: 'columns of each expert' },
  k: { description: 'rows of each expert: the reduction' },
} as const satisfies Record<string, ShapeKey>;

export const grouped_gemm: Kernel<'grouped_matmul'> = {
  name: 'grouped_gemm',
  family: 'grouped_gemm',
  math: 'C[r,n] = act(A[r,k] · B[group(r),k,n])',
  op: 'grouped_matmul',
  shape: SHAPE,
  params: { ...TILE_PARAMS, panel: PANEL },

  toOp(shape, dtype: DType) {
    const s = readShape('grouped_gemm', SHAPE, shape);
    if (s.rows < s.groups)
      throw new InputError(`${s.rows} rows cannot reach ${s.groups} groups`, 'grouped_gemm --shape');
    return { kind: 'grouped_matmul', ...opHead('grouped_matmul'), ...s, ...productFormats(dtype), activation: 'none' };
  },

  rejects: (op, machine) => (routeOf(op, machine) ? undefined : noRoute(op, machine)),

  *candidates(op, machine) {
    const route = routeOf(op, machine);
    if (!route) return;
    const most = Math.max(...groupRows(op));
    for (const choice of tileChoices(op, route, machine, most, op.n, op.k))
      for (const panel of panelsFor(machine, choice, most, op.n)) yield { ...choice, panel };
  },

  build(op, p: Params, machine): readonly Launch[] {
    const plan = planFor(op, machine);
    const t = tilesOf(plan, p, machine);
    const bm = p['bm']!;
    const bn = p['bn']!;
    const bk = p['bk']!;
    const table = tableOf(plan.rows, bm);
    const group = lookup(table.group, TILE);
    const row = lookup(table.start, TILE);
    const end = lookup(table.end, TILE);
    const col = mul(N, bn);
    const k = mul(KK, bk);
    const step = mainStep(
      plan.route,
      t,
      view(plan.A, [row, k], [0, 1], { limit: [end, undefined] }),
      view(plan.B, [group, k, col], [1, 2]),
      t.scale && view(plan.scales!, [group, div(k, SCALE_GROUP), col], [1, 2]),
    );
    const body: Stmt[] = [map(ZERO, [], t.acc), loop(KK, 0, Math.ceil(op.k / bk), step)];
    const scale = plan.scaling === 'column' ? view(plan.scales!, [group, 0, col], [-1, 2]) : undefined;
    const to = view(plan.C, [row, col], [0, 1], { limit: [end, undefined] });
    finish({ scale, activation: op.activation }, t.acc, t.all, body, to);
    return [
      {
        program: {
          name: `grouped_gemm[${bm}x${bn}x${bk},s${p['stages']}]`,
          tensors: plan.tensors,
          tiles: t.all,
          grid: [
            { index: N, extent: Math.ceil(op.n / bn) },
            { index: TILE, extent: table.group.values.length },
          ],
          body,
        },
        mapping: mappingOf(plan.route, p),
      },
    ];
  },

  reference(op, inputs) {
    const { n, k } = op;
    const a = input(inputs, 'A');
    const b = input(inputs, 'B');
    const scaling = scalingOf(op);
    const scales = scaling === 'none' ? undefined : input(inputs, 'scales');
    const scaleRows = scaling === 'group' ? Math.ceil(k / SCALE_GROUP) : 1;
    const act = ACTIVATION[op.activation];
    const out = new Float64Array(op.rows * n);
    let r = 0;
    groupRows(op).forEach((rows, g) => {
      for (const end = r + rows; r < end; r++)
        for (let j = 0; j < n; j++) {
          let sum = 0;
          for (let x = 0; x < k; x++) {
            const s = scaling === 'group' ? Math.floor(x / SCALE_GROUP) : 0;
            sum += a[r * k + x]! * b[(g * k + x) * n + j]! * (scales?.[(g * scaleRows + s) * n + j] ?? 1);
          }
          out[r * n + j] = act(sum);
        }
    });
    return { C: out };
  },
};
