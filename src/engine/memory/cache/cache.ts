/**
 * A set-associative cache of sectored lines, in hashed slices. It keeps tags and states, not data and not time: an access
 * says whether it hit and what the next level must then be asked for.
 */
import { InputError } from '../../../base/errors.js';
import { REPLACEMENTS, type Replacement, type ReplacementPolicy } from './replacement.js';

/** back: a write stays until its line is given up; through: it goes on to the next level at once. */
export const WRITE_POLICIES = ['back', 'through'] as const;
export const SLICE_HASHES = ['none', 'xor'] as const;

export interface CacheConfig {
  readonly capacity_B: number;
  readonly line_B: number;
  readonly sector_B: number;
  readonly ways: number;
  readonly slices: number;
  readonly slice_hash: (typeof SLICE_HASHES)[number];
  readonly replacement: ReplacementPolicy;
  readonly write: (typeof WRITE_POLICIES)[number];
  /** A write that misses takes a line. */
  readonly write_allocate: boolean;
  /** A write that takes a line fetches its sector first (writes smaller than a sector). */
  readonly fetch_on_write: boolean;
  readonly seed: number;
}

/** What an access found: the sector, the line without the sector, or neither. */
export const HIT = 0;
export const SECTOR_MISS = 1;
export const LINE_MISS = 2;

export interface CacheCounts {
  reads: number;
  writes: number;
  read_hits: number;
  write_hits: number;
  /** Misses whose line was there. */
  sector_misses: number;
  /** Lines given up, and dirty sectors written back with them. */
  evictions: number;
  written_back_sectors: number;
}

export class Cache {
  readonly counts: CacheCounts = {
    reads: 0,
    writes: 0,
    read_hits: 0,
    write_hits: 0,
    sector_misses: 0,
    evictions: 0,
    written_back_sectors: 0,
  };
  // of the last access
  /** Slice that served it. */
  slice = 0;
  /** Sectors to be fetched, bit by sector of the line; 0 for none. */
  fetch = 0;
  /** The write goes on to the next level. */
  forward = false;
  /** Line that was given up (its number: address over line size), or -1; its dirty sectors, bit by sector. */
  evicted = -1;
  evicted_dirty = 0;

  /** Place, over all sets and ways, of the line that `accessLine` met last. */
  at = 0;
  readonly sets: number;
  private readonly ways: number;
  private readonly slices: number;
  private readonly sets_per_slice: number;
  private readonly hashed: boolean;
  private readonly line_B: number;
  private readonly sector_B: number;
  private readonly back: boolean;
  private readonly allocate: boolean;
  private readonly fetch_on_write: boolean;
  private readonly replacement: Replacement;
  private readonly tags: Float64Array;
  /** Way of each set that `accessLine` met last: looked at first. */
  private readonly recent: Uint16Array;
  private readonly valid: Uint8Array | Uint32Array;
  private readonly dirty: Uint8Array | Uint32Array;

  constructor(config: CacheConfig) {
    const { capacity_B, line_B, sector_B, ways, slices } = config;
    const fail = (what: string): never => {
      throw new InputError(`cache: ${what}`);
    };
    if (!(line_B % sector_B === 0 && line_B / sector_B <= 32)) fail(`lines of ${line_B} B in sectors of ${sector_B} B`);
    const sets = capacity_B / (line_B * ways);
    if (!Number.isInteger(sets) || sets < 1 || !Number.isInteger(sets / slices))
      fail(`${capacity_B} B do not split into ${slices} slices of whole sets of ${ways} lines of ${line_B} B`);
    if (config.replacement === 'tree_plru' && !(ways <= 32 && Number.isInteger(Math.log2(ways))))
      fail(`tree_plru needs a power of two of ways up to 32, got ${ways}`);
    this.sets = sets;
    this.ways = ways;
    this.slices = slices;
    this.sets_per_slice = sets / slices;
    this.hashed = config.slice_hash === 'xor';
    this.line_B = line_B;
    this.sector_B = sector_B;
    this.back = config.write === 'back';
    this.allocate = config.write_allocate;
    this.fetch_on_write = config.fetch_on_write;
    this.replacement = REPLACEMENTS[config.replacement](sets, ways, config.seed);
    this.tags = new Float64Array(sets * ways).fill(-1);
    this.recent = new Uint16Array(sets);
    // small arrays stay in the host's own caches
    const masks = () => (line_B / sector_B <= 8 ? new Uint8Array(sets * ways) : new Uint32Array(sets * ways));
    this.valid = masks();
    this.dirty = masks();
  }

  /** An access to the sector of `address`: HIT, SECTOR_MISS or LINE_MISS, with what follows from it in the fields above. */
  access(address: number, write: boolean, streaming = false): number {
    const line = Math.floor(address / this.line_B);
    const bit = 1 << ((address - line * this.line_B) / this.sector_B);
    const set = this.setOf(line);
    const base = set * this.ways;
    const { tags, counts } = this;
    this.evicted = -1;
    this.fetch = 0;
    this.forward = write && !this.back;
    if (write) counts.writes++;
    else counts.reads++;
    let way = 0;
    while (way < this.ways && tags[base + way] !== line) way++;
    if (way < this.ways) {
      const at = base + way;
      this.replacement.touch(set, way, streaming);
      if ((this.valid[at]! & bit) !== 0) {
        if (write) {
          counts.write_hits++;
          if (this.back) this.dirty[at]! |= bit;
        } else counts.read_hits++;
        return HIT;
      }
      counts.sector_misses++;
      this.fill(at, bit, write);
      return SECTOR_MISS;
    }
    if (write && !this.allocate) {
      this.forward = true;
      return LINE_MISS;
    }
    way = this.place(set, base);
    tags[base + way] = line;
    this.valid[base + way] = 0;
    this.dirty[base + way] = 0;
    this.fill(base + way, bit, write);
    this.replacement.touch(set, way, streaming);
    return LINE_MISS;
  }

  /**
   * An access to the sectors of `mask` of a line, at once: those that were not there, and now are taken to be (or on
   * their way). Write-back, allocating. What was given up stands in `evicted` and `evicted_dirty`. Counts by sector.
   */
  accessLine(line: number, mask: number, write: boolean): number {
    const set = this.setOf(line);
    const base = set * this.ways;
    const { tags, counts } = this;
    this.evicted = -1;
    this.evicted_dirty = 0;
    let way = this.recent[set]!;
    if (tags[base + way] !== line) {
      way = 0;
      while (way < this.ways && tags[base + way] !== line) way++;
    }
    if (way === this.ways) {
      way = this.place(set, base);
      tags[base + way] = line;
      this.valid[base + way] = 0;
      this.dirty[base + way] = 0;
    }
    const at = base + way;
    this.at = at;
    this.recent[set] = way;
    this.replacement.touch(set, way, false);
    const before = this.valid[at]!;
    const missing = mask & ~before;
    if (missing !== 0) this.valid[at] = before | mask;
    const n = popcount(mask);
    const hits = missing === 0 ? n : n - popcount(missing);
    if (write) {
      this.dirty[at]! |= mask;
      counts.writes += n;
      counts.write_hits += hits;
    } else {
      counts.reads += n;
      counts.read_hits += hits;
      if (before !== 0 && missing !== 0) counts.sector_misses += n - hits;
    }
    return missing;
  }

  /** Marks more sectors of the line accessed last as there. */
  widen(sectors: number): void {
    this.valid[this.at]! |= sectors;
  }

  /** Calls `each` with every line that is dirty and its dirty sectors, in order of the sets; nothing changes. */
  dirtyLines(each: (line: number, dirty: number) => void): void {
    for (let i = 0; i < this.tags.length; i++) if (this.dirty[i] !== 0) each(this.tags[i]!, this.dirty[i]!);
  }

  /** All counts back to 0. */
  resetCounts(): void {
    for (const key of Object.keys(this.counts) as (keyof CacheCounts)[]) this.counts[key] = 0;
  }

  /** A cache of the same shape takes over the contents. */
  copyTo(other: Cache): void {
    other.tags.set(this.tags);
    other.valid.set(this.valid);
    other.dirty.set(this.dirty);
    this.replacement.copyTo(other.replacement);
  }

  /** Marks more sectors of a line as there (fetched beside the one asked for); of a line that is gone, nothing. */
  prefetched(line: number, sectors: number): void {
    const base = this.setOf(line) * this.ways;
    for (let w = 0; w < this.ways; w++) if (this.tags[base + w] === line) this.valid[base + w]! |= sectors;
  }

  /** Sectors of a line that are there. */
  present(line: number): number {
    const base = this.setOf(line) * this.ways;
    for (let w = 0; w < this.ways; w++) if (this.tags[base + w] === line) return this.valid[base + w]!;
    return 0;
  }

  private fill(at: number, bit: number, write: boolean): void {
    if (!write || this.fetch_on_write) this.fetch = bit;
    this.valid[at]! |= bit;
    if (write && this.back) this.dirty[at]! |= bit;
  }

  /** A way for a new line; what it held is given up. */
  private place(set: number, base: number): number {
    for (let w = 0; w < this.ways; w++) if (this.tags[base + w]! < 0) return w;
    const way = this.replacement.victim(set);
    this.counts.evictions++;
    this.evicted = this.tags[base + way]!;
    this.evicted_dirty = this.dirty[base + way]!;
    this.counts.written_back_sectors += popcount(this.evicted_dirty);
    return way;
  }

  /**
   * Set of a line: lines go round the slices, each round starting at one that depends on the round when hashed (so that
   * no stride stays on one slice); rounds go through the sets of a slice.
   */
  private setOf(line: number): number {
    const { slices } = this;
    const round = slices === 1 ? line : Math.floor(line / slices);
    let slice = line - round * slices;
    const low = round < 0x80000000 ? round | 0 : (round % 0x80000000) | 0;
    if (this.hashed && slices > 1) {
      const folded = Math.imul(low ^ (low >>> 13), 0x9e3779b1) >>> 8;
      slice = (slice + folded) % slices;
    }
    this.slice = slice;
    return slice * this.sets_per_slice + (low % this.sets_per_slice);
  }

  /** Writes back everything dirty: calls `each` with line and dirty sectors, in order of the sets. */
  flush(each: (line: number, dirty: number) => void): void {
    for (let i = 0; i < this.tags.length; i++) {
      if (this.dirty[i] === 0) continue;
      this.counts.written_back_sectors += popcount(this.dirty[i]!);
      each(this.tags[i]!, this.dirty[i]!);
      this.dirty[i] = 0;
    }
  }
}

/** Bits set in a 32-bit number. */
export function popcount(bits: number): number {
  let n = 0;
  for (let b = bits; b !== 0; b &= b - 1) n++;
  return n;
}
