/** Shaders as text. After a deliberate change: npx vitest run test/webgpu/wgsl/golden.test.ts -u, and say why in the commit. */
import { expect, it } from 'vitest';
import { emitWgsl } from '../../../src/webgpu/wgsl/emit.js';
import { accumulateRows, gemm, gemmOfBytes, softmax } from './programs.js';

it('gemm, aligned: vectors of f16, two buffers, one barrier per step', async () => {
  const s = emitWgsl(gemm(64, 128, 48), { f16: true });
  expect(s.barriers).toBe(1);
  expect(s.notes).toEqual([]);
  await expect(s.wgsl).toMatchFileSnapshot('golden/gemm.wgsl');
});
it('gemm, ragged and without f16: scalars, guarded edges', async () => {
  const s = emitWgsl(gemm(50, 70, 21), { f16: false });
  expect(s.notes).toContain('fp16 is stored as f32 (4 B for 2 B)');
  await expect(s.wgsl).toMatchFileSnapshot('golden/gemm-ragged.wgsl');
});
it('bytes: packed into words, four products at once', async () => {
  const s = emitWgsl(gemmOfBytes(64, 64, 32), { dot4: true });
  expect(s.workgroup_B).toBe(4 * 32 * 16);
  await expect(s.wgsl).toMatchFileSnapshot('golden/gemm-bytes.wgsl');
});
it('bytes, by hand: packed into words, widened as the program says', async () => {
  await expect(emitWgsl(gemmOfBytes(64, 64, 32)).wgsl).toMatchFileSnapshot('golden/gemm-bytes-plain.wgsl');
});
it('softmax: lanes meet in workgroup memory', async () => {
  await expect(emitWgsl(softmax(8, 128)).wgsl).toMatchFileSnapshot('golden/softmax.wgsl');
});
it('softmax: lanes meet in subgroups of whatever size, then in workgroup memory', async () => {
  const s = emitWgsl(softmax(8, 2048, 1024), { subgroup: [4, 128], max_lanes: 1024 });
  await expect(s.wgsl).toMatchFileSnapshot('golden/softmax-subgroups.wgsl');
});
it('softmax, counting', async () => {
  const s = emitWgsl(softmax(8, 128), { counting: true });
  expect(s.counters).toContain('tensor x read');
  await expect(s.wgsl).toMatchFileSnapshot('golden/softmax-counting.wgsl');
});
it('gather, atomic scatter and tables', async () => {
  const s = emitWgsl(accumulateRows());
  expect(s.tables).toEqual([0, 3, 3, 8]);
  await expect(s.wgsl).toMatchFileSnapshot('golden/accumulate-rows.wgsl');
});
