/**
 * The folder of a run: `manifest.json` says what is evaluated, `results.jsonl` has a row a line in the order of the
 * search. Rows are only ever appended, so a run that was cut off goes on behind its last whole line.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../base/errors.js';
import type { Row } from './evaluate.js';
import { makeFolder } from './folder.js';

export const MANIFEST_FORMAT = 1;

export interface Manifest {
  readonly format: typeof MANIFEST_FORMAT;
  readonly tilewright: string;
  /** Hash of the program's own code: results of another build are not continued. */
  readonly build: string;
  /** Hash of the space and of every machine and model file it names. */
  readonly inputs: string;
  readonly space: unknown;
  readonly search: { readonly name: string; readonly seed: number; readonly points: number };
}

const WORDS: Partial<Record<keyof Manifest, string>> = {
  format: 'the format of run folders',
  tilewright: 'the version of tilewright',
  build: 'the build of tilewright',
  inputs: 'the design space, or a machine or model file it names',
  search: 'the search, its seed or its number of points',
};

export class RunFolder {
  /** Rows that an earlier run left. */
  readonly rows: readonly Row[];
  readonly path: string;
  readonly #file: number;

  private constructor(path: string, file: number, rows: readonly Row[]) {
    this.path = path;
    this.#file = file;
    this.rows = rows;
  }

  /**
   * Makes the folder, or opens the one there to go on with it; `fresh` discards its results.
   * Throws InputError when it holds another run, or is in use, or cannot be written.
   */
  static open(path: string, manifest: Manifest, fresh = false): RunFolder {
    const results = join(path, 'results.jsonl');
    try {
      makeFolder(path);
      takeLock(path);
    } catch (error) {
      throw error instanceof InputError ? error : new InputError(`cannot write: ${(error as Error).message}`, path);
    }
    try {
      if (fresh) rmSync(results, { force: true });
      else compareManifest(path, manifest);
      if (fresh || !existsSync(join(path, 'manifest.json'))) {
        const temporary = join(path, '.manifest.json.tmp');
        writeFileSync(temporary, `${JSON.stringify(manifest, null, 2)}\n`);
        renameSync(temporary, join(path, 'manifest.json'));
      }
      const file = openSync(results, 'a+');
      const { rows, end_B } = readRows(file, results);
      ftruncateSync(file, end_B);
      return new RunFolder(path, file, rows);
    } catch (error) {
      releaseLock(path);
      throw error instanceof InputError ? error : new InputError(`cannot write: ${(error as Error).message}`, path);
    }
  }

  /** Appends lines (without their newline). */
  append(lines: readonly string[]): void {
    const bytes = new TextEncoder().encode(lines.map((line) => `${line}\n`).join(''));
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
  }

  close(): void {
    fsyncSync(this.#file);
    closeSync(this.#file);
    releaseLock(this.path);
  }
}

function compareManifest(path: string, manifest: Manifest): void {
  const file = join(path, 'manifest.json');
  if (!existsSync(file)) {
    if (existsSync(join(path, 'results.jsonl')))
      throw new InputError('has results but no manifest; it is not a folder of a run, or a damaged one', path);
    return;
  }
  let old: Manifest;
  try {
    old = JSON.parse(readFileSync(file, 'utf8')) as Manifest;
  } catch {
    throw new InputError('cannot be read as JSON; start again with --fresh', file);
  }
  const changed = (Object.keys(WORDS) as (keyof Manifest)[]).filter(
    (key) => JSON.stringify(old?.[key]) !== JSON.stringify(manifest[key]),
  );
  if (changed.length > 0)
    throw new InputError(
      `holds another run: ${changed.map((key) => WORDS[key]).join('; ')} changed. Start again with --fresh, or choose another folder with --run`,
      path,
    );
}

/** Whole lines only: what follows the last newline was cut off while it was written. */
function readRows(file: number, place: string): { rows: Row[]; end_B: number } {
  const rows: Row[] = [];
  const chunk = Buffer.alloc(1 << 20);
  let rest = Buffer.alloc(0);
  let end_B = 0;
  for (;;) {
    const n = readSync(file, chunk, 0, chunk.length, null);
    if (n === 0) return { rows, end_B };
    let text = Buffer.concat([rest, chunk.subarray(0, n)]);
    for (let newline = text.indexOf(10); newline >= 0; newline = text.indexOf(10)) {
      rows.push(parseRow(text.subarray(0, newline).toString('utf8'), `${place}:${rows.length + 1}`));
      end_B += newline + 1;
      text = text.subarray(newline + 1);
    }
    rest = Buffer.from(text);
  }
}

function parseRow(line: string, place: string): Row {
  try {
    const row = JSON.parse(line) as Row;
    if (Number.isSafeInteger(row.point) && typeof row.status === 'string') return row;
  } catch {
    // said below
  }
  throw new InputError('is not a row of a run; start again with --fresh', place);
}

/** A lock names its process; one whose process is gone is taken over. */
function takeLock(path: string): void {
  const file = join(path, '.lock');
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const owner = Number(readFileSync(file, 'utf8'));
      if (owner !== process.pid && isAlive(owner)) throw new InputError(`is in use by process ${owner}`, path);
      rmSync(file, { force: true });
    }
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function releaseLock(path: string): void {
  rmSync(join(path, '.lock'), { force: true });
}
