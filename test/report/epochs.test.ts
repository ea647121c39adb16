import { expect, it } from 'vitest';
import { openMachine } from '../../src/cli/files.js';
import { simulateKernel } from '../../src/engine/simulate.js';
import { kernelByName } from '../../src/kernel/library/index.js';
import { epochOf, epochText } from '../../src/report/epochs.js';

async function epoch(interleave: number) {
  const { graph } = await openMachine('fusemax');
  const op = kernelByName('attention_one_pass').toOp({ batch: 64, heads: 12, q_len: 4096, head_dim: 64 }, 'fp16');
  const { choice, runs } = simulateKernel(op, graph, { kernel: 'attention_one_pass', params: { interleave } });
  return { nest: choice.launches[0]!.mapping.nest!, result: runs[0]!.nest! };
}

it('einsums of one array follow one another, stages do, and the spans of the busiest fill its stage', async () => {
  const { nest, result } = await epoch(1);
  const { spans, edges } = epochOf(nest, result);
  for (const unit of ['matrix', 'vector']) {
    let end = 0;
    for (const s of spans.filter((x) => x.unit === unit)) {
      expect(s.from).toBeGreaterThanOrEqual(Math.max(end, edges[s.stage]!) - 1e-9);
      end = s.from + s.cycles;
      expect(end).toBeLessThanOrEqual(edges[s.stage + 1]! + 1e-9);
    }
  }
  expect(edges.at(-1)! * result.epochs).toBeCloseTo(result.compute_cycles, 3);
  // rows of keys: 64 + 1 cycles of scores and maxima; heads of 64: as many of weighted values (facts of the paper)
  const cycles = Object.fromEntries(spans.map((s) => [s.einsum, s.cycles]));
  expect(cycles).toMatchObject({ QK: 64, LM: 1, RM: 1, SLN: 7, SLD: 1, PRM: 7, SPD: 1, SLNV: 64, SPNV: 64, RNV: 64 });
});

it('says what waits for what', async () => {
  const alone = await epoch(0);
  expect(epochText(alone.nest, alone.result)).toMatch(/waits 256 cycles more/);
  const together = await epoch(1);
  const text = epochText(together.nest, together.result);
  expect(text).toMatch(/16 in flight together/);
  expect(text).toMatch(/vector 100 %/);
  expect(text).not.toMatch(/waits/);
});
