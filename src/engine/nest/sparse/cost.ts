/** Cycles and energy of sparse counts: gated actions take their time and no energy, skipped ones neither. */
import type { NestCore } from '../core.js';
import { blockWords, type LevelStore, type NestCost, slowed, wordBytes } from '../cost.js';
import { metadataBits, type SparseAnalysis, type SparseCounts, type Split } from './analyse.js';
import type { Occupancy } from './density.js';

export interface SparseStoreCost {
  readonly cycles: number;
  readonly energy_pJ: number;
  readonly leakage_pJ: number;
  readonly used_B: number;
  readonly used_bits: number;
}

export interface SparseCost {
  readonly compute_cycles: number;
  readonly cycles: number;
  /** As `cost.stores`. */
  readonly stores: readonly SparseStoreCost[];
}

const busy = (s: Split) => s.actual + s.gated;

export function sparseCost(core: NestCore, cost: NestCost, sparse: SparseAnalysis): SparseCost {
  const { K, problem } = core;
  const places = core.places[core.L]!;
  const compute_cycles = Math.ceil(busy(sparse.computes) / places) * problem.point_cycles;
  const stores = cost.stores.map((store, s): SparseStoreCost => {
    const meta = problem.stores.get(store.id)!;
    let read = 0;
    let write = 0;
    let pJ = 0;
    let used_B = 0;
    let used_bits = 0;
    let in_use = 0;
    problem.tensors.forEach((t, k) => {
      const at = store.level * K + k;
      const c = sparse.at.get(at);
      if (!c || cost.where[at] !== s) return;
      in_use = core.places[store.level]!;
      const word_B = wordBytes(store, t.element_B);
      const block = blockWords(store, t.element_B);
      const bits = metadataBits(c.representation, cost, at);
      const md = metadataOf(c, bits);
      const word_bits = word_B * 8;
      read += ((busy(c.reads) + Math.floor(md.read.busy / word_bits)) / compute_cycles) * word_B;
      write += ((busy(c.fills) + busy(c.updates) + Math.floor(md.write.busy / word_bits)) / compute_cycles) * word_B;
      const ratio = partial(c, block, sparse.occupancies[k]!);
      const accesses = (n: number) => Math.ceil(n / block) * ratio;
      pJ +=
        accesses(c.reads.actual) * store.read_pJ +
        accesses(c.fills.actual) * store.write_pJ +
        accesses(c.updates.actual) * store.update_pJ +
        c.compressions * (meta.compress_pJ ?? 0) +
        c.expansions * (meta.expand_pJ ?? 0);
      if (meta.metadata && meta.metadata.width_bits > 0) {
        const wide = (n: number) => Math.ceil(n / meta.metadata!.width_bits);
        pJ +=
          wide(md.read.actual) * meta.metadata.read_pJ +
          wide(md.fill) * meta.metadata.write_pJ +
          wide(md.update.actual) * meta.metadata.update_pJ;
      }
      used_B += c.stored * word_B;
      used_bits += c.stored_bits;
    });
    const clusters = store.cluster === 1 ? in_use : Math.min(in_use, store.instances / store.cluster);
    return {
      cycles: slowed(compute_cycles, read, write, store),
      energy_pJ: pJ * clusters,
      leakage_pJ: in_use * store.leak_pJ_per_cycle,
      used_B,
      used_bits,
    };
  });
  const cycles = Math.max(compute_cycles, ...stores.map((s) => s.cycles));
  return { compute_cycles, cycles, stores: stores.map((s) => ({ ...s, leakage_pJ: s.leakage_pJ * cycles })) };
}

/** Bits of metadata moved. */
function metadataOf(c: SparseCounts, bits: readonly { metadata: number; payload: number }[]) {
  const read = { actual: 0, busy: 0 };
  const update = { actual: 0, busy: 0 };
  let fill = 0;
  c.formats.forEach((f, r) => {
    const { metadata, payload } = bits[r]!;
    read.actual += f.reads.metadata.actual * metadata + f.reads.payload.actual * payload;
    read.busy += busy(f.reads.metadata) * metadata + busy(f.reads.payload) * payload;
    update.actual += f.updates.metadata.actual * metadata + f.updates.payload.actual * payload;
    update.busy += busy(f.updates.metadata) * metadata + busy(f.updates.payload) * payload;
    fill += f.fills.metadata * metadata + f.fills.payload * payload;
  });
  return { read, update, fill, write: { busy: fill + update.busy } };
}

/** Share of its accesses that the last, partly empty one of a tile may make up and still be neglected. */
const NEGLECTED = 0.01;

/** Accesses of compressed tiles ÷ those of their words end to end: each tile starts a new one. */
function partial(c: SparseCounts, block: number, occupancy: Occupancy): number {
  const { representation: r, density } = c;
  if (!r.compressed || block <= 1 || density >= 1 || density === 0) return 1;
  const tenth = Math.max(0.1, Math.floor(density * 10) / 10);
  if (r.tile / block >= Math.ceil((1 - 1 / block) / 2 / NEGLECTED / tenth)) return 1;
  let accesses = 0;
  const [low, high] = occupancy.range(r.tile);
  for (let n = Math.max(1, low); n <= high; n++) accesses += Math.ceil(n / block) * occupancy.probability(r.tile, n);
  return accesses / ((r.tile * density) / block);
}

/** The first store whose data or metadata overflow, or -1. */
export function sparseOverflow(cost: NestCost, stores: readonly SparseStoreCost[]): number {
  return cost.stores.findIndex((store: LevelStore, s) => {
    const { used_B, used_bits } = stores[s]!;
    return (
      used_B > store.capacity_B ||
      used_bits > (cost.problem.stores.get(store.id)!.metadata?.capacity_bits ?? Number.POSITIVE_INFINITY)
    );
  });
}
