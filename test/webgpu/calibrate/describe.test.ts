import fc from 'fast-check';
import { unsafeUniformIntDistribution } from 'pure-rand/distribution/UnsafeUniformIntDistribution';
import { xoroshiro128plus } from 'pure-rand/generator/XoroShiro';
import { expect, describe as group, it } from 'vitest';
import { findFile } from '../../../src/cli/files.js';
import { loadMachine } from '../../../src/machine/load.js';
import { type Calibration, describe } from '../../../src/webgpu/calibrate/describe.js';
import { line } from '../../../src/webgpu/calibrate/figures.js';
import { agree } from '../../../src/webgpu/calibrate/measure.js';
import { measureDevice } from '../../../src/webgpu/calibrate/run.js';
import { COSTS, madeUp } from './made-up.js';

const calibrate = async (cpu: boolean, unlike?: (i: number) => number): Promise<Calibration> =>
  describe(await measureDevice(madeUp(cpu, unlike), { quick: false }), { name: 'made-up', date: '2026-01-31' });
const load = ({ machine }: Calibration) =>
  loadMachine(JSON.stringify(machine), {
    file: 'made-up.json',
    resolveExtends: (name) => findFile('components', name),
  });

group('a made-up CPU', () => {
  it.each([
    ['clock.nominal', 1 / COSTS.cycle_s],
    ['core.count', COSTS.cores],
    ['core.simd', COSTS.group],
    ['core.serial', 0.5],
    ['core.barrier', 0],
    ['core.group_barrier', COSTS.barrier_s / COSTS.cycle_s],
    ['core.turn', COSTS.turn_s / COSTS.cycle_s],
    ['core.place', COSTS.place_s / COSTS.cycle_s],
    ['shared.meeting.access', (COSTS.meeting * COSTS.load_s[1]) / COSTS.cycle_s],
    ['memory.meeting.store_bandwidth', (16 * COSTS.group * COSTS.cycle_s) / (COSTS.meeting * COSTS.store_s[4])],
    ['memory.access', (2 * COSTS.load_s[1]) / COSTS.cycle_s],
    ['core.workgroup_start', COSTS.start_s / COSTS.cycle_s],
    ['core.group_start', COSTS.group_start_s / COSTS.cycle_s],
    ['vector.fma.per_cycle', (COSTS.group * COSTS.cycle_s) / COSTS.operation_s.fma],
    ['vector.int.per_cycle', (COSTS.group * COSTS.cycle_s) / COSTS.operation_s.int],
    ['vector.exp2.per_cycle', (COSTS.group * COSTS.cycle_s) / COSTS.operation_s.slow],
    ['latency.vector', 4],
    ['latency.special', 20],
    ['shared.access', COSTS.load_s[1] / COSTS.cycle_s],
    ['shared.bandwidth', (16 * COSTS.group * COSTS.cycle_s) / COSTS.load_s[4]],
    ['shared.store_bandwidth', (16 * COSTS.group * COSTS.cycle_s) / COSTS.store_s[4]],
    ['memory.bandwidth', (16 * COSTS.group * COSTS.cycle_s) / (2 * COSTS.load_s[4])],
    ['caches.l1.latency', COSTS.levels[0].latency_s / COSTS.cycle_s],
    ['caches.l2.latency', COSTS.levels[1].latency_s / COSTS.cycle_s],
    ['dram.latency', COSTS.levels[2].latency_s],
    ['launch.graph', COSTS.dispatch_s],
    ['launch.eager', COSTS.submission_s],
  ])('has its %s found', async (path, value) => {
    const { fields } = await load(await made);
    expect(fields.get(path)!.value).toBeGreaterThanOrEqual(value * 0.97);
    expect(fields.get(path)!.value).toBeLessThanOrEqual(value * 1.03 + 0.01 * Number(value === 0));
  });
  it('has the sizes of its caches found', async () => {
    const { fields } = await load(await made);
    const l1 = fields.get('caches.l1.capacity')!.value;
    const l2 = fields.get('caches.l2.capacity')!.value;
    expect(l1).toBeGreaterThanOrEqual(32 * 1024);
    expect(l1).toBeLessThan(40 * 1024);
    expect(l2).toBeGreaterThanOrEqual(1024 * 1024);
    expect(l2).toBeLessThan(1280 * 1024);
  });
  it('says of each measured number how, when and within what', async () => {
    const { fields } = await load(await made);
    const { spread } = await made;
    for (const [path, { from, source }] of fields)
      if (spread[path] !== undefined) {
        expect(from).toBe('measured');
        expect(source).toMatch(/made up, 2026-01-31; within \d+ %/);
      }
    for (const path of Object.keys(spread)) expect(fields.has(path), path).toBe(true);
  });
});
const made = calibrate(true);

it('disturbances of half of the samples change no figure by more than the spread it states', async () => {
  const a = await calibrate(true);
  const b = await calibrate(true, (i) => (i % 2 ? 1 + (i % 7) / 3 : 1));
  const [x, y] = [await load(a), await load(b)];
  for (const [path, spread] of Object.entries(a.spread)) {
    const pair = [x, y].map((m, i) => ({ value: m.fields.get(path)!.value, spread: [a, b][i]!.spread[path]! }));
    expect(agree(pair[0]!, pair[1]!), `${path}: ${pair[0]!.value} ± ${spread}, ${pair[1]!.value}`).toBe(true);
  }
});

it.each([true, false])('however busy the computer, what is written loads (CPU: %s)', async (cpu) => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.double({ min: 0.5, max: 6, noNaN: true }), async (seed, worst) => {
      const random = xoroshiro128plus(seed);
      // times up to e^worst as long, each on its own
      const noise = () => Math.exp((worst * unsafeUniformIntDistribution(0, 1000, random)) / 1000);
      const measured = await measureDevice(madeUp(cpu, noise), { quick: true });
      for (const [path, { value }] of (await load(describe(measured, { name: 'busy', date: '2026-01-31' }))).fields)
        expect(value, path).toBeGreaterThanOrEqual(0);
    }),
    { numRuns: 50 },
  );
});

it('a made-up GPU becomes a gpu, with what WebGPU does not tell assumed', async () => {
  const { family, fields, graph } = await load(await calibrate(false));
  expect(family).toBe('gpu');
  expect(graph.cores.count).toBe(COSTS.cores);
  expect(graph.units.find((u) => u.id === 'matrix')!.mma).toEqual([]);
  expect(fields.get('sm.registers')!.from).toBe('assumed');
  expect(fields.get('sm.registers')!.source).toMatch(/WebGPU does not tell/);
  expect(fields.get('shared.bandwidth')!.from).toBe('measured');
});

it.each([
  ['a line', [1, 8, 32], [12, 26, 74], 10, 2],
  ['a constant', [1, 8, 32], [5, 5, 5], 5, 0],
  ['never below 0', [1, 8, 32], [1, 8.5, 34], 0, 1.05],
])('%s through costs per group', (_, x, y, at0, slope) => {
  const found = line(x, y);
  expect(found.at0).toBeCloseTo(at0, 1);
  expect(found.slope).toBeCloseTo(slope, 1);
});
