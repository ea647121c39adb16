/**
 * Executes a tile program on the CPU, in fp64 or rounded to the program's own dtypes, and counts exactly the bytes
 * that cross each memory boundary. Semantics: the header of ir.ts. Grid points run in raster order; pipeline stages
 * change when data moves, never what is read, so one buffer per tile stands for them all.
 */
import type { MathFn } from '../machine/graph.js';
import { checkProgram } from './check.js';
import type { Boundary, Bytes } from './interpret/counts.js';
import { Run } from './interpret/run.js';
import type { Level, Program } from './ir.js';
import type { Launch } from './kernel.js';

export interface InterpretOptions {
  /** fp64: nothing is rounded. dtype: inputs, and each tile and tensor when written, are rounded to their dtype. */
  readonly rounding?: 'fp64' | 'dtype';
}

export interface Interpretation {
  /** Tensors whose role is not input, row-major in their dims. */
  readonly outputs: Record<string, Float64Array>;
  /** At copies, gathers and scatters, for elements really accessed. */
  readonly requested_B: {
    readonly tensor: Record<string, Bytes>;
    /** Both ends: what leaves (read) and enters (write) each level, at the dtype of that end. */
    readonly level: Record<Level, Bytes>;
    /** What crosses, at the far end's dtype: read towards the lanes, write away from them. */
    readonly boundary: Record<Boundary, Bytes>;
  };
  /** Per shared tile: operands that mma, map, reduce and indices read there, and results they leave there. */
  readonly operand_B: Record<string, Bytes>;
  /** Multiply and add each count; padding, recomputation and masked work included. */
  readonly flops_executed: number;
  readonly mma_flops: number;
  /** Scalar work of maps, and of reductions as add or max, by class. */
  readonly work: Partial<Record<MathFn, number>>;
}

/**
 * Runs a program. `tensors`: values by tensor name, row-major in the tensor's dims (its strides only say where they
 * lie in memory). Inputs and inouts must be given; outputs and scratch start at 0 unless given. Nothing given changes.
 * Throws InputError on a missing or unknown tensor, a wrong length, or an ill-formed program.
 */
export function interpret(
  program: Program,
  tensors: Readonly<Record<string, Float64Array>>,
  opts: InterpretOptions = {},
): Interpretation {
  checkProgram(program);
  const run = new Run(program, tensors, opts.rounding === 'dtype');
  run.grid();
  return run.result();
}

/** Runs launches in order, each seeing what the ones before it wrote; counts are per launch, outputs are the last state. */
export function interpretLaunches(
  launches: readonly Pick<Launch, 'program'>[],
  tensors: Readonly<Record<string, Float64Array>>,
  opts: InterpretOptions = {},
): { outputs: Record<string, Float64Array>; launches: Interpretation[] } {
  const state: Record<string, Float64Array> = { ...tensors };
  const outputs: Record<string, Float64Array> = {};
  const results: Interpretation[] = [];
  for (const { program } of launches) {
    const known = program.tensors.map((t) => t.name);
    const result = interpret(
      program,
      Object.fromEntries(known.flatMap((n) => (state[n] ? [[n, state[n]]] : []))),
      opts,
    );
    Object.assign(state, result.outputs);
    Object.assign(outputs, result.outputs);
    results.push(result);
  }
  return { outputs, launches: results };
}
