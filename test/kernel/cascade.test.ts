import { describe, expect, it } from 'vitest';
import { cascadeOf, hasCascade } from '../../src/kernel/cascade.js';
import { interpret } from '../../src/kernel/interpret.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import { kernelByName } from '../../src/kernel/library/index.js';
import { evaluateCascade, flopsOfCascade } from './evaluate-cascade.js';
import { distance, inputsOf } from './library/run.js';
import { LANES_ONLY, WARPS } from './machines.js';

type Case = readonly [kernel: string, shape: Record<string, number>, params: Record<string, number>];
const attention = { heads: 2, q_len: 32, kv_len: 48, head_dim: 16 };

/** Tiles that divide the shape: what is computed is then what the interpreter computes, operation by operation. */
const WHOLE: readonly Case[] = [
  [
    'gemm',
    { m: 32, n: 32, k: 32 },
    { bm: 16, bn: 16, bk: 16, stages: 2, groups_m: 1, groups_n: 1, panel: 1, cluster_n: 1, cluster_m: 1 },
  ],
  [
    'gemm',
    { m: 16, n: 32, k: 32, batch: 2 },
    { bm: 16, bn: 16, bk: 16, stages: 2, groups_m: 1, groups_n: 1, panel: 1, cluster_n: 1, cluster_m: 1 },
  ],
  ['attention_fused', attention, { bq: 16, bkv: 16, stages: 1, groups: 1, pack: 0 }],
  ['attention_two_pass', attention, { bq: 16, bkv: 16, stages: 1, groups: 1, pack: 0 }],
  ['softmax', { rows: 8, cols: 32 }, { rows: 4, groups: 1, block: 0 }],
  ['layernorm', { rows: 8, cols: 32 }, { rows: 4, groups: 1, block: 0 }],
  ['rmsnorm', { rows: 8, cols: 32 }, { rows: 4, groups: 1, block: 0 }],
];

/** Tiles that do not: ranks end where tensors end. */
const RAGGED: readonly Case[] = [
  [
    'gemm',
    { m: 19, n: 21, k: 37 },
    { bm: 16, bn: 16, bk: 16, stages: 2, groups_m: 1, groups_n: 1, panel: 1, cluster_n: 1, cluster_m: 1 },
  ],
  [
    'conv2d',
    { in_channels: 5, out_channels: 6, height: 9, width: 8, kernel: 3, stride: 2, padding: 1 },
    { bm: 16, bn: 16, bk: 4, stages: 1, groups_m: 1, groups_n: 1, panel: 1 },
  ],
  [
    'conv2d',
    { in_channels: 8, out_channels: 4, height: 6, width: 6, kernel: 1 },
    { bm: 16, bn: 16, bk: 4, stages: 1, groups_m: 1, groups_n: 1, panel: 1 },
  ],
  [
    'attention_fused',
    { heads: 4, kv_heads: 2, q_len: 20, kv_len: 32, head_dim: 16 },
    { bq: 16, bkv: 16, stages: 1, groups: 1, pack: 0 },
  ],
];

function built([name, shape, params]: Case, machine = WARPS) {
  const kernel = kernelByName(name) as Kernel;
  const op = kernel.toOp(
    shape,
    name.startsWith('layer') || name.startsWith('rms') || name === 'softmax' ? 'fp32' : 'fp16',
  );
  return kernel.build(op, params, machine);
}

describe('the cascade of a program computes what the program computes', () => {
  it.each([...WHOLE, ...RAGGED])('%s %o', (...c) => {
    for (const launch of built(c)) {
      const { program } = launch;
      const cascade = cascadeOf(program);
      if (!hasCascade(cascade)) throw new Error(cascade.reason);
      const inputs = inputsOf([launch]);
      const wanted = interpret(program, inputs).outputs;
      const found = evaluateCascade(cascade, program.tensors, inputs);
      for (const [name, values] of Object.entries(wanted))
        expect(distance(found[name]!, values), name).toBeLessThan(1e-9);
    }
  });

  it.each(WHOLE)('%s does as many operations', (...c) => {
    for (const launch of built(c)) {
      const { program } = launch;
      const cascade = cascadeOf(program);
      if (!hasCascade(cascade)) throw new Error(cascade.reason);
      const { flops_executed } = interpret(program, inputsOf([launch]));
      expect(flopsOfCascade(cascade) / flops_executed).toBeCloseTo(1, 1);
    }
  });
});

describe('ranks', () => {
  it('a product has three, whatever its tiles', () => {
    const cascades = [
      WHOLE[0]!,
      [
        'gemm',
        { m: 32, n: 32, k: 32 },
        { bm: 32, bn: 16, bk: 32, stages: 1, groups_m: 1, groups_n: 1, panel: 1, cluster_n: 1, cluster_m: 1 },
      ] as const,
    ].map((c) => cascadeOf(built(c)[0]!.program));
    for (const c of cascades) {
      if (!hasCascade(c)) throw new Error(c.reason);
      expect(Object.values(c.ranks)).toEqual([32, 32, 32]);
      expect(c.einsums).toHaveLength(1);
    }
  });

  it('blocks of keys stay a rank where a running maximum is handed on', () => {
    const c = cascadeOf(built(WHOLE[2]!)[0]!.program);
    if (!hasCascade(c)) throw new Error(c.reason);
    expect(c.ranks).toMatchObject({ j: 3, j0: 16 });
    const m = c.einsums.find((e) => e.name === 'm')!;
    expect(m.out.at.at(-1)).toEqual({ terms: [{ rank: 'j', stride: 1 }], offset: 1 });
  });

  it('keys are one rank where the maximum is found first', () => {
    const c = cascadeOf(built(WHOLE[3]!)[0]!.program);
    if (!hasCascade(c)) throw new Error(c.reason);
    expect(c.ranks['j']).toBe(48);
  });
});

describe('what has no cascade says why', () => {
  it.each([
    [
      'attention_fused',
      { ...attention, causal: 1 },
      { bq: 16, bkv: 16, stages: 1, groups: 1, pack: 0 },
      /bounds of loop j depend/,
    ],
    ['gather', { rows: 8, cols: 16, count: 4 }, {}, /picked by index/],
  ] as const)('%s', (name, shape, params, reason) => {
    const kernel = kernelByName(name) as Kernel;
    let op: ReturnType<typeof kernel.toOp>;
    try {
      op = kernel.toOp(shape, 'fp16');
    } catch {
      return;
    }
    const [first] = kernel.candidates(op, LANES_ONLY);
    const { program } = kernel.build(op, { ...first, ...params }, WARPS)[0]!;
    const c = cascadeOf(program);
    expect(hasCascade(c) ? '' : c.reason).toMatch(reason);
  });
});
