/** `tilewright memory` as users run it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Value } from '@sinclair/typebox/value';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type MemoryReport, MemoryReportSchema } from '../../src/engine/memory/report.js';
import { type KernelSimulation, KernelSimulationSchema } from '../../src/engine/simulation.js';
import { GOLDEN, HAS_GOLDEN } from '../engine/memory/support.js';
import { built, run } from './spawn.js';

const folder = mkdtempSync(join(tmpdir(), 'tilewright-memory-'));
const file = (name: string, data: string | Uint8Array) => {
  const path = join(folder, name);
  writeFileSync(path, data);
  return path;
};
const stream = Array.from({ length: 3000 }, (_, i) => `0x${(i * 32).toString(16)} ${i % 4 === 3 ? 'W' : 'R'}`).join(
  '\n',
);

beforeAll(() => built(), 300_000);
afterAll(() => rmSync(folder, { recursive: true }));

async function report(...args: string[]): Promise<MemoryReport> {
  const { code, stdout, stderr } = await run(['memory', '--json', ...args]);
  expect(stderr).not.toMatch(/internal/);
  expect(code).toBe(0);
  const json = JSON.parse(stdout) as MemoryReport;
  expect(Value.Check(MemoryReportSchema, json)).toBe(true);
  return json;
}

test('plain text and gzip give the same report, through L2 and straight to DRAM', async () => {
  const plain = file('t.txt', stream);
  const packed = file('t.gz', gzipSync(stream));
  const a = await report('-m', 'a100-sxm-80gb', '--trace', plain);
  const b = await report('-m', 'a100-sxm-80gb', '--trace', packed);
  expect({ ...b, trace: '' }).toEqual({ ...a, trace: '' });
  expect(a).toMatchObject({ requests: 3000, reads: 2250, writes: 750, level: 'l2', dram: 'hbm2e', format: 'plain' });
  expect(a.peak_bandwidth_B_per_s).toBeCloseTo(2039e9, -3);
  const dram = await report('-m', 'a100-sxm-80gb', '--trace', plain, '--level', 'dram');
  expect(dram.hits).toEqual({});
  expect(dram.read_commands + dram.write_commands + dram.merged + dram.forwarded).toBe(3000);
  const out = join(folder, 'out.json');
  const { code, stdout } = await run(['memory', '-m', 't4', '--trace', plain, '--out', out]);
  expect([code, stdout]).toEqual([0, '']);
  expect((JSON.parse(readFileSync(out, 'utf8')) as MemoryReport).protocol).toBe('GDDR6');
});

test('text for people names what is asked for', async () => {
  const { code, stdout } = await run(['memory', '--dram', 'ddr4', '--trace', file('d.txt', stream)]);
  expect(code).toBe(0);
  for (const word of ['row hits', 'activates', 'read latency, p99', 'energy', 'Bandwidth over time'])
    expect(stdout).toContain(word);
});

test.skipIf(!HAS_GOLDEN)('a DRAMsim3 file and trace go straight to the DRAM and give its figures', async () => {
  const trace = join(GOLDEN, 'stride4k.trace.gz');
  const dram = join(GOLDEN, 'DDR4_8Gb_x8_3200.ini');
  const json = await report('-m', 'h100-sxm', '--trace', trace, '--dram', dram, '--cycles', '400000');
  expect(json).toMatchObject({ level: 'dram', activates: 10085, row_hits: 9991, cycles: 400000, machine: 'h100-sxm' });
  expect(json.mean_read_latency_cycles).toBeCloseTo(481.867, 2);
});

test.each([
  [['--trace', 'absent.txt', '-m', 't4'], /absent\.txt: cannot read: no such file/],
  [['--trace', 'BAD', '-m', 't4'], /bad\.txt:2: address: expected a hexadecimal number/],
  [['--trace', 'EMPTY', '-m', 't4'], /the file is empty/],
  [['--trace', 'CUT', '-m', 't4'], /the gzip data is cut off/],
  [['--trace', 'GOOD', '-m', 't5'], /unknown machine 't5'/],
  [['--trace', 'GOOD'], /expected -m MACHINE or --dram FILE/],
  [['--trace', 'GOOD', '-m', 't4', '--level', 'l3'], /--level: expected l1, l2 or dram on t4, got 'l3'/],
  [['--trace', 'GOOD', '--dram', 'hbm9'], /unknown DRAM table 'hbm9'/],
  [['--trace', 'GOOD', '--dram', 'INI'], /bad\.ini:2: unknown protocol 'DDR9'/],
] as const)('%j exits 2 and says why', async (args, message) => {
  const paths: Record<string, string> = {
    GOOD: file('good.txt', '64\n128\n'),
    BAD: file('bad.txt', '0x0 READ 0\nzz READ 1\n'),
    EMPTY: file('empty.txt', ''),
    CUT: file('cut.gz', gzipSync(stream).subarray(0, 200)),
    INI: file('bad.ini', '[dram_structure]\nprotocol = DDR9\n'),
  };
  const { code, stderr, stdout } = await run(['memory', ...args.map((a) => paths[a] ?? a)]);
  expect(stderr).toMatch(message);
  expect([code, stdout]).toEqual([2, '']);
});

test('Ctrl-C ends a long replay with what was done so far', async () => {
  const lines = Array.from({ length: 2_000_000 }, (_, i) => (i * 4160).toString()).join('\n');
  const trace = file('long.txt', lines);
  const { code, stdout, stderr } = await run(['memory', '--json', '--dram', 'ddr4', '--trace', trace], {
    watch: (kill) => setTimeout(() => kill('SIGINT'), 1000),
  });
  expect(stderr).toMatch(/interrupted/);
  expect(code).toBe(130);
  const json = JSON.parse(stdout) as MemoryReport;
  expect(json.interrupted).toBe(true);
  expect(json.requests).toBeGreaterThan(0);
  expect(json.requests).toBeLessThan(2_000_000);
});

test('a kernel goes through the same memory, line by line, and says what became of its lines', async () => {
  const args = ['kernel', 'gemm', '-m', 'a100-sxm-80gb', '--shape', 'm=256,n=256,k=256', '--memory', 'stateful'];
  const { code, stdout } = await run([...args, '--fidelity', 'event', '--json']);
  expect(code).toBe(0);
  const json: unknown = JSON.parse(stdout);
  expect(Value.Check(KernelSimulationSchema, json)).toBe(true);
  const { memory, moved_B } = json as KernelSimulation;
  expect(memory).toMatchObject({ channels: 80, channels_simulated: 80 });
  // bursts of 32 bytes; what is written stays in the cache
  expect(memory!.read_commands * 32).toBe(2 * 256 * 256 * 2);
  expect(moved_B['dram']).toBe(3 * 256 * 256 * 2);
  const refused = await run(args);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain('needs --fidelity event');
});
