/**
 * `npm start`: replays Llama-2-7B on an A100 and an H100, sweeps a small design space around the H100, prints the
 * verdicts and writes a page that works offline. `--out FOLDER` puts it elsewhere than reports/out.
 */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureBuilt, ROOT } from './build.mjs';

const MACHINES = ['a100-sxm-80gb', 'h100-sxm'];
const BATCHES = [1, 8, 64];
const WORKLOADS = ['prefill', 'decode'].flatMap((phase) =>
  BATCHES.map((batch) => `llama-2-7b:${phase},batch=${batch},${phase === 'prefill' ? 'seq' : 'context'}=1024`),
);
const SPACE = 'h100-neighbourhood';

async function main() {
  const { values } = parseArgs({ options: { out: { type: 'string' }, jobs: { type: 'string' } } });
  const out = resolve(values.out ?? join(ROOT, 'reports', 'out'));
  await ensureBuilt();
  const cli = (module) => import(new URL(`../dist/cli/${module}.js`, import.meta.url).href);
  const { plainTable, bold } = await cli('style');
  const { runsOf } = await cli('runs');
  const { sweep } = await cli('space');
  const { sweepOf, sweepNotes } = await cli('sweep-report');
  const { writeOutput } = await cli('io');
  const { VERSION } = await cli('version');
  const { buildReport, renderReport, sweepTable, textTable } = await import('../dist/report/index.js');

  const options = { fidelity: 'steady', objective: 'time', launch: 'graph' };
  const runs = await runsOf(MACHINES, WORKLOADS, options);
  const swept = await sweep(SPACE, {
    search: 'grid',
    run: join(out, `sweep-${SPACE}`),
    fresh: true,
    ...(values.jobs ? { jobs: Number(values.jobs) } : {}),
  });
  const report = buildReport({
    runs,
    sweep: sweepOf(swept.space, swept.rows),
    title: 'Llama-2-7B on A100 and H100, and the designs around the H100',
    command: 'npm start',
    version: VERSION,
    notes: sweepNotes(swept.space),
  });

  console.log(`${bold('Verdicts')}\n${verdicts(report.runs, runs, plainTable)}\n`);
  const { summary, space } = swept;
  console.log(
    `${bold(`Designs around the H100 (${space.name})`)}\n${summary.points} points, ${summary.excluded} excluded, ${summary.failed} failed; the Pareto front has ${summary.front.length}:`,
  );
  console.log(textTable(sweepTable(sweepOf(space, swept.rows, 'front'))));
  const page = join(out, 'index.html');
  writeOutput(page, await renderReport(report, 'html'));
  console.log(`\nReport: ${page}`);
}

function verdicts(shown, runs, plainTable) {
  const cell = (value, digits) => ({ text: value.toFixed(digits), value });
  return plainTable(
    ['Machine', 'Workload', 'Time, ms', 'Tokens/s', 'mJ/token', 'Power, W', 'Of roof, %', 'Verdict'],
    runs.map(({ simulation: s }, i) => [
      s.machine,
      s.workload,
      cell(s.time_s * 1e3, 2),
      cell(s.produces.per_s, 0),
      cell(s.produces.energy_J_each * 1e3, 1),
      cell(s.power_W, 0),
      cell(s.roof_fraction * 100, 1),
      shown[i].verdict.headline,
    ]),
  );
}

try {
  await main();
} catch (error) {
  console.error(`npm start: ${process.env.TILEWRIGHT_DEBUG === '1' ? error.stack : error.message}`);
  process.exitCode = error.exitCode ?? 1;
}
