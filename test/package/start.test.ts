/** The main job as the README starts it. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureBuilt, ROOT } from '../../scripts/build.mjs';

const folder = mkdtempSync(join(tmpdir(), 'tilewright-start-'));
beforeAll(() => ensureBuilt(), 300_000);
afterAll(() => rmSync(folder, { recursive: true }));

test('npm start replays, sweeps and writes its page', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, 'scripts', 'start.js'), '--out', folder], {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: '1' },
  });
  expect(stdout).toMatch(/h100-sxm +llama-2-7b:decode,batch=64/);
  expect(stdout).toMatch(/144 points, \d+ excluded, 0 failed/);
  expect(readFileSync(join(folder, 'index.html'), 'utf8')).toContain('tilewright-report');
}, 300_000);
