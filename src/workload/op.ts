/**
 * Ops: what is computed, as mathematics with dimensions and dtypes, independent of kernel and machine.
 * A trace is an ordered DAG of ops. The TypeBox schemas are the single source of the types, the JSON Lines
 * validation and the documentation.
 */
import { type Static, Type } from '@sinclair/typebox';
import { bytesOf, DTYPES, type DType } from '../base/dtype.js';

const dim = (description: string) => Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description });
const DTypeSchema = Type.Unsafe<DType>(Type.String({ enum: [...DTYPES] }));

/** Activation functions that kernels can fuse or run as a map. */
export const ACTIVATIONS = ['relu', 'gelu', 'gelu_tanh', 'silu', 'sigmoid', 'tanh', 'exp', 'none'] as const;
export type Activation = (typeof ACTIVATIONS)[number];
const ActivationSchema = Type.Unsafe<Activation>(Type.String({ enum: [...ACTIVATIONS] }));

/** Element-wise functions, by name, with their arity. */
export const ELEMENTWISE = {
  add: 2,
  sub: 2,
  mul: 2,
  div: 2,
  pow: 2,
  relu: 1,
  gelu: 1,
  gelu_tanh: 1,
  silu: 1,
  sigmoid: 1,
  tanh: 1,
  exp: 1,
  scale: 1,
  cast: 1,
  copy: 1,
  /** silu(a)·b and gelu(a)·b: the gated activations */ swiglu: 2,
  geglu: 2,
  /** cast to a narrower dtype after a row or block scale */ quantise: 1,
  /** f′(a)·b: the gradient b of an activation's result, on to its input a */ relu_backward: 2,
  gelu_backward: 2,
  gelu_tanh_backward: 2,
  silu_backward: 2,
} as const;
export type ElementwiseFn = keyof typeof ELEMENTWISE;

const common = {
  id: Type.String({ minLength: 1, description: 'unique within the trace' }),
  name: Type.String({ description: 'what a reader calls it, e.g. layer.attention.q_proj' }),
  repeat: Type.Integer({ minimum: 1, default: 1, description: 'how many times it runs (identical layers)' }),
  deps: Type.Array(Type.String(), { default: [], description: 'ids of ops whose results it reads' }),
  phase: Type.Optional(Type.String({ description: 'prefill, decode@2048, …: groups ops in reports' })),
};

export const OpSchemas = {
  /** C[batch,m,n] = act(A[batch,m,k] · B[batch,k,n] + bias) (+ residual). */
  matmul: Type.Object(
    {
      kind: Type.Literal('matmul'),
      ...common,
      batch: dim('independent products'),
      m: dim('rows'),
      n: dim('columns'),
      k: dim('reduction'),
      a: DTypeSchema,
      b: DTypeSchema,
      c: DTypeSchema,
      accumulate: DTypeSchema,
      weights: Type.Boolean({
        description: 'B is a parameter: read once a step, with reuse distance of the whole model',
      }),
      block_scaled: Type.Optional(
        Type.Boolean({ description: 'operands carry a scale per block along the reduction: one pass over k' }),
      ),
      bias: Type.Boolean({ default: false }),
      activation: ActivationSchema,
      residual: Type.Boolean({ default: false }),
    },
    { additionalProperties: false },
  ),
  /** Per-expert products: rows of each expert in `rows_by_group`; C[r,n] = A[r,k] · B[group(r),k,n]. */
  grouped_matmul: Type.Object(
    {
      kind: Type.Literal('grouped_matmul'),
      ...common,
      groups: dim('experts that receive at least one row'),
      rows: dim('token–expert pairs'),
      n: dim('columns'),
      k: dim('reduction'),
      rows_by_group: Type.Optional(
        Type.Array(Type.Integer({ minimum: 0 }), { description: 'ragged: rows of each group; even when absent' }),
      ),
      a: DTypeSchema,
      b: DTypeSchema,
      c: DTypeSchema,
      accumulate: DTypeSchema,
      activation: ActivationSchema,
    },
    { additionalProperties: false },
  ),
  /** softmax(Q Kᵀ / √d + mask) V, per batch and head. */
  attention: Type.Object(
    {
      kind: Type.Literal('attention'),
      ...common,
      batch: dim('sequences'),
      heads: dim('query heads'),
      kv_heads: dim('key/value heads'),
      q_len: dim('queries per sequence'),
      kv_len: dim('keys per sequence (the longest, when ragged)'),
      head_dim: dim('width of a head'),
      causal: Type.Boolean(),
      window: Type.Integer({ minimum: 0, default: 0, description: 'keys a query sees; 0: all' }),
      kv_lens: Type.Optional(
        Type.Array(Type.Integer({ minimum: 1 }), { description: 'ragged: keys of each sequence' }),
      ),
      relative_bias: Type.Optional(
        Type.Boolean({ description: 'adds a learned bias per head and relative position to the scores (T5)' }),
      ),
      cached: Type.Optional(Type.Boolean({ description: 'keys and values are read from the cache' })),
      statistics: Type.Optional(
        Type.Boolean({ description: 'also writes the logarithm of each row’s sum of weights, for the backward pass' }),
      ),
      q: DTypeSchema,
      kv: DTypeSchema,
      o: DTypeSchema,
    },
    { additionalProperties: false },
  ),
  /** dQ, dK and dV of attention from Q, K, V, O, dO and the logarithms of the rows' sums; scores are computed again. */
  attention_backward: Type.Object(
    {
      kind: Type.Literal('attention_backward'),
      ...common,
      batch: dim('sequences'),
      heads: dim('query heads'),
      kv_heads: dim('key/value heads'),
      q_len: dim('queries per sequence'),
      kv_len: dim('keys per sequence'),
      head_dim: dim('width of a head'),
      causal: Type.Boolean(),
      window: Type.Integer({ minimum: 0, default: 0, description: 'keys a query sees; 0: all' }),
      dtype: DTypeSchema,
    },
    { additionalProperties: false },
  ),
  softmax: Type.Object(
    { kind: Type.Literal('softmax'), ...common, rows: dim('rows'), cols: dim('columns'), dtype: DTypeSchema },
    { additionalProperties: false },
  ),
  /** Layer or RMS norm over `cols`; with `residual` it also adds and writes back the residual stream. */
  normalise: Type.Object(
    {
      kind: Type.Literal('normalise'),
      ...common,
      norm: Type.Union([Type.Literal('layer'), Type.Literal('rms')]),
      rows: dim('rows'),
      cols: dim('columns'),
      residual: Type.Boolean({ default: false }),
      dtype: DTypeSchema,
    },
    { additionalProperties: false },
  ),
  elementwise: Type.Object(
    {
      kind: Type.Literal('elementwise'),
      ...common,
      fn: Type.Unsafe<ElementwiseFn>(Type.String({ enum: Object.keys(ELEMENTWISE) })),
      n: dim('elements of the result'),
      dtype: DTypeSchema,
      out: Type.Optional(DTypeSchema),
    },
    { additionalProperties: false },
  ),
  /** Rotary position embedding of rows × heads × head_dim, in place. */
  rotary: Type.Object(
    {
      kind: Type.Literal('rotary'),
      ...common,
      rows: dim('tokens'),
      heads: dim('query plus key heads; query heads alone with a cache'),
      head_dim: dim('width'),
      dtype: DTypeSchema,
      cache: Type.Optional(
        Type.Object(
          {
            kv_heads: dim('heads of keys, and of values'),
            positions: dim('tokens of a sequence'),
            q: DTypeSchema,
            kv: DTypeSchema,
          },
          {
            additionalProperties: false,
            description: 'keys are turned too, keys and values kept in one format, queries left in another',
          },
        ),
      ),
    },
    { additionalProperties: false },
  ),
  /** Write `rows` new keys and values into the cache. */
  kv_append: Type.Object(
    {
      kind: Type.Literal('kv_append'),
      ...common,
      rows: dim('tokens'),
      cols: dim('kv_heads × head_dim × 2'),
      dtype: DTypeSchema,
      kv: DTypeSchema,
    },
    { additionalProperties: false },
  ),
  /** Rows of a table by index: out[r,:] = table[index[r],:]. */
  gather: Type.Object(
    {
      kind: Type.Literal('gather'),
      ...common,
      rows: dim('rows gathered'),
      cols: dim('width'),
      table_rows: dim('rows of the table'),
      dtype: DTypeSchema,
    },
    { additionalProperties: false },
  ),
  /** Rows by index into a result, combining (add) when several land in one place; `fan_in` rows per result row. */
  scatter: Type.Object(
    {
      kind: Type.Literal('scatter'),
      ...common,
      rows: dim('rows scattered'),
      cols: dim('width'),
      fan_in: dim('rows combined into one'),
      dtype: DTypeSchema,
    },
    { additionalProperties: false },
  ),
  /** softmax over experts and the top k of them, per token. */
  topk: Type.Object(
    {
      kind: Type.Literal('topk'),
      ...common,
      rows: dim('tokens'),
      cols: dim('experts'),
      k: dim('chosen'),
      dtype: DTypeSchema,
    },
    { additionalProperties: false },
  ),
  transpose: Type.Object(
    {
      kind: Type.Literal('transpose'),
      ...common,
      batch: dim('matrices'),
      rows: dim('rows'),
      cols: dim('columns'),
      dtype: DTypeSchema,
    },
    { additionalProperties: false },
  ),
  /** Discrete Fourier transform of complex numbers, real and imaginary parts in planes of their own. */
  fft: Type.Object(
    {
      kind: Type.Literal('fft'),
      ...common,
      batch: dim('transforms'),
      n: dim('points of a transform, a power of two'),
      inverse: Type.Boolean({ default: false, description: 'with e^(+2πi…), not divided by n' }),
      dtype: DTypeSchema,
    },
    { additionalProperties: false },
  ),
  reduce: Type.Object(
    {
      kind: Type.Literal('reduce'),
      ...common,
      rows: dim('rows'),
      cols: dim('columns reduced'),
      op: Type.Union([Type.Literal('sum'), Type.Literal('max')]),
      dtype: DTypeSchema,
    },
    { additionalProperties: false },
  ),
  /** A collective over `devices` linked devices; `elements` per device. */
  collective: Type.Object(
    {
      kind: Type.Literal('collective'),
      ...common,
      collective: Type.Union([
        Type.Literal('all_reduce'),
        Type.Literal('all_gather'),
        Type.Literal('reduce_scatter'),
        Type.Literal('all_to_all'),
      ]),
      elements: dim('elements of the full tensor'),
      devices: Type.Integer({ minimum: 2 }),
      dtype: DTypeSchema,
    },
    { additionalProperties: false },
  ),
  /**
   * One step of an optimiser over n parameters. adam: m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², p ← p − η·m/(√v + ε)
   * (Kingma & Ba, arXiv:1412.6980; η holds the bias correction); sgd: p ← p − η·g. p, m and v are in `dtype`; where the
   * model runs in a narrower one, that copy is written too (Micikevicius et al., arXiv:1710.03740).
   */
  optimiser: Type.Object(
    {
      kind: Type.Literal('optimiser'),
      ...common,
      rule: Type.Union([Type.Literal('adam'), Type.Literal('sgd')]),
      n: dim('parameters'),
      gradient: DTypeSchema,
      weight: DTypeSchema,
      dtype: DTypeSchema,
    },
    { additionalProperties: false },
  ),
  /** What a user's own kernel computes, with the work and the traffic that its author states. */
  custom: Type.Object(
    {
      kind: Type.Literal('custom'),
      ...common,
      what: Type.String({ minLength: 1, description: 'name of the computation' }),
      shape: Type.Record(Type.String(), Type.Integer({ minimum: 0 }), { description: 'dimensions by name' }),
      dtype: DTypeSchema,
      flops: Type.Number({ minimum: 0, description: 'useful operations' }),
      read_B: Type.Number({ minimum: 0, description: 'each input once' }),
      write_B: Type.Number({ minimum: 0, description: 'each result once' }),
    },
    { additionalProperties: false },
  ),
  /** 3-D convolution (of video and volumes): `kernel_depth`×`kernel`×`kernel` window; depth has steps and padding of its own. */
  conv3d: Type.Object(
    {
      kind: Type.Literal('conv3d'),
      ...common,
      batch: dim('volumes'),
      in_channels: dim('in'),
      out_channels: dim('out'),
      depth: dim('input depth (frames)'),
      height: dim('input height'),
      width: dim('input width'),
      kernel: dim('window, height and width'),
      kernel_depth: dim('window, depth'),
      stride: dim('stride, height and width'),
      stride_depth: dim('stride, depth'),
      padding: Type.Integer({ minimum: 0, default: 0 }),
      padding_depth: Type.Integer({ minimum: 0, default: 0 }),
      a: DTypeSchema,
      b: DTypeSchema,
      c: DTypeSchema,
      accumulate: DTypeSchema,
      bias: Type.Boolean({ default: false }),
    },
    { additionalProperties: false },
  ),
  /** 2-D convolution, NCHW dims, `kernel`×`kernel` window. */
  conv2d: Type.Object(
    {
      kind: Type.Literal('conv2d'),
      ...common,
      batch: dim('images'),
      in_channels: dim('in'),
      out_channels: dim('out'),
      height: dim('input height'),
      width: dim('input width'),
      kernel: dim('window'),
      stride: dim('stride'),
      padding: Type.Integer({ minimum: 0, default: 0 }),
      a: DTypeSchema,
      b: DTypeSchema,
      c: DTypeSchema,
      accumulate: DTypeSchema,
      bias: Type.Boolean({ default: false }),
    },
    { additionalProperties: false },
  ),
} as const;

export type OpKind = keyof typeof OpSchemas;
export const OP_KINDS = Object.keys(OpSchemas) as OpKind[];
export type OpOf<K extends OpKind> = Static<(typeof OpSchemas)[K]>;
export type Op = { [K in OpKind]: OpOf<K> }[OpKind];

/** A trace: header facts and the ops in an order that respects `deps`. */
export interface Trace {
  readonly name: string;
  /** What it came from and every parameter that shaped it, for reports. */
  readonly source: Readonly<Record<string, string | number | boolean>>;
  readonly ops: readonly Op[];
  /** Devices the trace is sharded over; ops are those of one device. */
  readonly devices: number;
  /** Bytes that must live on one device throughout: parameters, KV cache, the largest activations. */
  readonly footprint_B: {
    readonly weights: number;
    readonly kv_cache: number;
    readonly activations: number;
    /** Of a training step. */
    readonly gradients?: number;
    readonly optimiser?: number;
  };
  /** Parameters of the whole model (all devices). */
  readonly parameters: number;
  /** Of one device's parameters, those that matrix products read (what quantising weights narrows). */
  readonly linear_parameters?: number;
  /** Tokens (or images, frames) that one replay produces, for per-token figures. */
  readonly produces?: { readonly unit: 'token' | 'image' | 'frame' | 'sequence'; readonly count: number };
}

/**
 * Query–key pairs that the mask lets through, per head, summed over the batch. Queries are the last `q_len` of `kv_len`:
 * query i stands at p = kv − q_len + i; causal, it sees keys (p − window, p]; otherwise `window` keys around it.
 */
export function attentionPairs(
  op: Pick<OpOf<'attention'>, 'batch' | 'q_len' | 'kv_len' | 'causal' | 'window' | 'kv_lens'>,
): number {
  const reach = op.window > 0 ? op.window : Number.POSITIVE_INFINITY;
  const pairsOf = (kv: number) => {
    if (!op.causal) return op.q_len * Math.min(kv, reach);
    // counts grow 1 a query from `first` to kv, clipped at the window
    const first = Math.max(1, kv - op.q_len + 1);
    const top = Math.min(kv, reach);
    if (first > top) return (kv - first + 1) * top;
    return ((first + top) * (top - first + 1)) / 2 + (kv - top) * top;
  };
  return op.kv_lens ? op.kv_lens.reduce((sum, kv) => sum + pairsOf(kv), 0) : op.batch * pairsOf(op.kv_len);
}

/** Useful floating-point operations of one repeat: products and sums of matrix work (causal halves once), 1 per element-function elsewhere. */
export function flopsOf(op: Op): number {
  switch (op.kind) {
    case 'matmul':
      return 2 * op.batch * op.m * op.n * op.k;
    case 'grouped_matmul':
      return 2 * op.rows * op.n * op.k;
    case 'attention':
      return 4 * attentionPairs(op) * op.heads * op.head_dim;
    // five products: the scores are not among the inputs
    case 'attention_backward':
      return 10 * attentionPairs(op) * op.heads * op.head_dim;
    case 'conv2d':
    case 'conv3d':
      return 2 * convResults(op) * (convWeights(op) / op.out_channels);
    case 'softmax':
      return 5 * op.rows * op.cols;
    case 'normalise':
      return (op.norm === 'layer' ? 7 : 4) * op.rows * op.cols + (op.residual ? op.rows * op.cols : 0);
    case 'elementwise':
      return op.n;
    case 'rotary':
      return 3 * op.rows * (op.heads + (op.cache?.kv_heads ?? 0)) * op.head_dim;
    case 'scatter':
      return op.rows * op.cols;
    case 'topk':
      return op.rows * op.cols * 5;
    case 'reduce':
      return op.rows * op.cols;
    // as transforms are rated: ten operations a butterfly of radix 2
    case 'fft':
      return 5 * op.batch * op.n * Math.log2(op.n);
    case 'collective':
      return op.collective === 'all_reduce' || op.collective === 'reduce_scatter' ? op.elements : 0;
    case 'optimiser':
      return op.n;
    case 'custom':
      return op.flops;
    case 'kv_append':
    case 'gather':
    case 'transpose':
      return 0;
  }
}

export type Convolution = OpOf<'conv2d'> | OpOf<'conv3d'>;

export const isConvolution = (op: Op): op is Convolution => op.kind === 'conv2d' || op.kind === 'conv3d';

/** What a convolution does along depth: an image is one plane. */
export function convDepth(op: Convolution): {
  size: number;
  kernel: number;
  stride: number;
  padding: number;
  out: number;
} {
  if (op.kind === 'conv2d') return { size: 1, kernel: 1, stride: 1, padding: 0, out: 1 };
  const { depth: size, kernel_depth: kernel, stride_depth: stride, padding_depth: padding } = op;
  return { size, kernel, stride, padding, out: Math.floor((size + 2 * padding - kernel) / stride) + 1 };
}

/** Elements of a convolution's input, weights and result. */
export const convInputs = (op: Convolution): number =>
  op.batch * op.in_channels * convDepth(op).size * op.height * op.width;
export const convWeights = (op: Convolution): number =>
  op.out_channels * op.in_channels * convDepth(op).kernel * op.kernel ** 2;
export function convResults(op: Convolution): number {
  const [ho, wo] = convOut(op);
  return op.batch * op.out_channels * convDepth(op).out * ho * wo;
}

/** Output height and width of a convolution. */
export function convOut(op: Convolution): [number, number] {
  return [
    Math.floor((op.height + 2 * op.padding - op.kernel) / op.stride) + 1,
    Math.floor((op.width + 2 * op.padding - op.kernel) / op.stride) + 1,
  ];
}

/** Bytes each input must be read and each output written at least once: the compulsory traffic of one repeat. */
export function compulsoryBytesOf(op: Op): { read_B: number; write_B: number } {
  const b = bytesOf;
  switch (op.kind) {
    case 'matmul':
      return {
        read_B:
          op.batch * (op.m * op.k * b(op.a) + op.k * op.n * b(op.b) + (op.residual ? op.m * op.n * b(op.c) : 0)) +
          (op.bias ? op.n * b(op.c) : 0),
        write_B: op.batch * op.m * op.n * b(op.c),
      };
    case 'grouped_matmul':
      return {
        read_B: op.rows * op.k * b(op.a) + op.groups * op.k * op.n * b(op.b),
        write_B: op.rows * op.n * b(op.c),
      };
    case 'attention': {
      const keys = op.kv_lens
        ? op.kv_lens.reduce((s, x) => s + visibleKeys(op, x), 0)
        : op.batch * visibleKeys(op, op.kv_len);
      const q = op.batch * op.q_len * op.heads * op.head_dim;
      const bias = op.relative_bias ? op.heads * (op.q_len + op.kv_len - 1) * b(op.q) : 0;
      const sums = op.statistics ? op.batch * op.q_len * op.heads * statistic_B(op.q) : 0;
      return {
        read_B: q * b(op.q) + 2 * keys * op.kv_heads * op.head_dim * b(op.kv) + bias,
        write_B: q * b(op.o) + sums,
      };
    }
    case 'attention_backward': {
      const rows = op.batch * op.q_len * op.heads;
      const q = rows * op.head_dim * b(op.dtype);
      const kv = 2 * op.batch * visibleKeys(op, op.kv_len) * op.kv_heads * op.head_dim * b(op.dtype);
      return { read_B: 3 * q + rows * statistic_B(op.dtype) + kv, write_B: q + kv };
    }
    case 'conv2d':
    case 'conv3d':
      return {
        read_B: convInputs(op) * b(op.a) + convWeights(op) * b(op.b) + (op.bias ? op.out_channels * b(op.c) : 0),
        write_B: convResults(op) * b(op.c),
      };
    case 'softmax':
      return { read_B: op.rows * op.cols * b(op.dtype), write_B: op.rows * op.cols * b(op.dtype) };
    case 'normalise':
      return {
        read_B:
          (op.residual ? 2 : 1) * op.rows * op.cols * b(op.dtype) +
          (op.norm === 'layer' ? 2 : 1) * op.cols * b(op.dtype),
        write_B: (op.residual ? 2 : 1) * op.rows * op.cols * b(op.dtype),
      };
    case 'elementwise':
      return { read_B: ELEMENTWISE[op.fn] * op.n * b(op.dtype), write_B: op.n * b(op.out ?? op.dtype) };
    case 'rotary': {
      const e = op.rows * op.heads * op.head_dim;
      if (op.cache) {
        const { kv_heads, positions, q, kv } = op.cache;
        const kept = 2 * op.rows * kv_heads * op.head_dim;
        return {
          read_B: (e + kept) * b(op.dtype) + positions * op.head_dim * 4,
          write_B: e * b(q) + kept * b(kv),
        };
      }
      return { read_B: e * b(op.dtype) + op.rows * op.head_dim * 4, write_B: e * b(op.dtype) };
    }
    case 'kv_append':
      return { read_B: op.rows * op.cols * b(op.dtype), write_B: op.rows * op.cols * b(op.kv) };
    case 'gather':
      return {
        read_B: Math.min(op.rows, op.table_rows) * op.cols * b(op.dtype) + op.rows * 4,
        write_B: op.rows * op.cols * b(op.dtype),
      };
    case 'scatter':
      return {
        read_B: op.rows * op.cols * b(op.dtype) + op.rows * 8,
        write_B: Math.ceil(op.rows / op.fan_in) * op.cols * b(op.dtype),
      };
    case 'topk':
      return { read_B: op.rows * op.cols * b(op.dtype), write_B: op.rows * op.k * 8 };
    case 'transpose': {
      const e = op.batch * op.rows * op.cols * b(op.dtype);
      return { read_B: e, write_B: e };
    }
    case 'fft': {
      const e = 2 * op.batch * op.n * b(op.dtype);
      return { read_B: e, write_B: e };
    }
    case 'reduce':
      return { read_B: op.rows * op.cols * b(op.dtype), write_B: op.rows * b(op.dtype) };
    case 'collective': {
      const e = op.elements * b(op.dtype);
      return { read_B: e, write_B: e };
    }
    case 'optimiser': {
      const kept_B = (op.rule === 'adam' ? 3 : 1) * b(op.dtype);
      return {
        read_B: op.n * (b(op.gradient) + kept_B),
        write_B: op.n * (kept_B + (op.weight === op.dtype ? 0 : b(op.weight))),
      };
    }
    case 'custom':
      return { read_B: op.read_B, write_B: op.write_B };
  }
}

/** Bytes of a row's statistic: as wide as sums are. */
const statistic_B = (dtype: DType): number => (dtype === 'fp64' ? 8 : 4);

/** Keys of a sequence of `kv` that at least one of its queries sees. */
function visibleKeys(op: Pick<OpOf<'attention'>, 'window' | 'q_len'>, kv: number): number {
  return op.window > 0 ? Math.min(kv, op.window + op.q_len - 1) : kv;
}
