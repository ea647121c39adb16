import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import { openMachineSource } from '../../src/cli/files.js';
import { resolveMachine } from '../../src/machine/load.js';

const source = await openMachineSource('a100-sxm-80gb-datasheet');
const value = async (formula: string, path = 'dram.bandwidth', ...more: string[]) =>
  (await resolveMachine(source, [`${path}=${formula}`, ...more])).fields.get(path)!.value;

test.each([
  ['= sm.count * 1e9', 108e9],
  ['=2^10', 1024],
  ['= min(clock.boost, 1e9) + max(1, 2)', 1e9 + 2],
  ['= (clock.boost - clock.base) / 2', 67.5e6],
  ['= sm.count > 100 ? 7 : 8', 7],
  ['= floor(l2.bandwidth / sm.count)', 25],
])('%s', async (formula, expected) => {
  expect(await value(formula)).toBeCloseTo(expected, 6);
});

test('a formula may read a formula', async () => {
  expect(await value('= tdp * 2', 'dram.bandwidth', 'tdp== sm.count * 3')).toBe(648);
});

test.each([
  ['= dram.bandwidth * 2', /circular formulas: dram\.bandwidth → dram\.bandwidth/],
  ['= sm.cout', /unknown field 'sm\.cout'; did you mean 'sm\.count'\?/],
  ['= title', /unknown field 'title'/],
  ['= sm', /unknown field 'sm'/],
  ['= 1 / 0', /gives Infinity/],
  ['= 0 / 0', /gives NaN/],
  ['= -tdp', /above 0/],
  ['= sm.count *', /cannot read the formula/],
  ['=', /arithmetic over fields|gives undefined|cannot read/],
  ['= x = 3', /only arithmetic/],
  ['= f(x) = x', /only arithmetic/],
  ['= "text"', /only arithmetic/],
  ['= [1, 2]', /only arithmetic/],
  ['= import({}, {})', /unknown function 'import'/],
  ['= evaluate("1")', /unknown function 'evaluate'/],
  ['= parse("1")', /unknown function 'parse'/],
  ['= sm.constructor', /unknown field 'sm\.constructor'/],
  ['= sm["count"]', /only arithmetic/],
  ['= sm.count.toString()', /unknown function/],
  [`= ${'1+'.repeat(300)}1`, /longer than 400/],
])('%s is refused', async (formula, message) => {
  const error = await value(formula).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(InputError);
  expect((error as Error).message).toMatch(message);
});

test('a longer circle is named in full', async () => {
  const error = value('= tdp', 'dram.bandwidth', 'tdp== dram.latency', 'dram.latency== dram.bandwidth');
  await expect(error).rejects.toThrow(/circular formulas: (\S+ → ){3}\S+$/);
});

test('any formula gives a machine or an InputError', { timeout: 60_000 }, async () => {
  const word = fc.constantFrom(
    'sm.count',
    'tdp',
    '1',
    '2.5',
    '(',
    ')',
    '+',
    '-',
    '*',
    '/',
    '^',
    'min',
    ',',
    '?',
    ':',
    '[',
    ']',
    '.',
    '=',
    ';',
    "'",
    '!',
    '%',
    'to',
    'i',
    'e',
  );
  await fc.assert(
    fc.asyncProperty(fc.array(word, { maxLength: 8 }), async (words) => {
      try {
        expect(await value(`= ${words.join(' ')}`)).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toBeInstanceOf(InputError);
      }
    }),
    { numRuns: 400 },
  );
});
