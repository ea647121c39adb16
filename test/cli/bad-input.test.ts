/** Bad input: one clear message, exit code 2 or 3, nothing on stdout, nothing half-written. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { built, run } from './spawn.js';

let home: string;
const file = (name: string, text: string): string => {
  writeFileSync(join(home, name), text);
  return join(home, name);
};

beforeAll(async () => {
  await built();
  home = mkdtempSync(join(tmpdir(), 'tilewright-bad-'));
}, 120_000);
afterAll(() => rmSync(home, { recursive: true, force: true }));

const DECODE = ['-w', 'gpt-2:decode,batch=1,context=128'];
const H100 = ['-m', 'h100-sxm'];

describe('is refused in one message', () => {
  test.concurrent.each<[string, () => string[], number, RegExp]>([
    ['no command', () => [], 2, /Usage: tilewright/],
    [
      'text under the name of a picture',
      () => ['list', '-o', join(home, 'list.png')],
      2,
      /list\.png: nothing is drawn here that '\.png' could hold; expected a file for text or JSON/,
    ],
    [
      'a picture of an array',
      () => ['array', '-o', join(home, 'array.svg')],
      2,
      /array\.svg: .*expected a file for text, JSON or a page/,
    ],
    [
      'ops under the name of a page',
      () => ['trace', 'write', DECODE[1]!, '-o', join(home, 'ops.html')],
      2,
      /ops\.html: .*expected a file for JSON Lines/,
    ],
    [
      'a format that no report has',
      () => ['kernel', 'gemm', '--shape', 'm=64,n=64,k=64', ...H100, '-o', join(home, 'k.pdf')],
      2,
      /k\.pdf: .*'\.pdf'.*a report \(\.html, \.md, \.svg, \.png\)/,
    ],
    [
      'bounds of no kernel on a machine',
      () => ['bounds', 'sparse_gemm', ...H100],
      2,
      /sparse_gemm: .*give --capacity instead of -m/,
    ],
    ['unknown command', () => ['simulat'], 2, /unknown command 'simulat'[\s\S]*Did you mean simulate/],
    [
      'unknown option',
      () => ['simulate', ...H100, ...DECODE, '--objectiv', 'x'],
      2,
      /unknown option '--objectiv'[\s\S]*Did you mean --objective/,
    ],
    ['missing option', () => ['simulate', ...DECODE], 2, /required option '-m, --machine <name>' not specified/],
    ['no workload', () => ['simulate', ...H100], 2, /expected -w WORKLOAD or --trace FILE/],
    [
      'bad choice',
      () => ['simulate', ...H100, ...DECODE, '--fidelity', 'exact'],
      2,
      /Allowed choices are bound, steady, event/,
    ],
    ['bad number', () => ['sweep', 'x', '--jobs', '0'], 2, /Expected a whole number from 1 to 256/],
    [
      'unknown machine',
      () => ['simulate', '-m', 'h100-sxn', ...DECODE],
      2,
      /unknown machine 'h100-sxn'; did you mean 'h100-sxm'/,
    ],
    [
      'unknown workload',
      () => ['simulate', ...H100, '-w', 'llama-2-7'],
      2,
      /unknown workload 'llama-2-7'; did you mean 'llama-2-7b'/,
    ],
    [
      'unknown phase',
      () => ['simulate', ...H100, '-w', 'gpt-2:decod'],
      2,
      /unknown phase 'decod'; did you mean 'decode'/,
    ],
    [
      'unknown key',
      () => ['simulate', ...H100, '-w', 'gpt-2:decode,bach=2'],
      2,
      /unknown key 'bach'; did you mean 'batch'/,
    ],
    [
      'unknown field',
      () => ['simulate', ...H100, ...DECODE, '--set', 'dram.bandwith=1 TB/s'],
      2,
      /unknown field 'dram\.bandwith'; did you mean 'dram\.bandwidth'/,
    ],
    [
      'unknown workload field',
      () => ['simulate', ...H100, ...DECODE, '--set', 'workload.layrs=3'],
      2,
      /unknown key 'layrs'; did you mean 'layers'/,
    ],
    ['wrong unit', () => ['simulate', ...H100, ...DECODE, '--set', 'l2.capacity=40 MHz'], 2, /'40 MHz' is a frequency/],
    ['zero', () => ['simulate', ...H100, ...DECODE, '--set', 'dram.bandwidth=0'], 2, /dram\.bandwidth/],
    ['negative', () => ['simulate', ...H100, ...DECODE, '--set', 'sm.count=-4'], 2, /sm\.count/],
    ['not finite', () => ['simulate', ...H100, ...DECODE, '--set', 'dram.bandwidth=1e999'], 2, /too large/],
    ['circular formula', () => ['simulate', ...H100, ...DECODE, '--set', 'l2.capacity==l2.capacity+1'], 2, /circular/],
    ['set without value', () => ['simulate', ...H100, ...DECODE, '--set', 'l2.capacity'], 2, /expected path=value/],
    [
      'missing machine file',
      () => ['simulate', '-m', './none.json', ...DECODE],
      2,
      /none\.json: cannot read: no such file/,
    ],
    [
      'broken machine file',
      () => ['simulate', '-m', file('broken.json', '{"family": "gpu",'), ...DECODE],
      2,
      /broken\.json:1:/,
    ],
    ['empty machine file', () => ['simulate', '-m', file('empty.json', ''), ...DECODE], 2, /the file is empty/],
    ['folder as machine', () => ['simulate', '-m', `${home}/`, ...DECODE], 2, /is a folder/],
    [
      'unknown family',
      () => ['simulate', '-m', file('family.json', '{"family": "gpus"}'), ...DECODE],
      2,
      /unknown family 'gpus'; did you mean 'gpu'/,
    ],
    [
      'truncated trace',
      () => ['simulate', ...H100, '--trace', file('cut.jsonl', '{"tilewright":"trace","version":1,"name":"x"')],
      2,
      /cut\.jsonl:1/,
    ],
    ['empty trace', () => ['simulate', ...H100, '--trace', file('no.jsonl', '')], 2, /empty/],
    [
      'model that does not fit, strictly',
      () => ['simulate', '-m', 't4', '-w', 'llama-2-70b:decode,batch=1,context=128', '--strict'],
      3,
      /needs .* GiB on each device/,
    ],
    [
      'unknown kernel',
      () => ['kernel', 'gem', ...H100, '--shape', 'm=1,n=1,k=1'],
      2,
      /unknown kernel 'gem'; did you mean 'gemm'/,
    ],
    ['missing dimension', () => ['kernel', 'gemm', ...H100, '--shape', 'm=64,n=64'], 2, /k/],
    ['bad dimension', () => ['kernel', 'gemm', ...H100, '--shape', 'm=64,n=64,k=0'], 2, /k/],
    [
      'dimension that is no number',
      () => ['kernel', 'gemm', ...H100, '--shape', 'm=64,n=64,k=x'],
      2,
      /'k' is 'x', expected a whole number/,
    ],
    [
      'unknown dtype',
      () => ['kernel', 'gemm', ...H100, '--shape', 'm=64,n=64,k=64', '--dtype', 'bf61'],
      2,
      /unknown number format 'bf61'; did you mean 'bf16'/,
    ],
    [
      'unknown tile parameter',
      () => ['kernel', 'gemm', ...H100, '--shape', 'm=64,n=64,k=64', '--tile', 'bmm=64'],
      2,
      /'bmm'; did you mean 'bm'/,
    ],
    [
      'pin of another op',
      () => ['simulate', ...H100, ...DECODE, '--pin', 'softmax=gemm'],
      2,
      /'gemm' does not compute softmax/,
    ],
    [
      'unknown space',
      () => ['sweep', 'h100-neighborhood'],
      2,
      /unknown design space 'h100-neighborhood'; did you mean 'h100-neighbourhood'/,
    ],
    [
      'space with an unknown name',
      () => ['sweep', file('space.json', SPACE.replace('"time_s"', '"time_ms"')), '--run', join(home, 'r1')],
      2,
      /unknown name 'time_ms'; did you mean 'time_s'/,
    ],
    [
      'space whose machine is unknown',
      () => ['sweep', file('space2.json', SPACE.replace('t4', 't44')), '--run', join(home, 'r2')],
      2,
      /unknown machine 't44'/,
    ],
    [
      'search that there is not',
      () => ['explore', 'h100-neighbourhood', '--search', 'simplex'],
      2,
      /unknown search 'simplex'.*known: grid, nsga2, random/,
    ],
    ['unknown schema', () => ['schema', 'modell'], 2, /unknown schema 'modell'; did you mean 'model'/],
    ['unknown list', () => ['list', 'machine'], 2, /unknown list 'machine'; did you mean 'machines'/],
    [
      'unknown metric',
      () => ['explain', 'machine.dram.bandwith', ...H100],
      2,
      /did you mean 'machine\.dram\.bandwidth'/,
    ],
    ['metric of a replay without one', () => ['explain', 'time_s', ...H100], 2, /add -w WORKLOAD/],
    [
      "output in a file's place",
      () => ['list', 'machines', '-o', join(file('f', ''), 'x.txt')],
      2,
      /cannot write: a part of the path is not a folder|cannot write: .*/,
    ],
    ['output over a folder', () => ['list', 'machines', '-o', home], 2, /cannot write: is a folder/],
    [
      'report of unknown format',
      () => ['report', ...H100, ...DECODE, '-o', join(home, 'r.docx')],
      2,
      /known: html, md, json, svg, png/,
    ],
  ])(
    '%s',
    async (_, args, code, message) => {
      const ran = await run(args(), { cwd: home });
      expect(ran.stderr).toMatch(message);
      expect(ran.stdout).toBe('');
      expect(ran.code).toBe(code);
      expect(ran.stderr).not.toMatch(/\n\s+at /);
    },
    60_000,
  );

  test('and no temporary file is left', () => {
    expect(readdirSync(home, { recursive: true }).filter((name) => String(name).includes('.tmp'))).toEqual([]);
  });
});

const SPACE = JSON.stringify({
  name: 'small',
  base: { machine: 't4', workload: 'gpt-2:decode,batch=1,context=128' },
  axes: [{ path: 'machine.sm.count', name: 'SMs', values: [20, 40] }],
  objectives: [{ name: 'time', metric: 'time_s', goal: 'min' }],
});
