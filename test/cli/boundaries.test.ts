import { expect, it } from 'vitest';
import { leastOf } from '../../src/bounds/evaluate.js';
import { crossingsOf } from '../../src/cli/boundaries.js';
import { openMachine } from '../../src/cli/files.js';
import { simulateKernel } from '../../src/engine/simulate.js';
import { kernelByName } from '../../src/kernel/library/index.js';
import { parseShape } from '../../src/kernel/shape.js';

it.each(['h100-sxm', 'v100-pcie-32gb', 'lavapipe-sapphire-rapids', 'fusemax', 'tpu-v1'])(
  'what %s picks moves no less across its boundaries than any schedule must',
  async (name) => {
    const { graph } = await openMachine(name);
    const dtype = name === 'tpu-v1' ? 'int8' : name === 'lavapipe-sapphire-rapids' ? 'fp32' : 'fp16';
    const shapes = { gemm: 'm=1024,n=512,k=768', conv2d: 'in_channels=64,out_channels=64,height=56,width=56,kernel=3' };
    for (const [kernel, shape] of Object.entries(shapes)) {
      const op = kernelByName(kernel).toOp(parseShape(shape, kernelByName(kernel).shape), dtype);
      const { result } = simulateKernel(op, graph, {});
      for (const { boundary, capacity_B, moved_B } of crossingsOf(graph, result))
        expect(moved_B, `${kernel} ${boundary}`).toBeGreaterThanOrEqual(
          leastOf({ name: kernel, shape, dtype, capacity_B }).bound_B,
        );
    }
  },
  30_000,
);

it('memory of one pool is counted once: 132 SMs with 256 KiB of L1 and shared memory, 256 KiB of registers; 50 MiB of L2', async () => {
  const { graph } = await openMachine('h100-sxm');
  const { result } = simulateKernel(kernelByName('gemm').toOp({ m: 256, n: 256, k: 256 }, 'fp16'), graph, {});
  const [chip, workgroup] = crossingsOf(graph, result);
  expect(chip!.capacity_B).toBe(132 * 2 * 256 * 1024 + 50 * 1024 * 1024);
  expect(workgroup!.capacity_B).toBe((227 + 256) * 1024);
});
