/**
 * Speed and agreement, as a table or as JSON: `npm run bench -- [--json] [--only steady,event,…] [--tiles n]`.
 *
 *   bench/*.ts ─esbuild─► .cache/bench/main.js ─► figures ─► table
 */
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { ensureBuilt } from '../scripts/build.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const PARTS = ['steady', 'event', 'memory', 'nest', 'mapping', 'cli', 'sweep', 'agreement'];

const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    only: { type: 'string' },
    tiles: { type: 'string', default: '2' },
  },
});
const parts = values.only ? values.only.split(',') : PARTS;
const unknown = parts.find((p) => !PARTS.includes(p));
const tiles = Number(values.tiles);
if (unknown !== undefined || !(tiles >= 1)) {
  console.error(
    unknown !== undefined ? `no part '${unknown}'; there are ${PARTS.join(', ')}` : '--tiles takes a count',
  );
  process.exit(2);
}

process.chdir(ROOT);
await ensureBuilt();
// two levels below the root, where the command line's code looks for the package's files
const outfile = join(ROOT, '.cache', 'bench', 'main.js');
await build({
  entryPoints: [join(ROOT, 'bench', 'main.ts')],
  outfile,
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  logLevel: 'error',
});
const { bench } = await import(pathToFileURL(outfile).href);
const figures = await bench(new Set(parts), tiles);

if (values.json) console.log(JSON.stringify(figures, null, 2));
else {
  const number = (x) =>
    x >= 1e5
      ? Math.round(x).toLocaleString('en')
      : Number(x.toPrecision(3)).toLocaleString('en', { maximumFractionDigits: 4 });
  const width = Math.max(...figures.map((f) => f.name.length));
  for (const f of figures) {
    const aim =
      f.least !== undefined ? `at least ${number(f.least)}` : f.most !== undefined ? `at most ${number(f.most)}` : '';
    const met = aim === '' ? '' : (f.least !== undefined ? f.value >= f.least : f.value <= f.most) ? 'met' : 'missed';
    console.log(
      `${f.name.padEnd(width)}  ${number(f.value).padStart(11)} ${f.unit.padEnd(13)}  ${aim.padEnd(18)} ${met}`.trimEnd(),
    );
  }
}
