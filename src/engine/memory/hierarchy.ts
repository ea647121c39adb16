/** The memory side of a machine as the stateful models want it: its last cache, before a DRAM given in detail. */
import { InputError } from '../../base/errors.js';
import { linkOf, type ResourceGraph, storeOf } from '../../machine/graph.js';
import type { ReplacementPolicy } from './cache/replacement.js';
import type { DramSpec } from './dram/spec.js';
import type { CacheLevel, NearLevel } from './replay.js';

/** What descriptions of machines do not state. */
export interface CacheChoice {
  readonly ways: number;
  readonly replacement: ReplacementPolicy;
  readonly seed: number;
  /** Misses on their way, per channel of the DRAM; what all cores can have in flight when absent. */
  readonly misses?: number;
}

/** 16 ways are what dissections find in the L2 of GPUs from Volta on (Jia et al. 2018, table 3.1); LRU is assumed. */
export const USUAL_CACHE: CacheChoice = { ways: 16, replacement: 'lru', seed: 0 };

/**
 * The cache nearest the DRAM; undefined where the machine has none.
 * @throws InputError when it is too small for its slices
 */
export function cacheLevelOf(
  graph: ResourceGraph,
  dram: DramSpec,
  { ways, replacement, seed, misses }: CacheChoice,
  warn: (text: string) => void,
): CacheLevel | undefined {
  const home = storeOf(graph, 'dram');
  const store = graph.stores.find((s) => s.role === 'cache' && s.scope === 'machine');
  if (!store || !home) return undefined;
  const { line_B, sector_B, slices } = store;
  const granule = line_B * ways * slices;
  const capacity_B = Math.floor(store.capacity_B / granule) * granule;
  if (capacity_B === 0)
    throw new InputError(`${store.id} of ${store.capacity_B} B is too small for ${slices} slices of ${ways} ways`);
  if (capacity_B !== store.capacity_B)
    warn(
      `${store.id}: ${store.capacity_B} B do not split into ${slices} slices of whole sets of ${ways} lines; ${capacity_B} B are used`,
    );
  const fetch_B = Math.min(line_B, Math.max(sector_B, home.sector_B));
  // what all cores together can have in flight
  const near = graph.links.find((l) => l.from === store.id && l.scope === 'core' && Number.isFinite(l.in_flight_B));
  const in_flight_B = near ? near.in_flight_B * graph.cores.count : 256 * fetch_B * dram.organisation.channels;
  const per_channel = Math.max(1, Math.floor(in_flight_B / fetch_B / dram.organisation.channels));
  const toHome = linkOf(graph, home.id, store.id);
  return {
    id: store.id,
    config: {
      capacity_B,
      line_B,
      sector_B,
      ways,
      slices,
      slice_hash: 'xor',
      replacement,
      write: 'back',
      write_allocate: true,
      fetch_on_write: false,
      seed,
    },
    latency_s: store.latency_s + (store.far ? store.far.share * store.far.extra_latency_s : 0),
    miss_latency_s: home.latency_s,
    slice_B_per_s: store.read_B_per_s / slices,
    fetch_B,
    misses_per_channel: misses ?? per_channel,
    read_pJ_per_B: store.read_pJ_per_B + (toHome?.pJ_per_B ?? 0),
    write_pJ_per_B: store.write_pJ_per_B,
  };
}

/**
 * A core's own cache; undefined where the machine has none, or its lines differ from the far cache's. What shared memory
 * can be given of it is taken to be the cache's. Written through, lines taken by reads alone, as the L1 of GPUs since
 * Volta (Jia et al. 2018); 16 ways and LRU are assumed.
 */
export function nearLevelOf(graph: ResourceGraph, far: CacheLevel): NearLevel | undefined {
  const store = graph.stores.find((s) => s.role === 'cache' && s.scope === 'core');
  if (!store || store.sector_B !== far.config.sector_B) return undefined;
  const { line_B, sector_B } = store;
  const ways = 16;
  const capacity_B = Math.floor(store.capacity_B / line_B / ways) * line_B * ways;
  return {
    id: store.id,
    config: {
      capacity_B,
      line_B,
      sector_B,
      ways,
      slices: 1,
      slice_hash: 'none',
      replacement: 'lru',
      write: 'through',
      write_allocate: false,
      fetch_on_write: false,
      seed: 0,
    },
    latency_s: store.latency_s,
    B_per_s: store.read_B_per_s,
    read_pJ_per_B: store.read_pJ_per_B,
  };
}
