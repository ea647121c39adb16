/** `tilewright validate` on the device, as users run it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureVulkan } from '../../scripts/setup-vulkan.mjs';
import { DeviceReportSchema } from '../../src/validate/device/report.js';
import { built, run } from './spawn.js';

const { ok: hasDevice, message } = await ensureVulkan({ install: false });
if (!hasDevice && process.env['CI'] === 'true') throw new Error(message);

let home: string;
beforeAll(async () => {
  await built();
  home = mkdtempSync(join(tmpdir(), 'tilewright-validate-'));
}, 120_000);
afterAll(() => rmSync(home, { recursive: true, force: true }));

const validate = (...args: string[]) => run(['validate', '-m', 't4', ...args]);

describe.skipIf(!hasDevice)('validate on the device', { timeout: 90_000 }, () => {
  test('prints data as its schema says, of the cases that were asked for', async () => {
    const { code, stdout } = await validate('--kernels', 'elementwise', '--cases', '3', '--quick', '--json');
    expect(code).toBe(0);
    const report = JSON.parse(stdout);
    const check = new Ajv({ strict: false }).compile(DeviceReportSchema);
    expect(check(report), JSON.stringify(check.errors)).toBe(true);
    expect(report.n).toBe(3);
    expect(Object.keys(report.by_kernel)).toContain('elementwise');
    expect(report.cases.every((c: { clock: string }) => c.clock === 'timestamps')).toBe(true);
  });
  test('exits with 4 when the times are off by more than allowed, after writing the page', async () => {
    const page = join(home, 'page.html');
    const { code, stderr } = await validate('--kernels', 'gather', '--quick', '--tolerance', '0.001', '-o', page);
    expect(code).toBe(4);
    expect(stderr).toMatch(/the mean error of the times is [\d.]+ %, allowed 0\.1 %/);
    expect(readFileSync(page, 'utf8')).toContain('data-chart="agreement"');
  });
  test('runs tile variants of a shape, also in events, as a table', async () => {
    const { code, stdout } = await validate(
      ...['--kernels', 'transpose', '--shape', 'rows=64,cols=48', '--cases', '2', '--quick', '--fidelity', 'event'],
    );
    expect(code).toBe(0);
    expect(stdout).toContain('transpose rows=64 cols=48');
    expect(stdout).toContain('Kendall τ');
  });
  test('keeps what it has on Ctrl-C', async () => {
    const { code, stdout, stderr } = await run(['validate', '-m', 't4', '--kernels', 'gemm', '--json'], {
      watch: (kill) => setTimeout(() => kill('SIGINT'), 4000),
    });
    expect(stderr).toContain('interrupted: ');
    expect(code).toBe(130);
    const report = JSON.parse(stdout);
    expect(report.interrupted).toBe(true);
    expect(report.n).toBe(report.cases.length);
  });
});

describe('validate refuses in one message', () => {
  test.concurrent.each<[string, string[], RegExp]>([
    ['an unknown machine', ['validate', '-m', 'no-such'], /unknown machine 'no-such'/],
    ['a file of no known format', ['validate', '-m', 't4', '-o', 'x.pdf'], /known: html, md, json, svg, png/],
    ['a table without a machine', ['validate', '--measured', 'x.csv'], /--measured needs -m/],
    ['rows without a table', ['validate', '--rows', 'x.csv'], /--rows needs --measured/],
    ['a tolerance that is no number', ['validate', '--tolerance', 'low'], /Expected a fraction such as 0\.2/],
  ])('%s', async (_, args, expected) => {
    const { code, stdout, stderr } = await run(args);
    expect(stderr).toMatch(expected);
    expect(code).toBe(2);
    expect(stdout).toBe('');
  });
  test.skipIf(!hasDevice).concurrent.each<[string, string[], RegExp]>([
    ['a kernel that is none', ['--kernels', 'gem'], /unknown kernel 'gem'; did you mean/],
    ['a shape without a kernel', ['--shape', 'm=4'], /--shape needs --kernels/],
    ['a tile without a shape', ['--kernels', 'gemm', '--tile', 'bm=4'], /--tile needs --shape/],
    [
      'a tile that is not legal',
      ['--kernels', 'gemm', '--shape', 'm=64,n=64,k=64', '--tile', 'bm=5'],
      /bm=5 is not legal/,
    ],
  ])('%s', async (_, args, expected) => {
    const { code, stdout, stderr } = await validate(...args);
    expect(stderr).toMatch(expected);
    expect(code).toBe(2);
    expect(stdout).toBe('');
  });
});
