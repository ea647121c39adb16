import { expect, it } from 'vitest';
import { openMachine } from '../../src/cli/files.js';
import { simulateKernel } from '../../src/engine/simulate.js';
import { kernelByName } from '../../src/kernel/library/index.js';
import { epochText } from '../../src/report/epochs.js';

async function epoch(interleave: number) {
  const { graph } = await openMachine('fusemax');
  const op = kernelByName('attention_one_pass').toOp({ batch: 64, heads: 12, q_len: 4096, head_dim: 64 }, 'fp16');
  const { result } = simulateKernel(op, graph, { kernel: 'attention_one_pass', params: { interleave } });
  return result.arrays![0]!;
}

it('has the epoch of the paper', async () => {
  const { spans } = await epoch(1);
  // rows of keys: 64 + 1 cycles of scores and maxima; heads of 64: as many of weighted values (facts of the paper)
  const cycles = Object.fromEntries(spans.map((s) => [s.einsum, s.cycles]));
  expect(cycles).toMatchObject({ QK: 64, LM: 1, RM: 1, SLN: 7, SLD: 1, PRM: 7, SPD: 1, SLNV: 64, SPNV: 64, RNV: 64 });
});

it('says what waits for what', async () => {
  expect(epochText(await epoch(0))).toMatch(/waits 256 cycles for what places combine/);
  const text = epochText(await epoch(1));
  expect(text).toMatch(/16 in flight together/);
  expect(text).toMatch(/vector: 1 × 256 places do useful work in 100.0 % /);
  expect(text).toMatch(/matrix, 0\.\d %: waits in stage 2 for vector, .*\(cycles: RM 1\)/);
  expect(text).not.toMatch(/combine/);
});
