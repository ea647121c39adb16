/**
 * Text for packed integers (kernel/packed.ts). WGSL has no narrower ones than 32 bits, but takes such words apart and
 * multiplies them (the language feature packed_4x8_integer_dot_product; plain shifts else).
 */
import type { Packed } from '../../kernel/packed.js';
import { over, rest, type Term, times } from './term.js';

/** Whether lanes may use WGSL's own functions on packed words. */
export type Builtins = boolean;

/** The four integers at a vector's index, as vec4<i32>. */
export function fourAt(name: string, index: Term, as: Packed, builtins: Builtins): string {
  if (as === 'i4') return `unpack_i4(${name}[${over(index, 2)}] >> (u32(${rest(index, 2)}) * 16u))`;
  const word = `${name}[${index}]`;
  if (!builtins) return `unpack_${as}(${word})`;
  return as === 'i8' ? `unpack4xI8(${word})` : `vec4<i32>(unpack4xU8(${word}))`;
}

/** One integer at an element's index, as i32. */
export function oneAt(name: string, index: Term, as: Packed): string {
  const [per, bits] = as === 'i4' ? [8, 4] : [4, 8];
  const word = `${name}[${over(index, per)}]`;
  const shift = `u32(${times(rest(index, per), bits)})`;
  return as === 'u8'
    ? `i32(extractBits(${word}, ${shift}, ${bits}u))`
    : `extractBits(bitcast<i32>(${word}), ${shift}, ${bits}u)`;
}

/** A vec4<i32> of integers that fit, as a word. */
export const packFour = (four: string, builtins: Builtins): string =>
  builtins ? `pack4xI8(${four})` : `pack_bytes(${four})`;

/** Functions that the text above may call. */
export const HELPERS: Readonly<Record<string, readonly string[]>> = {
  unpack_i8: [
    'fn unpack_i8(word: u32) -> vec4<i32> {',
    '  return bitcast<vec4<i32>>(vec4<u32>(word) << vec4<u32>(24, 16, 8, 0)) >> vec4<u32>(24);',
    '}',
  ],
  unpack_u8: [
    'fn unpack_u8(word: u32) -> vec4<i32> {',
    '  return vec4<i32>((vec4<u32>(word) >> vec4<u32>(0, 8, 16, 24)) & vec4<u32>(255));',
    '}',
  ],
  unpack_i4: [
    'fn unpack_i4(half: u32) -> vec4<i32> {',
    '  return bitcast<vec4<i32>>(vec4<u32>(half) << vec4<u32>(28, 24, 20, 16)) >> vec4<u32>(28);',
    '}',
  ],
  pack_bytes: [
    'fn pack_bytes(four: vec4<i32>) -> u32 {',
    '  let b = bitcast<vec4<u32>>(four) & vec4<u32>(255);',
    '  return b.x | (b.y << 8) | (b.z << 16) | (b.w << 24);',
    '}',
  ],
  // words are rows of four bytes; returned are the columns
  transpose_bytes: [
    'fn transpose_bytes(w: vec4<u32>) -> vec4<u32> {',
    '  let even = vec2<u32>((w.x & 0x00ff00ff) | ((w.y & 0x00ff00ff) << 8), (w.z & 0x00ff00ff) | ((w.w & 0x00ff00ff) << 8));',
    '  let odd = vec2<u32>(((w.x >> 8) & 0x00ff00ff) | (w.y & 0xff00ff00), ((w.z >> 8) & 0x00ff00ff) | (w.w & 0xff00ff00));',
    '  return vec4<u32>(',
    '    (even.x & 0xffff) | (even.y << 16), (odd.x & 0xffff) | (odd.y << 16),',
    '    (even.x >> 16) | (even.y & 0xffff0000), (odd.x >> 16) | (odd.y & 0xffff0000));',
    '}',
  ],
};
