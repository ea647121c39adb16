/**
 * `npm run accuracy`: predictions beside the tables of ../shared/measured, on rows that no constant was fitted to:
 * reports/accuracy.html, .md and .png, and the table of the README. Each calibrated GPU is also predicted from its
 * datasheet alone (intervals from the other GPUs), and L40S and B200 with what the A100's and the H100's calibrations
 * agree on.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureBuilt, ROOT } from './build.mjs';
import { CALIBRATED, present, SEED, tablesOf, UNCALIBRATED } from './measured.mjs';

await ensureBuilt();
if (!present) {
  console.log('accuracy left as it is: ../shared/measured is absent');
  process.exit(0);
}
const { predictSamples, samplesOf, stratumOf } = await import('../dist/validate/calibrate/samples.js');
const { splitRows } = await import('../dist/validate/calibrate/split.js');
const { residualsOf } = await import('../dist/validate/calibrate/describe.js');
const { transferred } = await import('../dist/validate/calibrate/transfer.js');
const { withInterval } = await import('../dist/validate/measured.js');
const { accuracyOf } = await import('../dist/validate/accuracy.js');
const { ASSUMED_SPREAD, unmeasuredOf } = await import('../dist/validate/spread.js');
const { accuracyMarkdown, renderAccuracy } = await import('../dist/report/index.js');
const { openMachine } = await import('../dist/cli/files.js');
const { VERSION } = await import('../dist/cli/version.js');

const TEACHERS = ['a100-sxm-80gb', 'h100-sxm'];
const partsOf = (entry) => splitRows(samplesOf(tablesOf(entry)).samples, stratumOf, SEED, 1000);
const predict = (samples, machine) =>
  predictSamples(samples, machine.graph).map((r) => withInterval(r, machine.uncertainty ?? ASSUMED_SPREAD));

const gpus = [];
for (const entry of [...CALIBRATED, ...UNCALIBRATED]) {
  const { gpu } = entry;
  const calibrated = CALIBRATED.includes(entry);
  const { spread, test } = partsOf(entry);
  const own = await openMachine(gpu);
  const bare = calibrated ? await openMachine(`${gpu}-datasheet`) : own;
  const rows = calibrated ? test : [...spread, ...test];
  gpus.push({
    gpu,
    calibrated,
    same_chip: entry.same_chip,
    own,
    bare,
    rows,
    predicted: calibrated ? predict(rows, own) : [],
    datasheet: predictSamples(rows, bare.graph),
    seen: predictSamples(spread, bare.graph),
  });
  console.log(`${gpu}: ${rows.length} rows`);
}
const sets = [];
const taught = gpus.filter((g) => TEACHERS.includes(g.gpu)).map((g) => ({ before: g.bare, after: g.own }));
for (const g of gpus) {
  const others = gpus.filter((o) => o.gpu !== g.gpu);
  const spread = unmeasuredOf(others.map((o) => residualsOf(o.seen)));
  const how = {
    gpu: g.gpu,
    machine: g.bare.name,
    how: g.same_chip ? 'same chip' : 'datasheet',
    rows: g.datasheet.map((r) => withInterval(r, spread)),
  };
  if (g.calibrated) sets.push({ gpu: g.gpu, machine: g.own.name, how: 'calibrated', rows: g.predicted });
  if (g.calibrated && !TEACHERS.includes(g.gpu)) {
    const machine = await openMachine(g.bare.name, transferred(taught, g.bare));
    const rows = predictSamples(g.rows, machine.graph).map((r) => withInterval(r, spread));
    sets.push({
      gpu: g.gpu,
      machine: `${g.bare.name} with factors of ${TEACHERS.join(' and ')}`,
      how: 'transferred',
      rows,
    });
  }
  sets.push(how);
}
const report = accuracyOf(sets, new Date().toISOString().slice(0, 10));
const page = { title: 'How right Tilewright is about real GPUs', version: VERSION, command: 'npm run accuracy' };
for (const format of ['html', 'md', 'png']) {
  const file = join('reports', `accuracy.${format}`);
  writeFileSync(join(ROOT, file), await renderAccuracy(report, page, format));
  console.log(`wrote ${file}`);
}
const readme = join(ROOT, 'README.md');
const text = readFileSync(readme, 'utf8');
writeFileSync(
  readme,
  text.replace(
    /(<!-- accuracy -->\n)[\s\S]*?(<!-- \/accuracy -->)/,
    (_, a, b) => `${a}${accuracyMarkdown(report)}\n${b}`,
  ),
);
console.log('wrote the accuracy table of README.md');
