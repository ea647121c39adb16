/** Trace files of any size, piece by piece: plain or gzip (told by its first bytes), or `-` for stdin. */
import { closeSync, createReadStream, openSync, readSync, statSync } from 'node:fs';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { InputError } from '../base/errors.js';
import { reasonOf } from './io.js';

/** Compressions that are told from a file's first bytes but not read. */
const OTHERS: readonly (readonly [string, readonly number[]])[] = [
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['zip', [0x50, 0x4b, 0x03, 0x04]],
];

export interface TraceFile {
  /** Bytes of the file as it lies there; 0 when not known. */
  readonly size_B: number;
  /**
   * Calls `each` with every piece, uncompressed, and with the bytes read of the file so far; false from it ends the
   * reading. @throws InputError when the file cannot be read or is cut off.
   */
  read(each: (chunk: Uint8Array, read_B: number) => boolean): Promise<void>;
}

/** @throws InputError when there is no such file, or it is of a compression that is not read. */
export function openTraceFile(path: string): TraceFile {
  if (path === '-') return source(path, 0, false);
  let head: Buffer;
  let size_B: number;
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) throw new InputError('cannot read: is a folder, expected a file', path);
    size_B = stat.size;
    // a pipe must not lose its first bytes
    if (!stat.isFile()) return source(path, 0, false);
    head = Buffer.alloc(8);
    const file = openSync(path, 'r');
    try {
      head = head.subarray(0, readSync(file, head, 0, 8, 0));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`cannot read: ${reasonOf(error)}`, path);
  }
  if (size_B === 0) throw new InputError('the file is empty', path);
  const other = OTHERS.find(([, magic]) => magic.every((byte, i) => head[i] === byte));
  if (other) throw new InputError(`is compressed with ${other[0]}; plain text and gzip are read`, path);
  return source(path, size_B, head[0] === 0x1f && head[1] === 0x8b);
}

function source(path: string, size_B: number, gzip: boolean): TraceFile {
  return {
    size_B,
    async read(each) {
      const file = path === '-' ? process.stdin : createReadStream(path, { highWaterMark: 1 << 18 });
      let read_B = 0;
      const count = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          read_B += chunk.length;
          done(null, chunk);
        },
      });
      const stop = new AbortController();
      let fault: unknown;
      const take = async (pieces: AsyncIterable<Uint8Array>) => {
        for await (const piece of pieces) {
          try {
            if (each(piece, read_B)) continue;
          } catch (error) {
            // what goes wrong with a piece is not to be taken for a fault of the stream
            fault = error;
          }
          stop.abort();
          return;
        }
      };
      try {
        const { signal } = stop;
        if (gzip) await pipeline(file, count, createGunzip({ chunkSize: 1 << 18 }), take, { signal });
        else await pipeline(file, count, take, { signal });
      } catch (error) {
        if (fault !== undefined) throw fault;
        if (stop.signal.aborted) return;
        const code = (error as NodeJS.ErrnoException).code;
        if (code === 'Z_BUF_ERROR') throw new InputError('cannot read: the gzip data is cut off', path);
        if (code?.startsWith('Z_')) throw new InputError(`cannot read: ${(error as Error).message} (gzip)`, path);
        if (code && error instanceof Error && 'syscall' in error)
          throw new InputError(`cannot read: ${reasonOf(error)}`, path);
        throw error;
      }
      if (fault !== undefined) throw fault;
    },
  };
}
