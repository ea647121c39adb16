/** Number formats. Sub-byte formats are packed; block-scaled ones carry their scales' bytes in `scale_bits_per_element`. */
export const DTYPES = [
  'fp64',
  'fp32',
  'tf32',
  'bf16',
  'fp16',
  'fp8_e4m3',
  'fp8_e5m2',
  'fp6_e3m2',
  'fp4_e2m1',
  'nvfp4',
  'mxfp4',
  'mxfp8',
  'int64',
  'int32',
  'int16',
  'int8',
  'uint8',
  'int4',
  'int1',
] as const;
export type DType = (typeof DTYPES)[number];

/** Bits an element takes in memory, block scales included (nvfp4: an 8-bit scale per 16; mx formats: 8 bits per 32). */
const BITS: Record<DType, number> = {
  fp64: 64,
  fp32: 32,
  tf32: 32,
  bf16: 16,
  fp16: 16,
  fp8_e4m3: 8,
  fp8_e5m2: 8,
  fp6_e3m2: 6,
  fp4_e2m1: 4,
  nvfp4: 4 + 8 / 16,
  mxfp4: 4 + 8 / 32,
  mxfp8: 8 + 8 / 32,
  int64: 64,
  int32: 32,
  int16: 16,
  int8: 8,
  uint8: 8,
  int4: 4,
  int1: 1,
};

/** Bytes per element; a fraction for sub-byte formats. */
export function bytesOf(dtype: DType): number {
  return BITS[dtype] / 8;
}

/** Other spellings users and tables write. */
const ALIASES: Record<string, DType> = {
  bfloat16: 'bf16',
  float16: 'fp16',
  half: 'fp16',
  f16: 'fp16',
  float32: 'fp32',
  float: 'fp32',
  f32: 'fp32',
  float64: 'fp64',
  double: 'fp64',
  f64: 'fp64',
  fp8: 'fp8_e4m3',
  float8: 'fp8_e4m3',
  fp8_block: 'fp8_e4m3',
  fp8_static: 'fp8_e4m3',
  fp4: 'fp4_e2m1',
  binary: 'int1',
  i8: 'int8',
  i4: 'int4',
  i32: 'int32',
  u8: 'uint8',
};

export function asDType(text: string): DType | undefined {
  return (DTYPES as readonly string[]).includes(text) ? (text as DType) : ALIASES[text];
}
