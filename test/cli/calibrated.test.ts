import { expect, test } from 'vitest';
import { pickCalibrated } from '../../src/cli/calibrated.js';

const described = (machine: string, adapter: string, from = 'measured') => ({
  machine,
  text: JSON.stringify({ name: machine, core: { count: { value: 2, from, source: `microbenchmarks on ${adapter}` } } }),
});
const MESA_25 = 'llvmpipe: Mesa 25.0.7 (LLVM 15.0.6) 0.0.1';

test('the description measured on the very adapter comes first', () => {
  const shelf = [described('old', 'llvmpipe: Mesa 22.3 (LLVM 14)'), described('new', MESA_25)];
  expect(pickCalibrated(shelf, MESA_25)).toEqual({ machine: 'new', same: true });
});
test('one of another version of the driver will do, and is said to be so', () =>
  expect(pickCalibrated([described('old', 'llvmpipe: Mesa 22.3 (LLVM 14)')], MESA_25)).toEqual({
    machine: 'old',
    same: false,
  }));
test('one that was not measured, or on another device, will not', () => {
  expect(pickCalibrated([described('a', MESA_25, 'assumed')], MESA_25)).toBeUndefined();
  expect(pickCalibrated([described('a', 'NVIDIA H100')], MESA_25)).toBeUndefined();
});
