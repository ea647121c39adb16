/** What WGSL stores a number format as, and what that substitutes. */
import { bytesOf, type DType } from '../../base/dtype.js';
import type { Packed } from '../../kernel/packed.js';

/** What lanes compute in. */
export type Scalar = 'f32' | 'f16' | 'i32';
/** What memory holds. */
export type Stored = Scalar | Packed;
export const STORED_B = { f32: 4, f16: 2, i32: 4, i8: 1, u8: 1, i4: 0.5 } as const satisfies Record<Stored, number>;

/**
 * WGSL has f32, i32 and, with shader-f16, f16. Narrow floats are exact in f16; bf16 keeps its size there, and loses
 * range above 65504; block-scaled values span more than f16 and take f32; integers take a word each, unless they
 * are packed.
 */
const STORED_AS = {
  fp64: 'f32',
  fp32: 'f32',
  tf32: 'f32',
  bf16: 'f16',
  fp16: 'f16',
  fp8_e4m3: 'f16',
  fp8_e5m2: 'f16',
  fp6_e3m2: 'f16',
  fp4_e2m1: 'f16',
  nvfp4: 'f32',
  mxfp4: 'f32',
  mxfp8: 'f32',
  int64: 'i32',
  int32: 'i32',
  int16: 'i32',
  int8: 'i32',
  uint8: 'i32',
  int4: 'i32',
  int1: 'i32',
} as const satisfies Record<DType, Scalar>;

export const storedAs = (dtype: DType, f16: boolean): Scalar =>
  STORED_AS[dtype] === 'f16' && !f16 ? 'f32' : STORED_AS[dtype];

const EXACT: Partial<Record<DType, Stored>> = {
  fp32: 'f32',
  fp16: 'f16',
  int32: 'i32',
  int8: 'i8',
  uint8: 'u8',
  int4: 'i4',
};

/** "bf16 is stored as f16 (2 B for 2 B)" for formats that WGSL lacks; undefined for those it has. */
export function substitution(dtype: DType, stored: Stored): string | undefined {
  if (EXACT[dtype] === stored) return undefined;
  return `${dtype} is stored as ${stored} (${STORED_B[stored]} B for ${bytesOf(dtype)} B)`;
}

/** Converts an expression between scalar types, or vectors of them. */
export function cast(code: string, from: Scalar, to: Scalar, vec = false): string {
  if (from === to) return code;
  return vec ? `vec4<${to}>(${code})` : `${to}(${code})`;
}
