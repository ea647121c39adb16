/** Kernels of the library at small shapes, ragged ones among them, for the device to run. */
import type { DType } from '../../src/base/dtype.js';
import type { Tensor } from '../../src/kernel/ir.js';
import type { Launch, Params } from '../../src/kernel/kernel.js';
import { kernelByName } from '../../src/kernel/library/index.js';
import type { ResourceGraph } from '../../src/machine/graph.js';
import type { Op } from '../../src/workload/op.js';

export interface Case {
  readonly kernel: string;
  readonly shape: Readonly<Record<string, number>>;
  readonly dtype: DType;
  /** Over what the kernel makes of shape and dtype, such as the formats of a product. */
  readonly op?: Readonly<Record<string, unknown>>;
  /** Given values over the kernel's defaults. */
  readonly params?: Params;
  /** The i-th value of index tensors; i when absent. */
  readonly index?: (i: number) => number;
}
const tiles = (bm: number, bn: number, bk: number, gm: number, gn: number, stages = 2): Params => ({
  bm,
  bn,
  bk,
  stages,
  groups_m: gm,
  groups_n: gn,
});

export const CASES: readonly Case[] = [
  { kernel: 'gemm', shape: { m: 64, n: 64, k: 48 }, dtype: 'fp32', params: tiles(32, 32, 16, 2, 1) },
  { kernel: 'gemm', shape: { m: 50, n: 39, k: 21 }, dtype: 'fp32', params: tiles(16, 32, 8, 1, 1) },
  // three rows of tiles in panels of two
  { kernel: 'gemm', shape: { m: 96, n: 96, k: 32 }, dtype: 'fp32', params: { ...tiles(32, 32, 16, 2, 1), panel: 2 } },
  { kernel: 'gemm', shape: { m: 64, n: 96, k: 64, batch: 2 }, dtype: 'fp16', params: tiles(64, 64, 32, 2, 2, 1) },
  { kernel: 'gemm', shape: { m: 64, n: 64, k: 64 }, dtype: 'bf16', params: tiles(64, 32, 16, 4, 1, 3) },
  // as many elements to widen as there are lanes
  { kernel: 'gemm', shape: { m: 32, n: 32, k: 32 }, dtype: 'fp16', params: tiles(32, 32, 8, 4, 2) },
  { kernel: 'gemm', shape: { m: 32, n: 32, k: 32 }, dtype: 'int8', params: tiles(32, 32, 32, 1, 1) },
  { kernel: 'gemm', shape: { m: 64, n: 96, k: 80 }, dtype: 'int8', params: tiles(32, 32, 16, 1, 1) },
  { kernel: 'gemm', shape: { m: 33, n: 21, k: 18 }, dtype: 'int8', params: tiles(32, 32, 16, 1, 1) },
  { kernel: 'gemm', shape: { m: 64, n: 32, k: 32 }, dtype: 'uint8', params: tiles(32, 32, 16, 1, 1, 1) },
  { kernel: 'gemm', shape: { m: 32, n: 64, k: 64 }, dtype: 'int4', params: tiles(32, 32, 32, 1, 1) },
  // weights of few bits beside activations of 16: scales per column, per column and group of 128 rows
  { kernel: 'gemm', shape: { m: 32, n: 64, k: 64 }, dtype: 'fp16', op: { b: 'int8' }, params: tiles(32, 32, 32, 1, 1) },
  {
    kernel: 'gemm',
    shape: { m: 32, n: 64, k: 256 },
    dtype: 'fp16',
    op: { b: 'int4' },
    params: tiles(32, 32, 32, 1, 1),
  },
  {
    kernel: 'gemm',
    shape: { m: 20, n: 36, k: 128 },
    dtype: 'bf16',
    op: { b: 'int4' },
    params: tiles(32, 32, 16, 1, 1, 1),
  },
  { kernel: 'gemv', shape: { n: 128, k: 256 }, dtype: 'fp16', op: { b: 'int4' } },
  { kernel: 'gemv', shape: { n: 96, k: 200 }, dtype: 'fp16', op: { b: 'int8' } },
  {
    kernel: 'gemm_split_k',
    shape: { m: 32, n: 32, k: 256 },
    dtype: 'fp32',
    params: { ...tiles(32, 32, 16, 1, 1), split: 4 },
  },
  { kernel: 'gemm_stream_k', shape: { m: 64, n: 64, k: 64 }, dtype: 'fp32', params: tiles(32, 32, 16, 1, 1) },
  {
    kernel: 'conv2d',
    shape: { in_channels: 16, out_channels: 32, height: 9, width: 10, kernel: 3, stride: 2, padding: 1 },
    dtype: 'fp32',
    params: tiles(32, 32, 16, 1, 1),
  },
  {
    kernel: 'conv3d',
    shape: { in_channels: 16, out_channels: 32, depth: 4, height: 5, width: 6, padding: 1, padding_depth: 1 },
    dtype: 'fp32',
    params: tiles(32, 32, 16, 1, 1),
  },
  // unrolled over phases and window: small ones, since CPU devices compile long shaders slowly
  {
    kernel: 'conv2d_window',
    shape: { in_channels: 6, out_channels: 16, height: 7, width: 20, kernel: 2, padding: 1 },
    dtype: 'fp32',
    params: { ...tiles(8, 16, 4, 1, 1, 1), py: 1, px: 2 },
  },
  {
    kernel: 'grouped_gemm',
    shape: { rows: 80, n: 32, k: 32, groups: 3 },
    dtype: 'fp32',
    params: tiles(32, 32, 16, 1, 1),
  },
  { kernel: 'gemv', shape: { n: 128, k: 256 }, dtype: 'fp32' },
  {
    kernel: 'attention_small_memory',
    shape: { heads: 2, q_len: 40, kv_len: 56, head_dim: 16, causal: 1 },
    dtype: 'fp32',
    params: { bm: 32, bn: 32, bk: 16, vm: 32, vn: 16, vk: 16, stages: 2, groups: 4 },
  },
  { kernel: 'softmax', shape: { rows: 6, cols: 200 }, dtype: 'fp32' },
  { kernel: 'softmax', shape: { rows: 8, cols: 256 }, dtype: 'fp16', params: { rows: 4, groups: 4, block: 0 } },
  { kernel: 'softmax', shape: { rows: 3, cols: 5000 }, dtype: 'fp32', params: { rows: 1, groups: 8, block: 2048 } },
  { kernel: 'layernorm', shape: { rows: 5, cols: 384 }, dtype: 'fp32' },
  { kernel: 'rmsnorm', shape: { rows: 7, cols: 320, residual: 1 }, dtype: 'fp32' },
  {
    kernel: 'attention_fused',
    shape: { heads: 2, q_len: 64, kv_len: 96, head_dim: 32 },
    dtype: 'fp32',
    params: { bq: 32, bkv: 32, stages: 1, groups: 4, pack: 0 },
  },
  {
    kernel: 'attention_fused',
    shape: { heads: 2, q_len: 80, head_dim: 32, causal: 1 },
    dtype: 'fp16',
    params: { bq: 32, bkv: 32, stages: 2, groups: 4, pack: 0 },
  },
  {
    kernel: 'attention_fused',
    shape: { heads: 4, kv_heads: 2, q_len: 3, kv_len: 70, head_dim: 16 },
    dtype: 'fp32',
    params: { bq: 8, bkv: 16, stages: 1, groups: 4, pack: 1 },
  },
  {
    kernel: 'attention_split',
    shape: { heads: 4, kv_heads: 2, q_len: 1, kv_len: 128, head_dim: 32 },
    dtype: 'fp32',
    params: { bq: 2, bkv: 32, stages: 1, groups: 4, pack: 1, splits: 2, vector: 1 },
  },
  {
    kernel: 'attention_two_pass',
    shape: { heads: 1, q_len: 32, kv_len: 64, head_dim: 32 },
    dtype: 'fp32',
    params: { bq: 32, bkv: 32, stages: 1, groups: 4, pack: 0 },
  },
  {
    kernel: 'attention_backward_fused',
    shape: { heads: 2, q_len: 40, kv_len: 56, head_dim: 16, causal: 1 },
    dtype: 'fp32',
    params: { bq: 16, bkv: 32, stages: 2, groups: 4 },
  },
  {
    kernel: 'attention_backward_fused',
    shape: { heads: 4, kv_heads: 2, q_len: 32, head_dim: 32 },
    dtype: 'fp16',
    params: { bq: 16, bkv: 16, stages: 1, groups: 2 },
  },
  {
    kernel: 'attention_keys_outer',
    shape: { heads: 2, q_len: 40, kv_len: 56, head_dim: 16, causal: 1, statistics: 1 },
    dtype: 'fp32',
    params: { bq: 16, bkv: 32, stages: 1, groups: 4 },
  },
  {
    kernel: 'attention_backward_keys_outer',
    shape: { heads: 2, q_len: 40, kv_len: 56, head_dim: 16, causal: 1 },
    dtype: 'fp32',
    params: { bq: 16, bkv: 32, stages: 1, groups: 4 },
  },
  {
    kernel: 'attention_backward_two_sweeps',
    shape: { heads: 2, q_len: 40, kv_len: 56, head_dim: 16, causal: 1, window: 20 },
    dtype: 'fp32',
    params: { bq: 16, bkv: 16, stages: 2, groups: 4, sq: 32, skv: 16 },
  },
  {
    kernel: 'attention_backward_unfused',
    shape: { heads: 2, q_len: 40, kv_len: 56, head_dim: 16, causal: 1 },
    dtype: 'fp32',
    params: {
      bm: 32,
      bn: 32,
      bk: 16,
      vm: 32,
      vn: 16,
      vk: 16,
      stages: 2,
      groups: 4,
      rows: 2,
      block: 0,
      softmax_groups: 1,
    },
  },
  {
    kernel: 'attention_fused',
    shape: { heads: 2, q_len: 40, kv_len: 56, head_dim: 16, causal: 1, statistics: 1 },
    dtype: 'fp32',
    params: { bq: 32, bkv: 16, stages: 2, groups: 4, pack: 0 },
  },
  { kernel: 'attention_unfused', shape: { heads: 2, q_len: 32, kv_len: 64, head_dim: 32 }, dtype: 'fp32' },
  { kernel: 'elementwise', shape: { op: 0, n: 1000 }, dtype: 'fp32' },
  { kernel: 'elementwise', shape: { op: 8, n: 4096 }, dtype: 'fp16' },
  { kernel: 'elementwise', shape: { op: 6, n: 4096 }, dtype: 'fp32' },
  { kernel: 'reduce', shape: { rows: 9, cols: 300 }, dtype: 'fp32' },
  { kernel: 'reduce', shape: { rows: 4, cols: 512, op: 1 }, dtype: 'fp32' },
  { kernel: 'transpose', shape: { rows: 40, cols: 72 }, dtype: 'fp32', params: { tile: 32, groups: 4 } },
  { kernel: 'transpose', shape: { rows: 33, cols: 17 }, dtype: 'fp32', params: { tile: 16, groups: 2 } },
  { kernel: 'gather', shape: { rows: 20, cols: 48, table_rows: 64 }, dtype: 'fp32', index: (i) => (i * 29) % 64 },
  { kernel: 'scatter_add', shape: { rows: 12, cols: 32, fan_in: 2 }, dtype: 'fp32', index: (i) => (i * 5) % 6 },
  { kernel: 'fft', shape: { n: 64, batch: 3 }, dtype: 'fp32', params: { points: 64, cols: 2, radix: 4, groups: 2 } },
  // three trips with twiddles between them, the last of columns that do not fill a workgroup
  { kernel: 'fft', shape: { n: 512, inverse: 1 }, dtype: 'fp32', params: { points: 8, cols: 16, radix: 4, groups: 1 } },
  { kernel: 'fft', shape: { n: 256, batch: 2 }, dtype: 'fp16', params: { points: 16, cols: 4, radix: 16, groups: 1 } },
  { kernel: 'kv_append', shape: { rows: 6, cols: 64 }, dtype: 'fp32', index: (i) => 5 - i },
  { kernel: 'scatter_combine', shape: { rows: 12, cols: 32, fan_in: 2 }, dtype: 'fp32' },
  { kernel: 'rotary', shape: { rows: 5, heads: 4, head_dim: 32 }, dtype: 'fp32' },
  { kernel: 'topk', shape: { rows: 6, cols: 32, k: 2 }, dtype: 'fp32' },
];

export const nameOf = (c: Case): string =>
  `${c.kernel} ${Object.entries(c.shape)
    .map(([k, v]) => `${k}=${v}`)
    .join(
      ',',
    )} ${c.dtype}${c.op ? ` ${Object.entries(c.op).map(([k, v]) => `${k}:${v}`)}` : ''}${c.params ? ` ${Object.values(c.params).join('·')}` : ''}`;

/** The launches of a case: its parameters over the defaults, or the first candidate that `fits`. */
export function launchesOf(
  c: Case,
  machine: ResourceGraph,
  fits: (l: readonly Launch[]) => boolean,
): readonly Launch[] {
  const kernel = kernelByName(c.kernel);
  const op = { ...kernel.toOp(c.shape, c.dtype), ...c.op } as Op;
  if (c.params) {
    const defaults = Object.fromEntries(Object.entries(kernel.params).map(([k, p]) => [k, p.default]));
    return kernel.build(op, { ...defaults, ...c.params }, machine);
  }
  for (const params of kernel.candidates(op, machine)) {
    const launches = kernel.build(op, params, machine);
    if (fits(launches)) return launches;
  }
  throw new Error(`no candidate of ${nameOf(c)} fits`);
}

/** Small, and inside the format. */
const wholeOf = (dtype: DType, x: number): number =>
  dtype === 'uint8' ? x % 256 : dtype === 'int1' ? x % 2 : dtype === 'int4' ? (x % 16) - 8 : (x % 17) - 8;

/** Values in ±1 in steps of 1/64, exact in every 16-bit format; whole numbers for integers, `index` for indices. */
export function inputsOf(launches: readonly Launch[], c: Case): Record<string, Float64Array> {
  const inputs: Record<string, Float64Array> = {};
  for (const { program } of launches)
    for (const t of program.tensors) if (t.role === 'input' || t.role === 'inout') inputs[t.name] ??= valuesOf(t, c);
  return inputs;
}
function valuesOf(t: Tensor, c: Case): Float64Array {
  let state = 17;
  for (const ch of t.name) state = (state * 31 + ch.charCodeAt(0)) >>> 0;
  const size = t.dims.reduce((a, b) => a * b, 1);
  if (t.kind === 'index') return Float64Array.from({ length: size }, (_, i) => (c.index ?? ((x: number) => x))(i));
  const whole = /int/.test(t.dtype);
  return Float64Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return whole ? wholeOf(t.dtype, state >>> 16) : (((state >>> 16) % 129) - 64) / 64;
  });
}
