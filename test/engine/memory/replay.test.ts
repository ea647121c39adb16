/** Replays through cache and DRAM: conservation, latencies on an idle machine, bounds of misses, statistics. */

import { Value } from '@sinclair/typebox/value';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CacheConfig } from '../../../src/engine/memory/cache/cache.js';
import type { DramSpec } from '../../../src/engine/memory/dram/spec.js';
import { type CacheLevel, Replay } from '../../../src/engine/memory/replay.js';
import { MemoryReportSchema, memoryReport } from '../../../src/engine/memory/report.js';
import { Distribution, Series } from '../../../src/engine/memory/stats.js';
import { altered, numbers, table } from './support.js';

const CONFIG: CacheConfig = {
  capacity_B: 2 ** 16,
  line_B: 128,
  sector_B: 32,
  ways: 8,
  slices: 4,
  slice_hash: 'xor',
  replacement: 'lru',
  write: 'back',
  write_allocate: true,
  fetch_on_write: false,
  seed: 0,
};
const level = (over: Partial<CacheLevel> = {}, config: Partial<CacheConfig> = {}): CacheLevel => ({
  id: 'l2',
  config: { ...CONFIG, ...config },
  latency_s: 100e-9,
  miss_latency_s: 300e-9,
  slice_B_per_s: 1e15,
  fetch_B: 64,
  misses_per_channel: 64,
  read_pJ_per_B: 2,
  write_pJ_per_B: 3,
  ...over,
});

async function spec(): Promise<DramSpec> {
  const base = await table('hbm2');
  return altered({ ...base, organisation: { ...base.organisation, channels: 4 } }, { refresh: 'none' });
}

type Access = readonly [address: number, write: boolean, cycle: number];
function run(dram: DramSpec, cache: CacheLevel | undefined, accesses: Iterable<Access>, per_cycle = 4): Replay {
  const replay = new Replay({ dram, per_cycle, ...(cache && { cache }) });
  for (const [a, w, c] of accesses) replay.request(a, w, c);
  replay.finish();
  return replay;
}
const names = { machine: 'm', trace: 't', format: 'plain', interrupted: false, warnings: [] };

test('on an idle machine a hit and a miss take the latencies that the machine states', async () => {
  const dram = await spec();
  // 1 ns a cycle; the second read is in the other half of the fetched piece, long after it came
  const miss = run(dram, level(), [[0, false, 0]]);
  expect(miss.latency.mean).toBeCloseTo(300, 6);
  const both = run(dram, level(), [
    [0, false, 0],
    [32, false, 5000],
  ]);
  expect(both.latency.mean).toBeCloseTo(200, 6);
  expect(both.dram.counts().reads).toBe(2); // one piece of 64 B: two bursts
});

test('a read of what is on its way waits for it, and fetches nothing more', async () => {
  const replay = run(await spec(), level(), [
    [0, false, 0],
    [32, false, 10],
  ]);
  expect(replay.latency.max).toBeCloseTo(300, 6);
  expect(replay.latency.sum).toBeCloseTo(300 + 290, 6);
  expect(replay.dram.counts().reads).toBe(2);
  expect(replay.misses.reduce((n, m) => n + m.merges, 0)).toBe(1);
});

test('every read is answered once, and what the cache lets through is what the DRAM serves', async () => {
  const dram = await spec();
  const access = fc.record({ address: fc.nat(2 ** 19), write: fc.boolean(), gap: fc.nat(3) });
  const shapes = fc.record({
    write: fc.constantFrom('back' as const, 'through' as const),
    write_allocate: fc.boolean(),
    fetch_on_write: fc.boolean(),
    replacement: fc.constantFrom('lru' as const, 'tree_plru' as const, 'random' as const),
  });
  fc.assert(
    fc.property(
      fc.array(access, { minLength: 1, maxLength: 600 }),
      shapes,
      fc.integer({ min: 1, max: 8 }),
      (list, shape, misses_per_channel) => {
        let cycle = 0;
        const accesses = list.map((a): Access => [a.address, a.write, (cycle += a.gap)]);
        const replay = run(
          dram,
          level({ misses_per_channel, fetch_B: 32 }, { ...shape, capacity_B: 2 ** 14 }),
          accesses,
        );
        const c = replay.cache!.counts;
        const d = replay.dram.counts();
        expect(replay.reads + replay.writes).toBe(list.length);
        expect(replay.reads_done).toBe(replay.reads);
        expect(replay.latency.count).toBe(replay.reads);
        expect(c.reads).toBe(replay.reads);
        // sectors fetched and written back are bursts, but for those that met a waiting one
        const fetched = c.reads - c.read_hits + (shape.fetch_on_write ? c.writes - c.write_hits : 0);
        expect(d.reads).toBeLessThanOrEqual(fetched);
        if (shape.write === 'back' && shape.write_allocate) {
          expect(d.writes).toBeLessThanOrEqual(c.written_back_sectors);
          expect(d.writes + d.merged + d.forwarded).toBeGreaterThanOrEqual(c.written_back_sectors - d.merged);
        }
        const latency = replay.hitLatency_cycles;
        expect(replay.latency.sum).toBeGreaterThanOrEqual(latency * replay.reads - 1e-6);
        const report = memoryReport(replay, names);
        expect(Value.Check(MemoryReportSchema, report)).toBe(true);
        expect(report.hits['l2']! + report.misses['l2']!).toBe(list.length);
        const parts = Object.values(report.energy_by_part_J);
        expect(Math.min(...parts)).toBeGreaterThanOrEqual(0);
        expect(report.energy_J).toBeCloseTo(
          parts.reduce((a, b) => a + b, 0),
          15,
        );
        const moved = report.bandwidth_over_time.reduce(
          (sum, b) => sum + (b.read_B_per_s + b.write_B_per_s) * (b.end_s - b.start_s),
          0,
        );
        expect(moved).toBeCloseTo(report.moved_B['dram']!, 0);
      },
    ),
    { numRuns: 60 },
  );
});

// order and row hits change with what is let through: a part in fifty
describe('more of something is never slower', () => {
  test.each([
    ['misses on their way', [1, 2, 8, 64].map((n) => level({ misses_per_channel: n }))],
    ['cache', [2 ** 13, 2 ** 15, 2 ** 17].map((capacity_B) => level({}, { capacity_B }))],
    ['port bandwidth', [1e9, 1e10, 1e12].map((slice_B_per_s) => level({ slice_B_per_s }))],
  ] as const)('%s', async (_, levels) => {
    const dram = await spec();
    const random = numbers(11);
    const accesses = Array.from({ length: 5000 }, (): Access => [(random() >>> 15) * 32, false, -1]);
    const ends = levels.map((l) => run(dram, l, accesses).end);
    for (let i = 1; i < ends.length; i++) expect(ends[i]).toBeLessThanOrEqual(ends[i - 1]! * 1.02);
    const sums = levels.map((l) => run(dram, l, accesses.slice(0, 2000)).latency.mean);
    expect(Math.min(...sums)).toBeGreaterThan(0);
  });
});

test('bounded misses bound the bandwidth: Little’s law', async () => {
  const dram = await spec();
  const stream = Array.from({ length: 4000 }, (_, i): Access => [i * 64, false, -1]);
  const one = run(dram, level({ misses_per_channel: 1 }), stream, 64);
  // four channels with a piece each in flight: no faster than a piece a device latency
  const t = dram.timing;
  expect(one.end).toBeGreaterThan((4000 / 4) * (t.RL + t.BL));
  expect(run(dram, level({ misses_per_channel: 64 }), stream, 64).end).toBeLessThan(one.end / 4);
});

test('stops at the cycle asked for', async () => {
  const dram = await spec();
  const replay = new Replay({ dram, per_cycle: 1, cycles: 1000 });
  for (let i = 0; i < 5000; i++) replay.request(i * 4096, false, i);
  replay.finish();
  expect(replay.full).toBe(true);
  expect(replay.end).toBe(1000);
  expect(replay.reads).toBeLessThan(1000);
  expect(replay.reads_done).toBeLessThanOrEqual(replay.reads);
});

test('the distribution’s percentiles are within 0.1 % of the sorted values’', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(5_000_000), { minLength: 1, maxLength: 300 }), (values) => {
      const d = new Distribution();
      for (const v of values) d.add(v);
      const sorted = [...values].sort((a, b) => a - b);
      for (const share of [0.5, 0.9, 0.99, 1]) {
        const exact = sorted[Math.ceil(share * values.length) - 1]!;
        expect(Math.abs(d.percentile(share) - exact)).toBeLessThanOrEqual(exact * 1e-3);
      }
      expect(d.max).toBe(sorted.at(-1));
      expect(d.sum).toBe(values.reduce((a, b) => a + b, 0));
    }),
  );
});

test('a series keeps its sum while its bins double', () => {
  const s = new Series(10);
  for (let t = 0; t < 100_000; t += 7) s.add(t, 2);
  expect(s.values().length).toBeLessThanOrEqual(256);
  expect(s.values().reduce((a, b) => a + b, 0)).toBe(2 * Math.ceil(100_000 / 7));
  expect(s.width * s.values().length).toBeGreaterThanOrEqual(99_000);
});
