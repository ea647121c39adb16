/**
 * `npm test`: builds, makes sure of a WebGPU device, runs vitest (arguments are passed through), and says plainly what
 * was skipped. The last line is `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { ensureBuilt, ROOT } from './build.mjs';

const MOST_SHOWN = 50;

async function main() {
  await ensureBuilt();
  if (existsSync(join(ROOT, 'scripts', 'setup-vulkan.mjs'))) {
    const { ensureVulkan } = await import('./setup-vulkan.mjs');
    const { ok, message } = await ensureVulkan();
    console.log(ok ? message : `without WebGPU: ${message}`);
  }
  const folder = mkdtempSync(join(tmpdir(), 'tilewright-test-'));
  const output = join(folder, 'results.json');
  try {
    const { status, signal } = spawnSync(
      process.execPath,
      [
        join(ROOT, 'node_modules', 'vitest', 'vitest.mjs'),
        'run',
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${output}`,
        ...process.argv.slice(2),
      ],
      { cwd: ROOT, stdio: 'inherit' },
    );
    const summary = existsSync(output) ? summarise(JSON.parse(readFileSync(output, 'utf8'))) : undefined;
    if (!summary) {
      console.log(`vitest wrote no results (${signal ?? `exit code ${status}`})\n0 passed, 1 failed`);
      return 1;
    }
    saySkipped(summary.skipped);
    // an error outside any test fails the run too
    const failed = summary.failed === 0 && status !== 0 ? 1 : summary.failed;
    console.log(`${summary.passed} passed, ${failed} failed`);
    return failed === 0 && summary.passed > 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Counts tests; a file that could not be run counts as a failed one. */
function summarise({ testResults }) {
  const tests = testResults.flatMap((file) => file.assertionResults.map((test) => ({ ...test, file: file.name })));
  const broken = testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  );
  const count = (status) => tests.filter((test) => test.status === status).length;
  return {
    passed: count('passed'),
    failed: count('failed') + broken.length,
    skipped: tests.filter((test) => ['pending', 'skipped', 'todo', 'disabled'].includes(test.status)),
  };
}

function saySkipped(skipped) {
  console.log(skipped.length === 0 ? '\nNothing was skipped.' : `\n${skipped.length} skipped:`);
  for (const test of skipped.slice(0, MOST_SHOWN)) console.log(`  ${relative(ROOT, test.file)}: ${test.fullName}`);
  if (skipped.length > MOST_SHOWN) console.log(`  … and ${skipped.length - MOST_SHOWN} more`);
}

try {
  process.exitCode = await main();
} catch (error) {
  console.log(`${error.message}\n0 passed, 1 failed`);
  process.exitCode = 1;
}
