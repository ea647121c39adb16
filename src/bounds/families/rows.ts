/**
 * Row-wise functions whose every result needs the whole row (softmax, norms): when the last element of a row arrives
 * no result of the row exists yet, and at most M bytes of the row are near; the rest must be read again.
 */
import { bytesOf, type DType } from '../../base/dtype.js';
import type { Term } from '../term.js';

export function rowTerms(rows: number, cols: number, dtype: DType, near_B: number, compulsory_B: number): Term[] {
  const again_B = rows * Math.max(0, cols * bytesOf(dtype) - near_B);
  return [
    {
      bytes: compulsory_B + again_B,
      formula: 'inputs once + results once + rows·max(0, cols − M)',
      range: 'any schedule; results that need their whole row',
      source: 'a row’s results wait for its last element; at most M of the others are still near',
    },
  ];
}
