/**
 * Scalar functions that kernels share, written in primitive operations as good kernels compute them, so that the
 * counted work is the work a GPU does: exponentials as exp2 with log2 e folded in, quotients as reciprocals.
 */
import type { DType } from '../base/dtype.js';
import type { Activation, ElementwiseFn } from '../workload/op.js';
import { type Fx, type FxOp, type MapFn, mapFn } from './ir.js';

export const { LOG2E } = Math;
/** What the elementwise op `scale` multiplies by (an immediate of the kernel). */
export const ELEMENTWISE_SCALE = 0.5;
/** What the elementwise op `quantise` multiplies by before it clamps to the range of its output. */
export const QUANTISE_SCALE = 16;

const f = (op: FxOp, ...args: Fx[]): Fx => ({ f: op, args });
const a: Fx = { in: 0 };
const b: Fx = { in: 1 };

/** 1 / (1 + e^−x) */
const sigmoid = (x: Fx): Fx => f('rcp', f('add', f('exp2', f('mul', x, -LOG2E)), 1));
const silu = (x: Fx): Fx => f('mul', x, sigmoid(x));

/**
 * x·Φ(x) = max(x, 0) − |x|·h with h = ½·erfc(|x|/√2) = ½·t·P(t)·e^(−x²/2), t = 1/(1 + p·|x|/√2).
 * P: Abramowitz & Stegun, Handbook of Mathematical Functions, 7.1.26 (|error| of erf ≤ 1.5e−7).
 */
function gelu(x: Fx): Fx {
  const { size, h, bell } = geluTail(x);
  return f('fma', f('mul', size, h), bell, f('max', x, 0));
}

/** |x|, e^(−x²/2) and −½·t·P(t), whose product with it is −h. */
function geluTail(x: Fx) {
  const size = f('max', x, f('sub', 0, x));
  const t = f('rcp', f('fma', 0.3275911 * Math.SQRT1_2, size, 1));
  const half = (c: number) => -0.5 * c;
  let p = f('fma', half(1.061405429), t, half(-1.453152027));
  for (const c of [1.421413741, -0.284496736, 0.254829592]) p = f('fma', p, t, half(c));
  const bell = f('exp2', f('mul', f('mul', x, x), -0.5 * LOG2E));
  return { size, h: f('mul', p, t), bell };
}

/** Φ(x) + x·φ(x), with Φ = 1 − h above 0 and h below. */
function geluSlope(x: Fx): Fx {
  const { h, bell } = geluTail(x);
  const minus = f('mul', h, bell);
  const phi = f('select', f('lt', 0, x), f('add', 1, minus), f('sub', 0, minus));
  return f('fma', f('mul', x, 1 / Math.sqrt(2 * Math.PI)), bell, phi);
}

/** ½x(1 + tanh u) = x·sigmoid(2u) with u = √(2/π)·(x + 0.044715·x³). */
function geluTanh(x: Fx): Fx {
  const c = Math.sqrt(2 / Math.PI);
  const u = f('mul', x, f('fma', c * 0.044715, f('mul', x, x), c));
  return f('mul', x, sigmoid(f('mul', u, 2)));
}

/** d/dx x·s(2u) = s + x·s·(1 − s)·2u′ with u as above, s the sigmoid. */
function geluTanhSlope(x: Fx): Fx {
  const c = Math.sqrt(2 / Math.PI);
  const square = f('mul', x, x);
  const s = sigmoid(f('mul', x, f('fma', 2 * c * 0.044715, square, 2 * c)));
  const slope = f('fma', 6 * c * 0.044715, square, 2 * c);
  return f('fma', f('mul', f('mul', x, slope), s), f('sub', 1, s), s);
}

/** d/dx x·s(x) = s·(1 + x·(1 − s)) */
function siluSlope(x: Fx): Fx {
  const s = sigmoid(x);
  return f('mul', s, f('fma', x, f('sub', 1, s), 1));
}

/** A cast: no arithmetic, one conversion. */
export const CONVERT: MapFn = { name: 'convert', body: a, arity: 1, work: { convert: 1 } };
/** out = in, without work: a move. */
export const MOVE: MapFn = mapFn('move', 1, a);
/** out = 0: clears an accumulator. */
export const ZERO: MapFn = mapFn('zero', 0, 0);
export const ADD: MapFn = mapFn('add', 2, f('add', a, b));
export const MUL: MapFn = mapFn('mul', 2, f('mul', a, b));
export const SQUARE: MapFn = mapFn('square', 1, f('mul', a, a));
/** in2 + in0·in1 */
export const FMA: MapFn = mapFn('fma', 3, f('fma', a, b, { in: 2 }));
export const MAX: MapFn = mapFn('max', 2, f('max', a, b));

const ACTIVATION_FNS = {
  relu: mapFn('relu', 1, f('max', a, 0)),
  gelu: mapFn('gelu', 1, gelu(a)),
  gelu_tanh: mapFn('gelu_tanh', 1, geluTanh(a)),
  silu: mapFn('silu', 1, silu(a)),
  sigmoid: mapFn('sigmoid', 1, sigmoid(a)),
  tanh: mapFn('tanh', 1, f('tanh', a)),
  exp: mapFn('exp', 1, f('exp2', f('mul', a, LOG2E))),
  none: MOVE,
} as const satisfies Record<Activation, MapFn>;

/** The map that applies an activation to one operand. */
export function activationFn(activation: Activation): MapFn {
  return ACTIVATION_FNS[activation];
}

/** Largest magnitude of the formats that `quantise` clamps to. */
export const QUANTISED_MAX: Readonly<Partial<Record<DType, number>>> = {
  fp8_e4m3: 448,
  mxfp8: 448,
  fp8_e5m2: 57344,
  fp6_e3m2: 28,
  fp4_e2m1: 6,
  nvfp4: 6,
  mxfp4: 6,
  int8: 127,
  int4: 7,
};
/** Formats whose values are whole numbers: quantise rounds to them. */
export const isInteger = (dtype: DType): boolean => dtype.startsWith('int') || dtype === 'uint8';

const clamped = (x: Fx, limit: number): Fx => f('max', f('min', x, limit), -limit);
const quantised = (dtype: DType, limit: number): MapFn => {
  const scaled = clamped(f('mul', a, QUANTISE_SCALE), limit);
  const fn = mapFn(`quantise_${dtype}`, 1, isInteger(dtype) ? f('round', scaled) : scaled);
  return isInteger(dtype) ? fn : { ...fn, work: { ...fn.work, convert: 1 } };
};
const QUANTISE: Partial<Record<DType, MapFn>> = Object.fromEntries(
  Object.entries(QUANTISED_MAX).map(([dtype, limit]) => [dtype, quantised(dtype as DType, limit)]),
);
/** Into a format without a tight range: a scale and a cast. */
const QUANTISE_WIDE: MapFn = {
  name: 'quantise',
  body: f('mul', a, QUANTISE_SCALE),
  arity: 1,
  work: { mul: 1, convert: 1 },
};

const ELEMENTWISE_FNS = {
  add: ADD,
  sub: mapFn('sub', 2, f('sub', a, b)),
  mul: MUL,
  div: mapFn('div', 2, f('mul', a, f('rcp', b))),
  /** a^b for a > 0 */
  pow: mapFn('pow', 2, f('exp2', f('mul', b, f('log2', a)))),
  relu: ACTIVATION_FNS.relu,
  gelu: ACTIVATION_FNS.gelu,
  gelu_tanh: ACTIVATION_FNS.gelu_tanh,
  silu: ACTIVATION_FNS.silu,
  sigmoid: ACTIVATION_FNS.sigmoid,
  tanh: ACTIVATION_FNS.tanh,
  exp: ACTIVATION_FNS.exp,
  scale: mapFn('scale', 1, f('mul', a, ELEMENTWISE_SCALE)),
  cast: CONVERT,
  copy: MOVE,
  swiglu: mapFn('swiglu', 2, f('mul', silu(a), b)),
  geglu: mapFn('geglu', 2, f('mul', gelu(a), b)),
  quantise: QUANTISE_WIDE,
  relu_backward: mapFn('relu_backward', 2, f('select', f('lt', 0, a), b, 0)),
  gelu_backward: mapFn('gelu_backward', 2, f('mul', geluSlope(a), b)),
  gelu_tanh_backward: mapFn('gelu_tanh_backward', 2, f('mul', geluTanhSlope(a), b)),
  silu_backward: mapFn('silu_backward', 2, f('mul', siluSlope(a), b)),
} as const satisfies Record<ElementwiseFn, MapFn>;

/** The map that applies an elementwise op; `out` matters to `quantise`, which clamps to (and rounds in) that format. */
export function elementwiseFn(fn: ElementwiseFn, out: DType = 'fp32'): MapFn {
  return fn === 'quantise' ? (QUANTISE[out] ?? QUANTISE_WIDE) : ELEMENTWISE_FNS[fn];
}
