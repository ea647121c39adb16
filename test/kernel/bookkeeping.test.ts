/** What kernels do besides their statements: the chain shows in a lone workgroup, the issue in a full machine. */
import { expect, test } from 'vitest';
import { runEvent } from '../../src/engine/event/run.js';
import { runSteady } from '../../src/engine/steady/steady.js';
import { COLD } from '../../src/engine/types.js';
import { type Bookkeeping, bookkeepingCycles } from '../../src/kernel/bookkeeping.js';
import type { Mapping } from '../../src/kernel/kernel.js';
import { kernelByName } from '../../src/kernel/library/index.js';
import { shippedMachine } from './machines.js';

const a100 = await shippedMachine('a100-sxm-80gb-datasheet');
const clock_Hz = a100.control.clock.nominal_Hz;
const context = { ...COLD, clock_Hz };

function time_s(run: typeof runSteady, batch: number, besides: Partial<Mapping>): number {
  const kernel = kernelByName('attention_fused');
  const shape = { batch, heads: 8, kv_heads: 1, q_len: 1, kv_len: 64, head_dim: 128, causal: 1, window: 0 };
  const params = { bq: 16, bkv: 64, stages: 1, groups: 4, pack: 1, vector: 0 };
  const { program, mapping } = kernel.build(kernel.toOp(shape, 'bf16'), params, a100)[0]!;
  return run({ program, mapping: { ...mapping, ...besides } }, a100, context).time_s;
}
const bookkeeping = (start: Bookkeeping, step: Bookkeeping) => ({ bookkeeping: { start, step } });

test('instructions wait for one another, look-ups for the cache', () => {
  // 4 warps: 100 each over 4 issue slots a cycle; 4 cycles from one to the next
  expect(bookkeepingCycles({ instructions: 100, lookups: 0 }, 128, a100)).toEqual({ issue: 100, chain: 400 });
  // near hit 208 cycles, half of them 149 farther
  expect(bookkeepingCycles({ instructions: 0, lookups: 2 }, 128, a100).chain).toBeCloseTo(2 * (208 + 149 / 2), 6);
  expect(bookkeepingCycles({ instructions: 0, lookups: 0, barriers: 8 }, 128, a100)).toEqual({ issue: 0, chain: 160 });
});

test('a spilled register is stored and read: two instructions, and its bytes and latency in the core’s cache', () => {
  const { issue, chain } = bookkeepingCycles({ instructions: 0, lookups: 0, spilled: 10 }, 128, a100);
  // 4 warps over 4 slots; 2 · 128 · 4 B at 128 B a cycle, then 36 cycles
  expect(issue).toBe(20);
  expect(chain).toBeCloseTo(10 * (8 + 36), 6);
});

test.each([
  ['steady', runSteady],
  ['event', runEvent],
] as const)('%s: a lone workgroup takes the chain longer, at the start and for its one block', (_, run) => {
  const more =
    time_s(run, 1, bookkeeping({ instructions: 500, lookups: 0 }, { instructions: 250, lookups: 0, barriers: 3 })) -
    time_s(run, 1, {});
  expect(more * clock_Hz).toBeCloseTo(4 * 750 + 3 * 20, 0);
});

test.each([
  ['steady', runSteady],
  ['event', runEvent],
] as const)('%s: operands read before a product lengthen it by the time they are multiplied', (_, run) => {
  const more = time_s(run, 1, { operandsFirst: true }) - time_s(run, 1, {});
  // 16 × 64 × 128 multiply–accumulates of each product at 1024 a cycle: less than its 20 KiB of operands take at 128 B;
  // the event engine takes the memory's latency (29 cycles) once more where the two follow one another
  expect(Math.abs(more * clock_Hz - 2 * 128)).toBeLessThan(29.5);
});

test.each([
  ['steady', runSteady],
  ['event', runEvent],
] as const)('%s: lines touched one by one take the core’s port a cycle each', (_, run) => {
  const lines = bookkeeping({ instructions: 0, lookups: 0, lines: 50000 }, { instructions: 0, lookups: 0 });
  expect((time_s(run, 1, lines) - time_s(run, 1, {})) * clock_Hz).toBeCloseTo(50000, 0);
  // two workgroups on each of 108 cores share its port
  expect((time_s(run, 216, lines) - time_s(run, 216, {})) * clock_Hz).toBeGreaterThan(90000);
});

test('steady and event agree when many workgroups overlap their chains', () => {
  const besides = bookkeeping({ instructions: 500, lookups: 2 }, { instructions: 250, lookups: 1 });
  const steady = time_s(runSteady, 2000, besides);
  expect(Math.abs(steady / time_s(runEvent, 2000, besides) - 1)).toBeLessThan(0.1);
});
