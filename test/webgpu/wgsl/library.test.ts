import { afterAll, describe, expect, it } from 'vitest';
import { interpret, interpretLaunches } from '../../../src/kernel/interpret.js';
import type { Launch } from '../../../src/kernel/kernel.js';
import { emitLaunches, emitOptions, type RunOptions, runLaunches } from '../../../src/webgpu/program.js';
import { CASES, inputsOf, launchesOf, nameOf } from '../cases.js';
import { testDevice } from '../child-entry.js';
import { machineOf } from '../machine.js';
import { accumulateRows, gemm, gemmOfBytes, softmax } from './programs.js';

const device = await testDevice();
const info = await device?.info();
afterAll(() => device?.close());

/** Greatest |got − expected| over the greatest |expected|. */
function error(got: Float64Array, expected: Float64Array): number {
  let worst = 0;
  let scale = 1e-30;
  for (const [i, e] of expected.entries()) {
    scale = Math.max(scale, Math.abs(e));
    const d = Math.abs(got[i]! - e);
    if (!(d <= worst)) worst = d;
  }
  return worst / scale;
}

/** f32 sums of a few hundred terms, WGSL's exp2 to 3 + 2|x| ULP; f16 results have 11 bits, twice rounded. */
const TOLERANCE = { fp32: 2e-5, fp16: 4e-3, bf16: 4e-3, int8: 0, uint8: 0, int4: 0 } as const;

describe.skipIf(!device)('the library on the device equals the interpreter, in results and in bytes', () => {
  it.each(CASES.map((c) => [nameOf(c), c] as const))('%s', { timeout: 60_000 }, async (_, c) => {
    const options = emitOptions(info!, {});
    const launches = launchesOf(c, machineOf(info!), (l) => {
      try {
        emitLaunches(l, options);
        return true;
      } catch {
        return false;
      }
    });
    const inputs = inputsOf(launches, c);
    const expected = interpretLaunches(launches, inputs);
    const run = await runLaunches(device!, launches, inputs, { counting: true });
    for (const [name, values] of Object.entries(expected.outputs)) {
      expect(run.outputs[name]!.every(Number.isFinite), `${name} is finite`).toBe(true);
      expect(error(run.outputs[name]!, values), name).toBeLessThanOrEqual(TOLERANCE[c.dtype as keyof typeof TOLERANCE]);
    }
    for (const [i, { requested_B }] of expected.launches.entries()) {
      const counts = run.counts![i]!;
      expect(counts.tensor).toEqual(requested_B.tensor);
      const shared = { read_B: 0, write_B: 0 };
      for (const t of Object.values(counts.tile)) {
        shared.read_B += t.read_B;
        shared.write_B += t.write_B;
      }
      expect(shared).toEqual(requested_B.level.shared);
    }
  });
});

describe.skipIf(!device)('small programs on the device', { timeout: 60_000 }, () => {
  const signed = (n: number, seed: number) =>
    Float64Array.from({ length: n }, (_, i) => (((i * 37 + seed) % 65) - 32) / 32);
  const agree = async (
    launch: Launch,
    inputs: Record<string, Float64Array>,
    options: RunOptions,
    tolerance: number,
  ) => {
    const { outputs } = interpret(launch.program, inputs);
    const run = await runLaunches(device!, [launch], inputs, options);
    for (const [name, values] of Object.entries(outputs))
      expect(error(run.outputs[name]!, values), name).toBeLessThanOrEqual(tolerance);
    return run;
  };
  it('run without counters', async () => {
    const run = await agree(gemm(50, 70, 21), { A: signed(50 * 21, 1), B: signed(21 * 70, 2) }, {}, TOLERANCE.fp16);
    expect(run.counts).toBeUndefined();
  });
  it.each([
    ['four at once', {}],
    ['by hand', { dot4: false }],
    ['a word each', { packed: false }],
  ] as const)('multiply bytes %s', async (_, options) => {
    const bytes = (n: number, seed: number) =>
      Float64Array.from({ length: n }, (_, i) => ((i * 37 + seed) % 256) - 128);
    for (const transposed of [false, true])
      for (const [m, n, k] of [
        [64, 64, 48],
        [40, 36, 20],
        [33, 31, 13],
      ] as const) {
        const inputs = { A: bytes(m * k, 1), B: bytes(k * n, 2) };
        const run = await agree(gemmOfBytes(m, n, k, transposed), inputs, options, 0);
        const dots = /dot4I8Packed/.test(run.shaders[0]!.wgsl);
        if (m === 64) expect(dots).toBe(options === undefined || Object.keys(options).length === 0);
      }
  });
  it('store 16-bit floats as f32 where asked to', async () => {
    const run = await agree(
      gemm(64, 64, 32),
      { A: signed(64 * 32, 1), B: signed(64 * 32, 2) },
      { f16: false },
      TOLERANCE.fp32,
    );
    expect(run.shaders[0]!.notes).toContain('fp16 is stored as f32 (4 B for 2 B)');
  });
  it('reduce by subgroup operations where the device has them, and without them where asked to', async () => {
    const x = signed(1280, 3);
    const run = await agree(softmax(10, 128, 32), { x }, {}, TOLERANCE.fp32);
    if (info!.subgroup[0] > 0) expect(run.shaders[0]!.wgsl).toContain('subgroup');
    const plain = await agree(softmax(10, 128, 32), { x }, { subgroups: false }, TOLERANCE.fp32);
    expect(plain.shaders[0]!.wgsl).not.toContain('subgroup');
  });
  it('add atomically, gather by index, loop to bounds from tables', async () => {
    const index = Float64Array.of(1, 4, 4, 0, 9, 4, 2, 1);
    await agree(accumulateRows(), { table: signed(80, 5), index, y: signed(80, 6) }, {}, TOLERANCE.fp32);
  });
  it('are timed, with the spread', async () => {
    const timing = { repeats: 10, limit_s: 1 };
    const run = await agree(softmax(512, 128), { x: signed(512 * 128, 3) }, { timing }, TOLERANCE.fp32);
    expect(run.timing!.time_s).toBeGreaterThan(0);
    expect(run.timing!.hi_s / run.timing!.lo_s).toBeLessThan(100);
  });
  it('are refused when an input is missing', async () =>
    expect(runLaunches(device!, [softmax(8, 128)], {})).rejects.toThrow(/tensor 'x' \[8,128\] is not given/));
});
