/** The framework's choice of decode and prefill kernels: cases worked out by hand from its dispatch rules. */
import { describe, expect, test } from 'vitest';
import { residency } from '../../src/kernel/fit.js';
import { kernelByName } from '../../src/kernel/library/index.js';
import { decodeDispatch, decodeKernel } from '../../src/validate/attention-kernels.js';
import { KERNEL_NUMBERS, withHabit } from '../../src/validate/kernel-habits.js';
import { prefillDispatch } from '../../src/validate/prefill-kernels.js';
import type { OpOf } from '../../src/workload/op.js';
import { shippedMachine } from '../kernel/machines.js';

type Attention = OpOf<'attention'>;
function decode(batch: number, kv_len: number, heads: number, kv_heads: number, more: Partial<Attention> = {}) {
  const shape = { batch, heads, kv_heads, q_len: 1, kv_len, head_dim: 128, causal: 1, window: 0 };
  return { ...kernelByName('attention_fused').toOp(shape, 'bf16'), ...more } as Attention;
}

const a100 = await shippedMachine('a100-sxm-80gb');
const h100 = await shippedMachine('h100-sxm');
const b200 = await shippedMachine('b200-sxm');
const l40s = await shippedMachine('l40s-datasheet');

describe('a decode step', () => {
  test.each([
    ['grouped heads, work enough', decode(16, 100, 32, 8), 'xqa'],
    ['27 workgroups are a quarter of 108 cores', decode(27, 100, 8, 1), 'xqa'],
    ['26 are not', decode(26, 100, 8, 1), 'mmha'],
    ['but with three parts of 128 keys each they are', decode(26, 386, 8, 1), 'xqa'],
    ['every head has keys of its own', decode(64, 100, 32, 32), 'mmha'],
    ['more heads share keys than a tile holds', decode(64, 100, 64, 1), 'mmha'],
  ] as const)('%s', (_, op, kernel) => {
    expect(decodeKernel(op, a100)).toBe(kernel);
  });

  test('takes the matrix kernel with a window too, and cuts all of the context into parts', () => {
    const op = decode(1, 8192, 32, 8, { window: 128 });
    expect(decodeKernel(op, a100)).toBe('xqa');
    expect(decodeDispatch(op, a100).pins.params).toMatchObject({ splits: 16 });
  });

  test('on one-byte keys runs the kernel for them only where instructions read shared memory', () => {
    const op = decode(1, 100, 8, 1, { kv: 'fp8_e4m3' });
    expect(decodeKernel(op, h100)).toBe('narrow xqa');
    expect(decodeKernel({ ...op, batch: 64 }, a100)).toBe('xqa');
    expect(decodeKernel(op, b200)).toBe('fmha');
  });

  test('cuts the context by the square root of its length, up to eight workgroups a core', () => {
    // 8191 keys before: 63 blocks, √(8·63) = 22.4 parts of 23 legal ones below: 16
    expect(decodeDispatch(decode(1, 8192, 32, 8), a100).pins.params).toMatchObject({ splits: 16, bq: 16, bkv: 256 });
    // 64·8·16 workgroups would be 76 a core; 8/75.9 of 22 parts is 1.7
    expect(decodeDispatch(decode(64, 8192, 32, 8), a100).pins.kernel).toBe('attention_fused');
  });

  test('uses the instructions of a lane group although wider ones exist', () => {
    expect(decodeDispatch(decode(16, 100, 32, 8), h100).pins.params).toMatchObject({ widest: 32 });
  });
});

describe('a prompt', () => {
  const op = (head_dim: number, q_len = 4096, q: Attention['q'] = 'bf16') =>
    decode(1, q_len, 8, 8, { q_len, head_dim, q, kv: q });
  const tile = (a: Attention, machine: typeof a100, cache = a.kv) => prefillDispatch(a, cache, machine)?.pins.params;

  test('runs in tiles of two groups of 64 queries where instructions span four lane groups', () => {
    expect(tile(op(64), h100)).toMatchObject({ bq: 128, bkv: 256 });
    expect(tile(op(128), h100)).toMatchObject({ bq: 128, bkv: 128 });
  });

  test('before, the A100 has blocks of 128 keys, its smaller kin of 32 but for wide heads', () => {
    expect(tile(op(128), a100)).toMatchObject({ bq: 64, bkv: 128 });
    expect(tile(op(64), a100)).toMatchObject({ bq: 128, bkv: 128 });
    expect(tile(op(128, 64), a100)).toMatchObject({ bq: 64, bkv: 32 });
    expect(tile(op(128), l40s)).toMatchObject({ bq: 64, bkv: 32 });
    expect(tile(op(256), l40s)).toMatchObject({ bq: 64, bkv: 128 });
    expect(tile(op(64, 4096, 'fp8_e4m3'), l40s)).toMatchObject({ bq: 128, bkv: 128 });
  });

  test('holds fragments in registers before Hopper, and spills what a lane has no more registers for', () => {
    // scores 16, results 128, queries 32, keys and values 64 each, 32 others: 336 of 255, 81 spilled
    const wide = prefillDispatch(op(256, 4096, 'fp8_e4m3'), 'fp8_e4m3', l40s)!;
    expect(wide.habit).toMatchObject({ name: 'fmha', spilled: 81, resident: 1 });
    expect(prefillDispatch(op(64), 'bf16', l40s)?.habit?.spilled).toBeUndefined();
  });

  test('two tiles of 128 queries share a Blackwell core, as its accumulators leave room for', () => {
    const resident = (head_dim: number) => {
      const { op: a, pins } = prefillDispatch(op(head_dim), 'bf16', b200)!;
      return residency(kernelByName('attention_fused').build(a, { vector: 0, ...pins.params }, b200)[0]!, b200);
    };
    // scores 64 KiB and results 32, 64 or (with 32 KiB of scores) 128 KiB of 256
    expect(resident(64)).toMatchObject({ workgroups_per_core: 2, limited_by: 'accumulators' });
    expect(resident(128)).toMatchObject({ workgroups_per_core: 2 });
    expect(resident(256)).toMatchObject({ workgroups_per_core: 1 });
  });

  test('multiplies a cache of one byte as it is where instructions read shared memory', () => {
    expect(prefillDispatch(op(128), 'fp8_e4m3', h100)?.op).toMatchObject({ q: 'fp8_e4m3', kv: 'fp8_e4m3' });
    expect(prefillDispatch(op(128), 'fp8_e4m3', l40s)?.op).toMatchObject({ q: 'bf16', kv: 'bf16' });
  });
});

test('the embedding kernel reads each token’s angles in 32 lines, and its head six times over', () => {
  const [launch] = kernelByName('rotary_cache').build(
    kernelByName('rotary_cache').toOp({ rows: 64, heads: 4, head_dim: 128, kv_heads: 1, positions: 64 }, 'bf16'),
    { rows: 16, groups: 8 },
    a100,
  );
  expect(withHabit(launch!, { name: 'rotary_cache' }).mapping.bookkeeping?.start).toMatchObject({
    lookups: 4,
    lines: 16 * (32 + 6 * 2),
  });
});

test('what kernels do besides reaches the launch that multiplies, and is listed with its source', () => {
  const { op, pins, habit } = decodeDispatch(decode(1, 8192, 32, 8), a100);
  const [parts, combine] = kernelByName(pins.kernel!)
    .build(op, { ...pins.params, pack: 1 }, a100)
    .map((l) => withHabit(l, habit!));
  expect(parts!.mapping.bookkeeping).toMatchObject({ start: { lookups: 2 }, step: { instructions: 1250 } });
  expect(combine!.mapping.bookkeeping).toBeUndefined();
  expect(KERNEL_NUMBERS.get('xqa.step.instructions')).toMatchObject({ value: 1250, from: 'calibrated' });
  for (const n of KERNEL_NUMBERS.values()) expect(n.source).not.toBe('');
});
