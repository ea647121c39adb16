import { describe, expect, it } from 'vitest';
import { isMisfit, residency } from '../../../src/kernel/fit.js';
import type { Params } from '../../../src/kernel/kernel.js';
import { gemm } from '../../../src/kernel/library/gemm.js';
import type { ResourceGraph } from '../../../src/machine/graph.js';
import type { OpOf } from '../../../src/workload/op.js';
import { LANES_ONLY, SKETCHES, shippedMachines, WARPGROUPS, WARPS } from '../machines.js';
import { distance, inputsOf, runLaunches } from './run.js';

type Matmul = OpOf<'matmul'>;
const op = (m: number, n: number, k: number, more: Partial<Matmul> = {}): Matmul => ({
  ...gemm.toOp({ m, n, k }, 'fp16'),
  ...more,
});

function error(o: Matmul, p: Params, machine: ResourceGraph): number {
  const launches = gemm.build(o, p, machine);
  const inputs = inputsOf(launches);
  return distance(runLaunches(launches, inputs)['C']!, gemm.reference(o, inputs)['C']!);
}

describe('gemm gives the reference result', () => {
  const cases: [string, Matmul, ResourceGraph][] = [
    ['whole tiles', op(64, 64, 64), WARPS],
    ['ragged in every dimension', op(37, 45, 29), WARPS],
    ['batched', op(20, 17, 33, { batch: 3, weights: false }), WARPS],
    ['one row', op(1, 70, 40), WARPS],
    ['bias, activation and residual', op(33, 40, 17, { bias: true, activation: 'silu', residual: true }), WARPS],
    ['gelu', op(16, 24, 8, { bias: true, activation: 'gelu' }), WARPS],
    ['int8 weights, scales by column', op(33, 40, 70, { b: 'int8' }), WARPS],
    ['int4 weights, scales by group', op(18, 40, 300, { b: 'int4' }), WARPS],
    ['int4 weights from shared memory', op(18, 40, 300, { b: 'int4', bias: true }), WARPGROUPS],
    ['fp8 widened to fp16', op(33, 40, 70, { a: 'fp8_e4m3', b: 'fp8_e4m3' }), WARPS],
    ['int8 accumulated in int32', op(33, 40, 70, { a: 'int8', b: 'int8', c: 'int32', accumulate: 'int32' }), WARPS],
    [
      'int8 with bias and relu',
      op(33, 40, 70, { a: 'int8', b: 'int8', c: 'bf16', accumulate: 'int32', bias: true, activation: 'relu' }),
      WARPS,
    ],
    ['bf16 where only multiply–adds can', op(33, 40, 70, { a: 'bf16', b: 'bf16' }), LANES_ONLY],
    ['fp32', op(33, 40, 70, { a: 'fp32', b: 'fp32', c: 'fp32' }), LANES_ONLY],
  ];
  it.each(cases)('%s', (_, o, machine) => {
    const all = [...gemm.candidates(o, machine)];
    expect(all.length).toBeGreaterThan(0);
    for (const p of all) expect(error(o, p, machine), JSON.stringify(p)).toBeLessThan(1e-4);
  });
});

describe('gemm candidates', () => {
  const shapes: [number, number, number][] = [
    [4096, 4096, 4096],
    [1, 11008, 4096],
    [16, 4096, 11008],
    [197, 768, 3072],
    [8192, 64, 512],
    [3, 5, 7],
  ];
  const formats: Partial<Matmul>[] = [
    {},
    { a: 'bf16', b: 'bf16', c: 'bf16' },
    { a: 'fp32', b: 'fp32', c: 'fp32' },
    { a: 'fp64', b: 'fp64', c: 'fp64', accumulate: 'fp64' },
    { a: 'fp8_e4m3', b: 'fp8_e4m3', c: 'bf16' },
    { a: 'int8', b: 'int8', c: 'int32', accumulate: 'int32' },
    { b: 'int4' },
    { a: 'bf16', b: 'int8' },
    { a: 'nvfp4', b: 'nvfp4', c: 'bf16' },
    { bias: true, residual: true, activation: 'gelu_tanh' },
  ];
  it('are few, legal, and some of them fit, on every machine', async () => {
    const faults: string[] = [];
    const rejected = new Set<string>();
    for (const machine of [...SKETCHES, ...(await shippedMachines())])
      for (const [m, n, k] of shapes)
        for (const format of formats) {
          const o = op(m, n, k, format);
          const place = `${machine.name} ${m}x${n}x${k} ${JSON.stringify(format)}`;
          if (gemm.rejects(o, machine) !== undefined) {
            rejected.add(`${machine.name} ${o.a}`);
            continue;
          }
          const all = [...gemm.candidates(o, machine)];
          if (all.length > 320) faults.push(`${place}: ${all.length} candidates`);
          for (const p of all)
            for (const key in p)
              if (!gemm.params[key]?.values.includes(p[key]!)) faults.push(`${place}: ${key}=${p[key]}`);
          if (all.every((p) => isMisfit(residency(gemm.build(o, p, machine)[0]!, machine))))
            faults.push(`${place}: none fits`);
        }
    expect(faults).toEqual([]);
    // sums of whole numbers need an instruction for them
    expect([...rejected].filter((x) => !x.endsWith('int8'))).toEqual([]);
  });
  it('are the same whenever they are asked for', () => {
    const o = op(300, 700, 900);
    expect([...gemm.candidates(o, WARPS)]).toEqual([...gemm.candidates({ ...o }, WARPS)]);
  });
  it('hold no tile far larger than the product', () => {
    for (const p of gemm.candidates(op(20, 40, 64), WARPS)) {
      expect(p['bm']).toBeLessThanOrEqual(64);
      expect(p['bn']).toBeLessThanOrEqual(64);
    }
  });
});

describe('gemm refuses', () => {
  it('whole numbers where only floating point adds up', () => {
    const o = op(64, 64, 64, { a: 'int8', b: 'int8', c: 'int32', accumulate: 'int32' });
    expect(gemm.rejects(o, WARPS)).toBeUndefined();
    expect(gemm.rejects(o, LANES_ONLY)).toMatch(/neither a matrix instruction nor multiply–adds for int8 × int8/);
  });
  it('lane groups that do not divide the tile', () => {
    const p = { bm: 32, bn: 32, bk: 32, stages: 2, groups_m: 3, groups_n: 1, panel: 1 };
    expect(() => gemm.build(op(64, 64, 64), p, WARPS)).toThrow(/3×1 lane groups do not divide a 32×32 tile/);
  });
  it('a depth that crosses groups of scales', () => {
    const p = { bm: 32, bn: 32, bk: 256, stages: 2, groups_m: 1, groups_n: 1, panel: 1 };
    expect(() => gemm.build(op(64, 64, 512, { b: 'int4' }), p, WARPS)).toThrow(/bk=256 does not divide the 128 rows/);
  });
});
