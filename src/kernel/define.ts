/**
 * A kernel from the least its author must say: dims, tile sizes, launches. For computations the library has no op for;
 * those it has (a product with its epilogue, say) can give a whole `Kernel` instead, and are then bounded as the library's.
 */
import type { DType } from '../base/dtype.js';
import { InputError } from '../base/errors.js';
import type { ResourceGraph } from '../machine/graph.js';
import type { OpOf } from '../workload/op.js';
import type { Kernel, Launch, ParamDef, Params, ShapeKey } from './kernel.js';
import { opHead, readShape } from './library/dims.js';

export interface KernelDefinition<S extends string = string> {
  readonly name: string;
  /** One line: the math it does. */
  readonly math: string;
  readonly shape: Readonly<Record<S, ShapeKey>>;
  readonly params?: Readonly<Record<string, ParamDef>>;
  /** Useful operations, and the bytes that must move once: what the bound and the roofline stand on. */
  work(shape: Readonly<Record<S, number>>, dtype: DType): { flops: number; read_B: number; write_B: number };
  /** The launches for one choice of params; throws InputError where sizes do not go together. */
  build(
    shape: Readonly<Record<S, number>>,
    params: Params,
    machine: ResourceGraph,
    dtype: DType,
  ): readonly Launch[] | Launch;
  /** Plain loops: outputs by tensor name from inputs by tensor name. Checked against the program when given. */
  reference?(
    shape: Readonly<Record<S, number>>,
    inputs: Readonly<Record<string, Float64Array>>,
  ): Record<string, Float64Array>;
}

/** Choices tried by a search when the values of all params together make more. */
const MOST_CHOICES = 400;

/** A kernel of op kind `custom` from a definition. */
export function defineKernel<S extends string>(d: KernelDefinition<S>): Kernel<'custom'> {
  const params = d.params ?? {};
  const dims = (op: OpOf<'custom'>) => op.shape as Readonly<Record<S, number>>;
  return {
    name: d.name,
    family: d.name,
    math: d.math,
    op: 'custom',
    shape: d.shape,
    params,
    toOp(given, dtype) {
      const shape = readShape(d.name, d.shape, given);
      const work = d.work(shape, dtype);
      for (const key of ['flops', 'read_B', 'write_B'] as const)
        if (!(work?.[key] >= 0 && Number.isFinite(work[key])))
          throw new InputError(`work() says ${key} is ${work?.[key]}, expected a number ≥ 0`, d.name);
      const { flops, read_B, write_B } = work;
      return { kind: 'custom', ...opHead('custom'), what: d.name, shape, dtype, flops, read_B, write_B };
    },
    rejects: () => undefined,
    candidates: () => choices(params),
    build(op, choice, machine) {
      const built = d.build(dims(op), choice, machine, op.dtype);
      return 'program' in built ? [built] : built;
    },
    reference: (op, inputs) => d.reference?.(dims(op), inputs) ?? {},
  };
}

/** Every combination of the legal values, the defaults first; only the first so many. */
function* choices(params: Readonly<Record<string, ParamDef>>): Iterable<Params> {
  const names = Object.keys(params);
  const defaults = Object.fromEntries(names.map((n) => [n, params[n]!.default]));
  yield defaults;
  const total = names.reduce((product, n) => product * params[n]!.values.length, 1);
  for (let i = 0, given = 1; i < total && given < MOST_CHOICES; i++) {
    let rest = i;
    const choice: Record<string, number> = {};
    for (const n of names) {
      const { values } = params[n]!;
      choice[n] = values[rest % values.length]!;
      rest = Math.floor(rest / values.length);
    }
    if (names.every((n) => choice[n] === defaults[n])) continue;
    given++;
    yield choice;
  }
}
