import { expect, test } from 'vitest';
import { openMachine } from '../../../src/cli/files.js';
import { constantsOf } from '../../../src/machine/calibratable.js';
import { GPU_CALIBRATION } from '../../../src/machine/gpu-calibration.js';
import type { Fitted } from '../../../src/validate/calibrate/calibrate.js';
import { transferred } from '../../../src/validate/calibrate/transfer.js';

const to = await openMachine('t4');
const constant = constantsOf(GPU_CALIBRATION, to.fields).find((c) => c.name === 'kernel start')!;
const fitted = (factor: number, determined: number): Fitted[] => [
  {
    constant,
    z: Math.log(factor) / constant.sd,
    prior_sd: constant.sd,
    posterior_sd: constant.sd * Math.sqrt(1 - determined),
    sensitivity: 1,
    most: '',
    at_bound: false,
  },
];
const startOf = (set: readonly string[]) => Number(set.find((s) => s.startsWith('launch.start='))?.split('=')[1]);
const base = to.fields.get('launch.start')!.value;

test('factors that agree are taken over to a machine with other values', () => {
  expect(startOf(transferred([fitted(1.5, 0.9), fitted(1.5, 0.5)], to)) / base).toBeCloseTo(1.5, 9);
});
test('of factors that differ the geometric mean counts, by how well each is determined', () => {
  expect(startOf(transferred([fitted(2, 0.5), fitted(0.5, 0.5)], to)) || base).toBeCloseTo(base, 12);
  expect(startOf(transferred([fitted(2, 0.9), fitted(1, 0.3)], to)) / base).toBeCloseTo(2 ** 0.75, 9);
});
test('what no calibration determines stays', () => {
  expect(transferred([fitted(2, 0)], to)).toEqual([]);
});
