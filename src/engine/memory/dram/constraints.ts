/**
 * Timing constraints as data: a command of `preceding` to a node of `level` forbids those of `following` to the same
 * node for `latency` cycles (to the other ranks of the channel where `sibling`). With `window` n the constraint holds
 * between a command and the n-th before it: no more than n of them in `latency` cycles.
 *
 * The rows follow JEDEC's command tables (DDR4: JESD79-4, read to write, write to read and refresh sections); the shape
 * is that of Ramulator 2's tables.
 */
import { CMD, COMMANDS, type Command } from './commands.js';
import type { Timing } from './spec.js';

export const LEVELS = ['rank', 'bankgroup', 'bank'] as const;
export type Level = (typeof LEVELS)[number];

export interface Constraint {
  readonly name: string;
  readonly level: Level;
  readonly preceding: readonly Command[];
  readonly following: readonly Command[];
  readonly latency: number;
  readonly sibling?: true;
  readonly window?: number;
}

const READS = ['RD', 'RDA'] as const;
const WRITES = ['WR', 'WRA'] as const;

/** The constraints of a device; `t` in cycles. Rows that do not bind (0 or fewer cycles) are left out. */
export function constraintsOf(t: Readonly<Record<Timing, number>>): Constraint[] {
  const write_end = t.WL + t.BL;
  const rows: Constraint[] = [
    // data bus and column path
    { name: 'tCCD_S', level: 'rank', preceding: READS, following: READS, latency: Math.max(t.BL, t.tCCD_S) },
    { name: 'tCCD_S', level: 'rank', preceding: WRITES, following: WRITES, latency: Math.max(t.BL, t.tCCD_S) },
    { name: 'tCCD_L', level: 'bankgroup', preceding: READS, following: READS, latency: Math.max(t.BL, t.tCCD_L) },
    { name: 'tCCD_L', level: 'bankgroup', preceding: WRITES, following: WRITES, latency: Math.max(t.BL, t.tCCD_L) },
    {
      name: 'read to write',
      level: 'rank',
      preceding: READS,
      following: WRITES,
      latency: t.RL + t.BL + t.tRTRS - t.WL,
    },
    { name: 'tWTR_S', level: 'rank', preceding: WRITES, following: READS, latency: write_end + t.tWTR_S },
    { name: 'tWTR_L', level: 'bankgroup', preceding: WRITES, following: READS, latency: write_end + t.tWTR_L },
    // the data bus is handed from rank to rank
    { name: 'tRTRS', level: 'rank', sibling: true, preceding: READS, following: READS, latency: t.BL + t.tRTRS },
    {
      name: 'tRTRS',
      level: 'rank',
      sibling: true,
      preceding: READS,
      following: WRITES,
      latency: t.RL + t.BL + t.tRTRS - t.WL,
    },
    {
      name: 'tRTRS',
      level: 'rank',
      sibling: true,
      preceding: WRITES,
      following: READS,
      latency: write_end + t.tRTRS - t.RL,
    },
    { name: 'BL', level: 'rank', sibling: true, preceding: WRITES, following: WRITES, latency: t.BL },
    // a bank's row
    { name: 'tRCDRD', level: 'bank', preceding: ['ACT'], following: READS, latency: t.tRCDRD },
    { name: 'tRCDWR', level: 'bank', preceding: ['ACT'], following: WRITES, latency: t.tRCDWR },
    { name: 'tRAS', level: 'bank', preceding: ['ACT'], following: ['PRE'], latency: t.tRAS },
    { name: 'tRC', level: 'bank', preceding: ['ACT'], following: ['ACT', 'REFpb'], latency: t.tRC },
    { name: 'tRTP', level: 'bank', preceding: ['RD'], following: ['PRE'], latency: t.tRTP },
    { name: 'tWR', level: 'bank', preceding: ['WR'], following: ['PRE'], latency: write_end + t.tWR },
    { name: 'tRP', level: 'bank', preceding: ['PRE'], following: ['ACT', 'REFpb'], latency: t.tRP },
    { name: 'tRTP + tRP', level: 'bank', preceding: ['RDA'], following: ['ACT', 'REFpb'], latency: t.tRTP + t.tRP },
    {
      name: 'tWR + tRP',
      level: 'bank',
      preceding: ['WRA'],
      following: ['ACT', 'REFpb'],
      latency: write_end + t.tWR + t.tRP,
    },
    // activations of a rank: peak current
    { name: 'tRRD_S', level: 'rank', preceding: ['ACT'], following: ['ACT'], latency: t.tRRD_S },
    { name: 'tRRD_L', level: 'bankgroup', preceding: ['ACT'], following: ['ACT'], latency: t.tRRD_L },
    { name: 'tFAW', level: 'rank', preceding: ['ACT'], following: ['ACT'], latency: t.tFAW, window: 4 },
    { name: 't32AW', level: 'rank', preceding: ['ACT'], following: ['ACT'], latency: t.t32AW, window: 32 },
    { name: 'tPPD', level: 'rank', preceding: ['PRE'], following: ['PRE'], latency: t.tPPD },
    // refresh of a rank, its banks being closed
    { name: 'tRC', level: 'rank', preceding: ['ACT'], following: ['REF'], latency: t.tRC },
    { name: 'tRP', level: 'rank', preceding: ['PRE'], following: ['REF'], latency: t.tRP },
    { name: 'tRTP + tRP', level: 'rank', preceding: ['RDA'], following: ['REF'], latency: t.tRTP + t.tRP },
    { name: 'tWR + tRP', level: 'rank', preceding: ['WRA'], following: ['REF'], latency: write_end + t.tWR + t.tRP },
    { name: 'tRFC', level: 'rank', preceding: ['REF'], following: ['ACT', 'REF', 'REFpb'], latency: t.tRFC },
    // refresh of a bank
    { name: 'tRFCpb', level: 'bank', preceding: ['REFpb'], following: ['ACT', 'REFpb'], latency: t.tRFCpb },
    { name: 'tRFCpb', level: 'rank', preceding: ['REFpb'], following: ['REF', 'REFpb'], latency: t.tRFCpb },
    { name: 'tRREFD', level: 'rank', preceding: ['REFpb'], following: ['ACT'], latency: t.tRREFD },
    { name: 'tRRD_S', level: 'rank', preceding: ['ACT'], following: ['REFpb'], latency: t.tRRD_S },
  ];
  return rows.filter((row) => row.latency > 0);
}

/** Constraints of one level by preceding command: pairs (following command, cycles), flat. */
export type Pairs = readonly Int32Array[];

export interface CompiledConstraints {
  readonly rank: Pairs;
  readonly bankgroup: Pairs;
  readonly bank: Pairs;
  /** To the other ranks. */
  readonly sibling: Pairs;
  /** Activation windows. */
  readonly windows: readonly { readonly size: number; readonly cycles: number }[];
}

/**
 * Tables for the simulator's inner loop. Of two rows on one pair of commands the longer stays; `given`: only these
 * commands are ever asked about.
 */
export function compileConstraints(
  rows: readonly Constraint[],
  given: readonly Command[] = COMMANDS,
): CompiledConstraints {
  const pairs = (keep: (row: Constraint) => boolean): Pairs =>
    COMMANDS.map((preceding) => {
      const latency = new Map<number, number>();
      for (const row of rows)
        if (row.window === undefined && keep(row) && row.preceding.includes(preceding))
          for (const f of row.following.filter((f) => given.includes(f)))
            latency.set(CMD[f], Math.max(row.latency, latency.get(CMD[f]) ?? 0));
      return Int32Array.from([...latency].sort(([a], [b]) => a - b).flat());
    });
  const of = (level: Level) => pairs((row) => row.level === level && !row.sibling);
  return {
    rank: of('rank'),
    bankgroup: of('bankgroup'),
    bank: of('bank'),
    sibling: pairs((row) => row.sibling === true),
    windows: rows.flatMap((row) => (row.window === undefined ? [] : [{ size: row.window, cycles: row.latency }])),
  };
}
