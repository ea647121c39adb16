/**
 * A DRAM system in plain numbers: what tables (table.ts) and parameter files of others (ini.ts) become, and all that
 * the model reads. Times are in cycles of the command clock unless their name says otherwise.
 */
import { InputError } from '../../../base/errors.js';
import type { Command } from './commands.js';
import { REACH } from './cycles.js';

/** Cycles. JEDEC's names; RL and WL include additive latency, BL is the burst on the data bus. */
export const TIMINGS = [
  'BL',
  'RL',
  'WL',
  'tRCDRD',
  'tRCDWR',
  'tRP',
  'tRAS',
  'tRC',
  'tRTP',
  'tWR',
  'tWTR_S',
  'tWTR_L',
  'tCCD_S',
  'tCCD_L',
  'tRRD_S',
  'tRRD_L',
  'tFAW',
  't32AW',
  'tRTRS',
  'tPPD',
  'tRFC',
  'tREFI',
  'tRFCpb',
  'tREFIpb',
  'tRREFD',
] as const;
export type Timing = (typeof TIMINGS)[number];
/** Constraints that some standards lack; 0 stands for none. */
export const OPTIONAL_TIMINGS = ['t32AW', 'tPPD', 'tRFCpb', 'tREFIpb', 'tRREFD'] as const satisfies Timing[];

export interface Organisation {
  /** Independent channels (or pseudo-channels). */
  readonly channels: number;
  readonly ranks: number;
  /** Per rank. */
  readonly bankgroups: number;
  readonly banks_per_group: number;
  readonly rows: number;
  /** Bursts that one open row holds. */
  readonly bursts_per_row: number;
  /** Bytes of one burst over the whole channel. */
  readonly burst_B: number;
}

export const PAGE_POLICIES = ['open', 'closed'] as const;
/** none; all_bank: rank after rank, evenly spread; together: all ranks at once; per_bank: bank after bank. */
export const REFRESH_POLICIES = ['none', 'all_bank', 'together', 'per_bank'] as const;
/**
 * Row and column commands on a bus each (HBM). both: one of either kind in a cycle; next_ready: the second only if the
 * next bank in turn that is ready has one of the other kind, as DRAMsim3 does.
 */
export const DUAL_COMMANDS = ['none', 'next_ready', 'both'] as const;
export const BANK_HASHES = ['none', 'row_xor'] as const;
export const CHANNEL_HASHES = ['none', 'turn'] as const;

export interface Controller {
  /** Fields of an address from high to low, two letters each: ro, ra, ch, ba, bg, co. */
  readonly mapping: string;
  /** Aligned bytes that the fields above do not split: a power of two of bursts, within a row. */
  readonly interleave_B: number;
  /** turn: pieces go round the channels, each round starting at one that depends on the round: no stride stays on a few. */
  readonly channel_hash: (typeof CHANNEL_HASHES)[number];
  /** row_xor: low bits of the row are added into bank and bank group, so that equal banks of rows spread. */
  readonly bank_hash: (typeof BANK_HASHES)[number];
  readonly page: (typeof PAGE_POLICIES)[number];
  readonly refresh: (typeof REFRESH_POLICIES)[number];
  /**
   * Column commands to one row after which it may be closed for an older request, though younger ones hit it; while
   * closing it is not legal yet (tRAS, tRTP), they still go.
   */
  readonly row_hit_limit: number;
  /** Requests that wait at each bank, and in the read queue and the write buffer before them. */
  readonly bank_queue: number;
  readonly read_queue: number;
  readonly write_buffer: number;
  /** Writes are also drained when more than this wait and the banks' queues are empty. */
  readonly write_low: number;
  readonly dual_command: (typeof DUAL_COMMANDS)[number];
  /** Requests to the same aligned piece of this many bytes are merged. */
  readonly merge_B: number;
}

/** Joules per command of one channel (all devices of the rank) and watts of one rank beside them. */
export interface CommandEnergy {
  readonly activate_J: number;
  readonly read_J: number;
  readonly write_J: number;
  readonly refresh_J: number;
  readonly refresh_bank_J: number;
  /** Per rank, with a row open somewhere and with none. */
  readonly active_W: number;
  readonly idle_W: number;
}

export interface DramSpec {
  readonly name: string;
  readonly protocol: string;
  /** Period of the command clock. */
  readonly tCK_s: number;
  readonly organisation: Organisation;
  readonly timing: Readonly<Record<Timing, number>>;
  readonly controller: Controller;
  readonly energy: CommandEnergy;
}

export const banksOf = (o: Organisation): number => o.ranks * o.bankgroups * o.banks_per_group;

/** Pin bandwidth of all channels: a burst every BL cycles. */
export function peakBandwidth_B_per_s({ organisation: o, timing, tCK_s }: DramSpec): number {
  return (o.channels * o.burst_B) / (timing.BL * tCK_s);
}

/** @throws InputError when numbers contradict each other; `place` is the file they came from. */
export function checkSpec(spec: DramSpec, place: string): DramSpec {
  const fail = (what: string): never => {
    throw new InputError(what, place);
  };
  const { organisation, timing, controller } = spec;
  for (const [name, value] of Object.entries(organisation))
    if (!Number.isSafeInteger(value) || value < 1) fail(`${name} is ${value}, expected a whole number from 1`);
  for (const name of ['ranks', 'bankgroups', 'banks_per_group', 'rows', 'bursts_per_row', 'burst_B'] as const)
    if (!Number.isInteger(Math.log2(organisation[name])))
      fail(`${name} is ${organisation[name]}; addresses are split by bits, so it must be a power of two`);
  const { interleave_B } = controller;
  const pieces = interleave_B / organisation.burst_B;
  if (!(pieces >= 1 && pieces <= organisation.bursts_per_row && Number.isInteger(Math.log2(pieces))))
    fail(`interleave of ${interleave_B} B, expected 1, 2, 4 … bursts of ${organisation.burst_B} B within a row`);
  if (organisation.bankgroups * organisation.banks_per_group > 32)
    fail(`${organisation.bankgroups} × ${organisation.banks_per_group} banks in a rank; at most 32 are modelled`);
  for (const name of TIMINGS) {
    const least = (OPTIONAL_TIMINGS as readonly string[]).includes(name) || name === 'tRTRS' ? 0 : 1;
    if (!Number.isSafeInteger(timing[name]) || timing[name] < least)
      fail(`${name} is ${timing[name]} cycles, expected a whole number from ${least}`);
    if (timing[name] > REACH / 2) fail(`${name} is ${timing[name]} cycles, expected ${REACH / 2} at most`);
  }
  if (timing.tRC < timing.tRAS + timing.tRP) fail(`tRC (${timing.tRC}) is below tRAS + tRP`);
  if (controller.refresh !== 'none' && timing.tREFI <= timing.tRFC)
    fail(`tREFI (${timing.tREFI}) is not above tRFC (${timing.tRFC}): the memory would only refresh`);
  if (controller.refresh === 'per_bank' && (timing.tRFCpb < 1 || timing.tREFIpb < 1))
    fail('refresh bank by bank needs tRFCpb and tREFIpb');
  if (!(spec.tCK_s > 0)) fail(`the clock's period is ${spec.tCK_s} s, expected a positive time`);
  return spec;
}

/** The commands that a controller gives. */
export function commandsOf({ page, refresh }: Controller): Command[] {
  const columns: Command[] = page === 'closed' ? ['RDA', 'WRA'] : ['RD', 'WR'];
  const refreshes: Command[] = refresh === 'none' ? [] : refresh === 'per_bank' ? ['REFpb'] : ['REF'];
  return ['ACT', 'PRE', ...columns, ...refreshes];
}
