/**
 * What index tensors hold, for gathers and scatters: data that a simulation has to be told. Drawn from a distribution,
 * by element and seed, so that runs agree whatever the order of asking; or the user's own numbers.
 */
import { InputError } from '../../base/errors.js';
import { scrambled } from './far.js';

/**
 * uniform: every row as likely. zipf: the k-th favourite row in proportion to k^−exponent, favourites strewn over the
 * table. sorted: rising, evenly spread. paged: runs of `page` rows, in no order, none twice while rows last (slots of a
 * paged cache). given: `values`, over again when there are fewer than asked for.
 */
export type Indices =
  | { readonly kind: 'uniform'; readonly seed: number }
  | { readonly kind: 'zipf'; readonly exponent: number; readonly seed: number }
  | { readonly kind: 'sorted'; readonly seed: number }
  | { readonly kind: 'paged'; readonly page: number; readonly seed: number }
  | { readonly kind: 'given'; readonly values: ArrayLike<number>; readonly file: string };

export const INDEX_KINDS = ['uniform', 'zipf', 'sorted', 'paged'] as const;
export const UNIFORM: Indices = { kind: 'uniform', seed: 0 };
/** Scatters that set rows take each once: in pages of 16, the block size that vLLM gives out slots by. */
export const SLOTS: Indices = { kind: 'paged', page: 16, seed: 0 };

/** Row that element `i` of `count` names in a table of `rows`. */
export type Pick = (i: number) => number;

/** @throws InputError when a given row is not in the table */
export function pickOf(indices: Indices, rows: number, count: number): Pick {
  switch (indices.kind) {
    case 'uniform': {
      const u = drawn(indices.seed);
      return (i) => Math.floor(u(i) * rows);
    }
    case 'zipf': {
      const u = drawn(indices.seed);
      const strewn = strew(rows, indices.seed);
      // inverse of the distribution function of the bounded Pareto law, whose density between k and k + 1 stands for k
      const s = 1 - indices.exponent;
      const most = (rows + 1) ** s - 1;
      const rank = (x: number) => (Math.abs(s) < 1e-9 ? (rows + 1) ** x : (1 + x * most) ** (1 / s));
      return (i) => strewn(Math.min(rows, Math.floor(rank(u(i)))) - 1);
    }
    case 'sorted': {
      const u = drawn(indices.seed);
      return (i) => Math.min(rows - 1, Math.floor(((i + u(i)) * rows) / count));
    }
    case 'paged': {
      const { page } = indices;
      const pages = Math.max(1, Math.floor(rows / page));
      const strewn = strew(pages, indices.seed);
      if (rows < page) return (i) => i % rows;
      return (i) => strewn(Math.floor(i / page) % pages) * page + (i % page);
    }
    default: {
      const { values, file } = indices;
      for (let i = 0; i < values.length; i++)
        if (!(values[i]! >= 0 && values[i]! < rows))
          throw new InputError(
            `index ${values[i]} (the ${i + 1}. number) is not below the ${rows} rows of the table`,
            file,
          );
      return (i) => values[i % values.length]!;
    }
  }
}

/** Numbers in [0, 1) by place. */
function drawn(seed: number): Pick {
  const start = scrambled(seed);
  return (i) => scrambled((start ^ scrambled(i)) | 0) / 2 ** 32;
}

/** A permutation of 0 … n − 1: steps of about the golden section of n, which share no factor with it. */
function strew(n: number, seed: number): Pick {
  let step = Math.max(1, Math.round(n * 0.6180339887498949));
  while (common(step, n) > 1) step++;
  const start = scrambled(seed) % n;
  return (i) => (start + i * step) % n;
}

const common = (a: number, b: number): number => (b === 0 ? a : common(b, a % b));
