/**
 * Computations with a known bound that the library has no op for: they take a shape and give terms, as ops do, and a tile
 * program or a formula of what a known schedule moves.
 */
import { bytesOf, type DType } from '../base/dtype.js';
import { InputError } from '../base/errors.js';
import type { Kernel, ShapeKey } from '../kernel/kernel.js';
import { productFormats } from '../kernel/library/gemm.js';
import { gatherReuse_B } from './families/gather.js';
import { sparseTerm, triangularTerm } from './families/product.js';
import { sparse_gemm, triangular_gemm } from './programs.js';
import { type Axis, axis } from './space.js';
import { compulsory, type Term } from './term.js';

type Shape = Readonly<Record<string, number>>;

export interface Other {
  readonly math: string;
  readonly shape: Readonly<Record<string, ShapeKey>>;
  /** Compulsory traffic first. */
  terms(shape: Shape, dtype: DType, M: number): [Term, ...Term[]];
  /** A tile program with two sizes that share the near store, counted. */
  readonly schedule?: {
    readonly kernel: Kernel<'custom'>;
    axes(shape: Shape): readonly Axis[];
  };
  /** Bytes of a known schedule, with its name, by formula. */
  reached?(shape: Shape, dtype: DType, M: number): { readonly kernel: string; readonly requested_B: number };
}

/** An index of a row. */
const INDEX_B = 4;
const sum_B = (dtype: DType): number => bytesOf(productFormats(dtype).accumulate);

export const OTHERS = {
  triangular_gemm: {
    math: triangular_gemm.math,
    shape: triangular_gemm.shape,
    schedule: { kernel: triangular_gemm, axes: ({ m, n }) => [axis('bm', m!), axis('bn', n!)] },
    terms(shape, dtype, M) {
      const { read_B, write_B } = triangular_gemm.toOp(shape, dtype);
      return [compulsory(read_B + write_B), triangularTerm(shape['m']!, shape['n']!, bytesOf(dtype), sum_B(dtype), M)];
    },
  },
  sparse_gemm: {
    math: sparse_gemm.math,
    shape: sparse_gemm.shape,
    schedule: { kernel: sparse_gemm, axes: ({ m, n }) => [axis('bm', m!), axis('bn', n!)] },
    terms(shape, dtype, M) {
      const { m, n, k, keep = 2, of = 4 } = shape as Record<'m' | 'n' | 'k' | 'keep' | 'of', number>;
      if (keep > of) throw new InputError(`keep=${keep} of=${of}: more are kept than there are`, 'sparse_gemm --shape');
      const { read_B, write_B } = sparse_gemm.toOp(shape, dtype);
      return [compulsory(read_B + write_B), sparseTerm({ m, n, k, keep, of }, bytesOf(dtype), sum_B(dtype), M)];
    },
  },
  gather_reuse: {
    math: '`uses` rows of `cols` by index, each distinct row used `reuse` times on average',
    shape: {
      uses: { description: 'rows gathered' },
      cols: { description: 'width of a row' },
      reuse: { description: 'uses of a distinct row, on average', default: 1 },
    },
    terms(shape, dtype, _) {
      const { uses, cols, reuse = 1 } = shape as Record<'uses' | 'cols' | 'reuse', number>;
      if (reuse > uses) throw new InputError(`reuse=${reuse} of uses=${uses}`, 'gather_reuse --shape');
      const row_B = cols * bytesOf(dtype);
      const written_B = uses * (row_B + INDEX_B);
      return [
        {
          ...compulsory(gatherReuse_B(uses, reuse, row_B) + written_B),
          range: 'any order of the gathers; in a given order, what Belady’s replacement misses',
          source: 'distinct rows once; Belady, IBM Systems Journal 5(2), 1966, for a given order',
        },
      ];
    },
    // indices in any order: rows that fit are kept, the rest come at every use
    reached(shape, dtype, M) {
      const { uses, cols, reuse = 1 } = shape as Record<'uses' | 'cols' | 'reuse', number>;
      const row_B = cols * bytesOf(dtype);
      const distinct = Math.ceil(uses / reuse);
      const kept = Math.min(distinct, Math.floor(M / row_B));
      const read_B = (kept + ((distinct - kept) * uses) / distinct) * row_B;
      return { kernel: 'rows that fit are kept', requested_B: read_B + uses * (row_B + INDEX_B) };
    },
  },
} as const satisfies Record<string, Other>;

export const otherByName = (name: string): Other | undefined =>
  Object.hasOwn(OTHERS, name) ? OTHERS[name as keyof typeof OTHERS] : undefined;
