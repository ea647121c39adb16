/** Numbers of Timeloop's files: what no energy, size or rate can be is said with its place. */
import { expect, test } from 'vitest';
import { InputError } from '../../../src/base/errors.js';
import { energyFrom } from '../../../src/interop/timeloop/energy.js';
import { Reader } from '../../../src/interop/timeloop/read.js';

test.each([['-1'], ['.nan'], ['.inf'], ['1e308'], ['x'], ['[]']])('an energy of %s is refused', (energy) => {
  const text = `ERT:\n  tables:\n    - name: buffer\n      actions:\n        - { name: read, energy: ${energy} }\n`;
  expect(() => energyFrom(text, 'ert.yaml', [])).toThrow(InputError);
  expect(() => energyFrom(text, 'ert.yaml', [])).toThrow(/ert\.yaml.*buffer.*read.*: energy is /);
});

test('0 is a size, but no rate', () => {
  const r = new Reader({ depth: 0, rate: 0 }, 'a', []);
  expect(r.number(['depth'], 1)).toBe(0);
  expect(() => r.number(['rate'], 1, true)).toThrow(/rate is 0, expected a positive number/);
});
