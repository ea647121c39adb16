import { afterAll, expect, describe as group, it, vi } from 'vitest';
import { simulateKernel } from '../../../src/engine/simulate.js';
import { kernelByName } from '../../../src/kernel/library/index.js';
import { loadMachine } from '../../../src/machine/load.js';
import { describe } from '../../../src/webgpu/calibrate/describe.js';
import { measureDevice } from '../../../src/webgpu/calibrate/run.js';
import { DeviceProcess } from '../../../src/webgpu/device/host.js';
import { childEntry, testDevice } from '../child-entry.js';

const device = await testDevice();
afterAll(() => device?.close());

group.skipIf(!device)('this computer', { timeout: 120_000 }, () => {
  it('is calibrated quickly, loads, and simulates', async () => {
    const shares: number[] = [];
    const measured = await measureDevice(device!, { quick: true, onProgress: (share) => shares.push(share) });
    expect(shares.at(-1)).toBe(1);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    const { machine, spread } = describe(measured, { name: 'here', date: '2026-01-31' });
    const { graph, fields, family } = await loadMachine(JSON.stringify(machine), {
      file: 'here.json',
      resolveExtends: undefined,
    });
    expect(family).toBe('cpu');
    const at = (path: string) => fields.get(path)!.value;
    // wide bounds: any computer's, with others at work on it
    expect(at('clock.nominal')).toBeGreaterThan(2e8);
    expect(at('clock.nominal')).toBeLessThan(2e10);
    expect(at('vector.exp2.per_cycle')).toBeLessThan(at('vector.add.per_cycle'));
    expect(at('shared.access')).toBeGreaterThan(0);
    expect(at('launch.graph')).toBeLessThan(at('launch.eager') * 1.01);
    expect(at('core.count')).toBeGreaterThanOrEqual(1);
    for (const value of Object.values(spread)) expect(value).toBeGreaterThan(0);
    const gemm = kernelByName('gemm');
    const { time_s } = simulateKernel(gemm.toOp({ m: 128, n: 128, k: 128 }, 'fp32'), graph, {}).result;
    expect(time_s).toBeGreaterThan(1e-6);
    expect(time_s).toBeLessThan(1);
  });
});

it('without an adapter there is an error that says what to install', async () => {
  // the loader of Vulkan drivers finds none in the process that starts now
  for (const name of ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES']) vi.stubEnv(name, '/nowhere.json');
  const none = new DeviceProcess({ entry: childEntry() });
  try {
    await expect(measureDevice(none, { quick: true })).rejects.toThrow(/no WebGPU adapter: install/);
  } finally {
    vi.unstubAllEnvs();
    await none.close();
  }
});
