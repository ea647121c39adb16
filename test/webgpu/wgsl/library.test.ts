import { afterAll, describe, expect, it } from 'vitest';
import { interpretLaunches } from '../../../src/kernel/interpret.js';
import { emitLaunches, emitOptions, runLaunches } from '../../../src/webgpu/program.js';
import { CASES, inputsOf, launchesOf, nameOf } from '../cases.js';
import { testDevice } from '../child-entry.js';
import { machineOf } from '../machine.js';

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
const TOLERANCE = { fp32: 2e-5, fp16: 4e-3, bf16: 4e-3, int8: 0 } as const;

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
