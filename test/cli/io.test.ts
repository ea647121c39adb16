import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import { readText, writeOutput } from '../../src/cli/io.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tilewright-io-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('writing', () => {
  test('makes folders, replaces what is there, leaves no temporary file', () => {
    const path = join(folder, 'a/b/out.json');
    writeOutput(path, 'one');
    writeOutput(path, 'two');
    expect(readFileSync(path, 'utf8')).toBe('two');
    expect(readdirSync(join(folder, 'a/b'))).toEqual(['out.json']);
  });
  test('keeps a link and writes what it points at', () => {
    writeFileSync(join(folder, 'real'), 'old');
    symlinkSync(join(folder, 'real'), join(folder, 'link'));
    writeOutput(join(folder, 'link'), 'new');
    expect(lstatSync(join(folder, 'link')).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(folder, 'real'), 'utf8')).toBe('new');
  });
  test('a folder or a path through a file is an InputError that names it', () => {
    mkdirSync(join(folder, 'd'));
    expect(() => writeOutput(join(folder, 'd'), 'x')).toThrow(/d: cannot write: is a folder/);
    writeFileSync(join(folder, 'f'), '');
    expect(() => writeOutput(join(folder, 'f/x'), 'x')).toThrow(InputError);
    expect(readdirSync(folder).sort()).toEqual(['d', 'f']);
  });
  test('a device is written, not replaced', () => {
    writeOutput('/dev/null', 'x');
    expect(lstatSync('/dev/null').isCharacterDevice()).toBe(true);
  });
});

describe('reading', () => {
  test('missing, too large and binary files are InputErrors', () => {
    expect(() => readText(join(folder, 'none'))).toThrow(/none: cannot read: no such file/);
    writeFileSync(join(folder, 'big'), 'x'.repeat(11));
    expect(() => readText(join(folder, 'big'), 10)).toThrow(/11 bytes is larger than the 10 bytes/);
    expect(readText(join(folder, 'big'), 11)).toHaveLength(11);
    writeFileSync(join(folder, 'bin'), Buffer.from([0xff, 0xfe, 0x00]));
    expect(() => readText(join(folder, 'bin'))).toThrow(/not UTF-8/);
    expect(() => readText(folder)).toThrow(/is a folder/);
  });
});
