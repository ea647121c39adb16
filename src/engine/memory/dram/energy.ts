/**
 * Energy per command from supply currents: the current beyond standby, over the time the command takes, at VDD, of all
 * devices of a rank (Micron TN-40-07, "Calculating memory power for DDR4 SDRAM"; the same sums as DRAMsim3).
 */
import type { ChannelCounts } from './channel.js';
import type { CommandEnergy, DramSpec, Timing } from './spec.js';

/** Amperes per device at `VDD_V`. IDD5AB and IDD5PB: refresh of all banks and of one. */
export interface Currents {
  readonly VDD_V: number;
  readonly IDD0_A: number;
  readonly IDD2N_A: number;
  readonly IDD3N_A: number;
  readonly IDD4R_A: number;
  readonly IDD4W_A: number;
  readonly IDD5AB_A: number;
  readonly IDD5PB_A: number;
}

type Times = Readonly<Pick<Record<Timing, number>, 'BL' | 'tRC' | 'tRAS' | 'tRP' | 'tRFC' | 'tRFCpb'>>;

/** `devices`: of a rank. Refresh of a bank is never charged less than standby. */
export function energyOfCurrents(c: Currents, t: Times, tCK_s: number, devices: number): CommandEnergy {
  const power = c.VDD_V * devices;
  const unit = power * tCK_s;
  return {
    activate_J: unit * (c.IDD0_A * t.tRC - (c.IDD3N_A * t.tRAS + c.IDD2N_A * t.tRP)),
    read_J: unit * (c.IDD4R_A - c.IDD3N_A) * t.BL,
    write_J: unit * (c.IDD4W_A - c.IDD3N_A) * t.BL,
    refresh_J: unit * (c.IDD5AB_A - c.IDD3N_A) * t.tRFC,
    refresh_bank_J: unit * Math.max(0, c.IDD5PB_A - c.IDD3N_A) * t.tRFCpb,
    active_W: power * c.IDD3N_A,
    idle_W: power * c.IDD2N_A,
  };
}

export interface DramEnergy {
  readonly activate_J: number;
  readonly read_J: number;
  readonly write_J: number;
  readonly refresh_J: number;
  readonly background_J: number;
}

/** Energy of counted commands and of `cycles` cycles, `open_rank_cycles` of all ranks' with a row open. */
export function dramEnergy(
  spec: DramSpec,
  counts: ChannelCounts,
  open_rank_cycles: number,
  cycles: number,
): DramEnergy {
  const { energy: e, organisation, tCK_s } = spec;
  const rank_cycles = cycles * organisation.channels * organisation.ranks;
  return {
    activate_J: counts.activates * e.activate_J,
    read_J: counts.reads * e.read_J,
    write_J: counts.writes * e.write_J,
    refresh_J: counts.refreshes * e.refresh_J + counts.bank_refreshes * e.refresh_bank_J,
    background_J: tCK_s * (open_rank_cycles * e.active_W + (rank_cycles - open_rank_cycles) * e.idle_W),
  };
}

export const totalEnergy_J = (e: DramEnergy): number =>
  e.activate_J + e.read_J + e.write_J + e.refresh_J + e.background_J;
