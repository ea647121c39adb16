/** Lines through a far cache and DRAM: tags against access by access, channels that stand for all, times of answers. */
import { describe, expect, test } from 'vitest';
import { Cache, type CacheConfig, HIT } from '../../../src/engine/memory/cache/cache.js';
import { HERE, LEFT_OUT, LineMemory, ON_ITS_WAY } from '../../../src/engine/memory/lines.js';
import { Partition } from '../../../src/engine/memory/partition.js';
import { type CacheLevel, idleFetch_cycles } from '../../../src/engine/memory/replay.js';
import { numbers, table } from './support.js';

const CONFIG: CacheConfig = {
  capacity_B: 64 * 1024,
  line_B: 128,
  sector_B: 32,
  ways: 4,
  slices: 8,
  slice_hash: 'xor',
  replacement: 'lru',
  write: 'back',
  write_allocate: true,
  fetch_on_write: false,
  seed: 0,
};
const LEVEL: CacheLevel = {
  id: 'l2',
  config: CONFIG,
  latency_s: 100e-9,
  miss_latency_s: 300e-9,
  slice_B_per_s: 64e9,
  fetch_B: 64,
  misses_per_channel: 64,
  read_pJ_per_B: 1,
  write_pJ_per_B: 1,
};

test('a line at once is its sectors one by one', () => {
  const random = numbers(3);
  const whole = new Cache(CONFIG);
  const single = new Cache(CONFIG);
  for (let i = 0; i < 20_000; i++) {
    const line = random() % 2000;
    const mask = 1 + (random() % 15);
    const write = random() % 4 === 0;
    const missing = whole.accessLine(line, mask, write);
    let expected = 0;
    let dirty = 0;
    let evicted = -1;
    for (let s = 0; s < 4; s++) {
      if ((mask & (1 << s)) === 0) continue;
      if (single.access(line * 128 + s * 32, write) !== HIT) expected |= 1 << s;
      if (single.evicted >= 0) {
        evicted = single.evicted;
        dirty = single.evicted_dirty;
      }
    }
    expect(missing).toBe(expected);
    expect(whole.evicted).toBe(evicted);
    expect(whole.evicted_dirty).toBe(dirty);
  }
  expect(whole.counts.read_hits).toBe(single.counts.read_hits);
  expect(whole.counts.write_hits).toBe(single.counts.write_hits);
});

describe('channels that stand for all', () => {
  test.each([
    [80, 80],
    [80, 5],
    [64, 3],
    [24, 1],
  ])('of %i channels %i: dense numbers are all used, once, and lead back', (channels, kept) => {
    const p = new Partition(channels, kept, 512, 128);
    const rounds = 50;
    const seen = new Set<number>();
    for (let line = 0; line < rounds * channels * 4; line++) {
      const dense = p.dense(line);
      if (dense < 0) continue;
      expect(p.line(dense)).toBe(line);
      seen.add(dense);
    }
    expect(seen.size).toBe(rounds * kept * 4);
    expect(Math.max(...seen)).toBe(rounds * kept * 4 - 1);
  });

  test('no stride of a power of two stays on few channels', () => {
    const p = new Partition(80, 80, 512, 128);
    for (const stride of [64, 128, 1024, 4096, 65536]) {
      const used = new Set<number>();
      for (let i = 0; i < 800; i++) used.add(Math.floor(p.dense(i * stride) / 4) % 80);
      expect(used.size).toBeGreaterThan(60);
    }
  });
});

describe('answers', () => {
  const memory = async (channels: number, arrived: (w: number, at: number) => void) => {
    const dram = await table('hbm2', { channels: 8, bandwidth_B_per_s: 8 * 16e9 });
    const idle_fs = idleFetch_cycles(dram, 64) * dram.tCK_s * 1e15;
    const beyond_fs = 200e6;
    const lines = new LineMemory(
      { dram, cache: LEVEL, channels, read_fs: 500e3, write_fs: 500e3, shared_port: true, beyond_fs },
      arrived,
    );
    return { lines, idle_fs, beyond_fs };
  };

  test('an idle memory brings a piece after its latency, a second asker of it at the same time, then it is here', async () => {
    const told: [number, number][] = [];
    const { lines, beyond_fs } = await memory(8, (w, at) => told.push([w, at]));
    expect(lines.read(5, 1, 0, 1, 1)).toBe(ON_ITS_WAY);
    expect(lines.read(5, 2, 50e6, 2, 1)).toBe(ON_ITS_WAY);
    for (let now = 0; lines.active; now += lines.tick_fs) lines.tick(now);
    expect(told.map(([w]) => w).sort()).toEqual([1, 2]);
    // within a cycle of the memory's clock
    for (const [, at] of told) expect(Math.abs(at - beyond_fs)).toBeLessThan(2e6);
    expect(lines.dramRead_B).toBe(64);
    expect(lines.read(5, 3, 400e6, 3, 1)).toBe(HERE);
  });

  test('nobody is told after the time', async () => {
    let now = 0;
    let n = 0;
    const random = numbers(7);
    const { lines } = await memory(8, (_, at) => {
      n++;
      expect(at).toBeGreaterThanOrEqual(now);
    });
    let asked = 0;
    let tick = lines.tick_fs;
    for (let t = 0; t < 20e9; t += 3e6) {
      if (t >= tick) {
        now = tick;
        lines.tick(tick);
        tick += lines.tick_fs;
      }
      if (lines.read(random() % 100_000, 1 << (random() % 4), t, asked, 1) === ON_ITS_WAY) asked++;
    }
    while (lines.active) {
      now = tick;
      lines.tick(tick);
      tick += lines.tick_fs;
    }
    expect(n).toBe(asked);
    expect(asked).toBeGreaterThan(3000);
  });

  test('channels that are left out are not asked', async () => {
    const { lines } = await memory(2, () => {});
    let out = 0;
    for (let line = 0; line < 8000; line++) if (lines.read(line, 1, 0, 0, 1) === LEFT_OUT) out++;
    expect(out).toBe(6000);
  });

  test('what is dirty is written when it is pushed out, unless it is not the run’s own', async () => {
    const { lines } = await memory(8, () => {});
    const fits = CONFIG.capacity_B / 128;
    lines.owns = (dense) => dense < 8 * fits;
    for (let line = 0; line < 8 * fits; line++) lines.write(line, 15, line * 1e6, false);
    for (let line = 0; line < fits; line++) lines.write(2 ** 20 + line, 15, 1e12, false);
    for (let line = 0; line < fits; line++) lines.write(2 ** 21 + line, 15, 2e12, false);
    let left = 0;
    lines.cache.dirtyLines(() => left++);
    expect(left).toBe(fits);
    expect(lines.dramWrite_B).toBe(8 * fits * 128);
    expect(lines.dramRead_B).toBe(0);
  });
});
