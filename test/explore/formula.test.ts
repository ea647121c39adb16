import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import { formulas, type Scope } from '../../src/explore/formula.js';

const VALUES: Record<string, unknown> = { x: 3, bound_by: 'dram', machine: { dram: { bandwidth: 2e12 } } };
const scope: Scope = { has: (name) => name in VALUES, get: (name) => VALUES[name] };
const compile = await formulas();

describe('formulas', () => {
  test.each<[string, unknown]>([
    ['x * 2 + 1', 7],
    ['machine.dram.bandwidth / 1e12 <= 2', true],
    ['1 < x < 4 and not (x == 4)', true],
    ['x > 2 ? min(x, 1) : 0', 1],
    ['bound_by == "dram"', true],
    ['bound_by != "dram"', false],
    ['sqrt(9) + log2(8) + pi - pi', 6],
    ['-x^2', -9],
  ])('%s', (text, value) => {
    expect(compile(text, 'here').evaluate(scope)).toBe(value);
  });

  test('say what they read', () => {
    expect(compile('x + max(machine.dram.bandwidth, x) * pi', 'here').reads).toEqual(['x', 'machine.dram.bandwidth']);
  });

  test.each([
    'x = 3',
    'f(y) = y',
    '[1, 2]',
    'machine["dram"]',
    'x; x',
    'import(x)',
    'x.constructor()',
    'evaluate("1")',
    'x!',
    'x to y',
    '',
    '1 +',
  ])('refuse %s', (text) => {
    expect(() => compile(text, 'space.json: constraints.0')).toThrow(InputError);
    expect(() => compile(text, 'space.json: constraints.0')).toThrow(/^space\.json: constraints\.0: /);
  });

  test('name the nearest function', () => {
    expect(() => compile('sqr(x)', 'here')).toThrow(/function 'sqr' \(did you mean 'sqrt'\?\)/);
  });

  test('a value that is missing or no number is an InputError', () => {
    expect(() => compile('y + 1', 'here').evaluate(scope)).toThrow(/cannot calculate 'y \+ 1'.*y/);
    expect(() => compile('bound_by + 1', 'here').evaluate(scope)).toThrow(InputError);
  });
});
