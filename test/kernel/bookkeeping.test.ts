/** What kernels do besides their statements: the chain shows in a lone workgroup, the issue in a full machine. */
import { expect, test } from 'vitest';
import { runEvent } from '../../src/engine/event/run.js';
import { runSteady } from '../../src/engine/steady/steady.js';
import { COLD } from '../../src/engine/types.js';
import { bookkeepingCycles } from '../../src/kernel/bookkeeping.js';
import { kernelByName } from '../../src/kernel/library/index.js';
import { shippedMachine } from './machines.js';

const a100 = await shippedMachine('a100-sxm-80gb-datasheet');
const clock_Hz = a100.control.clock.nominal_Hz;
const context = { ...COLD, clock_Hz };

function time_s(run: typeof runSteady, batch: number, besides: Record<string, number>): number {
  const kernel = kernelByName('attention_fused');
  const shape = { batch, heads: 8, kv_heads: 1, q_len: 1, kv_len: 64, head_dim: 128, causal: 1, window: 0 };
  const params = { bq: 16, bkv: 64, stages: 1, groups: 4, pack: 1, vector: 0, ...besides };
  return run(kernel.build(kernel.toOp(shape, 'bf16'), params, a100)[0]!, a100, context).time_s;
}

test('instructions wait for one another, look-ups for the cache', () => {
  // 4 warps: 100 each over 4 issue slots a cycle; 4 cycles from one to the next
  expect(bookkeepingCycles({ instructions: 100, lookups: 0 }, 128, a100)).toEqual({ issue: 100, chain: 400 });
  // near hit 208 cycles, half of them 149 farther
  expect(bookkeepingCycles({ instructions: 0, lookups: 2 }, 128, a100).chain).toBeCloseTo(2 * (208 + 149 / 2), 6);
});

test.each([
  ['steady', runSteady],
  ['event', runEvent],
] as const)('%s: a lone workgroup takes the chain longer, at the start and for its one block', (_, run) => {
  const more = time_s(run, 1, { start_instructions: 500, step_instructions: 250 }) - time_s(run, 1, {});
  expect(more * clock_Hz).toBeCloseTo(4 * 750, 0);
});

test('steady and event agree when many workgroups overlap their chains', () => {
  const besides = { start_instructions: 500, start_lookups: 2, step_instructions: 250, step_lookups: 1 };
  const steady = time_s(runSteady, 2000, besides);
  expect(Math.abs(steady / time_s(runEvent, 2000, besides) - 1)).toBeLessThan(0.1);
});
