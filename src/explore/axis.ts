/** An axis of a design space: one field, and the values it takes. */
import { type Static, Type } from '@sinclair/typebox';
import { InputError } from '../base/errors.js';

const Scalar = Type.Union([Type.Number(), Type.String({ minLength: 1 }), Type.Boolean()]);

export const RangeSchema = Type.Object(
  {
    from: Type.Union([Type.Number(), Type.String()], { description: 'first value; a number, or one with a unit' }),
    to: Type.Union([Type.Number(), Type.String()], { description: 'last value, in the same unit' }),
    step: Type.Optional(
      Type.Union([Type.Number(), Type.String()], { description: 'added until `to` is passed; in the same unit' }),
    ),
    factor: Type.Optional(Type.Number({ exclusiveMinimum: 1, description: 'multiplied by until `to` is passed' })),
    count: Type.Optional(Type.Integer({ minimum: 2, maximum: 100_000, description: 'values, ends included' })),
    scale: Type.Optional(
      Type.Unsafe<'linear' | 'log'>(
        Type.String({ enum: ['linear', 'log'], description: 'how `count` values are spaced; linear when absent' }),
      ),
    ),
    whole: Type.Optional(Type.Boolean({ description: 'values are rounded to whole numbers; repeats are dropped' })),
  },
  { additionalProperties: false },
);

export const AxisSchema = Type.Object(
  {
    path: Type.String({
      minLength: 1,
      description:
        'what varies: machine (its name), workload (its text), machine.FIELD, workload.KEY (of its text, or a field of its model), mapping.KERNEL.PARAM, or offload (none, weights, kv, or weights:SHARE)',
    }),
    name: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z_][A-Za-z0-9_]*$',
        description: 'in formulas and tables; the last word of path',
      }),
    ),
    values: Type.Optional(Type.Array(Scalar, { minItems: 1, maxItems: 100_000 })),
    range: Type.Optional(RangeSchema),
  },
  { additionalProperties: false },
);

export type AxisFile = Static<typeof AxisSchema>;
export type AxisValue = Static<typeof Scalar>;
type Range = Static<typeof RangeSchema>;

export interface Axis {
  readonly path: string;
  readonly name: string;
  readonly values: readonly AxisValue[];
}

const ROOTS = ['machine', 'workload', 'mapping', 'offload'];
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Values written out. Throws InputError at `place`. */
export function resolveAxis(file: AxisFile, place: string): Axis {
  const parts = file.path.split('.');
  const root = parts[0]!;
  if (!ROOTS.includes(root) || parts.includes(''))
    throw new InputError(`path '${file.path}' must start with machine, workload, mapping or offload`, place);
  if (root === 'mapping' && parts.length !== 3)
    throw new InputError(`path '${file.path}': expected mapping.KERNEL.PARAM`, place);
  if (root === 'offload' && parts.length !== 1) throw new InputError(`path '${file.path}': expected offload`, place);
  const name = file.name ?? parts.at(-1)!;
  if (!IDENTIFIER.test(name)) throw new InputError(`path '${file.path}' needs a name for formulas`, place);
  if ((file.values === undefined) === (file.range === undefined))
    throw new InputError("expected 'values' or 'range', one of them", place);
  const values = file.values ?? expandRange(file.range!, `${place}.range`);
  const seen = new Set(values.map((value) => JSON.stringify(value)));
  if (seen.size < values.length) throw new InputError('a value stands twice', place);
  if (parts.length === 1 && !values.every((value) => typeof value === 'string'))
    throw new InputError(`path '${file.path}': values must be names`, place);
  return { path: file.path, name, values };
}

const QUANTITY = /^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*$/u;

/** A number and the unit behind it ('' when none). */
function split(value: number | string, place: string): [number, string] {
  if (typeof value === 'number') return [value, ''];
  const match = QUANTITY.exec(value);
  if (!match) throw new InputError(`'${value}' is not a number with a unit`, place);
  return [Number(match[1]), match[2]!];
}

/** 12 significant digits: steps like 0.1 add up without a tail. */
const tidy = (value: number): number => Number(value.toPrecision(12));

function expandRange(range: Range, place: string): AxisValue[] {
  const [from, unit] = split(range.from, place);
  const [to, toUnit] = split(range.to, place);
  if (unit !== toUnit) throw new InputError(`from is in '${unit}' but to is in '${toUnit}'`, place);
  if (!(to > from)) throw new InputError(`to (${range.to}) must be above from (${range.from})`, place);
  const given = [range.step, range.factor, range.count].filter((x) => x !== undefined).length;
  if (given !== 1) throw new InputError('expected one of step, factor and count', place);
  if (range.scale && !range.count) throw new InputError('scale goes with count', place);
  if ((range.factor || range.scale === 'log') && from <= 0)
    throw new InputError(`a logarithmic range must start above 0, not at ${range.from}`, place);

  const numbers = [...series(range, from, to, unit, place)];
  const values = range.whole ? [...new Set(numbers.map(Math.round))] : numbers;
  return unit === '' ? values : values.map((value) => `${value} ${unit}`);
}

function* series(range: Range, from: number, to: number, unit: string, place: string): Generator<number> {
  if (range.count !== undefined) {
    for (let i = 0; i < range.count; i++) {
      const share = i / (range.count - 1);
      if (share === 1) yield to;
      else yield tidy(range.scale === 'log' ? from * (to / from) ** share : from + (to - from) * share);
    }
    return;
  }
  const [step, stepUnit] = range.step === undefined ? [0, unit] : split(range.step, place);
  if (stepUnit !== unit) throw new InputError(`from is in '${unit}' but step is in '${stepUnit}'`, place);
  if (range.step !== undefined && !(step > 0)) throw new InputError(`step must be above 0, not ${range.step}`, place);
  // half a rounding error of slack, so that an end that is a whole number of steps away is reached
  const end = to + 1e-9 * Math.abs(to);
  for (let i = 0; i < 100_000; i++) {
    const value = tidy(range.factor === undefined ? from + i * step : from * range.factor ** i);
    if (value > end) return;
    yield value;
  }
  throw new InputError('more than 100000 values', place);
}
