/** The other kernels of matmul ops: k split over workgroups, balanced waves, few rows. */
import { describe, expect, it } from 'vitest';
import { isMisfit, residency } from '../../../src/kernel/fit.js';
import type { Kernel, Params } from '../../../src/kernel/kernel.js';
import { gemm } from '../../../src/kernel/library/gemm.js';
import { gemm_split_k } from '../../../src/kernel/library/gemm_split_k.js';
import { gemm_stream_k } from '../../../src/kernel/library/gemm_stream_k.js';
import { gemv } from '../../../src/kernel/library/gemv.js';
import type { ResourceGraph } from '../../../src/machine/graph.js';
import type { OpOf } from '../../../src/workload/op.js';
import { LANES_ONLY, SKETCHES, shippedMachines, sketch, WARPGROUPS, WARPS } from '../machines.js';
import { distance, inputsOf, runLaunches } from './run.js';

type Matmul = OpOf<'matmul'>;
const op = (m: number, n: number, k: number, more: Partial<Matmul> = {}): Matmul => ({
  ...gemm.toOp({ m, n, k }, 'fp16'),
  ...more,
});

function error(kernel: Kernel<'matmul'>, o: Matmul, p: Params, machine: ResourceGraph): number {
  const launches = kernel.build(o, p, machine);
  const inputs = inputsOf(launches);
  return distance(runLaunches(launches, inputs)['C']!, kernel.reference(o, inputs)['C']!);
}
const worst = (kernel: Kernel<'matmul'>, o: Matmul, all: readonly Params[], machine: ResourceGraph): string[] =>
  all.filter((p) => !(error(kernel, o, p, machine) < 1e-4)).map((p) => JSON.stringify(p));

const FORMATS: [string, Partial<Matmul>][] = [
  ['plain', {}],
  ['batched', { batch: 3, weights: false }],
  ['with bias, activation and residual', { bias: true, activation: 'gelu_tanh', residual: true }],
  ['with int8 weights', { b: 'int8', bias: true }],
  ['with int4 weights', { b: 'int4', activation: 'relu' }],
  ['in fp32', { a: 'fp32', b: 'fp32', c: 'fp32' }],
];
/** Fewer cores, so that small products make several waves. */
const FEW = { ...WARPS, name: 'few', cores: { ...WARPS.cores, count: 5 } };

describe.each(FORMATS)('a product %s', (_, format) => {
  it('split over k is the whole product', () => {
    const o = op(20, 45, 300, format);
    for (const machine of [WARPS, WARPGROUPS, LANES_ONLY]) {
      const all = [...gemm_split_k.candidates(o, machine)];
      if (machine !== LANES_ONLY) expect(all.length).toBeGreaterThan(0);
      expect(worst(gemm_split_k, o, all, machine)).toEqual([]);
    }
  });
  it('split into parts that do not divide k is the whole product', () => {
    const p = { bm: 32, bn: 32, bk: 32, stages: 2, groups_m: 1, groups_n: 1, panel: 1, split: 5 };
    expect(worst(gemm_split_k, op(17, 40, 200, format), [p], WARPS)).toEqual([]);
  });
  it('in balanced waves is the whole product', () => {
    const tile = { bm: 32, bn: 32, bk: 32, stages: 2, groups_m: 1, groups_n: 1 };
    // tiles: 12, 9, 5, 2 a batch on 5 or 10 workgroups: whole waves with and without tiles left, and less than a wave
    const shapes: [number, number][] = [
      [100, 90],
      [70, 80],
      [20, 150],
      [33, 32],
    ];
    for (const [m, n] of shapes)
      for (const per_core of [1, 2])
        expect(worst(gemm_stream_k, op(m, n, 130, format), [{ ...tile, per_core }], FEW), `${m}x${n}`).toEqual([]);
  });
  it.each([1, 3])('of %i rows on multiply–adds is the whole product', (m) => {
    for (const machine of [WARPS, LANES_ONLY]) {
      const o = op(m, 40, 150, format);
      const all = [...gemv.candidates(o, machine)];
      expect(all.length).toBeGreaterThan(0);
      expect(worst(gemv, o, all, machine)).toEqual([]);
    }
  });
});

describe('gemm_stream_k candidates', () => {
  it('are the reference product', () => {
    const o = op(150, 140, 96);
    const machine = sketch({ name: 'three', cores: 3, mma: WARPGROUPS.units[0]!.mma });
    const all = [...gemm_stream_k.candidates(o, machine)];
    expect(all.length).toBeGreaterThan(0);
    expect(worst(gemm_stream_k, o, all, machine)).toEqual([]);
  });
  it('are none when the last wave is full', () => {
    expect([...gemm_stream_k.candidates(op(4096, 4096, 4096), sketch({ name: 'one', cores: 1, mma: [] }))]).toEqual([]);
  });
});

describe('gemv refuses', () => {
  it('many rows', () => {
    expect(gemv.rejects(op(17, 70, 300), WARPS)).toMatch(/at most 16 rows, got 17/);
  });
  it('sums in integers', () => {
    expect(gemv.rejects(op(1, 70, 300, { a: 'int8', b: 'int8', accumulate: 'int32' }), WARPS)).toMatch(/int32/);
  });
});

it('candidates are few, legal, and some of them fit, on every machine', async () => {
  const faults: string[] = [];
  let given = 0;
  for (const machine of [...SKETCHES, ...(await shippedMachines())])
    for (const kernel of [gemm_split_k, gemm_stream_k, gemv])
      for (const [m, n, k] of [
        [1, 11008, 4096],
        [16, 4096, 11008],
        [197, 768, 3072],
        [1500, 4096, 4096],
        [1, 5, 7],
      ] as const)
        for (const [, format] of FORMATS) {
          const o = op(m, n, k, format);
          if (kernel.rejects(o, machine) !== undefined) continue;
          const place = `${machine.name} ${kernel.name} ${m}x${n}x${k} ${JSON.stringify(format)}`;
          const all = [...kernel.candidates(o, machine)];
          given += all.length;
          if (all.length > 320) faults.push(`${place}: ${all.length} candidates`);
          for (const p of all)
            for (const key in p)
              if (!kernel.params[key]?.values.includes(p[key]!)) faults.push(`${place}: ${key}=${p[key]}`);
          const fits = (p: Params) => kernel.build(o, p, machine).every((l) => !isMisfit(residency(l, machine)));
          if (all.length > 0 && !all.some(fits)) faults.push(`${place}: none fits`);
        }
  expect(given).toBeGreaterThan(1000);
  expect(faults).toEqual([]);
});
