/** A core's own cache before the far one, and requests of several sectors: latencies on an idle machine, conservation. */
import { expect, test } from 'vitest';
import type { CacheConfig } from '../../../src/engine/memory/cache/cache.js';
import type { DramSpec } from '../../../src/engine/memory/dram/spec.js';
import { type CacheLevel, type NearLevel, Replay, type ReplayConfig } from '../../../src/engine/memory/replay.js';
import { memoryReport } from '../../../src/engine/memory/report.js';
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
const L2: CacheLevel = {
  id: 'l2',
  config: CONFIG,
  latency_s: 100e-9,
  miss_latency_s: 300e-9,
  slice_B_per_s: 1e15,
  fetch_B: 64,
  misses_per_channel: 64,
  read_pJ_per_B: 2,
  write_pJ_per_B: 3,
};
const L1: NearLevel = {
  id: 'l1',
  config: { ...CONFIG, capacity_B: 2 ** 12, slices: 1, slice_hash: 'none', write: 'through', write_allocate: false },
  latency_s: 30e-9,
  B_per_s: 128e9,
  read_pJ_per_B: 1,
};
/** 1 ns a cycle. */
const base = await table('hbm2');
const dram: DramSpec = altered({ ...base, organisation: { ...base.organisation, channels: 4 } }, { refresh: 'none' });

type Access = readonly [address: number, write: boolean, cycle: number];
function run(accesses: Iterable<Access>, over: Partial<ReplayConfig> = {}): Replay {
  const replay = new Replay({ dram, cache: L2, near: L1, per_cycle: 4, ...over });
  for (const [a, w, c] of accesses) replay.request(a, w, c);
  replay.finish();
  return replay;
}

test('a hit in it takes its latency, a hit in the far cache that one’s, a miss in both the memory’s', () => {
  const replay = run([
    [0, false, 0],
    [0, false, 1000],
    // the other half of the piece that was fetched: in the far cache alone
    [32, false, 2000],
    [32, false, 3000],
  ]);
  expect(replay.latency.sum).toBeCloseTo(300 + 30 + 100 + 30, 6);
  const report = memoryReport(replay, { machine: 'm', trace: 't', format: 'plain', interrupted: false, warnings: [] });
  expect(report).toMatchObject({ level: 'l1', hits: { l1: 2, l2: 1 }, misses: { l1: 2, l2: 1 } });
  expect(report.energy_by_part_J['l1']! / (4 * 32e-12)).toBeCloseTo(1, 9);
  expect(report.energy_by_part_J['l2']! / (2 * 32 * 2e-12)).toBeCloseTo(1, 9);
});

test('what is on its way to it is waited for: from the far cache and from memory', () => {
  // warms the far cache with the second half of the piece
  const near = run([
    [0, false, 0],
    [32, false, 1000],
    [32, false, 1010],
    [32, false, 1090],
  ]);
  expect(near.latency.sum).toBeCloseTo(300 + 100 + 90 + 30, 6);
  const far = run([
    [0, false, 0],
    [0, false, 40],
    [0, false, 290],
  ]);
  // the last comes when the bytes are a tenth of a microsecond away from it at most
  expect(far.latency.max).toBeCloseTo(300, 6);
  expect(far.dram.counts().reads).toBe(2);
});

test('writes go through it and take no line there', () => {
  const replay = run([
    [0, true, 0],
    [0, false, 1000],
    [0, true, 2000],
    [0, false, 3000],
  ]);
  expect(replay.near!.counts).toMatchObject({ reads: 2, read_hits: 1, writes: 2, write_hits: 1 });
  expect(replay.cache!.counts).toMatchObject({ writes: 2, reads: 1 });
});

test('every read is answered once, however many sectors it asks for and wherever it goes', () => {
  for (const over of [{}, { near: undefined }, { near: undefined, cache: undefined }])
    for (const request_B of [4, 32, 33, 128, 1000]) {
      const random = numbers(request_B);
      const accesses = Array.from({ length: 3000 }, (): Access => [random() % 2 ** 18, random() % 4 === 0, -1]);
      const replay = run(accesses, { ...over, request_B });
      expect(replay.reads + replay.writes).toBe(3000);
      expect(replay.reads_done).toBe(replay.reads);
      expect(replay.writes_done).toBe(replay.writes);
      if (over.near === undefined && 'near' in over && replay.cache) {
        let sectors = 0;
        for (const [a] of accesses)
          sectors += request_B > 32 ? Math.floor((a + request_B - 1) / 32) - Math.floor(a / 32) + 1 : 1;
        const c = replay.cache.counts;
        expect(c.reads + c.writes).toBe(sectors);
      }
    }
});

test('a wide read is there when its last sector is', () => {
  const one = run([[0, false, 0]], { request_B: 128 });
  expect(one.reads).toBe(1);
  expect(one.latency.count).toBe(1);
  // two pieces of the same channel: a burst or two behind one alone
  expect(one.latency.max).toBeGreaterThanOrEqual(300);
  expect(one.latency.max).toBeLessThan(320);
  expect(one.cache!.counts.reads).toBe(4);
});
