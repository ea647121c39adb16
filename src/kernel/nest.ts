/**
 * A nest: how the einsums of a cascade are laid on arrays of PEs. Loops over ranks bind to the levels of an array, in
 * time or over the places below a level; tensors are kept at a level or pass it by.
 */

export interface NestLoop {
  readonly rank: string;
  /** Trips; the last may be partial when sizes do not divide the rank. */
  readonly size: number;
  /** Over the places below the level, along this direction; in time when absent. */
  readonly spatial?: 'x' | 'y';
}

/** What one level does for one einsum. */
export interface NestLevel {
  /** Id of the array's level. */
  readonly level: string;
  /** Outermost first; each trip of a temporal loop hands the next nearer level another tile. */
  readonly loops: readonly NestLoop[];
  /** Store that keeps each tensor here; tensors that are not named pass by. */
  readonly keeps: Readonly<Record<string, string>>;
}

/** One einsum on one array: a level of it for each of the array's, far to near. */
export interface EinsumNest {
  readonly einsum: string;
  readonly unit: string;
  readonly levels: readonly NestLevel[];
}

/** Einsums in flight together, each on its unit; those of one unit take turns. */
export interface Stage {
  readonly nests: readonly EinsumNest[];
}

/**
 * Stages run one after another inside the shared loops: an epoch is one trip through all of them. A single einsum is
 * one stage of one nest with no shared loops.
 */
export interface Nest {
  /** Loops that all einsums share, outside every nest's own, with what is kept across stages. */
  readonly shared: readonly NestLevel[];
  readonly stages: readonly Stage[];
  /**
   * Epochs in flight together: while one waits for what a spatial reduction or skew delays, others keep the arrays busy.
   * 1 when absent: each waits.
   */
  readonly in_flight?: number;
}
