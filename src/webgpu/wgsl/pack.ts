/** Tensors between logical row-major doubles and the bytes that a shader binds. */
import { stridesOf, type Tensor } from '../../kernel/ir.js';
import type { Binding } from './options.js';
import { STORED_B, type Stored } from './types.js';

/** Bytes of a binding. */
export const sizeOf = (b: Pick<Binding, 'type' | 'elements'>): number => Math.max(4, b.elements * STORED_B[b.type]);

/** The tensor's elements where its strides put them, in the type of the binding. */
export function packTensor(t: Tensor, values: Float64Array, b: Pick<Binding, 'type' | 'elements'>): Uint8Array {
  const out = typed(b.type, b.elements);
  forEachElement(t, (logical, place) => {
    out.set(place, values[logical]!);
  });
  return new Uint8Array(out.buffer);
}

export function unpackTensor(t: Tensor, bytes: Uint8Array, type: Stored): Float64Array {
  const from = view(type, bytes);
  const out = new Float64Array(t.dims.reduce((a, b) => a * b, 1));
  forEachElement(t, (logical, place) => {
    out[logical] = from.get(place);
  });
  return out;
}

function forEachElement(t: Tensor, found: (logical: number, place: number) => void): void {
  const strides = stridesOf(t);
  const n = t.dims.length;
  const at = new Array<number>(n).fill(0);
  let place = 0;
  const size = t.dims.reduce((a, b) => a * b, 1);
  for (let logical = 0; logical < size; logical++) {
    found(logical, place);
    for (let d = n - 1; d >= 0; d--) {
      at[d]!++;
      place += strides[d]!;
      if (at[d]! < t.dims[d]!) break;
      place -= strides[d]! * t.dims[d]!;
      at[d] = 0;
    }
  }
}

interface Cells {
  readonly buffer: ArrayBuffer;
  set(i: number, x: number): void;
  get(i: number): number;
}
function typed(type: Stored, elements: number): Cells {
  return view(type, new Uint8Array(Math.max(4, elements * STORED_B[type])));
}
function view(type: Stored, bytes: Uint8Array): Cells {
  const buffer = bytes.buffer as ArrayBuffer;
  if (type === 'i8' || type === 'u8') {
    const cells = type === 'i8' ? new Int8Array(buffer, bytes.byteOffset, bytes.byteLength) : bytes;
    return { buffer, set: (i, x) => void (cells[i] = x), get: (i) => cells[i]! };
  }
  if (type === 'i4') {
    const shift = (i: number) => 4 * (i & 1);
    return {
      buffer,
      set: (i, x) => void (bytes[i >> 1] = (bytes[i >> 1]! & ~(15 << shift(i))) | ((x & 15) << shift(i))),
      get: (i) => ((bytes[i >> 1]! >> shift(i)) << 28) >> 28,
    };
  }
  if (type === 'f16') {
    const cells = new Uint16Array(buffer, bytes.byteOffset, bytes.byteLength >> 1);
    return { buffer, set: (i, x) => void (cells[i] = toHalf(x)), get: (i) => fromHalf(cells[i]!) };
  }
  const cells =
    type === 'f32'
      ? new Float32Array(buffer, bytes.byteOffset, bytes.byteLength >> 2)
      : new Int32Array(buffer, bytes.byteOffset, bytes.byteLength >> 2);
  return { buffer, set: (i, x) => void (cells[i] = x), get: (i) => cells[i]! };
}

const word = new DataView(new ArrayBuffer(4));

/** Bits of the binary16 nearest to x, ties to even (IEEE 754-2019 §4.3.1). */
export function toHalf(x: number): number {
  word.setFloat32(0, x);
  const bits = word.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  if (Number.isNaN(x)) return sign | 0x7e00;
  const size = Math.abs(x);
  if (size >= 65520) return sign | 0x7c00;
  if (size < 2 ** -14) return sign | Math.round(tieToEven(size * 2 ** 24));
  const exponent = Math.floor(Math.log2(Math.fround(size)));
  const e = size < 2 ** exponent ? exponent - 1 : size >= 2 ** (exponent + 1) ? exponent + 1 : exponent;
  // a carry out of the fraction runs into the exponent, as it should
  return sign | (((e + 15) << 10) + tieToEven((size / 2 ** e - 1) * 1024));
}
function tieToEven(x: number): number {
  const low = Math.floor(x);
  const part = x - low;
  return part > 0.5 || (part === 0.5 && low % 2 === 1) ? low + 1 : low;
}
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
