/**
 * A nest: how the einsums of a cascade are laid on arrays of PEs. Loops over ranks bind to the levels of an array, in
 * time or over the places below a level; tensors are kept at a level or pass it by.
 */

import { type Static, Type } from '@sinclair/typebox';
import { InputError } from '../base/errors.js';
import { parseJson } from '../base/json.js';
import { schemaCheck } from '../workload/schema-check.js';
import { type Sparsity, SparsitySchema } from './sparsity.js';

const closed = { additionalProperties: false } as const;
const text = (description: string) => Type.String({ minLength: 1, description });

export const NestLoopSchema = Type.Object(
  {
    rank: text('rank of the einsum'),
    size: Type.Integer({ minimum: 1, description: 'trips; the last may be partial when sizes do not divide the rank' }),
    spatial: Type.Optional(
      Type.Unsafe<'x' | 'y'>(
        Type.String({
          enum: ['x', 'y'],
          description: 'over the places below the level, along this direction; in time when absent',
        }),
      ),
    ),
  },
  closed,
);
export type NestLoop = Readonly<Static<typeof NestLoopSchema>>;

/** What one level does for one einsum. */
export const NestLevelSchema = Type.Object(
  {
    level: text("id of the array's level"),
    loops: Type.Array(NestLoopSchema, {
      description:
        'outermost first, those over places inside those in time; each trip in time hands the next nearer level another tile',
    }),
    keeps: Type.Record(Type.String(), Type.String(), {
      description: 'store that keeps each tensor here; tensors that are not named pass by',
    }),
  },
  closed,
);
export interface NestLevel {
  readonly level: string;
  readonly loops: readonly NestLoop[];
  readonly keeps: Readonly<Record<string, string>>;
}

/** One einsum on one array: the array's levels, far to near; levels that do nothing may be left out. */
export const EinsumNestSchema = Type.Object(
  {
    einsum: text('name of the einsum'),
    unit: text('unit whose array it is laid on'),
    levels: Type.Array(NestLevelSchema),
    sparsity: Type.Optional(SparsitySchema),
    waits: Type.Optional(
      Type.Record(Type.String(), Type.Number({ exclusiveMinimum: 0, maximum: 1 }), {
        description:
          'share of a tensor for which the outermost store that keeps it has no room: it waits in the home store, and every access to it goes there and back',
      }),
    ),
  },
  closed,
);
export interface EinsumNest {
  readonly einsum: string;
  readonly unit: string;
  readonly levels: readonly NestLevel[];
  /** Use of zeros; all elements are moved and computed with when absent. */
  readonly sparsity?: Sparsity;
  /** Shares of tensors that wait in the home store, for want of room nearer by. */
  readonly waits?: Readonly<Record<string, number>>;
}

/**
 * Einsums in flight together, each on its unit; those of one unit take turns. An einsum that lacks the rank of a shared
 * loop is done once for all of the loop's trips.
 */
export interface Stage {
  readonly nests: readonly EinsumNest[];
}

/**
 * Stages run one after another inside the shared loops: an epoch is one trip through all of them. A single einsum is
 * one stage of one nest with no shared loops.
 */
export const NestSchema = Type.Object(
  {
    shared: Type.Array(NestLevelSchema, {
      description: "loops that all einsums share, outside every nest's own, with what is kept across stages",
    }),
    stages: Type.Array(Type.Object({ nests: Type.Array(EinsumNestSchema, { minItems: 1 }) }, closed), { minItems: 1 }),
    in_flight: Type.Optional(
      Type.Integer({
        minimum: 1,
        description:
          'epochs in flight together: while one waits for what a spatial reduction or skew delays, others keep the arrays busy; 1 when absent: each waits',
      }),
    ),
  },
  { ...closed, $id: 'nest' },
);
export interface Nest {
  readonly shared: readonly NestLevel[];
  readonly stages: readonly Stage[];
  readonly in_flight?: number;
}

const checkNestJson = schemaCheck<Nest>(NestSchema);
const checkEinsumNestJson = schemaCheck<EinsumNest>(EinsumNestSchema);

/** A nest, or that of a single einsum, from a user's file. @throws InputError naming the file and the place in it */
export function readNest(json: string, file: string): Nest {
  const { value } = parseJson(json, file);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InputError('is no nest: { shared, stages } or, of one einsum, { einsum, unit, levels }', file);
  return 'stages' in value
    ? checkNestJson(value, file)
    : { shared: [], stages: [{ nests: [checkEinsumNestJson(value, file)] }] };
}
