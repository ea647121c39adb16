/** DRAM: unloaded latencies by the timing formula, address mapping, scheduling, refresh, energy. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dramEnergy, totalEnergy_J } from '../../../src/engine/memory/dram/energy.js';
import { AddressMapping, FIELDS } from '../../../src/engine/memory/dram/mapping.js';
import {
  BANK_HASHES,
  CHANNEL_HASHES,
  type DramSpec,
  peakBandwidth_B_per_s,
} from '../../../src/engine/memory/dram/spec.js';
import { DramSystem } from '../../../src/engine/memory/dram/system.js';
import { altered, numbers, quiet, TABLES, table } from './support.js';

/** Latency of each read of `addresses`, offered `gap` cycles apart on an idle memory. */
function latencies(spec: DramSpec, addresses: readonly number[], gap = 2000): number[] {
  const out: number[] = [];
  const system = new DramSystem(spec, quiet({ readDone: (tag, arrival, done) => (out[tag] = done - arrival) }));
  for (const [i, address] of addresses.entries()) system.offer(address, false, i * gap, i);
  system.drain();
  return out;
}

/** Addresses fall where their bits say. */
const PLAIN = { channel_hash: 'none', bank_hash: 'none' } as const;

/** Cycles from the queue to the first command. */
const CONTROLLER = 1;

describe.each(TABLES)('unloaded %s', (name) => {
  test('latency of closed bank, open row and other row is the timing formula', async () => {
    const spec = altered(await table(name), { refresh: 'none', ...PLAIN });
    const t = spec.timing;
    const mapping = new AddressMapping(spec.organisation, spec.controller);
    const at = (ro: number, co: number) => mapping.address({ ro, co, ch: 0, ra: 0, ba: 0, bg: 0 });
    const [closed, open, other] = latencies(spec, [at(0, 0), at(0, 1), at(1, 0)]);
    expect(closed).toBe(CONTROLLER + t.tRCDRD + t.RL + t.BL);
    expect(open).toBe(CONTROLLER + t.RL + t.BL);
    expect(other).toBe(CONTROLLER + t.tRP + t.tRCDRD + t.RL + t.BL);
  });

  test('a closed page answers every read like a closed bank', async () => {
    const spec = altered(await table(name), { refresh: 'none', ...PLAIN, page: 'closed' });
    const t = spec.timing;
    const same = latencies(spec, [0, 0, 0]);
    expect(same).toEqual(new Array(3).fill(CONTROLLER + t.tRCDRD + t.RL + t.BL));
  });

  test('a long stream comes close to the pins’ bandwidth, and never above it', async () => {
    const base = await table(name);
    const spec: DramSpec = { ...base, organisation: { ...base.organisation, channels: 1 } };
    let end = 0;
    const system = new DramSystem(spec, quiet({ burst: (_write, at) => (end = Math.max(end, at)) }));
    const n = 20000;
    let at = 0;
    for (let i = 0; i < n; i++) at = system.offer(i * spec.organisation.burst_B, false, at + 1, 0);
    system.drain();
    const share = (n * spec.organisation.burst_B) / (end * spec.tCK_s) / peakBandwidth_B_per_s(spec);
    expect(share).toBeLessThan(1);
    // refresh alone takes tRFC of tREFI
    expect(share).toBeGreaterThan(0.6);
  });
});

test('cycles may go beyond 32 bits', async () => {
  const base = await table('ddr4');
  const spec = altered(base, { refresh: 'none', ...PLAIN });
  const row = spec.organisation.bursts_per_row * spec.organisation.burst_B * spec.organisation.bankgroups;
  const addresses = Array.from({ length: 60 }, (_, i) => (i % 7) * row + (i % 3) * 64);
  const soon = latencies(spec, addresses);
  expect(latencies(spec, addresses, 2 ** 28 + 7)).toEqual(soon);
  expect(latencies(spec, addresses, 2 ** 45)).toEqual(soon);

  const refreshed = new DramSystem(base, quiet());
  const end = 3 * 2 ** 30;
  refreshed.runTo(end);
  const { ranks } = base.organisation;
  expect(refreshed.counts().refreshes).toBe(Math.floor((end - 1) / (base.timing.tREFI / ranks)));
});

test('a row miss takes nRP + nRCD + nCL before its burst, as Ramulator 2 counts', async () => {
  const spec = altered(await table('ddr4'), { refresh: 'none', ...PLAIN });
  const t = spec.timing;
  const mapping = new AddressMapping(spec.organisation, spec.controller);
  const [, miss] = latencies(spec, [0, mapping.address({ ro: 5, co: 0, ch: 0, ra: 0, ba: 0, bg: 0 })]);
  expect((miss! - CONTROLLER - t.BL) * spec.tCK_s).toBeCloseTo((22 + 22 + 22) * 0.625e-9, 15);
});

describe('address mapping', () => {
  const organisation = { channels: 8, ranks: 2, bankgroups: 4, banks_per_group: 4, rows: 32768, bursts_per_row: 32 };
  const orders = fc.shuffledSubarray([...FIELDS], { minLength: 6, maxLength: 6 });

  test('splits what its inverse joined, for every order of fields and number of channels', () => {
    fc.assert(
      fc.property(
        orders,
        fc.constantFrom(1, 3, 8, 12, 80),
        fc.constantFrom(64, 256),
        fc.constantFrom(...CHANNEL_HASHES),
        fc.constantFrom(...BANK_HASHES),
        fc.nat(),
        (order, channels, interleave_B, channel_hash, bank_hash, n) => {
          const o = { ...organisation, channels, burst_B: 64 };
          const mapping = new AddressMapping(o, { mapping: order.join(''), channel_hash, bank_hash, interleave_B });
          const address = (n * 64) % mapping.capacity_B;
          mapping.map(address);
          const { channel, rank, group, bank, row } = mapping;
          const place = { ch: channel, ra: rank, bg: group % 4, ba: bank % 4, ro: row };
          const columns = 32 / (interleave_B / 64);
          const found = Array.from({ length: columns }, (_, co) => mapping.address({ ...place, co }));
          expect(found).toContain(Math.floor(address / interleave_B) * interleave_B);
        },
      ),
    );
  });

  test('reads rochrababgco as row, channel, rank, bank, bank group, column', () => {
    const o = { ...organisation, burst_B: 64 };
    const mapping = new AddressMapping(o, { mapping: 'rochrababgco', ...PLAIN, interleave_B: 64 });
    // column 5 bits, bank group 2, bank 2, rank 1, channel 3, row
    mapping.map(64 * (7 + 32 * (3 + 4 * (2 + 4 * (1 + 2 * (5 + 8 * 1234))))));
    expect([mapping.row, mapping.channel, mapping.rank, mapping.group, mapping.bank]).toEqual([1234, 5, 1, 7, 30]);
  });

  test('hashed banks stay a permutation of the banks of each row', () => {
    const o = { ...organisation, channels: 1, ranks: 1, burst_B: 64 };
    const mapping = new AddressMapping(o, {
      mapping: 'rorachbabgco',
      channel_hash: 'none',
      bank_hash: 'row_xor',
      interleave_B: 64,
    });
    for (const row of [0, 1, 5, 77]) {
      const banks = Array.from({ length: 16 }, (_, i) => {
        mapping.map(64 * 32 * (i + 16 * row));
        return mapping.bank;
      });
      expect(new Set(banks).size).toBe(16);
    }
  });

  test.each([16, 24, 80])('turned, a stride of any power of two falls on all of %i channels', (channels) => {
    const o = { ...organisation, channels, ranks: 1, burst_B: 64 };
    const choice = { mapping: 'rorabacochbg', channel_hash: 'turn', bank_hash: 'row_xor', interleave_B: 128 } as const;
    const mapping = new AddressMapping(o, choice);
    for (let stride = 512; stride <= 2 ** 24; stride *= 2) {
      const requests = new Int32Array(channels);
      const n = Math.min(64 * channels, Math.floor(mapping.capacity_B / stride));
      for (let i = 0; i < n; i++) {
        mapping.map(i * stride);
        requests[mapping.channel]!++;
      }
      // a fair share each, within what chance would leave
      expect(Math.max(...requests)).toBeLessThan((3 * n) / channels + 4);
      if (n > 8 * channels) expect(Math.min(...requests)).toBeGreaterThan(0);
    }
    // whole rounds fall on each channel once
    const round = Array.from({ length: channels }, (_, i) => {
      mapping.map((7 * channels + i) * 512);
      return mapping.channel;
    });
    expect(new Set(round).size).toBe(channels);
  });

  test('takes addresses beyond 32 bits', () => {
    const o = { ...organisation, rows: 2 ** 20, channels: 64, burst_B: 64 };
    const mapping = new AddressMapping(o, { mapping: 'rochrababgco', ...PLAIN, interleave_B: 64 });
    const address = mapping.address({ ro: 987654, ch: 63, ra: 1, ba: 3, bg: 2, co: 31 });
    expect(address).toBeGreaterThan(2 ** 36);
    mapping.map(address);
    expect([mapping.row, mapping.channel, mapping.rank]).toEqual([987654, 63, 1]);
  });
});

describe('controller', () => {
  const one = async () => altered(await table('ddr4'), { refresh: 'none', ...PLAIN });

  test('requests to an open row go before an older one to another row, until that may go first', async () => {
    const spec = await one();
    const mapping = new AddressMapping(spec.organisation, spec.controller);
    const at = (ro: number, co: number) => mapping.address({ ro, co, ch: 0, ra: 0, ba: 0, bg: 0 });
    const before = (row_hit_limit: number) => {
      const done: number[] = [];
      // precharge soon after a read, so that the limit and not tRTP decides
      const quick = { ...spec.timing, tRTP: 1, tRAS: 20, tRC: 42 };
      const limited = altered({ ...spec, timing: quick }, { row_hit_limit });
      const system = new DramSystem(limited, quiet({ readDone: (tag, _a, end) => (done[tag] = end) }));
      for (const [i, a] of [at(0, 0), at(1, 0), ...[1, 2, 3, 4, 5, 6].map((c) => at(0, c))].entries())
        system.offer(a, false, i, i);
      system.drain();
      return done.filter((end) => end < done[1]!).length;
    };
    expect([1, 2, 4, 100].map(before)).toEqual([1, 2, 4, 7]);
  });

  test('a read of what waits to be written is answered at once, reads of one place share a burst', async () => {
    const spec = await one();
    const out: number[] = [];
    const system = new DramSystem(spec, quiet({ readDone: (tag, arrival, done) => (out[tag] = done - arrival) }));
    system.offer(0, true, 0, 0);
    system.offer(0, false, 1, 1);
    system.offer(4096, false, 2, 2);
    system.offer(4096, false, 3, 3);
    system.drain();
    expect(out[1]).toBe(1);
    expect(out[3]).toBe(out[2]! - 1);
    expect(system.counts()).toMatchObject({ reads: 1, writes: 1, forwarded: 1, merged: 1 });
  });

  test('writes wait until their buffer is full, then go together', async () => {
    const spec = await one();
    const { write_buffer, write_low } = spec.controller;
    const system = new DramSystem(spec, quiet());
    for (let i = 0; i < write_low; i++) system.offer(i * 64, true, i, 0);
    system.runTo(5000);
    expect(system.counts().writes).toBe(0);
    for (let i = write_low; i < write_buffer; i++) system.offer(i * 64, true, 5000 + i, 0);
    system.runTo(20000);
    // an idle controller drains what is above the low mark
    expect(system.counts().writes).toBeGreaterThan(write_low);
  });

  test('refreshes come as often as tREFI asks, for every rank', async () => {
    const spec = await table('ddr4');
    const system = new DramSystem(spec, quiet());
    const cycles = spec.timing.tREFI * 10 + 5000;
    system.runTo(cycles);
    expect(system.counts().refreshes).toBe(Math.floor(cycles / (spec.timing.tREFI / 2)));
  });

  test('more channels are never slower', async () => {
    const base = await table('hbm2');
    const ends = [1, 2, 4, 8, 16].map((channels) => {
      const spec = { ...base, organisation: { ...base.organisation, channels } };
      const random = numbers(3);
      let end = 0;
      const system = new DramSystem(spec, quiet({ readDone: (_t, _a, done) => (end = Math.max(end, done)) }));
      let at = 0;
      for (let i = 0; i < 4000; i++) at = system.offer((random() >>> 6) * 64, false, i % 16 === 0 ? at + 1 : at, 0);
      system.drain();
      return end;
    });
    expect(ends).toEqual([...ends].sort((a, b) => b - a));
  });
});

test('energy of currents is DRAMsim3’s sum times the clock’s period: DDR4-3200 by hand', async () => {
  const spec = await table('ddr4');
  // 1.2 V, 8 devices: read (168 − 52) mA × 4 cycles × 0.625 ns
  expect(spec.energy.read_J).toBeCloseTo(1.2 * 8 * 0.116 * 4 * 0.625e-9, 18);
  expect(spec.energy.activate_J).toBeCloseTo(1.2 * 8 * (0.057 * 74 - 0.052 * 52 - 0.037 * 22) * 0.625e-9, 18);
  const system = new DramSystem(spec, quiet());
  system.offer(0, false, 0, 0);
  system.drain();
  const parts = dramEnergy(spec, system.counts(), system.openCycles(1000), 1000);
  expect(parts.read_J).toBe(spec.energy.read_J);
  const sum = parts.activate_J + parts.read_J + parts.write_J + parts.refresh_J + parts.background_J;
  expect(totalEnergy_J(parts)).toBe(sum);
  // one of two ranks had a row open from the activation at cycle 1 on
  const { active_W, idle_W } = spec.energy;
  expect(parts.background_J).toBeCloseTo(spec.tCK_s * (999 * active_W + 1001 * idle_W), 15);
});

test('a table fitted to a machine gives its bandwidth, and refuses one that it cannot be', async () => {
  const spec = await table('hbm2e', { channels: 80, bandwidth_B_per_s: 2039e9 });
  expect(peakBandwidth_B_per_s(spec)).toBeCloseTo(2039e9, -3);
  // 14 ns at 1.593 GHz
  expect(spec.timing.tRCDRD).toBe(23);
  await expect(table('hbm2e', { channels: 8, bandwidth_B_per_s: 2039e9 })).rejects.toThrow(
    /8 channels of 254.88 GB\/s/,
  );
});
