import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import {
  DIMENSION_NAMES,
  DIMENSIONS,
  type DimensionName,
  formatQuantity,
  parseQuantity,
} from '../../src/base/units.js';

test.each<[string, DimensionName, number]>([
  ['40 MiB', 'bytes', 40 * 1024 * 1024],
  ['192KiB', 'bytes', 196608],
  ['80 GB', 'bytes', 80e9],
  ['1 KB', 'bytes', 1000],
  ['16 Gbit', 'bytes', 2e9],
  ['1.41 GHz', 'frequency', 1.41e9],
  ['3.35 TB/s', 'bandwidth', 3.35e12],
  ['14 Gbps', 'bandwidth', 1.75e9],
  ['900 GBps', 'bandwidth', 9e11],
  ['1 GiB/s', 'bandwidth', 2 ** 30],
  ['2.5 us', 'time', 2.5e-6],
  ['2.5 µs', 'time', 2.5e-6],
  ['1 h', 'time', 3600],
  ['400 W', 'power', 400],
  ['0.4 kW', 'power', 400],
  ['1.59 pJ/bit', 'energy_per_byte', 12.72],
  ['700 fJ', 'energy_per_action', 0.7],
  ['1 kWh', 'energy', 3.6e6],
  ['826 mm²', 'area', 826],
  ['8.26 cm2', 'area', 826],
  ['312 TFLOPS', 'flops', 312e12],
  ['624 TOPS', 'flops', 624e12],
  ['24 cycles', 'cycles', 24],
  ['64 B/clk', 'bytes_per_cycle', 64],
  ['92 %', 'ratio', 0.92],
  ['108', 'count', 108],
  ['1e3', 'count', 1000],
  [' -.5e-3 s ', 'time', -0.5e-3],
  ['1980', 'frequency', 1980],
])('%s as %s is %d', (text, dimension, value) => {
  expect(parseQuantity(text, dimension)).toBeCloseTo(value, 12 - Math.ceil(Math.log10(Math.abs(value) + 1)));
});

test.each<[string, DimensionName, RegExp]>([
  ['40 MHz', 'bytes', /'40 MHz' is a frequency; expected an amount of data in B, e\.g\. "40 MiB"/],
  ['40 MiB', 'frequency', /is an amount of data; expected a frequency in Hz, e\.g\. "1\.41 GHz"/],
  ['40 mhz', 'frequency', /did you mean 'MHz'\?/],
  ['3 tb/s', 'bandwidth', /did you mean 'TB\/s' or 'Tb\/s'\?/],
  ['40 apples', 'bytes', /unknown unit 'apples'/],
  ['', 'bytes', /'' is not an amount of data/],
  ['NaN', 'count', /is not a plain number/],
  ['Infinity', 'count', /is not a plain number/],
  ['1e999', 'count', /too large/],
  ['1,000', 'count', /unknown unit/],
  ['0x10', 'count', /unknown unit/],
  ['40 MiB MiB', 'bytes', /unknown unit/],
])('%s as %s is refused', (text, dimension, message) => {
  expect(() => parseQuantity(text, dimension, 'x.json: l2.capacity')).toThrow(InputError);
  expect(() => parseQuantity(text, dimension, 'x.json: l2.capacity')).toThrow(message);
});

test.each(DIMENSION_NAMES)('the example of %s is a good one', (name) => {
  const example = DIMENSIONS[name].example.split('" or "')[0]!;
  expect(parseQuantity(example, name)).toBeGreaterThan(0);
});

test('each unit reads as its scale in its own dimension', () => {
  for (const name of DIMENSION_NAMES)
    for (const [unit, scale] of DIMENSIONS[name].units) expect(parseQuantity(`2 ${unit}`, name)).toBe(2 * scale);
});

test('what is formatted reads back as the same value', () => {
  const number = fc.double({ min: -1e18, max: 1e18, noNaN: true }).filter((x) => x === 0 || Math.abs(x) > 1e-18);
  fc.assert(
    fc.property(fc.constantFrom(...DIMENSION_NAMES), number, (name, value) => {
      const back = parseQuantity(formatQuantity(value, name, 17), name);
      expect(Math.abs(back - value)).toBeLessThanOrEqual(1e-14 * Math.abs(value));
    }),
  );
});

test('any text gives a finite number or an InputError', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...DIMENSION_NAMES),
      fc.oneof(fc.string(), fc.stringMatching(/^[-+0-9. eEkKMGiBbs/%]*$/)),
      (name, text) => {
        try {
          expect(Number.isFinite(parseQuantity(text, name))).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
        }
      },
    ),
  );
});

test.each<[number, DimensionName, string]>([
  [40 * 2 ** 20, 'bytes', '40 MiB'],
  [80e9, 'bytes', '74.51 GiB'],
  [1.41e9, 'frequency', '1.41 GHz'],
  [3.35e12, 'bandwidth', '3.35 TB/s'],
  [2.5e-6, 'time', '2.5 us'],
  [0.92, 'ratio', '92 %'],
  [0, 'bytes', '0 B'],
  [0, 'time', '0 s'],
  [108, 'count', '108'],
])('%d as %s shows as %s', (value, dimension, text) => {
  expect(formatQuantity(value, dimension)).toBe(text);
});
