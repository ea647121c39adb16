/**
 * A GPU in its natural terms. Rates per cycle are per SM unless said otherwise; latencies are unloaded, from the load's
 * issue on the SM to its use, in cycles of the nominal clock.
 */
import { type Static, Type } from '@sinclair/typebox';
import { DTYPES, type DType } from '../base/dtype.js';
import { Quantity } from './quantity.js';
import { UncertaintySchema } from './uncertainty.js';

const strict = { additionalProperties: false };
const DTypeSchema = Type.Unsafe<DType>(Type.String({ enum: [...DTYPES] }));
/** Names inside a description: what a path or a formula can say. */
export const NAME_PATTERN = '^[a-z][a-z0-9_]*$';

const count = (what: string) => Quantity('count', what, { integer: true });

const Sm = Type.Object(
  {
    count: count('streaming multiprocessors'),
    per_cluster: count('SMs that share a processing cluster (TPC)'),
    warp: count('threads that execute in lockstep'),
    schedulers: count('warp schedulers, each issuing at most one instruction a cycle'),
    co_issue: Type.Optional(
      Quantity('ratio', 'share of vector work that other warps hide behind matrix instructions', {
        sign: 'nonnegative',
        max: 1,
      }),
    ),
    multicast: Type.Optional(count('SMs of a thread block cluster that one read of L2 can serve')),
    max_blocks: count('resident thread blocks'),
    max_threads: count('resident threads'),
    max_threads_per_block: count('threads of one block'),
    registers: Quantity('bytes', 'register file'),
    max_registers_per_thread: Quantity('bytes', 'registers one thread can address'),
    register_granule: Quantity('bytes', 'unit in which a thread gets registers'),
    block_start: Quantity('cycles', 'set-up of a thread block on its SM', { sign: 'nonnegative' }),
    barrier: Quantity('cycles', 'barrier among the warps of a block'),
  },
  strict,
);

const Clock = Type.Object(
  {
    base: Quantity('frequency', 'guaranteed clock'),
    boost: Quantity('frequency', 'highest clock; what an SM runs at when power allows: the nominal clock of the model'),
    rated: Quantity('frequency', 'clock that the datasheet’s peak rates imply'),
    sustained: Type.Optional(Quantity('frequency', 'clock seen in long dense work under the power cap')),
    min: Quantity('frequency', 'lowest clock under load'),
    voltage_floor: Quantity('ratio', 'V(f)/V(boost) = floor + (1 − floor)·f/boost', { sign: 'nonnegative', max: 1 }),
  },
  strict,
);

const Tensor = Type.Object(
  {
    a: DTypeSchema,
    b: DTypeSchema,
    acc: DTypeSchema,
    macs_per_cycle: Quantity('per_cycle', 'dense multiply–accumulates'),
    sparse_2_4: Type.Boolean({ description: 'twice that with 2:4 sparse operands' }),
    m: count('rows of the instruction'),
    n: count('columns of the instruction'),
    k: count('reduction of the instruction'),
    n_step: Type.Optional(count('the instruction also exists for every multiple of this up to n')),
    threads: count('threads that issue it together'),
    latency: Quantity('cycles', 'from issue to a dependent issue'),
    operands: Type.Union([Type.Literal('register'), Type.Literal('shared')]),
    accumulator: Type.Union([Type.Literal('register'), Type.Literal('own')]),
  },
  strict,
);

const MathClass = Type.Object(
  {
    per_cycle: Quantity('per_cycle', 'scalar results'),
    pipe: Type.String({ pattern: NAME_PATTERN, description: 'pipe whose time it takes' }),
  },
  strict,
);

/** Math functions by name, or name_dtype for a rate of its own: fma, fma_fp16. */
const MathTable = Type.Record(Type.String({ pattern: NAME_PATTERN }), MathClass, strict);

const Energy = Type.Object(
  {
    activity: Quantity('ratio', 'bits that toggle in typical data, relative to random bits', {
      sign: 'nonnegative',
      max: 1,
    }),
    mac: Type.Record(
      Type.String({ pattern: NAME_PATTERN }),
      Quantity('energy_per_action', 'tensor-core multiply–accumulate by operand dtype, register operands included'),
      strict,
    ),
    op: Type.Record(
      Type.String({ pattern: NAME_PATTERN }),
      Quantity('energy_per_action', 'scalar result by math class or else by pipe, instruction and registers included'),
      strict,
    ),
    register: Quantity('energy_per_byte', 'register file, explicit moves'),
    shared: Quantity('energy_per_byte', 'shared memory array and its crossbar, random data'),
    shared_control: Quantity('energy_per_byte', 'instructions that move shared memory to registers, at 16 B a lane'),
    l1: Quantity('energy_per_byte', 'L1 data, random bits'),
    l1_control: Quantity('energy_per_byte', 'L1 tags, coalescer and load instructions'),
    l2: Quantity('energy_per_byte', 'L2 data, random bits'),
    l2_control: Quantity('energy_per_byte', 'L2 tags, crossbar requests'),
    dram: Quantity('energy_per_byte', 'DRAM, its interface and controller: data, random bits'),
    dram_control: Quantity('energy_per_byte', 'DRAM activation, commands, controller'),
    peer: Quantity('energy_per_byte', 'link to other devices'),
    host: Quantity('energy_per_byte', 'link to the host'),
    static: Quantity('power', 'board power at work that no action explains'),
  },
  strict,
);

const L1 = Type.Object(
  {
    capacity: Quantity('bytes', 'L1 and shared memory together, per SM'),
    bandwidth: Quantity('bytes_per_cycle', 'loads'),
    latency: Quantity('cycles', 'of a hit'),
    line: Quantity('bytes', 'line'),
    sector: Quantity('bytes', 'sector'),
    in_flight: Quantity('bytes', 'misses one SM can have outstanding'),
  },
  strict,
);

const Shared = Type.Object(
  {
    capacity: Quantity('bytes', 'most of the pool that blocks can have, per SM'),
    per_block: Quantity('bytes', 'most that one block can have'),
    reserved: Quantity('bytes', 'kept by the system per block', { sign: 'nonnegative' }),
    bandwidth: Quantity('bytes_per_cycle', 'per SM'),
    latency: Quantity('cycles', 'of a load'),
    banks: count('banks'),
    async_copy: Type.Boolean({ description: 'copies from L2 reach it without passing registers' }),
  },
  strict,
);

const L2 = Type.Object(
  {
    capacity: Quantity('bytes', 'whole device'),
    bandwidth: Quantity('bytes_per_cycle', 'reads, whole device, as measured when all SMs stream'),
    write_bandwidth: Quantity('bytes_per_cycle', 'writes, whole device'),
    port: Quantity('bytes_per_cycle', 'one SM’s port'),
    latency: Quantity('cycles', 'of a hit in the near part'),
    far_extra: Type.Optional(Quantity('cycles', 'more for a hit in the far part')),
    far_share: Type.Optional(Quantity('ratio', 'accesses that go to the far part', { max: 1 })),
    line: Quantity('bytes', 'line'),
    sector: Quantity('bytes', 'sector'),
    slices: count('slices that addresses are hashed over'),
  },
  strict,
);

const Dram = Type.Object(
  {
    type: Type.String({ description: 'HBM2e, GDDR6, …' }),
    capacity: Quantity('bytes', 'usable'),
    bandwidth: Quantity('bandwidth', 'pin bandwidth'),
    latency: Quantity('cycles', 'of a load that misses all caches'),
    achievable: Quantity('ratio', 'of the pin bandwidth that long streams in one direction reach', { max: 1 }),
    achievable_mixed: Quantity('ratio', 'the same with as many reads as writes', { max: 1 }),
    burst: Quantity('bytes', 'least transfer'),
    banks: count('banks of a channel'),
    channels: count('independent channels'),
  },
  strict,
);

const Peer = Type.Object(
  {
    name: Type.String({ description: 'NVLink 4, PCIe 4, …' }),
    bandwidth: Quantity('bandwidth', 'per direction'),
    latency: Quantity('time', 'of a small message, one way'),
    max_devices: count('devices one system joins'),
  },
  strict,
);

const Host = Type.Object(
  {
    name: Type.String(),
    bandwidth: Quantity('bandwidth', 'per direction'),
    achievable: Type.Optional(Quantity('ratio', 'of the bandwidth that long copies reach; 1 when absent', { max: 1 })),
    latency: Quantity('time', 'of a small transfer'),
    memory: Type.Optional(
      Type.Object(
        {
          capacity: Quantity('bytes', 'for one device'),
          bandwidth: Quantity('bandwidth', 'for one device'),
        },
        strict,
      ),
    ),
    disk: Type.Optional(
      Type.Object(
        {
          name: Type.String(),
          capacity: Quantity('bytes', 'for one device'),
          bandwidth: Quantity('bandwidth', 'long reads, for one device'),
          write_bandwidth: Quantity('bandwidth', 'long writes, for one device'),
          latency: Quantity('time', 'of a small read'),
        },
        strict,
      ),
    ),
  },
  strict,
);

const Launch = Type.Object(
  {
    graph: Quantity('time', 'between kernels of a captured graph', { sign: 'nonnegative' }),
    eager: Quantity('time', 'between kernels launched one by one', { sign: 'nonnegative' }),
    start: Quantity('time', 'from a kernel’s start to its first instruction', { sign: 'nonnegative' }),
    drain: Quantity('time', 'from the last store to the end being seen', { sign: 'nonnegative' }),
    dispatch_interval: Quantity('time', 'between dispatched thread blocks, whole device', { sign: 'nonnegative' }),
  },
  strict,
);

export const GpuSchema = Type.Object(
  {
    family: Type.Literal('gpu'),
    name: Type.String({ pattern: '^[a-z0-9][a-z0-9._-]*$' }),
    title: Type.String({ minLength: 1 }),
    architecture: Type.String(),
    process: Type.String({ description: 'manufacturing process' }),
    sm: Sm,
    clock: Clock,
    tensor: Type.Record(Type.String({ pattern: NAME_PATTERN }), Tensor, strict),
    tensor_memory: Type.Optional(Quantity('bytes', 'the tensor cores’ own accumulator store, per SM')),
    vector: MathTable,
    pipe_latency: Type.Record(
      Type.String({ pattern: NAME_PATTERN }),
      Quantity('cycles', 'of a pipe, from an instruction to a dependent one'),
      strict,
    ),
    l1: L1,
    shared: Shared,
    l2: L2,
    dram: Dram,
    peer: Peer,
    host: Host,
    launch: Launch,
    energy: Energy,
    tdp: Quantity('power', 'board power limit'),
    price: Type.Optional(Quantity('price', 'of one board or module')),
    die_area: Type.Optional(Quantity('area', 'all compute dies')),
    uncertainty: Type.Optional(UncertaintySchema),
  },
  { ...strict, $id: 'gpu', title: 'GPU' },
);
export type Gpu = Static<typeof GpuSchema>;
