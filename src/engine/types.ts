/** What goes into and comes out of an engine, the same for every fidelity. */
import type { TensorKind } from '../kernel/ir.js';
import type { LaunchMode } from './launch.js';
import type { NestResult } from './nest/types.js';

export const FIDELITIES = ['bound', 'steady', 'event'] as const;
export type Fidelity = (typeof FIDELITIES)[number];

/** The circumstances of a launch that are not in the program or the machine. */
export interface Context {
  /**
   * Bytes the machine has touched since each kind of tensor was last touched (its reuse distance): a cache larger
   * than that still holds it. Infinity: cold. Scratch tensors are always what the preceding launch left.
   */
  readonly reuse_B: Readonly<Record<TensorKind, number>>;
  readonly launch: LaunchMode;
  /** Runs at this clock; without it the highest at which power stays within the cap. */
  readonly clock_Hz?: number;
}

export const COLD: Context = {
  reuse_B: {
    weight: Number.POSITIVE_INFINITY,
    activation: Number.POSITIVE_INFINITY,
    kv: Number.POSITIVE_INFINITY,
    index: Number.POSITIVE_INFINITY,
  },
  launch: 'graph',
};

/** Bytes per store id, by direction. */
export interface Traffic {
  read_B: number;
  write_B: number;
}

/** Energy by part; keys: matrix, vector, register, shared, l1, l2, dram, link, static (only those that apply). */
export type EnergyByPart = Record<string, number>;

/** What a far cache and a DRAM with state did. Cache counts are of sectors. */
export interface MemoryDetail {
  readonly channels: number;
  /** Fewer than `channels`: these stand for all, and the counts below are scaled up. */
  readonly channels_simulated: number;
  /** Lines and bursts that were worked through one by one. */
  readonly requests: number;
  /** By store. */
  readonly hits: Readonly<Record<string, number>>;
  readonly misses: Readonly<Record<string, number>>;
  readonly row_hits: number;
  readonly activates: number;
  readonly read_commands: number;
  readonly write_commands: number;
  /** For rows opened more often than once for all that they hold: beyond what the bytes of a stream take. */
  readonly extra_activate_J: number;
  /** Of the memory devices alone: activate, read, write, refresh. */
  readonly dram_command_J: Readonly<Record<string, number>>;
}

/** Result of one launch, or of several in sequence. SI units. */
export interface RunResult {
  readonly fidelity: Fidelity;
  /** What a user waits: launch, start and drain included. */
  readonly time_s: number;
  /** The part of time_s that is launch, start and drain, whatever the kernel does. */
  readonly launch_s: number;
  readonly energy_J: number;
  readonly energy_by_part_J: EnergyByPart;
  readonly power_W: number;
  readonly clock_Hz: number;
  /** Multiply and add each count; padding, recomputation and masked work included. */
  readonly flops_executed: number;
  /** At explicit copies, gathers, scatters: both ends, by store. */
  readonly requested_B: Record<string, Traffic>;
  /** After sectors, caches and overfetch, by store. */
  readonly moved_B: Record<string, Traffic>;
  /** The resource or dependence that sets the pace: matrix, vector, special, shared, l2, dram, latency, issue, launch, dispatch, tail, link. */
  readonly bound_by: string;
  /** Busy time of each resource over the kernel, for "what limits next". */
  readonly busy_s: Record<string, number>;
  readonly detail?: RunDetail;
  /** Where the launch is laid on arrays: counts, cycles and energy of its nests. */
  readonly nest?: NestResult;
  /** Under `event` with cache and DRAM modelled with state. */
  readonly memory?: MemoryDetail;
}

/** How a launch lay on the machine. */
export interface RunDetail {
  readonly workgroups: number;
  readonly resident_per_core: number;
  readonly limited_by: string;
  readonly waves: number;
}
