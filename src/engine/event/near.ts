/**
 * The cores' own caches, before the far cache with state. What goes into registers goes through them; copies into shared
 * memory pass them by (cp.async.cg, TMA), and so does what the launch itself writes, which they would not see anew.
 * They start empty, are written through, and have the part of the pool that resident workgroups leave of it.
 */
import { sharedBytes } from '../../kernel/fit.js';
import { Cache } from '../memory/cache/cache.js';
import type { NearLevel } from '../memory/replay.js';
import type { Plan } from './plan.js';
import { FS, type Rates } from './rates.js';
import type { Transfer } from './transfer.js';

const UNKNOWN = Number.POSITIVE_INFINITY;

interface Core {
  readonly cache: Cache;
  /** When each sector of it is there; Infinity while the far cache does not know. */
  readonly there: Float64Array;
  /** When its port is free. */
  free: number;
}

export class NearCaches {
  /** Of a load that hits. */
  readonly latency_fs: number;
  private readonly cores: (Core | undefined)[];
  private readonly config: NearLevel['config'];
  private readonly fs_per_B: number;
  private readonly sectors: number;

  private constructor(
    level: NearLevel,
    capacity_B: number,
    { machine, clock_Hz }: Rates,
    /** Latency of the far cache. */
    private readonly hit_fs: number,
  ) {
    this.config = { ...level.config, capacity_B };
    const slow = machine.control.clock.nominal_Hz / clock_Hz;
    this.latency_fs = Math.round(level.latency_s * slow * FS);
    this.fs_per_B = (FS / level.B_per_s) * slow;
    this.sectors = level.config.line_B / level.config.sector_B;
    this.cores = new Array<Core | undefined>(machine.cores.count).fill(undefined);
  }

  /** Undefined where resident workgroups leave nothing of the pool. */
  static of(level: NearLevel, plan: Plan, rates: Rates, resident: number): NearCaches | undefined {
    const { capacity_B, line_B, ways } = level.config;
    const store = rates.machine.stores.find((s) => s.id === level.id);
    const taken_B = store?.pool ? sharedBytes(plan.launch.program) * resident : 0;
    const set_B = line_B * ways;
    const left_B = Math.floor(Math.min(capacity_B, (store?.pool?.capacity_B ?? capacity_B) - taken_B) / set_B) * set_B;
    return left_B > 0 ? new NearCaches(level, left_B, rates, rates.hit_fs) : undefined;
  }

  /** Whether a copy goes through its core's cache. */
  serves({ instr }: Transfer): boolean {
    return !instr.toShared && instr.placer!.blocked.tensor.role === 'input';
  }

  holds(core: number, line: number, sector: number): boolean {
    const there = this.cores[core]?.cache.present(line) ?? 0;
    return (there & (1 << sector)) !== 0;
  }

  /**
   * Reads sectors of a line at `now`; returns those that the far cache is to be asked for. `join`: waits for the line if
   * it is on its way to the far cache, and says whether it is.
   */
  read(t: Transfer, line: number, mask: number, now: number, join: () => boolean): number {
    this.cores[t.core] ??= this.empty();
    const core = this.cores[t.core]!;
    const missing = core.cache.accessLine(line, mask, false);
    const at = core.cache.at * this.sectors;
    let hits = 0;
    let last = 0;
    let joined: boolean | undefined;
    for (let left = mask & ~missing; left !== 0; left &= left - 1) {
      const sector = at + 31 - Math.clz32(left & -left);
      hits++;
      if (core.there[sector] === UNKNOWN) {
        joined ??= join();
        if (joined) continue;
        core.there[sector] = 0;
      }
      if (core.there[sector]! > last) last = core.there[sector]!;
    }
    if (hits > 0) {
      core.free = Math.max(core.free, now) + hits * this.config.sector_B * this.fs_per_B;
      t.near = Math.max(t.near, Math.round(core.free) + this.latency_fs, last);
    }
    return missing;
  }

  /** Sectors that the last `read` missed are there, as the far cache sees it, or on their way to it. */
  fill(t: Transfer, missing: number, now: number, here: boolean): void {
    const core = this.cores[t.core]!;
    const at = core.cache.at * this.sectors;
    for (let left = missing; left !== 0; left &= left - 1)
      core.there[at + 31 - Math.clz32(left & -left)] = here ? now + this.hit_fs : UNKNOWN;
  }

  /** Sectors asked for, and those found. */
  counts(): { readonly reads: number; readonly hits: number } {
    let reads = 0;
    let hits = 0;
    for (const core of this.cores) {
      reads += core?.cache.counts.reads ?? 0;
      hits += core?.cache.counts.read_hits ?? 0;
    }
    return { reads, hits };
  }

  private empty(): Core {
    const { capacity_B, sector_B } = this.config;
    return { cache: new Cache(this.config), there: new Float64Array(capacity_B / sector_B), free: 0 };
  }
}
