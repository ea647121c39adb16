import { describe, expect, it } from 'vitest';
import { openMachine } from '../../src/cli/files.js';
import { cascadeOf, hasCascade } from '../../src/kernel/cascade.js';
import { passesOf } from '../../src/kernel/cascade-passes.js';
import type { Kernel, Params } from '../../src/kernel/kernel.js';
import { kernelByName } from '../../src/kernel/library/index.js';
import { WARPS } from './machines.js';

const shape = { heads: 2, q_len: 64, kv_len: 128, head_dim: 16 };

async function cascade(name: string, machine: string | undefined, params: Params) {
  const kernel = kernelByName(name) as Kernel;
  const graph = machine ? (await openMachine(machine)).graph : WARPS;
  const { program } = kernel.build(kernel.toOp(shape, 'fp16'), params, graph)[0]!;
  const c = cascadeOf(program);
  if (!hasCascade(c)) throw new Error(c.reason);
  return c;
}
const keys = (c: Awaited<ReturnType<typeof cascade>>) =>
  c.einsums
    .find((e) => e.ins.some((a) => a.tensor === 'k'))!
    .ranks.find((r) => c.ranks[r] === 128 || c.ranks[r] === 8)!;

// passes by the definition of Nayak et al., MICRO'24, table of attention algorithms
describe('passes over the keys', () => {
  it('three where maximum, sum and division each need the whole row', async () => {
    const c = await cascade('attention_rows_kept', 'flat', { bq: 64, tiles: 1, spill: 0 });
    const p = passesOf(c, keys(c));
    expect(p.count).toBe(3);
    expect(p.kept.map((k) => k.tensor)).toEqual(expect.arrayContaining(['QK', 'SN']));
  });
  it('two where the division waits until the end', async () => {
    const c = await cascade('attention_two_pass', undefined, { bq: 16, bkv: 16, stages: 1, groups: 1, pack: 0 });
    expect(passesOf(c, 'j').count).toBe(2);
  });
  it('one where blocks correct one another, and nothing that lives on grows with the keys', async () => {
    for (const [name, machine, params] of [
      ['attention_one_pass', 'fusemax', { bq: 64, bkv: 16, interleave: 1 }],
      ['attention_fused', undefined, { bq: 16, bkv: 16, stages: 1, groups: 1, pack: 0 }],
    ] as const) {
      const c = await cascade(name, machine, params);
      const p = passesOf(c, 'j');
      expect(p.ranks).toEqual(['j', 'j0']);
      expect(p.count).toBe(1);
      expect(p.kept).toEqual([]);
      expect(p.state_B).toBeGreaterThan(0);
    }
  });
  it('two over the keys of a block: its maximum is known before its exponentials', async () => {
    const c = await cascade('attention_one_pass', 'fusemax', { bq: 64, bkv: 16, interleave: 1 });
    const p = passesOf(c, 'j0', true);
    expect(p.ranks).toEqual(['j0']);
    expect(['QK', 'LM', 'SLN', 'SLD', 'SLNV'].map((e) => p.of.get(e))).toEqual([0, 0, 1, 1, 1]);
  });
  it('a rank that is not there is named', async () => {
    const c = await cascade('attention_fused', undefined, { bq: 16, bkv: 16, stages: 1, groups: 1, pack: 0 });
    expect(() => passesOf(c, 'x')).toThrow(/rank/);
  });
});
