/** What is said of arrays adds up to what the engine counted. */
import { beforeAll, describe, expect, it } from 'vitest';
import { openMachine } from '../../../src/cli/files.js';
import type { Occupancy } from '../../../src/engine/nest/occupancy.js';
import { simulateKernel } from '../../../src/engine/simulate.js';
import { kernelByName } from '../../../src/kernel/library/index.js';

type Case = readonly [
  machine: string,
  kernel: string,
  dtype: 'fp16' | 'int8',
  shape: Record<string, number>,
  set?: string[],
];

const attention = { batch: 2, heads: 3, q_len: 1000, head_dim: 64 };
const CASES: readonly Case[] = [
  ['fusemax', 'attention_one_pass', 'fp16', { ...attention, q_len: 1024 }],
  ['fusemax', 'attention_one_pass', 'fp16', { ...attention, q_len: 1024 }, ['dram.bandwidth=1GB/s']],
  ['fusemax-cascade', 'attention_one_pass', 'fp16', { ...attention, q_len: 2048 }],
  ['flat', 'attention_rows_kept', 'fp16', { ...attention, q_len: 1024 }],
  ['flat', 'attention_phases', 'fp16', { ...attention, q_len: 1024 }],
  ['tpu-v4i', 'attention', 'fp16', attention],
  ['tpu-v4i', 'gemm', 'fp16', { m: 1000, n: 300, k: 500 }],
  ['tpu-v1', 'gemm', 'int8', { m: 1000, n: 1000, k: 1000 }],
  ['eyeriss-like', 'gemm', 'int8', { m: 100, n: 90, k: 70 }],
  ['simba-like', 'gemm', 'int8', { m: 65, n: 33, k: 128 }],
  ['gemmini', 'gemm', 'int8', { m: 100, n: 100, k: 100 }],
  ['fusemax', 'softmax', 'fp16', { rows: 1000, cols: 700 }],
];

async function run([machine, kernel, dtype, shape, set]: Case) {
  const { graph } = await openMachine(machine, set ?? []);
  const op = kernelByName(kernel).toOp(shape, dtype);
  const { result, runs } = simulateKernel(op, graph, { kernel });
  return { result, runs, arrays: result.arrays! };
}

const sum = (xs: readonly number[]) => xs.reduce((a, b) => a + b, 0);
const partOf = (o: Occupancy, unit: string, part: string) =>
  sum(o.arrays.find((a) => a.unit === unit)!.parts.flatMap((p) => (p.part === part ? [p.cycles] : [])));

describe.each(CASES.map((c) => [`${c[1]} on ${c[0]}${c[4] ? ` with ${c[4]}` : ''}`, c] as const))('%s', (_, c) => {
  let ran: ReturnType<typeof run>;
  beforeAll(() => (ran = run(c)));

  it('divides each launch’s time, and no more than it, among what places do', async () => {
    const { result, runs, arrays } = await ran;
    expect(arrays.length).toBeGreaterThan(0);
    for (const [i, o] of arrays.entries()) {
      const { nest } = runs[i]!;
      expect(o.cycles).toBe(nest!.cycles + nest!.fill_drain_cycles);
      expect(o.rounds * o.round_cycles + o.fill_drain_cycles).toBeCloseTo(o.cycles, 6);
      // the launch's time is these cycles and what launching costs
      expect(o.cycles / result.clock_Hz).toBeLessThanOrEqual(runs[i]!.time_s * (1 + 1e-12));
      for (const a of o.arrays) {
        expect(sum(a.parts.map((p) => p.cycles)) / o.cycles, a.unit).toBeCloseTo(1, 9);
        for (const p of a.parts) expect(p.cycles).toBeGreaterThan(0);
        const own = nest!.einsums.filter((e) => e.unit === a.unit);
        expect(partOf(o, a.unit, 'work')).toBeCloseTo(sum(own.map((e) => e.utilisation * e.cycles)), 6);
        expect(a.busy_cycles).toBeCloseTo(sum(own.map((e) => e.compute_cycles)), 6);
      }
    }
  });

  it('puts every einsum into a round without overlap, stage by stage', async () => {
    const { arrays } = await ran;
    for (const o of arrays) {
      const ends = o.stages.map((_, i) => sum(o.stages.slice(0, i + 1)));
      expect((ends.at(-1)! + o.reduction_cycles + o.store_cycles) / o.round_cycles).toBeCloseTo(1, 9);
      for (const { unit, busy_cycles } of o.arrays) {
        let end = 0;
        const spans = o.spans.filter((s) => s.unit === unit);
        for (const s of spans) {
          expect(s.from).toBeGreaterThanOrEqual(Math.max(end, ends[s.stage - 2] ?? 0) * (1 - 1e-9));
          end = s.from + s.cycles;
          expect(end).toBeLessThanOrEqual(ends[s.stage - 1]! * (1 + 1e-9));
        }
        expect(sum(spans.map((s) => s.cycles)) * o.rounds).toBeCloseTo(busy_cycles, 3);
      }
    }
  });
});

describe('reasons', () => {
  it('are of places beyond the ends of ranks where an array’s side does not divide them, and only there', async () => {
    const of = async (m: number) => (await run(['tpu-v1', 'gemm', 'int8', { m, n: 256, k: 256 }])).arrays[0]!;
    const whole = await of(512);
    expect(partOf(whole, 'matrix', 'edges') + partOf(whole, 'matrix', 'unfilled')).toBe(0);
    const odd = (await run(['tpu-v1', 'gemm', 'int8', { m: 512, n: 257, k: 257 }])).arrays[0]!;
    // a row and a column beyond the array take three tiles more
    const lost = partOf(odd, 'matrix', 'edges') + partOf(odd, 'matrix', 'unfilled');
    expect(lost).toBeGreaterThan(2 * partOf(odd, 'matrix', 'work'));
  });

  it('are waits for a store exactly when it is slower than the arrays', async () => {
    const of = async (bandwidth: string) =>
      (
        await run([
          'fusemax',
          'attention_one_pass',
          'fp16',
          { ...attention, q_len: 1024 },
          [`dram.bandwidth=${bandwidth}`],
        ])
      ).arrays[0]!;
    expect(partOf(await of('400GB/s'), 'matrix', 'store')).toBe(0);
    const slow = await of('1GB/s');
    expect(slow.bound_by).toBe('dram');
    const dram = slow.stores.find((s) => s.store === 'dram')!;
    expect(dram.busy_cycles / (slow.cycles - slow.fill_drain_cycles)).toBeCloseTo(1, 9);
    expect(partOf(slow, 'matrix', 'store')).toBeGreaterThan(0.5 * slow.cycles);
  });

  it('tell whom an array waits for', async () => {
    const o = (await run(['fusemax-cascade', 'attention_one_pass', 'fp16', { ...attention, q_len: 2048 }])).arrays[0]!;
    const waits = o.arrays[0]!.parts.filter((p) => p.part === 'other_array');
    expect(waits.map((p) => p.of)).toEqual(['vector']);
    expect(o.arrays.find((a) => a.unit === 'vector')!.parts.some((p) => p.part === 'other_array')).toBe(false);
  });

  it('count a tensor’s bytes at a store as the run does', async () => {
    const { result, arrays } = await run(['tpu-v1', 'gemm', 'int8', { m: 1000, n: 1000, k: 1000 }]);
    for (const s of arrays[0]!.stores)
      expect(sum(Object.values(s.tensors_B)) / result.requested_B[s.store]!).toBeCloseTo(1, 12);
  });
});
