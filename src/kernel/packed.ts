/**
 * Small integers packed into words of 32 bits: four of 8 bits, or eight of 4 bits. A word is written whole, so memory
 * that lanes write is packed only where they write it by aligned fours; pairs of such fours, as of 4 bits, are packed
 * where they are only read.
 */
import type { DType } from '../base/dtype.js';
import { isTile, type Mma, type Program, type Stmt, type Tensor } from './ir.js';
import type { Memory } from './vectors.js';

export type Packed = 'i8' | 'u8' | 'i4';
const PACKED_AS: Partial<Record<DType, Packed>> = { int8: 'i8', uint8: 'u8', int4: 'i4' };

/** What is packed, and how; workgroup memory keeps 4-bit integers as bytes, since its lanes write it. */
export function packedMemory(
  program: Program,
  vec: ReadonlySet<Memory>,
  atomic: ReadonlySet<Tensor>,
): Map<Memory, Packed> {
  const written = new Set<Tensor>();
  const visit = (body: readonly Stmt[]): void => {
    for (const s of body)
      if (s.kind === 'loop') visit(s.body);
      else if ((s.kind === 'copy' || s.kind === 'scatter') && !isTile(s.to)) written.add(s.to.tensor);
  };
  visit(program.body);
  const packed = new Map<Memory, Packed>();
  for (const t of program.tensors) {
    const as = PACKED_AS[t.dtype];
    if (as && !atomic.has(t) && (!written.has(t) || (vec.has(t) && as !== 'i4'))) packed.set(t, as);
  }
  for (const t of program.tiles) {
    const as = PACKED_AS[t.dtype];
    if (as && t.level === 'shared' && vec.has(t)) packed.set(t, as === 'i4' ? 'i8' : as);
  }
  return packed;
}

/** What both operands of a product are packed as, where lanes multiply four bytes at once. */
export function packedProduct({ a, b }: Mma, packed: ReadonlyMap<Memory, Packed>): 'i8' | 'u8' | undefined {
  const as = packed.get(a);
  return as === packed.get(b) && as !== 'i4' ? as : undefined;
}
