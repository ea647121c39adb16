/**
 * The resource graph: what every machine family lowers to, and all that mapper and engine know of hardware.
 * Stores, links, units, cores with their residency limits, and control. No field names a family.
 *
 * Clocks: a resource with `clocked: true` runs from the core clock; its rates and latencies below hold at
 * `control.clock.nominal_Hz` and scale with it. Others (DRAM, device links) keep theirs.
 */
import type { DType } from '../base/dtype.js';

/** How many instances there are: one for the machine, one per core, or one per lane group of a core. */
export type Scope = 'machine' | 'core';

export interface Store {
  /** dram, l2, l1, shared, register, buffer, host, disk */
  readonly id: string;
  readonly scope: Scope;
  /** explicit: the program copies into it; cache: filled on the way; home: where tensors live; far: beyond, over a link. */
  readonly role: 'home' | 'cache' | 'explicit' | 'far';
  /** Per instance. */
  readonly capacity_B: number;
  /** Per instance and direction. */
  readonly read_B_per_s: number;
  readonly write_B_per_s: number;
  /** Reads and writes share one port: their busy times add. */
  readonly shared_port: boolean;
  readonly clocked: boolean;
  readonly latency_s: number;
  /** Farther half of a partitioned cache: extra latency, and the share of accesses that go there. */
  readonly far?: { readonly extra_latency_s: number; readonly share: number };
  /** Allocation unit and transfer unit. */
  readonly line_B: number;
  readonly sector_B: number;
  readonly banks: number;
  /** Independent slices or channels that addresses are hashed over. */
  readonly slices: number;
  /** Fraction of the bandwidth that long sequential streams reach. */
  readonly sustained_fraction: number;
  /** The same when as many bytes are written as read (bus turnaround); `sustained_fraction` when absent. */
  readonly mixed_fraction?: number;
  /** Stores of one pool share its capacity: what one is given, the others lack (shared memory and L1). */
  readonly pool?: { readonly id: string; readonly capacity_B: number };
  /** Port time of a lane group's access is at least this, however narrow; absent: bytes alone count. */
  readonly read_access_s?: number;
  readonly write_access_s?: number;
  /** All four in loops whose body holds a barrier: what groups work with is then put aside and taken up at each turn. */
  readonly meeting?: Required<Pick<Store, 'read_B_per_s' | 'write_B_per_s' | 'read_access_s' | 'write_access_s'>>;
  /** Lanes of a group that read the same word share one fetch; true when absent. */
  readonly broadcast?: boolean;
  /** Atomic updates that the machine makes; absent: as bytes read and written. */
  readonly atomics_per_s?: number;
  readonly read_pJ_per_B: number;
  readonly write_pJ_per_B: number;
  /** Kinds of operand it may hold, where it is built for some alone (a spad of weights); any when absent. */
  readonly holds?: readonly OperandRole[];
  /** How many there are in the machine, where that is not told by `scope` (a spad in each PE). */
  readonly instances?: number;
  /** One word, where words have one size whatever they hold; the element's own size when absent. */
  readonly word_B?: number;
  /** Energy of a partial result written back, where it differs from that of a write. */
  readonly update_pJ_per_B?: number;
  /** Leakage of one instance in use, beside the machine's `static_W`. */
  readonly leak_W?: number;
  /** Instances that are accessed as one: their energy is shared; 1 when absent. */
  readonly cluster?: number;
  /** Storage for the metadata of compressed tensors. */
  readonly metadata?: MetadataStore;
  /** Energy of one word that is compressed on its way out, or expanded on its way in. */
  readonly compress_pJ?: number;
  readonly expand_pJ?: number;
}

/** Beside a store's data: what tells where the elements that are kept belong. */
export interface MetadataStore {
  /** Per instance; Infinity when not a limit. */
  readonly capacity_bits: number;
  /** Bits of one access; 0: metadata takes no accesses. */
  readonly width_bits: number;
  /** Bits of one coordinate, run or pointer; absent: as many as its values need. */
  readonly word_bits?: number;
  /** Energy of one access. */
  readonly read_pJ: number;
  readonly write_pJ: number;
  readonly update_pJ: number;
}

/** What an operand is to the operation that uses it. */
export type OperandRole = 'input' | 'weight' | 'output';

/** Wires from one instance of an array's level to the places below it. */
export interface Network {
  /** Along this direction one word sent serves all who want it; otherwise it is sent to each. */
  readonly multicast: { readonly x: boolean; readonly y: boolean };
  /** Along this direction partial sums are added on the way, so that one word arrives. */
  readonly reduce: { readonly x: boolean; readonly y: boolean };
  /** Partial sums meet in a tree, ⌈log₂ places⌉ cycles deep; otherwise each place adds to its neighbour's, a cycle a place. */
  readonly tree?: boolean;
  /** Neighbours hand words on, a place a cycle (operands arrive skewed); otherwise all places get them at once. */
  readonly systolic: boolean;
  /** A place can take from a neighbour what that one took a step before, instead of from the level above. */
  readonly neighbours?: boolean;
  /** Energy of one byte over one hop. */
  readonly pJ_per_B: number;
}

/** A level of an array, as the loops of a nest bind to it. */
export interface ArrayLevel {
  readonly id: string;
  /** Ids of the stores, side by side, that each place of this level has; none: loops only spread here. */
  readonly stores: readonly string[];
  /** Places of the next nearer level (of arithmetic, for the nearest) below one place of this. */
  readonly fanout: { readonly x: number; readonly y: number };
  readonly network: Network;
}

/** Processing elements in rows and columns (or one row), with the levels from home store to arithmetic, far to near. */
export interface PeArray {
  /** The unit whose operations its elements do together; rates there are of the whole array. */
  readonly unit: string;
  readonly levels: readonly ArrayLevel[];
}

/** A connection between two stores (ids), or of a device to its peers (`to: 'peer'`). */
export interface Link {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  /** core: one instance per core. */
  readonly scope: Scope;
  readonly B_per_s: number;
  readonly latency_s: number;
  readonly clocked: boolean;
  readonly pJ_per_B: number;
  /** Bytes one core can have in flight over it (outstanding misses × line); Infinity when not a limit. */
  readonly in_flight_B: number;
  /** Links of one port share its time. */
  readonly port?: string;
  /** Store that the bytes pass on the way: lanes issue a load and a store for them. */
  readonly via?: string;
  /** Time of a lane group's access is at least this, however narrow; absent: bytes alone count. */
  readonly access_s?: number;
  /** Both in loops whose body holds a barrier. */
  readonly meeting?: { readonly B_per_s: number; readonly access_s: number };
}

/** A matrix instruction, per core. Rates are dense multiply–accumulates; `sparse_2_4` doubles them where it exists. */
export interface MmaOp {
  readonly a: DType;
  readonly b: DType;
  readonly acc: DType;
  readonly macs_per_cycle: number;
  readonly sparse_2_4: boolean;
  /** Native instruction tile; partial tiles are padded to it. */
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** The instruction also exists, at the same rate, for every multiple of this up to n; latency falls in proportion. */
  readonly n_step?: number;
  /** Lanes (threads) that issue it together. */
  readonly lanes: number;
  readonly latency_cycles: number;
  /** Where operands come from at issue: register (copied there from shared by each lane group) or shared, directly. */
  readonly operands: 'register' | 'shared';
  /** Where the accumulator lives: the core's registers, or a store of the matrix unit's own (then it takes no registers). */
  readonly accumulator: 'register' | 'own';
  readonly pJ_per_MAC: number;
}

/** Classes of scalar work. Kernels' math is expressed in these; each machine states a rate for every class it can do. */
export const MATH_FNS = [
  'fma',
  'add',
  'mul',
  'max',
  'select',
  'convert',
  'int',
  'exp2',
  'log2',
  'rcp',
  'div',
  'rsqrt',
  'sqrt',
  'sin',
  'tanh',
  'shuffle',
] as const;
export type MathFn = (typeof MATH_FNS)[number];

/**
 * Rows for which one pass over B's tile serves. Units with an accumulator of their own work in pairs: each core of a
 * pair holds half of B's columns and reads them for both (PTX ISA, tcgen05.mma with cta_group::2).
 */
export const rowsAtOnce = (op: MmaOp): number => op.m * (op.accumulator === 'own' ? 2 : 1);

/** Floating-point operations one scalar function counts as: a multiply and an add each count, moves and tests do not. */
export const FLOPS = {
  fma: 2,
  add: 1,
  mul: 1,
  max: 1,
  select: 0,
  convert: 0,
  int: 0,
  exp2: 1,
  log2: 1,
  rcp: 1,
  div: 1,
  rsqrt: 1,
  sqrt: 1,
  sin: 1,
  tanh: 1,
  shuffle: 0,
} as const satisfies Record<MathFn, number>;

export interface MathRate {
  /** Scalar results per cycle and core. */
  readonly per_cycle: number;
  readonly latency_cycles: number;
  readonly pJ: number;
  /** Pipe it occupies; functions of one pipe share its time. */
  readonly pipe: string;
  /** Where the unit does it as a sequence of another function's steps; rate and energy above hold all of them. */
  readonly sequence?: { readonly of: MathFn; readonly steps: number };
}

/** Where there is no divider: a reciprocal and a multiplication, at the pace of the slower; undefined without them. */
export function division(math: Readonly<Record<string, MathRate>>): MathRate | undefined {
  const { rcp, mul } = math;
  if (!rcp || !mul) return undefined;
  return {
    ...(rcp.per_cycle <= mul.per_cycle ? rcp : mul),
    latency_cycles: rcp.latency_cycles + mul.latency_cycles,
    pJ: rcp.pJ + mul.pJ,
  };
}

export interface Unit {
  readonly id: string;
  readonly mma: readonly MmaOp[];
  /** Rate of a function on a dtype: key `${fn}:${dtype}`; `${fn}` alone is the fallback. */
  readonly math: Readonly<Record<string, MathRate>>;
  /** Capacity per core of the unit's own accumulator store; absent when accumulators live in registers. */
  readonly accumulator_B?: number;
}

/** Lane groups that take turns on a core and do all themselves, one instruction after another: cycles of a group. */
export interface InOrder {
  /** A turn of a loop, besides what is in it. */
  readonly turn_cycles: number;
  /** Entering a loop in which a lane's own row or column says where accesses go, for each of the two. */
  readonly place_cycles: number;
}

/** A core and what may be resident on it. */
export interface Cores {
  readonly count: number;
  /** Cores that are scheduled together (e.g. two SMs of a TPC); 1 when not. */
  readonly cluster: number;
  /** Most cores that one read of a machine-wide cache can serve at once (multicast to a cluster); 1 when absent. */
  readonly multicast?: number;
  /** Lanes that execute in lockstep, and groups that can issue in one cycle. */
  readonly lane_group: number;
  readonly issue_groups: number;
  readonly max_workgroups: number;
  readonly max_lanes: number;
  readonly max_lanes_per_workgroup: number;
  readonly registers_B: number;
  /** The one store that what lanes work on and what they share are halves of, where they have no registers of their own. */
  readonly store?: string;
  readonly max_registers_per_lane_B: number;
  /** Register allocation granularity per lane. */
  readonly register_granule_B: number;
  /** Explicit near storage per core, per workgroup at most, and what the system keeps of it per workgroup. */
  readonly shared_B: number;
  readonly shared_per_workgroup_B: number;
  readonly shared_reserved_B: number;
  /**
   * Share of vector work that co-resident workgroups hide behind matrix instructions: 1 all of it, 0 they take turns.
   * 1 when absent.
   */
  readonly co_issue?: number;
  /**
   * Share of a workgroup's arithmetic or near loads, whichever takes less, that adds to the other's time: 0 they run side
   * by side, 1 one after the other. 0 when absent.
   */
  readonly serial?: number;
  /** Absent: instructions of a workgroup's groups overlap, and copies need no lanes but to ask for them. */
  readonly in_order?: InOrder;
  /** Bank of each instruction slot: instructions issued per cycle and core. */
  readonly issue_per_cycle: number;
}

export interface Control {
  /** Cost of a kernel's launch that its user waits for, from a captured graph or one by one from the host. */
  readonly launch_graph_s: number;
  readonly launch_eager_s: number;
  /** From the start of a kernel to its first instruction, and from the last store to the end being seen. */
  readonly kernel_start_s: number;
  readonly kernel_drain_s: number;
  /** Machine-wide interval between dispatched workgroups, and the set-up of one on its core. */
  readonly dispatch_interval_s: number;
  readonly workgroup_start_cycles: number;
  readonly barrier_cycles: number;
  /** Further cycles of both for each lane group of the workgroup, where groups take turns; 0 when absent. */
  readonly workgroup_start_group_cycles?: number;
  readonly barrier_group_cycles?: number;
  readonly clock: {
    readonly nominal_Hz: number;
    readonly min_Hz: number;
    /** Dynamic energy of clocked parts ∝ V²; V(f)/V(nominal) = floor + (1 − floor)·f/nominal. */
    readonly voltage_floor: number;
  };
  readonly power_cap_W: number;
  /** Power drawn whatever runs: leakage, idle clocks, fans and regulators. */
  readonly static_W: number;
}

export interface ResourceGraph {
  readonly name: string;
  readonly title: string;
  readonly family: string;
  /** Far to near: home store first; those beyond it, which programs reach over links only, last. */
  readonly stores: readonly Store[];
  readonly links: readonly Link[];
  readonly units: readonly Unit[];
  readonly cores: Cores;
  readonly control: Control;
  readonly price_USD?: number;
  readonly die_area_mm2?: number;
  /** Arrays that nests of loops are laid on; absent where cores run programs lane by lane. */
  readonly arrays?: readonly PeArray[];
  /** Kernels that the machine's control is made for, by family: the others only where these do not apply. */
  readonly runs?: Readonly<Record<string, readonly string[]>>;
  /** Most devices one system links together over the peer link. */
  readonly max_peers: number;
}

/** Finds a store by id; undefined when the machine has none. */
export function storeOf(machine: ResourceGraph, id: string): Store | undefined {
  return machine.stores.find((s) => s.id === id);
}

/** The store that shared tiles of a program live in: the farthest that programs fill themselves, unless it is a lane's. */
export function tileStoreOf(machine: ResourceGraph): Store | undefined {
  return machine.stores.find((s) => s.role === 'explicit' && s.id !== 'register' && s.instances === undefined);
}

/** Finds a link by its end points; undefined when the machine has none. */
export function linkOf(machine: ResourceGraph, from: string, to: string): Link | undefined {
  return machine.links.find((l) => l.from === from && l.to === to);
}

/** The rate of `fn` on `dtype` over all units, with the unit that does it; undefined when no unit can. */
export function mathRateOf(
  machine: ResourceGraph,
  fn: MathFn,
  dtype: DType,
): { unit: Unit; rate: MathRate } | undefined {
  for (const unit of machine.units) {
    const rate = unit.math[`${fn}:${dtype}`] ?? unit.math[fn];
    if (rate) return { unit, rate };
  }
  return undefined;
}

/** The rates of `fn` on `dtype` of all units that can, in their order. */
export function mathRatesOf(machine: ResourceGraph, fn: MathFn, dtype: DType): MathRate[] {
  return machine.units.flatMap((unit) => unit.math[`${fn}:${dtype}`] ?? unit.math[fn] ?? []);
}

/** The fastest matrix instruction for these dtypes, of at most so many lanes; undefined when the machine has none. */
export function mmaOf(
  machine: ResourceGraph,
  a: DType,
  b: DType,
  acc: DType,
  widest = Number.POSITIVE_INFINITY,
): { unit: Unit; op: MmaOp } | undefined {
  let best: { unit: Unit; op: MmaOp } | undefined;
  for (const unit of machine.units)
    for (const op of unit.mma)
      if (
        op.a === a &&
        op.b === b &&
        op.acc === acc &&
        op.lanes <= widest &&
        (!best || op.macs_per_cycle > best.op.macs_per_cycle)
      )
        best = { unit, op };
  return best;
}
