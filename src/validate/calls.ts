/**
 * Framework calls of measured tables as small traces of ops. A table is told by its columns, never by its file's name.
 *
 * What a call holds, beside its main op, follows the framework that was timed (TensorRT-LLM's collectors, PyTorch):
 * fp8 with per-tensor scales finds the tensor's maximum and scales before it multiplies, block formats quantise in one
 * pass, attention embeds positions and writes the cache first.
 */
import { asDType, bytesOf, type DType } from '../base/dtype.js';
import { InputError } from '../base/errors.js';
import type { LaunchMode } from '../engine/launch.js';
import type { Context } from '../engine/types.js';
import type { Pins } from '../kernel/mapper.js';
import { mmaOf, type ResourceGraph } from '../machine/graph.js';
import type { Activation, ElementwiseFn, Op, OpOf } from '../workload/op.js';
import { decodeDispatch, decodeKernel } from './attention-kernels.js';
import { positive, type Row, type Skip, secondsOf, textOf, unknown, whole } from './fields.js';
import { blockScaledPins, fourBitPins, GEMV_ROWS, unsplitPins, weightOnlyPins } from './gemm-kernels.js';
import type { Habit } from './kernel-habits.js';
import { layerNormPins, type NamedLaunch, sgemmPins, softmaxPins } from './named-kernels.js';
import { prefillDispatch } from './prefill-kernels.js';
import { diffusionRow, energyRow, phasesRow, type Served } from './served.js';

export interface Call {
  /** Main op last; helpers before it in order. */
  readonly ops: readonly Op[];
  readonly context: Context;
  /** Where the framework's benchmark follows the machine. */
  contextOn?(machine: ResourceGraph): Context;
  readonly measured_s: number;
  readonly group: string;
  readonly dtype: string;
  /** Device column of the row, where the table has one. */
  readonly device?: string;
  readonly power_W?: number;
  /** Time spent by the host before the device is seen to finish, where it is inside the measurement. */
  readonly host_s?: number;
  /** A row that names its kernel: 'followed' where the name fixes the tile, else why it does not. */
  readonly named?: string;
  /** What the framework runs on that machine, where that is known: ops in order, and what its dispatch fixes of each. */
  steps?(machine: ResourceGraph): readonly Step[];
}
export interface Step {
  readonly op: Op;
  /** Of several the framework takes the fastest. */
  readonly pins?: Pins | readonly Pins[];
  readonly habit?: Habit;
}
/** A row is a call, or says something of a whole model. */
export type TableKind = {
  readonly name: string;
  readonly columns: readonly string[];
} & (
  | { readonly call: (row: Row) => Call | Skip; readonly served?: undefined }
  | { readonly served: (row: Row) => Served | Skip; readonly call?: undefined }
);

const base = { id: 'op', repeat: 1, deps: [] as string[] };

const elementwise = (name: string, fn: ElementwiseFn, n: number, dtype: DType, out?: DType): Op => ({
  ...base,
  kind: 'elementwise',
  name,
  fn,
  n,
  dtype,
  ...(out ? { out } : {}),
});
const reduction = (name: string, rows: number, cols: number, op: 'sum' | 'max', dtype: DType): Op => ({
  ...base,
  kind: 'reduce',
  name,
  rows,
  cols,
  op,
  dtype,
});

/**
 * Quantising by rows or blocks of them: each is read, reduced to its maximum and scaled, as a norm does. The kernel that
 * stands for it writes what it read, not what it narrowed.
 */
const byRows = (name: string, rows: number, cols: number): Op => ({
  ...base,
  kind: 'normalise',
  name,
  norm: 'rms',
  rows,
  cols,
  residual: false,
  dtype: 'bf16',
});

export function matmul(
  batch: number,
  m: number,
  n: number,
  k: number,
  a: DType,
  b: DType,
  c: DType,
  weights = true,
): OpOf<'matmul'> {
  const accumulate: DType = a === 'int8' && b === 'int8' ? 'int32' : 'fp32';
  return {
    ...base,
    kind: 'matmul',
    name: 'matmul',
    batch,
    m,
    n,
    k,
    a,
    b,
    c,
    accumulate,
    weights,
    bias: false,
    activation: 'none' as Activation,
    residual: false,
  };
}

interface Format {
  readonly a: DType;
  readonly b: DType;
  readonly before: (m: number, k: number) => Op[];
  /** Its times are multiples of the 1.024 µs of an event timer: single calls, launched one by one. */
  readonly eager?: true;
  /** What the framework's launcher does before each launch, inside the measurement. */
  readonly host_s?: (m: number) => number | undefined;
  readonly block_scaled?: true;
  readonly pins?: (op: OpOf<'matmul'>, machine: ResourceGraph) => Step['pins'];
}

/**
 * Launchers of CUTLASS kernels set attributes and ask for occupancy each time. Inferred from rows: single calls of few
 * rows take 7.2 µs through a plain kernel (`sq`), 9.2 to 10.2 through one of CUTLASS.
 */
const LAUNCHER_S = 2.5e-6;

/** Weight formats of the GEMM tables: operand dtypes and the kernels that come before the product. */
const GEMM_FORMATS: Record<string, Format> = {
  bfloat16: { a: 'bf16', b: 'bf16', before: () => [] },
  float16: { a: 'fp16', b: 'fp16', before: () => [] },
  // per-tensor scale: clear the maximum, find it, turn it into a scale, apply it
  fp8: {
    a: 'fp8_e4m3',
    b: 'fp8_e4m3',
    before: (m, k) => [
      elementwise('clear maximum', 'copy', 1, 'fp32'),
      reduction('maximum', m, k, 'max', 'bf16'),
      elementwise('scale', 'scale', 1, 'fp32'),
      elementwise('quantise', 'quantise', m * k, 'bf16', 'fp8_e4m3'),
    ],
  },
  fp8_static: {
    a: 'fp8_e4m3',
    b: 'fp8_e4m3',
    before: (m, k) => [elementwise('quantise', 'quantise', m * k, 'bf16', 'fp8_e4m3')],
  },
  fp8_block: {
    a: 'fp8_e4m3',
    b: 'fp8_e4m3',
    block_scaled: true,
    pins: blockScaledPins,
    before: (m, k) => [byRows('quantise by block', m * Math.ceil(k / 128), 128)],
  },
  nvfp4: {
    a: 'nvfp4',
    b: 'nvfp4',
    before: (m, k) => [byRows('quantise by row', m, k)],
    pins: fourBitPins,
  },
  int8_wo: { a: 'bf16', b: 'int8', before: () => [], eager: true, host_s: () => LAUNCHER_S, pins: weightOnlyPins },
  int4_wo: { a: 'bf16', b: 'int4', before: () => [], eager: true, host_s: () => LAUNCHER_S, pins: weightOnlyPins },
  // measured rows leave no room for quantising inside the call: 8192 × 2048 × 65536 takes 81 % of the peak on an A100,
  // where reading such activations alone would take a quarter of the time
  sq: {
    a: 'int8',
    b: 'int8',
    before: () => [],
    eager: true,
    host_s: (m) => (m > GEMV_ROWS ? LAUNCHER_S : undefined),
    pins: unsplitPins,
  },
};

/** What other tables call them. */
const SPELLINGS: Readonly<Record<string, string>> = { bf16: 'bfloat16', fp16: 'float16', half: 'float16' };

/**
 * Weights rotate through as many copies as flush the cache, at most five; activations are the same every time. The
 * numbers are inferred: on the L40S (96 MiB) weights of 16, 18, 24, 32, 48 and 96 MiB stay in L2, those of 21, 28, 40
 * and 56 MiB do not.
 */
function gemmContext(op: OpOf<'matmul'>, launch: LaunchMode, cache_B: number): Context {
  const weight = op.k * op.n * bytesOf(op.b);
  const others = Math.min(MOST_COPIES, Math.max(1, Math.ceil(cache_B / weight))) - 1;
  const result = op.m * op.n * bytesOf(op.c);
  return {
    launch,
    reuse_B: {
      weight: others * weight + op.m * op.k * bytesOf(op.a) + result,
      activation: weight + result,
      kv: Number.POSITIVE_INFINITY,
      index: 0,
    },
  };
}
const MOST_COPIES = 5;

const cacheOf = (machine: ResourceGraph): number =>
  machine.stores.find((s) => s.role === 'cache' && s.scope === 'machine')?.capacity_B ?? 0;

/**
 * The vendor's library starts its products while the one before still runs where the matrix unit has an accumulator of
 * its own. Inferred: on the B200 bare products take from 1.8 µs, each kernel of a call of several at least 2.4; on the
 * H100 both take 2.4 to 2.6.
 */
function launchOn(launch: LaunchMode, before: readonly Op[], op: OpOf<'matmul'>, machine: ResourceGraph): LaunchMode {
  if (launch !== 'graph' || before.length > 0) return launch;
  return mmaOf(machine, op.a, op.b, op.accumulate)?.op.accumulator === 'own' ? 'dependent' : launch;
}

/** The same tensors over and over: what fits the cache stays there. */
const warm = (bytes: number, launch: 'graph' | 'eager' = 'graph'): Context => ({
  launch,
  reuse_B: { weight: bytes, activation: bytes, kv: bytes, index: 0 },
});

function gemmRow(format: string, row: Row): Call | Skip {
  const f = GEMM_FORMATS[SPELLINGS[format] ?? format];
  if (!f) return unknown('GEMM format', format, Object.keys(GEMM_FORMATS));
  const [m, n, k] = [whole(row, 'm'), whole(row, 'n'), whole(row, 'k')];
  const op: OpOf<'matmul'> = { ...matmul(1, m, n, k, f.a, f.b, 'bf16'), ...(f.block_scaled && { block_scaled: true }) };
  const before = f.before(m, k);
  const { pins } = f;
  const launch = f.eager ? 'eager' : 'graph';
  return {
    ops: [...before, op],
    ...(pins && { steps: (machine) => [...before.map((b) => ({ op: b })), { op, pins: pins(op, machine) }] }),
    context: gemmContext(op, launch, Number.POSITIVE_INFINITY),
    contextOn: (machine) => gemmContext(op, launchOn(launch, before, op, machine), cacheOf(machine)),
    measured_s: secondsOf(row),
    host_s: f.host_s?.(m),
    group: 'gemm',
    dtype: format,
    power_W: row['power_w'] ? positive(row, 'power_w') : undefined,
  };
}

const ATTENTION_FORMATS = ['bfloat16', 'float16', 'fp8', 'fp8_block', 'int8'];

function attentionRow(row: Row, decode: boolean): Call | Skip {
  const q = asDType(textOf(row, 'attn_dtype'));
  const kv = asDType(textOf(row, 'kv_cache_dtype'));
  if (!q || !kv) return unknown('number format', textOf(row, q ? 'kv_cache_dtype' : 'attn_dtype'), ATTENTION_FORMATS);
  const batch = whole(row, 'batch_size');
  const [heads, kv_heads, head_dim] = [
    whole(row, 'num_heads'),
    whole(row, 'num_key_value_heads'),
    whole(row, 'head_dim'),
  ];
  const window = whole(row, 'window_size', 0);
  if (heads % kv_heads !== 0)
    throw new InputError(`num_heads ${heads} is no multiple of num_key_value_heads ${kv_heads}`);
  const q_len = decode ? 1 : whole(row, 'isl');
  const kv_len = decode ? whole(row, 'isl') + whole(row, 'step', 0) : q_len;
  const rows = batch * q_len;
  const attention: OpOf<'attention'> = {
    ...base,
    kind: 'attention',
    name: decode ? 'decode attention' : 'prefill attention',
    batch,
    heads,
    kv_heads,
    q_len,
    kv_len,
    head_dim,
    causal: true,
    window,
    q,
    // a prompt attends to the keys and values it has just made; the cache's format is only written
    kv: decode ? kv : q,
    o: 'bf16',
    cached: decode,
  };
  const rotary: Op = {
    ...base,
    kind: 'rotary',
    name: 'rotary',
    rows,
    heads: heads + kv_heads,
    head_dim,
    dtype: 'bf16',
  };
  // embedding and the cache's new entries in one kernel, values copied along
  const prepare: Op = { ...rotary, name: 'rotary and cache', heads: heads + 2 * kv_heads };
  /** The prompt's: queries left in the format that is multiplied. */
  const embed = (q: DType, kv: DType): Op => ({
    ...rotary,
    name: 'rotary and cache',
    heads,
    cache: { kv_heads, positions: q_len, q, kv },
  });
  const lengths = elementwise('sequence offsets', 'copy', batch + 1, 'int32');
  const bytes =
    2 * rows * heads * head_dim * 2 +
    2 * batch * Math.min(kv_len, window || kv_len) * kv_heads * head_dim * bytesOf(kv);
  return {
    ops: decode ? [prepare, attention] : [lengths, embed(q, kv), attention],
    steps: (machine) =>
      decode ? decodeSteps(prepare, attention, machine) : prefillSteps(lengths, embed, attention, kv, machine),
    context: warm(bytes),
    measured_s: secondsOf(row),
    group: decode ? 'decode attention' : 'prefill attention',
    dtype: `${row['attn_dtype']}/${row['kv_cache_dtype']}`,
  };
}

function prefillSteps(
  lengths: Op,
  embed: (q: DType, kv: DType) => Op,
  attention: OpOf<'attention'>,
  kv: DType,
  machine: ResourceGraph,
): readonly Step[] {
  const main: Step = prefillDispatch(attention, kv, machine) ?? { op: attention };
  return [{ op: lengths }, { op: embed((main.op as OpOf<'attention'>).q, kv), habit: { name: 'rotary_cache' } }, main];
}

/** The collector gives heads of this width attention sinks; the kernel for one-byte keys then embeds no positions. */
const WITH_SINKS = 64;

/** Only some decode kernels leave the embedding and the cache's new entries to a kernel before them. */
function decodeSteps(prepare: Op, attention: OpOf<'attention'>, machine: ResourceGraph): readonly Step[] {
  const kernel = decodeKernel(attention, machine);
  const main: Step = decodeDispatch(attention, machine);
  const apart = kernel === 'xqa' || kernel === 'fmha' || (kernel === 'narrow xqa' && attention.head_dim === WITH_SINKS);
  return apart ? [{ op: prepare }, main] : [main];
}

/** The launch that a row names, where it does. */
function launchOf(row: Row): NamedLaunch | undefined {
  if (!row['kernel'] || row['grid_x'] === undefined) return undefined;
  return {
    kernel: row['kernel'],
    grid: [whole(row, 'grid_x'), whole(row, 'grid_y'), whole(row, 'grid_z')],
    block_x: whole(row, 'block_x'),
  };
}

/** One op, under what the name of its kernel says. */
function named(
  op: Op,
  pinsOf: (launch: NamedLaunch) => Pins | undefined,
  row: Row,
): Pick<Call, 'ops' | 'named' | 'steps'> {
  const launch = launchOf(row);
  if (!launch) return { ops: [op] };
  const pins = pinsOf(launch);
  return {
    ops: [op],
    named: pins ? 'followed' : `no tile is read from '${launch.kernel}'`,
    steps: () => [{ op, pins }],
  };
}

const PRODUCTS = ['linear', 'bmm'];

/** GPUs of the fp32 tables: no tensor cores, PyTorch, launches back to back. */
function fp32Row(row: Row): Call | Skip {
  const op = textOf(row, 'op');
  const common = { measured_s: secondsOf(row), dtype: 'fp32', device: row['device'] };
  if (row['M'] !== undefined) {
    if (!PRODUCTS.includes(op)) return unknown('op', op, PRODUCTS);
    const [batch, m, k, n] = [whole(row, 'B'), whole(row, 'M'), whole(row, 'N'), whole(row, 'K')];
    const mm =
      op === 'linear'
        ? matmul(1, batch * m, n, k, 'fp32', 'fp32', 'fp32')
        : matmul(batch, m, n, k, 'fp32', 'fp32', 'fp32', false);
    return {
      ...common,
      ...named(mm, (l) => sgemmPins(mm, l), row),
      context: warm(4 * batch * (m * k + n * k + m * n)),
      group: op,
    };
  }
  const [rows, cols] = [whole(row, 'B'), whole(row, 'H')];
  const context = warm(8 * rows * cols);
  if (op === 'softmax') {
    const softmax: OpOf<'softmax'> = { ...base, kind: 'softmax', name: op, rows, cols, dtype: 'fp32' };
    return { ...common, ...named(softmax, (l) => softmaxPins(softmax, l), row), context, group: op };
  }
  if (op === 'ln') {
    const norm: OpOf<'normalise'> = {
      ...base,
      kind: 'normalise',
      name: op,
      norm: 'layer',
      rows,
      cols,
      residual: false,
      dtype: 'fp32',
    };
    return { ...common, ...named(norm, (l) => layerNormPins(norm, l), row), context, group: op };
  }
  // addu, mulu …: the second operand is one number, so one array is read (PyTorch squares for pow with an exponent of 2)
  const fn = (op === 'true_div' ? 'div' : (UNARY[op] ?? op)) as ElementwiseFn;
  if (!FP32_ELEMENTWISE.has(fn))
    return unknown('op', op, ['softmax', 'ln', 'true_div', ...Object.keys(UNARY), ...FP32_ELEMENTWISE]);
  return { ...common, ops: [elementwise(op, fn, rows * cols, 'fp32')], context, group: 'elementwise' };
}
const UNARY: Readonly<Record<string, ElementwiseFn>> = { addu: 'scale', mulu: 'scale', divu: 'scale', powu: 'scale' };
const FP32_ELEMENTWISE = new Set<string>([
  'add',
  'sub',
  'mul',
  'div',
  'pow',
  'relu',
  'gelu',
  'tanh',
  'silu',
  'sigmoid',
  'exp',
  'scale',
]);

/** Host time inside each measurement of the operator table: it was timed from the host (its README says about 20 µs). */
const OPERATOR_HOST_S = 20e-6;

function operatorRow(row: Row): Call | Skip {
  const kernel = textOf(row, 'kernel');
  const named = OPERATORS.find((name) => kernel.startsWith(name));
  if (!named) return unknown('kernel', kernel, OPERATORS);
  const d0 = whole(row, 'dim0');
  const d1 = named === 'gelu' ? 1 : whole(row, 'dim1');
  const value = positive(row, 'value');
  const unit = named === 'matmul' ? 'ms' : 'Gelem_per_s';
  if (textOf(row, 'unit') !== unit)
    throw new InputError(`column unit is '${row['unit']}', expected ${unit} for ${named}`);
  const common = { dtype: 'fp16', host_s: OPERATOR_HOST_S };
  if (named === 'matmul') {
    const d2 = whole(row, 'dim2');
    return {
      ...common,
      ops: [matmul(1, d0, d2, d1, 'fp16', 'fp16', 'fp16')],
      context: warm(2 * (d0 * d1 + d1 * d2 + d0 * d2)),
      measured_s: value * 1e-3,
      group: 'matmul',
    };
  }
  const elements = d0 * d1;
  const measured_s = elements / (value * 1e9);
  const context = warm(4 * elements);
  if (named === 'softmax')
    return {
      ...common,
      ops: [{ ...base, kind: 'softmax', name: kernel, rows: d0, cols: d1, dtype: 'fp16' }],
      context,
      measured_s,
      group: 'softmax',
    };
  if (named === 'layernorm')
    return {
      ...common,
      ops: [
        { ...base, kind: 'normalise', name: kernel, norm: 'layer', rows: d0, cols: d1, residual: false, dtype: 'fp16' },
      ],
      context,
      measured_s,
      group: 'layernorm',
    };
  return { ...common, ops: [elementwise(kernel, 'gelu', d0, 'fp16')], context, measured_s, group: 'gelu' };
}
const OPERATORS = ['matmul', 'softmax', 'layernorm', 'gelu'] as const;

/** In the order they are tried: the first whose columns are all there. */
export const TABLES: readonly TableKind[] = [
  {
    name: 'decode attention',
    columns: [
      'attn_dtype',
      'kv_cache_dtype',
      'batch_size',
      'isl',
      'step',
      'num_heads',
      'num_key_value_heads',
      'head_dim',
      'window_size',
      'latency_ms',
    ],
    call: (r) => attentionRow(r, true),
  },
  {
    name: 'prefill attention',
    columns: [
      'attn_dtype',
      'kv_cache_dtype',
      'batch_size',
      'isl',
      'num_heads',
      'num_key_value_heads',
      'head_dim',
      'window_size',
      'latency_ms',
    ],
    call: (r) => attentionRow(r, false),
  },
  {
    name: 'gemm',
    columns: ['gemm_dtype', 'm', 'n', 'k', 'latency_ms'],
    call: (r) => gemmRow(textOf(r, 'gemm_dtype'), r),
  },
  {
    name: 'gemm power',
    columns: ['m', 'n', 'k', 'latency_ms', 'power_w', 'power_limit_w'],
    call: (r) => gemmRow('bfloat16', r),
  },
  { name: 'fp32 matmul', columns: ['device', 'op', 'B', 'M', 'N', 'K', 'latency_ms'], call: fp32Row },
  { name: 'fp32 rows', columns: ['device', 'op', 'B', 'H', 'latency_ms'], call: fp32Row },
  { name: 'operators', columns: ['kernel', 'dim0', 'dim1', 'dim2', 'value', 'unit'], call: operatorRow },
  {
    name: 'model phases',
    columns: ['model', 'prompt_size', 'batch_size', 'token_size', 'prompt_time', 'token_time', 'tensor_parallel'],
    served: phasesRow,
  },
  {
    name: 'model energy',
    columns: ['model_id', 'num_gpus', 'avg_batch_size', 'avg_output_len', 'energy_per_token_joules', 'median_itl_ms'],
    served: energyRow,
  },
  {
    name: 'diffusion energy',
    columns: ['model_id', 'num_gpus', 'batch_size', 'batch_latency_s', 'avg_power_watts', 'inference_steps'],
    served: diffusionRow,
  },
];
