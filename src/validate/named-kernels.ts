/**
 * Kernels that a table names, as choices of the library's own: cuBLAS's SGEMM by the tile in its name and the parts of
 * k in its grid, PyTorch's row kernels by their block (aten/src/ATen/native/cuda/PersistentSoftmax.cuh, SoftMax.cu,
 * layer_norm_kernel.cu).
 */
import type { Pins } from '../kernel/mapper.js';
import type { OpOf } from '../workload/op.js';

/** What a row says of the launch. */
export interface NamedLaunch {
  readonly kernel: string;
  readonly grid: readonly [x: number, y: number, z: number];
  readonly block_x: number;
}

/** Lanes of a lane group on the machines of such tables. */
const WARP = 32;
/** Numbers of fp32 in one access of a lane. */
const VECTOR = 4;

const SGEMM = /^(?:volta|turing|ampere)_sgemm_(\d+)x(\d+)(?:_sliced1x(\d+))?_[tn][tn]$/;

/** Parts that the split kernel can have; the nearest not above is taken. */
const PARTS = [2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64] as const;

/**
 * cuBLAS counts columns first: its 128x64 is 64 rows by 128 columns here, and grid_x walks the columns. Each lane adds
 * up 8 × 8 where the tile has as many for it, else 4 × 4. Undefined for names that are read in no such way.
 */
export function sgemmPins(op: OpOf<'matmul'>, launch: NamedLaunch): Pins | undefined {
  const [, across, down, slices] = SGEMM.exec(launch.kernel) ?? [];
  if (!across || !down) return undefined;
  const [bn, bm] = [Number(across), Number(down)];
  const groups = Math.max(1, launch.block_x / WARP / Number(slices ?? 1));
  // warps of 32 × 64 or 16 × 32 elements: lanes stand 4 × 8
  const lane = (bm * bn) / (groups * WARP) >= 64 ? 8 : 4;
  const groups_m = Math.max(1, Math.min(groups, bm / (4 * lane)));
  const groups_n = groups / groups_m;
  const tile = { bm, bn, groups_m, groups_n };
  const parts = PARTS.filter((p) => p <= launch.grid[2] / op.batch).at(-1);
  if (slices && !parts) return { kernel: 'gemm', params: tile };
  return parts ? { kernel: 'gemm_split_k', params: { ...tile, split: parts } } : { kernel: 'gemm', params: tile };
}

export function softmaxPins(op: OpOf<'softmax'>, launch: NamedLaunch): Pins | undefined {
  if (launch.kernel.includes('softmax_warp_forward')) {
    // a warp keeps its rows in registers
    const rows = 2 ** Math.round(Math.log2(op.rows / launch.grid[0]));
    return { kernel: 'softmax', params: { rows, groups: Math.min(rows, 4), block: 0 } };
  }
  if (!launch.kernel.includes('SoftMaxForward')) return undefined;
  // a workgroup reads its row for the maximum, for the sum and for the result
  const block = Math.max(256, launch.block_x * VECTOR);
  return {
    kernel: 'softmax',
    params: { rows: 1, groups: launch.block_x / WARP, block: op.cols > block ? block : 0, passes: 3 },
  };
}

/** Lane groups of the vectorised layer norm, along the block's second dim, and columns of one round. */
const NORM_GROUPS = 4;

export function layerNormPins(op: OpOf<'normalise'>, launch: NamedLaunch): Pins | undefined {
  if (!launch.kernel.includes('vectorized_layer_norm_kernel')) return undefined;
  const block = NORM_GROUPS * launch.block_x * VECTOR;
  return { kernel: 'layernorm', params: { rows: 1, groups: NORM_GROUPS, block: op.cols > block ? block : 0 } };
}
