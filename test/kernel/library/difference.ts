/** Runs a kernel's launches in the interpreter on random inputs, beside its reference. */
import { expect } from 'vitest';
import { type Interpretation, interpretLaunches } from '../../../src/kernel/interpret.js';
import type { Tensor } from '../../../src/kernel/ir.js';
import type { Kernel, Launch, Params } from '../../../src/kernel/kernel.js';
import type { ResourceGraph } from '../../../src/machine/graph.js';
import type { Op, OpKind } from '../../../src/workload/op.js';

type OpFor<K extends OpKind> = Extract<Op, { kind: K }>;

/** Numbers in [−1, 1), the same for the same seed (xorshift32). */
export function noise(seed: number): () => number {
  let x = (seed * 2654435761 + 1) >>> 0 || 1;
  return () => {
    x ^= x << 13;
    x >>>= 0;
    x ^= x >>> 17;
    x ^= x << 5;
    x >>>= 0;
    return x / 2 ** 31 - 1;
  };
}

export type Fill = (tensor: Tensor, next: () => number, i: number) => number | undefined;

/** Tensors that the launches read before any of them writes them. */
export function inputsOf(launches: readonly Launch[], fill?: Fill): Record<string, Float64Array> {
  const inputs: Record<string, Float64Array> = {};
  for (const { program } of launches)
    for (const t of program.tensors) {
      if ((t.role !== 'input' && t.role !== 'inout') || inputs[t.name]) continue;
      const next = noise(t.name.length * 31 + t.name.charCodeAt(0));
      const size = t.dims.reduce((a, b) => a * b, 1);
      inputs[t.name] = Float64Array.from({ length: size }, (_, i) => fill?.(t, next, i) ?? next());
    }
  return inputs;
}

/** Largest |interpreted − reference| over the outputs that the reference gives; the interpretations for counts. */
export function difference<K extends OpKind>(
  kernel: Kernel<K>,
  op: OpFor<K>,
  params: Params,
  machine: ResourceGraph,
  options: { fill?: Fill; rounding?: 'fp64' | 'dtype' } = {},
): { worst: number; launches: Interpretation[] } {
  const launches = kernel.build(op, params, machine);
  const inputs = inputsOf(launches, options.fill);
  const expected = kernel.reference(op, inputs);
  const { outputs, launches: results } = interpretLaunches(launches, inputs, { rounding: options.rounding });
  let worst = 0;
  for (const [name, values] of Object.entries(expected)) {
    const got = outputs[name];
    expect(got, `${kernel.name} gives ${name}`).toBeDefined();
    expect(got!.length, `${kernel.name}: size of ${name}`).toBe(values.length);
    for (let i = 0; i < values.length; i++) {
      const off = Math.abs(got![i]! - values[i]!);
      worst = Number.isNaN(off) ? Number.POSITIVE_INFINITY : Math.max(worst, off);
    }
  }
  return { worst, launches: results };
}
