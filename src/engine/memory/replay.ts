/**
 * Requests replayed through the last cache and the DRAM behind it, or straight through the DRAM.
 *
 *   trace ──in order──► [core's own tags ─hit─► answer]
 *                        └miss, write─► slice port ─► tags ─hit────────────────────────────► answer after the cache's latency
 *                                                      └miss─► miss registers ─► channel ─► answer after the memory's
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

/** A core's own cache before that one: written through, lines taken by reads alone. Latency is of a whole load. */
export interface NearLevel {
  readonly id: string;
  readonly config: CacheConfig;
  readonly latency_s: number;
  /** What its core can ask of it. */
  readonly B_per_s: number;
  readonly read_pJ_per_B: number;
}

export interface ReplayConfig {
  readonly dram: DramSpec;
  /** Absent: straight to the DRAM. */
  readonly cache?: CacheLevel;
  /** All requests are of one core, and meet its cache first; with `cache` only. */
  readonly near?: NearLevel;
  /** Bytes of a request, from its address on; a sector (a burst without a cache) or less when absent. */
  readonly request_B?: number;
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
  readonly near: Cache | undefined;
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
  near_read_B = 0;
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
  private group = new Int32Array(1024);
  private free = -1;
  private used = 0;
  // sectors of the near cache: when each is there; Infinity while that is not known
  private readonly near_there: Float64Array;
  private readonly near_cycles: number;
  /** When the sector that was read last is there; Infinity while it is on its way from the DRAM. */
  private there_at = 0;
  // requests of several pieces: pieces still to come, the last so far, and when the request was made
  private readonly request_B: number;
  /** Request that the piece under way belongs to; -1: it is one itself. */
  private wide = -1;
  private pieces = new Int32Array(256);
  private pieces_end = new Float64Array(256);
  private pieces_from = new Float64Array(256);
  private free_wide = -1;
  private wides = 0;

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
    const near = cache && config.near;
    this.near = near && new Cache(near.config);
    this.near_cycles = near ? near.latency_s / dram.tCK_s : 0;
    this.near_there = new Float64Array(near ? near.config.capacity_B / near.config.sector_B : 0);
    this.request_B = config.request_B ?? 0;
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
    const taken = this.request_B > this.sector_B ? this.takeWide(address, write, at) : this.take(address, write, at);
    if (taken > at) this.taken_now = 0;
    this.at = taken;
    if (taken >= this.limit) return;
    this.taken_now++;
    if (write) this.writes++;
    else this.reads++;
  }

  private take(address: number, write: boolean, at: number): number {
    if (!this.cache) return this.dram.offer(address, write, at, this.wide + 1, this.limit);
    return this.near
      ? this.throughNear(this.near, address, write, at)
      : this.throughCache(this.cache, address, write, at);
  }

  /** Piece after piece; answered when the last is. */
  private takeWide(address: number, write: boolean, cycle: number): number {
    const { sector_B } = this;
    const first = Math.floor(address / sector_B);
    const last = Math.floor((address + this.request_B - 1) / sector_B);
    let wide = this.free_wide;
    if (wide >= 0) this.free_wide = this.pieces_from[wide]!;
    else {
      wide = this.wides++;
      if (wide === this.pieces.length) {
        this.pieces = doubled(this.pieces);
        this.pieces_end = doubled(this.pieces_end);
        this.pieces_from = doubled(this.pieces_from);
      }
    }
    this.pieces[wide] = last - first + 1;
    this.pieces_end[wide] = 0;
    this.pieces_from[wide] = cycle;
    this.wide = wide;
    let at = cycle;
    for (let piece = first; piece <= last && at < this.limit; piece++) at = this.take(piece * sector_B, write, at);
    this.wide = -1;
    return at;
  }

  /** A piece of a read or a write is done; true, with when the whole is in `pieces_end`, if it was the last. */
  private lastPiece(wide: number, done: number): boolean {
    if (done > this.pieces_end[wide]!) this.pieces_end[wide] = done;
    return --this.pieces[wide]! === 0;
  }

  private release(wide: number): void {
    this.pieces_from[wide] = this.free_wide;
    this.free_wide = wide;
  }

  /** A core's own cache: what it does not hold, and all that is written, goes on. */
  private throughNear(near: Cache, address: number, write: boolean, cycle: number): number {
    if (write) {
      near.access(address, true);
      return this.throughCache(this.cache!, address, true, cycle);
    }
    const { line_B, sector_B } = this.config.near!.config;
    const line = Math.floor(address / line_B);
    const sector = Math.floor((address - line * line_B) / sector_B);
    this.near_read_B += sector_B;
    const missing = near.accessLine(line, 1 << sector, false);
    const at = near.at * (line_B / sector_B) + sector;
    if (missing !== 0) {
      const taken = this.throughCache(this.cache!, address, false, cycle);
      this.near_there[at] = this.there_at;
      return taken;
    }
    const there = this.near_there[at]!;
    const entry = there === Number.POSITIVE_INFINITY ? this.onItsWay(address, cycle) : -1;
    if (entry >= 0) this.addWaiter(entry, cycle);
    else {
      if (there === Number.POSITIVE_INFINITY) this.near_there[at] = 0;
      this.answer(this.wide, cycle, Math.max(cycle + this.near_cycles, this.near_there[at]!));
    }
    return cycle;
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
      readDone: (tag, arrival, done) => this.answer(tag - 1, arrival, done),
      writeDone: (tag, _arrival, done) => this.wrote(tag - 1, done),
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

  /** A read, or its piece, is done. */
  private answer(wide: number, arrival: number, done: number): void {
    if (wide < 0) this.answered(arrival, done);
    else if (this.lastPiece(wide, done)) {
      this.answered(this.pieces_from[wide]!, this.pieces_end[wide]!);
      this.release(wide);
    }
  }

  private wrote(wide: number, done: number): void {
    if (wide < 0) this.written(done);
    else if (this.lastPiece(wide, done)) {
      this.written(this.pieces_end[wide]!);
      this.release(wide);
    }
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
    this.there_at = Number.POSITIVE_INFINITY;
    if (fetch !== 0) at = this.fetch(cache, address, at, write ? -1 : start + at - cycle);
    else if (!write) {
      // the sector may still be on its way
      const entry = found === HIT ? this.onItsWay(address, at) : -1;
      if (entry >= 0) this.addWaiter(entry, start);
      else {
        this.there_at = start + this.hit_cycles;
        this.answer(this.wide, start, this.there_at);
      }
    }
    if (write) this.wrote(this.wide, start + 1);
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
      this.answeredFromMemory(this.group[w]!, this.arrival[w]!, done);
      this.next[w] = this.free;
      this.free = w;
      w = next;
    }
  }

  private answeredFromMemory(wide: number, arrival: number, there: number): void {
    this.answer(wide, arrival, Math.max(there, arrival) + this.beyond_cycles);
  }

  private addWaiter(entry: number, arrival: number): void {
    const there = this.there[entry]!;
    if (there >= 0) {
      this.answeredFromMemory(this.wide, arrival, there);
      return;
    }
    let w = this.free;
    if (w >= 0) this.free = this.next[w]!;
    else {
      w = this.used++;
      if (w === this.next.length) {
        this.arrival = doubled(this.arrival);
        this.next = doubled(this.next);
        this.group = doubled(this.group);
      }
    }
    this.arrival[w] = arrival;
    this.group[w] = this.wide;
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

export function doubled<T extends Float64Array | Int32Array>(old: T): T {
  const grown = new (old.constructor as { new (n: number): T })(old.length * 2);
  grown.set(old as never);
  return grown;
}
