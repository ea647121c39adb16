import { expect, test } from 'vitest';
import { runEvent } from '../../src/engine/event/run.js';
import { joinTraces, Timeline } from '../../src/engine/timeline.js';
import { COLD } from '../../src/engine/types.js';
import { copy, loop, loopVar, mma, mul, tensor, tile, view } from '../../src/kernel/ir.js';
import type { Launch } from '../../src/kernel/kernel.js';
import { NS, simpleMachine } from './event-machine.js';

const [g, i] = [loopVar('g'), loopVar('i')];
const A = tensor('A', 'fp16', [64 * 6, 64 * 10], 'input', 'activation');
const C = tensor('C', 'fp32', [64 * 6, 64], 'output', 'activation');
const [a, b] = [tile('a', 'shared', 'fp16', 64, 64, 3), tile('b', 'shared', 'fp16', 64, 64)];
const acc = tile('acc', 'register', 'fp32', 64, 64);
const launch: Launch = {
  program: {
    name: 'stream',
    tensors: [A, C],
    tiles: [a, b, acc],
    grid: [{ index: g, extent: 6 }],
    body: [
      loop(i, 0, 10, [copy(view(A, [mul(g, 64), mul(i, 64)], [0, 1]), a), mma(a, b, acc)]),
      copy(acc, view(C, [mul(g, 64), 0], [0, 1])),
    ],
  },
  mapping: { lanes: 32, partition: [1, 1], resident: 0, panel: 1, mma: 'matrix' },
};
const machine = simpleMachine({ cores: 3 });

test('a track per core and lane, slices that nest, times in microseconds', () => {
  const timeline = new Timeline();
  const r = runEvent(launch, machine, COLD, { timeline });
  expect(r).toEqual(runEvent(launch, machine, COLD));
  const { traceEvents, metadata, displayTimeUnit } = timeline.trace();
  expect(displayTimeUnit).toBe('ns');
  expect(metadata['title']).toBe('stream on simple');
  expect(metadata['note']).toBeUndefined();
  const slices = traceEvents.filter((e) => e.ph === 'X');
  expect(metadata['slices']).toBe(slices.length);
  const names = new Map(
    traceEvents.filter((e) => e.name === 'thread_name').map((e) => [e.tid, String(e.args!['name'])]),
  );
  expect([...names.values()]).toEqual(
    [0, 1, 2].flatMap((c) => ['copy', 'matrix', 'store'].map((lane) => `core ${c} ${lane}`)),
  );
  const ends = new Map<number, number>();
  const total = new Map<string, number>();
  for (const s of slices) {
    expect(s.ts!).toBeGreaterThanOrEqual(ends.get(s.tid) ?? 0);
    expect(s.dur!).toBeGreaterThan(0);
    ends.set(s.tid, s.ts! + s.dur!);
    expect(s.ts! + s.dur!).toBeLessThanOrEqual(r.time_s * 1e6 * (1 + 1e-12));
    const track = names.get(s.tid)!;
    total.set(track, (total.get(track) ?? 0) + s.dur!);
  }
  // Two workgroups of ten products of 256 ns on each core; 8 KiB at 50 B/ns each.
  expect(total.get('core 0 matrix')! / 1e6 / NS).toBeCloseTo(20 * 256, 6);
  expect(total.get('core 0 copy')! / 1e6 / NS).toBeCloseTo((20 * 8192) / 50, 6);
});

test('cores and slices beyond the limits are left out, and a note says so', () => {
  const timeline = new Timeline({ cores: 1, slices: 5 });
  runEvent(launch, machine, COLD, { timeline });
  const { traceEvents, metadata } = timeline.trace();
  expect(traceEvents.filter((e) => e.ph === 'X').length).toBe(5);
  expect(metadata['note']).toMatch(/^only the first 1 cores are shown; \d+ slices after the first 5 are left out$/);
});

test('only the run whose result is given is drawn, be it at another clock', () => {
  const timeline = new Timeline();
  const free = runEvent(launch, machine, COLD);
  const capped = simpleMachine({ cores: 3, power_cap_W: free.power_W / 2 });
  const r = runEvent(launch, capped, COLD, { timeline });
  const products = timeline.trace().traceEvents.filter((e) => e.ph === 'X' && e.name === 'mma');
  expect(products.length).toBe(60);
  expect(products[0]!.dur! / 1e6 / NS).toBeCloseTo((256 * 1e9) / r.clock_Hz, 3);
});

test('launches after one another are processes of one trace', () => {
  const timeline = new Timeline({ cores: 1, slices: 1000 });
  const r = runEvent(launch, machine, COLD, { timeline });
  const [one, two] = [timeline.trace(1), timeline.trace(2, r.time_s)];
  const joined = joinTraces([one, two]);
  expect(joined.metadata['slices']).toBe(2 * Number(one.metadata['slices']));
  expect(joined.metadata['note']).toBe('only the first 1 cores are shown');
  const starts = (pid: number) => joined.traceEvents.filter((e) => e.ph === 'X' && e.pid === pid).map((e) => e.ts!);
  expect(starts(2)).toEqual(starts(1).map((ts) => ts + r.time_s * 1e6));
});
