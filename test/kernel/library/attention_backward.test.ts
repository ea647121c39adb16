/** The gradients of attention: the reference against finite differences, every kernel against the reference, bytes, work. */
import { describe, expect, test } from 'vitest';
import { isMisfit, residency } from '../../../src/kernel/fit.js';
import { interpretLaunches } from '../../../src/kernel/interpret.js';
import type { Kernel, Params } from '../../../src/kernel/kernel.js';
import { attention_backward_fused } from '../../../src/kernel/library/attention_backward_fused.js';
import { attention_backward_keys_outer } from '../../../src/kernel/library/attention_backward_keys_outer.js';
import {
  type AttentionBackward,
  attentionBackwardOp,
  attentionBackwardReference,
  forwardOf,
} from '../../../src/kernel/library/attention_backward_op.js';
import { attention_backward_two_sweeps } from '../../../src/kernel/library/attention_backward_two_sweeps.js';
import { attention_backward_unfused } from '../../../src/kernel/library/attention_backward_unfused.js';
import { attention_fused } from '../../../src/kernel/library/attention_fused.js';
import { attention_keys_outer } from '../../../src/kernel/library/attention_keys_outer.js';
import { attentionReference } from '../../../src/kernel/library/attention_op.js';
import type { ResourceGraph } from '../../../src/machine/graph.js';
import { flopsOf } from '../../../src/workload/op.js';
import { difference, noise } from './difference.js';
import { LANES, WARP, WARPGROUP } from './plain-machines.js';

const op = (shape: Record<string, number>, more: Partial<AttentionBackward> = {}): AttentionBackward => ({
  ...attentionBackwardOp(shape, 'fp64'),
  ...more,
});

/** q, k, v and dO at random; O and the rows' sums as the forward pass makes them. */
function inputsFor(o: AttentionBackward): Record<string, Float64Array> {
  const random = (n: number, seed: number) => {
    const next = noise(seed);
    return Float64Array.from({ length: n }, () => next());
  };
  const queries = o.batch * o.q_len * o.heads * o.head_dim;
  const keys = o.batch * o.kv_len * o.kv_heads * o.head_dim;
  const given = { q: random(queries, 1), k: random(keys, 2), v: random(keys, 3), do: random(queries, 4) };
  return { ...given, ...attentionReference(forwardOf(o), given) };
}

function worst(
  kernel: Kernel<'attention_backward'>,
  o: AttentionBackward,
  params: Params,
  machine: ResourceGraph,
  rounding: 'fp64' | 'dtype' = 'fp64',
) {
  const inputs = inputsFor(o);
  const launches = kernel.build(o, params, machine);
  const names = new Set(launches.flatMap((l) => l.program.tensors.map((t) => t.name)));
  const used = Object.fromEntries(Object.entries(inputs).filter(([name]) => names.has(name)));
  const { outputs, launches: results } = interpretLaunches(launches, used, { rounding });
  let off = 0;
  for (const [name, values] of Object.entries(kernel.reference(o, inputs))) {
    expect(outputs[name]?.length, name).toBe(values.length);
    for (let i = 0; i < values.length; i++) {
      const d = Math.abs(outputs[name]![i]! - values[i]!);
      off = Number.isNaN(d) ? Number.POSITIVE_INFINITY : Math.max(off, d);
    }
  }
  return { off, results };
}

const SHAPES: [string, AttentionBackward][] = [
  ['whole blocks', op({ heads: 2, q_len: 32, head_dim: 16 })],
  ['nothing divides', op({ batch: 2, heads: 2, q_len: 19, kv_len: 37, head_dim: 12 })],
  ['causal', op({ heads: 2, q_len: 45, head_dim: 8, causal: 1 })],
  ['causal, queries at the end', op({ heads: 1, q_len: 21, kv_len: 70, head_dim: 8, causal: 1 })],
  ['causal, fewer keys than queries', op({ heads: 1, q_len: 40, kv_len: 23, head_dim: 8, causal: 1 })],
  ['causal window', op({ heads: 1, q_len: 50, kv_len: 90, head_dim: 8, causal: 1, window: 21 })],
  ['short window', op({ heads: 1, q_len: 64, head_dim: 8, causal: 1, window: 5 })],
  ['grouped heads', op({ batch: 2, heads: 6, kv_heads: 2, q_len: 20, kv_len: 33, head_dim: 8, causal: 1 })],
];

const BLOCK = { bq: 16, bkv: 16, stages: 2, groups: 4 };
const UNFUSED = {
  bm: 16,
  bn: 32,
  bk: 16,
  vm: 16,
  vn: 16,
  vk: 16,
  stages: 2,
  groups: 4,
  rows: 2,
  block: 0,
  softmax_groups: 1,
};
const VARIANTS: [Kernel<'attention_backward'>, Params][] = [
  [attention_backward_fused, BLOCK],
  [attention_backward_fused, { ...BLOCK, bq: 8, bkv: 32 }],
  [attention_backward_fused, { ...BLOCK, bq: 5, bkv: 7, stages: 1 }],
  [attention_backward_two_sweeps, { ...BLOCK, sq: 32, skv: 8 }],
  [attention_backward_two_sweeps, { ...BLOCK, bq: 32, sq: 6, skv: 16 }],
  [attention_backward_keys_outer, BLOCK],
  [attention_backward_keys_outer, { ...BLOCK, bq: 5, bkv: 7, stages: 1 }],
  [attention_backward_unfused, UNFUSED],
  [attention_backward_unfused, { ...UNFUSED, bm: 7, bn: 5, bk: 3, vm: 6, vn: 5, vk: 4, block: 8 }],
];

describe('the reference', () => {
  test.each(SHAPES)('%s: is the slope of Σ dO∘O, by central differences', (_, o) => {
    const inputs = inputsFor(o);
    const gradients = attentionBackwardReference(o, inputs);
    const loss = (changed: Record<string, Float64Array>): number => {
      const out = attentionReference(forwardOf(o), changed)['o']!;
      return out.reduce((sum, x, i) => sum + x * inputs['do']![i]!, 0);
    };
    const step = 1e-5;
    for (const name of ['q', 'k', 'v']) {
      const size = inputs[name]!.length;
      for (const i of [0, Math.floor(size / 3), size - 1]) {
        const moved = (by: number) => {
          const values = inputs[name]!.slice();
          values[i]! += by;
          return loss({ ...inputs, [name]: values });
        };
        const slope = (moved(step) - moved(-step)) / (2 * step);
        expect(gradients[`d${name}`]![i]!, `d${name}[${i}]`).toBeCloseTo(slope, 7);
      }
    }
  });
});

describe('every backward kernel gives the gradients', () => {
  for (const machine of [WARP, LANES])
    for (const [kernel, params] of VARIANTS)
      test(`${kernel.name} ${JSON.stringify(params)} on ${machine.name}`, () => {
        for (const [what, o] of SHAPES) {
          expect(kernel.rejects(o, machine)).toBeUndefined();
          expect(worst(kernel, o, params, machine).off, what).toBeLessThan(1e-12);
        }
      });
  test('rounded to the dtypes, as near as the formats allow', () => {
    const cases: [AttentionBackward['dtype'], ResourceGraph, number][] = [
      ['bf16', WARP, 0.05],
      ['fp16', WARPGROUP, 0.008],
      ['fp32', WARP, 2e-6],
      ['bf16', LANES, 0.05],
    ];
    for (const [dtype, machine, tolerance] of cases)
      for (const [kernel, params] of VARIANTS) {
        const o = op({ heads: 2, q_len: 40, kv_len: 70, head_dim: 16, causal: 1 }, { dtype });
        const { off } = worst(kernel, o, params, machine, 'dtype');
        expect(off, `${kernel.name} ${dtype} on ${machine.name}`).toBeLessThan(tolerance);
      }
  });
});

test('the forward kernel writes the logarithms that the backward pass reads', () => {
  for (const [what, o] of SHAPES) {
    const forward = forwardOf(o);
    for (const machine of [WARP, LANES]) {
      for (const kernel of [attention_fused, attention_keys_outer]) {
        const { worst: off } = difference(kernel, forward, { ...BLOCK, pack: 1 }, machine);
        expect(off, what).toBeLessThan(1e-12);
      }
    }
  }
});

describe('work and bytes of whole blocks', () => {
  const o = op({ batch: 2, heads: 4, kv_heads: 2, q_len: 64, kv_len: 96, head_dim: 16 });
  const flops = (kernel: Kernel<'attention_backward'>, params: Params) =>
    worst(kernel, o, params, WARP).results.reduce((sum, l) => sum + l.mma_flops, 0);
  test('one sweep and the unfused launches do five products, two sweeps seven', () => {
    expect(flops(attention_backward_fused, BLOCK)).toBe(flopsOf(o));
    expect(flops(attention_backward_unfused, UNFUSED)).toBe(flopsOf(o));
    expect(flops(attention_backward_two_sweeps, { ...BLOCK, sq: 32, skv: 32 })).toBe((flopsOf(o) * 7) / 5);
  });
  const bytes = (kernel: Kernel<'attention_backward'>, params: Params) => {
    const sum: Record<string, number> = {};
    for (const { requested_B } of worst(kernel, o, params, WARP).results)
      for (const [name, t] of Object.entries(requested_B.tensor)) sum[name] = (sum[name] ?? 0) + t.read_B + t.write_B;
    return sum;
  };
  // fp64 throughout: 8 bytes an element
  const query = 8 * 2 * 64 * 4 * 16;
  const key = 8 * 2 * 96 * 2 * 16;
  const row = 8 * 2 * 64 * 4;
  test('one sweep: queries, their gradients and the sums of dQ once a block of keys', () => {
    const blocks = 96 / 16;
    expect(bytes(attention_backward_fused, BLOCK)).toEqual({
      q: blocks * query,
      // D takes dO and O once more
      do: (blocks + 1) * query,
      o: query,
      k: key,
      v: key,
      dk: key,
      dv: key,
      log_sums: blocks * row,
      deltas: (blocks + 1) * row,
      // cleared, added to, read
      dq_sums: (blocks + 2) * query,
      dq: query,
    });
  });
  test('keys in the outer loop: sums of dQ are read and written once a block', () => {
    const blocks = 96 / 16;
    const outer = bytes(attention_backward_keys_outer, BLOCK);
    expect(outer['dq_sums']).toBe((2 * blocks + 2) * query);
    expect({ ...outer, dq_sums: 0 }).toEqual({ ...bytes(attention_backward_fused, BLOCK), dq_sums: 0 });
  });
  test('two sweeps: no sums of dQ, keys once a tile of queries of every head', () => {
    const blocks = 96 / 16;
    const tiles = 64 / 32;
    expect(bytes(attention_backward_two_sweeps, { ...BLOCK, sq: 32, skv: 16 })).toEqual({
      q: (blocks + 1) * query,
      do: (blocks + 1) * query,
      o: query,
      dq: query,
      // each head of a group reads the keys for itself
      k: (1 + 2 * tiles) * key,
      v: (1 + 2 * tiles) * key,
      dk: key,
      dv: key,
      log_sums: (blocks + 1) * row,
      deltas: (blocks + 1) * row,
    });
  });
  test('unfused: eight passes over N × N matrices', () => {
    const square = 8 * 2 * 4 * 64 * 96;
    const { p, ds } = bytes(attention_backward_unfused, UNFUSED);
    // P written, read for dV and for dS; dP written, read, dS written, read for dQ and dK
    expect(p).toBe(3 * square);
    expect(ds).toBe(5 * square);
  });
  test('causal: blocks above the diagonal are skipped', () => {
    const causal = op({ heads: 1, q_len: 64, head_dim: 16, causal: 1 });
    const { results } = worst(attention_backward_fused, causal, BLOCK, WARP);
    expect(results.reduce((sum, l) => sum + l.mma_flops, 0)).toBe(10 * (1 + 2 + 3 + 4) * 16 * 16 * 16);
  });
});

describe('candidates', () => {
  test('are few, legal, repeatable and fit at least once', () => {
    for (const machine of [WARP, WARPGROUP, LANES])
      for (const head_dim of [16, 64, 96, 128, 256])
        for (const kernel of [attention_backward_fused, attention_backward_two_sweeps, attention_backward_unfused]) {
          const o = op({ heads: 16, q_len: 2048, head_dim, causal: 1 }, { dtype: 'bf16' });
          const all = [...kernel.candidates(o, machine)];
          const what = `${kernel.name} ${machine.name} d=${head_dim}`;
          expect(all.length, what).toBeGreaterThan(0);
          expect(all.length, what).toBeLessThanOrEqual(40);
          expect([...kernel.candidates(o, machine)]).toEqual(all);
          for (const params of all)
            for (const [name, value] of Object.entries(params))
              expect(kernel.params[name]?.values, `${what} ${name}`).toContain(value);
          const fits = all.filter((params) =>
            kernel.build(o, params, machine).every((l) => !isMisfit(residency(l, machine))),
          );
          expect(fits.length, `${what}: some fit`).toBeGreaterThan(0);
        }
  });
  test('FlashAttention-2 at width 64 (128×128, eight warps) and 128 (64×128) fit', () => {
    for (const [head_dim, bq] of [
      [64, 128],
      [128, 64],
    ] as const) {
      const o = op({ heads: 16, q_len: 2048, head_dim }, { dtype: 'fp16' });
      const launches = attention_backward_fused.build(o, { bq, bkv: 128, stages: 2, groups: 8 }, WARP);
      expect(launches.map((l) => isMisfit(residency(l, WARP)))).toEqual([false, false, false]);
    }
  });
});

test('what makes no sense, or is of the forward pass alone, is refused', () => {
  expect(() => attentionBackwardOp({ heads: 6, kv_heads: 4, q_len: 1, head_dim: 8 }, 'fp16')).toThrow('no multiple');
  expect(() => attentionBackwardOp({ heads: 6, q_len: 1, head_dim: 8, causal: 2 }, 'fp16')).toThrow("'causal' is 2");
  const o = op({ heads: 1, q_len: 64, head_dim: 16, window: 8 });
  expect(attention_backward_fused.rejects(o, WARP)).toContain('windows around a query');
  expect(attention_backward_fused.rejects({ ...o, window: 0, dtype: 'fp8_e4m3' }, WARPGROUP)).toContain('16 bits');
});
