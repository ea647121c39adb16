/** Timing constraints: each is legal at t and illegal at t − 1; whole command streams obey them. */
import { describe, expect, test } from 'vitest';
import { CMD, COMMANDS } from '../../../src/engine/memory/dram/commands.js';
import { type Constraint, compileConstraints, constraintsOf } from '../../../src/engine/memory/dram/constraints.js';
import { banksOf, type DramSpec } from '../../../src/engine/memory/dram/spec.js';
import { DramSystem } from '../../../src/engine/memory/dram/system.js';
import { DeviceTiming } from '../../../src/engine/memory/dram/timing.js';
import { altered, numbers, quiet, TABLES, table } from './support.js';

/** Two ranks, so that constraints between ranks are met too. */
const twoRanks = (spec: DramSpec): DramSpec => ({ ...spec, organisation: { ...spec.organisation, ranks: 2 } });

interface Bank {
  readonly rank: number;
  readonly group: number;
  readonly bank: number;
}

const LEVEL_ORDER = { rank: 0, bankgroup: 1, bank: 2 } as const;

/** A bank that shares no more with bank 0 than the constraint's level. */
function neighbour({ level, sibling }: Constraint, { organisation: o }: DramSpec): Bank {
  const per_rank = o.bankgroups * o.banks_per_group;
  if (sibling) return { rank: 1, group: o.bankgroups, bank: per_rank };
  if (level === 'bank') return { rank: 0, group: 0, bank: 0 };
  if (level === 'bankgroup') return { rank: 0, group: 0, bank: 1 };
  return { rank: 0, group: 1, bank: o.banks_per_group };
}

describe.each(TABLES)('%s', (name) => {
  test('each constraint is legal at t and illegal at t − 1', async () => {
    const spec = twoRanks(await table(name));
    const rows = constraintsOf(spec.timing);
    let checked = 0;
    for (const row of rows.filter((r) => r.window === undefined))
      for (const preceding of row.preceding)
        for (const following of row.following) {
          const at = neighbour(row, spec);
          // where several rows meet, the longest holds
          const t = Math.max(
            ...rows
              .filter((r) => r.window === undefined && !r.sibling === !row.sibling)
              .filter((r) => row.sibling || LEVEL_ORDER[r.level] <= LEVEL_ORDER[row.level])
              .filter((r) => r.preceding.includes(preceding) && r.following.includes(following))
              .map((r) => r.latency),
          );
          const device = new DeviceTiming(compileConstraints(rows), spec.organisation);
          const start = 1000;
          device.issue(CMD[preceding], 0, 0, 0, start);
          const legal = (cycle: number) => cycle >= device.earliest(CMD[following], at.rank, at.group, at.bank);
          const what = `${row.name}: ${preceding} to ${following} after ${t}`;
          expect(legal(start + t), what).toBe(true);
          expect(legal(start + t - 1), what).toBe(false);
          expect(t, what).toBeGreaterThanOrEqual(row.latency);
          checked++;
        }
    expect(checked).toBeGreaterThan(60);
  });

  test('windows: the activation after n is legal at t and illegal at t − 1', async () => {
    const spec = await table(name);
    const rows = constraintsOf(spec.timing);
    for (const { window, latency } of rows.filter((r) => r.window !== undefined)) {
      const device = new DeviceTiming(compileConstraints(rows.filter((r) => r.window === window)), spec.organisation);
      for (let i = 0; i < window!; i++) {
        expect(device.earliest(CMD.ACT, 0, 0, 0)).toBeLessThanOrEqual(100 + i);
        device.issue(CMD.ACT, 0, 0, 0, 100 + i);
      }
      expect(device.earliest(CMD.ACT, 0, 0, 0)).toBe(100 + latency);
    }
  });
});

interface Logged {
  readonly command: number;
  readonly bank: number;
  readonly row: number;
  readonly cycle: number;
}

/** What is wrong with a stream of commands, by the rows themselves and by the state of each bank. */
function faults(log: readonly Logged[], spec: DramSpec): string[] {
  const { bankgroups, banks_per_group } = spec.organisation;
  const rows = constraintsOf(spec.timing);
  const reach = Math.max(...rows.map((r) => r.latency));
  const groupOf = (b: number) => Math.floor(b / banks_per_group);
  const rankOf = (b: number) => Math.floor(b / (bankgroups * banks_per_group));
  const shares = (r: Constraint, a: Logged, b: Logged): boolean => {
    if (r.sibling) return rankOf(a.bank) !== rankOf(b.bank);
    const whole = a.command === CMD.REF || b.command === CMD.REF;
    if (r.level === 'rank' || whole) return rankOf(a.bank) === rankOf(b.bank);
    return r.level === 'bankgroup' ? groupOf(a.bank) === groupOf(b.bank) : a.bank === b.bank;
  };
  const out: string[] = [];
  const open = new Array<number>(banksOf(spec.organisation)).fill(-1);
  const columns = new Set(['RD', 'WR', 'RDA', 'WRA']);
  const activated = Array.from({ length: spec.organisation.ranks }, () => [] as number[]);
  const buses = new Map<string, Logged>();
  for (const [i, c] of log.entries()) {
    const name = COMMANDS[c.command]!;
    const say = (what: string) => out.push(`${name} to bank ${c.bank} at ${c.cycle}: ${what}`);
    const bus = spec.controller.dual_command === 'none' ? '' : columns.has(name) ? 'column' : 'row';
    if (buses.get(`${bus}@${c.cycle}`)) say('second command on its bus');
    buses.set(`${bus}@${c.cycle}`, c);
    if (name === 'ACT') {
      if (open[c.bank]! >= 0) say('row is open');
      open[c.bank] = c.row;
    } else if (name === 'PRE') {
      if (open[c.bank]! < 0) say('no row is open');
      open[c.bank] = -1;
    } else if (columns.has(name)) {
      if (open[c.bank] !== c.row) say('its row is not open');
      if (name === 'RDA' || name === 'WRA') open[c.bank] = -1;
    } else {
      const banks = name === 'REFpb' ? [c.bank] : open.map((_, b) => b).filter((b) => rankOf(b) === rankOf(c.bank));
      if (banks.some((b) => open[b]! >= 0)) say('a row is open');
    }
    for (let j = i - 1; j >= 0 && c.cycle - log[j]!.cycle < reach; j--) {
      const before = log[j]!;
      const earlier = COMMANDS[before.command]!;
      for (const r of rows)
        if (
          r.window === undefined &&
          r.preceding.includes(earlier) &&
          r.following.includes(name) &&
          shares(r, before, c) &&
          c.cycle < before.cycle + r.latency
        )
          say(`${r.name} after ${earlier} at ${before.cycle}`);
    }
    if (name !== 'ACT') continue;
    const acts = activated[rankOf(c.bank)]!;
    for (const r of rows) {
      const nth = r.window === undefined ? undefined : acts.at(-r.window);
      if (nth !== undefined && c.cycle < nth + r.latency) say(r.name);
    }
    acts.push(c.cycle);
  }
  return out;
}

const POLICIES = [
  { page: 'open', refresh: 'all_bank' },
  { page: 'closed', refresh: 'all_bank' },
  { page: 'open', refresh: 'per_bank' },
  { page: 'open', refresh: 'together' },
] as const;

describe.each(TABLES)('commands of a busy %s', (name) => {
  test.each(POLICIES)('$page page, refresh $refresh: obey every constraint and every bank’s state', async (policy) => {
    const base = await table(name);
    if (policy.refresh === 'per_bank' && base.timing.tREFIpb === 0) return; // the standard has none
    const spec = altered({ ...twoRanks(base), organisation: { ...base.organisation, ranks: 2, channels: 1 } }, policy);
    const log: Logged[] = [];
    let answered = 0;
    let reads = 0;
    const sink = quiet({
      command: (command, bank, row, cycle) => log.push({ command, bank, row, cycle }),
      readDone: () => answered++,
    });
    const system = new DramSystem(spec, sink);
    const random = numbers(7);
    let at = 0;
    for (let i = 0; i < 1000; i++) {
      // runs of neighbours, now and then far away, with pauses
      const address = (i % 8 === 0 ? random() >>> 6 : (random() >>> 22) + i) * spec.organisation.burst_B;
      const write = random() >>> 30 === 0;
      if (!write) reads++;
      at = system.offer(address, write, at + (random() >>> 28 === 0 ? 300 : 1), 0);
    }
    system.drain();
    expect(faults(log, spec).slice(0, 5)).toEqual([]);
    expect(answered).toBe(reads);
    const counts = system.counts();
    const of = (command: keyof typeof CMD) => log.filter((c) => c.command === CMD[command]).length;
    expect(of('ACT')).toBe(counts.activates);
    expect(of('RD') + of('RDA')).toBe(counts.reads);
    if (policy.page === 'open') expect(counts.precharges).toBeLessThanOrEqual(counts.activates);
    expect(policy.refresh === 'per_bank' ? counts.bank_refreshes : counts.refreshes).toBeGreaterThan(0);
  });
});

test('the checker sees a fault', async () => {
  const spec = await table('ddr4');
  const log = [
    { command: CMD.ACT, bank: 0, row: 1, cycle: 10 },
    { command: CMD.RD, bank: 0, row: 1, cycle: 10 + spec.timing.tRCDRD - 1 },
  ];
  expect(faults(log, spec)).toEqual([expect.stringContaining('tRCDRD')]);
  expect(faults([log[0]!, { ...log[1]!, cycle: 10 + spec.timing.tRCDRD }], spec)).toEqual([]);
});
