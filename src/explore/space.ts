/**
 * A design space: a base configuration, axes that vary fields of it, constraints and objectives.
 *
 * Points are numbered 0 … size − 1 by mixed radix over the axes, the last axis fastest; nothing is enumerated ahead.
 * Formulas read the axes by name, `machine.FIELD` (SI units), the results of the replay and what `derived` defines.
 */
import { type Static, Type } from '@sinclair/typebox';
import { InputError } from '../base/errors.js';
import { type Offload, parseOffload } from '../engine/offload.js';
import { FIDELITIES, type Fidelity } from '../engine/types.js';
import { schemaCheck } from '../workload/schema-check.js';
import { type Axis, AxisSchema, type AxisValue, resolveAxis } from './axis.js';
import { GOALS, type Goal } from './pareto.js';

const Name = Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]*$' });
const Text = Type.String({ minLength: 1 });
const Formula = Type.String({ minLength: 1, maxLength: 2000 });

export const SpaceSchema = Type.Object(
  {
    $schema: Type.Optional(Type.String()),
    name: Type.String({ minLength: 1, pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$' }),
    description: Type.Optional(Type.String()),
    base: Type.Object(
      {
        machine: Type.Optional(Type.String({ minLength: 1, description: 'name of a machine, or a path to its file' })),
        workload: Type.Optional(
          Type.Union([Text, Type.Record(Name, Text, { minProperties: 1, additionalProperties: false })], {
            description:
              'as after -w: NAME:phase,key=value,…; or several by name, whose results are then NAME.time_s, NAME.energy_J, …',
          }),
        ),
        set: Type.Optional(
          Type.Record(Type.String(), Type.Union([Type.Number(), Type.String(), Type.Boolean()]), {
            description: 'fields of the machine that differ from its file in every point',
          }),
        ),
        fidelity: Type.Optional(Type.Unsafe<Fidelity>(Type.String({ enum: [...FIDELITIES] }))),
        objective: Type.Optional(
          Type.Unsafe<'time' | 'energy' | 'edp'>(
            Type.String({ enum: ['time', 'energy', 'edp'], description: 'what the mapper picks kernels and tiles by' }),
          ),
        ),
        offload: Type.Optional(
          Type.String({ description: 'as after --offload: weights or kv, with a share: weights:0.5; or none' }),
        ),
        launch: Type.Optional(Type.Unsafe<'graph' | 'eager'>(Type.String({ enum: ['graph', 'eager'] }))),
      },
      { additionalProperties: false },
    ),
    axes: Type.Array(AxisSchema, { minItems: 1, maxItems: 64 }),
    derived: Type.Optional(
      Type.Array(
        Type.Object(
          {
            name: Name,
            formula: Formula,
            unit: Type.Optional(Type.String()),
            source: Type.Optional(Type.String({ description: 'where the formula and its constants come from' })),
          },
          { additionalProperties: false },
        ),
      ),
    ),
    constraints: Type.Optional(Type.Array(Formula, { description: 'true for the points that count' })),
    objectives: Type.Array(
      Type.Object(
        {
          name: Name,
          metric: Formula,
          goal: Type.Unsafe<Goal>(Type.String({ enum: [...GOALS] })),
          unit: Type.Optional(Type.String()),
        },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: 8 },
    ),
    seed: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 })),
  },
  { additionalProperties: false, $id: 'space', title: 'Design space' },
);

type SpaceFile = Static<typeof SpaceSchema>;

export interface Space extends Omit<SpaceFile, 'axes' | 'derived' | 'constraints' | 'seed'> {
  readonly axes: readonly Axis[];
  readonly derived: NonNullable<SpaceFile['derived']>;
  readonly constraints: readonly string[];
  readonly seed: number;
  /** Names of the workloads of a point; none when there is one without a name. */
  readonly runs: readonly string[];
  /** Points in all. */
  readonly size: number;
}

export interface Point {
  /** The same number for the same values, whatever the search. */
  readonly id: number;
  /** By axis, in the order of the axes. */
  readonly values: readonly AxisValue[];
}

const check = schemaCheck<SpaceFile>(SpaceSchema);

/** Checks a parsed file. Formulas are checked where they are compiled. Throws InputError at `place`. */
export function parseSpace(json: unknown, place = 'space'): Space {
  const file = check(json, place);
  const axes = file.axes.map((axis, i) => resolveAxis(axis, `${place}: axes.${i}`));
  for (const root of ['machine', 'workload'] as const) {
    const varied = axes.some((axis) => axis.path === root);
    if (varied === (file.base[root] !== undefined))
      throw new InputError(`'${root}' must be given once: in base, or as the path of an axis`, place);
  }
  const offloads = axes.findIndex((axis) => axis.path === 'offload');
  if (offloads >= 0) {
    if (file.base.offload !== undefined)
      throw new InputError("'offload' must be given once: in base, or as the path of an axis", place);
    for (const value of axes[offloads]!.values) offloadOf(String(value), `${place}: axes.${offloads}`);
  } else if (file.base.offload !== undefined) offloadOf(file.base.offload, `${place}: base.offload`);
  const runs = typeof file.base.workload === 'object' ? Object.keys(file.base.workload) : [];
  const taken = new Set<string>(['machine', 'workload', ...(offloads >= 0 ? ['offload'] : []), ...runs]);
  unique(
    axes.map((axis) => axis.path),
    'path of an axis',
    place,
  );
  // an axis may be called machine or workload only when it is the name of one
  const named = axes.filter((axis) => axis.path !== axis.name).map((axis) => axis.name);
  for (const name of [...named, ...(file.derived ?? []).map((d) => d.name)]) {
    if (taken.has(name)) throw new InputError(`the name '${name}' stands for two things; give the axis a name`, place);
    taken.add(name);
  }
  unique(
    file.objectives.map((o) => o.name),
    'name of an objective',
    place,
  );
  const size = axes.reduce((product, axis) => product * axis.values.length, 1);
  if (size > Number.MAX_SAFE_INTEGER) throw new InputError(`${size} points are more than can be numbered`, place);
  return {
    ...file,
    axes,
    derived: file.derived ?? [],
    constraints: file.constraints ?? [],
    seed: file.seed ?? 0,
    runs,
    size,
  };
}

/** What `offload` says in a space: undefined for `none`. */
export const offloadOf = (text: string, place: string): Offload | undefined =>
  text === 'none' ? undefined : parseOffload(text, place);

function unique(names: readonly string[], what: string, place: string): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new InputError(`the ${what} '${twice}' stands twice`, place);
}

/** Point `id` of the grid, 0 ≤ id < size. */
export function pointOf(space: Space, id: number): Point {
  const values = new Array<AxisValue>(space.axes.length);
  let rest = id;
  for (let i = space.axes.length - 1; i >= 0; i--) {
    const axis = space.axes[i]!.values;
    values[i] = axis[rest % axis.length]!;
    rest = Math.floor(rest / axis.length);
  }
  return { id, values };
}

/** Which of its values an axis has at a point. */
export function alleleOf(space: Space, id: number, axis: number): number {
  let rest = id;
  for (let i = space.axes.length - 1; i > axis; i--) rest = Math.floor(rest / space.axes[i]!.values.length);
  return rest % space.axes[axis]!.values.length;
}

/** The point where each axis has this one of its values. */
export function idOf(space: Space, alleles: readonly number[]): number {
  return space.axes.reduce((id, axis, i) => id * axis.values.length + alleles[i]!, 0);
}
