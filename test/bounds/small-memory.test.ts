/** The small-memory kernel computes attention, whatever its tiles and the mask. */
import { describe, expect, test } from 'vitest';
import type { Params } from '../../src/kernel/kernel.js';
import { type Attention, attentionOp } from '../../src/kernel/library/attention_op.js';
import { attention_small_memory } from '../../src/kernel/library/attention_small_memory.js';
import { difference } from '../kernel/library/difference.js';
import { LANES, WARP, WARPGROUP } from '../kernel/library/plain-machines.js';

const op = (shape: Record<string, number>, more: Partial<Attention> = {}): Attention => ({
  ...attentionOp(shape, 'fp64'),
  ...more,
});
const SHAPES: [string, Attention][] = [
  ['whole blocks', op({ heads: 2, q_len: 32, head_dim: 16 })],
  ['nothing divides', op({ batch: 2, heads: 2, q_len: 19, kv_len: 37, head_dim: 12 })],
  ['causal', op({ heads: 2, q_len: 45, head_dim: 8, causal: 1 })],
  ['causal, fewer keys than queries', op({ heads: 1, q_len: 40, kv_len: 23, head_dim: 8, causal: 1 })],
  ['causal window', op({ heads: 1, q_len: 50, kv_len: 90, head_dim: 8, causal: 1, window: 21 })],
  ['window', op({ heads: 1, q_len: 50, kv_len: 64, head_dim: 8, window: 20 })],
  ['grouped heads', op({ heads: 6, kv_heads: 2, q_len: 20, kv_len: 33, head_dim: 8, causal: 1 })],
  ['decode', op({ batch: 2, heads: 4, q_len: 1, kv_len: 77, head_dim: 8, causal: 1 })],
  ['ragged', op({ batch: 3, heads: 2, q_len: 18, kv_len: 48, head_dim: 8 }, { kv_lens: [48, 32, 5] })],
  ['ragged causal', op({ batch: 2, heads: 1, q_len: 9, kv_len: 48, head_dim: 8, causal: 1 }, { kv_lens: [48, 7] })],
  ['relative bias', op({ heads: 2, q_len: 20, kv_len: 35, head_dim: 8 }, { relative_bias: true })],
];
const TILES: Params[] = [
  { bm: 16, bn: 16, bk: 16, vm: 16, vn: 16, vk: 16, stages: 2, groups: 4 },
  { bm: 7, bn: 5, bk: 3, vm: 6, vn: 4, vk: 1, stages: 1, groups: 1 },
];

describe('the small-memory kernel gives softmax(QKᵀ/√d + mask)V', () => {
  for (const machine of [WARP, LANES])
    test.each(SHAPES)(`%s on ${machine.name}`, (_, shape) => {
      for (const params of TILES)
        expect(difference(attention_small_memory, shape, params, machine).worst).toBeLessThan(1e-12);
    });
  test('and in 16 bits stays as near as the format allows', () => {
    const half = op({ heads: 2, q_len: 40, kv_len: 70, head_dim: 16, causal: 1 }, { q: 'fp16', kv: 'fp16', o: 'fp16' });
    expect(difference(attention_small_memory, half, TILES[0]!, WARPGROUP, { rounding: 'dtype' }).worst).toBeLessThan(
      0.003,
    );
  });
});
