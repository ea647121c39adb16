/** What `bounds` prints with --json: stable names, SI units. The schema is the single source of the type. */
import { type Static, Type } from '@sinclair/typebox';

const Tile = Type.Unsafe<Record<string, number>>(Type.Record(Type.String(), Type.Number()));

const ScheduleSchema = Type.Object({
  kernel: Type.String(),
  tile: Tile,
  sizes: Type.Union([Type.Literal('free'), Type.Literal('library'), Type.Literal('yours')], {
    description: 'any whole numbers, those the library offers, or the ones given',
  }),
  requested_B: Type.Number({ exclusiveMinimum: 0, description: 'bytes at copies, gathers and scatters' }),
  ratio: Type.Number({ exclusiveMinimum: 0, description: 'requested_B ÷ bound_B' }),
  live_B: Type.Number({ minimum: 0, description: 'near bytes, buffers of all stages included' }),
});

const TermSchema = Type.Object({
  bound_B: Type.Number(),
  formula: Type.String(),
  range: Type.String(),
  source: Type.String(),
});

const BoundarySchema = Type.Object({
  boundary: Type.String({ description: 'memory on the far side, and what is on the near side' }),
  capacity_B: Type.Number({ exclusiveMinimum: 0, description: 'of the near side' }),
  bound_B: Type.Number({ exclusiveMinimum: 0 }),
  formula: Type.String(),
  moved_B: Type.Number({ minimum: 0, description: 'by the kernel and tile that the machine is given, caches cold' }),
  ratio: Type.Number({ minimum: 0, description: 'moved_B ÷ bound_B' }),
});
export type Boundary = Static<typeof BoundarySchema>;

const MoveSchema = Type.Object({
  move: Type.String(),
  value: Type.String(),
  cost: Type.Integer({ minimum: 0 }),
  near: Type.Array(Type.String()),
  far: Type.Array(Type.String()),
});

export const PebblingSchema = Type.Object({
  graph: Type.String(),
  values: Type.Integer(),
  near: Type.Integer({ description: 'values that fit near' }),
  bound: Type.Number({ description: 'what the formula says, in values' }),
  cost: Type.Integer({ description: 'loads and stores of the play shown' }),
  proven: Type.Boolean({ description: 'no play has fewer' }),
  at_least: Type.Integer({ description: 'no play has fewer than this' }),
  frames: Type.Array(MoveSchema),
});
export type Pebbling = Static<typeof PebblingSchema>;

export const BoundsSchema = Type.Object(
  {
    kernel: Type.String(),
    shape: Type.Unsafe<Record<string, number>>(Type.Record(Type.String(), Type.Number())),
    dtype: Type.String(),
    capacity_B: Type.Number({ exclusiveMinimum: 0 }),
    bound_B: Type.Number({ exclusiveMinimum: 0 }),
    compulsory_B: Type.Number({ exclusiveMinimum: 0 }),
    formula: Type.String(),
    range: Type.String(),
    source: Type.String(),
    terms: Type.Array(TermSchema),
    schedules: Type.Array(ScheduleSchema),
    advice: Type.String(),
    curve: Type.Optional(
      Type.Array(
        Type.Object({
          capacity_B: Type.Number(),
          bound_B: Type.Number(),
          requested_B: Type.Unsafe<Record<string, number>>(Type.Record(Type.String(), Type.Number())),
        }),
      ),
    ),
    pebbling: Type.Optional(PebblingSchema),
    machine: Type.Optional(
      Type.Object({
        name: Type.String(),
        kernel: Type.String({ description: 'its pick' }),
        tile: Tile,
        boundaries: Type.Array(BoundarySchema, { description: 'far to near' }),
      }),
    ),
  },
  { $id: 'bounds' },
);
export type Bounds = Static<typeof BoundsSchema>;

/** What `bounds --frontier` prints with --json: least words for each size of a buffer, over nests of two levels. */
export const FrontierSchema = Type.Object({
  kernel: Type.String(),
  ranks: Type.Record(Type.String(), Type.Integer({ minimum: 1 })),
  points: Type.Array(
    Type.Object({
      buffer_words: Type.Integer({ minimum: 1 }),
      words: Type.Integer({ minimum: 1 }),
      loops: Type.Array(Type.Object({ level: Type.String(), loops: Type.String() })),
    }),
  ),
});

/** What `bounds --workload` prints with --json. */
export const CompositionSchema = Type.Object(
  {
    capacity_B: Type.Number({ exclusiveMinimum: 0 }),
    unfused_B: Type.Number({ description: 'least bytes when every op runs by itself' }),
    fused_B: Type.Number({ description: 'least bytes when all may be fused' }),
    external_B: Type.Number({ description: 'parameters, caches, first inputs, last results' }),
    edges: Type.Array(
      Type.Object({
        from: Type.String(),
        to: Type.String(),
        kinds: Type.Tuple([Type.String(), Type.String()]),
        bytes: Type.Number(),
        saves_B: Type.Number({ description: 'its write and its read, all repeats' }),
      }),
    ),
  },
  { $id: 'bounds-workload' },
);

/** Whether a size changes what moves: buffers, lane groups and orders do not. */
export const sizeMatters = (key: string): boolean => !/^(stages|groups|panel|cluster|softmax_groups)/.test(key);
