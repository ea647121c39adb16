/**
 * A published result as data: what was compared (baseline and treatment: a machine, what ran on it), the metric, the figure
 * with its source. A claim holds no tuning constant: every field says what was run, none how the simulator should err.
 */
import { type Static, Type } from '@sinclair/typebox';
import { Ajv } from 'ajv';
import { DTYPES, type DType } from '../base/dtype.js';
import { InputError } from '../base/errors.js';

/** `compares`: two setups, not one. */
export const METRICS = {
  time_s: { compares: false, unit: 's', of: 'time of the treatment' },
  speedup: { compares: true, unit: '', of: 'time of the baseline ÷ time of the treatment' },
  flop_per_s: { compares: false, unit: 'FLOP/s', of: 'useful rate, causal halves counted once' },
  model_flop_per_s: {
    compares: false,
    unit: 'FLOP/s',
    of: 'rate of a device in training by 6 · parameters · tokens + 12 · layers · hidden · length², all pairs and nothing recomputed',
  },
  peak_fraction: { compares: false, unit: '', of: 'useful rate ÷ peak of the matrix units at the nominal clock' },
  energy_ratio: { compares: true, unit: '', of: 'energy of the treatment ÷ energy of the baseline' },
  energy_J: { compares: false, unit: 'J', of: 'energy of the treatment' },
  array_busy: {
    compares: false,
    unit: '',
    of: 'share of the time that the array with rows is at work, launch left out',
  },
  lanes_busy: {
    compares: false,
    unit: '',
    of: 'share of the time that the lanes beside that array are at work, launch left out',
  },
  dram_B: { compares: false, unit: 'B', of: 'bytes that far memory moves' },
  dram_ratio: { compares: true, unit: '', of: 'far-memory bytes of the baseline ÷ those of the treatment' },
  requested_B: { compares: false, unit: 'B', of: 'bytes at explicit copies to and from far memory' },
  requested_ratio: { compares: true, unit: '', of: 'requested bytes of the baseline ÷ those of the treatment' },
  overhead_B: {
    compares: false,
    unit: 'B',
    of: 'memory beyond inputs and outputs: intermediates in far memory and the live tile',
  },
  overhead_ratio: { compares: true, unit: '', of: 'memory overhead of the baseline ÷ that of the treatment' },
  bound_ratio: { compares: false, unit: '', of: 'requested bytes ÷ the lower bound at the same capacity' },
  crossover: {
    compares: true,
    unit: '',
    of: 'capacity, in head_dim² elements, below which the baseline moves less than the treatment',
  },
} as const;
export type Metric = keyof typeof METRICS;

const Numbers = Type.Record(Type.String(), Type.Number());
const SetupSchema = Type.Object(
  {
    machine: Type.Optional(Type.String({ description: 'not needed where only bytes are counted' })),
    set: Type.Optional(
      Type.Array(Type.String(), { description: 'fields of the machine that differ, as --set takes them' }),
    ),
    kernel: Type.Optional(Type.String({ description: 'a kernel, or a family to choose from' })),
    shape: Type.Optional(Numbers),
    dtype: Type.Optional(Type.Unsafe<DType>(Type.String({ enum: [...DTYPES] }))),
    tile: Type.Optional(
      Type.Unsafe<Record<string, number>>({ ...Numbers, description: 'as published; else searched' }),
    ),
    launch: Type.Optional(Type.Union([Type.Literal('graph'), Type.Literal('eager')])),
    capacity: Type.Optional(Type.String({ description: 'fast memory within which the best tile is searched' })),
    workload: Type.Optional(
      Type.String({
        description: 'as simulate takes it; a kernel, and one of the backward pass, are then those of its attention',
      }),
    ),
    layer: Type.Optional(
      Type.Object(
        {
          model: Type.String(),
          batch: Type.Integer({ minimum: 1 }),
          seq: Type.Integer({ minimum: 1 }),
          products: Type.Optional(Type.Boolean({ description: 'the products of the layer too' })),
        },
        { additionalProperties: false, description: 'the shape is that of the attention of a layer of this model' },
      ),
    ),
    beside: Type.Optional(
      Type.Array(
        Type.Object(
          { kernel: Type.String(), shape: Numbers, repeat: Type.Optional(Type.Integer({ minimum: 1 })) },
          { additionalProperties: false },
        ),
        { description: 'kernels that run after it, of the same format' },
      ),
    ),
    ops: Type.Optional(
      Type.Object(
        {
          standard_attention: Type.Boolean({ description: 'the shape’s attention, each step an op of its own' }),
          backward: Type.Boolean({ default: false }),
          mask: Type.Boolean({ default: false, description: 'masking as a step of its own' }),
          dropout: Type.Boolean({ default: false, description: 'dropout as a step of its own' }),
        },
        { additionalProperties: false },
      ),
    ),
    backward: Type.Optional(
      Type.String({
        description: 'a kernel, or a family, of the backward pass that runs after the kernel; both passes’ work counts',
      }),
    ),
    backward_tile: Type.Optional(Type.Unsafe<Record<string, number>>({ ...Numbers, description: 'as `tile`, of it' })),
    passes: Type.Optional(
      Type.Number({ description: 'useful work in forward passes: 1 forward, 3.5 forward and backward', minimum: 1 }),
    ),
  },
  { additionalProperties: false },
);
export type Setup = Static<typeof SetupSchema>;

const FIGURE = {
  published: Type.Union([Type.Number(), Type.String()], {
    description: 'in the metric’s unit, or text with a unit of the same kind ("40.3 GB")',
  }),
  metric: Type.Unsafe<Metric>(Type.String({ enum: Object.keys(METRICS) })),
};

const CaseSchema = Type.Object(
  {
    name: Type.String({ minLength: 1 }),
    published: FIGURE.published,
    metric: Type.Optional(FIGURE.metric),
    baseline: Type.Optional(SetupSchema),
    treatment: Type.Optional(SetupSchema),
    both: Type.Optional(SetupSchema),
    mean_over: Type.Optional(
      Type.Array(SetupSchema, {
        minItems: 2,
        description: 'the figure is the arithmetic mean of the metric over these setups of both',
      }),
    ),
    source: Type.Optional(Type.String()),
    note: Type.Optional(Type.String()),
    missing: Type.Optional(Type.String({ description: 'why it cannot be simulated yet' })),
  },
  { additionalProperties: false },
);

export const ClaimSchema = Type.Object(
  {
    $schema: Type.Optional(Type.String()),
    title: Type.String({ minLength: 1 }),
    source: Type.String({ minLength: 1 }),
    note: Type.String({ minLength: 1, description: 'why simulated and published differ' }),
    metric: FIGURE.metric,
    baseline: Type.Optional(SetupSchema),
    treatment: Type.Optional(SetupSchema),
    both: Type.Optional(
      Type.Unsafe<Static<typeof SetupSchema>>({
        ...SetupSchema,
        description: 'what baseline and treatment have alike',
      }),
    ),
    cases: Type.Array(CaseSchema, { minItems: 1 }),
  },
  { $id: 'claim', additionalProperties: false },
);
export type Claim = Static<typeof ClaimSchema>;
export type ClaimCase = Claim['cases'][number];

/** One figure beside what was simulated: `reproduce --json` prints { claims: these }. */
const ReproducedSchema = Type.Object({
  claim: Type.String(),
  case: Type.String(),
  metric: FIGURE.metric,
  unit: Type.String(),
  baseline: Type.Union([Type.String(), Type.Null()], {
    description: 'what the metric compares with; null where it is of one setup',
  }),
  treatment: Type.Union([Type.String(), Type.Null()], { description: 'what was run' }),
  published: Type.Number({ exclusiveMinimum: 0 }),
  simulated: Type.Union([Type.Number({ exclusiveMinimum: 0 }), Type.Null()], {
    description: 'null when it cannot be simulated; note says why',
  }),
  residual: Type.Union([Type.Number(), Type.Null()], { description: 'simulated ÷ published − 1' }),
  source: Type.String(),
  note: Type.String({ description: 'why the two differ' }),
});
export type Reproduced = Static<typeof ReproducedSchema>;
export const ReproduceSchema = Type.Object({ claims: Type.Array(ReproducedSchema) }, { $id: 'reproduce' });

let validate: ReturnType<Ajv['compile']> | undefined;

/** @throws InputError naming the file and the field */
export function parseClaim(json: unknown, file: string): Claim {
  validate ??= new Ajv({ allErrors: false, strict: false }).compile(ClaimSchema);
  if (validate(json)) return json as Claim;
  const [fault] = validate.errors!;
  const at = fault!.instancePath.slice(1).replaceAll('/', '.');
  const what =
    fault!.keyword === 'additionalProperties'
      ? `unknown field '${fault!.params['additionalProperty']}'`
      : fault!.message;
  const known = fault!.keyword === 'enum' ? `: ${(fault!.params['allowedValues'] as string[]).join(', ')}` : '';
  throw new InputError(`${at ? `${at}: ` : ''}${what}${known}`, file);
}
