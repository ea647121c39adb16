/** Cases run for real: results and bytes agree, faults are kept apart, what was interrupted keeps what it has. */
import { afterAll, describe, expect, test } from 'vitest';
import { defineKernel } from '../../../src/kernel/define.js';
import { copy, loopVar, tensor, tile, view } from '../../../src/kernel/ir.js';
import type { AnyKernel } from '../../../src/kernel/library/index.js';
import { bindingOf } from '../../../src/validate/device/binding.js';
import { CASES, type DeviceCase } from '../../../src/validate/device/cases.js';
import { type CaseResult, isSkipped } from '../../../src/validate/device/compare.js';
import { type ValidateOptions, validateOnDevice } from '../../../src/validate/device/run.js';
import { testDevice } from '../../webgpu/child-entry.js';
import { CPU } from './machine.js';

const device = await testDevice();
afterAll(() => device?.close());

const options = (more: Partial<ValidateOptions> = {}): ValidateOptions => ({
  machine: bindingOf(CPU),
  device: device!,
  fidelity: 'steady',
  own: new Map(),
  timing: { repeats: 5, limit_s: 0.1 },
  counting: true,
  rounds: 1,
  now: () => 0,
  ...more,
});
const caseOf = (id: string): DeviceCase => CASES.find((c) => c.id === id)!;

/** One of each kind that compiles quickly. */
const SAMPLE = [
  'gemm 128 gemm 16x16x16/2x2',
  'gemm 100x75x130 gemm 32x32x16/4x4',
  'gemm 32x32x1024 gemm_split_k 32x32x16/4x4 split 2',
  'gemv 512 gemv 8x64, 64 lanes',
  'softmax 2 rows, 64 lanes',
  'rmsnorm 1 rows, 64 lanes',
  'attention d32 attention_fused 16x32, 64 lanes',
  'gelu elementwise 64 lanes × 4',
  'swiglu in two kernels 64 lanes × 4',
  'reduce 1x512, 64 lanes, 4 parts',
  'transpose transpose_direct lanes along what is read',
  'gather scattered gather 4 rows, 64 lanes',
];

describe.skipIf(!device)('a run on the device', { timeout: 60_000 }, () => {
  test('agrees in results and in bytes, in every kind of kernel', async () => {
    const { results, failed } = await validateOnDevice(SAMPLE.map(caseOf), options());
    expect(failed).toBe(0);
    for (const r of results) {
      expect(isSkipped(r), JSON.stringify(r)).toBe(false);
      const { id, numerics, bytes, measured_s, lo_s, hi_s, predicted_s } = r as CaseResult;
      expect(numerics.error, id).toBeLessThanOrEqual(numerics.tolerance);
      expect(numerics.pass, id).toBe(true);
      expect(bytes.difference, id).toBeUndefined();
      expect(bytes.device, id).toEqual(bytes.interpreter);
      expect(bytes.engine, id).toEqual(bytes.interpreter);
      expect(lo_s, id).toBeGreaterThan(0);
      expect(measured_s, id).toBeGreaterThanOrEqual(lo_s);
      expect(hi_s, id).toBeGreaterThanOrEqual(measured_s);
      expect(predicted_s, id).toBeGreaterThan(0);
    }
  });

  test('keeps a case that fails, and a case that does not fit, apart from the others', async () => {
    const fine = caseOf('add elementwise 64 lanes × 4');
    const large: DeviceCase = {
      ...fine,
      id: 'too large',
      steps: [{ kernel: 'transpose', shape: { rows: 128, cols: 128 }, params: { tile: 128, lanes: 64 } }],
    };
    // more buffers than a shader may bind
    const dims = [64];
    const many: AnyKernel = defineKernel({
      name: 'many',
      math: 'out = a tensor of many',
      shape: { n: { description: 'of no account', default: 1 } },
      work: () => ({ flops: 0, read_B: 1, write_B: 1 }),
      build(_, __, ___, dtype) {
        const xs = Array.from({ length: 40 }, (_, i) => tensor(`x${i}`, dtype, dims, 'input', 'activation'));
        const out = tensor('out', dtype, dims, 'output', 'activation');
        const t = tile('t', 'register', dtype, 1, 64);
        return {
          program: {
            name: 'many',
            tensors: [...xs, out],
            tiles: [t],
            grid: [{ index: loopVar('i'), extent: 1 }],
            body: [...xs.map((x) => copy(view(x, [0], [-1, 0]), t)), copy(t, view(out, [0], [-1, 0]))],
          },
          mapping: { lanes: 64, partition: [1, 1], resident: 0, panel: 1, mma: 'vector' },
        };
      },
    });
    const broken: DeviceCase = {
      ...fine,
      id: 'broken',
      raw: true,
      steps: [{ kernel: 'many', shape: {}, params: {} }],
    };
    const { results } = await validateOnDevice([large, broken, fine], options({ own: new Map([['many', many]]) }));
    expect(results.map((r) => (isSkipped(r) ? 'skipped' : 'measured'))).toEqual(['skipped', 'skipped', 'measured']);
    expect((results[0] as { skip_reason: string }).skip_reason).toContain('needs 64 KiB of shared memory, has 32 KiB');
  });

  test('that is interrupted keeps what was measured', async () => {
    const controller = new AbortController();
    const cases = ['add elementwise 64 lanes × 1', 'add elementwise 64 lanes × 4', 'copy elementwise 64 lanes × 8'];
    const outcome = await validateOnDevice(
      cases.map(caseOf),
      options({
        counting: false,
        rounds: 3,
        signal: controller.signal,
        onProgress: (done) => void (done === 1 && controller.abort()),
      }),
    );
    expect(outcome.interrupted).toBe(true);
    expect(outcome.results.map((r) => r.id)).toEqual(cases.slice(0, 2));
  });

  test('times again in every round', async () => {
    let runs = 0;
    const counting = {
      info: () => device!.info(),
      run: (...args: Parameters<NonNullable<typeof device>['run']>) => {
        runs++;
        return device!.run(...args);
      },
    };
    await validateOnDevice(
      [caseOf('copy elementwise 64 lanes × 8')],
      options({ device: counting, counting: false, rounds: 3 }),
    );
    // results once, times in each round
    expect(runs).toBe(4);
  });
});
