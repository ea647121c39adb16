/** What a launch finds in the far cache of what earlier ones left, and what of its own never reaches DRAM. */
import { describe, expect, test } from 'vitest';
import { runSteady } from '../../../src/engine/steady/steady.js';
import { COLD, type Context } from '../../../src/engine/types.js';
import { gemm } from '../../../src/kernel/library/gemm.js';
import { shippedMachine } from '../../kernel/machines.js';

const MiB = 2 ** 20;
const l40s = await shippedMachine('l40s-datasheet');
const h100 = await shippedMachine('h100-sxm-datasheet');
const after = (more: Partial<Context['reuse_B']>): Context => ({ ...COLD, reuse_B: { ...COLD.reuse_B, ...more } });

/** DRAM traffic of 16 rows times weights of n × 4096, of which others' `between_B` come between two uses. */
function read_B(machine: typeof l40s, n: number, between_B: number): number {
  const op = gemm.toOp({ m: 16, n, k: 4096 }, 'fp16');
  const params = [...gemm.candidates(op, machine)][0]!;
  const [launch] = gemm.build(op, params, machine);
  return runSteady(launch!, machine, after({ weight: between_B, activation: 0 })).moved_B['dram']!.read_B;
}

describe('weights that come round', () => {
  test('stay in a whole cache as long as all of them fit, and are gone soon after', () => {
    // three of 32 MiB in 96, four
    expect(read_B(l40s, 4096, 64 * MiB)).toBeLessThan(MiB);
    expect(read_B(l40s, 4096, 96 * MiB)).toBeGreaterThanOrEqual(32 * MiB);
  });
  test('take half as many lines again in a cache of two partitions', () => {
    // two of 16 MiB, three of 16 MiB: both less than the 50 MiB of the cache
    expect(read_B(h100, 2048, 16 * MiB)).toBeLessThan(MiB);
    expect(read_B(h100, 2048, 32 * MiB)).toBeGreaterThanOrEqual(16 * MiB);
  });
});

test('a result that is written again before it must make room never reaches DRAM', () => {
  const op = gemm.toOp({ m: 1024, n: 1024, k: 1024 }, 'fp16');
  const [launch] = gemm.build(op, [...gemm.candidates(op, l40s)][0]!, l40s);
  const write_B = (activation: number) => runSteady(launch!, l40s, after({ activation })).moved_B['dram']!.write_B;
  expect(write_B(4 * MiB)).toBe(0);
  expect(write_B(200 * MiB)).toBe(2 * MiB);
});
