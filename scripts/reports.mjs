/** `npm run reports`: regenerates the committed example reports, and with `npm run accuracy` the accuracy page. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { ensureBuilt, ROOT } from './build.mjs';

const CLI = join(ROOT, 'dist', 'cli', 'main.js');
const EXAMPLE = ['-m', 'h100-sxm', '-w', 'llama-2-7b:decode,batch=8,context=2048'];
const STEM = join('reports', 'llama-2-7b-decode-h100');

await ensureBuilt();
for (const ending of ['md', 'png'])
  execFileSync(process.execPath, [CLI, 'report', ...EXAMPLE, '--quiet', '-o', `${STEM}.${ending}`], { cwd: ROOT });
console.log(`wrote ${STEM}.md and .png`);
if (!process.argv.includes('--no-accuracy')) await import('./accuracy.mjs');
