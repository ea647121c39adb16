/**
 * What `validate` runs on a device: kernel × shape × tile, chosen for what they exercise before any was compared with
 * the model, and not changed since (those of integers and of transforms came later, with what they exercise). Calibration
 * sees none. Cases of one problem compute the same thing with different tiles, so their times rank. Sizes are for a
 * device that is a CPU: each runs in milliseconds there.
 *
 * Lanes are physical: `lanes` of a workgroup, or for products the part tm × tn that each lane holds of a bm × bn tile;
 * they become lane groups on the machine at hand.
 */
import type { DType } from '../../base/dtype.js';
import type { Params } from '../../kernel/kernel.js';
import { ELEMENTWISE, type ElementwiseFn } from '../../workload/op.js';

export const GROUPS = [
  'gemm',
  'split-k',
  'gemv',
  'softmax',
  'norm',
  'attention',
  'elementwise',
  'reduce',
  'transpose',
  'gather',
  'convolution',
  'integers',
  'transform',
] as const;
export type Group = (typeof GROUPS)[number];

/** Row of a table that each result row takes. */
export type Pattern = 'in order' | 'scattered' | 'all the same';

/** One kernel of a case. */
export interface Step {
  /** A kernel of the library, or of `probes.ts`. */
  readonly kernel: string;
  readonly shape: Readonly<Record<string, number>>;
  /** Over the kernel's defaults. */
  readonly params: Params;
  /** Tensors under other names, so that steps hand on what they made. */
  readonly rename?: Readonly<Record<string, string>>;
}

export interface DeviceCase {
  readonly id: string;
  /** One of GROUPS, or what a user asked for. */
  readonly group: string;
  /** Cases with the same problem differ in their tiles alone. */
  readonly problem: string;
  readonly dtype: DType;
  readonly steps: readonly Step[];
  readonly pattern?: Pattern;
  /** Params as the kernel has them: nothing in them stands for lanes. */
  readonly raw?: true;
}

type Variant = readonly [name: string, params: Params];

const problem = (
  group: Group,
  name: string,
  kernel: string,
  shape: Readonly<Record<string, number>>,
  variants: readonly Variant[],
  more: { readonly dtype?: DType; readonly pattern?: Pattern } = {},
): DeviceCase[] =>
  variants.map(([variant, params]) => ({
    id: `${name} ${kernel === name ? '' : `${kernel} `}${variant}`,
    group,
    problem: name,
    dtype: more.dtype ?? 'fp32',
    steps: [{ kernel, shape, params }],
    ...(more.pattern && { pattern: more.pattern }),
  }));

/** bm × bn × bk, each lane holding tm × tn. */
const block = (bm: number, bn: number, bk: number, tm: number, tn: number, stages = 1): Variant => [
  `${bm}x${bn}x${bk}/${tm}x${tn}${stages > 1 ? `,s${stages}` : ''}`,
  { bm, bn, bk, tm, tn, stages },
];
const split = (splits: number): Variant => {
  const [name, params] = block(32, 32, 16, 4, 4);
  return [`${name} split ${splits}`, { ...params, split: splits }];
};
const rows = (per: number, lanes: number, held = 0): Variant => [
  `${per} rows, ${lanes} lanes${held ? `, ${held} columns held` : ''}`,
  { rows: per, lanes, block: held },
];
const stream = (lanes: number, per_lane: number): Variant => [`${lanes} lanes × ${per_lane}`, { lanes, per_lane }];
const fused = (bq: number, bkv: number, lanes = 64): Variant => [
  `${bq}x${bkv}, ${lanes} lanes`,
  { bq, bkv, lanes, stages: 1, pack: 0 },
];
const unfused = (bm: number, bn: number, bk: number): Variant => [
  `${bm}x${bn}x${bk}`,
  { bm, bn, bk, stages: 1, lanes: 64, rows: 4, block: 0, softmax_lanes: 32 },
];

const trips = (points: number, cols: number, radix: number, lanes: number): Variant => [
  `${points} points × ${cols}, radix ${radix}, ${lanes} lanes`,
  { points, cols, radix, lanes },
];

const CUBE = { m: 128, n: 128, k: 128 };
const DEEP = { m: 32, n: 32, k: 1024 };
const HEADS_32 = { heads: 4, q_len: 128, kv_len: 128, head_dim: 32 };
const HEADS_64 = { heads: 2, q_len: 128, kv_len: 128, head_dim: 64 };
const ROWS = { rows: 256, cols: 512 };
/** Place of an element-wise function, as `--shape op=` takes it. */
const fn = (name: ElementwiseFn): number => Object.keys(ELEMENTWISE).indexOf(name);
const N = 65536;

/** silu(a)·b as one kernel, and as two with the result of the first going through memory. */
const chain = (parts: readonly Variant[]): DeviceCase[] =>
  parts.map(
    ([variant, params]): DeviceCase => ({
      id: `swiglu in two kernels ${variant}`,
      group: 'elementwise',
      problem: 'swiglu',
      dtype: 'fp32',
      steps: [
        { kernel: 'elementwise', shape: { op: fn('silu'), n: N }, params, rename: { out: 'middle' } },
        { kernel: 'elementwise', shape: { op: fn('mul'), n: N }, params, rename: { a: 'middle' } },
      ],
    }),
  );

export const CASES: readonly DeviceCase[] = [
  // from one element a lane to register tiles
  ...problem('gemm', 'gemm 128', 'gemm', CUBE, [
    block(8, 8, 8, 1, 1),
    block(16, 16, 16, 1, 1),
    block(16, 16, 16, 2, 2),
    block(32, 32, 16, 2, 2),
    block(32, 32, 8, 4, 4),
    block(32, 32, 16, 4, 4),
    block(32, 32, 32, 4, 4),
    block(32, 32, 16, 4, 4, 2),
    block(64, 32, 16, 4, 4),
    block(32, 64, 16, 4, 4),
    block(64, 64, 16, 4, 4),
    block(64, 64, 16, 8, 4),
    block(64, 64, 8, 8, 8),
  ]),
  ...problem('gemm', 'gemm 100x75x130', 'gemm', { m: 100, n: 75, k: 130 }, [
    block(16, 16, 16, 1, 1),
    block(16, 16, 16, 2, 2),
    block(32, 32, 16, 4, 4),
    block(64, 64, 8, 4, 4),
  ]),
  ...problem('gemm', 'gemm 32x512x64', 'gemm', { m: 32, n: 512, k: 64 }, [
    block(16, 64, 16, 2, 4),
    block(32, 32, 16, 2, 2),
    block(32, 64, 16, 4, 4),
    block(32, 128, 8, 4, 8),
  ]),
  ...problem('gemm', 'gemm fp16 128', 'gemm', CUBE, [block(32, 32, 16, 4, 4), block(64, 64, 16, 4, 4)], {
    dtype: 'fp16',
  }),
  ...problem('split-k', 'gemm 32x32x1024', 'gemm', DEEP, [block(32, 32, 16, 4, 4), block(16, 16, 16, 2, 2)]),
  ...problem('split-k', 'gemm 32x32x1024', 'gemm_split_k', DEEP, [split(2), split(4), split(8), split(16)]),
  ...problem(
    'gemv',
    'gemv 512',
    'gemv',
    { n: 512, k: 512 },
    (
      [
        [32, 8, 64],
        [64, 8, 64],
        [64, 16, 128],
        [128, 8, 64],
        [128, 4, 32],
      ] as const
    ).map(([bn, bk, lanes]) => [`${bk}x${bn}, ${lanes} lanes`, { bn, bk, lanes, stages: 1, split: 1 }]),
  ),
  ...problem('softmax', 'softmax', 'softmax', ROWS, [rows(1, 32), rows(1, 64), rows(2, 64), rows(4, 64), rows(4, 128)]),
  ...problem('softmax', 'softmax of long rows', 'softmax', { rows: 16, cols: 8192 }, [
    rows(1, 256),
    rows(1, 128, 2048),
    rows(1, 64, 2048),
  ]),
  ...problem('norm', 'layernorm', 'layernorm', ROWS, [rows(1, 32), rows(1, 64), rows(4, 64)]),
  ...problem('norm', 'rmsnorm', 'rmsnorm', ROWS, [rows(1, 32), rows(1, 64), rows(4, 64)]),
  ...problem('attention', 'attention d32', 'attention_fused', HEADS_32, [
    fused(16, 16),
    fused(16, 32),
    fused(32, 16),
    fused(32, 32),
    fused(64, 32),
    fused(32, 64),
    fused(32, 32, 128),
  ]),
  ...problem('attention', 'attention d32', 'attention_two_pass', HEADS_32, [fused(32, 32)]),
  ...problem('attention', 'attention d32', 'attention_unfused', HEADS_32, [unfused(32, 32, 16), unfused(64, 32, 16)]),
  ...problem('attention', 'attention d64', 'attention_fused', HEADS_64, [
    fused(16, 16),
    fused(16, 32),
    fused(32, 32),
    fused(32, 32, 128),
  ]),
  ...problem('attention', 'attention d64', 'attention_unfused', HEADS_64, [unfused(32, 32, 16), unfused(32, 64, 16)]),
  ...problem('attention', 'causal attention d32', 'attention_fused', { ...HEADS_32, causal: 1 }, [
    fused(16, 32),
    fused(32, 32),
    fused(32, 16),
  ]),
  ...problem('elementwise', 'gelu', 'elementwise', { op: fn('gelu'), n: N }, [
    stream(64, 1),
    stream(64, 4),
    stream(64, 16),
  ]),
  ...problem('elementwise', 'add', 'elementwise', { op: fn('add'), n: N }, [
    stream(64, 1),
    stream(64, 4),
    stream(256, 4),
  ]),
  ...problem('elementwise', 'copy', 'elementwise', { op: fn('copy'), n: N }, [stream(64, 1), stream(64, 8)]),
  ...problem('elementwise', 'swiglu', 'elementwise', { op: fn('swiglu'), n: N }, [stream(64, 4), stream(64, 16)]),
  ...chain([stream(64, 4), stream(64, 16)]),
  ...problem(
    'reduce',
    'reduce',
    'reduce',
    { rows: 64, cols: 2048 },
    (
      [
        [1, 512, 64, 1],
        [1, 512, 64, 4],
        [1, 2048, 256, 1],
        [4, 256, 64, 1],
      ] as const
    ).map(([per, held, lanes, splits]) => [
      `${per}x${held}, ${lanes} lanes, ${splits} parts`,
      { rows: per, block: held, lanes, splits, stages: 1 },
    ]),
  ),
  ...problem('transpose', 'transpose', 'transpose', { rows: 512, cols: 256 }, [
    ['16x16 through workgroup memory', { tile: 16, lanes: 64 }],
    ['32x32 through workgroup memory', { tile: 32, lanes: 64 }],
    ['64x64 through workgroup memory', { tile: 64, lanes: 128 }],
  ]),
  ...problem('transpose', 'transpose', 'transpose_direct', { rows: 512, cols: 256 }, [
    ['lanes along what is read', { rows: 2, cols: 64, lanes: 64 }],
    ['lanes along what is written', { rows: 64, cols: 2, lanes: 64 }],
  ]),
  ...problem('gather', 'gather in order', 'gather', { rows: 1024, cols: 64, table_rows: 4096 }, [
    ['1 row, 32 lanes', { rows: 1, block: 64, lanes: 32 }],
    ['4 rows, 64 lanes', { rows: 4, block: 64, lanes: 64 }],
  ]),
  ...problem(
    'gather',
    'gather scattered',
    'gather',
    { rows: 1024, cols: 64, table_rows: 4096 },
    [
      ['1 row, 32 lanes', { rows: 1, block: 64, lanes: 32 }],
      ['4 rows, 64 lanes', { rows: 4, block: 64, lanes: 64 }],
    ],
    { pattern: 'scattered' },
  ),
  ...problem(
    'gather',
    'gather of one row',
    'gather',
    { rows: 1024, cols: 64, table_rows: 4096 },
    [['4 rows, 64 lanes', { rows: 4, block: 64, lanes: 64 }]],
    { pattern: 'all the same' },
  ),
  ...problem(
    'convolution',
    'conv2d 3x3',
    'conv2d',
    { in_channels: 16, out_channels: 32, height: 32, width: 32, kernel: 3, stride: 1, padding: 1 },
    [block(32, 32, 16, 4, 4), block(32, 16, 16, 2, 2)],
  ),
  // bytes packed into words, multiplied four at a time where WGSL can
  ...problem(
    'integers',
    'gemm int8 128',
    'gemm',
    CUBE,
    [block(32, 32, 16, 4, 4), block(32, 32, 32, 4, 4), block(64, 64, 32, 8, 4)],
    { dtype: 'int8' },
  ),
  // one trip through workgroup memory, two and three through global memory; short ones side by side
  ...problem('transform', 'fft 4096', 'fft', { n: 4096, batch: 16 }, [
    trips(4096, 1, 4, 256),
    trips(4096, 1, 16, 128),
    trips(64, 4, 8, 32),
    trips(64, 16, 8, 128),
    trips(16, 16, 4, 64),
  ]),
  ...problem('transform', 'fft 64', 'fft', { n: 64, batch: 1024 }, [
    trips(64, 1, 8, 32),
    trips(64, 16, 8, 128),
    trips(8, 8, 8, 32),
  ]),
];
