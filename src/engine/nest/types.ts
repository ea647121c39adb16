/**
 * What the analysis of a nest says. Words are elements of a tensor; counts are of one instance of a store, over the
 * whole run, so that instances in use × counts is the machine's total.
 */

/** One tensor in one store. */
export interface TensorCounts {
  readonly tensor: string;
  /** Words of its largest tile. */
  readonly tile: number;
  /** Words of the tensor that this instance ever holds: what the first touch of a partial result is counted by. */
  readonly partition: number;
  /** Instances of the store that hold some of it. */
  readonly instances: number;
  readonly reads: number;
  /** Words written that come from farther away. */
  readonly fills: number;
  /** Words written that come from nearer: partial and final results. */
  readonly updates: number;
  /** Of the updates, those that are added to what is there. */
  readonly reductions: number;
  /** Where zeros are made use of: what becomes of the counts above. */
  readonly sparse?: SparseTensorCounts;
}

/** Actions that are done, gated (their time passes, idle) and skipped (no time passes). */
export interface Split {
  readonly actual: number;
  readonly gated: number;
  readonly skipped: number;
}

export interface SparseTensorCounts {
  /** Formats of the ranks, outermost first; none: kept whole. */
  readonly format: readonly string[];
  /** Share of the tile's elements that are not zero, on the mean. */
  readonly density: number;
  /** Words and metadata (coordinates, pointers; by rank, outermost first) of the largest tile as it is kept. */
  readonly stored: number;
  readonly stored_metadata: readonly { readonly metadata: number; readonly payload: number }[];
  readonly reads: Split;
  readonly fills: Split;
  readonly updates: Split;
  /** Metadata moved, by rank, outermost first. */
  readonly ranks: readonly {
    readonly format: string;
    readonly reads: { readonly metadata: Split; readonly payload: Split };
    readonly fills: { readonly metadata: number; readonly payload: number };
    readonly updates: { readonly metadata: Split; readonly payload: Split };
  }[];
  /** Words compressed on their way out, and expanded on their way in. */
  readonly compressions: number;
  readonly expansions: number;
}

/** One store of a level. */
export interface StoreCounts {
  readonly store: string;
  readonly level: string;
  /** Cycles that its bandwidth needs, at least those of the arithmetic. */
  readonly cycles: number;
  /** Words that all its tensors take, of `capacity` (Infinity where it has no limit). */
  readonly used: number;
  readonly capacity: number;
  readonly instances: number;
  readonly tensors: readonly TensorCounts[];
  /** Of the instances in use. */
  readonly energy_pJ: number;
  readonly leakage_pJ: number;
}

/** Words of one tensor over the network below a level, all instances together. */
export interface NetworkCounts {
  readonly level: string;
  readonly tensor: string;
  /** Words that leave the level (or, for results, reach it). */
  readonly sent: number;
  /** Words that arrive at the places below (or, for results, leave them). */
  readonly delivered: number;
  /** Words handed on between neighbours. */
  readonly linked: number;
  readonly energy_pJ: number;
}

/** One einsum on its array. */
export interface NestAnalysis {
  readonly einsum: string;
  readonly unit: string;
  /** Points of the iteration space that are computed. */
  readonly computes: number;
  /** What becomes of them where zeros are made use of; those of which no operand exists are in none. */
  readonly sparse_computes?: Split;
  /** Places of arithmetic in use, and in all. */
  readonly places: number;
  readonly places_all: number;
  /** Cycles of the arithmetic alone. */
  readonly compute_cycles: number;
  /** The longest of the arithmetic's and each store's. */
  readonly cycles: number;
  /** `arithmetic`, or the store that needs the most cycles. */
  readonly bound_by: string;
  /** Computes ÷ what all places could do in `cycles`. */
  readonly utilisation: number;
  readonly compute_pJ: number;
  /** Far to near. */
  readonly stores: readonly StoreCounts[];
  readonly networks: readonly NetworkCounts[];
  /** By store id and unit id, leakage included; sums to `energy_pJ`. */
  readonly energy_by_part_pJ: Readonly<Record<string, number>>;
  readonly energy_pJ: number;
}

/** A nest of one or more stages. Cycles of the whole run. */
export interface NestResult {
  readonly einsums: readonly NestAnalysis[];
  /** Trips through all stages. */
  readonly epochs: number;
  /** Per stage, of one epoch: by unit Σ the cycles of its einsums, and the longest of them. */
  readonly stages: readonly { readonly cycles: number; readonly by_unit: Readonly<Record<string, number>> }[];
  /** Epochs × Σ stages. */
  readonly compute_cycles: number;
  /** Beside them: waits for results that places combine on the way, where no other epoch fills them. */
  readonly stall_cycles: number;
  /** Per store: its traffic ÷ its bandwidth, the einsums' together. */
  readonly store_cycles: Readonly<Record<string, number>>;
  /** Per store: cycles that its instances in use are busy, evenly spread; 0 where bandwidth is no limit. */
  readonly store_busy_cycles: Readonly<Record<string, number>>;
  /** The longest of compute and stores. */
  readonly cycles: number;
  /** First operands in, last results out: not part of `cycles`. */
  readonly fill_drain_cycles: number;
  readonly bound_by: string;
  readonly energy_by_part_pJ: Readonly<Record<string, number>>;
  readonly energy_pJ: number;
}
