/**
 * What lies beyond the cores: the far cache with its port, DRAM, and memory of other devices. Servers with a queue each.
 *
 * A core's own cache is not modelled here: what a core reads into registers twice it asks of the far cache twice.
 *
 * Written blocks are allocated in the cache and go to DRAM when they are pushed out; a store has landed when what it
 * pushed out is written. What is still dirty at the end is counted as DRAM traffic for outputs (not for scratch), and
 * the time of it is paid in kind: the cache starts with dirty data of others, as large a share as this run's outputs
 * have in all that it brings into the cache. A stream of such kernels writes every output in somebody's time once.
 */

import type { Context } from '../types.js';
import { type Blocked, bytesOfBlock, type Placer } from './blocks.js';
import { BlockCache } from './cache.js';
import { FarMemory, foreignShare, keptBefore, scrambled } from './far.js';
import type { Instr, Plan } from './plan.js';
import type { Rates } from './rates.js';
import type { Transfer } from './transfer.js';

export class Memory extends FarMemory {
  private readonly cache: BlockCache | undefined;
  /** Bytes written to DRAM so far, others' included; when the room that stores need is there. */
  private served_B = 0;
  private cleared = 0;
  private dramReadFree = 0;
  private dramWriteFree = 0;
  private cacheReadFree = 0;
  private cacheWriteFree = 0;
  /** Where rows of gathers and scatters are not known, a fixed pseudo-random sequence stands for them. */
  private sequence = 0;

  constructor(plan: Plan, rates: Rates, context: Context) {
    super(plan, rates);
    const { cache } = rates;
    if (cache) {
      this.cache = new BlockCache(plan.blocks, cache.capacity_B);
      this.warm(context, cache.capacity_B);
    }
  }

  /** What earlier kernels left: the longest untouched first, so that it is pushed out first. */
  private warm(context: Context, capacity_B: number): void {
    const cache = this.cache!;
    for (const { blocked: b, fraction } of keptBefore(this.plan, context, capacity_B))
      for (let i = 0; i < b.blocks; i++)
        if (Math.floor((i + 1) * fraction) > Math.floor(i * fraction))
          cache.insert(b.base + i, bytesOfBlock(b, b.base + i), 0, 0);
    cache.fillWithForeign(foreignShare(this.plan, context, capacity_B));
  }

  latencyOf(t: Transfer): number {
    const { rates, cache } = this;
    if (t.remote) return rates.hit_fs + rates.remote.get(t.instr.placer!.blocked.tensor.home!)!.latency_fs;
    if (!cache) return rates.hit_fs;
    if (t.instr.scattered || t.single < 0) return rates.hit_fs + rates.miss_fs;
    return cache.has(t.single) ? rates.hit_fs : rates.hit_fs + rates.miss_fs;
  }

  fetch(t: Transfer, now: number): boolean {
    t.first = now;
    t.last = now;
    const { placer } = t.instr;
    const b = placer!.blocked;
    if (t.remote) this.fetchRemote(t, now);
    else if (t.instr.scattered) this.fetchRows(t, now);
    else if (t.single >= 0) this.fetchBlock(t, t.single, placer!.exact ? t.moved_B : -1, now);
    else this.walk(t.low, t.high, b.step, b.base, (block) => this.fetchBlock(t, block, -1, now));
    return true;
  }

  /** `bytes` < 0: the whole block. */
  private fetchBlock(t: Transfer, block: number, bytes: number, now: number): void {
    const { cache, rates } = this;
    if (cache?.has(block)) {
      cache.touch(block);
      if (cache.first[block]! > t.first) t.first = cache.first[block]!;
      if (cache.last[block]! > t.last) t.last = cache.last[block]!;
      return;
    }
    const whole = bytesOfBlock(t.instr.placer!.blocked, block);
    const n = bytes < 0 ? (cache ? whole : t.moved_B) : bytes;
    const from = this.readDram(n, now);
    t.missed = true;
    t.extra_fs = rates.miss_fs;
    const first = from + rates.miss_fs;
    const last = this.dramReadFree + rates.miss_fs;
    if (first > t.first) t.first = first;
    if (last > t.last) t.last = last;
    if (cache) {
      cache.insert(block, whole, first, last);
      this.writeBack(now);
    }
  }

  private fetchRows(t: Transfer, now: number): void {
    const placer = t.instr.placer!;
    const b = placer.blocked;
    const axis = placer.use.view.axes[0];
    const row_B = t.moved_B / Math.max(1, t.rows);
    const { cache, rates } = this;
    for (let r = 0; r < t.rows; r++) {
      if (axis >= 0) t.low[axis] = t.high[axis] = this.rowBlock(b, axis, t.picked, r);
      let missing = 0;
      this.walk(t.low, t.high, b.step, b.base, (block) => {
        if (cache?.has(block)) {
          cache.touch(block);
          if (cache.first[block]! > t.first) t.first = cache.first[block]!;
          return;
        }
        missing++;
        if (cache) {
          cache.insert(block, bytesOfBlock(b, block), now, now);
          this.writeBack(now);
        }
      });
      if (missing === 0) continue;
      const from = this.readDram(row_B, now);
      t.missed = true;
      t.extra_fs = rates.miss_fs;
      if (r === 0 || from + rates.miss_fs < t.first) t.first = Math.max(now, from + rates.miss_fs);
      t.last = Math.max(t.last, this.dramReadFree + rates.miss_fs);
    }
  }

  /** Block of a gather's r-th row. */
  private rowBlock(b: Blocked, axis: number, picked: Float64Array | undefined, r: number): number {
    const block = b.block[axis]!;
    if (picked) return Math.floor(picked[r]! / block);
    return Math.floor((scrambled(this.sequence++) % b.tensor.dims[axis]!) / block);
  }

  readCache(t: Transfer, now: number): number {
    if (!this.cache || t.remote) return now;
    const bytes = t.moved_B / t.instr.sharers;
    this.cacheReadFree = Math.max(this.cacheReadFree, now) + Math.round(bytes * this.rates.l2Read_fs_per_B);
    this.cacheRead_B += bytes;
    if (this.rates.cache!.shared_port) this.cacheWriteFree = this.cacheReadFree;
    return this.cacheReadFree;
  }

  write(i: Instr, placer: Placer, moved: number, now: number): number {
    const { cache, rates } = this;
    const b = placer.blocked;
    if (i.remote) return this.writeRemote(b, moved, now);
    if (!cache) return this.writeDram(moved, moved, now);
    // An atomic reads and writes in the cache.
    const time = Math.round(moved * rates.l2Write_fs_per_B * (i.atomic ? 2 : 1));
    this.cacheWriteFree = Math.max(this.cacheWriteFree, now) + time;
    if (rates.cache!.shared_port) this.cacheReadFree = this.cacheWriteFree;
    this.cacheWrite_B += moved;
    this.cleared = 0;
    if (i.scattered) {
      const axis = placer.use.view.axes[0];
      for (let r = 0; r < placer.rows; r++) {
        if (axis >= 0) placer.low[axis] = placer.high[axis] = this.rowBlock(b, axis, placer.picked, r);
        this.walk(placer.low, placer.high, b.step, b.base, (block) =>
          this.writeBlock(placer, block, moved / placer.rows, i.atomic, now),
        );
      }
    } else if (placer.single >= 0) this.writeBlock(placer, placer.single, moved, i.atomic, now);
    else {
      let blocks = 1;
      for (let d = 0; d < b.count.length; d++) blocks *= placer.high[d]! - placer.low[d]! + 1;
      const each = placer.requested_B / blocks;
      this.walk(placer.low, placer.high, b.step, b.base, (block) =>
        this.writeBlock(placer, block, each, i.atomic, now),
      );
    }
    return Math.max(this.cacheWriteFree, this.cleared);
  }

  private writeBlock(placer: Placer, block: number, bytes: number, atomic: boolean, now: number): void {
    const cache = this.cache!;
    if (cache.has(block)) cache.touch(block);
    else {
      const whole = bytesOfBlock(placer.blocked, block);
      if (atomic) this.readDram(Math.min(bytes, whole), now);
      cache.insert(block, whole, now, now);
      this.writeBack(now);
      if (!cache.has(block)) this.cleared = Math.max(this.cleared, this.writeDram(bytes, bytes, now));
    }
    cache.write(block, bytes);
  }

  finish(): void {
    const { cache } = this;
    if (!cache) return;
    for (const b of this.plan.blocked) {
      if (b.tensor.role !== 'output' && b.tensor.role !== 'inout') continue;
      for (let i = 0; i < b.blocks; i++) this.dramWrite_B += cache.dirtyBytes(b.base + i);
    }
  }

  /** What the last insertion pushed out. Foreign data takes time, but is not this run's traffic. */
  private writeBack(now: number): void {
    const { evicted_dirty_B, evicted_foreign_B } = this.cache!;
    const bytes = evicted_dirty_B + evicted_foreign_B;
    if (bytes > 0) this.cleared = Math.max(this.cleared, this.writeDram(bytes, evicted_dirty_B, now));
  }

  /** Returns when the first byte starts on its way; `dramReadFree` then is when the last does. */
  private readDram(bytes: number, now: number): number {
    const from = Math.max(this.dramReadFree, now);
    this.dramRead_B += bytes;
    this.dramReadFree = from + Math.round(bytes * this.rates.dramRead_fs_per_B * this.mixing());
    if (this.rates.home.shared_port) this.dramWriteFree = this.dramReadFree;
    return from;
  }

  private writeDram(bytes: number, own_B: number, now: number): number {
    const from = Math.max(this.dramWriteFree, now);
    this.dramWrite_B += own_B;
    this.served_B += bytes;
    this.dramWriteFree = from + Math.round(bytes * this.rates.dramWrite_fs_per_B * this.mixing());
    if (this.rates.home.shared_port) this.dramReadFree = this.dramWriteFree;
    return this.dramWriteFree;
  }

  /** How much slower the traffic so far is for being both reads and writes: none for one kind, all of it for equal parts. */
  private mixing(): number {
    const { mixed_slowdown } = this.rates;
    if (mixed_slowdown === 1) return 1;
    const least = Math.min(this.dramRead_B, this.served_B);
    return 1 + ((mixed_slowdown - 1) * 2 * least) / (this.dramRead_B + this.served_B);
  }

  private walk(
    low: Int32Array,
    high: Int32Array,
    step: readonly number[],
    base: number,
    found: (block: number) => void,
    d = 0,
  ): void {
    if (d === step.length) {
      found(base);
      return;
    }
    for (let i = low[d]!; i <= high[d]!; i++) this.walk(low, high, step, base + i * step[d]!, found, d + 1);
  }
}
