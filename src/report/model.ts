/**
 * The data of a report: pure, JSON-able, SI units, fractions for shares. Page, Markdown, SVG, PNG, JSON and the
 * terminal all render from this and compute nothing of their own, so a number is the same wherever it is read.
 */
import { type Static, Type } from '@sinclair/typebox';
import { OccupancySchema } from '../engine/nest/occupancy.js';

const number = (description: string) => Type.Number({ description });
const text = (description: string) => Type.String({ description });
const strict = { additionalProperties: false };
const perStore = (description: string) => Type.Record(Type.String(), Type.Number(), { description });

export const FigureSchema = Type.Object(
  {
    key: text('stable name, e.g. time_s'),
    label: Type.String(),
    value: Type.Number(),
    unit: text('base unit; % marks a fraction'),
    better: Type.Optional(Type.Union([Type.Literal('less'), Type.Literal('more')])),
  },
  strict,
);
export type Figure = Static<typeof FigureSchema>;

export const LimitSchema = Type.Object(
  {
    resource: text('what sets the pace: dram, matrix, launch, …'),
    time_s: number('time of the ops it limits, repeats counted'),
    share: number('of the time of all ops'),
    busy: Type.Optional(number('fraction of the whole time that it is busy')),
  },
  strict,
);
export type Limit = Static<typeof LimitSchema>;

export const VerdictSchema = Type.Object(
  {
    headline: text('a few words'),
    sentence: text('the same in plain sentences, with figures'),
    bound_by: Type.String(),
    roof_fraction: number('least time over simulated time'),
    next: Type.Optional(text('the resource that limits next')),
    limits: Type.Array(LimitSchema, { description: 'by share of the time, largest first' }),
  },
  strict,
);
export type Verdict = Static<typeof VerdictSchema>;

export const MemoryRoofSchema = Type.Object(
  {
    store: Type.String(),
    B_per_s: number('peak of all instances; both directions where each has its own port'),
    sustained_fraction: number('of the peak, for long sequential streams'),
  },
  strict,
);
export type MemoryRoof = Static<typeof MemoryRoofSchema>;

export const ComputeRoofSchema = Type.Object(
  {
    unit: Type.Union([Type.Literal('matrix'), Type.Literal('vector')]),
    dtypes: Type.Array(Type.String(), { description: 'number formats that share this rate' }),
    flops_per_s: number('all cores, at the nominal clock, dense'),
  },
  strict,
);
export type ComputeRoof = Static<typeof ComputeRoofSchema>;

export const PointSchema = Type.Object(
  {
    name: Type.String(),
    kind: Type.String(),
    bound_by: Type.String(),
    flops: number('useful, of one repeat'),
    time_s: number('of one repeat'),
    flops_per_s: Type.Number(),
    share: number('of the time of all ops, repeats counted'),
    intensity: perStore('FLOP per byte moved at each store'),
  },
  strict,
);
export type Point = Static<typeof PointSchema>;

export const RooflineSchema = Type.Object(
  {
    memory: Type.Array(MemoryRoofSchema, { description: 'far to near' }),
    compute: Type.Array(ComputeRoofSchema, { description: 'fastest first' }),
    points: Type.Array(PointSchema),
    total: Type.Optional(PointSchema),
    without_flops: Type.Integer({ description: 'ops that do no FLOPs and so have no point' }),
  },
  strict,
);
export type Roofline = Static<typeof RooflineSchema>;

export const OpRowSchema = Type.Object(
  {
    name: Type.String(),
    phase: Type.Optional(Type.String()),
    kind: Type.String(),
    kernel: Type.String(),
    tile: Type.String(),
    repeat: Type.Integer(),
    time_s: number('of one repeat'),
    total_time_s: number('repeats counted'),
    share: number('of the time of all ops'),
    energy_J: number('of one repeat'),
    energy_by_part_J: perStore('of one repeat'),
    flops: number('useful, of one repeat'),
    requested_B: perStore('of one repeat, both directions'),
    moved_B: perStore('of one repeat, both directions'),
    bound_by: Type.String(),
    roof_fraction: number('least time over simulated time'),
    launch_s: number('of one repeat'),
    clock_Hz: Type.Optional(Type.Number()),
    arrays: Type.Optional(Type.Array(OccupancySchema, { description: 'launches laid on arrays, of one repeat' })),
  },
  strict,
);
export type OpRow = Static<typeof OpRowSchema>;

export const EnergyPartSchema = Type.Object(
  { part: Type.String(), energy_J: Type.Number(), share: Type.Number() },
  strict,
);
export type EnergyPart = Static<typeof EnergyPartSchema>;

export const AssumptionSchema = Type.Object(
  {
    path: text('field, e.g. dram.bandwidth'),
    value: Type.Number(),
    unit: Type.String(),
    text: Type.Optional(text('as the file says it: a formula or a quantity')),
    from: text('datasheet, paper, measured, calibrated, assumed'),
    source: Type.String(),
  },
  strict,
);
export type Assumption = Static<typeof AssumptionSchema>;

export const RunSchema = Type.Object(
  {
    id: text('unique in the report'),
    label: text('what tells it from the others'),
    machine: Type.String(),
    machine_title: Type.String(),
    workload: Type.String(),
    fidelity: Type.String(),
    verdict: VerdictSchema,
    figures: Type.Array(FigureSchema),
    roofline: RooflineSchema,
    energy: Type.Array(EnergyPartSchema, { description: 'largest first' }),
    ops: Type.Array(OpRowSchema),
    requested_B: perStore('both directions'),
    moved_B: perStore('both directions'),
    assumptions: Type.Array(AssumptionSchema),
    warnings: Type.Array(Type.String()),
  },
  strict,
);
export type Run = Static<typeof RunSchema>;

export const ObjectiveSchema = Type.Object(
  {
    key: Type.String(),
    label: Type.String(),
    unit: Type.String(),
    goal: Type.Union([Type.Literal('min'), Type.Literal('max')]),
  },
  strict,
);
export type Objective = Static<typeof ObjectiveSchema>;

export const SweepPointSchema = Type.Object(
  {
    id: Type.String(),
    config: Type.Record(Type.String(), Type.Union([Type.Number(), Type.String(), Type.Boolean()])),
    values: Type.Record(Type.String(), Type.Number(), { description: 'objectives by key' }),
    on_front: Type.Boolean(),
  },
  strict,
);
export type SweepPoint = Static<typeof SweepPointSchema>;

export const SweepSchema = Type.Object(
  {
    name: Type.String(),
    objectives: Type.Array(ObjectiveSchema),
    points: Type.Array(SweepPointSchema),
    failed: Type.Integer({ description: 'points that fit nothing or failed' }),
  },
  strict,
);
export type Sweep = Static<typeof SweepSchema>;

export const ReportSchema = Type.Object(
  {
    title: Type.String(),
    version: text('of the simulator'),
    command: text('reproduces the report'),
    runs: Type.Array(RunSchema),
    sweep: Type.Optional(SweepSchema),
    notes: Type.Array(Type.String()),
  },
  { ...strict, $id: 'report', title: 'Report' },
);
export type Report = Static<typeof ReportSchema>;
