/** The committed example report is what today's code makes. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..');

test('reports/llama-2-7b-decode-h100.md is not stale (npm run reports makes it)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tilewright-report-'));
  try {
    const out = join(folder, 'report.md');
    const args = ['report', '-m', 'h100-sxm', '-w', 'llama-2-7b:decode,batch=8,context=2048', '--quiet', '-o', out];
    execFileSync(process.execPath, [join(ROOT, 'dist', 'cli', 'main.js'), ...args], { cwd: ROOT });
    const withoutCommand = (text: string) => text.replace(/^.*npx tilewright.*$|^.*-o .*$/gm, '');
    expect(withoutCommand(readFileSync(out, 'utf8'))).toBe(
      withoutCommand(readFileSync(join(ROOT, 'reports', 'llama-2-7b-decode-h100.md'), 'utf8')),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);
