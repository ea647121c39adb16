/**
 * Computations with a known bound that the library has no kernel of: they take a shape and give terms, as ops do.
 */
import { bytesOf, type DType } from '../base/dtype.js';
import { InputError } from '../base/errors.js';
import type { ShapeKey } from '../kernel/kernel.js';
import { productFormats } from '../kernel/library/gemm.js';
import { fftPasses_B, fftTerm } from './families/fft.js';
import { sparseTerm, triangularTerm } from './families/product.js';
import { compulsory, type Term } from './term.js';

type Shape = Readonly<Record<string, number>>;

export interface Other {
  readonly math: string;
  readonly shape: Readonly<Record<string, ShapeKey>>;
  /** Compulsory traffic first. */
  terms(shape: Shape, dtype: DType, M: number): [Term, ...Term[]];
  /** Bytes of a known schedule, with its name. */
  reached?(shape: Shape, dtype: DType, M: number): { readonly kernel: string; readonly requested_B: number };
}

const sum_B = (dtype: DType): number => bytesOf(productFormats(dtype).accumulate);

export const OTHERS = {
  fft: {
    math: 'radix-2 transform of n points',
    shape: { n: { description: 'points, a power of two' } },
    terms({ n }, dtype, M) {
      if (!n || n < 2 || !Number.isInteger(Math.log2(n)))
        throw new InputError(`n=${n} is no power of two`, 'fft --shape');
      return [compulsory(2 * n * bytesOf(dtype)), fftTerm(n, bytesOf(dtype), M)];
    },
    reached: ({ n }, dtype, M) => ({ kernel: 'radix-M passes', requested_B: fftPasses_B(n!, bytesOf(dtype), M) }),
  },
  triangular_gemm: {
    math: 'C[m,n] = L[m,m]·B[m,n], L lower triangular',
    shape: { m: { description: 'rows of L, B and C' }, n: { description: 'columns of B and C' } },
    terms(shape, dtype, M) {
      const m = shape['m']!;
      const n = shape['n']!;
      const w = bytesOf(dtype);
      return [compulsory((m * (m + 1) * w) / 2 + 2 * m * n * w), triangularTerm(m, n, w, sum_B(dtype), M)];
    },
  },
  sparse_gemm: {
    math: 'C[m,n] = A[m,k]·B[k,n], `keep` of every `of` values of A kept',
    shape: {
      m: { description: 'rows of A and C' },
      n: { description: 'columns of B and C' },
      k: { description: 'the reduction' },
      keep: { description: 'values kept', default: 2 },
      of: { description: 'of so many', default: 4 },
    },
    terms(shape, dtype, M) {
      const { m, n, k, keep = 2, of = 4 } = shape as Record<'m' | 'n' | 'k' | 'keep' | 'of', number>;
      if (keep > of) throw new InputError(`keep=${keep} of=${of}: more are kept than there are`, 'sparse_gemm --shape');
      const w = bytesOf(dtype);
      const kept = (m * k * keep) / of;
      const least = kept * (w + Math.ceil(Math.log2(of)) / 8) + k * n * w + m * n * w;
      return [compulsory(least), sparseTerm({ m, n, k, keep, of }, w, sum_B(dtype), M)];
    },
  },
} as const satisfies Record<string, Other>;

export const otherByName = (name: string): Other | undefined =>
  Object.hasOwn(OTHERS, name) ? OTHERS[name as keyof typeof OTHERS] : undefined;
