/** The closed count of requested bytes is the interpreter's, for every kernel, mask and ragged edge. */
import { describe, expect, test } from 'vitest';
import { liveBytes, requestedOf, requestedWithin } from '../../src/bounds/count.js';
import { nearMachine } from '../../src/bounds/near-machine.js';
import { sparse_gemm, triangular_gemm } from '../../src/bounds/programs.js';
import { checkProgram } from '../../src/kernel/check.js';
import type { Kernel, Params } from '../../src/kernel/kernel.js';
import { attention_backward_fused } from '../../src/kernel/library/attention_backward_fused.js';
import { attention_backward_keys_outer } from '../../src/kernel/library/attention_backward_keys_outer.js';
import { type AttentionBackward, attentionBackwardOp } from '../../src/kernel/library/attention_backward_op.js';
import { attention_backward_two_sweeps } from '../../src/kernel/library/attention_backward_two_sweeps.js';
import { attention_backward_unfused } from '../../src/kernel/library/attention_backward_unfused.js';
import { attention_fused } from '../../src/kernel/library/attention_fused.js';
import { attention_keys_outer } from '../../src/kernel/library/attention_keys_outer.js';
import { type Attention, attentionOp } from '../../src/kernel/library/attention_op.js';
import { attention_small_memory } from '../../src/kernel/library/attention_small_memory.js';
import { attention_split } from '../../src/kernel/library/attention_split.js';
import { attention_two_pass } from '../../src/kernel/library/attention_two_pass.js';
import { attention_unfused } from '../../src/kernel/library/attention_unfused.js';
import { conv2d } from '../../src/kernel/library/conv2d.js';
import { conv2d_window } from '../../src/kernel/library/conv2d_window.js';
import { elementwise } from '../../src/kernel/library/elementwise.js';
import { gemm } from '../../src/kernel/library/gemm.js';
import { gemm_split_k } from '../../src/kernel/library/gemm_split_k.js';
import { layernorm } from '../../src/kernel/library/layernorm.js';
import { rmsnorm } from '../../src/kernel/library/rmsnorm.js';
import { softmax } from '../../src/kernel/library/softmax.js';
import { transpose } from '../../src/kernel/library/transpose.js';
import type { Op, OpKind } from '../../src/workload/op.js';
import { difference } from '../kernel/library/difference.js';

function same<K extends OpKind>(kernel: Kernel<K>, op: Extract<Op, { kind: K }>, params: Params): void {
  const machine = nearMachine(op);
  const { launches } = difference(kernel, op, params, machine);
  const counted: Record<string, { read_B: number; write_B: number }> = {};
  for (const { requested_B } of launches)
    for (const [name, t] of Object.entries(requested_B.tensor)) {
      const sum = (counted[name] ??= { read_B: 0, write_B: 0 });
      sum.read_B += t.read_B;
      sum.write_B += t.write_B;
    }
  const programs = kernel.build(op, params, machine).map((l) => l.program);
  const { by_tensor, total_B } = requestedOf(programs);
  expect(by_tensor, `${kernel.name} ${JSON.stringify(params)}`).toEqual(counted);
  expect(total_B).toBe(Object.values(counted).reduce((s, t) => s + t.read_B + t.write_B, 0));
}

const P = { stages: 1, groups_m: 1, groups_n: 1, panel: 1, cluster_m: 1, cluster_n: 1 };

describe('products', () => {
  test.each<Record<string, number>>([
    { m: 16, n: 16, k: 16 },
    { m: 13, n: 7, k: 5, batch: 3 },
    { m: 1, n: 33, k: 9 },
  ])('%o', (shape) => {
    for (const [bm, bn, bk] of [
      [4, 4, 1],
      [5, 3, 2],
      [32, 8, 16],
      [1, 1, 1],
    ] as const) {
      same(gemm, gemm.toOp(shape, 'fp32'), { ...P, bm, bn, bk });
      same(gemm_split_k, gemm_split_k.toOp(shape, 'fp16'), { ...P, bm, bn, bk, split: 2 });
    }
  });
  test('convolution, with stride and padding', () => {
    for (const [stride, padding, batch] of [
      [1, 1, 1],
      [2, 0, 2],
      [2, 1, 1],
    ] as const) {
      const op = conv2d.toOp({ batch, in_channels: 3, out_channels: 5, height: 9, width: 8, stride, padding }, 'fp32');
      same(conv2d, op, { ...P, bm: 3, bn: 2, bk: 2 });
      same(conv2d, op, { ...P, bm: 8, bn: 8, bk: 1 });
      same(conv2d_window, op, { ...P, bm: 3, bn: 2, bk: 2, py: 2, px: 3 });
      same(conv2d_window, op, { ...P, bm: 2, bn: 5, bk: 1, py: 4, px: 1, stages: 2 });
    }
  });
});

describe('attention', () => {
  const op = (shape: Record<string, number>, more: Partial<Attention> = {}): Attention => ({
    ...attentionOp(shape, 'fp32'),
    ...more,
  });
  const shapes: [string, Attention][] = [
    ['nothing divides', op({ batch: 2, heads: 2, q_len: 19, kv_len: 37, head_dim: 12 })],
    ['causal', op({ heads: 2, q_len: 45, head_dim: 8, causal: 1 })],
    ['causal, queries at the end', op({ heads: 1, q_len: 21, kv_len: 70, head_dim: 8, causal: 1 })],
    ['causal window', op({ heads: 1, q_len: 30, kv_len: 90, head_dim: 8, causal: 1, window: 21 })],
    ['window', op({ heads: 1, q_len: 30, kv_len: 64, head_dim: 8, window: 20 })],
    ['grouped', op({ heads: 6, kv_heads: 2, q_len: 20, kv_len: 33, head_dim: 8, causal: 1 })],
    ['ragged', op({ batch: 3, heads: 2, q_len: 18, kv_len: 48, head_dim: 8 }, { kv_lens: [48, 32, 5] })],
  ];
  const tile = { bq: 16, bkv: 16, stages: 2, groups: 1, pack: 0 };
  test.each(shapes)('%s', (_, shape) => {
    for (const t of [tile, { ...tile, bq: 5, bkv: 7 }, { ...tile, bq: 1, bkv: 1 }]) {
      same(attention_fused, shape, t);
      if (!attention_keys_outer.rejects(shape, nearMachine(shape))) same(attention_keys_outer, shape, t);
      same(attention_two_pass, shape, t);
      same(attention_split, shape, { ...t, splits: 3, vector: 0 });
    }
    const u = { bm: 6, bn: 5, bk: 4, stages: 1, groups: 1, rows: 2, block: 0, softmax_groups: 1 };
    same(attention_unfused, shape, u);
    same(attention_unfused, shape, { ...u, block: 16, bm: 16, bn: 16 });
    same(attention_small_memory, shape, { bm: 6, bn: 5, bk: 3, vm: 7, vn: 3, vk: 2, stages: 1, groups: 1 });
  });
  test('decode with the heads of a group in one tile', () => {
    same(attention_fused, op({ batch: 2, heads: 8, kv_heads: 2, q_len: 1, kv_len: 77, head_dim: 8, causal: 1 }), {
      ...tile,
      bq: 4,
      pack: 1,
    });
  });
});

describe('backward attention', () => {
  const op = (shape: Record<string, number>) => attentionBackwardOp(shape, 'fp32');
  const shapes: [string, AttentionBackward][] = [
    ['nothing divides', op({ batch: 2, heads: 2, q_len: 19, kv_len: 37, head_dim: 12 })],
    ['causal', op({ heads: 2, q_len: 45, head_dim: 8, causal: 1 })],
    ['causal, queries at the end', op({ heads: 1, q_len: 21, kv_len: 70, head_dim: 8, causal: 1 })],
    ['causal window', op({ heads: 1, q_len: 30, kv_len: 90, head_dim: 8, causal: 1, window: 21 })],
    ['grouped', op({ heads: 6, kv_heads: 2, q_len: 20, kv_len: 33, head_dim: 8, causal: 1 })],
  ];
  test.each(shapes)('%s', (_, shape) => {
    for (const [bq, bkv] of [
      [16, 16],
      [5, 7],
      [1, 1],
    ] as const) {
      const block = { bq, bkv, stages: 2, groups: 1 };
      same(attention_backward_fused, shape, block);
      same(attention_backward_keys_outer, shape, block);
      same(attention_backward_two_sweeps, shape, { ...block, sq: bkv + 1, skv: bq });
      const u = { bm: bq, bn: bkv, bk: 3, vm: 7, vn: 3, vk: 2, stages: 1, groups: 1, rows: 2, softmax_groups: 1 };
      same(attention_backward_unfused, shape, { ...u, block: 0 });
      same(attention_backward_unfused, shape, { ...u, block: 16 });
    }
  });
  test('and the statistics that the forward pass leaves for it', () => {
    const shape = attentionOp({ heads: 2, q_len: 19, kv_len: 37, head_dim: 12, causal: 1, statistics: 1 }, 'fp32');
    same(attention_fused, shape, { bq: 5, bkv: 7, stages: 2, groups: 1, pack: 0 });
  });
});

describe('products that the library has no op for', () => {
  test('triangular: columns up to the tile’s last row, whatever the tile', () => {
    for (const [m, n, bm, bn] of [
      [16, 16, 4, 8],
      [13, 7, 5, 3],
      [9, 20, 16, 1],
    ] as const) {
      const op = triangular_gemm.toOp({ m, n }, 'fp32');
      same(triangular_gemm, op, { bm, bn });
      const lower = (t: { name: string; dims: readonly number[] }, next: () => number, i: number) =>
        t.name === 'L' && i % m > Math.floor(i / m) ? 0 : next();
      expect(difference(triangular_gemm, op, { bm, bn }, nearMachine(op), { fill: lower }).worst).toBeLessThan(1e-12);
    }
  });
  test('2:4 sparse: kept values and two bits each once a tile of columns, B once a tile of rows', () => {
    const [m, n, k] = [32, 48, 64];
    const op = sparse_gemm.toOp({ m, n, k, keep: 2, of: 4 }, 'fp16');
    const programs = sparse_gemm.build(op, { bm: 16, bn: 24 }, nearMachine(op)).map((l) => l.program);
    for (const p of programs) checkProgram(p);
    const kept = (m * k) / 2;
    expect(requestedOf(programs).total_B).toBe((n / 24) * kept * (2 + 2 / 8) + (m / 16) * k * n * 2 + m * n * 2);
  });
});

test('rows, streams and transposes', () => {
  for (const block of [0, 8])
    for (const rows of [1, 3]) {
      same(softmax, softmax.toOp({ rows: 7, cols: 21 }, 'fp32'), { rows, groups: 1, block });
      same(layernorm, layernorm.toOp({ rows: 7, cols: 21 }, 'fp16'), { rows, groups: 1, block });
      same(rmsnorm, rmsnorm.toOp({ rows: 7, cols: 21 }, 'bf16'), { rows, groups: 1, block });
    }
  same(elementwise, elementwise.toOp({ op: 0, n: 1000 }, 'fp32'), { groups: 1, per_lane: 8 });
  same(transpose, transpose.toOp({ rows: 33, cols: 20 }, 'fp32'), { tile: 16, groups: 1 });
});

test('a count that would take too many steps is given up, not guessed', () => {
  const op = attentionOp({ heads: 1, q_len: 512, head_dim: 8, causal: 1 }, 'fp32');
  const [launch] = attention_fused.build(op, { bq: 1, bkv: 1, stages: 1, groups: 1, pack: 0 }, nearMachine(op));
  expect(requestedWithin([launch!.program], 10)).toBeUndefined();
  expect(requestedWithin([launch!.program], 1e6)).toEqual(requestedOf([launch!.program]));
});

test('live bytes are all tiles with their stages, shared storage once', () => {
  const op = gemm.toOp({ m: 64, n: 64, k: 64 }, 'fp16');
  const [launch] = gemm.build(op, { ...P, bm: 8, bn: 4, bk: 2, stages: 3 }, nearMachine(op));
  expect(liveBytes([launch!.program])).toBe(3 * (8 * 2 + 2 * 4) * 2 + 8 * 4 * 4);
});
