/**
 * Memory beyond the cores with state: every line of every copy has its address, goes through the far cache's slices and
 * sets, and on a miss through its DRAM channel, bank and row. Same interface as the model by blocks and bandwidth.
 *
 *   copy ─► runs of bytes ─► lines with their sectors ─► LineMemory ─► known now, or at a later tick
 *
 * Tensors lie one behind another, from 512-byte boundaries. What a core's own cache holds (near.ts) goes no farther.
 * The cache starts with what earlier kernels left: a stream of foreign lines, some dirty, then the tensors that were
 * touched not too long ago. Dirty foreign lines take time when they are pushed out, but are not this run's traffic;
 * what outputs leave dirty at the end is, as if written.
 *
 * Of large runs some channels stand for all (partition.ts). A copy none of whose lines is on those takes as long as the
 * mean of its instruction's others so far.
 */
import { stridesOf, type Tensor } from '../../kernel/ir.js';
import type { DramSpec } from '../memory/dram/spec.js';
import { bits, HERE, LEFT_OUT, LineMemory, ON_ITS_WAY } from '../memory/lines.js';
import type { CacheLevel, NearLevel } from '../memory/replay.js';
import type { Context, MemoryDetail } from '../types.js';
import type { Blocked, Placer } from './blocks.js';
import { FarMemory, foreignShare, keptBefore, scrambled } from './far.js';
import type { EventHeap } from './heap.js';
import { NearCaches } from './near.js';
import type { Instr, Plan } from './plan.js';
import type { Rates } from './rates.js';
import type { Transfer } from './transfer.js';

/** The memory in detail, and how much of it may be worked through line by line. */
export interface Stateful {
  readonly dram: DramSpec;
  readonly cache: CacheLevel;
  /** The cores' own caches before it; absent: none. */
  readonly near?: NearLevel;
  /** Lines and bursts of a launch; beyond that, as many channels as keep within it stand for all. */
  readonly most_requests: number;
}

/** What the launches of one op hand on. */
export class MemoryState {
  /** Channels simulated; all when undefined. */
  channels: number | undefined;
  /** First byte of each tensor. */
  readonly base_B = new Map<Tensor, number>();
  end_B = 0;
  /** Contents of the cache after the launch before; undefined before the first. */
  contents: LineMemory['cache'] | undefined;
  /** What earlier launches wrote and is counted as written. */
  settled: readonly { readonly from_B: number; readonly to_B: number }[] = [];

  /** Fewer channels: what the cache holds of others is not known. */
  sample(channels: number): void {
    this.channels = channels;
    this.contents = undefined;
  }

  mark(): Mark {
    const { channels, contents, settled } = this;
    return { channels, contents, settled };
  }

  /** To where it stood at `mark`; fewer channels stay fewer. */
  backTo({ channels, contents, settled }: Mark): void {
    this.contents = channels === this.channels ? contents : undefined;
    this.settled = settled;
  }
}
type Mark = Pick<MemoryState, 'channels' | 'contents' | 'settled'>;

const ALIGN_B = 512;
/** Lines of a tensor that earlier kernels left or pushed out together. */
const TOGETHER = 32;

export class StatefulMemory extends FarMemory {
  /** More requests than may be. */
  over = false;
  readonly lines: LineMemory;
  private readonly near: NearCaches | undefined;
  private readonly line_B: number;
  private readonly sector_B: number;
  private readonly perLine: number;
  private heap!: EventHeap;
  private kind = 0;
  private known!: (t: Transfer, now: number) => void;
  private ticking = false;
  private readonly flying: (Transfer | undefined)[] = [];
  /** By instruction: copies that were followed, time until their last line was there, and how many missed. */
  private readonly followed: Float64Array;
  private readonly delay_fs: Float64Array;
  private readonly missed: Float64Array;
  private sequence = 0;
  private readonly places = new Map<Blocked, number>();
  private readonly foreign: number;

  // the copy that is being walked
  private now = 0;
  private sectors = 0;
  private seen = 0;
  private t: Transfer | undefined;
  private atomic = false;

  constructor(
    plan: Plan,
    rates: Rates,
    context: Context,
    resident: number,
    private readonly given: Stateful,
    private readonly state: MemoryState,
  ) {
    super(plan, rates);
    const { dram, cache } = given;
    const { slices, sector_B } = cache.config;
    this.lines = new LineMemory(
      {
        dram,
        cache,
        channels: state.channels ?? dram.organisation.channels,
        read_fs: rates.l2Read_fs_per_B * slices * sector_B,
        write_fs: rates.l2Write_fs_per_B * slices * sector_B,
        shared_port: rates.cache!.shared_port,
        beyond_fs: rates.miss_fs,
      },
      (waiter, at, through) => this.arrived(waiter, at, through),
    );
    this.near = given.near && NearCaches.of(given.near, plan, rates, resident);
    this.line_B = cache.config.line_B;
    this.sector_B = sector_B;
    this.perLine = this.line_B / sector_B;
    const n = plan.instrs.length;
    this.followed = new Float64Array(n);
    this.delay_fs = new Float64Array(n);
    this.missed = new Float64Array(n);
    for (const b of plan.blocked) {
      if (state.base_B.has(b.tensor)) continue;
      state.base_B.set(b.tensor, state.end_B);
      state.end_B += Math.ceil(bytesIn(b) / ALIGN_B) * ALIGN_B;
    }
    for (const b of plan.blocked) this.places.set(b, state.base_B.get(b.tensor)!);
    this.foreign = this.start(context);
  }

  /** Where ticks go, and who is told of copies that are there. */
  attach(heap: EventHeap, kind: number, known: (t: Transfer, now: number) => void): void {
    this.heap = heap;
    this.kind = kind;
    this.known = known;
  }

  /** Contents before the launch; returns the first dense line of what is foreign. */
  private start(context: Context): number {
    const { cache, partition } = this.lines;
    const { ways } = this.given.cache.config;
    const { contents, end_B, settled } = this.state;
    const capacity = cache.sets * ways;
    // far beyond any tensor, and a whole number of times round all sets
    const foreign = capacity * Math.ceil(2 ** 41 / this.line_B / capacity);
    const whole = this.perLine >= 32 ? -1 : (1 << this.perLine) - 1;
    if (contents) contents.copyTo(cache);
    else {
      const capacity_B = this.given.cache.config.capacity_B;
      const share = foreignShare(this.plan, context, capacity_B);
      // all channels alike: dirty or clean by whole rounds over them
      for (let i = 0; i < capacity; i++) {
        const n = Math.floor(i / partition.round);
        cache.accessLine(foreign + i, whole, Math.floor((n + 1) * share) > Math.floor(n * share));
      }
      for (const { blocked: b, fraction } of keptBefore(this.plan, context, capacity_B)) {
        const first = Math.floor(this.places.get(b)! / this.line_B);
        const last = Math.ceil((this.places.get(b)! + bytesIn(b)) / this.line_B);
        for (let line = first; line < last; line++) {
          const n = Math.floor((line - first) / TOGETHER);
          if (Math.floor((n + 1) * fraction) === Math.floor(n * fraction)) continue;
          const dense = partition.dense(line);
          if (dense >= 0) cache.accessLine(dense, whole, false);
        }
      }
    }
    cache.resetCounts();
    if (end_B > 2 ** 41) throw new Error(`internal: ${end_B} B of tensors`);
    this.lines.owns = (dense) => {
      if (dense >= foreign) return false;
      if (settled.length === 0) return true;
      const at = partition.line(dense) * this.line_B;
      return !settled.some((s) => at >= s.from_B && at < s.to_B);
    };
    return foreign;
  }

  latencyOf(t: Transfer): number {
    const { rates } = this;
    if (t.remote) return rates.hit_fs + rates.remote.get(t.instr.placer!.blocked.tensor.home!)!.latency_fs;
    const { id } = t.instr;
    if (!t.instr.scattered) {
      const b = t.instr.placer!.blocked;
      const sector = Math.floor((this.places.get(b)! + t.offset * b.element_B) / this.sector_B);
      const line = Math.floor(sector / this.perLine);
      if (this.near?.serves(t) && this.near.holds(t.core, line, sector - line * this.perLine))
        return this.near.latency_fs;
      const there = this.lines.present(line);
      if (there !== undefined)
        return (there & (1 << (sector - line * this.perLine))) !== 0 ? rates.hit_fs : rates.hit_fs + rates.miss_fs;
    }
    const share = this.followed[id]! > 0 ? this.missed[id]! / this.followed[id]! : 1;
    return rates.hit_fs + Math.round(share * rates.miss_fs);
  }

  fetch(t: Transfer, now: number): boolean {
    t.first = now;
    t.last = now;
    if (t.remote) {
      this.fetchRemote(t, now);
      return true;
    }
    this.flying[t.id] = t;
    this.t = t;
    this.now = now;
    this.sectors = 0;
    this.seen = 0;
    this.lines.portEnd_fs = now;
    t.open = 1;
    t.asked = now;
    t.first = Number.POSITIVE_INFINITY;
    this.walk(t.instr.placer!, t.offset, t.rows, t.cols, t.picked);
    t.through = this.lines.portEnd_fs;
    t.moved_B = this.sectors * this.sector_B;
    this.schedule(now);
    if (--t.open > 0) return false;
    if (this.seen === 0 && this.sectors > 0) this.guess(t, now);
    else {
      t.first = now;
      if (this.sectors > 0) this.follow(t);
    }
    return true;
  }

  /** A line that copy `id` waits for is there at `at`, through its port at `through`. */
  private arrived(id: number, at: number, through: number): void {
    const t = this.flying[id]!;
    if (at < t.first) t.first = at;
    if (at > t.last) t.last = at;
    if (through > t.through) t.through = through;
    t.missed = true;
    if (--t.open > 0) return;
    t.extra_fs = this.rates.miss_fs;
    this.follow(t);
    this.pace(t);
    this.known(t, this.heap.time);
  }

  /** The way on is booked so that it ends with the last byte, rather than lie idle between lines that drop in. */
  private pace(t: Transfer): void {
    t.first = Math.round(Math.max(t.first, t.last - t.moved_B * this.rates.in_fs_per_B));
  }

  private follow(t: Transfer): void {
    const { id } = t.instr;
    this.followed[id]!++;
    this.delay_fs[id]! += t.last - t.asked;
    if (t.missed) this.missed[id]!++;
  }

  /** None of its lines is followed: it does as its like. */
  private guess(t: Transfer, now: number): void {
    const { id } = t.instr;
    const n = this.followed[id]!;
    const delay = n > 0 ? this.delay_fs[id]! / n : this.rates.miss_fs;
    t.first = now;
    t.last = now + Math.round(delay);
    t.missed = n === 0 || this.missed[id]! / n > 0.5;
    if (t.missed) t.extra_fs = this.rates.miss_fs;
    this.pace(t);
  }

  /** Sees to it that there is a tick as long as anything is under way. */
  private schedule(now: number): void {
    if (this.lines.requests > this.given.most_requests) this.over = true;
    if (this.ticking || !this.lines.active) return;
    this.ticking = true;
    this.heap.push(now + Math.floor(this.lines.tick_fs), this.kind, 0);
  }

  tick(now: number): void {
    this.ticking = false;
    this.now = now;
    this.lines.tick(now);
    this.schedule(now);
  }

  readCache(t: Transfer, now: number): number {
    if (t.remote) return now;
    this.cacheRead_B += t.moved_B / t.instr.sharers;
    return t.through;
  }

  write(i: Instr, placer: Placer, moved: number, now: number): number {
    const b = placer.blocked;
    if (i.remote) return this.writeRemote(b, moved, now);
    this.t = undefined;
    this.atomic = i.atomic;
    this.now = now;
    this.sectors = 0;
    this.lines.portEnd_fs = now;
    this.walk(placer, placer.offset, placer.rows, placer.cols, placer.picked);
    this.cacheWrite_B += this.sectors * this.sector_B;
    this.schedule(now);
    return Math.ceil(this.lines.portEnd_fs);
  }

  finish(): void {
    const { lines, state, plan, places } = this;
    const { partition } = lines;
    this.dramRead_B = lines.dramRead_B * partition.scale;
    this.dramWrite_B = lines.dramWrite_B * partition.scale;
    const out = plan.blocked
      .filter((b) => b.tensor.role === 'output' || b.tensor.role === 'inout')
      .map((b) => ({ from_B: places.get(b)!, to_B: places.get(b)! + bytesIn(b) }));
    lines.cache.dirtyLines((dense, dirty) => {
      if (dense >= this.foreign || !lines.owns(dense)) return;
      const at = partition.line(dense) * this.line_B;
      if (!out.some((o) => at >= o.from_B && at < o.to_B)) return;
      this.dramWrite_B += bits(dirty) * this.sector_B * partition.scale;
    });
    state.settled = [...state.settled, ...out];
    state.contents = lines.cache;
  }

  override detail(): MemoryDetail {
    const { lines, given } = this;
    const { partition, cache, dram } = lines;
    const { scale } = partition;
    const c = cache.counts;
    const d = dram.counts();
    const hits = c.read_hits + c.write_hits;
    const n = this.near?.counts();
    const near = (count: number | undefined) => (count === undefined ? {} : { [given.near!.id]: count });
    const { energy: e, organisation: o } = given.dram;
    return {
      channels: partition.channels,
      channels_simulated: partition.kept,
      requests: lines.requests,
      hits: { ...near(n?.hits), [given.cache.id]: hits * scale },
      misses: { ...near(n && n.reads - n.hits), [given.cache.id]: (c.reads + c.writes - hits) * scale },
      row_hits: (d.read_row_hits + d.write_row_hits) * scale,
      activates: d.activates * scale,
      read_commands: d.reads * scale,
      write_commands: d.writes * scale,
      extra_activate_J: Math.max(0, d.activates - (d.reads + d.writes) / o.bursts_per_row) * e.activate_J * scale,
      dram_command_J: {
        activate: d.activates * e.activate_J * scale,
        read: d.reads * e.read_J * scale,
        write: d.writes * e.write_J * scale,
        refresh: (d.refreshes * e.refresh_J + d.bank_refreshes * e.refresh_bank_J) * scale,
      },
    };
  }

  /** All lines of a placed view: runs of neighbours in memory, each row of a gather by itself. */
  private walk(placer: Placer, offset: number, rows: number, cols: number, picked: Float64Array | undefined): void {
    const b = placer.blocked;
    const e = b.element_B;
    const at = this.places.get(b)! + offset * e;
    const { rowStride, colStride } = placer;
    if (placer.use.scattered) {
      const axis = placer.use.view.axes[0];
      for (let r = 0; r < rows; r++) {
        const row = picked
          ? picked[r]!
          : axis < 0
            ? 0
            : Math.floor((scrambled(this.sequence++) / 2 ** 32) * b.tensor.dims[axis]!);
        this.along(at + row * rowStride * e, cols, colStride, e);
      }
    } else if (colStride === 1 && cols === rowStride) this.along(at, rows * cols, 1, e);
    else if (rowStride === 1 && colStride !== 1 && rows > 1)
      for (let c = 0; c < cols; c++) this.along(at + c * colStride * e, rows, 1, e);
    else for (let r = 0; r < rows; r++) this.along(at + r * rowStride * e, cols, colStride, e);
  }

  private along(from_B: number, elements: number, stride: number, e: number): void {
    if (stride * e <= this.sector_B) this.run(from_B, ((elements - 1) * stride + 1) * e);
    else for (let i = 0; i < elements; i++) this.run(from_B + i * stride * e, e);
  }

  private run(from_B: number, bytes: number): void {
    const { perLine, sector_B } = this;
    const first = Math.floor(from_B / sector_B);
    const last = Math.ceil((from_B + bytes) / sector_B) - 1;
    this.sectors += last - first + 1;
    let at = first;
    for (let line = Math.floor(first / perLine); at <= last; line++) {
      const begin = at - line * perLine;
      const end = Math.min(perLine - 1, last - line * perLine);
      const n = end - begin + 1;
      this.touch(line, (n >= 32 ? -1 : (1 << n) - 1) << begin);
      at += n;
    }
  }

  private touch(line: number, mask: number): void {
    const { t, lines } = this;
    if (t === undefined) {
      lines.write(line, mask, this.now, this.atomic);
      return;
    }
    let asked = mask;
    const near = this.near?.serves(t) ? this.near : undefined;
    if (near) {
      asked = near.read(t, line, mask, this.now, () => {
        if (!lines.join(line, t.id)) return false;
        t.open++;
        return true;
      });
      this.sectors -= bits(mask & ~asked);
      if (asked === 0) return;
    }
    const found = lines.read(line, asked, this.now, t.id, 1 / t.instr.sharers);
    near?.fill(t, asked, this.now, found !== ON_ITS_WAY);
    if (found === LEFT_OUT) return;
    this.seen++;
    if (found === ON_ITS_WAY) t.open++;
    else if (found === HERE) t.first = this.now;
  }
}

/** Bytes from a tensor's first element to its last. */
function bytesIn({ tensor, element_B }: Blocked): number {
  const strides = stridesOf(tensor);
  const last = tensor.dims.reduce((at, size, d) => at + (size - 1) * strides[d]!, 0);
  return Math.ceil((last + 1) * element_B);
}
