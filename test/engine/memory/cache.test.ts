/** Caches, miss registers and scratchpads, against plain models of them. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Cache, type CacheConfig, HIT, LINE_MISS, SECTOR_MISS } from '../../../src/engine/memory/cache/cache.js';
import { MissRegisters } from '../../../src/engine/memory/cache/misses.js';
import { REPLACEMENT_POLICIES, REPLACEMENTS } from '../../../src/engine/memory/cache/replacement.js';
import { Scratchpad } from '../../../src/engine/memory/cache/scratchpad.js';
import { PendingTable } from '../../../src/engine/memory/dram/pending.js';

const config = (over: Partial<CacheConfig> = {}): CacheConfig => ({
  capacity_B: 4096,
  line_B: 128,
  sector_B: 32,
  ways: 4,
  slices: 1,
  slice_hash: 'none',
  replacement: 'lru',
  write: 'back',
  write_allocate: true,
  fetch_on_write: false,
  seed: 0,
  ...over,
});

const addresses = fc.array(fc.record({ address: fc.nat(20000), write: fc.boolean() }), { maxLength: 400 });

test('LRU with sectors is a list of lines in the order of use', () => {
  fc.assert(
    fc.property(addresses, (accesses) => {
      const cache = new Cache(config());
      const sets = Array.from({ length: 8 }, () => [] as { line: number; valid: Set<number>; dirty: Set<number> }[]);
      for (const { address, write } of accesses) {
        const line = Math.floor(address / 128);
        const sector = Math.floor((address % 128) / 32);
        const set = sets[line % 8]!;
        const at = set.findIndex((l) => l.line === line);
        const found = at < 0 ? { line, valid: new Set<number>(), dirty: new Set<number>() } : set.splice(at, 1)[0]!;
        const expected = at < 0 ? LINE_MISS : found.valid.has(sector) ? HIT : SECTOR_MISS;
        const gone = at < 0 && set.length === 4 ? set.shift() : undefined;
        set.push(found);
        found.valid.add(sector);
        if (write) found.dirty.add(sector);
        expect(cache.access(address, write)).toBe(expected);
        expect(cache.evicted).toBe(gone?.line ?? -1);
        if (gone) expect(cache.evicted_dirty).toBe([...gone.dirty].reduce((bits, s) => bits | (1 << s), 0));
        expect(cache.fetch).toBe(expected !== HIT && !write ? 1 << sector : 0);
      }
      const dirty: number[] = [];
      cache.flush((line) => dirty.push(line));
      const expected = sets.flat().filter((l) => l.dirty.size > 0);
      expect(dirty.sort()).toEqual(expected.map((l) => l.line).sort());
    }),
  );
});

test('tree PLRU: the victim is found by walking away from the last uses', () => {
  const policy = REPLACEMENTS.tree_plru(1, 4);
  for (const way of [0, 1, 2, 3]) policy.touch(0, way, false);
  // last use in the right half, before that in the left: left, and there the first
  expect(policy.victim(0)).toBe(0);
  policy.touch(0, 0, false);
  expect(policy.victim(0)).toBe(2);
  policy.touch(0, 2, false);
  expect(policy.victim(0)).toBe(1);
});

test.each(REPLACEMENT_POLICIES)('%s: a way just used is not given up, a streaming one is', (policy) => {
  fc.assert(
    fc.property(fc.array(fc.nat(7), { minLength: 1 }), fc.nat(7), fc.nat(1000), (uses, streamed, seed) => {
      const state = REPLACEMENTS[policy](2, 8, seed);
      for (const way of uses) state.touch(1, way, false);
      const victim = state.victim(1);
      expect(victim).toBeGreaterThanOrEqual(0);
      expect(victim).toBeLessThan(8);
      if (policy !== 'random') expect(victim).not.toBe(uses.at(-1));
      state.touch(1, streamed, true);
      expect(state.victim(1)).toBe(streamed);
    }),
  );
});

test('random replacement is the same for the same seed, and uses every way', () => {
  const draw = (seed: number) => {
    const policy = REPLACEMENTS.random(1, 8, seed);
    return Array.from({ length: 200 }, () => policy.victim(0));
  };
  expect(draw(5)).toEqual(draw(5));
  expect(draw(5)).not.toEqual(draw(6));
  expect(new Set(draw(5)).size).toBe(8);
});

describe('write policies', () => {
  const run = (over: Partial<CacheConfig>) => {
    const cache = new Cache(config(over));
    const first = cache.access(0, true);
    const { forward, fetch } = cache;
    const again = cache.access(0, false);
    let dirty = 0;
    cache.flush(() => dirty++);
    return { first, forward, fetch, again, dirty };
  };
  test.each([
    ['back, allocate', { write: 'back', write_allocate: true }, { forward: false, fetch: 0, again: HIT, dirty: 1 }],
    [
      'back, no allocate',
      { write: 'back', write_allocate: false },
      { forward: true, fetch: 0, again: LINE_MISS, dirty: 0 },
    ],
    [
      'through, allocate',
      { write: 'through', write_allocate: true },
      { forward: true, fetch: 0, again: HIT, dirty: 0 },
    ],
    [
      'through, no allocate',
      { write: 'through', write_allocate: false },
      { forward: true, fetch: 0, again: LINE_MISS, dirty: 0 },
    ],
    [
      'back, fetch on write',
      { write: 'back', fetch_on_write: true },
      { forward: false, fetch: 1, again: HIT, dirty: 1 },
    ],
  ] as const)('%s', (_, over, expected) => {
    expect(run(over)).toMatchObject({ first: LINE_MISS, ...expected });
  });
});

test('hashed slices: every line has one place, and no stride stays on few slices', () => {
  const slices = 10;
  const base = config({ capacity_B: 128 * 4 * slices * 16, slices, slice_hash: 'xor' });
  for (const stride of [128, 1280, 4096, 12800, 65536]) {
    const cache = new Cache(base);
    const used = new Map<number, number>();
    for (let i = 0; i < 2000; i++) {
      cache.access(i * stride, false);
      used.set(cache.slice, (used.get(cache.slice) ?? 0) + 1);
    }
    expect(used.size, `stride ${stride}`).toBe(slices);
    expect(Math.max(...used.values()) / 200, `stride ${stride}`).toBeLessThan(1.5);
  }
  // without hashing, a stride of all slices stays on one
  const plain = new Cache({ ...base, slice_hash: 'none' });
  for (let i = 0; i < 100; i++) {
    plain.access(i * 1280, false);
    expect(plain.slice).toBe(0);
  }
});

test('a working set that fits is missed once, whatever the policy', () => {
  for (const replacement of REPLACEMENT_POLICIES) {
    const cache = new Cache(config({ replacement }));
    for (let round = 0; round < 3; round++) for (let a = 0; a < 4096; a += 32) cache.access(a, false);
    expect(cache.counts.read_hits).toBe(2 * 128);
    expect(cache.counts.evictions).toBe(0);
  }
});

test('impossible shapes are refused', () => {
  expect(() => new Cache(config({ slices: 3 }))).toThrow(/do not split into 3 slices/);
  expect(() => new Cache(config({ replacement: 'tree_plru', ways: 6, capacity_B: 128 * 6 }))).toThrow(/power of two/);
});

test('miss registers: bounded, merged while held, free when their piece has come', () => {
  const misses = new MissRegisters(2);
  const a = misses.allocate(7, 2);
  misses.allocate(8, 1);
  expect(misses.hasRoom(0)).toBe(false);
  expect(misses.find(7, 0)).toBe(a);
  expect(misses.arrived(a, 50)).toBe(false);
  expect(misses.nextRelease()).toBe(Number.POSITIVE_INFINITY);
  expect(misses.arrived(a, 60)).toBe(true);
  expect(misses.nextRelease()).toBe(60);
  expect(misses.find(7, 59)).toBe(a);
  expect(misses.hasRoom(59)).toBe(false);
  expect(misses.find(7, 60)).toBe(-1);
  expect(misses.hasRoom(60)).toBe(true);
});

describe('scratchpad', () => {
  const lanes = (f: (i: number) => number) => Array.from({ length: 32 }, (_, i) => f(i));
  const pad = () => new Scratchpad({ banks: 32, word_B: 4, latency_cycles: 29 });
  test.each([
    ['a word each, in order', lanes((i) => 4 * i), 1],
    ['one word for all', lanes(() => 64), 1],
    ['every second word', lanes((i) => 8 * i), 2],
    ['a column of 32 words', lanes((i) => 128 * i), 32],
    ['a column, rows padded by a word', lanes((i) => 132 * i), 1],
    ['every second word, the upper half of the lanes off', lanes((i) => (i < 16 ? 8 * i : -1)), 1],
    ['bytes of the same words', lanes((i) => i), 1],
    ['nobody', lanes(() => -1), 0],
  ] as const)('%s', (_, wanted, cycles) => {
    expect(pad().access(wanted)).toBe(cycles);
    expect(pad().latency(wanted)).toBe(29 + Math.max(0, cycles - 1));
  });
});

test('the table of waiting places is a map', () => {
  const key = fc.oneof(fc.nat(40), fc.integer({ min: 2 ** 40, max: 2 ** 40 + 20 }));
  fc.assert(
    fc.property(fc.array(fc.record({ key, add: fc.boolean() })), (steps) => {
      const table = new PendingTable(4);
      const map = new Map<number, number>();
      for (const [i, step] of steps.entries()) {
        expect(table.get(step.key)).toBe(map.get(step.key) ?? -1);
        if (step.add && !map.has(step.key)) {
          table.add(step.key, i);
          map.set(step.key, i);
        } else if (!step.add && map.has(step.key)) {
          table.remove(step.key);
          map.delete(step.key);
        }
      }
      for (const [k, v] of map) expect(table.get(k)).toBe(v);
    }),
  );
});
