/** Tiles of the framework's quantised products, and block scales applied on the lanes. */
import { describe, expect, test } from 'vitest';
import { runEvent } from '../../src/engine/event/run.js';
import { runSteady } from '../../src/engine/steady/steady.js';
import { COLD } from '../../src/engine/types.js';
import { gemm } from '../../src/kernel/library/gemm.js';
import { matmul } from '../../src/validate/calls.js';
import { blockScaledPins, fourBitPins, unsplitPins, weightOnlyPins } from '../../src/validate/gemm-kernels.js';
import { shippedMachine } from '../kernel/machines.js';

const h100 = await shippedMachine('h100-sxm');
const l40s = await shippedMachine('l40s');
const b200 = await shippedMachine('b200-sxm');
const fp8 = (m: number, block_scaled?: true) => ({
  ...matmul(1, m, 4096, 4096, 'fp8_e4m3', 'fp8_e4m3', 'bf16'),
  ...(block_scaled && { block_scaled }),
});

describe('tiles', () => {
  test('of block-scaled products go by the instruction', () => {
    expect(blockScaledPins(fp8(16, true), h100)?.params).toEqual({ bm: 64, bk: 128 });
    expect(blockScaledPins(fp8(65, true), h100)?.params).toEqual({ bm: 128, bk: 128 });
    expect(blockScaledPins(fp8(4096, true), l40s)?.params).toEqual({ bm: 32, bn: 128, bk: 128 });
    expect(blockScaledPins(fp8(4096, true), b200)).toBeUndefined();
  });

  test('of four-bit products are as wide as leaves none of the cores idle', () => {
    const product = (m: number, n: number) => matmul(1, m, n, 4096, 'nvfp4', 'nvfp4', 'bf16');
    // 32 × 16 tiles of 128 × 256, 148 cores
    expect(fourBitPins(product(4096, 4096), b200).params).toMatchObject({ bn: 256 });
    expect(fourBitPins(product(1024, 4096), b200).params).toMatchObject({ bn: 128 });
    expect(fourBitPins(product(16, 4096), b200).params).toMatchObject({ bn: 64 });
  });

  test('of products with few rows and narrow weights are none', () => {
    expect(weightOnlyPins(matmul(1, 4, 4096, 4096, 'bf16', 'int8', 'bf16'))).toBeUndefined();
    const pins = weightOnlyPins(matmul(1, 5, 4096, 4096, 'bf16', 'int8', 'bf16'))!;
    expect(pins.map((p) => p.kernel)).toEqual(['gemm', 'gemm_split_k']);
    for (const p of pins) expect(p.params).toEqual({ bn: 128, bk: 64 });
  });

  test('of integers scaled by row are not split over k, but for few rows', () => {
    const product = (m: number) => matmul(1, m, 512, 65536, 'int8', 'int8', 'bf16');
    expect(unsplitPins(product(4))).toBeUndefined();
    expect(unsplitPins(product(5))).toEqual({ kernel: 'gemm' });
  });
});

test.each([
  ['steady', runSteady],
  ['event', runEvent],
] as const)('%s: block scales cost a multiply–add for each element of each 128 of k', (_, run) => {
  const p = { bm: 128, bn: 128, bk: 128, stages: 4, groups_m: 2, groups_n: 1, panel: 1, cluster_n: 1, cluster_m: 1 };
  const flops = (block?: true) => run(gemm.build(fp8(4096, block), p, h100)[0]!, h100, COLD).flops_executed;
  // 4096 × 4096 elements, 32 blocks of k, two operations each
  expect(flops(true) - flops()).toBeCloseTo(4096 * 4096 * 32 * 2, -3);
});
