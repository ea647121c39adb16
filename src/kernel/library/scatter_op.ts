/**
 * Combining rows: each row of x, weighted, is added into one of ceil(rows / fan_in) result rows (the return of tokens
 * from experts). Two kernels differ in who knows whom: results know their rows, or rows know their result.
 */

import type { DType } from '../../base/dtype.js';
import type { OpOf } from '../../workload/op.js';
import { ceil, opHead, readShape } from './dims.js';

export type Scatter = OpOf<'scatter'>;

export const SCATTER_SHAPE = {
  rows: { description: 'rows combined' },
  cols: { description: 'width' },
  fan_in: { description: 'rows combined into one', default: 1 },
} as const;

export const scatterOp = (shape: Readonly<Record<string, number>>, dtype: DType): Scatter => ({
  kind: 'scatter',
  ...opHead('scatter'),
  ...readShape('scatter', SCATTER_SHAPE, shape),
  dtype,
});

export const resultRows = (op: Scatter): number => ceil(op.rows, op.fan_in);
