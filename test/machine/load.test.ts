import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import { ORIGINS } from '../../src/base/provenance.js';
import { findFile, findMachine, listMachines, openMachine, PACKAGE_ROOT } from '../../src/cli/files.js';
import { loadMachine } from '../../src/machine/load.js';

const base = (extra: object) =>
  JSON.stringify({ extends: 'a100-sxm-80gb', name: 'mine', $from: 'assumed', $source: 'test', ...extra });
const load = (text: string, set: string[] = []) =>
  loadMachine(text, {
    file: 'mine.json',
    set,
    resolveExtends: (name) => {
      const f = named(name);
      return { text: f.text, file: f.file };
    },
  });
const named = (name: string) => findFile(name.startsWith('gpu-') ? 'components' : 'machines', name);

test('the ten GPUs ship', () => {
  expect(listMachines()).toEqual(
    expect.arrayContaining([
      'a100-pcie-40gb',
      'a100-sxm-80gb',
      'b200-sxm',
      'h100-sxm',
      'h200-sxm',
      'l40s',
      'rtx-3090',
      'rtx-4090',
      't4',
      'v100-pcie-32gb',
    ]),
  );
});

test.each(listMachines())(
  '%s loads, is called like its file, and every number says where it comes from',
  async (name) => {
    const machine = await openMachine(name);
    expect(machine.name).toBe(name);
    expect(machine.fields.size).toBeGreaterThan(10);
    for (const [path, field] of machine.fields) {
      expect(Number.isFinite(field.value), path).toBe(true);
      expect(ORIGINS, path).toContain(field.from);
      expect(field.source.length, path).toBeGreaterThan(3);
    }
  },
);

test('every number that a shipped file writes ends up as a field or is overridden there', async () => {
  // a bare JSON number or unit text anywhere below a section of a machine must be one of its fields
  for (const name of listMachines()) {
    const { fields } = await openMachine(name);
    const walk = (value: unknown, path: string): void => {
      if (typeof value === 'number') expect([...fields.keys()], `${name}: ${path}`).toContain(path);
      else if (typeof value === 'object' && value !== null)
        for (const [key, child] of Object.entries(value))
          walk(child, key === 'value' ? path : path === '' ? key : `${path}.${key}`);
    };
    walk(JSON.parse(findMachine(name).text), '');
  }
});

test('the loaded graph does not depend on when or how often it is loaded', async () => {
  const one = await openMachine('h200-sxm');
  const two = await openMachine('h200-sxm');
  expect(JSON.stringify(two.graph)).toBe(JSON.stringify(one.graph));
});

test('a file may extend another and keeps its own provenance', async () => {
  const { fields, graph } = await load(base({ l2: { capacity: '80 MiB' } }));
  expect(fields.get('l2.capacity')).toEqual({
    value: 80 * 2 ** 20,
    dimension: 'bytes',
    unit: 'B',
    from: 'assumed',
    source: 'test',
    text: '80 MiB',
  });
  expect(fields.get('l2.port')?.from).toBe('datasheet');
  expect(graph.stores.find((s) => s.id === 'l2')!.capacity_B).toBe(80 * 2 ** 20);
});

test.each<[string, string, RegExp]>([
  ['no family', '{"name": "x"}', /'family' is missing; expected one of gpu/],
  ['an unknown family', '{"family": "gpo"}', /unknown family 'gpo'; did you mean 'gpu'\?/],
  ['not an object', '[1]', /expected an object/],
  ['nothing in it', '{"family": "gpu"}', /'name' is missing/],
  ['a misspelt section', base({ drm: {} }), /mine\.json:1: unknown key 'drm'; did you mean 'dram'\?/],
  ['a misspelt key', base({ dram: { bandwith: 1 } }), /dram: unknown key 'bandwith'; did you mean 'bandwidth'\?/],
  [
    'a wrong unit',
    base({ l2: { capacity: '40 MHz' } }),
    /mine\.json:1: l2\.capacity: '40 MHz' is a frequency; expected an amount of data/,
  ],
  ['a negative number', base({ dram: { bandwidth: -1 } }), /dram\.bandwidth: expected a bandwidth above 0/],
  ['zero', base({ sm: { count: 0 } }), /sm\.count: expected a plain number above 0/],
  ['a fraction of an SM', base({ sm: { count: 1.5 } }), /expected a whole number/],
  ['more than all', base({ dram: { achievable: '101 %' } }), /of at most 100 %/],
  ['a list for a number', base({ tdp: [1] }), /tdp: expected a power, e\.g\. "400 W", got \[1\]/],
  ['true for a number', base({ tdp: true }), /tdp: expected a power/],
  [
    'a number too large',
    '{"extends": "a100-sxm-80gb", "$from": "assumed", "$source": "t", "tdp": 1e999}',
    /a number too large/,
  ],
  ['no provenance', '{"extends": "a100-sxm-80gb", "tdp": 300}', /tdp: this number has no provenance/],
  ['half a provenance', '{"extends": "a100-sxm-80gb", "$from": "assumed", "tdp": 300}', /must stand together/],
  ['an unknown origin', base({ $from: 'hearsay' }), /must be one of datasheet, paper/],
  [
    'a misspelt wrapping',
    base({ tdp: { value: 1, form: 'assumed', source: 's' } }),
    /unknown key 'form'; did you mean 'from'\?/,
  ],
  ['an unknown dtype', base({ tensor: { x: { a: 'bf17' } } }), /expected one of fp64|'b' is missing/],
  [
    'an unknown math function',
    base({ vector: { cbrt: { per_cycle: 1, pipe: 'special' } } }),
    /unknown math function 'cbrt'/,
  ],
  ['contradicting clocks', base({ clock: { base: '2 GHz' } }), /clock\.base is above clock\.boost/],
  [
    'a parent that is not there',
    '{"extends": "a100-sxm-80bg"}',
    /unknown machine 'a100-sxm-80bg'; did you mean 'a100-sxm-80gb'\?/,
  ],
  ['truncated', base({}).slice(0, -1), /mine\.json:1:\d+: invalid JSON: the file ends/],
])('%s is one clear InputError', async (_, text, message) => {
  const error = await load(text).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(InputError);
  expect((error as Error).message).toMatch(message);
});

test('an extends that goes in a circle is an error', async () => {
  const files: Record<string, string> = { a: '{"extends":"b","family":"gpu"}', b: '{"extends":"a"}' };
  const resolveExtends = (name: string) => ({ text: files[name]!, file: name });
  await expect(loadMachine(files['a']!, { file: 'a', resolveExtends })).rejects.toThrow(/circle: a → b → a/);
});

test('an extends that cannot be followed says so', async () => {
  await expect(loadMachine('{"extends":"b"}', { file: 'a' })).rejects.toThrow(/no other files can be read/);
});

test('component tables hold no number without provenance', () => {
  const folder = join(PACKAGE_ROOT, 'arch', 'components');
  for (const file of readdirSync(folder).filter((f) => f.endsWith('.json'))) {
    const json = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Record<string, unknown>;
    expect(json['$from'], file).toBeTypeOf('string');
    expect(json['$source'], file).toBeTypeOf('string');
  }
});

test('the example of the guide loads', async () => {
  const guide = readFileSync(join(PACKAGE_ROOT, 'arch', 'README.md'), 'utf8');
  const example = /```json\n([\s\S]*?)```/.exec(guide)![1]!;
  const { name, fields } = await load(example);
  expect([name, fields.get('l2.capacity')?.value]).toEqual(['h100-wide', 100 * 2 ** 20]);
});
