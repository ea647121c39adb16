import { describe, expect, it } from 'vitest';
import { openMachine } from '../../../src/cli/files.js';
import { simulateKernel } from '../../../src/engine/simulate.js';
import { cascadeOf, hasCascade } from '../../../src/kernel/cascade.js';
import { interpret } from '../../../src/kernel/interpret.js';
import type { Kernel, Params } from '../../../src/kernel/kernel.js';
import { attentionReference } from '../../../src/kernel/library/attention_op.js';
import { kernelByName } from '../../../src/kernel/library/index.js';
import type { OpOf } from '../../../src/workload/op.js';
import { evaluateCascade, flopsOfCascade } from '../evaluate-cascade.js';
import { WARPS } from '../machines.js';
import { distance, inputsOf, runLaunches } from './run.js';

type Case = readonly [kernel: string, machine: string, params: Params];
const CASES: readonly Case[] = [
  ['attention_one_pass', 'fusemax', { bq: 16, bkv: 8, interleave: 1 }],
  ['attention_one_pass', 'fusemax-cascade', { bq: 24, bkv: 24, interleave: 0 }],
  ['attention_rows_kept', 'flat', { bq: 16, tiles: 2, spill: 0 }],
  ['attention_rows_kept', 'flat', { bq: 16, tiles: 1, spill: 2 }],
  ['attention_phases', 'flat', { bq: 16 }],
];
const SHAPE = { batch: 2, heads: 4, kv_heads: 2, q_len: 48, kv_len: 24, head_dim: 8 };

async function build([name, machine, params]: Case, shape = SHAPE) {
  const kernel = kernelByName(name) as Kernel;
  const { graph } = await openMachine(machine);
  const op = kernel.toOp(shape, 'fp16') as OpOf<'attention'>;
  return { op, launches: kernel.build(op, params, graph) };
}

describe.each(CASES)('%s on %s, %o', (...c) => {
  it('gives the reference result', async () => {
    const { op, launches } = await build(c);
    const inputs = inputsOf(launches);
    expect(distance(runLaunches(launches, inputs)['o']!, attentionReference(op, inputs)['o']!)).toBeLessThan(1e-9);
  });
  it('its cascades compute what its programs do, operation by operation', async () => {
    const { launches } = await build(c);
    const memory: Record<string, Float64Array> = inputsOf(launches);
    for (const { program } of launches) {
      const cascade = cascadeOf(program);
      if (!hasCascade(cascade)) throw new Error(cascade.reason);
      const given = Object.fromEntries(
        program.tensors.flatMap((t) => (memory[t.name] ? [[t.name, memory[t.name]!]] : [])),
      );
      const run = interpret(program, given);
      // what an earlier launch left is an input here
      const tensors = program.tensors.map((t) => (memory[t.name] ? { ...t, role: 'input' as const } : t));
      const found = evaluateCascade(cascade, tensors, given);
      for (const t of tensors)
        if (t.role !== 'input') expect(distance(found[t.name]!, run.outputs[t.name]!), t.name).toBeLessThan(1e-9);
      // a reduction of n takes n operations here, n − 1 there
      expect(Math.abs(flopsOfCascade(cascade) / run.flops_executed - 1)).toBeLessThan(0.02);
      Object.assign(memory, run.outputs);
    }
  });
});

describe.each([
  ['as many keys as queries', { ...SHAPE, batch: 1, q_len: 48, kv_len: 48, head_dim: 32, causal: 1 }],
  ['keys before the first query', { ...SHAPE, batch: 1, q_len: 32, kv_len: 48, head_dim: 32, causal: 1 }],
] as const)('causal attention in one pass, %s', (_, shape) => {
  const built = () => build(['attention_one_pass', 'fusemax', { bq: 16, bkv: 8, interleave: 1 }], shape);

  it('gives the reference result', async () => {
    const { op, launches } = await built();
    const inputs = inputsOf(launches);
    expect(distance(runLaunches(launches, inputs)['o']!, attentionReference(op, inputs)['o']!)).toBeLessThan(1e-9);
  });

  it('its cascade leaves out the blocks that no query of a tile sees', async () => {
    const { launches } = await built();
    const { program } = launches[0]!;
    const cascade = cascadeOf(program);
    if (!hasCascade(cascade)) throw new Error(cascade.reason);
    const before = (shape.kv_len - shape.q_len) / 8;
    const tiles = Array.from({ length: shape.q_len / 16 }, (_, p) => before + 2 * (p + 1));
    expect(cascade.until).toEqual({ rank: 'j', by: 'p', tile: 16, blocks: tiles });
    const inputs = inputsOf(launches);
    const run = interpret(program, inputs);
    const found = evaluateCascade(cascade, program.tensors, inputs);
    expect(distance(found['o']!, run.outputs['o']!)).toBeLessThan(1e-9);
    // the program also works out places, which loops count for nothing
    expect(Math.abs(flopsOfCascade(cascade) / run.flops_executed - 1)).toBeLessThan(0.03);
  });
});

it('causal attention on FuseMax does just the blocks that are seen, and no key or value twice', async () => {
  const { graph } = await openMachine('fusemax');
  const kernel = kernelByName('attention_one_pass') as Kernel;
  const shape = { batch: 2, heads: 3, q_len: 4096, head_dim: 64 };
  const run = (causal: number) =>
    simulateKernel(kernel.toOp({ ...shape, causal }, 'fp16'), graph, { kernel: kernel.name }).result;
  const [all, half] = [run(0).arrays![0]!, run(1).arrays![0]!];
  expect(all.rounds).toBe(6 * 16 * 16);
  expect(half.rounds).toBe((6 * 16 * 17) / 2);
  const cycles = (o: typeof all, einsum: string) => o.rounds * o.spans.find((s) => s.einsum === einsum)!.cycles;
  expect(cycles(half, 'QK')).toBeCloseTo((cycles(all, 'QK') * 17) / 32, 6);
  expect(cycles(half, 'o')).toBeCloseTo(cycles(all, 'o'), 6);
  // all tiles of a head are in flight together: keys and values pass once, as do queries and results
  expect(run(1).moved_B['dram']).toBe(run(0).moved_B['dram']);
  expect(run(1).time_s).toBeLessThan(0.57 * run(0).time_s);
});

it('causal attention of tiles that come in several groups fetches what each group sees', async () => {
  const { graph } = await openMachine('fusemax', ['shared.buffer.capacity=512 KiB']);
  const kernel = kernelByName('attention_one_pass') as Kernel;
  const op = kernel.toOp({ heads: 1, q_len: 4096, head_dim: 64, causal: 1 }, 'fp16') as OpOf<'attention'>;
  const { result, choice } = simulateKernel(op, graph, { kernel: kernel.name });
  const group = choice.launches[0]!.mapping.nest!.in_flight!;
  expect(group).toBeLessThan(16);
  const blocks = Array.from({ length: 16 / group }, (_, g) => group * (g + 1)).reduce((a, b) => a + b, 0);
  // blocks of one group do not follow one of a single block: the first of the next is fetched anew
  const anew = group === 1 ? 1 : 0;
  const { tensors_B } = result.arrays![0]!.stores.find((s) => s.store === 'dram')!;
  expect(tensors_B['k']).toBe((blocks - anew) * 256 * 64 * 2);
  expect(tensors_B['q']).toBe(4096 * 64 * 2);
});

it('says why it does not apply', async () => {
  const kernel = kernelByName('attention_one_pass') as Kernel;
  const op = kernel.toOp({ heads: 1, q_len: 16, head_dim: 8 }, 'fp16') as OpOf<'attention'>;
  const { graph } = await openMachine('fusemax');
  expect(kernel.rejects(op, WARPS)).toMatch(/no arrays/);
  expect(kernel.rejects({ ...op, causal: true }, graph)).toBeUndefined();
  expect(kernel.rejects({ ...op, window: 8 }, graph)).toMatch(/different keys/);
  expect(kernel.rejects({ ...op, window: 16 }, graph)).toBeUndefined();
  const phases = kernelByName('attention_phases') as Kernel;
  expect(phases.rejects({ ...op, causal: true }, graph)).toMatch(/different keys/);
  expect(kernel.rejects(op, graph)).toBeUndefined();
});

describe('rows of scores for which the buffer has no room', () => {
  const op = { batch: 1, heads: 1, q_len: 65536, head_dim: 64 };
  const scores_B = 65536 ** 2 * 2;
  const others_B = (2 + 2 * 256) * 65536 * 64 * 2;
  const run = async (capacity: number, params: Params) => {
    const { graph } = await openMachine('flat', [`shared.buffer.capacity=${capacity} B`]);
    const kernel = kernelByName('attention_rows_kept') as Kernel;
    return simulateKernel(kernel.toOp(op, 'fp16') as OpOf<'attention'>, graph, { kernel: kernel.name, params }).result;
  };
  // a block of keys and one of values, the queries of the tile, their maxima and sums
  const beside = 2 * 256 * 64 * 2 + 256 * (64 * 2 + 4);
  const block = 256 * 256 * 2;
  const params = { bq: 256, tiles: 1, spill: 2 };
  it.each([1, 8, 255])('%i blocks of 256 stay where they just fit, one less where a byte lacks', async (blocks) => {
    const moved = async (capacity: number) => (await run(capacity, params)).moved_B['dram']!;
    expect(await moved(beside + blocks * block)).toBeCloseTo(others_B + 6 * scores_B * (1 - blocks / 256), -3);
    if (blocks > 1)
      expect(await moved(beside + blocks * block - 1)).toBeCloseTo(
        others_B + 6 * scores_B * (1 - (blocks - 1) / 256),
        -3,
      );
  });
  it('that, rather than narrower tiles, is chosen where little is missing; all wait where much is', async () => {
    const chosen = async (capacity: number) => {
      const { graph } = await openMachine('flat', [`shared.buffer.capacity=${capacity} B`]);
      const kernel = kernelByName('attention_rows_kept') as Kernel;
      const { result } = simulateKernel(kernel.toOp(op, 'fp16') as OpOf<'attention'>, graph, { kernel: kernel.name });
      return result.tile['spill'];
    };
    expect(await chosen(beside + 256 * block)).toBe(0);
    expect(await chosen(beside + 250 * block)).toBe(2);
    expect(await chosen(beside + 10 * block)).toBe(1);
  });
});

it.each(['tpu-v4i', 'fusemax'])(
  'one query of a sequence sees all its keys: on %s it is laid as if not causal',
  { timeout: 60_000 },
  async (name) => {
    const { graph } = await openMachine(name);
    const shape = { batch: 2, heads: 8, kv_heads: 2, q_len: 1, kv_len: 512, head_dim: 64 };
    const run = (causal: number) =>
      simulateKernel(kernelByName('attention').toOp({ ...shape, causal }, 'fp16'), graph).result;
    const { arrays, time_s, launches } = run(1);
    expect(arrays).toHaveLength(launches.length);
    expect(time_s).toBe(run(0).time_s);
  },
);
