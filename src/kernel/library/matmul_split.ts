/**
 * Sums of partial products: the second launch of kernels that split k. Partial sums lie in a scratch tensor
 * [parts, batch, m, n]; each workgroup adds the parts of a block and finishes it.
 */
import type { DType } from '../../base/dtype.js';
import type { ResourceGraph } from '../../machine/graph.js';
import type { OpOf } from '../../workload/op.js';
import {
  copy,
  type Expr,
  loop,
  loopVar,
  map,
  mul,
  type Stmt,
  type Tensor,
  tensor,
  tile,
  type View,
  view,
} from '../ir.js';
import type { Launch, Mapping } from '../kernel.js';
import { ADD, isInteger, ZERO } from '../math.js';
import { epilogueOf, finish, M, N, type Plan, Z } from './matmul_plan.js';

const PART = loopVar('part');

/** Parts that k may be split into. */
export const SPLITS = [2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64] as const;

/** Splits that bring `tiles` workgroups to about each of `waves` per core, each part with at least 2 steps. */
export function splitsFor(tiles: number, cores: number, steps: number, waves: readonly number[]): number[] {
  const out: number[] = [];
  for (const wave of waves) {
    const ideal = Math.floor((wave * cores) / tiles);
    const split = SPLITS.filter((s) => s <= ideal && s * 2 <= steps).at(-1);
    if (split !== undefined && !out.includes(split)) out.push(split);
  }
  return out;
}

/** Format of partial sums in memory: never narrower than fp32. */
export const partialDType = (acc: DType): DType => (acc === 'fp64' || isInteger(acc) ? acc : 'fp32');

export const partialTensor = (op: OpOf<'matmul'>, plan: Plan, parts: number): Tensor =>
  tensor('partial', partialDType(plan.route.acc), [parts, op.batch, op.m, op.n], 'scratch', 'activation');

/** Rows × columns of a workgroup of the sum: 8 elements a lane, narrower where few blocks would leave cores idle. */
export function sumBlock(rows: number, cols: number, copies: number, cores: number): [rows: number, cols: number] {
  const r = Math.min(4, rows);
  const blocks = copies * Math.ceil(rows / r) * Math.ceil(cols / 256);
  return [r, blocks < cores ? 64 : 256];
}

export const sumMapping = (cols: number, machine: ResourceGraph): Mapping => ({
  lanes: Math.ceil(cols / 64) * machine.cores.lane_group,
  partition: [1, Math.ceil(cols / 64)],
  resident: 0,
  panel: 1,
  mma: 'vector',
});

/** Adds the parts of one block, its accumulator first among `tiles`; `at` gives the block of a part. */
export function sumParts(dtype: DType, parts: number, rows: number, cols: number, at: (part: Expr) => View) {
  const acc = tile('acc', 'register', dtype, rows, cols);
  const part = tile('part', 'register', dtype, rows, cols, 4);
  const body: Stmt[] = [map(ZERO, [], acc), loop(PART, 0, parts, [copy(at(PART), part), map(ADD, [acc, part], acc)])];
  return { acc, tiles: [acc, part], body };
}

/** Tensors of the launch that finishes: the parts, C and what the epilogue reads. */
export const sumTensors = (plan: Plan, partial: Tensor): Tensor[] => {
  const tensors = [partial, plan.C];
  if (plan.scaling === 'column') tensors.push(plan.scales!);
  if (plan.bias) tensors.push(plan.bias);
  if (plan.residual) tensors.push(plan.residual);
  return tensors;
};

/** C = act(Σ parts · scale + bias) + residual. */
export function sumLaunch(
  name: string,
  op: OpOf<'matmul'>,
  plan: Plan,
  partial: Tensor,
  machine: ResourceGraph,
): Launch {
  const [rows, cols] = sumBlock(op.m, op.n, op.batch, machine.cores.count);
  const z = op.batch === 1 ? 0 : Z;
  const row = mul(M, rows);
  const col = mul(N, cols);
  const { acc, tiles, body } = sumParts(partial.dtype, partial.dims[0]!, rows, cols, (part) =>
    view(partial, [part, z, row, col], [2, 3]),
  );
  finish(epilogueOf(op, plan, col), acc, tiles, body, view(plan.C, [z, row, col], [1, 2]));
  return {
    program: {
      name: `${name}_sum[${rows}x${cols}]`,
      tensors: sumTensors(plan, partial),
      tiles,
      grid: [
        { index: N, extent: Math.ceil(op.n / cols) },
        { index: M, extent: Math.ceil(op.m / rows) },
        { index: Z, extent: op.batch },
      ],
      body,
    },
    mapping: sumMapping(cols, machine),
  };
}
