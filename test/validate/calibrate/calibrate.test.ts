/** Times made by a machine whose constants are known: a calibration that starts from another must find them. */
import { beforeAll, describe, expect, test } from 'vitest';
import { findFile, openMachine, openMachineSource } from '../../../src/cli/files.js';
import { loadMachine } from '../../../src/machine/load.js';
import { type Calibrated, calibrateMachine } from '../../../src/validate/calibrate/calibrate.js';
import { describe as description, insideOf, reportOf } from '../../../src/validate/calibrate/describe.js';
import { samplesOf } from '../../../src/validate/calibrate/samples.js';
import { predictTable } from '../../../src/validate/measured.js';

const BASE = 'v100-pcie-32gb';
const TRUTH = ['launch.start=1.2us', 'dram.achievable=0.78', 'dram.achievable_mixed=0.74'];
const SIZES = [16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096, 8192];

/** A GEMM table whose times are what `set` on the base machine takes, times a factor that has nothing to do with it. */
async function table(set: readonly string[], noise: (i: number) => number): Promise<string> {
  const rows = SIZES.flatMap((m) => SIZES.slice(2).map((n) => `float16,${m},${n},${1024},1`));
  const text = ['gemm_dtype,m,n,k,latency_ms', ...rows].join('\n');
  const { graph } = await openMachine(BASE, set);
  const { rows: predicted } = predictTable(text, 'made.csv', graph);
  return [
    'gemm_dtype,m,n,k,latency_ms',
    ...predicted.map((r, i) => [...Object.values(r.row).slice(0, 4), r.predicted_s! * 1e3 * noise(i)].join(',')),
  ].join('\n');
}

let made: Calibrated;
const calibrate = async (rows = 200) => {
  const text = await table(TRUTH, (i) => Math.exp(0.03 * Math.sin(i * 12.9898)));
  const { samples } = samplesOf([{ file: 'made.csv', text }]);
  return calibrateMachine(await openMachineSource(BASE), samples, { seed: 1, rows });
};
beforeAll(async () => {
  made = await calibrate();
}, 120_000);

const of = (name: string) => made.fitted.find((f) => f.constant.name === name)!;

describe('a calibration on times of a known machine', () => {
  test('finds its constants', async () => {
    const start = made.machine.fields.get('launch.start')!.value;
    expect(start).toBeGreaterThan(1.05e-6);
    expect(start).toBeLessThan(1.35e-6);
    expect(made.machine.fields.get('dram.achievable')!.value).toBeCloseTo(0.78, 1);
    expect(of('kernel start').posterior_sd).toBeLessThan(0.1);
  });
  test('predicts rows kept out better than before', () => {
    const error = (rows: Calibrated['test']) =>
      rows.reduce((s, r) => s + Math.abs(r.predicted_s! / r.measured_s! - 1), 0) / rows.length;
    expect(error(made.before)).toBeGreaterThan(0.07);
    expect(error(made.test)).toBeLessThan(0.04);
  });
  test('says what the rows cannot tell', () => {
    // nothing in the table is launched one by one
    const eager = reportOf(of('launch one by one'));
    expect(eager.determined).toBeCloseTo(0, 6);
    expect(eager.after).toBe(eager.before);
    expect(eager.sensitivity).toBe(0);
    expect(reportOf(of('kernel start')).determined).toBeGreaterThan(0.8);
  });
  test('does not move what is right already', () => {
    expect(Math.abs(of('L2 latency').z)).toBeLessThan(1.5);
  });
  test('is the same again', async () => {
    expect((await calibrate()).fitted.map((f) => f.z)).toEqual(made.fitted.map((f) => f.z));
  }, 120_000);
  test('stopped at once, changes nothing', async () => {
    const { samples } = samplesOf([{ file: 'made.csv', text: await table(TRUTH, () => 1) }]);
    const c = await calibrateMachine(await openMachineSource(BASE), samples, {
      seed: 1,
      rows: 50,
      stopped: () => true,
    });
    expect(c.interrupted).toBe(true);
    expect(c.set).toEqual([]);
  }, 120_000);
});

test('the description it writes is the machine that was fitted, each number with its story', async () => {
  const text = JSON.stringify(
    description(made, {
      extends: BASE,
      name: 'v100-again',
      title: 'V100 again',
      date: '2000-01-01',
      seed: 1,
      files: ['made.csv'],
    }),
  );
  const loaded = await loadMachine(text, {
    file: 'again.json',
    resolveExtends: (name) => findFile(name.startsWith('gpu-') ? 'components' : 'machines', name),
  });
  const start = loaded.fields.get('launch.start')!;
  expect(start.value).toBeCloseTo(made.machine.fields.get('launch.start')!.value, 8);
  expect(start.from).toBe('calibrated');
  expect(start.source).toMatch(/rows of measured times, 2000-01-01; was .* standard deviation; mean error/);
  expect(loaded.fields.get('sm.count')!.from).toBe('datasheet');
  expect(loaded.uncertainty!['all']!.lo).toBeLessThan(1);
  expect(insideOf(made.test, loaded.uncertainty!)).toBeGreaterThan(0.7);
});
