/** Machines of arrays from the command line: JSON, pages, explanations, number formats. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { built, run } from './spawn.js';

// each test starts a process or two
vi.setConfig({ testTimeout: 60_000 });

let home: string;
beforeAll(async () => {
  await built();
  home = mkdtempSync(join(tmpdir(), 'tilewright-spatial-'));
}, 120_000);
afterAll(() => rmSync(home, { recursive: true, force: true }));

const SHAPE = ['--shape', 'batch=2,heads=2,q_len=1024,head_dim=64', '--dtype', 'fp16'];
const ATTENTION = ['attention_one_pass', '-m', 'fusemax', ...SHAPE];

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const ran = await run([...args, '--json']);
  expect(ran.stderr).toBe('');
  return JSON.parse(ran.stdout);
}

test('the JSON of a kernel on arrays is what its schema says, and --emit epoch tells the same', async () => {
  const value = await json('kernel', ...ATTENTION);
  const validate = new Ajv({ strict: false }).compile(await json('schema', 'kernel'));
  expect(validate(value), JSON.stringify(validate.errors)).toBe(true);
  expect(value['arrays']).toHaveLength(1);
  expect((await json('kernel', ...ATTENTION, '--emit', 'epoch'))['arrays']).toEqual(value['arrays']);
});

test('the ending of --out asks for a page, whose data is the kernel’s', async () => {
  const page = join(home, 'page.html');
  expect((await run(['kernel', ...ATTENTION, '-o', page])).code).toBe(0);
  const html = readFileSync(page, 'utf8');
  expect(html).toContain('<h2>Which einsum is on which array when</h2>');
  const [, data] = /<script type="application\/json" id="tilewright-report">(.*?)<\/script/s.exec(html)!;
  const { arrays } = await json('kernel', ...ATTENTION);
  expect(JSON.parse(data!).runs[0].ops[0].arrays).toEqual(arrays);
});

test('explain takes a kernel in place of a workload', async () => {
  const e = await json('explain', 'utilisation', '-m', 'fusemax', '--kernel', 'attention_one_pass', ...SHAPE);
  expect((e['parts'] as { metric: string }[]).map((p) => p.metric)).toEqual([
    'utilisation.matrix',
    'utilisation.vector',
  ]);
  const both = await run([
    'explain',
    'time_s',
    '-m',
    'fusemax',
    '--kernel',
    'gemm',
    '-w',
    'bert-base:prefill,batch=1,seq=8',
  ]);
  expect(both).toMatchObject({ code: 2, stderr: expect.stringMatching(/one of them/) });
});

test('a machine without bf16 takes a format that it has, and says so; one that it lacks is met with those it has', async () => {
  const gemm = ['kernel', 'gemm', '-m', 'tpu-v1', '--shape', 'm=64,n=64,k=64'];
  const ran = await run(gemm);
  expect(ran).toMatchObject({ code: 0, stderr: expect.stringMatching(/number format int8: tpu-v1 has no bf16/) });
  expect((await run([...gemm, '--dtype', 'int8'])).stdout).toBe(ran.stdout);
  const refused = await run([...gemm, '--dtype', 'fp32']);
  expect(refused).toMatchObject({ code: 3, stderr: expect.stringMatching(/fp32 \(it multiplies int8\)/) });
});

test('under event it is said that nests are timed as under steady', async () => {
  const gemm = ['kernel', 'gemm', '-m', 'tpu-v1', '--shape', 'm=64,n=64,k=64', '--dtype', 'int8'];
  const event = await run([...gemm, '--fidelity', 'event', '--json']);
  expect(event.stderr).toMatch(/warning: the kernel is laid on arrays: nests are timed in closed form/);
  const { time_s, warnings } = JSON.parse(event.stdout);
  expect(warnings).toHaveLength(1);
  expect(await json(...gemm)).toMatchObject({ time_s, warnings: [] });
});

test('what has no room names the store of the machine’s file', async () => {
  const softmax = ['kernel', 'softmax', '-m', 'fusemax', '--shape', 'rows=64,cols=64'];
  const small = await run([...softmax, '--set', 'shared.buffer.capacity=1KB']);
  expect(small).toMatchObject({ code: 3, stderr: expect.stringMatching(/of buffer for what \d+ lanes work on, has/) });
  const none = await run([...softmax, '--set', 'shared.buffer.capacity=1B']);
  expect(none).toMatchObject({ code: 2, stderr: expect.stringMatching(/shared\.buffer\.capacity: 1 B leave no room/) });
});
