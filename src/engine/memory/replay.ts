/**
 * Requests replayed through the last cache and the DRAM behind it, or straight through the DRAM.
 *
 *   trace ──in order──► slice port ─► tags ─hit────────────────────────────► answer after the cache's latency
 *                                       └miss─► miss registers ─► channel ─► answer after the memory's
 *
 * Time is counted in cycles of the DRAM's command clock. Requests go in order: one that finds no miss register or no
 * room in its channel's queue holds up those behind it.
 */
import { Cache, type CacheConfig, HIT } from './cache/cache.js';
import { MissRegisters } from './cache/misses.js';
import type { ChannelSink } from './dram/channel.js';
import type { DramSpec } from './dram/spec.js';
import { DramSystem } from './dram/system.js';
import { Distribution, Series } from './stats.js';

/** The cache in front of the DRAM. Latencies are of a whole load, from its issue. */
export interface CacheLevel {
  readonly id: string;
  readonly config: CacheConfig;
  readonly latency_s: number;
  /** Of a load that misses, on an idle machine. */
  readonly miss_latency_s: number;
  /** Of one slice, per direction. */
  readonly slice_B_per_s: number;
  /** Least bytes fetched on a miss: one or more sectors of a line. */
  readonly fetch_B: number;
  /** Misses on their way, per channel of the DRAM. */
  readonly misses_per_channel: number;
  readonly read_pJ_per_B: number;
  readonly write_pJ_per_B: number;
}

export interface ReplayConfig {
  readonly dram: DramSpec;
  /** Absent: straight to the DRAM. */
  readonly cache?: CacheLevel;
  /** Requests taken in a cycle at most. */
  readonly per_cycle: number;
  /** Stop after so many cycles; the trace's end when absent. */
  readonly cycles?: number;
}

/** Cycle, in the controller's count, at which a request of a trace's cycle 0 is there. */
const FIRST = 1;

export class Replay {
  readonly dram: DramSystem;
  readonly cache: Cache | undefined;
  readonly latency = new Distribution();
  /** Bytes on the DRAM's data bus over time. */
  readonly read_bytes = new Series(1024);
  readonly written_bytes = new Series(1024);
  reads = 0;
  writes = 0;
  /** Done within the cycles that are counted. */
  reads_done = 0;
  writes_done = 0;
  /** Bytes over the cache's ports. */
  cache_read_B = 0;
  cache_written_B = 0;
  /** End of what was done last. */
  end = 0;
  readonly misses: readonly MissRegisters[];

  private at = FIRST;
  private taken_now = 0;
  private readonly limit: number;
  private readonly per_cycle: number;
  private readonly sector_B: number;
  private readonly line_B: number;
  private readonly fetch_B: number;
  private readonly burst_B: number;
  private readonly hit_cycles: number;
  /** What a load passes beside the DRAM and its controller. */
  private readonly beyond_cycles: number;
  private readonly port_cycles: number;
  private readonly port_free: Float64Array;
  // reads that wait for a fetch: linked by entry, over all channels
  private readonly waiting: Int32Array;
  /** When an entry's piece is there, as soon as that is known; -1 before. */
  private readonly there: Float64Array;
  /** Fetches of which it is not known yet when they end, and the last known end of all others. */
  private under_way = 0;
  private last_there = 0;
  private arrival = new Float64Array(1024);
  private next = new Int32Array(1024);
  private free = -1;
  private used = 0;

  constructor(readonly config: ReplayConfig) {
    const { dram, cache } = config;
    this.limit = config.cycles ?? Number.POSITIVE_INFINITY;
    this.per_cycle = config.per_cycle;
    this.dram = new DramSystem(dram, cache ? this.behindCache() : this.direct());
    this.burst_B = dram.organisation.burst_B;
    this.sector_B = cache?.config.sector_B ?? this.burst_B;
    this.line_B = cache?.config.line_B ?? this.burst_B;
    this.fetch_B = Math.max(this.sector_B, cache?.fetch_B ?? 0);
    this.cache = cache && new Cache(cache.config);
    this.hit_cycles = cache ? cache.latency_s / dram.tCK_s : 0;
    this.beyond_cycles = cache
      ? Math.max(this.hit_cycles, cache.miss_latency_s / dram.tCK_s - idleFetch_cycles(dram, this.fetch_B))
      : 0;
    this.port_cycles = cache ? this.sector_B / cache.slice_B_per_s / dram.tCK_s : 0;
    this.port_free = new Float64Array(cache?.config.slices ?? 0);
    const entries = cache?.misses_per_channel ?? 0;
    this.misses = Array.from({ length: cache ? dram.organisation.channels : 0 }, () => new MissRegisters(entries));
    this.waiting = new Int32Array(entries * dram.organisation.channels).fill(-1);
    this.there = new Float64Array(entries * dram.organisation.channels).fill(-1);
  }

  /** Of a read that hits, in cycles; 0 without a cache. */
  get hitLatency_cycles(): number {
    return this.hit_cycles;
  }

  /** Cycles are over: nothing more is taken. */
  get full(): boolean {
    return this.at >= this.limit;
  }

  /** Replays one request. `cycle`: not before it, -1 for as soon as possible. */
  request(address: number, write: boolean, cycle: number): void {
    let at = this.at;
    if (cycle + FIRST > at) {
      at = cycle + FIRST;
      this.taken_now = 0;
    }
    if (this.taken_now >= this.per_cycle) {
      at++;
      this.taken_now = 0;
    }
    if (at >= this.limit) {
      this.at = at;
      return;
    }
    const taken = this.cache
      ? this.throughCache(this.cache, address, write, at)
      : this.dram.offer(address, write, at, 0, this.limit);
    if (taken > at) this.taken_now = 0;
    this.at = taken;
    if (taken >= this.limit) return;
    this.taken_now++;
    if (write) this.writes++;
    else this.reads++;
  }

  /** The trace is over: what waits is served, or the cycles asked for are done. */
  finish(): void {
    if (this.limit < Number.POSITIVE_INFINITY) this.dram.runTo(this.limit);
    else {
      this.cache?.flush((line, dirty) => {
        this.at = this.writeBack(line, dirty, this.at);
      });
      this.dram.drain();
    }
    this.end = this.limit < Number.POSITIVE_INFINITY ? this.limit : Math.max(this.end, this.at);
  }

  private direct(): ChannelSink {
    return {
      readDone: (_tag, arrival, done) => this.answered(arrival, done),
      writeDone: (_tag, _arrival, done) => this.written(done),
      burst: (write, end) => this.burst(write, end),
    };
  }

  private behindCache(): ChannelSink {
    return {
      readDone: (tag, _arrival, done) => this.arrived(tag, done),
      writeDone() {},
      burst: (write, end) => this.burst(write, end),
    };
  }

  private answered(arrival: number, done: number): void {
    if (done >= this.limit) return;
    this.reads_done++;
    this.latency.add(done - arrival);
    if (done > this.end) this.end = done;
  }

  private written(done: number): void {
    if (done >= this.limit) return;
    this.writes_done++;
    if (done > this.end) this.end = done;
  }

  private burst(write: boolean, end: number): void {
    if (end >= this.limit) return;
    (write ? this.written_bytes : this.read_bytes).add(end, this.burst_B);
    if (end > this.end) this.end = end;
  }

  private throughCache(cache: Cache, address: number, write: boolean, cycle: number): number {
    const found = cache.access(address, write);
    const { evicted, evicted_dirty, fetch, forward, slice } = cache;
    const free = this.port_free[slice]!;
    const start = free > cycle ? free : cycle;
    this.port_free[slice] = start + this.port_cycles;
    if (write) this.cache_written_B += this.sector_B;
    else this.cache_read_B += this.sector_B;
    let at = cycle;
    if (evicted_dirty !== 0) at = this.writeBack(evicted, evicted_dirty, at);
    if (forward) at = this.dram.offer(address, true, at, 0);
    if (fetch !== 0) at = this.fetch(cache, address, at, write ? -1 : start + at - cycle);
    else if (!write) {
      // the sector may still be on its way
      const entry = found === HIT ? this.onItsWay(address, at) : -1;
      if (entry >= 0) this.addWaiter(entry, start);
      else this.answered(start, start + this.hit_cycles);
    }
    if (write) this.written(start + 1);
    return at;
  }

  /** Fetches the piece around a sector that is not there; `arrival` of the read that waits for it, or -1 for none. */
  private fetch(cache: Cache, address: number, cycle: number, arrival: number): number {
    const piece = Math.floor(address / this.fetch_B);
    const { dram } = this;
    dram.mapping.map(address);
    const channel = dram.mapping.channel;
    const misses = this.misses[channel]!;
    let at = cycle;
    const pending = misses.find(piece, at);
    if (pending >= 0) {
      // another sector of it is being fetched, and with it this one
      misses.merges++;
      if (arrival >= 0) this.addWaiter(channel * misses.entries + pending, arrival);
      return at;
    }
    if (!misses.hasRoom(at)) misses.stalls++;
    while (!misses.hasRoom(at)) {
      const next = misses.nextRelease();
      if (next < Number.POSITIVE_INFINITY) at = Math.max(at, Math.ceil(next));
      else dram.channels[channel]!.step();
    }
    const first = piece * this.fetch_B;
    const line = Math.floor(address / this.line_B);
    if (this.fetch_B > this.sector_B) cache.prefetched(line, this.sectorsOf(first - line * this.line_B));
    const bursts = Math.max(1, this.fetch_B / this.burst_B);
    const entry = channel * misses.entries + misses.allocate(piece, bursts);
    this.there[entry] = -1;
    this.under_way++;
    if (arrival >= 0) this.addWaiter(entry, arrival + at - cycle);
    for (let i = 0; i < bursts; i++) at = Math.max(at, dram.offer(first + i * this.burst_B, false, at, entry));
    return at;
  }

  private sectorsOf(offset: number): number {
    const sectors = this.fetch_B / this.sector_B;
    return (sectors >= 32 ? -1 : (1 << sectors) - 1) << (offset / this.sector_B);
  }

  /** The entry that fetches the sector of `address` at this moment, over all channels, or -1. */
  private onItsWay(address: number, cycle: number): number {
    if (this.under_way === 0 && cycle >= this.last_there) return -1;
    const { mapping, channels } = this.dram;
    mapping.map(address);
    const { channel } = mapping;
    const misses = this.misses[channel]!;
    channels[channel]!.runTo(cycle);
    const entry = misses.find(Math.floor(address / this.fetch_B), cycle);
    if (entry < 0) return -1;
    misses.merges++;
    return channel * misses.entries + entry;
  }

  /** A burst of a fetch is there. */
  private arrived(tag: number, done: number): void {
    const entries = this.misses[0]!.entries;
    const misses = this.misses[Math.floor(tag / entries)]!;
    if (!misses.arrived(tag % entries, done)) return;
    this.there[tag] = done;
    this.under_way--;
    if (done > this.last_there) this.last_there = done;
    let w = this.waiting[tag]!;
    this.waiting[tag] = -1;
    while (w >= 0) {
      const next = this.next[w]!;
      this.answeredFromMemory(this.arrival[w]!, done);
      this.next[w] = this.free;
      this.free = w;
      w = next;
    }
  }

  private answeredFromMemory(arrival: number, there: number): void {
    this.answered(arrival, Math.max(there, arrival) + this.beyond_cycles);
  }

  private addWaiter(entry: number, arrival: number): void {
    const there = this.there[entry]!;
    if (there >= 0) {
      this.answeredFromMemory(arrival, there);
      return;
    }
    let w = this.free;
    if (w >= 0) this.free = this.next[w]!;
    else {
      w = this.used++;
      if (w === this.next.length) {
        const arrivals = new Float64Array(w * 2);
        const nexts = new Int32Array(w * 2);
        arrivals.set(this.arrival);
        nexts.set(this.next);
        this.arrival = arrivals;
        this.next = nexts;
      }
    }
    this.arrival[w] = arrival;
    this.next[w] = this.waiting[entry]!;
    this.waiting[entry] = w;
  }

  private writeBack(line: number, dirty: number, cycle: number): number {
    let at = cycle;
    let last = -1;
    for (let bits = dirty; bits !== 0; bits &= bits - 1) {
      const sector = 31 - Math.clz32(bits & -bits);
      const address = line * this.line_B + sector * this.sector_B;
      // sectors of one burst go together; a sector of several bursts takes them all
      for (let a = address; a < address + this.sector_B; a += this.burst_B) {
        const burst = Math.floor(a / this.burst_B);
        if (burst === last) continue;
        last = burst;
        at = Math.max(at, this.dram.offer(a, true, at, 0));
      }
    }
    return at;
  }
}

/** Cycles in which an idle DRAM, its banks closed, brings `bytes` from address 0. */
export function idleFetch_cycles(spec: DramSpec, bytes: number): number {
  let last = 0;
  const idle = { ...spec, controller: { ...spec.controller, refresh: 'none' as const } };
  const system = new DramSystem(idle, {
    readDone(_tag, _arrival, done) {
      if (done > last) last = done;
    },
    writeDone() {},
    burst() {},
  });
  for (let a = 0; a < bytes; a += spec.organisation.burst_B) system.offer(a, false, 0, 0);
  system.drain();
  return last;
}
