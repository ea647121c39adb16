/** Names of kernels as choices: tiles by cuBLAS's names against the grids that rows of the tables give with them. */
import { describe, expect, test } from 'vitest';
import { runEvent } from '../../src/engine/event/run.js';
import { runSteady } from '../../src/engine/steady/steady.js';
import { COLD } from '../../src/engine/types.js';
import { kernelByName } from '../../src/kernel/library/index.js';
import { matmul } from '../../src/validate/calls.js';
import { layerNormPins, sgemmPins, softmaxPins } from '../../src/validate/named-kernels.js';
import type { OpOf } from '../../src/workload/op.js';
import { shippedMachine } from '../kernel/machines.js';

const product = (m: number, n: number, k: number, batch = 1) => matmul(batch, m, n, k, 'fp32', 'fp32', 'fp32');

describe('a product', () => {
  test.each([
    // rows and columns over the tile give the grid of the row
    [product(4096, 3072, 768), 'volta_sgemm_128x64_tn', [24, 64, 1], 128, { bm: 64, bn: 128 }],
    [product(4096, 2048, 50272), 'volta_sgemm_128x128_tn', [16, 32, 5], 256, { bm: 128, bn: 128, split: 5 }],
    [product(2048, 64, 2048, 48), 'volta_sgemm_32x128_nn', [2, 16, 48], 256, { bm: 128, bn: 32 }],
  ] as const)('%# in the tile of its name', (op, kernel, grid, block_x, tile) => {
    const pins = sgemmPins(op, { kernel, grid, block_x })!;
    expect(pins.params).toMatchObject(tile);
    expect(pins.kernel).toBe('split' in tile ? 'gemm_split_k' : 'gemm');
    const { bm, bn, groups_m, groups_n } = pins.params as Record<string, number>;
    expect([Math.ceil(op.n / bn!), Math.ceil(op.m / bm!)]).toEqual(grid.slice(0, 2));
    expect(groups_m! * groups_n! * 32).toBe(block_x);
  });

  test('of an unknown name is left to the search', () => {
    expect(
      sgemmPins(product(64, 64, 64), { kernel: 'cutlass_80_simt', grid: [1, 1, 1], block_x: 128 }),
    ).toBeUndefined();
  });
});

test('row kernels are known by their block', () => {
  const rows = { id: 'op', name: 'op', repeat: 1, deps: [] as string[], rows: 20480, dtype: 'fp32' as const };
  const softmax: OpOf<'softmax'> = { ...rows, kind: 'softmax', cols: 1024 };
  const launch = (kernel: string, x: number, block_x: number) => ({ kernel, grid: [x, 1, 1] as const, block_x });
  expect(softmaxPins(softmax, launch('softmax_warp_forward', 5120, 32))?.params).toMatchObject({ rows: 4, block: 0 });
  expect(softmaxPins({ ...softmax, cols: 4096 }, launch('cunn_SoftMaxForward', 20480, 512))?.params).toMatchObject({
    groups: 16,
    block: 2048,
    passes: 3,
  });
  const norm: OpOf<'normalise'> = { ...rows, kind: 'normalise', norm: 'layer', cols: 1600, residual: false };
  expect(layerNormPins(norm, launch('vectorized_layer_norm_kernel', 20480, 32))?.params).toMatchObject({ block: 512 });
  expect(layerNormPins(norm, launch('other', 1, 32))).toBeUndefined();
});

describe('rows read twice come from DRAM twice where those of all running workgroups do not fit the cache', async () => {
  const v100 = await shippedMachine('v100-pcie-32gb');
  const a100 = await shippedMachine('a100-pcie-40gb');
  const kernel = kernelByName('layernorm');
  const cols = 10240;
  const launch = (machine: typeof v100) =>
    kernel.build(
      kernel.toOp({ rows: 2048, cols, residual: 0 }, 'fp32'),
      { rows: 1, groups: 4, block: 512 },
      machine,
    )[0]!;
  const data_B = 2048 * cols * 4;
  test.each([
    ['steady', runSteady],
    ['event', runEvent],
  ] as const)(
    '%s',
    (_, run) => {
      // V100: 6 MB of cache beside 80 cores × 8 rows × 40 KB; A100: 40 MB beside about as much as that holds
      const cold = run(launch(v100), v100, COLD).moved_B['dram']!.read_B;
      expect(cold / data_B).toBeGreaterThan(1.8);
      expect(cold / data_B).toBeLessThan(2.1);
      const warm = run(launch(a100), a100, COLD).moved_B['dram']!.read_B;
      expect(warm).toBeLessThan(cold);
    },
    60_000,
  );
});
