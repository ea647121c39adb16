import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import {
  findFile,
  findJson,
  findMachine,
  listFiles,
  listMachines,
  openMachine,
  PACKAGE_ROOT,
} from '../../src/cli/files.js';

const folder = mkdtempSync(join(tmpdir(), 'tilewright-'));
afterAll(() => rmSync(folder, { recursive: true }));
const written = (name: string, text: string | Uint8Array): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

test('the package root is where package.json stands', () => {
  expect(JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')).name).toBe('tilewright');
});

test('machines are listed by name, sorted, without the component tables', () => {
  const names = listMachines();
  expect(names).toEqual([...names].sort());
  expect(names).toContain('h100-sxm');
  expect(names.some((n) => n.startsWith('gpu-'))).toBe(false);
  expect(listFiles('components')).toContain('gpu-4n');
});

test('a shelf that has no folder yet is empty, and then nothing is known', () => {
  expect(Array.isArray(listFiles('traces'))).toBe(true);
  expect(() => findFile('traces', 'nothing-like-it')).toThrow(/unknown trace 'nothing-like-it'/);
});

test.each([
  ['h100-sxn', /unknown machine 'h100-sxn'; did you mean 'h100-sxm'\?/],
  ['', /expected the name of a machine or a path/],
  ['./no/such/file.json', /file\.json: cannot read: no such file/],
  ['missing.json', /missing\.json: cannot read: no such file/],
  [`${folder}/`, /cannot read: is a folder/],
])('%j is refused', (name, message) => {
  expect(() => findMachine(name)).toThrow(InputError);
  expect(() => findMachine(name)).toThrow(message);
});

test('an empty, a binary and an oversized file are refused', () => {
  expect(() => findMachine(written('empty.json', ' \n'))).toThrow(/the file is empty/);
  expect(() => findMachine(written('binary.json', new Uint8Array([0xff, 0xfe, 0x80])))).toThrow(/not UTF-8/);
  expect(() => findMachine(written('huge.json', new Uint8Array(5 * 1024 * 1024)))).toThrow(/larger than/);
});

test('invalid JSON is refused with line and column', () => {
  const path = written('broken.json', '{\n  "a": 1,\n  b: 2\n}');
  expect(() => findJson('models', path)).toThrow(`${path}:3:3: invalid JSON: expected a key in double quotes`);
});

test('a user’s own machine in any folder works, and may extend a shipped one or its neighbour', async () => {
  const near = written(
    'near.json',
    '{"extends":"a100-sxm-80gb","name":"near","$from":"assumed","$source":"a test","sm":{"count":64}}',
  );
  const far = written(
    'far.json',
    '{"extends":"./near.json","name":"far","$from":"assumed","$source":"a test","tdp":"500 W"}',
  );
  expect((await openMachine(near)).graph.cores.count).toBe(64);
  const { graph, name } = await openMachine(relative(process.cwd(), far));
  expect([name, graph.cores.count, graph.control.power_cap_W]).toEqual(['far', 64, 500]);
});

test('a fault in an extended file names that file and line', async () => {
  written('bad.json', '{"extends":"a100-sxm-80gb",\n"$from":"assumed","$source":"a test",\n"tdp":"3 GHz"}');
  const user = written('user.json', '{"extends":"./bad.json","name":"user"}');
  await expect(openMachine(user)).rejects.toThrow(/bad\.json:3: tdp: '3 GHz' is a frequency; expected a power/);
});

test('a path in extends is relative to the file that says it', async () => {
  mkdirSync(join(folder, 'lab'));
  written(
    'lab/base.json',
    '{"extends":"h100-sxm","name":"base","$from":"assumed","$source":"a test","sm":{"count":7}}',
  );
  written('lab/middle.json', '{"extends":"./base.json","name":"middle"}');
  const top = written('top.json', '{"extends":"./lab/middle.json","name":"top"}');
  expect((await openMachine(top)).graph.cores.count).toBe(7);
});
