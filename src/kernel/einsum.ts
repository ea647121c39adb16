/**
 * What a program computes, without its tiles: a cascade of einsums over named ranks. An einsum is evaluated at every
 * point of its ranks; each operand's coordinates are sums of ranks times strides (y·2 + r for a strided window).
 * Ranks of `ins` that `out` lacks are reduced. Nests of loops are laid over these ranks.
 */
import type { DType } from '../base/dtype.js';
import type { MathFn, OperandRole } from '../machine/graph.js';
import type { MapFn } from './ir.js';

/** One coordinate of a tensor: Σ stride · rank + offset. */
export interface Coordinate {
  readonly terms: readonly { readonly rank: string; readonly stride: number }[];
  readonly offset?: number;
}

export interface Access {
  readonly tensor: string;
  /** One per dim of the tensor; no coordinates: a scalar. */
  readonly at: readonly Coordinate[];
}

export interface CascadeTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly role: OperandRole;
  /** Starts or ends in the home store; otherwise made and used within the cascade. */
  readonly home: boolean;
  /** Tensors of one storage live in the same place, one after another. */
  readonly storage?: string;
  /** What elements hold that no einsum writes: where a recurrence starts. */
  readonly start?: number;
  /** Which of its elements are not zero; all when absent. */
  readonly density?: Density;
}

/**
 * How the elements that are not zero lie: `fixed_structured`, the same share of every tile (N of each M);
 * `hypergeometric`, as many of the whole tensor, anywhere.
 */
export interface Density {
  readonly model: 'fixed_structured' | 'hypergeometric';
  /** Of the whole tensor, 0 to 1. */
  readonly share: number;
}

export interface Einsum {
  readonly name: string;
  /** Every rank of the iteration space, in the program's order. */
  readonly ranks: readonly string[];
  readonly out: Access;
  readonly ins: readonly Access[];
  /** How points that share an output element are combined; `none` where each has its own. */
  readonly reduce: 'none' | 'sum' | 'max' | 'min';
  /** Where the combination starts; at the combiner's identity when absent. */
  readonly init?: Access;
  /** The function of the operands; their product when absent. */
  readonly fn?: MapFn;
  /** Scalars of `fn`: where the point lies, as sums of ranks. */
  readonly places?: readonly Coordinate[];
  /** Work of one point by class; a multiply–accumulate is one `fma`. */
  readonly work: Readonly<Partial<Record<MathFn, number>>>;
}

/** A rank of blocks that ends early: points beyond are left out, and what is handed on along it stays as it was. */
export interface Until {
  readonly rank: string;
  /** How many blocks there are for each tile of another rank, and how many of that rank a tile has. */
  readonly by: string;
  readonly tile: number;
  readonly blocks: readonly number[];
}

export interface Cascade {
  readonly name: string;
  /** Extent of each rank. */
  readonly ranks: Readonly<Record<string, number>>;
  readonly until?: Until;
  readonly tensors: readonly CascadeTensor[];
  /** In the order in which one depends on another. */
  readonly einsums: readonly Einsum[];
}
