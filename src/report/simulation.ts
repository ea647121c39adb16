/**
 * What the report side reads: the JSON of `simulate` and `kernel`, structurally, so that files written by either do.
 * Figures of an op are of one repeat, and all are of one device.
 */
import type { Occupancy } from '../engine/nest/occupancy.js';
import type { EnergyByPart, Fidelity } from '../engine/types.js';

type PerStore = Readonly<Record<string, number>>;

interface Figures {
  readonly time_s: number;
  /** Nine in ten measured times should lie between. */
  readonly interval_s?: { readonly lo: number; readonly hi: number };
  readonly launch_s: number;
  readonly energy_J: number;
  readonly power_W: number;
  readonly flops: number;
  readonly flops_executed: number;
  /** Both directions together. */
  readonly requested_B: PerStore;
  readonly moved_B: PerStore;
  readonly bound_by: string;
  readonly roof_fraction: number;
  readonly bound_s?: number;
  readonly energy_by_part_J: EnergyByPart;
  readonly clock_Hz?: number;
  readonly busy_s?: PerStore;
  /** Of launches that are laid on arrays. */
  readonly arrays?: readonly Occupancy[];
}

export interface SimulationOp extends Figures {
  readonly name: string;
  readonly kind: string;
  readonly phase?: string;
  readonly kernel: string;
  readonly tile: Readonly<Record<string, number>>;
  readonly repeat: number;
}

export interface SimulationJson extends Figures {
  readonly machine: string;
  readonly workload?: string;
  readonly kernel?: string;
  readonly tile?: Readonly<Record<string, number>>;
  readonly fidelity: Fidelity;
  readonly devices?: number;
  /** What one replay makes, on all devices together. */
  readonly produces?: {
    readonly unit: string;
    readonly count: number;
    readonly per_s: number;
    readonly energy_J_each: number;
  };
  readonly warnings: readonly string[];
  readonly ops?: readonly SimulationOp[];
}

/** "m=128 n=256 k=64" */
export function tileText(tile: Readonly<Record<string, number>> | undefined): string {
  return Object.entries(tile ?? {})
    .map(([symbol, size]) => `${symbol}=${size}`)
    .join(' ');
}

/** A kernel by itself as a trace of one op; the ops of a trace otherwise. */
export function opsOf(sim: SimulationJson): readonly SimulationOp[] {
  if (sim.ops) return sim.ops;
  const name = sim.kernel ?? sim.workload ?? 'kernel';
  return [{ ...sim, name, kind: name, kernel: name, tile: sim.tile ?? {}, repeat: 1 }];
}
