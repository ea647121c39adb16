/** Every kernel, by name. Order is the order in which kernels of one op are tried. */
import { unknownName } from '../../base/errors.js';
import type { Op, OpKind } from '../../workload/op.js';
import type { Kernel } from '../kernel.js';
import { attention_backward_fused } from './attention_backward_fused.js';
import { attention_backward_keys_outer } from './attention_backward_keys_outer.js';
import { attention_backward_two_sweeps } from './attention_backward_two_sweeps.js';
import { attention_backward_unfused } from './attention_backward_unfused.js';
import { attention_fused } from './attention_fused.js';
import { attention_keys_outer } from './attention_keys_outer.js';
import { attention_one_pass } from './attention_one_pass.js';
import { attention_phases } from './attention_phases.js';
import { attention_rows_kept } from './attention_rows_kept.js';
import { attention_small_memory } from './attention_small_memory.js';
import { attention_split } from './attention_split.js';
import { attention_two_pass } from './attention_two_pass.js';
import { attention_unfused } from './attention_unfused.js';
import { all_gather, all_reduce_one_shot, all_reduce_two_shot, all_to_all, reduce_scatter } from './collective.js';
import { conv2d } from './conv2d.js';
import { conv2d_window } from './conv2d_window.js';
import { conv3d } from './conv3d.js';
import { elementwise } from './elementwise.js';
import { fft } from './fft.js';
import { gather } from './gather.js';
import { gemm } from './gemm.js';
import { gemm_split_k } from './gemm_split_k.js';
import { gemm_stream_k } from './gemm_stream_k.js';
import { gemv } from './gemv.js';
import { grouped_gemm } from './grouped_gemm.js';
import { kv_append } from './kv_append.js';
import { layernorm } from './layernorm.js';
import { optimiser } from './optimiser.js';
import { reduce } from './reduce.js';
import { rmsnorm } from './rmsnorm.js';
import { rotary } from './rotary.js';
import { rotary_cache } from './rotary_cache.js';
import { scatter_add } from './scatter_add.js';
import { scatter_combine } from './scatter_combine.js';
import { softmax } from './softmax.js';
import { topk } from './topk.js';
import { transpose } from './transpose.js';

/** A kernel of any op. Its functions take the op it names in `op`; ask `kernelsFor` to keep the two together. */
// biome-ignore lint/suspicious/noExplicitAny: kernels of different ops share no narrower parameter type
export type AnyKernel = Kernel<any>;

export const KERNELS = {
  gemm,
  gemm_split_k,
  gemm_stream_k,
  gemv,
  grouped_gemm,
  conv2d,
  conv2d_window,
  conv3d,
  attention_fused,
  attention_split,
  attention_two_pass,
  attention_unfused,
  attention_small_memory,
  attention_keys_outer,
  attention_one_pass,
  attention_rows_kept,
  attention_phases,
  attention_backward_fused,
  attention_backward_two_sweeps,
  attention_backward_unfused,
  attention_backward_keys_outer,
  softmax,
  layernorm,
  rmsnorm,
  elementwise,
  rotary,
  rotary_cache,
  kv_append,
  gather,
  scatter_combine,
  scatter_add,
  topk,
  transpose,
  fft,
  reduce,
  optimiser,
  all_reduce_one_shot,
  all_reduce_two_shot,
  all_gather,
  reduce_scatter,
  all_to_all,
} as const satisfies Record<string, AnyKernel>;

export type KernelName = keyof typeof KERNELS;
export const KERNEL_LIST: readonly AnyKernel[] = Object.values(KERNELS);

const BY_OP = new Map<OpKind, AnyKernel[]>();
for (const kernel of KERNEL_LIST) {
  const list = BY_OP.get(kernel.op);
  if (list) list.push(kernel);
  else BY_OP.set(kernel.op, [kernel]);
}

/** Kernels that compute ops of this kind, in a fixed order; empty when there is none. */
export function kernelsFor<O extends Op>(op: O): readonly Kernel<O['kind']>[] {
  return BY_OP.get(op.kind) ?? [];
}

/** One kernel by its own name, or all of a family by the family's. Throws InputError with the nearest name. */
export function kernelsNamed(name: string): readonly AnyKernel[] {
  const one = KERNEL_LIST.find((k) => k.name === name);
  if (one) return [one];
  const family = KERNEL_LIST.filter((k) => k.family === name);
  if (family.length > 0) return family;
  throw unknownName('kernel', name, kernelNames());
}

/** The kernel of this name, or the first of the family of this name. Throws InputError with the nearest name. */
export function kernelByName(name: string): AnyKernel {
  return kernelsNamed(name)[0]!;
}

/** Names of kernels and families, in order, each once. */
export function kernelNames(): string[] {
  return [...new Set(KERNEL_LIST.flatMap((k) => [k.family, k.name]))];
}
