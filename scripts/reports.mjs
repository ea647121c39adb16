/**
 * `npm run reports`: regenerates the committed example reports and, where ../shared/measured is present, the accuracy
 * table of the README. `--no-accuracy` leaves the table alone.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureBuilt, ROOT } from './build.mjs';

const CLI = join(ROOT, 'dist', 'cli', 'main.js');
const MEASURED = join(ROOT, '..', 'shared', 'measured');
const EXAMPLE = ['-m', 'h100-sxm', '-w', 'llama-2-7b:decode,batch=8,context=2048'];
const STEM = join('reports', 'llama-2-7b-decode-h100');
const GPUS = [
  ['a100-sxm-80gb', 'a100_sxm'],
  ['h100-sxm', 'h100_sxm'],
  ['l40s', 'l40s'],
  ['b200-sxm', 'b200_sxm'],
];
const TABLES = ['gemm', 'context_attention', 'generation_attention'];
const FP32 = [
  ['v100-pcie-32gb', 'v100_pcie'],
  ['t4', 't4'],
  ['a100-pcie-40gb', 'a100_pcie_40gb'],
];
const FP32_TABLES = ['linear', 'bmm', 'softmax', 'ln', 'elem'];

const run = (...args) =>
  execFileSync(process.execPath, [CLI, ...args], { cwd: ROOT, encoding: 'utf8', maxBuffer: 2 ** 28 });
const percent = (x) => `${(x * 100).toFixed(1)} %`;

function validate(machine, file, ...more) {
  return JSON.parse(run('validate', '--json', '--quiet', '-m', machine, '--measured', join(MEASURED, file), ...more));
}

function accuracyTable() {
  const lines = ['| GPU | what | rows | mean error | median | baseline |', '|---|---|---|---|---|---|'];
  const add = (machine, report) => {
    for (const [group, e] of Object.entries(report.by_group)) {
      const baseline = Object.values(e.baselines).at(-1).mape;
      lines.push(
        `| ${machine} | ${group} | ${e.n} | ${percent(e.mape)} | ${percent(e.median_ape)} | ${percent(baseline)} |`,
      );
    }
  };
  for (const [machine, stem] of GPUS)
    for (const table of TABLES) add(machine, validate(machine, `${stem}.${table}.csv`));
  for (const [machine, device] of FP32)
    for (const table of FP32_TABLES) add(machine, validate(machine, `fp32.${table}.csv`, '--device', device));
  return lines.join('\n');
}

await ensureBuilt();
for (const ending of ['md', 'png']) run('report', ...EXAMPLE, '--quiet', '-o', `${STEM}.${ending}`);
console.log(`wrote ${STEM}.md and .png`);
if (!process.argv.includes('--no-accuracy')) {
  if (!existsSync(MEASURED)) console.log('accuracy table left as it is: ../shared/measured is absent');
  else {
    const readme = join(ROOT, 'README.md');
    const text = readFileSync(readme, 'utf8');
    writeFileSync(
      readme,
      text.replace(/(<!-- accuracy -->\n)[\s\S]*?(<!-- \/accuracy -->)/, (_, a, b) => `${a}${accuracyTable()}\n${b}`),
    );
    console.log('wrote the accuracy table of README.md');
  }
}
