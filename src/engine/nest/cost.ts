/**
 * Cycles and energy from counts, without allocation. A store slows the arithmetic down when its reads or writes per
 * cycle exceed its bandwidth; an access takes a whole sector, the last of a tensor's included.
 */
import { bandwidthOf } from './bandwidth.js';
import type { NestCore } from './core.js';
import type { Loops } from './loops.js';
import type { Problem } from './problem.js';

/** A store of a level in the units of the counts: words and cycles. */
export interface LevelStore {
  readonly id: string;
  readonly level: number;
  readonly capacity_words: number;
  readonly capacity_B: number;
  readonly word_B: number | undefined;
  readonly block_words: number | undefined;
  readonly sector_B: number;
  readonly read_B_per_cycle: number;
  readonly write_B_per_cycle: number;
  readonly shared_port: boolean;
  readonly read_pJ: number;
  readonly write_pJ: number;
  readonly update_pJ: number;
  readonly leak_pJ_per_cycle: number;
  readonly cluster: number;
  readonly instances: number;
}

/** Stores of all levels, far to near. */
export function levelStores({ array, graph, stores }: Problem): LevelStore[] {
  const { nominal_Hz } = graph.control.clock;
  let instances = 1;
  return array.levels.flatMap((level, l) => {
    const here = level.stores.map((id): LevelStore => {
      const s = stores.get(id)!;
      const { word_B } = s;
      return {
        id,
        level: l,
        capacity_words: word_B ? s.capacity_B / word_B : Number.POSITIVE_INFINITY,
        capacity_B: s.capacity_B,
        word_B,
        block_words: word_B === undefined ? undefined : whole(s.sector_B / word_B),
        sector_B: s.sector_B,
        ...bandwidthOf(s, nominal_Hz),
        shared_port: s.shared_port,
        read_pJ: s.read_pJ_per_B * s.sector_B,
        write_pJ: s.write_pJ_per_B * s.sector_B,
        update_pJ: (s.update_pJ_per_B ?? s.write_pJ_per_B) * s.sector_B,
        leak_pJ_per_cycle: ((s.leak_W ?? 0) * 1e12) / nominal_Hz,
        cluster: s.cluster ?? 1,
        instances: s.instances ?? instances,
      };
    });
    instances *= level.fanout.x * level.fanout.y;
    return here;
  });
}

/** Bytes of one word of a tensor in a store. */
export const wordBytes = (s: LevelStore, element_B: number): number => s.word_B ?? element_B;

/** Words of one access. */
export const blockWords = (s: LevelStore, element_B: number): number => s.block_words ?? whole(s.sector_B / element_B);

const whole = (x: number): number => (Math.abs(x - Math.round(x)) < 1e-9 * x ? Math.round(x) : x);

export class NestCost {
  cycles = 0;
  energy_pJ = 0;
  readonly store_cycles: Float64Array;
  readonly store_pJ: Float64Array;
  readonly leak_pJ: Float64Array;
  /** Bytes that all tensors take in one instance. */
  readonly used_B: Float64Array;
  readonly stores: readonly LevelStore[];
  /** Which store keeps a tensor at a level: index into `stores`, or -1. Set by the caller per mapping. */
  readonly where: Int32Array;

  constructor(
    readonly problem: Problem,
    readonly core: NestCore,
  ) {
    this.stores = levelStores(problem);
    this.store_cycles = new Float64Array(this.stores.length);
    this.store_pJ = new Float64Array(this.stores.length);
    this.leak_pJ = new Float64Array(this.stores.length);
    this.used_B = new Float64Array(this.stores.length);
    this.where = new Int32Array(core.L * core.K).fill(-1);
  }

  /** The first store that overflows, or -1; to be called after the core's tiles are known. */
  overflow(loops: Loops): number {
    const { core, stores, used_B, where } = this;
    used_B.fill(0);
    for (let l = 0; l < core.L; l++)
      for (let k = 0; k < core.K; k++) {
        const s = where[l * core.K + k]!;
        if (s >= 0 && loops.keep[l * core.K + k]) used_B[s]! += this.extra_B(loops, l, k, s);
      }
    for (let s = 0; s < stores.length; s++) if (used_B[s]! > stores[s]!.capacity_B) return s;
    return -1;
  }

  /** Bytes of a tile, as far as no earlier tensor of its storage has taken them. */
  private extra_B(loops: Loops, l: number, k: number, s: number): number {
    const { core, stores, where, problem } = this;
    const { tensors } = problem;
    const at = l * core.K;
    const bytes = core.tile[at + k]! * wordBytes(stores[s]!, tensors[k]!.element_B);
    const { storage } = tensors[k]!.of;
    if (storage === undefined) return bytes;
    let taken = 0;
    for (let x = 0; x < k; x++)
      if (tensors[x]!.of.storage === storage && where[at + x] === s && loops.keep[at + x])
        taken = Math.max(taken, core.tile[at + x]! * wordBytes(stores[s]!, tensors[x]!.element_B));
    return Math.max(0, bytes - taken);
  }

  run(loops: Loops): void {
    const { core, problem, stores, where, store_cycles, store_pJ, leak_pJ } = this;
    const { K } = core;
    const compute = core.steps * problem.point_cycles;
    this.cycles = compute;
    let energy = core.computes * problem.point_pJ;
    for (let s = 0; s < stores.length; s++) {
      const store = stores[s]!;
      const at = store.level * K;
      let read = 0;
      let write = 0;
      let pJ = 0;
      let in_use = 0;
      for (let k = 0; k < K; k++) {
        if (where[at + k] !== s || !loops.keep[at + k]) continue;
        const { element_B } = problem.tensors[k]!;
        const word_B = wordBytes(store, element_B);
        const block = blockWords(store, element_B);
        const r = core.reads[at + k]!;
        const f = core.fills[at + k]!;
        const u = core.updates[at + k]!;
        read += (r / compute) * word_B;
        write += ((u + f) / compute) * word_B;
        pJ +=
          Math.ceil(r / block) * store.read_pJ +
          Math.ceil(f / block) * store.write_pJ +
          Math.ceil(u / block) * store.update_pJ;
        in_use = core.places[store.level]!;
      }
      const clusters = store.cluster === 1 ? in_use : Math.min(in_use, store.instances / store.cluster);
      store_pJ[s] = pJ * clusters;
      energy += store_pJ[s]!;
      leak_pJ[s] = in_use * store.leak_pJ_per_cycle;
      const cycles = slowed(compute, read, write, store);
      store_cycles[s] = cycles;
      if (cycles > this.cycles) this.cycles = cycles;
    }
    for (let s = 0; s < stores.length; s++) {
      leak_pJ[s]! *= this.cycles;
      energy += leak_pJ[s]!;
    }
    this.energy_pJ = energy;
  }
}

/** Cycles when a store that is asked for `read` and `write` bytes per cycle gives no more than its bandwidth. */
export function slowed(compute: number, read: number, write: number, store: LevelStore): number {
  let slowdown = 1;
  if (store.shared_port) {
    const { read_B_per_cycle: r, write_B_per_cycle: w } = store;
    // one rate for both: as Timeloop rounds it
    if (r === w) slowdown = Math.min(1, r / (read + write));
    else slowdown = Math.min(1, 1 / (read / r + write / w));
  } else {
    if (read > store.read_B_per_cycle) slowdown = store.read_B_per_cycle / read;
    if (write > store.write_B_per_cycle) slowdown = Math.min(slowdown, store.write_B_per_cycle / write);
  }
  return slowdown === 1 ? compute : Math.ceil(compute / slowdown);
}
