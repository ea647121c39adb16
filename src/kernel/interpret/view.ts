/** Where a view lies in its tensor at one moment, and which of a tile's rows and columns fall inside it. */
import { evalExpr, type LoopVar, type View } from '../ir.js';

/** One side (rows or columns) of a view: coordinate `start + i·step` along a dim whose row-major step is `unit`. */
export interface Side {
  readonly start: number;
  readonly step: number;
  /** First coordinate out of range: the tensor's extent, or the view's limit when that is less. */
  readonly end: number;
  readonly unit: number;
}
/** Element (r, c) lies at `base + row + col` of the tensor's row-major elements, sides' coordinates times their units. */
export interface Window {
  readonly base: number;
  readonly row: Side;
  readonly col: Side;
  /** The dims that neither side walks are in range. */
  readonly inside: boolean;
}

/** Row-major steps of dims, whatever the tensor's own strides: values are kept in logical order. */
export function logicalSteps(dims: readonly number[]): number[] {
  const steps = new Array<number>(dims.length);
  let step = 1;
  for (let i = dims.length - 1; i >= 0; i--) {
    steps[i] = step;
    step *= dims[i]!;
  }
  return steps;
}

/** A side that walks no dim: its one element is always in range. */
const FIXED: Side = { start: 0, step: 1, end: 1, unit: 0 };

export function windowOf(view: View, env: ReadonlyMap<LoopVar, number>): Window {
  const { tensor, axes } = view;
  const steps = logicalSteps(tensor.dims);
  const sides: [Side, Side] = [FIXED, FIXED];
  let base = 0;
  let inside = true;
  for (let d = 0; d < tensor.dims.length; d++) {
    const at = evalExpr(view.at[d]!, env);
    const extent = tensor.dims[d]!;
    const side = axes[0] === d ? 0 : axes[1] === d ? 1 : undefined;
    if (side === undefined) {
      if (at < 0 || at >= extent) inside = false;
      base += at * steps[d]!;
      continue;
    }
    const limit = view.limit?.[side];
    const end = limit === undefined ? extent : Math.min(extent, evalExpr(limit, env));
    sides[side] = { start: at, step: view.step?.[side] ?? 1, end, unit: steps[d]! };
  }
  return { base, row: sides[0], col: sides[1], inside };
}

/** The indices [from, to) of `count` along a side that are in range; to = from when none is. */
export function inRange(side: Side, count: number): readonly [from: number, to: number] {
  const from = Math.max(0, Math.ceil(-side.start / side.step));
  const to = Math.min(count, Math.ceil((side.end - side.start) / side.step));
  return to > from ? [from, to] : [0, 0];
}
