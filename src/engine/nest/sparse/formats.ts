/**
 * Metadata of a tile, rank by rank from the outermost: how many fibers there are, and how many coordinates, runs or
 * pointers each holds (formats as in Sparseloop, Wu et al., MICRO 2022).
 */
import type { RankFormat } from '../../../kernel/sparsity.js';
import type { Occupancy, Within } from './density.js';

/** Units of coordinates (masks, runs) and of pointers. */
export interface Units {
  metadata: number;
  payload: number;
}

export interface RankShape {
  readonly format: RankFormat;
  /** Coordinates of one fiber. */
  readonly fiber: number;
  /** Words of the sub-tile below one coordinate. */
  readonly below: number;
}

interface Query {
  readonly fibers: number;
  readonly fiber: number;
  /** That the tile of a fiber, and that below a coordinate, is empty. */
  readonly empty: number;
  readonly emptyBelow: number;
}

const used = (q: Query) => q.fibers * (1 - q.empty);

const FORMATS: Record<RankFormat, (q: Query) => Units> = {
  U: () => ({ metadata: 0, payload: 0 }),
  UOP: (q) => ({ metadata: 0, payload: used(q) * (q.fiber + 1) }),
  CP: (q) => {
    const n = Math.ceil(q.fiber * (1 - q.emptyBelow)) * used(q);
    return { metadata: n, payload: n };
  },
  RLE: (q) => {
    const n = q.fiber * (1 - q.emptyBelow) * used(q);
    return { metadata: n, payload: n };
  },
  B: (q) => ({ metadata: used(q) * q.fiber, payload: used(q) * Math.ceil(q.fiber * (1 - q.emptyBelow)) }),
  UB: (q) => ({ metadata: q.fibers * q.fiber, payload: q.fibers * q.fiber }),
};

/** Whether a rank of this format leaves zeros out. */
export const COMPRESSES: Record<RankFormat, boolean> = {
  U: false,
  UOP: false,
  CP: true,
  RLE: true,
  B: true,
  UB: false,
};

/** By rank, innermost first. The innermost rank's pointers are the data themselves. */
export function unitsOf(ranks: readonly RankShape[], tile: number, occupancy: Occupancy, within: Within): Units[] {
  const out: Units[] = new Array(ranks.length);
  let fibers = 1;
  let current = tile;
  for (let r = ranks.length - 1; r >= 0; r--) {
    const { format, fiber, below } = ranks[r]!;
    if (fiber === 1) out[r] = { metadata: 0, payload: 0 };
    else {
      const units = FORMATS[format]({
        fibers,
        fiber,
        empty: occupancy.probability(current, 0, within),
        emptyBelow: occupancy.probability(below, 0, within),
      });
      out[r] = r === 0 ? { ...units, payload: 0 } : units;
    }
    fibers *= fiber;
    current = below;
  }
  return out;
}
