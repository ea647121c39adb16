/**
 * A CPU as a compute device: workers that each run one workgroup at a time, its groups of lanes one after another as
 * vector instructions (Mesa's lavapipe, other software devices). Rates are per core; cycles are of the clock.
 */
import { type Static, Type } from '@sinclair/typebox';
import { NAME_PATTERN } from './gpu-schema.js';
import { Quantity } from './quantity.js';
import { UncertaintySchema } from './uncertainty.js';

const strict = { additionalProperties: false };
const count = (what: string) => Quantity('count', what, { integer: true });
const cycles = (what: string) => Quantity('cycles', what, { sign: 'nonnegative' });

const Core = Type.Object(
  {
    count: count('cores that run workgroups at once'),
    simd: count('lanes of one vector instruction: a group'),
    serial: Quantity('ratio', 'share of arithmetic or loads, whichever takes less, that adds to the other’s time', {
      sign: 'nonnegative',
      max: 1,
    }),
    max_lanes_per_workgroup: count('lanes of a workgroup'),
    workgroup_start: cycles('set-up of a workgroup'),
    group_start: cycles('the same for each of its groups'),
    barrier: cycles('barrier of a workgroup'),
    group_barrier: cycles('the same for each of its groups: its state is put aside and taken up again'),
    turn: cycles('of a group for a turn of a loop'),
    place: cycles('of a group to enter a loop in which a lane’s row, or its column, says where it loads and stores'),
    registers: Quantity('bytes', 'register tiles of one lane; more than the register file holds spills to the stack'),
  },
  strict,
);

const Vector = Type.Record(
  Type.String({ pattern: NAME_PATTERN }),
  Type.Object({ per_cycle: Quantity('per_cycle', 'scalar results') }, strict),
  strict,
);

/** Loads and stores of a group. Each lane's word is fetched on its own. */
const Access = {
  bandwidth: Quantity('bytes_per_cycle', 'loads of 16 bytes a lane'),
  store_bandwidth: Quantity('bytes_per_cycle', 'stores of 16 bytes a lane'),
  access: cycles('a group’s load of one word a lane'),
  store_access: cycles('a group’s store of one word a lane'),
};
const meeting = Type.Object(Access, {
  ...strict,
  description: 'the same in loops with barriers: what a group works with is in memory, not in registers',
});

const Shared = Type.Object(
  {
    ...Access,
    capacity: Quantity('bytes', 'workgroup memory of one workgroup'),
    meeting,
    latency: cycles('of a dependent load'),
    broadcast: Type.Boolean({ description: 'lanes that read the same word share one fetch' }),
  },
  strict,
);

const Memory = Type.Object(
  {
    ...Access,
    meeting,
    atomics: Quantity('per_cycle', 'atomic additions, each lane its own word'),
    atomics_same: Quantity('per_cycle', 'atomic additions of all lanes on one word'),
  },
  strict,
);

const Cache = Type.Object(
  {
    capacity: Quantity('bytes', 'one instance'),
    latency: cycles('of a dependent load'),
    bandwidth: Quantity('bytes_per_cycle', 'streaming loads of a core'),
    of: Type.Union([Type.Literal('core'), Type.Literal('machine')], { description: 'whose it is' }),
  },
  strict,
);

const Dram = Type.Object(
  {
    capacity: Quantity('bytes', 'that tensors can have'),
    latency: Quantity('time', 'of a dependent load'),
    bandwidth: Quantity('bandwidth', 'streaming loads of all cores'),
    line: Quantity('bytes', 'transfer unit'),
  },
  strict,
);

export const CpuSchema = Type.Object(
  {
    family: Type.Literal('cpu'),
    name: Type.String({ pattern: '^[a-z0-9][a-z0-9._-]*$' }),
    title: Type.String({ minLength: 1 }),
    device: Type.String({ description: 'adapter and driver' }),
    core: Core,
    clock: Type.Object({ nominal: Quantity('frequency', 'clock that cycles are counted in') }, strict),
    vector: Vector,
    latency: Type.Object(
      { vector: cycles('of plain arithmetic, to a dependent one'), special: cycles('of functions') },
      strict,
    ),
    shared: Shared,
    memory: Memory,
    caches: Type.Record(Type.String({ pattern: NAME_PATTERN }), Cache, {
      ...strict,
      description: 'near to far: l1, l2, …',
    }),
    dram: Dram,
    launch: Type.Object(
      {
        graph: Quantity('time', 'between dispatches of one submission', { sign: 'nonnegative' }),
        eager: Quantity('time', 'of a submission of one dispatch', { sign: 'nonnegative' }),
      },
      strict,
    ),
    power: Type.Object(
      { static: Quantity('power', 'drawn at work, whatever runs'), cap: Quantity('power', 'power limit') },
      strict,
    ),
    uncertainty: Type.Optional(UncertaintySchema),
  },
  { ...strict, $id: 'cpu', title: 'CPU' },
);
export type Cpu = Static<typeof CpuSchema>;
