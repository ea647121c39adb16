/** What tensors hold before a case runs: the same numbers every time, using every bit of their format. */
import type { DType } from '../../base/dtype.js';
import { roundTo } from '../../kernel/interpret/round.js';
import type { Tensor } from '../../kernel/ir.js';
import type { Launch } from '../../kernel/kernel.js';
import type { Pattern } from './cases.js';

/**
 * Values by tensor name for inputs and inouts that no earlier launch writes: reals uniform in ±1, whole numbers in ±8 that
 * the tensor's format has; all rounded to it. Index tensors hold numbers below the extent that they select from.
 */
export function inputsOf(launches: readonly Launch[], pattern: Pattern = 'in order'): Record<string, Float64Array> {
  const inputs: Record<string, Float64Array> = {};
  const written = new Set<string>();
  for (const { program } of launches) {
    const reach = indexed(program);
    for (const t of program.tensors) {
      if (t.role === 'output' || t.role === 'scratch') written.add(t.name);
      else if (!written.has(t.name)) inputs[t.name] ??= valuesOf(t, pattern, reach);
    }
  }
  return inputs;
}

function valuesOf(t: Tensor, pattern: Pattern, reach: number): Float64Array {
  const size = t.dims.reduce((a, b) => a * b, 1);
  if (t.kind === 'index') return Float64Array.from({ length: size }, (_, i) => PLACE[pattern](i, reach));
  // a linear congruential generator (Numerical Recipes' constants), seeded by the name
  let state = 17;
  for (const ch of t.name) state = (Math.imul(state, 31) + ch.charCodeAt(0)) >>> 0;
  const whole = /int/.test(t.dtype);
  return Float64Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return whole ? wholeOf(t.dtype, state >>> 16) : roundTo(t.dtype, state / 2 ** 31 - 1);
  });
}

const wholeOf = (dtype: DType, x: number): number =>
  dtype === 'uint8' ? x % 17 : dtype === 'int1' ? x % 2 : dtype === 'int4' ? (x % 16) - 8 : (x % 17) - 8;

const PLACE = {
  'in order': (i, n) => i % n,
  // a prime step: neighbours lie far apart, and every place comes up
  scattered: (i, n) => (i * 2654435761) % n,
  'all the same': (_, n) => n >> 1,
} as const satisfies Record<Pattern, (i: number, reach: number) => number>;

/** Least extent of the dims that gathers and scatters of the program select rows from; 1 when there are none. */
function indexed(program: Launch['program']): number {
  let least = Number.POSITIVE_INFINITY;
  const visit = (body: Launch['program']['body']): void => {
    for (const s of body) {
      if (s.kind === 'loop') visit(s.body);
      const v = s.kind === 'gather' ? s.from : s.kind === 'scatter' ? s.to : undefined;
      if (v) least = Math.min(least, v.tensor.dims[v.axes[0]] ?? 1);
    }
  };
  visit(program.body);
  return Number.isFinite(least) ? least : 1;
}
