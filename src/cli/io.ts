/**
 * Files in and out, for the command line. What is read has a size limit; what is written appears whole or not at all:
 * it goes to a temporary file beside its target, which is then renamed.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { InputError } from '../base/errors.js';
import { makeFolder } from '../explore/folder.js';

/** Largest file that is read whole: descriptions are kilobytes, traces some megabytes. */
export const READ_LIMIT_B = 256 * 1024 * 1024;

const REASONS: Record<string, string> = {
  ENOENT: 'no such file or folder',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EISDIR: 'is a folder, expected a file',
  ENOTDIR: 'a part of the path is not a folder',
  EROFS: 'read-only file system',
  ENOSPC: 'no space left on the device',
  ENAMETOOLONG: 'name too long',
};

/** What went wrong with a file, in words. */
export function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException)?.code;
  return (code && REASONS[code]) || (error instanceof Error ? error.message : String(error));
}

/** Text of a file, UTF-8. Throws InputError when it cannot be read, is larger than `limit_B` or is not text. */
export function readText(path: string, limit_B = READ_LIMIT_B): string {
  let bytes: Buffer;
  try {
    const { size } = statSync(path);
    if (size > limit_B)
      throw new InputError(`file of ${size} bytes is larger than the ${limit_B} bytes that are read`, path);
    bytes = readFileSync(path);
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`cannot read: ${reasonOf(error)}`, path);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new InputError('cannot read: not UTF-8 text', path);
  }
}

/** Writes a file whole, making its folder. Throws InputError when it cannot; then nothing is left behind. */
export function writeOutput(path: string, data: string | Uint8Array): void {
  let temporary: string | undefined;
  try {
    makeFolder(dirname(path));
    // a link keeps pointing at what it points at; a device or pipe is written straight
    const target = existsSync(path) ? realpathSync(path) : path;
    if (existsSync(target) && !statSync(target).isFile()) {
      writeWhole(openSync(target, 'w'), data);
      return;
    }
    const name = join(dirname(target), `.${basename(target).slice(0, 200)}.${randomBytes(6).toString('hex')}.tmp`);
    const file = openSync(name, 'wx');
    temporary = name;
    writeWhole(file, data);
    renameSync(name, target);
  } catch (error) {
    if (temporary) rmSync(temporary, { force: true });
    throw new InputError(`cannot write: ${reasonOf(error)}`, path);
  }
}

function writeWhole(file: number, data: string | Uint8Array): void {
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    try {
      fsyncSync(file);
    } catch {
      // pipes and devices cannot sync
    }
  } finally {
    closeSync(file);
  }
}

export function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
