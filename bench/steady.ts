/**
 * Speed of the steady engine on one core: kernels evaluated per second as the mapper does it, programs built, fitted and
 * timed, one after another. No op comes twice; choices of an op that share a program follow one another, as in a search,
 * and what the engine keeps of the last one counts.
 */
import { evaluateSteady } from '../src/engine/steady/steady.js';
import { COLD } from '../src/engine/types.js';
import { isMisfit, residency } from '../src/kernel/fit.js';
import { type AnyKernel, kernelByName } from '../src/kernel/library/index.js';
import type { ResourceGraph } from '../src/machine/graph.js';

/** Ops by kernel, each with several sizes so that launches differ. */
const OPS: readonly (readonly [kernel: string, shapes: (i: number) => Record<string, number>])[] = [
  ['gemm', (i) => ({ m: 512 + 128 * i, n: 4096, k: 2048 + 64 * i, batch: 1 })],
  ['gemm', (i) => ({ m: 100 + 37 * i, n: 1000 + 13 * i, k: 700 + 9 * i, batch: 1 })],
  ['gemm_split_k', (i) => ({ m: 16 + i, n: 4096, k: 4096, batch: 1 })],
  ['gemv', (i) => ({ m: 1, n: 4096 + 64 * i, k: 4096, batch: 1 })],
  [
    'attention_fused',
    (i) => ({
      batch: 1,
      heads: 32,
      kv_heads: 8,
      q_len: 512 + 64 * i,
      kv_len: 512 + 64 * i,
      head_dim: 128,
      causal: 1,
      window: 0,
    }),
  ],
  [
    'attention_split',
    (i) => ({
      batch: 1 + i,
      heads: 32,
      kv_heads: 8,
      q_len: 1,
      kv_len: 2048 + i,
      head_dim: 128,
      causal: 1,
      window: 0,
    }),
  ],
  ['rmsnorm', (i) => ({ rows: 1 + 16 * i, cols: 4096, residual: 1 })],
];

export interface SteadyRow {
  readonly name: string;
  readonly evaluations: number;
  readonly per_s: number;
}

/** Evaluations per second of processor time, by kernel and over all. */
export function steadyBench(machine: ResourceGraph, sizes = 16): SteadyRow[] {
  const rows: SteadyRow[] = [];
  let all = 0;
  let time = 0;
  for (let round = 0; round < 3; round++) {
    rows.length = 0;
    all = 0;
    time = 0;
    OPS.forEach(([name, shape], o) => {
      const kernel: AnyKernel = kernelByName(name);
      let n = 0;
      const start = process.cpuUsage();
      // each round has sizes of its own
      for (let i = round * sizes; i < (round + 1) * sizes; i++) {
        const op = kernel.toOp(shape(i), 'fp16');
        if (kernel.rejects(op, machine)) continue;
        for (const params of kernel.candidates(op, machine))
          for (const launch of kernel.build(op, params, machine)) {
            if (isMisfit(residency(launch, machine))) continue;
            evaluateSteady(launch, machine, COLD);
            n++;
          }
      }
      const { user, system } = process.cpuUsage(start);
      const s = (user + system) / 1e6;
      all += n;
      time += s;
      rows.push({ name: `${name} ${o}`, evaluations: n, per_s: n / s });
    });
  }
  return [...rows, { name: 'all', evaluations: all, per_s: all / time }];
}
