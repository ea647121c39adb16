import { describe, expect, test } from 'vitest';
import { isMisfit, residency } from '../../../src/kernel/fit.js';
import type { Kernel, Params } from '../../../src/kernel/kernel.js';
import { attention_fused } from '../../../src/kernel/library/attention_fused.js';
import { attention_keys_outer } from '../../../src/kernel/library/attention_keys_outer.js';
import { type Attention, attentionOp } from '../../../src/kernel/library/attention_op.js';
import { attention_split } from '../../../src/kernel/library/attention_split.js';
import { attention_two_pass } from '../../../src/kernel/library/attention_two_pass.js';
import { attention_unfused } from '../../../src/kernel/library/attention_unfused.js';
import type { ResourceGraph } from '../../../src/machine/graph.js';
import { attentionPairs, flopsOf } from '../../../src/workload/op.js';
import { difference } from './difference.js';
import { LANES, WARP, WARPGROUP } from './plain-machines.js';

const op = (shape: Record<string, number>, more: Partial<Attention> = {}): Attention => ({
  ...attentionOp(shape, 'fp64'),
  ...more,
});

const SHAPES: [string, Attention][] = [
  ['whole blocks', op({ heads: 2, q_len: 32, head_dim: 16 })],
  ['nothing divides', op({ batch: 2, heads: 2, q_len: 19, kv_len: 37, head_dim: 12 })],
  ['causal', op({ heads: 2, q_len: 45, head_dim: 8, causal: 1 })],
  ['causal, queries at the end', op({ heads: 1, q_len: 21, kv_len: 70, head_dim: 8, causal: 1 })],
  ['causal, fewer keys than queries', op({ heads: 1, q_len: 40, kv_len: 23, head_dim: 8, causal: 1 })],
  ['causal window', op({ heads: 1, q_len: 50, kv_len: 90, head_dim: 8, causal: 1, window: 21 })],
  ['window', op({ heads: 1, q_len: 50, kv_len: 64, head_dim: 8, window: 20 })],
  ['grouped heads', op({ heads: 6, kv_heads: 2, q_len: 20, kv_len: 33, head_dim: 8, causal: 1 })],
  ['decode', op({ batch: 2, heads: 4, q_len: 1, kv_len: 77, head_dim: 8, causal: 1 })],
  ['grouped decode', op({ batch: 2, heads: 8, kv_heads: 2, q_len: 1, kv_len: 77, head_dim: 8, causal: 1 })],
  ['grouped decode, window', op({ heads: 8, kv_heads: 2, q_len: 1, kv_len: 77, head_dim: 8, causal: 1, window: 30 })],
  ['speculated tokens', op({ batch: 2, heads: 6, kv_heads: 2, q_len: 5, kv_len: 41, head_dim: 8, causal: 1 })],
  ['speculated tokens, window', op({ heads: 6, kv_heads: 2, q_len: 5, kv_len: 61, head_dim: 8, causal: 1, window: 9 })],
  [
    'ragged',
    op({ batch: 3, heads: 4, kv_heads: 2, q_len: 3, kv_len: 50, head_dim: 8, causal: 1 }, { kv_lens: [50, 3, 17] }),
  ],
  ['ragged, all keys', op({ batch: 3, heads: 2, q_len: 18, kv_len: 48, head_dim: 8 }, { kv_lens: [48, 32, 5] })],
  ['ragged window', op({ batch: 2, heads: 1, q_len: 9, kv_len: 48, head_dim: 8, window: 12 }, { kv_lens: [48, 7] })],
  ['relative bias', op({ heads: 2, q_len: 20, kv_len: 35, head_dim: 8 }, { relative_bias: true })],
  [
    'relative bias, grouped decode',
    op({ heads: 4, kv_heads: 2, q_len: 1, kv_len: 35, head_dim: 8 }, { relative_bias: true }),
  ],
];

const tiles = { bq: 16, bkv: 16, stages: 2, groups: 4 };
const UNFUSED = { bm: 16, bn: 32, bk: 16, stages: 2, groups: 4, rows: 2, block: 0, softmax_groups: 1 };
const VARIANTS: [Kernel<'attention'>, Params][] = [
  [attention_fused, { ...tiles, pack: 0 }],
  [attention_fused, { ...tiles, pack: 0, scaled: 1 }],
  [attention_fused, { ...tiles, bq: 8, bkv: 32, pack: 1 }],
  [attention_two_pass, { ...tiles, pack: 0 }],
  [attention_two_pass, { ...tiles, bkv: 48, pack: 1 }],
  [attention_split, { ...tiles, pack: 0, splits: 3, vector: 0 }],
  [attention_split, { ...tiles, bq: 4, pack: 1, splits: 2, vector: 1 }],
  [attention_split, { ...tiles, pack: 1, splits: 8, vector: 0 }],
  [attention_keys_outer, tiles],
  [attention_keys_outer, { ...tiles, bq: 8, bkv: 32 }],
  [attention_unfused, UNFUSED],
  [attention_unfused, { ...UNFUSED, bm: 32, bn: 16 }],
];

describe('every attention kernel gives softmax(QKᵀ/√d + mask)V', () => {
  for (const machine of [WARP, LANES])
    for (const [kernel, params] of VARIANTS)
      test(`${kernel.name} ${JSON.stringify(params)} on ${machine.name}`, () => {
        for (const [what, shape] of SHAPES) {
          const why = kernel.rejects(shape, machine);
          // with keys outside, queries that see a block must be neighbours
          if (kernel === attention_keys_outer && why) {
            expect(shape.kv_lens !== undefined || shape.window > 0, what).toBe(true);
            continue;
          }
          expect(why).toBeUndefined();
          expect(difference(kernel, shape, params, machine).worst, what).toBeLessThan(1e-12);
        }
      });
});

describe('rounded to the dtypes, the results stay as near as the formats allow', () => {
  const cases: [string, ResourceGraph, Partial<Attention>, number][] = [
    ['bf16', WARP, { q: 'bf16', kv: 'bf16', o: 'bf16' }, 0.02],
    ['fp16', WARPGROUP, { q: 'fp16', kv: 'fp16', o: 'fp16' }, 0.003],
    ['fp32 on lanes', WARP, { q: 'fp32', kv: 'fp32', o: 'fp32' }, 1e-6],
    ['bf16 on lanes', LANES, { q: 'bf16', kv: 'bf16', o: 'bf16' }, 0.02],
    ['fp8 keys and values', WARPGROUP, { q: 'bf16', kv: 'fp8_e4m3', o: 'bf16' }, 0.06],
    ['fp8 keys and values, register operands', WARP, { q: 'bf16', kv: 'fp8_e4m3', o: 'bf16' }, 0.06],
    ['fp8', WARPGROUP, { q: 'fp8_e4m3', kv: 'fp8_e4m3', o: 'bf16' }, 0.12],
    ['fp8 as 16-bit', WARP, { q: 'fp8_e4m3', kv: 'fp8_e4m3', o: 'bf16' }, 0.12],
  ];
  for (const [what, machine, dtypes, tolerance] of cases)
    test(what, () => {
      const shape = op({ heads: 2, q_len: 40, kv_len: 70, head_dim: 16, causal: 1 }, dtypes);
      for (const [kernel, params] of VARIANTS)
        expect(difference(kernel, shape, params, machine, { rounding: 'dtype' }).worst, kernel.name).toBeLessThan(
          tolerance,
        );
    });
});

describe('work', () => {
  test('one pass over whole blocks does exactly the useful products', () => {
    const shape = op({ batch: 2, heads: 4, kv_heads: 2, q_len: 32, kv_len: 64, head_dim: 16 });
    const { launches } = difference(attention_fused, shape, { ...tiles, pack: 0 }, WARP);
    expect(launches[0]!.mma_flops).toBe(flopsOf(shape));
    const unfused = difference(attention_unfused, shape, UNFUSED, WARP).launches;
    expect(unfused.reduce((sum, l) => sum + l.mma_flops, 0)).toBe(flopsOf(shape));
  });
  test('two passes do the first product twice', () => {
    const shape = op({ heads: 2, q_len: 32, kv_len: 64, head_dim: 16 });
    const { launches } = difference(attention_two_pass, shape, { ...tiles, pack: 0 }, WARP);
    expect(launches[0]!.mma_flops).toBe(1.5 * flopsOf(shape));
  });
  test('causal: blocks above the diagonal are skipped, blocks on it are done whole', () => {
    const shape = op({ heads: 1, q_len: 64, head_dim: 16, causal: 1 });
    const blocks = 1 + 2 + 3 + 4;
    for (const [kernel, params] of [
      [attention_fused, { ...tiles, pack: 0 }],
      [attention_unfused, { ...UNFUSED, bn: 16 }],
    ] as [Kernel<'attention'>, Params][]) {
      const { launches } = difference(kernel, shape, params, WARP);
      expect(launches.reduce((sum, l) => sum + l.mma_flops, 0)).toBe(4 * blocks * 16 * 16 * 16);
    }
    expect(attentionPairs(shape)).toBe((64 * 65) / 2);
  });
  test('a window reads only the blocks it touches', () => {
    const shape = op({ heads: 1, q_len: 1, kv_len: 160, head_dim: 16, causal: 1, window: 32 });
    const { launches } = difference(attention_fused, shape, { ...tiles, pack: 0 }, WARP);
    expect(launches[0]!.requested_B.tensor['k']!.read_B).toBe(32 * 16 * 8);
  });
  test('each query tile reads keys and values once in one pass, keys twice in two', () => {
    const shape = op({ heads: 1, q_len: 32, kv_len: 64, head_dim: 16 });
    const once = 64 * 16 * 8;
    const fused = difference(attention_fused, shape, { ...tiles, pack: 0 }, WARP).launches[0]!.requested_B.tensor;
    expect([fused['k']!.read_B, fused['v']!.read_B]).toEqual([2 * once, 2 * once]);
    const two = difference(attention_two_pass, shape, { ...tiles, pack: 0 }, WARP).launches[0]!.requested_B.tensor;
    expect([two['k']!.read_B, two['v']!.read_B]).toEqual([4 * once, 2 * once]);
  });
  test('keys in the outer loop move 2Nd + Tc(3Nd + 4N) + Nd + 2N elements', () => {
    const [N, d, bkv] = [96, 16, 32];
    const shape = op({ heads: 1, q_len: N, head_dim: d });
    const { requested_B } = difference(attention_keys_outer, shape, { ...tiles, bkv }, WARP).launches[0]!;
    const moved = Object.values(requested_B.tensor).reduce((sum, t) => sum + t.read_B + t.write_B, 0);
    expect(moved).toBe(8 * (2 * N * d + (N / bkv) * (3 * N * d + 4 * N) + N * d + 2 * N));
  });
  test('packing reads the keys of a group once', () => {
    const shape = op({ heads: 8, kv_heads: 2, q_len: 1, kv_len: 64, head_dim: 16 });
    const read = (pack: number) =>
      difference(attention_fused, shape, { ...tiles, pack }, WARP).launches[0]!.requested_B.tensor['k']!.read_B;
    expect(read(1)).toBe(2 * 64 * 16 * 8);
    expect(read(0)).toBe(4 * read(1));
  });
  test('a masked element costs one exponential like any other, rescaling one a row and block', () => {
    const shape = op({ heads: 1, q_len: 16, kv_len: 48, head_dim: 16 });
    const { work } = difference(attention_fused, shape, { ...tiles, pack: 0 }, WARP).launches[0]!;
    expect(work.exp2).toBe(16 * 48 + 16 * 3);
    expect(work.rcp).toBe(16);
  });
});

describe('candidates', () => {
  const KERNELS = [attention_fused, attention_two_pass, attention_split, attention_unfused];
  const list = (k: Kernel<'attention'>, o: Attention, m: ResourceGraph) => [...k.candidates(o, m)];
  const prefill = {
    ...op({ heads: 32, q_len: 2048, head_dim: 128, causal: 1 }),
    q: 'bf16',
    kv: 'bf16',
    o: 'bf16',
  } as const;
  const decode = { ...prefill, kv_heads: 8, q_len: 1, kv_len: 4096 };
  test('are few, legal, repeatable and fit at least once', () => {
    for (const machine of [WARP, WARPGROUP, LANES])
      for (const head_dim of [16, 64, 72, 80, 96, 128, 160, 256, 512])
        for (const base of [prefill, decode])
          for (const kernel of KERNELS) {
            if (kernel === attention_split && base === prefill) continue;
            const shape = { ...base, head_dim };
            const all = list(kernel, shape, machine);
            const what = `${kernel.name} ${machine.name} d=${head_dim} q=${shape.q_len}`;
            expect(all.length, what).toBeGreaterThan(0);
            expect(all.length, what).toBeLessThanOrEqual(60);
            expect(list(kernel, shape, machine)).toEqual(all);
            for (const params of all)
              for (const [name, value] of Object.entries(params))
                expect(kernel.params[name]?.values, `${what} ${name}`).toContain(value);
            const fits = all.filter((params) =>
              kernel.build(shape, params, machine).every((l) => !isMisfit(residency(l, machine))),
            );
            expect(fits.length, `${what}: some fit`).toBeGreaterThan(0);
          }
  });
  test('FlashAttention-2 at width 128 (128×64, four warps) and FlashAttention-3 (128×176, two warpgroups) fit', () => {
    const fitting = (params: Params, machine: ResourceGraph) =>
      residency(attention_fused.build(prefill, params, machine)[0]!, machine);
    expect(fitting({ bq: 128, bkv: 64, stages: 1, groups: 4, pack: 0 }, WARP)).toMatchObject({
      workgroups_per_core: 2,
    });
    expect(fitting({ bq: 128, bkv: 176, stages: 2, groups: 2, pack: 0 }, WARPGROUP)).toMatchObject({
      workgroups_per_core: 1,
    });
    expect(isMisfit(fitting({ bq: 128, bkv: 256, stages: 2, groups: 4, pack: 0 }, WARP))).toBe(true);
  });
});

test('a shape that makes no sense is refused', () => {
  expect(() => attentionOp({ heads: 6, kv_heads: 4, q_len: 1, head_dim: 8 }, 'fp16')).toThrow('no multiple');
  expect(() => attentionOp({ heads: 6, q_len: 1 }, 'fp16')).toThrow("'head_dim' is missing");
  expect(() => attentionOp({ heads: 6, q_len: 1, headdim: 8 }, 'fp16')).toThrow("did you mean 'head_dim'");
  expect(() => attentionOp({ heads: 6, q_len: 0, head_dim: 8 }, 'fp16')).toThrow("'q_len' is 0");
});
