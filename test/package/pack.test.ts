/** The package as users get it: packed, installed elsewhere, run. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureBuilt, ROOT } from '../../scripts/build.mjs';

const exec = promisify(execFile);
const run = (command: string, args: readonly string[], cwd: string) =>
  exec(command, [...args], { cwd, maxBuffer: 1 << 26, env: { ...process.env, NO_COLOR: '1' } });

let home: string;
beforeAll(async () => {
  await ensureBuilt();
  home = mkdtempSync(join(tmpdir(), 'tilewright-pack-'));
}, 120_000);
afterAll(() => rmSync(home, { recursive: true, force: true }));

test('npx tilewright works in the checkout', async () => {
  const { stdout } = await run('npx', ['tilewright', '--help'], ROOT);
  expect(stdout).toContain('Usage: tilewright');
}, 60_000);

test('the packed tarball installs elsewhere and works there', async () => {
  const pack = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', home], ROOT);
  const [packed] = JSON.parse(pack.stdout) as { filename: string; files: { path: string }[] }[];
  const paths = packed!.files.map((f) => f.path);
  expect(paths).toContain('dist/cli/main.js');
  expect(paths).toContain('LICENSE');
  expect(paths).toContain('arch/gpu/h100-sxm.json');
  expect(paths.filter((p) => /^(test|src|node_modules|reports)\//.test(p))).toEqual([]);

  writeFileSync(join(home, 'package.json'), '{"private": true}');
  const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--omit=optional'];
  await run('npm', ['install', ...flags, join(home, packed!.filename)], home);
  expect((await run('npx', ['tilewright', '--help'], home)).stdout).toContain('Usage: tilewright');
  const args = ['tilewright', 'simulate', '-m', 'a100-sxm-80gb', '-w', 'gpt-2:decode,batch=1,context=64', '--json'];
  const simulated = JSON.parse((await run('npx', args, home)).stdout) as { time_s: number };
  expect(simulated.time_s).toBeGreaterThan(0);
  const library = "import { kernelByName } from 'tilewright'; console.log(kernelByName('gemm').op)";
  expect((await run('node', ['--input-type=module', '-e', library], home)).stdout).toBe('matmul\n');
}, 300_000);
