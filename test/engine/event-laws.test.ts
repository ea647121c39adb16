/** Kernels of the library under the event engine: counts agree with the interpreter, parts sum to totals, runs repeat. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type EventResult, runEvent } from '../../src/engine/event/run.js';
import { COLD, type Context } from '../../src/engine/types.js';
import { isMisfit, residency } from '../../src/kernel/fit.js';
import { interpret } from '../../src/kernel/interpret.js';
import { copy, loop, loopVar, mma, mul, tensor, tile, view } from '../../src/kernel/ir.js';
import type { Launch } from '../../src/kernel/kernel.js';
import { type AnyKernel, kernelByName } from '../../src/kernel/library/index.js';
import type { ResourceGraph } from '../../src/machine/graph.js';
import { inputsOf, values } from '../kernel/library/run.js';
import { shippedMachine } from '../kernel/machines.js';
import { simpleMachine } from './event-machine.js';

const attention = { batch: 2, heads: 4, kv_heads: 2, head_dim: 32 };
const CASES: readonly [kernel: string, shape: Record<string, number>, dtype: 'fp16' | 'fp32'][] = [
  ['gemm', { m: 100, n: 150, k: 70 }, 'fp16'],
  ['gemm', { m: 64, n: 48, k: 33, batch: 3 }, 'fp32'],
  ['gemm_split_k', { m: 40, n: 100, k: 300 }, 'fp16'],
  ['gemv', { m: 1, n: 100, k: 300 }, 'fp16'],
  ['attention_fused', { ...attention, q_len: 70, kv_len: 70, causal: 1 }, 'fp16'],
  ['attention_two_pass', { ...attention, q_len: 33, kv_len: 90, causal: 0 }, 'fp16'],
  ['attention_split', { ...attention, q_len: 1, kv_len: 200, causal: 0 }, 'fp16'],
  ['attention_unfused', { ...attention, q_len: 40, kv_len: 50, causal: 1 }, 'fp16'],
  ['softmax', { rows: 37, cols: 200 }, 'fp16'],
  ['layernorm', { rows: 20, cols: 100 }, 'fp16'],
  ['rmsnorm', { rows: 20, cols: 100 }, 'fp32'],
  ['transpose', { rows: 50, cols: 70 }, 'fp16'],
  ['fft', { n: 1024, batch: 3 }, 'fp32'],
];

/** A few launches of each kernel that fit, spread over its candidates. */
function launchesOf(name: string, shape: Record<string, number>, dtype: 'fp16' | 'fp32', m: ResourceGraph): Launch[][] {
  const kernel: AnyKernel = kernelByName(name);
  const full = Object.fromEntries(
    Object.entries(kernel.shape).flatMap(([key, k]) => {
      const value = shape[key] ?? k.default;
      return value === undefined ? [] : [[key, value]];
    }),
  );
  const op = kernel.toOp(full, dtype);
  if (kernel.rejects(op, m)) return [];
  const all = [...kernel.candidates(op, m)].map((p) => [...kernel.build(op, p, m)]);
  const fitting = all.filter((ls) => ls.every((l) => !isMisfit(residency(l, m))));
  const every = Math.max(1, Math.floor(fitting.length / 4));
  return fitting.filter((_, i) => i % every === 0);
}

describe.each(['h100-sxm', 'v100-pcie-32gb'])('on %s', (machine) => {
  test.each(CASES)('%s %j %s', async (name, shape, dtype) => {
    const m = await shippedMachine(machine);
    const choices = launchesOf(name, shape, dtype, m);
    if (machine === 'h100-sxm') expect(choices.length).toBeGreaterThan(0);
    for (const launches of choices) {
      const memory = inputsOf(launches);
      for (const l of launches) {
        const r = runEvent(l, m, COLD);
        for (const t of l.program.tensors) memory[t.name] ??= values(t);
        const given = Object.fromEntries(l.program.tensors.map((t) => [t.name, memory[t.name]!]));
        const exact = interpret(l.program, given);
        expect(r.requested_B['dram'], l.program.name).toEqual(exact.requested_B.level.global);
        expect(r.requested_B['shared'], l.program.name).toEqual(exact.requested_B.level.shared);
        expect(r.requested_B['register'], l.program.name).toEqual(exact.requested_B.level.register);
        expect(r.flops_executed, l.program.name).toBe(exact.flops_executed);
        sums(r);
        physical(r, l, m);
        expect(runEvent(l, m, COLD)).toEqual(r);
      }
    }
  });
});

function sums(r: EventResult): void {
  const parts = Object.values(r.energy_by_part_J).reduce((a, b) => a + b, 0);
  expect(parts / r.energy_J).toBeCloseTo(1, 9);
  expect(r.power_W).toBeCloseTo(r.energy_J / r.time_s, 6);
  const lost = Object.values(r.stalls_s).reduce((a, b) => a + b, 0);
  for (const [cause, time] of Object.entries(r.stalls_s)) expect(time, cause).toBeGreaterThanOrEqual(0);
  expect((lost + r.computing_s) / (r.time_s - r.launch_s)).toBeCloseTo(1, 9);
}

/** No resource is busy longer than the kernel runs; what an input holds is read at least once, outputs written once. */
function physical(r: EventResult, l: Launch, m: ResourceGraph): void {
  for (const [name, busy] of Object.entries(r.busy_s)) {
    // Dirty outputs may still be in the cache when the kernel ends.
    const kernel = r.time_s - r.launch_s;
    if (name !== 'dram') expect(busy, `${l.program.name} ${name}`).toBeLessThanOrEqual(kernel * (1 + 1e-9));
  }
  const home = m.stores[0]!;
  expect(r.moved_B['dram']!.read_B / (home.read_B_per_s * home.sustained_fraction)).toBeLessThan(r.time_s - r.launch_s);
  expect(r.power_W).toBeLessThanOrEqual(m.control.power_cap_W);
}

test('of a product of whole tiles every count has its closed form', async () => {
  const m = await shippedMachine('h100-sxm');
  const [M, N, K] = [1024, 512, 256];
  for (const [l] of launchesOf('gemm', { m: M, n: N, k: K }, 'fp16', m)) {
    const { bm, bn } = { bm: l!.program.grid[1]!.extent, bn: l!.program.grid[0]!.extent };
    const r = runEvent(l!, m, COLD);
    // A once per column of tiles, B once per row of them, C once.
    expect(r.requested_B['dram']!.read_B).toBe(2 * (M * K * bn + N * K * bm));
    expect(r.requested_B['dram']!.write_B).toBe(2 * M * N);
    // All of it fits the cache.
    expect(r.moved_B['dram']).toEqual({ read_B: 2 * (M * K + K * N), write_B: 2 * M * N });
    expect(r.flops_executed).toBeGreaterThanOrEqual(2 * M * N * K);
  }
});

/** n iterations of a copy and a product, on as many workgroups as cores. */
function stream(n: number, stages: number, grid: number): Launch {
  const A = tensor('A', 'fp16', [64 * grid, 64 * n], 'input', 'activation');
  const a = tile('a', 'shared', 'fp16', 64, 64, stages);
  const b = tile('b', 'shared', 'fp16', 64, 64);
  const acc = tile('acc', 'register', 'fp32', 64, 64);
  const [g, i] = [loopVar('g'), loopVar('i')];
  const body = [loop(i, 0, n, [copy(view(A, [mul(g, 64), mul(i, 64)], [0, 1]), a), mma(a, b, acc)])];
  return {
    program: { name: 'stream', tensors: [A], tiles: [a, b, acc], grid: [{ index: g, extent: grid }], body },
    mapping: { lanes: 32, partition: [1, 1], resident: 1, panel: 1, mma: 'matrix' },
  };
}

test('more bandwidth, a larger cache, more buffers or a higher clock never make a stream slower', () => {
  const warm: Context = { ...COLD, reuse_B: { ...COLD.reuse_B, activation: 0 } };
  const time = (l: Launch, o: Parameters<typeof simpleMachine>[0], c: Context) =>
    runEvent(l, simpleMachine(o), c).time_s;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 4 }),
      fc.double({ min: 1e9, max: 1e12, noNaN: true }),
      fc.double({ min: 1e9, max: 1e12, noNaN: true }),
      fc.double({ min: 1, max: 10, noNaN: true }),
      (n, stages, cores, dram, link, factor) => {
        const l = stream(n, stages, cores);
        const o = { cores, dram_B_per_s: dram, link_B_per_s: link };
        const cold = time(l, o, COLD);
        const slack = 1 + 1e-6; // servers keep whole femtoseconds
        expect(time(l, { ...o, dram_B_per_s: dram * factor }, COLD)).toBeLessThanOrEqual(cold * slack);
        expect(time(l, { ...o, link_B_per_s: link * factor }, COLD)).toBeLessThanOrEqual(cold * slack);
        // On one core only: with several, deeper prefetch lets the first to ask delay the others' first blocks.
        const one = { ...o, cores: 1 };
        const fewer = time(stream(n, stages, 1), one, COLD);
        expect(time(stream(n, stages + 1, 1), one, COLD)).toBeLessThanOrEqual(fewer * slack);
        expect(time(l, o, warm)).toBeLessThanOrEqual(cold * slack);
        expect(time(l, o, { ...COLD, clock_Hz: 1e9 / factor })).toBeGreaterThanOrEqual(cold / slack);
      },
    ),
    { numRuns: 60, seed: 7 },
  );
});

test('no stream is faster than any of its resources, nor than one copy and its products', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 8 }),
      fc.double({ min: 1e9, max: 1e12, noNaN: true }),
      fc.double({ min: 1e9, max: 1e12, noNaN: true }),
      (n, stages, cores, dram, link) => {
        const r = runEvent(
          stream(n, stages, cores),
          simpleMachine({ cores, dram_B_per_s: dram, link_B_per_s: link }),
          COLD,
        );
        const bytes = 64 * 64 * 2 * n;
        const product = 64 ** 3 / 1024e9;
        // Servers keep whole femtoseconds.
        const least = Math.max(
          500e-9 + product * n,
          500e-9 + (bytes * cores) / dram + product,
          500e-9 + bytes / link + product,
        );
        expect(r.time_s).toBeGreaterThanOrEqual(least * (1 - 1e-7));
        expect(r.moved_B['dram']!.read_B).toBe(bytes * cores);
        expect(r.flops_executed).toBe(2 * 64 ** 3 * n * cores);
      },
    ),
    { numRuns: 60, seed: 11 },
  );
});
