import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import { localPool, type Pool, workerPool } from '../../src/explore/pool.js';
import { runSearch } from '../../src/explore/run.js';
import { MANIFEST_FORMAT, type Manifest, RunFolder } from '../../src/explore/runfolder.js';
import { type Batch, SEARCH, type Search } from '../../src/explore/search.js';
import { parseSpace } from '../../src/explore/space.js';
import { csvOf, summarise } from '../../src/explore/summary.js';
import evaluate from './fixtures/worker.mjs';

const POINTS = 103;
const space = parseSpace({
  name: 'numbers',
  base: { machine: 'none', workload: 'none' },
  axes: [{ path: 'machine.x', range: { from: 0, to: POINTS - 1, step: 1 } }],
  objectives: [{ name: 'time', metric: 'time_s', goal: 'min' }],
});
const manifest: Manifest = {
  format: MANIFEST_FORMAT,
  tilewright: '0',
  build: 'b',
  inputs: 'i',
  space,
  search: { name: 'grid', seed: 0, points: POINTS },
};
const WORKER = new URL('./fixtures/worker.mjs', import.meta.url);

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'tilewright-run-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

interface Options {
  search?: Search;
  signal?: AbortSignal;
  onProgress?: (done: number) => void;
  manifest?: Manifest;
}

/** Runs in folder `name`, returns the bytes of its results. */
async function runIn(name: string, pool: Pool, options: Options = {}) {
  const folder = RunFolder.open(join(home, name), options.manifest ?? manifest);
  try {
    const search = options.search ?? SEARCH.grid;
    const outcome = await runSearch({ space, search, options: { seed: 7 }, folder, pool, ...options });
    return { ...outcome, bytes: readFileSync(join(home, name, 'results.jsonl'), 'utf8') };
  } finally {
    folder.close();
    await pool.close();
  }
}

describe('a run', () => {
  test('writes the same bytes for any number of workers', async () => {
    const one = await runIn('one', localPool(evaluate));
    expect(one.rows).toHaveLength(POINTS);
    for (const jobs of [1, 2, 5])
      expect((await runIn(`w${jobs}`, await workerPool(WORKER, {}, jobs))).bytes).toBe(one.bytes);
  });

  test.each(['grid', 'random', 'nsga2'] as const)('cut off anywhere, %s goes on to the same bytes', async (name) => {
    const search = SEARCH[name];
    const whole = await runIn('whole', localPool(evaluate), { search });
    const length = Buffer.byteLength(whole.bytes);
    for (const cut of [0, 1, 50, 200, 1000, length - 1, length]) {
      await runIn('cut', localPool(evaluate), { search });
      truncateSync(join(home, 'cut/results.jsonl'), cut);
      expect((await runIn('cut', localPool(evaluate), { search })).bytes).toBe(whole.bytes);
      rmSync(join(home, 'cut'), { recursive: true });
    }
  });

  test('goes on without evaluating what is there', async () => {
    await runIn('a', localPool(evaluate));
    const never = localPool(() => Promise.reject(new Error('evaluated')));
    expect((await runIn('a', never)).rows).toHaveLength(POINTS);
  });

  test('stops when asked, keeps a prefix, and goes on', async () => {
    const whole = await runIn('whole', localPool(evaluate));
    for (const jobs of [1, 3]) {
      const controller = new AbortController();
      const stopped = await runIn(`s${jobs}`, jobs === 1 ? localPool(evaluate) : await workerPool(WORKER, {}, jobs), {
        signal: controller.signal,
        onProgress: (done) => done >= 20 && controller.abort(),
      });
      expect(stopped.stopped).toBe(true);
      expect(stopped.rows.length).toBeGreaterThanOrEqual(20);
      expect(stopped.rows.length).toBeLessThan(POINTS);
      expect(whole.bytes.startsWith(stopped.bytes)).toBe(true);
      expect((await runIn(`s${jobs}`, localPool(evaluate))).bytes).toBe(whole.bytes);
    }
  });

  test('hands a search the rows of each batch, also after a resume', async () => {
    const seen: number[][] = [];
    // halves the interval towards the best point, as a searcher that learns would
    const learning: Search = function* () {
      for (let low = 0, high = POINTS; high - low > 4; ) {
        const batch: Batch = { length: 4, at: (i) => low + Math.floor((i * (high - low)) / 4) };
        const rows = yield batch;
        seen.push(rows.map((row) => row.point));
        high = rows.at(-1)!.point;
      }
    };
    const whole = await runIn('l', localPool(evaluate), { search: learning });
    const first = seen.splice(0);
    truncateSync(join(home, 'l/results.jsonl'), 300);
    expect((await runIn('l', await workerPool(WORKER, {}, 2), { search: learning })).bytes).toBe(whole.bytes);
    expect(seen).toEqual(first);
    expect(first.length).toBeGreaterThan(2);
  });

  test('does not hide a worker that breaks', async () => {
    await expect(
      runIn(
        'x',
        localPool(() => Promise.reject(new Error('broken'))),
      ),
    ).rejects.toThrow('broken');
    expect(readdirSync(join(home, 'x'))).not.toContain('.lock');
  });
});

describe('a run folder refuses', () => {
  test('another space, build, version or search, and says which', async () => {
    await runIn('a', localPool(evaluate));
    const changes: [Partial<Manifest>, RegExp][] = [
      [{ inputs: 'j' }, /the design space, or a machine or model file it names changed/],
      [{ build: 'c' }, /the build of tilewright changed/],
      [{ tilewright: '1' }, /the version of tilewright changed/],
      [{ search: { name: 'grid', seed: 1, points: POINTS } }, /the search, its seed or its number of points changed/],
    ];
    for (const [change, message] of changes) {
      expect(() => RunFolder.open(join(home, 'a'), { ...manifest, ...change })).toThrow(InputError);
      expect(() => RunFolder.open(join(home, 'a'), { ...manifest, ...change })).toThrow(message);
    }
    const fresh = RunFolder.open(join(home, 'a'), { ...manifest, inputs: 'j' }, true);
    expect(fresh.rows).toEqual([]);
    fresh.close();
  });

  test('rows of other points, lines that are no rows, results without a manifest', async () => {
    await runIn('a', localPool(evaluate));
    const results = join(home, 'a/results.jsonl');
    const lines = readFileSync(results, 'utf8').split('\n');
    writeFileSync(results, `${lines.slice(5).join('\n')}`);
    await expect(runIn('a', localPool(evaluate))).rejects.toThrow(/row 1 is of point 5, expected 0/);
    writeFileSync(results, `${lines[0]}\n{"half\n${lines[1]}\n`);
    await expect(runIn('a', localPool(evaluate))).rejects.toThrow(/results\.jsonl:2: is not a row/);
    rmSync(join(home, 'a/manifest.json'));
    await expect(runIn('a', localPool(evaluate))).rejects.toThrow(/has results but no manifest/);
  });

  test('two runs at once, but takes over from one that died', () => {
    const path = join(home, 'a');
    RunFolder.open(path, manifest).close();
    writeFileSync(join(path, '.lock'), '1');
    expect(() => RunFolder.open(path, manifest)).toThrow(/is in use by process 1/);
    // beyond the largest process id there can be
    writeFileSync(join(path, '.lock'), '99999999');
    RunFolder.open(path, manifest).close();
  });

  test('a folder that cannot be', () => {
    writeFileSync(join(home, 'file'), '');
    expect(() => RunFolder.open(join(home, 'file'), manifest)).toThrow(InputError);
  });
});

test('the summary counts and the CSV has a line a row', async () => {
  const { rows } = await runIn('a', localPool(evaluate));
  const summary = summarise(space, { name: 'grid', seed: 0 }, rows);
  expect(summary).toMatchObject({ points: POINTS, of: POINTS, ok: 83, excluded: 0, failed: 20 });
  expect(summary.front.map((row) => row.point)).toEqual([0]);
  expect(summary.reasons).toEqual([{ status: 'failed', reason: 'nothing fits', points: 20 }]);
  const csv = csvOf(space, rows).split('\r\n');
  expect(csv).toHaveLength(POINTS + 2);
  expect(csv[0]).toMatch(/^point,status,x,time,time_s,.*,on_front,reason$/);
  expect(csv[4]).toMatch(/^3,failed,,,.*,nothing fits$/);
});
