/** Runs the launches of a kernel in the interpreter on small whole numbers, where sums are exact. */

import { interpret } from '../../../src/kernel/interpret.js';
import type { Tensor } from '../../../src/kernel/ir.js';
import type { Launch } from '../../../src/kernel/kernel.js';

/** Whole numbers in −2 … 2 from a linear congruence (Numerical Recipes), the same for the same name. */
export function values(t: Tensor): Float64Array {
  let state = 17;
  for (const c of t.name) state = (state * 31 + c.charCodeAt(0)) >>> 0;
  const size = t.dims.reduce((a, b) => a * b, 1);
  return Float64Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state >>> 16) % 5) - 2;
  });
}

/** Inputs by name over all launches. */
export function inputsOf(launches: readonly Launch[]): Record<string, Float64Array> {
  const inputs: Record<string, Float64Array> = {};
  for (const { program } of launches)
    for (const t of program.tensors) if (t.role === 'input' || t.role === 'inout') inputs[t.name] ??= values(t);
  return inputs;
}

/** All tensors after the launches have run in order; scratch and outputs pass from one to the next. */
export function runLaunches(
  launches: readonly Launch[],
  inputs: Readonly<Record<string, Float64Array>>,
): Record<string, Float64Array> {
  const memory: Record<string, Float64Array> = { ...inputs };
  for (const { program } of launches) {
    const given: Record<string, Float64Array> = {};
    for (const t of program.tensors) if (memory[t.name]) given[t.name] = memory[t.name]!;
    Object.assign(memory, interpret(program, given).outputs);
  }
  return memory;
}

/** Largest |a − b|; NaN differs. */
export function distance(a: Float64Array, b: Float64Array): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs(a[i]! - b[i]!);
    if (!(d <= worst)) worst = d;
  }
  return worst;
}
