/**
 * Miss status registers: which pieces of memory are on their way, how many there may be, and who waits for each.
 * An entry is held until its piece has come; then it can be given away again.
 */
import { PendingTable } from '../dram/pending.js';

export class MissRegisters {
  merges = 0;
  /** Times an access found no entry free. */
  stalls = 0;
  private readonly table: PendingTable;
  private readonly key: Float64Array;
  private readonly left: Int32Array;
  private readonly free: Int32Array;
  private free_count: number;
  /** Entries whose piece comes at a known time, oldest first. */
  private readonly leaving: Int32Array;
  private readonly leaves_at: Float64Array;
  private first = 0;
  private count = 0;

  constructor(readonly entries: number) {
    this.table = new PendingTable(entries);
    this.key = new Float64Array(entries);
    this.left = new Int32Array(entries);
    this.free = Int32Array.from({ length: entries }, (_, i) => i);
    this.free_count = entries;
    this.leaving = new Int32Array(entries);
    this.leaves_at = new Float64Array(entries);
  }

  /** The entry that fetches `key` at `time`, or -1. */
  find(key: number, time: number): number {
    this.release(time);
    return this.table.get(key);
  }

  /** Whether `allocate` would find room at `time`. */
  hasRoom(time: number): boolean {
    this.release(time);
    return this.free_count > 0;
  }

  /** When the next entry is known to leave; Infinity when none is. */
  nextRelease(): number {
    return this.count === 0 ? Number.POSITIVE_INFINITY : this.leaves_at[this.first]!;
  }

  /** Takes an entry for `key`, of which `parts` parts are to come. */
  allocate(key: number, parts: number): number {
    const entry = this.free[--this.free_count]!;
    this.key[entry] = key;
    this.left[entry] = parts;
    this.table.add(key, entry);
    return entry;
  }

  /** A part of an entry comes at `time`; true when it was the last. Times do not go back from call to call. */
  arrived(entry: number, time: number): boolean {
    if (--this.left[entry]! > 0) return false;
    const at = (this.first + this.count++) % this.entries;
    this.leaving[at] = entry;
    this.leaves_at[at] = time;
    return true;
  }

  private release(time: number): void {
    while (this.count > 0 && this.leaves_at[this.first]! <= time) {
      const entry = this.leaving[this.first]!;
      this.table.remove(this.key[entry]!);
      this.free[this.free_count++] = entry;
      this.first = (this.first + 1) % this.entries;
      this.count--;
    }
  }
}
