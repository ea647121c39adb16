/** What `simulate` and `kernel` print with --json: stable names, SI units. The schema is the single source of the type. */
import { type Static, Type } from '@sinclair/typebox';
import { OccupancySchema } from './nest/occupancy.js';

const Bytes = Type.Record(Type.String(), Type.Number({ minimum: 0 }));
/** Where nine in ten measured times should lie, by how far predictions for the machine were off. */
const interval_s = Type.Optional(
  Type.Object(
    { lo: Type.Number({ exclusiveMinimum: 0 }), hi: Type.Number({ exclusiveMinimum: 0 }) },
    { description: 'nine in ten measured times should lie between, in s; with the steady fidelity' },
  ),
);
const common = {
  time_s: Type.Number({ exclusiveMinimum: 0, description: 'what a user waits: launch and gaps included' }),
  launch_s: Type.Number({ minimum: 0, description: 'the part of time_s that is launch, start and drain of kernels' }),
  energy_J: Type.Number({ exclusiveMinimum: 0 }),
  power_W: Type.Number({ exclusiveMinimum: 0 }),
  flops: Type.Number({ minimum: 0, description: 'useful: causal halves counted once' }),
  flops_executed: Type.Number({ minimum: 0, description: 'padding, masked work and element functions included' }),
  requested_B: Type.Unsafe<Record<string, number>>({
    ...Bytes,
    description: 'bytes at explicit copies, gathers and scatters, by store',
  }),
  moved_B: Type.Unsafe<Record<string, number>>({ ...Bytes, description: 'bytes each store moved, after caches' }),
  bound_by: Type.String(),
  interval_s,
  roof_fraction: Type.Number({
    minimum: 0,
    description: 'time no schedule can beat ÷ time_s, launch left out of neither',
  }),
  energy_by_part_J: Type.Unsafe<Record<string, number>>({ ...Bytes, description: 'sums to energy_J' }),
};

/** With `--memory stateful`. */
const MemorySchema = Type.Optional(
  Type.Object(
    {
      channels: Type.Integer({ minimum: 1 }),
      channels_simulated: Type.Integer({ minimum: 1, description: 'fewer: these stand for all, counts are scaled up' }),
      requests: Type.Number({ minimum: 0, description: 'lines and bursts worked through one by one' }),
      hits: Type.Unsafe<Record<string, number>>({ ...Bytes, description: 'sectors, by store' }),
      misses: Type.Unsafe<Record<string, number>>({ ...Bytes, description: 'sectors, by store' }),
      row_hits: Type.Number({ minimum: 0, description: 'column commands to a row that was open' }),
      activates: Type.Number({ minimum: 0 }),
      read_commands: Type.Number({ minimum: 0 }),
      write_commands: Type.Number({ minimum: 0 }),
      extra_activate_J: Type.Number({
        minimum: 0,
        description: 'for rows opened more often than once for all that they hold; part of the energy of DRAM',
      }),
      dram_command_J: Type.Unsafe<Record<string, number>>({
        ...Bytes,
        description: 'of the memory devices alone, by command, from the DRAM table',
      }),
    },
    { description: 'cache and DRAM with state, under event' },
  ),
);

/** Of launches that are laid on arrays of processing elements. */
const arrays = Type.Optional(Type.Array(OccupancySchema));

export const OpResultSchema = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    kind: Type.String(),
    phase: Type.Optional(Type.String()),
    kernel: Type.String(),
    tile: Type.Record(Type.String(), Type.Number()),
    repeat: Type.Integer({ minimum: 1 }),
    ...common,
    bound_s: Type.Number({ exclusiveMinimum: 0, description: 'time no schedule can beat' }),
    clock_Hz: Type.Number({ exclusiveMinimum: 0 }),
    busy_s: Type.Unsafe<Record<string, number>>({
      ...Bytes,
      description: 'busy time of each resource, spread evenly over cores',
    }),
    memory: MemorySchema,
    arrays,
    streamed_B: Type.Optional(Type.Number({ minimum: 0, description: 'copied from the host for it (--offload)' })),
    wait_s: Type.Optional(Type.Number({ minimum: 0, description: 'the part of time_s that it waits for such copies' })),
  },
  { description: 'figures are of one repeat' },
);
export type OpResult = Static<typeof OpResultSchema>;

export const SimulationSchema = Type.Object(
  {
    machine: Type.String(),
    workload: Type.String(),
    fidelity: Type.Union([Type.Literal('bound'), Type.Literal('steady'), Type.Literal('event')]),
    objective: Type.String(),
    launch: Type.Union([Type.Literal('graph'), Type.Literal('eager')]),
    devices: Type.Integer({ minimum: 1 }),
    ...common,
    bound_s: Type.Number({ exclusiveMinimum: 0 }),
    footprint_B: Type.Object({
      weights: Type.Number(),
      kv_cache: Type.Number(),
      activations: Type.Number(),
      gradients: Type.Optional(Type.Number()),
      optimiser: Type.Optional(Type.Number()),
      capacity: Type.Number(),
    }),
    produces: Type.Optional(
      Type.Object({ unit: Type.String(), count: Type.Number(), per_s: Type.Number(), energy_J_each: Type.Number() }),
    ),
    offload: Type.Optional(
      Type.Object(
        {
          what: Type.String(),
          share: Type.Number({ minimum: 0, maximum: 1, description: 'of what, away from the device' }),
          host_B: Type.Number({ minimum: 0 }),
          disk_B: Type.Number({ minimum: 0 }),
          staging_B: Type.Number({ description: 'room on the device for copies ahead of their ops' }),
          link_B_per_s: Type.Number({ exclusiveMinimum: 0 }),
          wait_s: Type.Number({ minimum: 0, description: 'the part of time_s that the device waits for copies' }),
        },
        { description: 'what lives on the host (--offload)' },
      ),
    ),
    phases: Type.Record(Type.String(), Type.Object({ time_s: Type.Number(), energy_J: Type.Number() })),
    ops: Type.Array(OpResultSchema),
    warnings: Type.Array(Type.String()),
  },
  { $id: 'simulate' },
);
export type Simulation = Static<typeof SimulationSchema>;

export const KernelSimulationSchema = Type.Object(
  {
    machine: Type.String(),
    kernel: Type.String(),
    tile: Type.Record(Type.String(), Type.Number()),
    fidelity: Type.Union([Type.Literal('bound'), Type.Literal('steady'), Type.Literal('event')]),
    ...common,
    bound_s: Type.Number({ exclusiveMinimum: 0 }),
    clock_Hz: Type.Number({ exclusiveMinimum: 0 }),
    busy_s: Type.Unsafe<Record<string, number>>(Bytes),
    memory: MemorySchema,
    arrays,
    launches: Type.Array(
      Type.Object({
        program: Type.String(),
        time_s: Type.Number(),
        workgroups: Type.Optional(Type.Integer()),
        resident_per_core: Type.Optional(Type.Integer()),
        limited_by: Type.Optional(Type.String()),
        waves: Type.Optional(Type.Number()),
      }),
    ),
    tried: Type.Integer({ minimum: 0, description: 'candidates the mapper evaluated' }),
    stalls_s: Type.Optional(Type.Record(Type.String(), Type.Number())),
    warnings: Type.Array(Type.String()),
  },
  { $id: 'kernel' },
);
export type KernelSimulation = Static<typeof KernelSimulationSchema>;
