/**
 * A spatial array in its natural terms: DRAM, stores on the chip that all elements share, and below them one or more
 * arrays of processing elements in rows and columns. Rates per cycle are of one element unless said otherwise.
 */
import { type Static, Type } from '@sinclair/typebox';
import { DTYPES, type DType } from '../base/dtype.js';
import { NAME_PATTERN } from './gpu-schema.js';
import { Quantity } from './quantity.js';

const strict = { additionalProperties: false };
const DTypeSchema = Type.Unsafe<DType>(Type.String({ enum: [...DTYPES] }));
const count = (what: string) => Quantity('count', what, { integer: true });
const named = <S extends Parameters<typeof Type.Record>[1]>(schema: S, description: string) =>
  Type.Record(Type.String({ pattern: NAME_PATTERN }), schema, { ...strict, description });
const ways = (what: string) =>
  Type.Union([Type.Literal('none'), Type.Literal('x'), Type.Literal('y'), Type.Literal('xy')], { description: what });

const Holds = Type.Optional(
  Type.String({
    pattern: '^(input|weight|output)( (input|weight|output))*$',
    description: 'operands it is built for, where not for any: input, weight, output, or several with spaces',
  }),
);

const Store = Type.Object(
  {
    capacity: Quantity('bytes', 'of one instance'),
    read: Quantity('bytes_per_cycle', 'of one instance'),
    write: Quantity('bytes_per_cycle', 'of one instance'),
    shared_port: Type.Boolean({ description: 'reads and writes take turns' }),
    latency: Quantity('cycles', 'of a read', { sign: 'nonnegative' }),
    word: Quantity('bytes', 'row that one access moves'),
    banks: count('banks'),
    read_energy: Quantity('energy_per_byte', 'of a read', { sign: 'nonnegative' }),
    write_energy: Quantity('energy_per_byte', 'of a write', { sign: 'nonnegative' }),
    holds: Holds,
  },
  strict,
);

/** Wires from a place of the level above (or the shared stores) to the places of this one. */
const Network = Type.Object(
  {
    multicast: ways('directions along which one word sent serves all who want it'),
    reduce: ways('directions along which partial results are combined on the way'),
    tree: Type.Optional(
      Type.Boolean({
        description: 'they meet in a tree; otherwise each place adds to its neighbour’s, a cycle a place',
      }),
    ),
    systolic: Type.Boolean({ description: 'neighbours hand operands on, a place a cycle' }),
    energy: Quantity('energy_per_byte', 'one hop', { sign: 'nonnegative' }),
  },
  strict,
);

const Level = Type.Object(
  {
    columns: count('places along x below each place above'),
    rows: count('places along y below each place above'),
    network: Network,
    stores: Type.Optional(named(Store, 'stores of each place')),
  },
  strict,
);

const Mac = Type.Object(
  {
    a: DTypeSchema,
    b: DTypeSchema,
    acc: DTypeSchema,
    per_cycle: Quantity('per_cycle', 'multiply–accumulates of one element'),
    energy: Quantity('energy_per_action', 'one multiply–accumulate'),
  },
  strict,
);

/** A rate of its own, or a sequence of another function's steps. */
const Fn = Type.Object(
  {
    per_cycle: Type.Optional(Quantity('per_cycle', 'results of one element')),
    energy: Type.Optional(Quantity('energy_per_action', 'one result', { sign: 'nonnegative' })),
    pipe: Type.Optional(
      Type.String({ pattern: NAME_PATTERN, description: 'part of the element whose time it takes; alu when absent' }),
    ),
    as: Type.Optional(Type.String({ pattern: NAME_PATTERN, description: 'function that it is a sequence of' })),
    steps: Type.Optional(Quantity('count', 'results of that function for one of this')),
  },
  strict,
);

const PeArray = Type.Object(
  {
    levels: named(Level, 'far to near; a last level without stores is lanes of arithmetic in a place'),
    latency: Quantity('cycles', 'of an operation, to a dependent one'),
    macs: Type.Optional(named(Mac, 'multiply–accumulates by name')),
    functions: named(Fn, 'math functions by name, or name_dtype for a rate of its own'),
  },
  strict,
);

const Dram = Type.Object(
  {
    type: Type.String({ description: 'HBM2, DDR3, …' }),
    capacity: Quantity('bytes', 'usable'),
    bandwidth: Quantity('bandwidth', 'both directions together'),
    latency: Quantity('time', 'of a read'),
    achievable: Quantity('ratio', 'of the bandwidth that long streams reach', { max: 1 }),
    burst: Quantity('bytes', 'least transfer'),
    banks: count('banks of a channel'),
    channels: count('independent channels'),
    energy: Quantity('energy_per_byte', 'read or written', { sign: 'nonnegative' }),
  },
  strict,
);

export const SpatialSchema = Type.Object(
  {
    family: Type.Literal('spatial'),
    name: Type.String({ pattern: '^[a-z0-9][a-z0-9._-]*$' }),
    title: Type.String({ minLength: 1 }),
    process: Type.Optional(Type.String({ description: 'manufacturing process' })),
    clock: Type.Object({ nominal: Quantity('frequency', 'of arrays and stores on the chip') }, strict),
    dram: Dram,
    shared: named(
      Store,
      'stores that all arrays share, side by side; the first holds whatever programs keep on the chip',
    ),
    arrays: named(PeArray, 'arrays of processing elements; the last does what has no cascade, its elements as lanes'),
    runs: Type.Optional(
      Type.Record(Type.String({ pattern: NAME_PATTERN }), Type.String({ minLength: 1 }), {
        ...strict,
        description:
          'kernels that its control is made for, by family, several with spaces between: others are taken only where these do not apply',
      }),
    ),
    launch: Type.Object(
      {
        graph: Quantity('time', 'between kernels of a captured sequence', { sign: 'nonnegative' }),
        eager: Quantity('time', 'between kernels launched one by one', { sign: 'nonnegative' }),
      },
      strict,
    ),
    static: Quantity('power', 'drawn whatever runs', { sign: 'nonnegative' }),
    tdp: Type.Optional(Quantity('power', 'power limit; none when absent')),
    price: Type.Optional(Quantity('price', 'of one board')),
    die_area: Type.Optional(Quantity('area', 'of the die')),
  },
  { ...strict, $id: 'spatial', title: 'Spatial array' },
);
export type Spatial = Static<typeof SpatialSchema>;
