/** `tilewright calibrate --measured` on a table made here. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { built, run } from './spawn.js';

let home: string;
beforeAll(async () => {
  await built();
  home = mkdtempSync(join(tmpdir(), 'tilewright-calibrate-'));
  // made-up times: 5 µs and 100 TFLOP/s
  const sizes = [64, 128, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192];
  const rows = sizes.flatMap((m) => sizes.map((n) => `bfloat16,${m},${n},512,${5e-3 + (2 * m * n * 512) / 1e11}`));
  writeFileSync(join(home, 'times.csv'), `gemm_dtype,m,n,k,latency_ms\n${rows.join('\n')}\n`);
}, 120_000);
afterAll(() => rmSync(home, { recursive: true, force: true }));

const SECONDS = 120_000;

test(
  'writes a machine that every command takes, with the spread of its errors',
  async () => {
    const made = await run(
      [
        'calibrate',
        '--measured',
        'times.csv',
        '-m',
        'a100-sxm-80gb',
        '--rows',
        '40',
        '--json',
        '-q',
        '-o',
        'mine.json',
      ],
      { cwd: home },
    );
    expect(made).toMatchObject({ code: 0, stderr: '' });
    const report = JSON.parse(made.stdout);
    expect(report.rows).toEqual({ fit: 40, spread: 42, test: 42, skipped: 0 });
    expect(report.constants.length).toBeGreaterThan(5);
    for (const c of report.constants) expect(c.posterior_sd).toBeLessThanOrEqual(c.prior_sd * (1 + 1e-9));
    const file = JSON.parse(readFileSync(join(home, 'mine.json'), 'utf8'));
    expect(file).toMatchObject({ extends: 'a100-sxm-80gb', name: 'a100-sxm-80gb-calibrated' });
    expect(file.launch.start.from).toBe('calibrated');

    const checked = await run(['validate', '--measured', 'times.csv', '-m', './mine.json', '--json', '-q'], {
      cwd: home,
    });
    expect(checked.code).toBe(0);
    const { inside, machine } = JSON.parse(checked.stdout);
    expect(machine).toBe('a100-sxm-80gb-calibrated');
    expect(inside).toBeGreaterThan(0.8);
  },
  SECONDS,
);

test(
  'prints and writes the same whatever the number of workers',
  async () => {
    const [one, three] = await Promise.all(
      ['1', '3'].map(async (jobs) => {
        const out = `jobs-${jobs}.json`;
        const args = ['--measured', 'times.csv', '-m', 'a100-sxm-80gb', '--rows', '30', '--jobs', jobs, '--json', '-q'];
        const ran = await run(['calibrate', ...args, '-o', out], { cwd: home });
        expect(ran).toMatchObject({ code: 0, stderr: '' });
        return { stdout: ran.stdout, written: readFileSync(join(home, out), 'utf8') };
      }),
    );
    expect(three).toEqual(one);
  },
  SECONDS,
);

test.each<[string, string[], RegExp]>([
  ['no machine', ['--measured', 'times.csv'], /needs -m/],
  ['a machine without a table', ['-m', 'a100-sxm-80gb'], /-m needs --measured/],
  ['a table that is not there', ['--measured', 'none.csv', '-m', 'a100-sxm-80gb'], /none\.csv/],
  ['a family without constants', ['--measured', 'times.csv', '-m', 'lavapipe-sapphire-rapids'], /family 'cpu'/],
  ['a device that no row names', ['--measured', 'fp32.csv', '--device', 'x', '-m', 't4'], /no row/],
  ['a name that is none', ['--measured', 'times.csv', '-m', 't4', '--name', 'A B'], /--name/],
])(
  '%s is bad input',
  async (_, args, message) => {
    writeFileSync(join(home, 'fp32.csv'), 'device,op,B,H,latency_ms\nt4,softmax,8,8,1\n');
    const ran = await run(['calibrate', ...args, '-o', 'never.json'], { cwd: home });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toMatch(message);
    expect(existsSync(join(home, 'never.json'))).toBe(false);
  },
  SECONDS,
);
