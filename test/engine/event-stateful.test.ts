/** The event engine with cache and DRAM by state and address. */
import { describe, expect, test, vi } from 'vitest';
import { runBound } from '../../src/engine/bound.js';
import type { Indices } from '../../src/engine/event/indices.js';
import { runEvent } from '../../src/engine/event/run.js';
import { MemoryState, type Stateful } from '../../src/engine/event/stateful.js';
import { cacheLevelOf, nearLevelOf, USUAL_CACHE } from '../../src/engine/memory/hierarchy.js';
import { inSequence, runLaunches } from '../../src/engine/run.js';
import { COLD, type Context } from '../../src/engine/types.js';
import type { Launch } from '../../src/kernel/kernel.js';
import { type AnyKernel, kernelByName } from '../../src/kernel/library/index.js';
import type { ResourceGraph } from '../../src/machine/graph.js';
import { shippedMachine } from '../kernel/machines.js';
import { table } from './memory/support.js';

// hundreds of thousands of requests each
vi.setConfig({ testTimeout: 60_000 });

const machine = await shippedMachine('a100-sxm-80gb-datasheet');
const nominal = (m: ResourceGraph): Context => ({ ...COLD, clock_Hz: m.control.clock.nominal_Hz });
const context = nominal(machine);

async function memoryOf(m: ResourceGraph, dram: string, most_requests = Number.POSITIVE_INFINITY): Promise<Stateful> {
  const home = m.stores.find((s) => s.id === 'dram')!;
  const spec = await table(dram, { channels: home.slices, bandwidth_B_per_s: home.read_B_per_s });
  return { dram: spec, cache: cacheLevelOf(m, spec, USUAL_CACHE, () => {})!, most_requests };
}
const memory = await memoryOf(machine, 'hbm2e');

function built(name: string, shape: Record<string, number>, params?: Record<string, number>) {
  const kernel: AnyKernel = kernelByName(name);
  const full: Record<string, number> = {};
  for (const [key, k] of Object.entries(kernel.shape)) {
    const value = shape[key] ?? k.default;
    if (value !== undefined) full[key] = value;
  }
  const op = kernel.toOp(full, 'fp16');
  const chosen = params ?? [...kernel.candidates(op, machine)][0]!;
  return { op, launches: kernel.build(op, chosen, machine) };
}
const GEMM = { bm: 128, bn: 128, bk: 64, stages: 3, groups_m: 2, groups_n: 2, panel: 4 };

describe('what a launch moves', () => {
  test('asks for the same bytes as the model by blocks, and brings each byte of a product that fits once', () => {
    const { launches } = built('gemm', { m: 1024, n: 1024, k: 512 }, GEMM);
    const blocks = runEvent(launches[0]!, machine, context);
    const lines = runEvent(launches[0]!, machine, context, { memory });
    expect(lines.requested_B).toEqual(blocks.requested_B);
    expect(lines.flops_executed).toBe(blocks.flops_executed);
    expect(lines.moved_B['dram']!.read_B).toBe(2 * 1024 * 512 * 2);
    expect(lines.moved_B['dram']!.write_B).toBe(1024 * 1024 * 2);
    expect(lines.memory!.channels_simulated).toBe(80);
  });

  test('rows that do not start at a sector touch one more', () => {
    // rows of 66 bytes: of 32 in a row, those that start on a sector's first two bytes take 3 sectors, others 3 or 4
    const { launches } = built('softmax', { rows: 256, cols: 33 });
    const r = runEvent(launches[0]!, machine, context, { memory });
    let sectors = 0;
    for (let row = 0; row < 256; row++) sectors += Math.floor((row * 66 + 65) / 32) - Math.floor((row * 66) / 32) + 1;
    expect(r.moved_B['l2']!.read_B).toBe(sectors * 32);
  });

  test('a second launch finds what the first has left', () => {
    const { launches } = built('elementwise', { op: 0, n: 1 << 18 });
    const state = new MemoryState();
    const first = runEvent(launches[0]!, machine, context, { memory, state });
    const second = runEvent(launches[0]!, machine, context, { memory, state });
    expect(first.moved_B['dram']!.read_B).toBe(2 * 2 * 2 ** 18);
    expect(second.moved_B['dram']!.read_B).toBe(0);
    expect(second.time_s).toBeLessThan(first.time_s);
    expect(second.memory!.misses['l2']).toBeLessThan(first.memory!.misses['l2']!);
  });
});

describe('time', () => {
  test('says the same twice, and never beats the bound', () => {
    for (const [name, shape] of [
      ['gemm', { m: 300, n: 700, k: 500 }],
      ['transpose', { rows: 1000, cols: 700 }],
      ['layernorm', { rows: 128, cols: 768 }],
      ['gather', { rows: 512, cols: 256, table_rows: 50_000 }],
      ['attention_fused', { heads: 4, q_len: 256, head_dim: 64, causal: 1 }],
    ] as const) {
      const { op, launches } = built(name, shape);
      const a = inSequence(runLaunches(launches, machine, context, 'event', { memory }));
      const b = inSequence(runLaunches(launches, machine, context, 'event', { memory }));
      expect(b).toEqual(a);
      expect(a.time_s).toBeGreaterThanOrEqual(runBound(op, machine, context).time_s);
    }
  });

  test('a long stream runs at what the channels keep up, not at the pins', async () => {
    const { launches } = built('elementwise', { op: 5, n: 1 << 22 }, { groups: 4, per_lane: 16 });
    const r = runEvent(launches[0]!, machine, context, { memory });
    const busy_s = r.time_s - r.launch_s;
    const bytes = r.moved_B['dram']!.read_B + r.moved_B['dram']!.write_B;
    const share = bytes / busy_s / 2039e9;
    expect(share).toBeGreaterThan(0.6);
    expect(share).toBeLessThan(0.93);
  });

  test('some channels stand for all', () => {
    const { launches } = built('gemm', { m: 2048, n: 2048, k: 512 }, GEMM);
    const exact = runEvent(launches[0]!, machine, context, { memory });
    const part = runEvent(launches[0]!, machine, context, { memory: { ...memory, most_requests: 3e5 } });
    expect(part.memory!.channels_simulated).toBeLessThan(40);
    expect(part.memory!.requests).toBeLessThanOrEqual(3.2e5);
    expect(Math.abs(part.time_s / exact.time_s - 1)).toBeLessThan(0.05);
    expect(Math.abs(part.moved_B['dram']!.read_B / exact.moved_B['dram']!.read_B - 1)).toBeLessThan(0.05);
    expect(part.moved_B['l2']).toEqual(exact.moved_B['l2']);
  });
});

test('rows that are opened more often cost energy', () => {
  const scattered = built('gather', { rows: 16384, cols: 32, table_rows: 4_000_000 });
  const r = inSequence(runLaunches(scattered.launches, machine, context, 'event', { memory }));
  expect(r.memory!.extra_activate_J).toBeGreaterThan(16384 * 0.5 * 909e-12);
  expect(r.memory!.activates).toBeGreaterThan(16384 * 0.5);
  const parts = Object.values(r.energy_by_part_J).reduce((a, b) => a + b, 0);
  expect(parts / r.energy_J).toBeCloseTo(1, 12);
});

describe('the cores’ own caches', () => {
  const near = nearLevelOf(machine, memory.cache)!;
  const run = (launch: Launch, over: Partial<Stateful> = {}, indices?: Indices) =>
    runEvent(launch, machine, context, { memory: { ...memory, near, ...over }, ...(indices && { indices }) });

  test('copies into shared memory pass them by: a product is the same with and without', () => {
    const { launches } = built('gemm', { m: 1024, n: 1024, k: 512 }, GEMM);
    const without = runEvent(launches[0]!, machine, context, { memory });
    const { memory: detail, ...rest } = run(launches[0]!);
    expect(detail!.hits['l1']).toBe(0);
    expect(detail!.misses['l1']).toBe(0);
    expect({ ...rest, memory: undefined }).toEqual({ ...without, memory: undefined });
  });

  test('a row that every gather picks is asked of the far cache once a core', () => {
    const { launches } = built('gather', { rows: 2048, cols: 256, table_rows: 1000 });
    const one: Indices = { kind: 'given', file: 'test', values: Float64Array.of(7) };
    const without = runEvent(launches[0]!, machine, context, { memory, indices: one });
    const r = run(launches[0]!, {}, one);
    // rows and their indices, of which a copy takes one each
    const rows_B = 2048 * 256 * 2;
    const indices_B = without.moved_B['l2']!.read_B - rows_B;
    expect(indices_B).toBeGreaterThan(0);
    expect(r.moved_B['l2']!.read_B).toBeGreaterThanOrEqual(256 * 2 + 2048 * 4);
    expect(r.moved_B['l2']!.read_B).toBeLessThanOrEqual(machine.cores.count * 256 * 2 + indices_B);
    expect(r.moved_B['l1']).toEqual(without.moved_B['l1']);
    expect(r.moved_B['dram']!.read_B).toBe(without.moved_B['dram']!.read_B);
    expect(r.time_s).toBeLessThanOrEqual(without.time_s);
    expect(r.energy_J).toBeLessThan(without.energy_J);
  });

  test('what hits and misses there is all that goes into registers, and what misses is asked of the far cache', () => {
    const { launches } = built('gather', { rows: 1024, cols: 256, table_rows: 300 });
    const zipf: Indices = { kind: 'zipf', seed: 3, exponent: 1 };
    const without = runEvent(launches[0]!, machine, context, { memory, indices: zipf });
    const r = run(launches[0]!, {}, zipf);
    const { hits, misses } = r.memory!;
    expect((hits['l1']! + misses['l1']!) * 32).toBe(without.moved_B['l2']!.read_B);
    expect(misses['l1']! * 32).toBe(r.moved_B['l2']!.read_B);
    expect(hits['l1']!).toBeGreaterThan(0);
  });

  test('a smaller one holds less', () => {
    const { launches } = built('gather', { rows: 2048, cols: 256, table_rows: 1000 });
    const of = (capacity_B: number) =>
      run(
        launches[0]!,
        { near: { ...near, config: { ...near.config, capacity_B } } },
        { kind: 'zipf', seed: 1, exponent: 1.2 },
      );
    const hits = [2048, 16384, 131072].map((c) => of(c).memory!.hits['l1']!);
    expect(hits[0]!).toBeLessThan(hits[1]!);
    expect(hits[1]!).toBeLessThan(hits[2]!);
  });

  test('a read that joins one on its way is not there before it', () => {
    // all workgroups at once ask for one row of a table that is in DRAM: nobody has it before DRAM could
    const { launches } = built('gather', { rows: 512, cols: 64, table_rows: 100 });
    const one: Indices = { kind: 'given', file: 'test', values: Float64Array.of(3) };
    const r = run(launches[0]!, {}, one);
    const dram = machine.stores.find((s) => s.id === 'dram')!;
    expect(r.time_s - r.launch_s).toBeGreaterThan(dram.latency_s);
  });
});
