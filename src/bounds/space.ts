/**
 * Where each kernel's tile sizes may lie: pairs of sizes that share the near store, searched over all whole numbers up to
 * the op's extents, and what is held fixed meanwhile. Copies need one buffer each: more hide latency, not bytes.
 * Kernels without an entry are searched over the legal values of their own parameters.
 */
import type { Params } from '../kernel/kernel.js';
import type { KernelName } from '../kernel/library/index.js';
import { convOut, type Op, type OpKind, type OpOf } from '../workload/op.js';

export interface Space {
  /** Sizes that compete, one pair (or one alone) after the other, with their largest sensible values. */
  readonly pairs: readonly (readonly Axis[])[];
  /** What else is set; several to try. */
  readonly fixed: readonly Params[];
}
export interface Axis {
  readonly name: string;
  readonly most: number;
}

type SpaceOf<K extends OpKind> = (op: OpOf<K>) => Space;
// biome-ignore lint/suspicious/noExplicitAny: spaces of different ops share no narrower parameter type
type AnySpace = SpaceOf<any>;

/** Products that a program is unrolled into at most. */
const MOST_PRODUCTS = 576;
export const axis = (name: string, most: number): Axis => ({ name, most });
const LONE = { stages: 1, groups: 1 };
const PRODUCT = { stages: 1, groups_m: 1, groups_n: 1, panel: 1, cluster_m: 1, cluster_n: 1 };

const product = (m: number, n: number, fixed: readonly Params[]): Space => ({
  pairs: [[axis('bm', m), axis('bn', n)]],
  fixed: fixed.map((f) => ({ ...PRODUCT, ...f })),
});
/** As much of a row as fits, then as many rows: they share what is the same for all (scales of a norm). */
const rowsIn = (rows: number, cols: number): Space => ({
  pairs: [[axis('block', cols)], [axis('rows', rows)]],
  fixed: [{ groups: 1 }],
});

function queries(op: OpOf<'attention'>, more: Params): Space {
  const group = op.heads / op.kv_heads;
  return {
    pairs: [[axis('bq', op.q_len * group), axis('bkv', op.kv_len)]],
    fixed: (group > 1 && !op.relative_bias ? [0, 1] : [0]).map((pack) => ({ ...LONE, ...more, pack })),
  };
}

export const SPACES: { readonly [K in KernelName]?: AnySpace } = {
  gemm: (op: OpOf<'matmul'>) => product(op.m, op.n, [{ bk: 1 }]),
  gemm_split_k: (op: OpOf<'matmul'>) => product(op.m, op.n, [{ bk: 1, split: 2 }]),
  grouped_gemm: (op: OpOf<'grouped_matmul'>) => product(op.rows, op.n, [{ bk: 1 }]),
  conv2d: (op: OpOf<'conv2d'>) => product(convOut(op)[1], op.out_channels, [{ bk: op.in_channels > 64 ? 16 : 1 }]),
  conv3d: (op: OpOf<'conv3d'>) => product(convOut(op)[1], op.out_channels, [{ bk: op.in_channels > 64 ? 16 : 1 }]),
  conv2d_window: (op: OpOf<'conv2d'>) => {
    const [height, width] = convOut(op);
    const phases = [1, 2, 4, 8].flatMap((py) => [1, 2, 4, 8].map((px) => ({ py, px })));
    return {
      pairs: [[axis('bm', width), axis('bn', op.out_channels)]],
      fixed: phases
        .filter(({ py, px }) => py <= height && px <= width && py * px * op.kernel ** 2 <= MOST_PRODUCTS)
        .map((at) => ({ ...PRODUCT, bk: 1, ...at })),
    };
  },
  attention_fused: (op: OpOf<'attention'>) => queries(op, {}),
  attention_two_pass: (op: OpOf<'attention'>) => queries(op, {}),
  attention_split: (op: OpOf<'attention'>) => queries(op, { splits: 2, vector: 0 }),
  attention_unfused: (op: OpOf<'attention'>) => ({
    pairs: [[axis('bm', op.q_len), axis('bn', Math.max(op.kv_len, op.head_dim))], [axis('block', op.kv_len)]],
    fixed: [{ ...LONE, bk: 1, rows: 1, softmax_groups: 1 }],
  }),
  attention_small_memory: (op: OpOf<'attention'>) => ({
    pairs: [
      [axis('bm', op.q_len), axis('bn', op.kv_len)],
      [axis('vm', op.q_len), axis('vn', op.head_dim)],
    ],
    fixed: [{ ...LONE, bk: 1, vk: 1 }],
  }),
  attention_keys_outer: (op: OpOf<'attention'>) => ({
    pairs: [[axis('bkv', op.kv_len), axis('bq', op.q_len)]],
    fixed: [LONE],
  }),
  attention_backward_keys_outer: (op: OpOf<'attention_backward'>) => ({
    pairs: [[axis('bkv', op.kv_len), axis('bq', op.q_len)]],
    fixed: [LONE],
  }),
  attention_backward_fused: (op: OpOf<'attention_backward'>) => ({
    pairs: [[axis('bkv', op.kv_len), axis('bq', op.q_len)]],
    fixed: [LONE],
  }),
  attention_backward_two_sweeps: (op: OpOf<'attention_backward'>) => ({
    pairs: [
      [axis('bkv', op.kv_len), axis('bq', op.q_len)],
      [axis('sq', op.q_len), axis('skv', op.kv_len)],
    ],
    fixed: [LONE],
  }),
  attention_backward_unfused: (op: OpOf<'attention_backward'>) => ({
    pairs: [
      [axis('bm', op.q_len), axis('bn', op.kv_len)],
      [axis('vm', Math.max(op.q_len, op.kv_len)), axis('vn', op.head_dim)],
      [axis('block', op.kv_len)],
    ],
    fixed: [{ ...LONE, bk: 1, vk: 1, rows: 1, softmax_groups: 1 }],
  }),
  // the least points for each number of trips; wide butterflies need least besides
  fft: (op: OpOf<'fft'>) => {
    const bits = Math.log2(op.n);
    const sizes = Array.from({ length: bits }, (_, i) => 2 ** Math.ceil(bits / (i + 1)));
    return {
      pairs: [],
      fixed: [...new Set(sizes)].flatMap((points) =>
        [16, 8, 4, 2].map((radix) => ({ groups: 1, cols: 1, radix, points })),
      ),
    };
  },
  softmax: (op: OpOf<'softmax'>) => rowsIn(op.rows, op.cols),
  layernorm: (op: OpOf<'normalise'>) => rowsIn(op.rows, op.cols),
  rmsnorm: (op: OpOf<'normalise'>) => rowsIn(op.rows, op.cols),
};

export const spaceOf = (kernel: string, op: Op): Space | undefined =>
  (SPACES as Record<string, AnySpace | undefined>)[kernel]?.(op);
