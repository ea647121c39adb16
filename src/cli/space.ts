/** A design space by name or path, with every file it names, and its run. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InfeasibleError, InputError } from '../base/errors.js';
import { compileSpace, type Row } from '../explore/evaluate.js';
import { formulas } from '../explore/formula.js';
import { localPool, workerPool } from '../explore/pool.js';
import type { Setup } from '../explore/replay.js';
import { runSearch } from '../explore/run.js';
import { MANIFEST_FORMAT, type Manifest, RunFolder } from '../explore/runfolder.js';
import { SEARCH, type SearchName } from '../explore/search.js';
import { parseSpace, type Space } from '../explore/space.js';
import { csvOf, type Summary, summarise } from '../explore/summary.js';
import { evaluator } from '../explore/worker.js';
import { type MachinePack, pack } from '../machine/pack.js';
import { findJson, openMachineSource } from './files.js';
import { Interrupted, interruptible } from './interrupt.js';
import { writeOutput } from './io.js';
import { startProgress } from './progress.js';
import { VERSION } from './version.js';
import { openWorkloadSource } from './workload.js';

export interface SweepOptions {
  readonly search: SearchName;
  readonly points?: number;
  readonly seed?: number;
  readonly jobs?: number;
  /** Folder of the run. */
  readonly run?: string;
  readonly fresh?: boolean;
  readonly csv?: string;
  readonly quiet?: boolean;
}

export interface Sweep {
  readonly space: Space;
  readonly rows: readonly Row[];
  readonly summary: Summary;
  readonly folder: string;
}

/** Reads a space and all that it names. @throws InputError */
export async function openSpace(nameOrPath: string): Promise<Setup> {
  const { json, file } = findJson('spaces', nameOrPath);
  const space = parseSpace(json, file);
  compileSpace(space, await formulas(), file);
  const namesOf = (root: 'machine' | 'workload'): string[] => {
    const given = space.base[root];
    if (typeof given === 'object') return Object.values(given);
    return given === undefined ? (space.axes.find((axis) => axis.path === root)!.values as string[]) : [given];
  };
  const machines: Record<string, MachinePack> = {};
  for (const name of namesOf('machine')) machines[name] = pack(await openMachineSource(name));
  const workloads = Object.fromEntries(namesOf('workload').map((text) => [text, openWorkloadSource(text)]));
  return { space, place: file, machines, workloads };
}

/**
 * Evaluates a space in its run folder, or goes on where an earlier run stopped.
 * @throws InputError, InfeasibleError when no point has a result, Interrupted
 */
export async function sweep(nameOrPath: string, options: SweepOptions): Promise<Sweep> {
  const setup = await openSpace(nameOrPath);
  const { space } = setup;
  const search = { name: options.search, seed: options.seed ?? space.seed, points: options.points ?? space.size };
  const path =
    options.run ?? join('reports', 'out', `${options.search === 'grid' ? 'sweep' : options.search}-${space.name}`);
  const folder = RunFolder.open(path, manifestOf(setup, search), options.fresh);
  const total = Math.min(search.points, space.size);
  const jobs = Math.min(options.jobs ?? availableParallelism(), total - folder.rows.length || 1);
  const progress = await startProgress(space.name, total, { quiet: options.quiet, start: folder.rows.length });
  let rows: readonly Row[];
  try {
    const outcome = await interruptible(async (signal) => {
      const pool =
        jobs === 1
          ? localPool(evaluator(setup))
          : await workerPool(new URL('../explore/worker.js', import.meta.url), setup, jobs);
      const onProgress = (done: number, failed: number) =>
        progress.update(done, failed > 0 ? `${failed} without result` : '');
      try {
        return await runSearch({
          space,
          search: SEARCH[options.search],
          options: search,
          folder,
          pool,
          signal,
          onProgress,
        });
      } finally {
        await pool.close();
      }
    });
    rows = outcome.rows;
    if (outcome.stopped)
      throw new Interrupted(
        `stopped after ${rows.length} of ${total} points; they are kept in ${path}, and the same command goes on from there`,
      );
  } finally {
    progress.stop();
    folder.close();
  }
  if (options.csv) writeOutput(options.csv, csvOf(space, rows));
  refuseEmpty(rows, setup.place);
  return { space, rows, summary: summarise(space, search, rows), folder: path };
}

/** A sweep without a single result is a fault of its space or of its machine. */
function refuseEmpty(rows: readonly Row[], place: string): void {
  if (rows.length === 0 || rows.some((row) => row.status === 'ok')) return;
  const failed = rows.filter((row) => row.status === 'failed');
  const first = failed[0];
  if (!first)
    throw new InfeasibleError(`the constraints exclude all ${rows.length} points, the first with: ${rows[0]!.reason}`);
  const all =
    failed.length === rows.length
      ? `all ${rows.length} points failed`
      : `no point has a result: ${failed.length} of ${rows.length} failed`;
  const message = `${all}, the first with: ${first.reason}`;
  const internal = failed.find((row) => row.fault === 'internal');
  if (internal) throw new Error(`point ${internal.point}: ${internal.reason}`);
  throw first.fault === 'infeasible' ? new InfeasibleError(message) : new InputError(message, place);
}

function manifestOf(setup: Setup, search: Manifest['search']): Manifest {
  return {
    format: MANIFEST_FORMAT,
    tilewright: VERSION,
    build: buildHash(),
    inputs: sha256(JSON.stringify(setup)),
    space: setup.space,
    search,
  };
}

/** Of the program's own files, so that a run is not continued by a program that would compute something else. */
function buildHash(): string {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.js'));
  const hash = createHash('sha256');
  for (const file of files.sort()) {
    const path = join(root, file);
    hash
      .update(`${relative(root, path)}\0`)
      .update(readFileSync(path))
      .update('\0');
  }
  return hash.digest('hex').slice(0, 16);
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);
