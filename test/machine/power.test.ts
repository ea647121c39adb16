/**
 * Energy tables against boards measured elsewhere. The tables are built from figures per level; nothing is fitted to
 * these boards, so the residuals are printed and only their order of magnitude is asserted.
 */
import { afterAll, expect, test } from 'vitest';
import { openMachine } from '../../src/cli/files.js';
import { simulateKernel } from '../../src/engine/simulate.js';
import { linkOf, mmaOf, type ResourceGraph, storeOf } from '../../src/machine/graph.js';
import { matmul } from '../../src/validate/calls.js';

const report: string[] = [];
afterAll(() => console.log(report.join('\n')));

/** Dynamic pJ per byte streamed from DRAM to registers. */
function streamDynamic(g: ResourceGraph): number {
  const levels = ['dram', 'l2', 'l1'].map((id) => storeOf(g, id)!.read_pJ_per_B);
  return levels.reduce((a, b) => a + b, 0) + linkOf(g, 'l1', 'register')!.pJ_per_B;
}

/** Board pJ per byte, static power included, at the bandwidth that streams reach. */
function streamBoard(g: ResourceGraph): number {
  const dram = storeOf(g, 'dram')!;
  return streamDynamic(g) + (g.control.static_W / (dram.read_B_per_s * dram.sustained_fraction)) * 1e12;
}

/** [machine, what, modelled, published, source] */
test.each([
  ['a100-pcie-40gb', 'dynamic', 118, 'fit to gpu-benches, A100-40'],
  ['h200-sxm', 'dynamic', 122, 'fit to gpu-benches, H200'],
  ['h200-sxm', 'board', 141, 'aiconfigurator weight streaming, H200'],
  ['b200-sxm', 'board', 109, 'aiconfigurator weight streaming, B200'],
  ['l40s', 'dynamic', 95, 'fit to gpu-benches, L40'],
] as const)('%s streams at about the published energy per byte (%s)', async (name, what, published, source) => {
  const { graph } = await openMachine(name);
  const pJ = what === 'board' ? streamBoard(graph) : streamDynamic(graph);
  report.push(
    `${name} stream ${what}: ${pJ.toFixed(0)} pJ/B, published ${published} (${source}), residual ${pct(pJ / published - 1)}`,
  );
  expect(Math.abs(pJ / published - 1)).toBeLessThan(0.35);
});

/**
 * A large bf16 GEMM from 128 × 256 tiles: shared memory feeds each instruction (or 64 × 64 warp tiles through
 * registers), L2 feeds each tile, DRAM a sixteenth of that. Solved for the clock at which power meets the cap.
 */
function gemm(g: ResourceGraph): { tflops: number; pJ_per_flop: number; clock: number; watts: number } {
  const { op } = mmaOf(g, 'bf16', 'bf16', 'fp32')!;
  const l2 = storeOf(g, 'l2')!;
  const shared = storeOf(g, 'shared')!;
  const tile_B_per_flop = ((128 + 256) * 2) / (2 * 128 * 256);
  const [m, n] = op.operands === 'shared' ? [op.m, op.n] : [64, 64];
  const near_B_per_flop = ((m + n) * 2) / (2 * m * n);
  const near_pJ = shared.read_pJ_per_B + (op.operands === 'register' ? linkOf(g, 'shared', 'register')!.pJ_per_B : 0);
  const core_pJ =
    op.pJ_per_MAC / 2 + near_B_per_flop * near_pJ + tile_B_per_flop * (l2.read_pJ_per_B + shared.write_pJ_per_B);
  const dram_pJ = (tile_B_per_flop / 16) * storeOf(g, 'dram')!.read_pJ_per_B;
  const { nominal_Hz, min_Hz, voltage_floor } = g.control.clock;
  const rate = 2 * op.macs_per_cycle * g.cores.count * 0.9;
  let clock = nominal_Hz;
  const watts = (f: number) => {
    const v = voltage_floor + ((1 - voltage_floor) * f) / nominal_Hz;
    return g.control.static_W + rate * f * (core_pJ * v * v + dram_pJ) * 1e-12;
  };
  while (watts(clock) > g.control.power_cap_W && clock > min_Hz) clock -= 1e6;
  return {
    tflops: (rate * clock) / 1e12,
    watts: watts(clock),
    clock,
    pJ_per_flop: (watts(clock) / (rate * clock)) * 1e12,
  };
}

test.each([
  ['h200-sxm', 0.99, 'aiconfigurator, H200, 691 W'],
  ['b200-sxm', 0.71, 'aiconfigurator, B200'],
] as const)('%s: a large bf16 GEMM costs about the published board energy', async (name, published, source) => {
  const { graph } = await openMachine(name);
  const { tflops, pJ_per_flop, clock, watts } = gemm(graph);
  report.push(
    `${name} bf16 GEMM: ${pJ_per_flop.toFixed(2)} pJ/FLOP, published ${published} (${source}), residual ${pct(pJ_per_flop / published - 1)}; ${tflops.toFixed(0)} TFLOP/s at ${(clock / 1e6).toFixed(0)} MHz, ${watts.toFixed(0)} W`,
  );
  expect(Math.abs(pJ_per_flop / published - 1)).toBeLessThan(0.35);
});

test.each([
  ['a100-sxm-80gb', 299],
  ['h100-sxm', 794.5],
  ['l40s', 297],
] as const)('%s: the power cap leaves about the best 16-bit rate that was measured', async (name, best) => {
  const { graph } = await openMachine(name);
  const { tflops, clock, watts } = gemm(graph);
  report.push(
    `${name} bf16 GEMM: ${tflops.toFixed(0)} TFLOP/s at ${(clock / 1e6).toFixed(0)} MHz, ${watts.toFixed(0)} W; best measured ${best}, residual ${pct(tflops / best - 1)}`,
  );
  expect(Math.abs(tflops / best - 1)).toBeLessThan(0.3);
});

test.each([
  ['v100-pcie-32gb', 1380, 'NeuSight: sgemm at 99 % of the peak at boost'],
  ['t4', 900, 'mlcommons/inference_results_v0.5, issue 20: dense fp32 work on a T4'],
] as const)('%s: large fp32 products run at about the clock that was seen', async (name, seen, source) => {
  const { graph } = await openMachine(name);
  const product = matmul(1, 4096, 4096, 4096, 'fp32', 'fp32', 'fp32');
  const { clock_Hz, power_W } = simulateKernel(product, graph).result;
  const MHz = clock_Hz / 1e6;
  report.push(
    `${name} fp32 GEMM: ${MHz.toFixed(0)} MHz, ${power_W.toFixed(0)} W; seen ${seen} (${source}), residual ${pct(MHz / seen - 1)}`,
  );
  // what was seen on the T4 holds layers that are not products, too
  expect(Math.abs(MHz / seen - 1)).toBeLessThan(0.15);
});

const pct = (x: number) => `${x >= 0 ? '+' : ''}${(x * 100).toFixed(0)} %`;
