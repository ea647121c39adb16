/**
 * What PyTorch's innermost operators compute, as ops. Each reads a call's shapes; undefined where they are of a kind that
 * ops have no form for. Outer operators (aten::linear, aten::softmax …) only call these.
 */
import type { DType } from '../../base/dtype.js';
import type { ElementwiseFn, Op } from '../../workload/op.js';
import type { Call } from './events.js';

type Body = Op extends infer O ? (O extends Op ? Omit<O, 'id' | 'name' | 'repeat' | 'deps'> : never) : never;

const TYPES: Readonly<Record<string, DType>> = {
  float: 'fp32',
  double: 'fp64',
  'c10::Half': 'fp16',
  'c10::BFloat16': 'bf16',
  'c10::Float8_e4m3fn': 'fp8_e4m3',
  'c10::Float8_e5m2': 'fp8_e5m2',
  'signed char': 'int8',
  'unsigned char': 'uint8',
  bool: 'uint8',
  short: 'int16',
  int: 'int32',
  'long int': 'int64',
  long: 'int64',
};

const typeOf = (call: Call, input: number): DType | undefined => TYPES[call.types[input] ?? ''];
const sizeOf = (dims: readonly number[] | undefined): number => (dims ?? []).reduce((a, b) => a * b, 1);
const last = (dims: readonly number[]): number => dims.at(-1) ?? 0;

function product(call: Call, at: number, bias: boolean): Body | undefined {
  const [x, y] = [call.dims[at] ?? [], call.dims[at + 1] ?? []];
  const [a, b] = [typeOf(call, at), typeOf(call, at + 1)];
  const batched = x.length === 3;
  if (!a || !b || x.length !== y.length || (x.length !== 2 && !batched) || last(x) !== y.at(-2)) return undefined;
  return {
    kind: 'matmul',
    batch: batched ? x[0]! : 1,
    m: x.at(-2)!,
    n: last(y),
    k: last(x),
    a,
    b,
    c: a,
    accumulate: a === 'int8' ? 'int32' : a === 'fp64' ? 'fp64' : 'fp32',
    // a product of one matrix by another is a layer's; batches are of activations
    weights: !batched,
    bias,
    activation: 'none',
    residual: false,
  };
}

/** Over the last axis; others have no form. */
function rows(call: Call, axis: string | undefined): { rows: number; cols: number; dtype: DType } | undefined {
  const dims = call.dims[0] ?? [];
  const dtype = typeOf(call, 0);
  const at = axis === undefined || axis === '' ? -1 : Number(axis.replace(/[[\]]/g, ''));
  if (!dtype || dims.length === 0 || (at !== -1 && at !== dims.length - 1)) return undefined;
  return { rows: sizeOf(dims.slice(0, -1)), cols: last(dims), dtype };
}

const elementwise =
  (fn: ElementwiseFn, alone: ElementwiseFn = fn) =>
  (call: Call): Body | undefined => {
    const dtype = typeOf(call, 0) ?? typeOf(call, 1);
    // a second input that is a number is no tensor to read
    const tensors = call.dims.filter((d) => d.length > 0);
    const n = Math.max(0, ...tensors.map(sizeOf));
    return dtype && n > 0 ? { kind: 'elementwise', fn: tensors.length > 1 ? fn : alone, n, dtype } : undefined;
  };

const norm =
  (kind: 'layer' | 'rms') =>
  (call: Call): Body | undefined => {
    const r = rows(call, undefined);
    return r && { kind: 'normalise', norm: kind, residual: false, ...r };
  };

const reduction =
  (op: 'sum' | 'max') =>
  (call: Call): Body | undefined => {
    const r = call.values[1] || call.dims[0]?.length === 1 ? rows(call, call.values[1]) : undefined;
    return r && { kind: 'reduce', op, ...r };
  };

const attention =
  (causalAt: number) =>
  (call: Call): Body | undefined => {
    const [q, k] = [call.dims[0] ?? [], call.dims[1] ?? []];
    const dtype = typeOf(call, 0);
    if (!dtype || q.length !== 4 || k.length !== 4) return undefined;
    const [batch, heads, q_len, head_dim] = q as [number, number, number, number];
    const shape = { batch, heads, kv_heads: k[1]!, q_len, kv_len: k[2]!, head_dim, window: 0 };
    const causal = call.values[causalAt] === 'True';
    return { kind: 'attention', ...shape, causal, cached: q_len < k[2]!, q: dtype, kv: dtype, o: dtype };
  };

function convolution(call: Call): Body | undefined {
  const [x, w] = [call.dims[0] ?? [], call.dims[1] ?? []];
  const dtype = typeOf(call, 0);
  const pair = (at: number): number | undefined => {
    const found = /^\[(\d+), *(\d+)\]$/.exec(call.values[at] ?? '');
    return found && found[1] === found[2] ? Number(found[1]) : undefined;
  };
  const [padding, stride, dilation] = [pair(2), pair(3), pair(4)];
  const plain = dilation === 1 && call.values[5] === '1' && w[2] === w[3];
  if (!dtype || x.length !== 4 || w.length !== 4 || !plain || padding === undefined || !stride) return undefined;
  const [batch, in_channels, height, width] = x as [number, number, number, number];
  const shape = { batch, in_channels, out_channels: w[0]!, height, width, kernel: w[2]!, stride, padding };
  return { kind: 'conv2d', ...shape, a: dtype, b: dtype, c: dtype, accumulate: 'fp32', bias: false };
}

function gather(call: Call): Body | undefined {
  const [table, index] = [call.dims[0] ?? [], call.dims[2] ?? []];
  const dtype = typeOf(call, 0);
  if (!dtype || table.length !== 2) return undefined;
  return { kind: 'gather', rows: sizeOf(index), cols: table[1]!, table_rows: table[0]!, dtype };
}

/** From the second input to the first. */
function copy(call: Call): Body | undefined {
  const [to, from] = [typeOf(call, 0), typeOf(call, 1)];
  const n = sizeOf(call.dims[0]);
  if (!to || !from || n === 0) return undefined;
  return to === from
    ? { kind: 'elementwise', fn: 'copy', n, dtype: to }
    : { kind: 'elementwise', fn: 'cast', n, dtype: from, out: to };
}

const READERS: Readonly<Record<string, (call: Call) => Body | undefined>> = {
  mm: (c) => product(c, 0, false),
  addmm: (c) => product(c, 1, true),
  bmm: (c) => product(c, 0, false),
  baddbmm: (c) => product(c, 1, true),
  _softmax: (c) => {
    const r = rows(c, c.values[1]);
    return r && { kind: 'softmax', ...r };
  },
  native_layer_norm: norm('layer'),
  _fused_rms_norm: norm('rms'),
  sum: reduction('sum'),
  mean: reduction('sum'),
  amax: reduction('max'),
  _scaled_dot_product_flash_attention: attention(4),
  _scaled_dot_product_efficient_attention: attention(6),
  _scaled_dot_product_cudnn_attention: attention(6),
  cudnn_convolution: convolution,
  index_select: gather,
  copy_: copy,
  add: elementwise('add', 'scale'),
  sub: elementwise('sub', 'scale'),
  mul: elementwise('mul', 'scale'),
  div: elementwise('div', 'scale'),
  pow: elementwise('pow', 'scale'),
  relu: elementwise('relu'),
  gelu: elementwise('gelu'),
  silu: elementwise('silu'),
  sigmoid: elementwise('sigmoid'),
  tanh: elementwise('tanh'),
  exp: elementwise('exp'),
};

/** aten::add, and aten::add_ in place. */
function readerOf(name: string) {
  const [, own] = /^aten::(.+)$/.exec(name) ?? [];
  if (own === undefined) return undefined;
  if (Object.hasOwn(READERS, own)) return READERS[own];
  const bare = own.replace(/_$/, '');
  return Object.hasOwn(READERS, bare) ? READERS[bare] : undefined;
}

export const isKnown = (name: string): boolean => readerOf(name) !== undefined;

/** The op that a call computes. */
export function opOf(call: Call, id: string, deps: string[]): Op | undefined {
  // nothing is computed of an empty tensor
  if (call.dims.some((d) => d.includes(0))) return undefined;
  const body = readerOf(call.name)?.(call);
  return body && ({ ...body, id, name: call.name.replace(/^aten::/, ''), repeat: 1, deps } as Op);
}

/** Operators that move nothing: other views of the same memory, and memory itself. */
const VIEWS = new Set(
  [
    'view reshape _unsafe_view _reshape_alias t transpose permute expand as_strided slice select narrow unsqueeze squeeze',
    'split split_with_sizes chunk unbind detach detach_ alias flatten unflatten empty empty_like empty_strided resize_',
    'set_ size stride item _local_scalar_dense is_nonzero lift_fresh contiguous to _to_copy result_type',
  ]
    .join(' ')
    .split(' '),
);
export const isView = (name: string): boolean => VIEWS.has(name.replace(/^aten::/, '')) || name === 'detach';
