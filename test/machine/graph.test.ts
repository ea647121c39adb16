import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DType } from '../../src/base/dtype.js';
import { listMachines, openMachine, PACKAGE_ROOT } from '../../src/cli/files.js';
import { type LaunchMode, launchTime } from '../../src/engine/launch.js';
import { linkOf, MATH_FNS, mathRateOf, mmaOf, storeOf } from '../../src/machine/graph.js';
import { validGraph } from '../../src/machine/graph-check.js';
import { arbitraryGraph } from './arbitrary.js';

/** Dense peak in TFLOP/s (TOP/s) of the datasheets, at the clock they are rated at. */
const PEAKS: [machine: string, a: DType, acc: DType, tera: number, atBoost?: boolean][] = [
  ['v100-pcie-32gb', 'fp16', 'fp32', 112],
  ['v100-pcie-32gb', 'fp32', 'fp32', 14],
  ['v100-pcie-32gb', 'fp64', 'fp64', 7],
  ['t4', 'fp16', 'fp32', 65],
  ['t4', 'fp32', 'fp32', 8.1],
  ['t4', 'int8', 'int32', 130],
  ['t4', 'int4', 'int32', 260],
  ['a100-sxm-80gb', 'fp32', 'fp32', 19.5],
  ['a100-sxm-80gb', 'fp64', 'fp64', 19.5],
  ['a100-sxm-80gb', 'tf32', 'fp32', 156],
  ['a100-sxm-80gb', 'bf16', 'fp32', 312],
  ['a100-sxm-80gb', 'fp16', 'fp32', 312],
  ['a100-sxm-80gb', 'fp16', 'fp16', 312],
  ['a100-sxm-80gb', 'int8', 'int32', 624],
  ['a100-sxm-80gb', 'int4', 'int32', 1248],
  ['a100-sxm-80gb', 'int1', 'int32', 4992],
  ['a100-pcie-40gb', 'bf16', 'fp32', 312],
  ['rtx-3090', 'fp16', 'fp16', 142],
  ['rtx-3090', 'fp16', 'fp32', 71],
  ['rtx-3090', 'fp32', 'fp32', 35.6],
  ['rtx-3090', 'int8', 'int32', 284],
  ['rtx-3090', 'int4', 'int32', 568],
  ['rtx-4090', 'fp16', 'fp16', 330.3],
  ['rtx-4090', 'bf16', 'fp32', 165.2],
  ['rtx-4090', 'fp8_e4m3', 'fp16', 660.6],
  ['rtx-4090', 'fp8_e4m3', 'fp32', 330.3],
  ['rtx-4090', 'int8', 'int32', 660.6],
  ['rtx-4090', 'int4', 'int32', 1321.2],
  ['rtx-4090', 'fp32', 'fp32', 82.6],
  ['l40s', 'bf16', 'fp32', 362.05],
  ['l40s', 'tf32', 'fp32', 183],
  ['l40s', 'fp8_e4m3', 'fp32', 733],
  ['l40s', 'fp32', 'fp32', 91.6],
  ['h100-sxm', 'tf32', 'fp32', 494.7],
  ['h100-sxm', 'bf16', 'fp32', 989.4],
  ['h100-sxm', 'fp8_e4m3', 'fp32', 1978.9],
  ['h100-sxm', 'int8', 'int32', 1978.9],
  ['h100-sxm', 'fp64', 'fp64', 66.9, true],
  ['h100-sxm', 'fp32', 'fp32', 66.9, true],
  ['h200-sxm', 'bf16', 'fp32', 989.4],
  ['b200-sxm', 'bf16', 'fp32', 2250],
  ['b200-sxm', 'fp8_e4m3', 'fp32', 4500],
  ['b200-sxm', 'fp4_e2m1', 'fp32', 9000],
];

test.each(PEAKS)(
  '%s reaches its datasheet peak on %s with %s accumulation: %d T/s',
  async (name, a, acc, tera, atBoost) => {
    const { graph, fields } = await openMachine(name);
    const clock_Hz = fields.get(atBoost ? 'clock.boost' : 'clock.rated')!.value;
    const best = mmaOf(graph, a, a, acc)!;
    const peak = 2 * best.op.macs_per_cycle * graph.cores.count * clock_Hz;
    expect(Math.abs(peak / (tera * 1e12) - 1)).toBeLessThan(0.02);
  },
);

/** Pin bandwidth, GB/s. */
const DRAM: Record<string, number> = {
  'v100-pcie-32gb': 900,
  t4: 320,
  'a100-sxm-80gb': 2039,
  'a100-pcie-40gb': 1555,
  'rtx-3090': 936,
  'rtx-4090': 1008,
  l40s: 864,
  'h100-sxm': 3350,
  'h200-sxm': 4800,
  'b200-sxm': 8000,
};

test('every shipped GPU is in the table of DRAM bandwidths, and agrees with it', async () => {
  const gpus: Record<string, number> = {};
  for (const name of listMachines()) {
    const { graph, family } = await openMachine(name);
    if (family === 'gpu') gpus[name] = storeOf(graph, 'dram')!.read_B_per_s / 1e9;
  }
  // a calibrated machine stands beside the one that its datasheet alone makes
  const datasheets = Object.keys(gpus).filter((name) => name.endsWith('-datasheet'));
  expect(gpus).toEqual({
    ...DRAM,
    ...Object.fromEntries(datasheets.map((name) => [name, DRAM[name.replace(/-datasheet$/, '')]])),
  });
});

test.each(Object.keys(DRAM))('%s: nearer levels are faster, sooner and cheaper', async (name) => {
  const { graph } = await openMachine(name);
  const chain = ['dram', 'l2', 'l1', 'register'].map((id) => storeOf(graph, id)!);
  for (let i = 1; i < chain.length; i++) {
    const [far, near] = [chain[i - 1]!, chain[i]!];
    const total = (s: typeof far) => s.read_B_per_s * (s.scope === 'core' ? graph.cores.count : 1);
    expect(total(near)).toBeGreaterThan(total(far));
    expect(near.latency_s).toBeLessThan(far.latency_s);
    expect(near.read_pJ_per_B).toBeLessThan(far.read_pJ_per_B);
  }
});

test.each(Object.keys(DRAM))('%s: enough bytes fly to hide the latency of L2 and DRAM', async (name) => {
  const { graph } = await openMachine(name);
  const { in_flight_B } = linkOf(graph, 'l2', 'l1')!;
  for (const id of ['l2', 'dram']) {
    const s = storeOf(graph, id)!;
    const latency_s = s.latency_s + (s.far ? s.far.share * s.far.extra_latency_s : 0);
    const needed_B = (s.read_B_per_s * s.sustained_fraction * latency_s) / graph.cores.count;
    expect(in_flight_B).toBeGreaterThan(needed_B);
  }
});

/** What a launch costs whatever the kernel does. */
async function launchCost_s(name: string): Promise<Record<LaunchMode, number>> {
  const { control } = (await openMachine(name)).graph;
  const cost = (mode: LaunchMode) => launchTime(control, mode);
  return { graph: cost('graph'), eager: cost('eager'), dependent: cost('dependent') };
}

test.each(Object.keys(DRAM))(
  '%s: a launch costs 1.3 to 3.5 us from a graph, and 4 to 6 us one by one, 10 where measured calls say so',
  async (name) => {
    const { graph, eager } = await launchCost_s(name);
    expect(graph).toBeGreaterThan(1.3e-6);
    expect(graph).toBeLessThan(3.5e-6);
    expect(eager).toBeGreaterThan(4e-6);
    const { from } = (await openMachine(name)).fields.get('launch.eager')!;
    expect(eager).toBeLessThan(from === 'calibrated' ? 10e-6 : 6e-6);
  },
);

const MEASURED = join(PACKAGE_ROOT, '..', 'shared', 'measured');
const present = existsSync(MEASURED);
if (!present) console.log('launch cost against measured calls: skipped, ../shared/measured is absent');

/** Shortest bf16 GEMM call of a table, in s. */
function shortestCall_s(table: string): number {
  const rows = readFileSync(join(MEASURED, `${table}.gemm.csv`), 'utf8').split('\n');
  const ms = rows.filter((r) => r.startsWith('bfloat16,')).map((r) => Number(r.split(',')[4]));
  return Math.min(...ms) * 1e-3;
}

describe.skipIf(!present)('a launch alone takes less than the shortest whole call that was measured', () => {
  test.each([
    ['a100-sxm-80gb', 'a100_sxm', 'graph'],
    ['h100-sxm', 'h100_sxm', 'graph'],
    ['l40s', 'l40s', 'graph'],
    // its products start while the kernel before still runs
    ['b200-sxm', 'b200_sxm', 'dependent'],
  ] as const)('%s', async (name, table, mode) => {
    expect((await launchCost_s(name))[mode]).toBeLessThan(shortestCall_s(table));
  });
});

test.each(Object.keys(DRAM))('%s has a rate for every class of scalar work', async (name) => {
  const { graph } = await openMachine(name);
  for (const fn of MATH_FNS) expect(mathRateOf(graph, fn, 'fp32')?.rate.per_cycle).toBeGreaterThan(0);
});

test('Hopper has a warp-level fallback beside its warpgroup instruction, and the faster is preferred', async () => {
  const { graph } = await openMachine('h100-sxm');
  expect(mmaOf(graph, 'bf16', 'bf16', 'fp32')!.op).toMatchObject({ operands: 'shared', m: 64, n: 256, n_step: 8 });
  const all = graph.units.flatMap((u) => u.mma).filter((o) => o.a === 'bf16' && o.acc === 'fp32');
  expect(all.some((o) => o.operands === 'register' && o.lanes === 32)).toBe(true);
});

test('random machines are valid', () => {
  fc.assert(fc.property(arbitraryGraph(), (graph) => validGraph(graph, 'random') === graph));
});
