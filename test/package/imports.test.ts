/** Who may import whom: the arrows of the architecture, and the independence of the ways to a number. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));

/** Folders of src/, each of which may import itself and those that it names. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  machine: ['base'],
  workload: ['base', 'machine'],
  kernel: ['base', 'machine', 'workload'],
  bounds: ['base', 'machine', 'workload', 'kernel'],
  engine: ['base', 'machine', 'workload', 'kernel', 'bounds'],
  // other tools' files
  interop: ['base', 'machine', 'workload', 'kernel', 'bounds', 'engine'],
  webgpu: ['base', 'machine', 'workload', 'kernel', 'bounds', 'engine'],
  validate: ['base', 'machine', 'workload', 'kernel', 'bounds', 'engine', 'webgpu'],
  explore: ['base', 'machine', 'workload', 'kernel', 'bounds', 'engine'],
  report: ['base', 'machine', 'workload', 'kernel', 'bounds', 'engine', 'validate', 'explore'],
  cli: [
    'base',
    'machine',
    'workload',
    'kernel',
    'bounds',
    'engine',
    'interop',
    'webgpu',
    'validate',
    'explore',
    'report',
  ],
  // the package's own front door
  '.': ['base', 'machine', 'workload', 'kernel', 'bounds', 'engine', 'webgpu', 'validate', 'explore', 'report', 'cli'],
};

interface Import {
  readonly from: string;
  readonly to: string;
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(
  (f) => /\.ts$/.test(f) && !f.endsWith('.d.ts'),
);

/** Every relative import, static or dynamic, types too, as paths below src/. */
const imports: readonly Import[] = files.flatMap((from) => {
  const text = readFileSync(join(SRC, from), 'utf8');
  const found = text.matchAll(/(?:\bfrom\s+|\bimport\s*\(\s*|\bimport\s+)(['"])(\.{1,2}\/[^'"]+)\1/g);
  return [...found].map(([, , path]) => ({
    from,
    to: relative(SRC, join(SRC, dirname(from), path!)).replace(/\.js$/, '.ts'),
  }));
});

const folderOf = (path: string): string => (path.includes('/') ? path.split('/')[0]! : '.');

test('every import is found in a file that is there', () => {
  expect(imports.length).toBeGreaterThan(100);
  for (const { from, to } of imports) expect(files, `${from} imports ${to}`).toContain(to);
});

test('imports follow the arrows and never turn back', () => {
  const wrong = imports
    .filter(({ from, to }) => folderOf(from) !== folderOf(to))
    .filter(({ from, to }) => !MAY_IMPORT[folderOf(from)]?.includes(folderOf(to)));
  expect(wrong).toEqual([]);
});

/** All that a set of files reaches. */
function reach(start: (path: string) => boolean): Set<string> {
  const seen = new Set(files.filter(start));
  for (const path of seen) for (const { from, to } of imports) if (from === path) seen.add(to);
  return seen;
}

describe('event, steady and the interpreter do not import one another', () => {
  const parts: Readonly<Record<string, (path: string) => boolean>> = {
    event: (p) => p.startsWith('engine/event/') || p === 'engine/event.ts',
    steady: (p) => p.startsWith('engine/steady/') || p === 'engine/steady.ts',
    interpreter: (p) => p.startsWith('kernel/interpret/') || p === 'kernel/interpret.ts',
  };
  for (const [name, part] of Object.entries(parts))
    test(`${name} reaches none of the others`, () => {
      const reached = [...reach(part)];
      expect(reached.length).toBeGreaterThan(1);
      for (const [other, isOther] of Object.entries(parts))
        if (other !== name) expect(reached.filter(isOther)).toEqual([]);
    });
});
