/** Damaged descriptions: whatever is done to a file, the loader gives a valid machine or an InputError. */
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import { findFile, findMachine, listMachines } from '../../src/cli/files.js';
import { fits } from '../../src/machine/fits.js';
import { GpuSchema } from '../../src/machine/gpu-schema.js';
import { loadMachine, readMachine } from '../../src/machine/load.js';
import { fileSchemaOf } from '../../src/machine/quantity.js';

type Tree = Record<string, unknown>;

/** Every path of a tree. */
function paths(value: unknown, at: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([k, v]) => paths(v, [...at, k]))];
}

function edited(tree: unknown, path: string[], edit: (parent: Tree, key: string) => void): unknown {
  const copy = structuredClone(tree);
  let at = copy as Tree;
  for (const key of path.slice(0, -1)) at = at[key] as Tree;
  edit(at, path.at(-1)!);
  return copy;
}

const anything = fc.oneof(
  fc.constantFrom(
    0,
    -1,
    1e308,
    1e-308,
    5e-324,
    2 ** 53,
    'NaN',
    'Infinity',
    '-Infinity',
    '0 B',
    '-4 GHz',
    '1e400 B',
    '40 MHz',
    '=',
    '= sm.count',
    '= tdp / 0',
    '= nothing',
    '= name',
    '',
    ' ',
    null,
    true,
    false,
    [],
    {},
    [1],
    { value: 1 },
    { value: 'x', from: 'datasheet', source: 's' },
    { value: {}, from: 'assumed', source: 's' },
    { extends: 'h100-sxm' },
    { extends: 5 },
  ),
  fc.double(),
  fc.string({ maxLength: 12 }),
  fc.jsonValue({ maxDepth: 2 }),
);
const oddKey = fc.oneof(
  fc.constantFrom('constructor', 'toString', 'value', '$from', '$source', 'extends', 'a.b', ''),
  fc.string({ maxLength: 8 }),
);

const texts = listMachines().map((name) => JSON.parse(findMachine(name).text) as Tree);
const mutated = fc
  .tuple(
    fc.constantFrom(...texts),
    fc.array(fc.record({ where: fc.nat(), how: fc.nat(2), value: anything, key: oddKey }), {
      minLength: 1,
      maxLength: 3,
    }),
  )
  .map(([tree, edits]) => {
    let out: unknown = tree;
    for (const { where, how, value, key } of edits) {
      const all = paths(out).filter((p) => p.length > 0);
      const path = all[where % all.length];
      if (!path) continue;
      out = edited(out, path, (parent, last) => {
        if (how === 0) delete parent[last];
        else if (how === 1) parent[last] = value;
        else if (!Array.isArray(parent)) parent[key === '__proto__' ? 'x' : key] = value;
      });
    }
    return JSON.stringify(out);
  });

const read = new Map<string, { text: string; file: string }>();
const resolveExtends = (name: string) => {
  const known = read.get(name) ?? findFile(name.startsWith('gpu-') ? 'components' : 'machines', name);
  read.set(name, known);
  return { text: known.text, file: known.file };
};

test('a mutated description never breaks the loader', { timeout: 60_000 }, async () => {
  let loaded = 0;
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(mutated, async (text) => {
      try {
        const { graph, fields } = await loadMachine(text, { file: 'mutated.json', resolveExtends });
        loaded++;
        for (const field of fields.values()) expect(Number.isFinite(field.value)).toBe(true);
        for (const s of graph.stores) expect(s.read_B_per_s).toBeGreaterThan(0);
      } catch (error) {
        refused++;
        expect(error).toBeInstanceOf(InputError);
        expect((error as Error).message).toMatch(/\S: \S/);
      }
    }),
    { numRuns: 1000 },
  );
  // the mutations must exercise both ways out
  expect(loaded).toBeGreaterThan(50);
  expect(refused).toBeGreaterThan(300);
});

test('damaged text never breaks the loader', { timeout: 60_000 }, async () => {
  const text = findMachine('a100-pcie-40gb').text;
  await fc.assert(
    fc.asyncProperty(fc.nat(text.length), fc.nat(40), fc.string({ maxLength: 4 }), async (at, drop, put) => {
      try {
        await loadMachine(text.slice(0, at) + put + text.slice(at + drop), { file: 'damaged.json', resolveExtends });
      } catch (error) {
        expect(error).toBeInstanceOf(InputError);
      }
    }),
    { numRuns: 400 },
  );
});

test('the quick check accepts nothing that the schema refuses, and all that ships', { timeout: 60_000 }, async () => {
  const ajv = new Ajv({ strict: true, allowUnionTypes: true, inlineRefs: false });
  ajv.addKeyword('x-quantity');
  const validate = ajv.compile(fileSchemaOf(GpuSchema));
  for (const name of listMachines()) {
    const { tree, family } = await readMachine(findMachine(name).text, { file: name, resolveExtends });
    if (family === 'gpu') expect(fits(tree, GpuSchema), name).toBe(true);
  }
  await fc.assert(
    fc.asyncProperty(mutated, async (text) => {
      const source = await readMachine(text, { file: 'mutated.json', resolveExtends }).catch(() => undefined);
      if (source && fits(source.tree, GpuSchema)) expect(validate(source.tree)).toBe(true);
    }),
    { numRuns: 500 },
  );
});
