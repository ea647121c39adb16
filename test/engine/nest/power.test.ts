/** Nests keep a machine's power cap: the clock falls where it may, and the machine pauses where it may not. */
import { describe, expect, it, vi } from 'vitest';
import { openMachine } from '../../../src/cli/files.js';
import { simulateKernel } from '../../../src/engine/simulate.js';
import { COLD } from '../../../src/engine/types.js';
import { kernelByName } from '../../../src/kernel/library/index.js';
import type { ResourceGraph } from '../../../src/machine/graph.js';
import { timeByArray } from '../../../src/report/occupancy.js';

// each run is a search
vi.setConfig({ testTimeout: 60_000 });

const BUSY = { m: 2048, n: 2048, k: 2048 };
/** One row: DRAM alone is busy. */
const LEAN = { m: 1, n: 2048, k: 2048 };

async function v4i(cap_W: number, clock: Partial<ResourceGraph['control']['clock']> = {}): Promise<ResourceGraph> {
  const { graph } = await openMachine('tpu-v4i');
  const { control } = graph;
  return { ...graph, control: { ...control, power_cap_W: cap_W, clock: { ...control.clock, ...clock } } };
}

function run(graph: ResourceGraph, shape = BUSY, clock_Hz?: number) {
  const op = kernelByName('gemm').toOp(shape, 'bf16');
  return simulateKernel(op, graph, { kernel: 'gemm', context: { ...COLD, ...(clock_Hz && { clock_Hz }) } }).result;
}

describe('a machine whose clock is fixed', () => {
  it('pauses so that the mean is at the cap, and only when it draws more', async () => {
    const free = run(await v4i(1e6));
    expect(run(await v4i(free.power_W * 1.001))).toEqual(free);
    const capped = run(await v4i(80));
    expect(capped.power_W).toBeCloseTo(80, 9);
    expect(capped.bound_by).toBe('power');
    // the same work is done: only static power draws longer
    const { static_W } = (await v4i(80)).control;
    expect(capped.energy_J - static_W * capped.time_s).toBeCloseTo(free.energy_J - static_W * free.time_s, 12);
    const parts = Object.values(capped.energy_by_part_J).reduce((a, b) => a + b, 0);
    expect(parts / capped.energy_J).toBeCloseTo(1, 12);
    const pause = timeByArray([{ ...capped, repeat: 1 }])
      .get('matrix')!
      .get('pause')!;
    expect(pause).toBeCloseTo(capped.time_s - free.time_s, 12);
  });

  it('cannot keep a cap below what it draws whatever runs', async () => {
    await expect(async () => run(await v4i(50))).rejects.toThrow(/draws 55 W whatever runs, its cap is 50 W/);
  });
});

describe('a machine whose clock may fall', () => {
  const range = { min_Hz: 300e6, voltage_floor: 0.6 };

  it('runs at the highest clock within the cap; a lower cap is never faster', { timeout: 60_000 }, async () => {
    const free = run(await v4i(1e6, range));
    let last = free.time_s;
    for (const cap of [100, 90, 80, 70]) {
      const r = run(await v4i(cap, range));
      expect(r.power_W).toBeLessThanOrEqual(cap);
      expect(r.power_W).toBeGreaterThan(0.99 * cap);
      expect(r.clock_Hz).toBeLessThan(free.clock_Hz);
      expect(r.time_s).toBeGreaterThan(last);
      // less than by pausing: the voltage falls with the clock
      expect(r.time_s).toBeLessThan(run(await v4i(cap)).time_s);
      last = r.time_s;
    }
  });

  it('slows down what the clock drives, not DRAM', async () => {
    const graph = await v4i(1e6, range);
    const slowed = (shape: typeof BUSY) => {
      const fast = run(graph, shape);
      const slow = run(graph, shape, 0.8 * graph.control.clock.nominal_Hz);
      return (slow.time_s - slow.launch_s) / (fast.time_s - fast.launch_s);
    };
    expect(slowed(BUSY)).toBeCloseTo(1.25, 6);
    expect(slowed(LEAN)).toBeCloseTo(1, 3);
  });
});
