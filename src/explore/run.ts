/**
 * The run of a search over a space:
 *
 *   search ──batch of points──► rows of an earlier run, then pool (chunks, several at once) ──in order──► folder
 *      ▲                                                                                        │
 *      └──────────────────────────────── rows of the batch ─────────────────────────────────────┘
 *
 * Rows are written in the order of the search whoever computed them first, so the bytes of the folder do not depend on
 * the number of workers, nor on how often the run was cut off.
 */
import { InputError } from '../base/errors.js';
import type { Row } from './evaluate.js';
import type { Pool } from './pool.js';
import type { RunFolder } from './runfolder.js';
import type { Batch, Search, SearchOptions } from './search.js';
import type { Space } from './space.js';

export interface RunOptions {
  readonly space: Space;
  readonly search: Search;
  readonly options: SearchOptions;
  readonly folder: Pick<RunFolder, 'rows' | 'append' | 'path'>;
  readonly pool: Pool;
  readonly signal?: AbortSignal;
  /** Rows so far, and how many of them are no results. */
  readonly onProgress?: (done: number, failed: number) => void;
}

export interface RunOutcome {
  /** In the order of the search. */
  readonly rows: readonly Row[];
  /** Whether it was stopped by `signal` before its end. */
  readonly stopped: boolean;
}

/** Throws InputError when the folder's rows are not those of this search. */
export async function runSearch(run: RunOptions): Promise<RunOutcome> {
  const rows: Row[] = [];
  const points = run.search(run.space, run.options);
  for (let step = points.next(); !step.done; ) {
    const batch = step.value;
    const start = rows.length;
    takeRecorded(run, batch, rows);
    const finished = await evaluateRest(run, batch, start, rows);
    if (!finished) return { rows, stopped: true };
    step = points.next(rows.slice(start));
  }
  if (run.folder.rows.length > rows.length)
    throw new InputError(`has ${run.folder.rows.length} rows where the search has ${rows.length}`, run.folder.path);
  return { rows, stopped: false };
}

function takeRecorded({ folder }: RunOptions, batch: Batch, rows: Row[]): void {
  const start = rows.length;
  const end = Math.min(folder.rows.length, start + batch.length);
  for (let i = start; i < end; i++) {
    const row = folder.rows[i]!;
    const expected = batch.at(i - start);
    if (row.point !== expected)
      throw new InputError(
        `row ${i + 1} is of point ${row.point}, expected ${expected}; start again with --fresh`,
        folder.path,
      );
    rows.push(row);
  }
}

/** Evaluates what the batch still lacks; false when stopped. */
async function evaluateRest(run: RunOptions, batch: Batch, start: number, rows: Row[]): Promise<boolean> {
  const { pool, folder, signal } = run;
  let failed = rows.filter((row) => row.status !== 'ok').length;
  run.onProgress?.(rows.length, failed);
  let next = rows.length - start;
  // small enough that workers end together and little is lost when stopped, large enough to be worth a message
  const size = Math.max(1, Math.min(16, Math.floor((batch.length - next) / (pool.jobs * 8))));
  const flying: Promise<readonly string[]>[] = [];
  const stop = aborted(signal);
  try {
    while (next < batch.length || flying.length > 0) {
      while (next < batch.length && flying.length < 4 * pool.jobs && !(pool.jobs === 1 && flying.length > 0)) {
        const chunk = Array.from({ length: Math.min(size, batch.length - next) }, (_, i) => batch.at(next + i));
        next += chunk.length;
        const lines = pool.run(chunk);
        // rejections are met where the chunk is awaited, or not at all when stopped
        lines.catch(() => {});
        flying.push(lines);
      }
      const lines = signal?.aborted ? 'stopped' : await Promise.race([flying.shift()!, stop.promise]);
      if (lines === 'stopped') return false;
      folder.append(lines);
      for (const line of lines) rows.push(JSON.parse(line) as Row);
      failed += rows.slice(rows.length - lines.length).filter((row) => row.status !== 'ok').length;
      run.onProgress?.(rows.length, failed);
    }
    return true;
  } finally {
    stop.release();
  }
}

function aborted(signal: AbortSignal | undefined): { promise: Promise<'stopped'>; release: () => void } {
  let stop: () => void = () => {};
  const promise = new Promise<'stopped'>((resolve) => {
    stop = () => resolve('stopped');
    signal?.addEventListener('abort', stop, { once: true });
  });
  return { promise, release: () => signal?.removeEventListener('abort', stop) };
}
