/** Runs the built command line as users do. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ensureBuilt, ROOT } from '../../scripts/build.mjs';

export const MAIN = join(ROOT, 'dist', 'cli', 'main.js');

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Options {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Called with stderr so far; may signal the process. */
  readonly watch?: (kill: (signal: NodeJS.Signals) => void) => void;
}

/** Builds when needed; call before the tests of a file. */
export const built = ensureBuilt;

export function run(args: readonly string[], { cwd = ROOT, env = {}, watch }: Options = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], { cwd, env: { ...process.env, NO_COLOR: '1', ...env } });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
    watch?.((signal) => child.kill(signal));
  });
}
