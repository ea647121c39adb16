/** A view as WGSL: the address of its elements and the conditions under which they are inside the tensor. */
import { div, type Expr, mul, type Tensor, type View } from '../../kernel/ir.js';
import { rangeOf } from '../../kernel/range.js';
import { fourAt, oneAt, packFour } from './packing.js';
import type { Shader } from './shader.js';
import { sum, type Term, times } from './term.js';

/** Values of a view that hold for a whole statement; `let`s of them have been written. */
export interface Window {
  readonly tensor: Tensor;
  readonly vec: boolean;
  /** Conditions on the dims that neither side walks. */
  readonly fixed: readonly string[];
  /** Conditions on row r and column c of the tile. */
  row(r: Term): readonly string[];
  col(c: Term): readonly string[];
  /** Index of the element (vector) at row r and column c (vector c4) into the tensor's array. */
  at(r: Term, c: Term): Term;
}

/**
 * Writes what a statement needs of a view. `indexed`: rows are given as absolute coordinates less the view's start
 * (gather, scatter), so that nothing is known of them.
 */
export function openWindow(sh: Shader, view: View, rows: number, cols: number, indexed = false): Window {
  const { tensor, axes } = view;
  const { ranges } = sh.plan;
  const strides = sh.strides(tensor);
  const vec = sh.isVec(tensor);
  const fixed: string[] = [];
  const parts: Term[] = [];
  const sides: { step: number; stride: number; conditions: (x: Term) => string[] }[] = [
    { step: 1, stride: 0, conditions: () => [] },
    { step: 1, stride: 0, conditions: () => [] },
  ];
  for (const [d, at] of view.at.entries()) {
    const stride = strides[d]!;
    const extent = tensor.dims[d]!;
    const side = axes[0] === d ? 0 : axes[1] === d ? 1 : undefined;
    parts.push(vec ? quarterOf(sh, at, stride) : times(sh.expr(at), stride));
    const { lo, hi } = rangeOf(at, ranges);
    if (side === undefined) {
      if (lo < 0) fixed.push(`${sh.expr(at)} >= 0`);
      if (hi >= extent) fixed.push(`${sh.expr(at)} < ${extent}`);
      continue;
    }
    const count = side === 0 ? rows : cols;
    const step = view.step?.[side] ?? 1;
    const free = indexed && side === 0;
    const limit = view.limit?.[side];
    const reach = hi + (count - 1) * step;
    const conditions = (x: Term): string[] => {
      const place = sum(sh.expr(at), times(x, step));
      const out: string[] = [];
      if (lo < 0 || free) out.push(`${place} >= 0`);
      if (reach >= extent || free) out.push(`${place} < ${extent}`);
      if (limit !== undefined && (free || reach >= rangeOf(limit, ranges).lo)) {
        const end = sh.expr(limit);
        out.push(`${place} < ${end}`);
      }
      return out;
    };
    sides[side] = { step, stride: step * stride, conditions };
  }
  const start = sum(...parts);
  let base: Term = start;
  if (typeof start === 'string' && /[^A-Za-z0-9_]/.test(start)) {
    sh.line(`let base = ${start};`);
    base = 'base';
  }
  const [row, col] = sides as [(typeof sides)[0], (typeof sides)[0]];
  return {
    tensor,
    vec,
    fixed,
    row: row.conditions,
    col: col.conditions,
    at: (r, c) => sum(base, times(r, vec ? row.stride / 4 : row.stride), times(c, vec ? 1 : col.stride)),
  };
}

/** at · stride ÷ 4, known to be whole. */
function quarterOf(sh: Shader, at: Expr, stride: number): Term {
  if (stride % 4 === 0) return times(sh.expr(at), stride / 4);
  return sh.expr(exactDiv(stride === 1 ? at : mul(at, stride), 4));
}

/** e ÷ n where n divides e, with the division carried into the constants. */
function exactDiv(e: Expr, n: number): Expr {
  if (typeof e === 'number') return e / n;
  if ('op' in e) {
    if (e.op === '*') {
      if (typeof e.b === 'number' && e.b % n === 0) return mul(e.a, e.b / n);
      if (typeof e.a === 'number' && e.a % n === 0) return mul(e.b, e.a / n);
    }
    if (e.op === '+' || e.op === '-' || e.op === 'min' || e.op === 'max')
      return { op: e.op, a: exactDiv(e.a, n), b: exactDiv(e.b, n) };
  }
  return div(e, n);
}

/** Reads one element (or vector) at an index of the tensor's array, in the type it is stored as. */
export function loadTensor(sh: Shader, w: Window, index: Term): string {
  const name = sh.name(w.tensor);
  sh.count('issued global loads', w.vec ? 4 : 1);
  const packed = sh.plan.packed.get(w.tensor);
  if (packed) return w.vec ? fourAt(name, index, packed, sh.plan.dot4) : oneAt(name, index, packed);
  if (!sh.plan.atomic.has(w.tensor)) return `${name}[${index}]`;
  const loaded = `atomicLoad(&${name}[${index}])`;
  return sh.type(w.tensor) === 'i32' ? loaded : `bitcast<f32>(${loaded})`;
}

/** Writes one element (or vector), given in the type it is stored as. */
export function storeTensor(sh: Shader, w: Window, index: Term, value: string): void {
  const name = sh.name(w.tensor);
  sh.count('issued global stores', w.vec ? 4 : 1);
  if (sh.plan.packed.has(w.tensor)) sh.line(`${name}[${index}] = ${packFour(value, sh.plan.dot4)};`);
  else if (!sh.plan.atomic.has(w.tensor)) sh.line(`${name}[${index}] = ${value};`);
  else if (sh.type(w.tensor) === 'i32') sh.line(`atomicStore(&${name}[${index}], ${value});`);
  else sh.line(`atomicStore(&${name}[${index}], bitcast<u32>(${value}));`);
}
