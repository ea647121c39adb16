/**
 * `npm run calibrate`: from the tables of ../shared/measured, the calibrated machines (arch/gpu/NAME.json) and the spread
 * of predictions for GPUs that nobody has measured (arch/components/gpu-uncertainty.json).
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureBuilt, ROOT } from './build.mjs';
import { CALIBRATED, MEASURED, present, SEED, tablesOf, UNCALIBRATED } from './measured.mjs';

await ensureBuilt();
if (!present) {
  console.error('../shared/measured is absent: nothing to calibrate from');
  process.exit(2);
}
const { predictSamples, samplesOf, stratumOf } = await import('../dist/validate/calibrate/samples.js');
const { splitRows } = await import('../dist/validate/calibrate/split.js');
const { residualsOf } = await import('../dist/validate/calibrate/describe.js');
const { unmeasuredOf } = await import('../dist/validate/spread.js');
const { openMachine } = await import('../dist/cli/files.js');

const only = process.argv.slice(2).filter((a) => !a.startsWith('-'));
const CLI = join(ROOT, 'dist', 'cli', 'main.js');
for (const { gpu, files } of CALIBRATED) {
  if (only.length > 0 && !only.includes(gpu)) continue;
  const tables = files.map((f) => join(MEASURED, f));
  const out = join('arch', 'gpu', `${gpu}.json`);
  const args = ['-m', `${gpu}-datasheet`, '--name', gpu, '--seed', String(SEED), '-o', out];
  execFileSync(process.execPath, [CLI, 'calibrate', '--measured', ...tables, ...args], { cwd: ROOT, stdio: 'inherit' });
}

// every GPU as if it had not been measured
const residuals = [];
const seen = [];
for (const { gpu, ...rest } of [...CALIBRATED.map((c) => ({ ...c, datasheet: true })), ...UNCALIBRATED]) {
  const { graph } = await openMachine(rest.datasheet ? `${gpu}-datasheet` : gpu);
  const { samples } = samplesOf(tablesOf(rest));
  const rows = predictSamples(splitRows(samples, stratumOf, SEED, 0).spread, graph);
  residuals.push(residualsOf(rows));
  seen.push(gpu);
}
const spread = Object.entries(unmeasuredOf(residuals)).map(([name, { lo, hi, n }]) => [
  name,
  { lo: Number(lo.toPrecision(4)), hi: Number(hi.toPrecision(4)), rows: n },
]);
const text = {
  $from: 'calibrated',
  $source: `measured ÷ predicted of ${residuals.flat().length} rows on ${seen.join(', ')}, each predicted as if it had not been measured: where nine in ten rows of one more GPU should lie, from the spread between these GPUs and that among the rows of each`,
  ...Object.fromEntries(spread),
};
const file = join('arch', 'components', 'gpu-uncertainty.json');
writeFileSync(join(ROOT, file), `${JSON.stringify(text, null, 2)}\n`);
console.log(`wrote ${file}`);
