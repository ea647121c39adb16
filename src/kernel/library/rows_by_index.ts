/** Tiling of kernels that move rows by index: `rows` rows of `block` columns a workgroup. */
import type { DType } from '../../base/dtype.js';
import type { ResourceGraph } from '../../machine/graph.js';
import { loopVar, mul } from '../ir.js';
import type { Params } from '../kernel.js';
import { ceil, pow2 } from './dims.js';
import { groupsParam, vectorWidth } from './lanes.js';

export const INDEX_PARAMS = {
  rows: { description: 'rows a workgroup', values: [1, 2, 4, 8, 16, 32], default: 1 },
  block: {
    description: 'columns a workgroup',
    values: [32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384],
    default: 1024,
  },
  groups: groupsParam,
} as const;
export type IndexParams = Params & Record<keyof typeof INDEX_PARAMS, number>;

/** Index of the block of columns, and of the block of rows. */
export const COL = loopVar('col');
export const ROW = loopVar('row');

export interface IndexTiling {
  readonly cols: number;
  readonly grid: readonly [{ index: typeof COL; extent: number }, { index: typeof ROW; extent: number }];
  readonly r0: ReturnType<typeof mul>;
  readonly c0: ReturnType<typeof mul>;
}

/** Column blocks vary fastest; a block never exceeds the row. */
export function tilingOf(rows: number, cols: number, p: IndexParams): IndexTiling {
  const block = Math.min(p.block, cols);
  return {
    cols: block,
    grid: [
      { index: COL, extent: ceil(cols, block) },
      { index: ROW, extent: ceil(rows, p.rows) },
    ],
    r0: mul(ROW, p.rows),
    c0: mul(COL, block),
  };
}

/** One or two vector accesses a lane (more only where rows are long), rows together only when they are short. */
export function indexCandidates(rows: number, cols: number, machine: ResourceGraph, dtype: DType): Params[] {
  const width = vectorWidth(dtype);
  const lane = machine.cores.lane_group;
  const longest = pow2(cols);
  const out: Params[] = [];
  for (const groups of [1, 2, 4, 8])
    for (const per of INDEX_PARAMS.rows.values)
      for (const block of INDEX_PARAMS.block.values) {
        const each = (per * Math.min(block, cols)) / (groups * lane);
        if (block > Math.max(longest, 32) || (per > 1 && (block < longest || per > rows))) continue;
        if (each > 4 * width || (each < width && !(per === 1 && groups === 1))) continue;
        out.push({ rows: per, block, groups });
      }
  return out.slice(0, 60);
}
