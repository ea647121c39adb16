/**
 * A far cache and its DRAM, asked for lines in order of time: tags, miss registers and channels keep their state, and
 * each line that has to be fetched is told when it is there.
 *
 *   read, write ─► slice port ─► tags ─hit──────────────────────────► now
 *                                  └miss─► registers ─► channel queues ─► `arrived`, at a later tick
 *
 * Channels are run in ticks no longer than the least time from a request to its answer, so every answer is known before
 * its time and channels need no events of their own.
 */
import { Cache } from './cache/cache.js';
import { PendingTable } from './dram/pending.js';
import type { DramSpec } from './dram/spec.js';
import { DramSystem } from './dram/system.js';
import { Partition } from './partition.js';
import { type CacheLevel, doubled, idleFetch_cycles } from './replay.js';

/** What `read` found. */
export const HERE = 0;
/** `arrived` will be called once for it. */
export const ON_ITS_WAY = 1;
/** The line lies on a channel that is left out. */
export const LEFT_OUT = 2;

export interface LineMemoryConfig {
  readonly dram: DramSpec;
  readonly cache: CacheLevel;
  /** Channels simulated; all others are taken to do as these. */
  readonly channels: number;
  /** Port time of a sector at one slice. */
  readonly read_fs: number;
  readonly write_fs: number;
  /** Reads and writes take turns at a port. */
  readonly shared_port: boolean;
  /** Added to the DRAM's own time for a piece to be in the cache. */
  readonly beyond_fs: number;
}

/** Requests for bursts that wait for a channel, in order of arrival. */
class Backlog {
  first = 0;
  count = 0;
  /** When the last one was taken, in cycles. */
  taken = 0;
  address = new Float64Array(64);
  arrival = new Float64Array(64);
  /** Entry of the read; -1: a write. */
  tag = new Int32Array(64);

  push(address: number, arrival: number, tag: number): void {
    if (this.count === this.tag.length) this.grow();
    const at = (this.first + this.count++) & (this.tag.length - 1);
    this.address[at] = address;
    this.arrival[at] = arrival;
    this.tag[at] = tag;
  }

  drop(): void {
    this.first = (this.first + 1) & (this.tag.length - 1);
    this.count--;
  }

  private grow(): void {
    const n = this.tag.length;
    const { first, address, arrival, tag } = this;
    this.address = new Float64Array(2 * n);
    this.arrival = new Float64Array(2 * n);
    this.tag = new Int32Array(2 * n);
    for (let i = 0; i < n; i++) {
      const from = (first + i) & (n - 1);
      this.address[i] = address[from]!;
      this.arrival[i] = arrival[from]!;
      this.tag[i] = tag[from]!;
    }
    this.first = 0;
  }
}

export class LineMemory {
  readonly cache: Cache;
  readonly dram: DramSystem;
  readonly partition: Partition;
  /** Lines asked for and bursts passed to the DRAM so far: what a run costs. */
  requests = 0;
  /** When the last read or write so far is through its slice's port. */
  portEnd_fs = 0;
  /** When the last request so far was taken by its channel. */
  settled_fs = 0;
  /** Bytes to and from the DRAM; of those written, the ones that `owns` says are the run's own. */
  dramRead_B = 0;
  dramWrite_B = 0;
  /** Longest time between two ticks, while anything is under way. */
  readonly tick_fs: number;
  /** Whether a line that is given up counts as written by the run; all do at first. */
  owns: (dense: number) => boolean = () => true;

  private readonly tCK_fs: number;
  private readonly beyond_fs: number;
  private readonly line_B: number;
  private readonly sector_B: number;
  private readonly burst_B: number;
  private readonly fetch_B: number;
  /** Sectors of a fetched piece, as a mask from bit 0. */
  private readonly pieceMask: number;
  private readonly pieceSectors: number;
  private readonly readFree: Float64Array;
  private readonly writeFree: Float64Array;
  private readonly backlogs: readonly Backlog[];
  private waiting = 0;
  /** Entries of lines on their way. */
  private readonly table = new PendingTable(1024);
  private underWay = 0;
  private entries = 0;
  private freeEntry = -1;
  private line = new Float64Array(1024);
  private slice = new Int32Array(1024);
  private left = new Int32Array(1024);
  private until = new Float64Array(1024);
  private ports = new Float64Array(1024);
  /** First of those who wait for an entry; the next free entry when it is free. */
  private firstWaiter = new Int32Array(1024);
  private waiter = new Int32Array(1024);
  private nextWaiter = new Int32Array(1024);
  private freeWaiter = -1;
  private waiters = 0;

  constructor(
    private readonly config: LineMemoryConfig,
    /** A line that `waiter` asked for is there and through its slice's port, from and to these times. */
    private readonly arrived: (waiter: number, at_fs: number, through_fs: number) => void,
  ) {
    const { dram, cache, channels } = config;
    const { organisation: o, controller } = dram;
    const below_B = belowChannel_B(dram);
    this.partition = new Partition(o.channels, channels, Math.max(below_B, cache.config.line_B), cache.config.line_B);
    const part = {
      ...dram,
      organisation: { ...o, channels },
      // the partition has turned them already
      controller: { ...controller, channel_hash: 'none' as const },
    };
    this.dram = new DramSystem(part, {
      readDone: (tag, _arrival, done) => this.done(tag, done),
      writeDone() {},
      burst() {},
    });
    const share = channels / o.channels;
    const slices = Math.max(1, Math.round(cache.config.slices * share));
    const granule = cache.config.line_B * cache.config.ways * slices;
    this.cache = new Cache({
      ...cache.config,
      slices,
      capacity_B: Math.max(1, Math.round((cache.config.capacity_B * share) / granule)) * granule,
    });
    this.tCK_fs = dram.tCK_s * 1e15;
    this.line_B = cache.config.line_B;
    this.sector_B = cache.config.sector_B;
    this.burst_B = o.burst_B;
    this.fetch_B = Math.max(cache.fetch_B, this.sector_B);
    this.pieceSectors = this.fetch_B / this.sector_B;
    this.pieceMask = this.pieceSectors >= 32 ? -1 : (1 << this.pieceSectors) - 1;
    const idle_fs = idleFetch_cycles(dram, this.fetch_B) * this.tCK_fs;
    this.beyond_fs = Math.max(0, config.beyond_fs - idle_fs);
    this.tick_fs = Math.max(this.tCK_fs, (dram.timing.RL + dram.timing.BL) * this.tCK_fs + this.beyond_fs);
    this.readFree = new Float64Array(slices);
    this.writeFree = config.shared_port ? this.readFree : new Float64Array(slices);
    this.backlogs = Array.from({ length: channels }, () => new Backlog());
  }

  /** Whether `tick` has anything to do. */
  get active(): boolean {
    return this.waiting > 0 || this.underWay > 0;
  }

  /** Reads sectors of a line (by its number in the whole memory): HERE, ON_ITS_WAY or LEFT_OUT. */
  read(line: number, mask: number, now_fs: number, waiter: number, port_share: number): number {
    const dense = this.partition.dense(line);
    if (dense < 0) return LEFT_OUT;
    this.requests++;
    const { cache } = this;
    const missing = cache.accessLine(dense, mask, false);
    const { slice } = cache;
    if (cache.evicted_dirty !== 0) this.writeBack(cache.evicted, cache.evicted_dirty, now_fs);
    const port_fs = bits(mask) * this.config.read_fs * port_share;
    if (missing === 0) {
      const entry = this.underWay > 0 ? this.table.get(dense) : -1;
      if (entry < 0) {
        this.pass(this.readFree, slice, now_fs, port_fs);
        return HERE;
      }
      this.ports[entry]! += port_fs;
      this.wait(entry, waiter);
      return ON_ITS_WAY;
    }
    const entry = this.fetch(dense, slice, missing, now_fs);
    this.ports[entry]! += port_fs;
    this.wait(entry, waiter);
    return ON_ITS_WAY;
  }

  /** Whether a line is on its way: then `arrived` will be called once for `waiter`, too. */
  join(line: number, waiter: number): boolean {
    const dense = this.underWay > 0 ? this.partition.dense(line) : -1;
    const entry = dense < 0 ? -1 : this.table.get(dense);
    if (entry < 0) return false;
    this.wait(entry, waiter);
    return true;
  }

  /** Writes sectors of a line; an atomic update of what is not there fetches it, and nobody waits for that. */
  write(line: number, mask: number, now_fs: number, atomic: boolean): number {
    const dense = this.partition.dense(line);
    if (dense < 0) return LEFT_OUT;
    this.requests++;
    const { cache } = this;
    const missing = cache.accessLine(dense, mask, true);
    const { slice } = cache;
    if (cache.evicted_dirty !== 0) this.writeBack(cache.evicted, cache.evicted_dirty, now_fs);
    // an atomic reads and writes in the cache
    this.pass(this.writeFree, slice, now_fs, bits(mask) * this.config.write_fs * (atomic ? 2 : 1));
    if (atomic && missing !== 0) this.fetch(dense, slice, missing, now_fs);
    return HERE;
  }

  /** Sectors of a line that are there or on their way; undefined when it is left out. */
  present(line: number): number | undefined {
    const dense = this.partition.dense(line);
    return dense < 0 ? undefined : this.cache.present(dense);
  }

  /** Runs all channels up to `now_fs`. */
  tick(now_fs: number): void {
    const until = Math.ceil(now_fs / this.tCK_fs);
    const { backlogs, dram } = this;
    for (let c = 0; c < backlogs.length; c++) {
      const b = backlogs[c]!;
      while (b.count > 0) {
        const at = b.first;
        const tag = b.tag[at]!;
        const from = Math.max(b.arrival[at]!, b.taken);
        const taken = from >= until ? until : dram.offer(b.address[at]!, tag < 0, from, tag, until);
        if (taken >= until) break;
        b.taken = taken;
        b.drop();
        this.waiting--;
      }
      dram.channels[c]!.runTo(until);
      if (b.taken * this.tCK_fs > this.settled_fs) this.settled_fs = b.taken * this.tCK_fs;
    }
  }

  private fetch(dense: number, slice: number, missing: number, now_fs: number): number {
    let entry = this.underWay > 0 ? this.table.get(dense) : -1;
    if (entry < 0) entry = this.take(dense, slice);
    let left = missing;
    while (left !== 0) {
      const sector = 31 - Math.clz32(left & -left);
      const piece = Math.floor(sector / this.pieceSectors);
      const sectors = this.pieceMask << (piece * this.pieceSectors);
      left &= ~sectors;
      this.cache.widen(sectors);
      const first = dense * this.line_B + piece * this.fetch_B;
      for (let a = 0; a < this.fetch_B; a += this.burst_B) {
        this.queue(first + a, now_fs, entry);
        this.left[entry]!++;
      }
      this.dramRead_B += this.fetch_B;
    }
    return entry;
  }

  private writeBack(dense: number, dirty: number, now_fs: number): void {
    let last = -1;
    let bytes = 0;
    for (let left = dirty; left !== 0; left &= left - 1) {
      const sector = 31 - Math.clz32(left & -left);
      const address = dense * this.line_B + sector * this.sector_B;
      bytes += this.sector_B;
      for (let a = address; a < address + this.sector_B; a += this.burst_B) {
        const burst = Math.floor(a / this.burst_B);
        if (burst === last) continue;
        last = burst;
        this.queue(a, now_fs, -1);
      }
    }
    if (this.owns(dense)) this.dramWrite_B += bytes;
  }

  private queue(address: number, now_fs: number, tag: number): void {
    const { mapping } = this.dram;
    mapping.map(address);
    this.backlogs[mapping.channel]!.push(address, Math.ceil(now_fs / this.tCK_fs), tag);
    this.waiting++;
    this.requests++;
  }

  private pass(free: Float64Array, slice: number, from_fs: number, time_fs: number): number {
    const f = free[slice]!;
    const end = (f > from_fs ? f : from_fs) + time_fs;
    free[slice] = end;
    if (end > this.portEnd_fs) this.portEnd_fs = end;
    return end;
  }

  /** A burst of an entry is there at cycle `done`. */
  private done(entry: number, done: number): void {
    const at = done * this.tCK_fs + this.beyond_fs;
    if (at > this.until[entry]!) this.until[entry] = at;
    if (--this.left[entry]! > 0) return;
    const there = Math.ceil(this.until[entry]!);
    this.table.remove(this.line[entry]!);
    this.underWay--;
    const through = this.pass(this.readFree, this.slice[entry]!, there, this.ports[entry]!);
    let w = this.firstWaiter[entry]!;
    this.firstWaiter[entry] = this.freeEntry;
    this.freeEntry = entry;
    while (w >= 0) {
      const next = this.nextWaiter[w]!;
      this.nextWaiter[w] = this.freeWaiter;
      this.freeWaiter = w;
      this.arrived(this.waiter[w]!, there, through);
      w = next;
    }
  }

  private take(dense: number, slice: number): number {
    let entry = this.freeEntry;
    if (entry >= 0) this.freeEntry = this.firstWaiter[entry]!;
    else {
      entry = this.entries++;
      if (entry === this.left.length) {
        this.line = doubled(this.line);
        this.slice = doubled(this.slice);
        this.left = doubled(this.left);
        this.until = doubled(this.until);
        this.ports = doubled(this.ports);
        this.firstWaiter = doubled(this.firstWaiter);
      }
    }
    this.line[entry] = dense;
    this.slice[entry] = slice;
    this.left[entry] = 0;
    this.until[entry] = 0;
    this.ports[entry] = 0;
    this.firstWaiter[entry] = -1;
    this.table.add(dense, entry);
    this.underWay++;
    return entry;
  }

  private wait(entry: number, waiter: number): void {
    let w = this.freeWaiter;
    if (w >= 0) this.freeWaiter = this.nextWaiter[w]!;
    else {
      w = this.waiters++;
      if (w === this.waiter.length) {
        this.waiter = doubled(this.waiter);
        this.nextWaiter = doubled(this.nextWaiter);
      }
    }
    this.waiter[w] = waiter;
    this.nextWaiter[w] = this.firstWaiter[entry]!;
    this.firstWaiter[entry] = w;
  }
}

/** Aligned bytes that lie on one channel. */
function belowChannel_B({ organisation: o, controller }: DramSpec): number {
  const bits: Record<string, number> = {
    ro: o.rows,
    ra: o.ranks,
    ba: o.banks_per_group,
    bg: o.bankgroups,
    co: (o.bursts_per_row * o.burst_B) / controller.interleave_B,
  };
  const fields = controller.mapping.match(/../g)!;
  let bytes = controller.interleave_B;
  for (const f of fields.slice(fields.indexOf('ch') + 1)) bytes *= bits[f]!;
  return bytes;
}

export function bits(mask: number): number {
  let n = 0;
  for (let b = mask; b !== 0; b &= b - 1) n++;
  return n;
}
