/** Builds dist/; with --if-stale (and for scripts and tests) only when it is missing or older than what it is made from. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const ROOT = resolve(fileURLToPath(new URL('..', import.meta.url)));
const MAIN = join(ROOT, 'dist', 'cli', 'main.js');

function isStale() {
  if (!existsSync(MAIN)) return true;
  const built = new Map();
  const files = (folder) => readdirSync(join(ROOT, folder), { recursive: true }).map((f) => join(folder, String(f)));
  const age = (file) => built.get(file) ?? statSync(join(ROOT, file)).mtimeMs;
  const config = Math.max(age('tsconfig.json'), age('tsconfig.build.json'));
  return files('src').some((source) => {
    if (!source.endsWith('.ts') || source.endsWith('.d.ts')) return false;
    const target = source.replace(/^src/, 'dist').replace(/\.ts$/, '.js');
    return !existsSync(join(ROOT, target)) || age(target) < Math.max(age(source), config);
  });
}

/** Throws when the build fails. Only one build runs at a time. */
export async function ensureBuilt({ always = false } = {}) {
  const lock = join(ROOT, 'node_modules', '.tilewright-build');
  for (let waited = 0; ; waited += 100) {
    try {
      mkdirSync(lock);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      // a lock of a build that was killed
      if (waited > 120_000 || Date.now() - statSync(lock, { throwIfNoEntry: false })?.mtimeMs > 300_000) {
        rmdirSync(lock);
        continue;
      }
      await setTimeout(100);
    }
  }
  try {
    if (always || isStale()) build();
  } finally {
    rmdirSync(lock);
  }
}

function build() {
  process.stderr.write('building dist/\n');
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
    cwd: ROOT,
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) throw new Error(`the build failed (exit code ${status})`);
  // links to it, as npx makes them, run it
  chmodSync(MAIN, 0o755);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await ensureBuilt({ always: !process.argv.includes('--if-stale') });
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
