/**
 * What every element of a systolic array does in a cycle, for watching it: which product it adds, what it is being
 * loaded with, which words enter at the edges and which results leave.
 */
import { InputError } from '../../base/errors.js';
import type { Dataflow, Folds } from './dataflow.js';

export const PHASES = ['load', 'fill', 'full', 'drain'] as const;
/** Stationary words are pushed in; more elements work each cycle; as many as ever will; fewer each cycle. */
export type Phase = (typeof PHASES)[number];

export interface Element {
  readonly does: 'idle' | 'load' | 'work';
  /** Indices of the word that is loaded, or of the product a[m,k]·b[k,n] that is added. */
  readonly m?: number;
  readonly n?: number;
  readonly k?: number;
}

export interface Frame {
  readonly cycle: number;
  readonly fold: readonly [row: number, col: number];
  readonly phase: Phase;
  /** Elements that work. */
  readonly busy: number;
  /** rows × cols. */
  readonly elements: readonly (readonly Element[])[];
  /** Entering at the left of each row and at the top of each column; undefined: nothing. */
  readonly left: readonly (Word | undefined)[];
  readonly top: readonly (Word | undefined)[];
  /** Results that leave in this cycle. */
  readonly out: readonly { readonly m: number; readonly n: number }[];
}

export interface Word {
  readonly operand: 'a' | 'b';
  readonly row: number;
  readonly col: number;
}

/**
 * One cycle, from 0.
 * @throws InputError when the folds have no such cycle
 */
export function frameAt(dataflow: Dataflow, f: Folds, cycle: number): Frame {
  if (!Number.isInteger(cycle) || cycle < 0 || cycle >= f.cycles)
    throw new InputError(`cycle ${cycle}: the array works in cycles 0 to ${f.cycles - 1}`, 'systolic array');
  const fold = Math.floor(cycle / f.cycles_per_fold);
  const t = cycle % f.cycles_per_fold;
  const fr = fold % f.count[0];
  const fc = Math.floor(fold / f.count[0]);
  const [down, right, time] = f.across;
  const rows = Math.min(f.rows, down - fr * f.rows);
  const cols = Math.min(f.cols, right - fc * f.cols);
  const place = placesOf(dataflow);
  // the first cycle in which the corner works
  const start = dataflow === 'os' ? 0 : f.rows;
  let busy = 0;
  const elements = Array.from({ length: f.rows }, (_, r) =>
    Array.from({ length: f.cols }, (_, c): Element => {
      if (r >= rows || c >= cols) return { does: 'idle' };
      const i = t - start - r - c;
      if (i >= 0 && i < time) {
        busy++;
        return { does: 'work', ...place(fr * f.rows + r, fc * f.cols + c, i) };
      }
      // words move down until the first pushed in is at the bottom
      const pushed = f.rows - 1 - t + r;
      if (dataflow !== 'os' && t < f.rows && pushed < f.rows && fr * f.rows + pushed < down)
        return { does: 'load', ...place(fr * f.rows + pushed, fc * f.cols + c, undefined) };
      return { does: 'idle' };
    }),
  );
  const left = Array.from({ length: f.rows }, (_, r): Word | undefined => {
    const i = t - start - r;
    if (r >= rows || i < 0 || i >= time) return undefined;
    const s = fr * f.rows + r;
    if (dataflow === 'is') return { operand: 'b', row: s, col: i };
    return dataflow === 'os' ? { operand: 'a', row: s, col: i } : { operand: 'a', row: i, col: s };
  });
  const top = Array.from({ length: f.cols }, (_, c): Word | undefined => {
    const s = fc * f.cols + c;
    if (c >= cols) return undefined;
    if (dataflow === 'os') {
      const i = t - c;
      return i >= 0 && i < time ? { operand: 'b', row: i, col: s } : undefined;
    }
    const k = fr * f.rows + f.rows - 1 - t;
    if (t >= f.rows || k >= down) return undefined;
    return dataflow === 'ws' ? { operand: 'b', row: k, col: s } : { operand: 'a', row: s, col: k };
  });
  const out: { m: number; n: number }[] = [];
  for (let c = 0; c < cols; c++)
    if (dataflow === 'os') {
      const r = t - c - (time - 1);
      if (r >= 0 && r < rows) out.push({ m: fr * f.rows + r, n: fc * f.cols + c });
    } else {
      const i = t - start - (f.rows - 1) - c;
      const s = fc * f.cols + c;
      if (i >= 0 && i < time) out.push(dataflow === 'ws' ? { m: i, n: s } : { m: s, n: i });
    }
  return { cycle, fold: [fr, fc], phase: phaseOf(t - start, rows, cols, time), busy, elements, left, top, out };
}

/** Elements that work in each cycle of one fold: how it fills and drains. Partial folds have fewer. */
export function occupancyByCycle(dataflow: Dataflow, f: Folds): number[] {
  return Array.from({ length: f.cycles }, (_, cycle) => frameAt(dataflow, f, cycle).busy);
}

function placesOf(dataflow: Dataflow) {
  return (down: number, right: number, time: number | undefined): Pick<Element, 'm' | 'n' | 'k'> => {
    if (dataflow === 'os') return { m: down, n: right, k: time };
    return dataflow === 'ws' ? { k: down, n: right, m: time } : { k: down, m: right, n: time };
  };
}

/** Cycles counted from the first product of the fold. */
function phaseOf(t: number, rows: number, cols: number, time: number): Phase {
  if (t < 0) return 'load';
  // the wavefront has reached the far corner, or all of the stream is inside
  const full = Math.min(rows + cols - 2, time - 1);
  const leaving = Math.max(rows + cols - 2, time - 1);
  if (t < full) return 'fill';
  return t <= leaving ? 'full' : 'drain';
}
