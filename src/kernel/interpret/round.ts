/**
 * Rounding of a double to the values a number format holds: to nearest, ties to even, saturating where the format has
 * no infinity. Layouts: IEEE 754-2019; bfloat16 (Google/Intel); OCP 8-bit floating point 1.0 (E4M3 has no infinity and
 * one NaN code, so its greatest value is 448; E5M2 is as IEEE); OCP microscaling 1.0 (E3M2 to 28, E2M1 to 6); TF32 keeps
 * ten fraction bits of a float. Block-scaled formats have no meaning for one element: see `quantiseBlocks`.
 */
import type { DType } from '../../base/dtype.js';

type Round = (x: number) => number;

/** `fraction` bits behind the point, normal exponents from `minExponent`, greatest finite `max`; above: infinity or max. */
const float =
  (fraction: number, minExponent: number, max: number, overflow: 'infinity' | 'saturate'): Round =>
  (x) => {
    if (x === 0 || !Number.isFinite(x)) return overflow === 'saturate' && !Number.isNaN(x) ? clamp(x, -max, max) : x;
    const exponent = Math.max(exponentOf(x), minExponent);
    const unit = 2 ** (exponent - fraction);
    const y = roundEven(x / unit) * unit;
    if (Math.abs(y) <= max) return y;
    return overflow === 'saturate' ? clamp(y, -max, max) : y * Number.POSITIVE_INFINITY;
  };
const integer =
  (low: number, high: number): Round =>
  (x) =>
    clamp(roundEven(x), low, high);
const keep: Round = (x) => x;

const fp16 = float(10, -14, 65504, 'infinity');
const bf16 = float(7, -126, (2 - 2 ** -7) * 2 ** 127, 'infinity');
const tf32 = float(10, -126, (2 - 2 ** -10) * 2 ** 127, 'infinity');
const e2m1 = float(1, 0, 6, 'saturate');
const e4m3 = float(3, -6, 448, 'saturate');

const ROUND = {
  fp64: keep,
  fp32: Math.fround,
  tf32,
  bf16,
  fp16,
  fp8_e4m3: e4m3,
  fp8_e5m2: float(2, -14, 57344, 'infinity'),
  fp6_e3m2: float(2, -2, 28, 'saturate'),
  fp4_e2m1: e2m1,
  nvfp4: keep,
  mxfp4: keep,
  mxfp8: keep,
  int64: roundEven,
  int32: integer(-(2 ** 31), 2 ** 31 - 1),
  int16: integer(-(2 ** 15), 2 ** 15 - 1),
  int8: integer(-128, 127),
  uint8: integer(0, 255),
  int4: integer(-8, 7),
  int1: integer(0, 1),
} as const satisfies Record<DType, Round>;

/** The nearest value that `dtype` holds; the value itself for block-scaled formats. */
export function roundTo(dtype: DType, x: number): number {
  return ROUND[dtype](x);
}

/** Rounds `values` in place. */
export function roundArray(dtype: DType, values: Float64Array): void {
  const round = ROUND[dtype];
  if (round === keep) return;
  for (let i = 0; i < values.length; i++) values[i] = round(values[i]!);
}

/** Block-scaled formats: elements per scale, element format, format of the scale (E8M0 is a power of two). */
const BLOCKS: Partial<Record<DType, { size: number; element: Round; max: number; scale: 'e8m0' | 'e4m3' }>> = {
  nvfp4: { size: 16, element: e2m1, max: 6, scale: 'e4m3' },
  mxfp4: { size: 32, element: e2m1, max: 6, scale: 'e8m0' },
  mxfp8: { size: 32, element: e4m3, max: 448, scale: 'e8m0' },
};

/**
 * Rounds a tensor in place as its memory holds it, blocks running along the last dim of extent `inner`.
 * Microscaling scales by the power of two of the block's greatest exponent (OCP MX 1.0, §6.3); nvfp4 by max ÷ 6 in E4M3.
 */
export function roundTensor(dtype: DType, values: Float64Array, inner: number): void {
  const block = BLOCKS[dtype];
  if (!block) {
    roundArray(dtype, values);
    return;
  }
  for (let row = 0; row < values.length; row += inner)
    for (let from = row; from < row + inner; from += block.size) {
      const part = values.subarray(from, Math.min(from + block.size, row + inner));
      let peak = 0;
      for (const v of part) peak = Math.max(peak, Math.abs(v));
      if (peak === 0 || !Number.isFinite(peak)) continue;
      const scale =
        block.scale === 'e8m0' ? 2 ** (exponentOf(peak) - exponentOf(block.max)) : e4m3(peak / block.max) || 2 ** -9;
      for (let i = 0; i < part.length; i++) part[i] = block.element(part[i]! / scale) * scale;
    }
}

/** Nearest integer, ties to even; keeps the sign of zero. */
export function roundEven(x: number): number {
  if (x < 0) return -roundEven(-x);
  const low = Math.floor(x);
  const part = x - low;
  if (part < 0.5) return low;
  if (part > 0.5) return low + 1;
  return low % 2 === 0 ? low : low + 1;
}

const clamp = (x: number, low: number, high: number): number => Math.min(high, Math.max(low, x));

const bits = new DataView(new ArrayBuffer(8));
/** ⌊log2 |x|⌋ of a finite x ≠ 0; −1023 or less for subnormal doubles, below every format's range. */
function exponentOf(x: number): number {
  bits.setFloat64(0, x);
  return ((bits.getUint32(0) >>> 20) & 0x7ff) - 1023;
}
