/**
 * Launches on which `steady` is set beside `event`: every kernel of the library, on shapes large and small, even and
 * ragged, causal, windowed and decoding, each with a few of its tiles spread over the candidates, on shipped GPUs.
 */
import type { DType } from '../../src/base/dtype.js';
import { runEvent } from '../../src/engine/event/run.js';
import { runSteady } from '../../src/engine/steady/steady.js';
import { COLD, type Context, type RunResult } from '../../src/engine/types.js';
import { isMisfit, residency } from '../../src/kernel/fit.js';
import type { Launch } from '../../src/kernel/kernel.js';
import { type AnyKernel, kernelByName } from '../../src/kernel/library/index.js';
import type { ResourceGraph } from '../../src/machine/graph.js';

type Shape = Readonly<Record<string, number>>;

/** Kernel and shapes; dtype bf16 where nothing is said. */
export const SHAPES: readonly (readonly [kernel: string, dtype: DType, shapes: readonly Shape[]])[] = [
  [
    'gemm',
    'fp16',
    [
      { m: 4096, n: 4096, k: 1024 },
      { m: 16, n: 4096, k: 4096 },
      { m: 512, n: 1024, k: 2048 },
      { m: 300, n: 700, k: 500 },
      { m: 128, n: 128, k: 4096 },
      { m: 2048, n: 1536, k: 640 },
      { m: 64, n: 64, k: 64, batch: 48 },
      { m: 1000, n: 3000, k: 333 },
    ],
  ],
  ['gemm', 'fp32', [{ m: 512, n: 512, k: 512 }]],
  [
    'gemm_split_k',
    'fp16',
    [
      { m: 64, n: 512, k: 8192 },
      { m: 100, n: 300, k: 5000 },
    ],
  ],
  [
    'gemm_stream_k',
    'fp16',
    [
      { m: 1024, n: 1536, k: 2048 },
      { m: 640, n: 768, k: 4096 },
    ],
  ],
  [
    'gemv',
    'fp16',
    [
      { m: 1, n: 4096, k: 4096 },
      { m: 4, n: 11008, k: 2048 },
      { m: 1, n: 1000, k: 777 },
    ],
  ],
  ['grouped_gemm', 'fp16', [{ groups: 16, rows: 64, n: 768, k: 1024 }]],
  [
    'conv2d',
    'fp16',
    [{ batch: 4, in_channels: 64, out_channels: 128, height: 28, width: 28, kernel: 3, stride: 1, padding: 1 }],
  ],
  [
    'conv2d_window',
    'fp16',
    [{ batch: 4, in_channels: 64, out_channels: 128, height: 56, width: 56, kernel: 3, stride: 1, padding: 1 }],
  ],
  [
    'conv3d',
    'fp16',
    [{ in_channels: 64, out_channels: 96, depth: 5, height: 30, width: 52, padding: 1, padding_depth: 1 }],
  ],
  [
    'attention_fused',
    'fp16',
    [
      { batch: 1, heads: 32, q_len: 1024, head_dim: 128, causal: 1 },
      { batch: 4, heads: 8, q_len: 512, head_dim: 64 },
      { batch: 1, heads: 16, kv_heads: 4, q_len: 1500, head_dim: 128, causal: 1, window: 300 },
      { batch: 1, heads: 4, q_len: 200, head_dim: 64, causal: 1 },
    ],
  ],
  [
    'attention_split',
    'fp16',
    [
      { batch: 4, heads: 32, kv_heads: 8, q_len: 1, kv_len: 4096, head_dim: 128, causal: 1 },
      { batch: 1, heads: 32, kv_heads: 32, q_len: 1, kv_len: 2000, head_dim: 128, causal: 1 },
      { batch: 16, heads: 16, kv_heads: 2, q_len: 1, kv_len: 1024, head_dim: 64, causal: 1 },
    ],
  ],
  [
    'attention_two_pass',
    'fp16',
    [
      { batch: 1, heads: 8, q_len: 512, head_dim: 64 },
      { batch: 2, heads: 16, q_len: 700, head_dim: 128, causal: 1 },
    ],
  ],
  [
    'attention_unfused',
    'fp16',
    [
      { batch: 1, heads: 8, q_len: 512, head_dim: 64 },
      { batch: 1, heads: 16, q_len: 600, head_dim: 128, causal: 1 },
    ],
  ],
  [
    'attention_backward_fused',
    'fp16',
    [
      { batch: 2, heads: 8, q_len: 512, head_dim: 64 },
      { batch: 1, heads: 16, q_len: 700, head_dim: 128, causal: 1 },
      { batch: 1, heads: 8, kv_heads: 2, q_len: 512, head_dim: 128, causal: 1, window: 200 },
    ],
  ],
  ['attention_keys_outer', 'fp16', [{ batch: 4, heads: 16, q_len: 1024, head_dim: 64, causal: 1 }]],
  ['attention_backward_keys_outer', 'fp16', [{ batch: 4, heads: 16, q_len: 512, head_dim: 64, causal: 1 }]],
  ['attention_backward_two_sweeps', 'fp16', [{ batch: 4, heads: 16, q_len: 512, head_dim: 64, causal: 1 }]],
  ['attention_backward_unfused', 'fp16', [{ batch: 2, heads: 8, q_len: 512, head_dim: 64 }]],
  [
    'softmax',
    'fp16',
    [
      { rows: 4096, cols: 4096 },
      { rows: 300, cols: 1000 },
    ],
  ],
  [
    'layernorm',
    'fp16',
    [
      { rows: 4096, cols: 4096 },
      { rows: 128, cols: 768, residual: 1 },
    ],
  ],
  [
    'rmsnorm',
    'fp16',
    [
      { rows: 2048, cols: 8192 },
      { rows: 16, cols: 4096 },
    ],
  ],
  [
    'elementwise',
    'fp16',
    [
      { op: 0, n: 1 << 22 },
      { op: 6, n: 1 << 23 },
      { op: 15, n: 11008 * 16 },
    ],
  ],
  ['rotary', 'fp16', [{ rows: 2048, heads: 32, head_dim: 128 }]],
  ['rotary_cache', 'fp16', [{ rows: 4096, heads: 32, head_dim: 128, kv_heads: 8, positions: 1024 }]],
  ['kv_append', 'fp16', [{ rows: 512, cols: 4096 }]],
  ['gather', 'fp16', [{ rows: 2048, cols: 4096, table_rows: 32000 }]],
  ['scatter_combine', 'fp16', [{ rows: 1024, cols: 2048, fan_in: 2 }]],
  ['scatter_add', 'fp16', [{ rows: 1024, cols: 2048, fan_in: 2 }]],
  ['topk', 'fp16', [{ rows: 1024, cols: 128, k: 8 }]],
  [
    'transpose',
    'fp16',
    [
      { rows: 4096, cols: 4096 },
      { rows: 1000, cols: 700 },
    ],
  ],
  [
    'fft',
    'fp32',
    [
      { n: 4096, batch: 256 },
      { n: 2 ** 18, batch: 2 },
    ],
  ],
  [
    'reduce',
    'fp16',
    [
      { rows: 4096, cols: 4096 },
      { rows: 64, cols: 10000 },
    ],
  ],
  ['all_reduce_one_shot', 'fp16', [{ elements: 1 << 16, devices: 4 }]],
  ['all_reduce_two_shot', 'fp16', [{ elements: 1 << 21, devices: 8 }]],
  ['all_gather', 'fp16', [{ elements: 1 << 20, devices: 8 }]],
];

export interface Case {
  readonly kernel: string;
  readonly shape: Shape;
  readonly machine: ResourceGraph;
  readonly launch: Launch;
}

/** Up to `tiles` choices of each kernel and shape on each machine, spread evenly over those that fit. */
export function* cases(machines: readonly ResourceGraph[], tiles: number): Generator<Case> {
  for (const machine of machines)
    for (const [name, dtype, shapes] of SHAPES) {
      const kernel: AnyKernel = kernelByName(name);
      for (const shape of shapes) {
        const given: Record<string, number> = {};
        for (const [key, k] of Object.entries(kernel.shape)) {
          const value = shape[key] ?? k.default;
          if (value !== undefined) given[key] = value;
        }
        const op = kernel.toOp(given, dtype);
        if (kernel.rejects(op, machine)) continue;
        const fitting = [];
        for (const params of kernel.candidates(op, machine)) {
          const launches = kernel.build(op, params, machine);
          if (launches.every((l) => !isMisfit(residency(l, machine)))) fitting.push(launches);
        }
        const n = Math.min(tiles, fitting.length);
        for (let i = 0; i < n; i++)
          for (const launch of fitting[Math.floor(((i + 0.5) * fitting.length) / n)]!)
            yield { kernel: name, shape: given, machine, launch };
      }
    }
}

export interface Pair {
  readonly case: Case;
  readonly steady: RunResult;
  readonly event: RunResult;
  /** steady ÷ event − 1, of the whole time. */
  readonly difference: number;
}

/** Both engines at the nominal clock, caches cold. */
export function measure(c: Case): Pair {
  const context: Context = { ...COLD, clock_Hz: c.machine.control.clock.nominal_Hz };
  const steady = runSteady(c.launch, c.machine, context);
  const event = runEvent(c.launch, c.machine, context);
  return { case: c, steady, event, difference: steady.time_s / event.time_s - 1 };
}

/** Value below which a share `q` of the absolute differences lies. */
export function quantile(pairs: readonly { readonly difference: number }[], q: number): number {
  const sorted = pairs.map((p) => Math.abs(p.difference)).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!;
}
