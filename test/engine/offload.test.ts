/** Parameters on the host: against closed forms of two servers in turn, and of a model twice the memory. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runEvent } from '../../src/engine/event/run.js';
import { offloadableBytes, type Streaming, streamingOf, waits } from '../../src/engine/offload.js';
import { simulate } from '../../src/engine/simulate.js';
import { runSteady } from '../../src/engine/steady/steady.js';
import { COLD } from '../../src/engine/types.js';
import { add, copy, loop, loopVar, mul, reduce, tensor, tile, view } from '../../src/kernel/ir.js';
import type { Launch } from '../../src/kernel/kernel.js';
import { type ResourceGraph, storeOf } from '../../src/machine/graph.js';
import type { Op, Trace } from '../../src/workload/op.js';
import { shippedMachine } from '../kernel/machines.js';

const a100 = await shippedMachine('a100-sxm-80gb');
const LINK = 25.6e9;

const streaming = (o: Partial<Streaming> = {}): Streaming => ({
  what: 'weights',
  share: 1,
  host_B: 1e12,
  disk_B: 0,
  staging_B: 1e12,
  link_B_per_s: 10e9,
  disk_B_per_s: Number.POSITIVE_INFINITY,
  latency_s: 0,
  pJ_per_B: 0,
  ...o,
});

describe('copying beside computing', () => {
  const span = (steps: Parameters<typeof waits>[0], s: Streaming) =>
    waits(steps, s).reduce((a, b) => a + b, 0) + steps.reduce((t, x) => t + x.time_s * x.repeat, 0);

  test('equal steps: n times the longer and once the shorter with room for two, both in turn with room for one', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.double({ min: 1e-6, max: 1, noNaN: true }),
        fc.double({ min: 1, max: 1e10, noNaN: true }),
        (repeat, time_s, streamed_B) => {
          const copy_s = streamed_B / 10e9;
          const steps = [{ time_s, repeat, streamed_B }];
          const overlapped = repeat * Math.max(time_s, copy_s) + Math.min(time_s, copy_s);
          expect(span(steps, streaming({ staging_B: 2 * streamed_B })) / overlapped).toBeCloseTo(1, 9);
          expect(span(steps, streaming({ staging_B: streamed_B })) / (repeat * (time_s + copy_s))).toBeCloseTo(1, 9);
        },
      ),
      { seed: 1 },
    );
  });

  test('a layer’s steps take turns, and more room never takes longer', () => {
    const layer = [
      { time_s: 1, repeat: 5, streamed_B: 0 },
      { time_s: 1, repeat: 5, streamed_B: 30e9 },
      { time_s: 2, repeat: 5, streamed_B: 10e9 },
    ];
    // copies take 4 s a layer, computing as long; the first copy alone, then the two keep step
    expect(span(layer, streaming())).toBeCloseTo(5 * 4 + 2, 9);
    let before = Number.POSITIVE_INFINITY;
    for (const staging_B of [40e9, 50e9, 70e9, 100e9, 1e12]) {
      const t = span(layer, streaming({ staging_B }));
      expect(t).toBeLessThanOrEqual(before);
      before = t;
    }
  });

  test('what is on disk comes at the disk’s pace, latency once a copy', () => {
    const steps = [{ time_s: 1e-9, repeat: 10, streamed_B: 10e9 }];
    const half = streaming({ host_B: 50e9, disk_B: 50e9, disk_B_per_s: 2e9 });
    expect(span(steps, half)).toBeCloseTo((10 * 5e9) / 2e9, 6);
    expect(span(steps, streaming({ latency_s: 3 }))).toBeCloseTo(10 * 1 + 3, 6);
  });
});

const product = (id: string, m: number, repeat: number): Op => ({
  kind: 'matmul',
  id,
  name: id,
  repeat,
  deps: [],
  batch: 1,
  m,
  n: 8192,
  k: 8192,
  a: 'bf16',
  b: 'bf16',
  c: 'bf16',
  accumulate: 'fp32',
  weights: true,
  bias: false,
  activation: 'none',
  residual: false,
});
const WEIGHT_B = 8192 * 8192 * 2;
function traceOf(m: number, layers: number): Trace {
  return {
    name: 'products',
    source: {},
    ops: [product('first', m, layers), product('second', m, layers)],
    devices: 1,
    footprint_B: { weights: 2 * layers * WEIGHT_B, kv_cache: 0, activations: 0 },
    parameters: layers * 2 * 8192 * 8192,
  };
}
const withMemory = (capacity_B: number, change: Partial<ResourceGraph> = {}): ResourceGraph => ({
  ...a100,
  stores: a100.stores.map((s) => (s.role === 'home' ? { ...s, capacity_B } : s)),
  ...change,
});

describe('a model twice the memory', () => {
  const layers = 60;
  const memory = layers * WEIGHT_B;

  test.each(['steady', 'event'] as const)('decoding goes at the link’s pace under %s', (fidelity) => {
    const machine = withMemory(memory);
    const r = simulate(traceOf(1, layers), machine, { fidelity, offload: { what: 'weights' } });
    // half and a little of the parameters, so that two copies can be staged
    const share = memory / (2 * memory - 2 * WEIGHT_B);
    expect(r.offload!.share).toBeCloseTo(share, 9);
    const link_s = (share * 2 * memory) / LINK;
    expect(r.time_s / link_s).toBeGreaterThanOrEqual(1);
    expect(r.time_s / link_s).toBeLessThan(1.01);
    expect(r.bound_by).toBe('host');
    expect(r.moved_B['host']! / (share * 2 * memory)).toBeCloseTo(1, 9);
    expect(r.bound_s).toBeLessThanOrEqual(r.time_s);
    const parts = Object.values(r.energy_by_part_J).reduce((a, b) => a + b, 0);
    expect(parts / r.energy_J).toBeCloseTo(1, 9);
  });

  test('a batch large enough hides all copies but the first', () => {
    const trace = traceOf(16384, layers);
    const machine = withMemory(memory);
    const free = simulate(trace, withMemory(10 * memory));
    const r = simulate(trace, machine, { offload: { what: 'weights' } });
    const first_s = (r.offload!.share * WEIGHT_B) / LINK + 1.5e-6;
    expect((r.time_s - free.time_s) / first_s).toBeCloseTo(1, 6);
  });

  test('what the host cannot hold comes from its disk', () => {
    const small = withMemory(memory);
    const stores = small.stores.map((s) => (s.id === 'host' ? { ...s, capacity_B: memory / 4 } : s));
    const r = simulate(traceOf(1, layers), { ...small, stores }, { offload: { what: 'weights' } });
    expect(r.offload!.host_B).toBe(memory / 4);
    expect(r.time_s).toBeGreaterThan(r.offload!.disk_B / 7e9);
    expect(r.time_s / (r.offload!.disk_B / 7e9)).toBeLessThan(1.01);
  });

  test('what fits stays; what cannot fit is said', () => {
    const trace = traceOf(1, layers);
    const fits = simulate(trace, withMemory(3 * memory), { offload: { what: 'weights' } });
    expect(fits.offload!.share).toBe(0);
    expect(fits.warnings.join()).toContain('nothing is offloaded');
    expect(fits.time_s).toBe(simulate(trace, withMemory(3 * memory)).time_s);
    expect(() => streamingOf(trace, withMemory(WEIGHT_B), { what: 'weights' })).toThrow(/more than/);
    expect(() => streamingOf(trace, withMemory(memory), { what: 'weights', share: 0.5 })).toThrow(/the least that/);
    expect(() => streamingOf(trace, withMemory(memory), { what: 'kv' })).toThrow(/no kv to offload/);
    const alone = withMemory(memory, { links: a100.links.filter((l) => l.id !== 'host') });
    expect(() => streamingOf(trace, alone, { what: 'weights' })).toThrow(/no link to a host/);
    expect(offloadableBytes(trace.ops[0]!, 'weights')).toBe(WEIGHT_B);
  });
});

test('shipped machines have their host and disk, last, and tensors that live there come over the link', () => {
  expect(a100.stores.map((s) => s.id).slice(-2)).toEqual(['host', 'disk']);
  expect(storeOf(a100, 'host')!.role).toBe('far');
  const n = 1 << 20;
  const w = loopVar('w');
  const i = loopVar('i');
  const x = { ...tensor('x', 'fp32', [n, 16], 'input', 'weight'), home: 'host' };
  const y = tensor('y', 'fp32', [64, 16], 'output', 'activation');
  const t = tile('t', 'shared', 'fp32', 64, 16, 4);
  const o = tile('o', 'register', 'fp32', 1, 16);
  const rows = n / 64;
  const launch: Launch = {
    program: {
      name: 'from host',
      tensors: [x, y],
      tiles: [t, o],
      grid: [{ index: w, extent: 64 }],
      body: [
        loop(i, 0, rows / 64, [
          copy(view(x, [add(mul(w, rows), mul(i, 64)), 0], [0, 1]), t),
          reduce('sum', 0, t, o, true),
        ]),
        copy(o, view(y, [w, 0], [0, 1])),
      ],
    },
    mapping: { lanes: 128, mma: 'vector', partition: [1, 1], panel: 1, resident: 0 },
  };
  const context = { ...COLD, clock_Hz: a100.control.clock.nominal_Hz };
  for (const run of [runEvent, runSteady]) {
    const r = run(launch, a100, context);
    expect((r.time_s - r.launch_s) / ((n * 64) / LINK)).toBeGreaterThan(0.999);
    expect((r.time_s - r.launch_s) / ((n * 64) / LINK)).toBeLessThan(1.01);
    expect(r.moved_B['host']!.read_B).toBe(n * 64);
  }
});
