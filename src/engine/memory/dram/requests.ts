/**
 * Requests of one channel that are not issued yet, by slot, in arrays that are never reallocated; and the reads that wait
 * for each (several where requests to one place were merged).
 */
import { PendingTable } from './pending.js';

/** How a request was taken: into a slot, merged with one that waits, or answered from a waiting write. */
export const MERGED = -1;
export const FORWARDED = -2;

export class Requests {
  readonly row: Int32Array;
  readonly bank: Int32Array;
  readonly is_write: Uint8Array;
  /** The burst that the request lies in. */
  readonly burst: Float64Array;
  private readonly key: Float64Array;
  private readonly reads: PendingTable;
  private readonly writes: PendingTable;
  private readonly free: Int32Array;
  private free_count: number;
  // waiting reads, linked by slot
  private readonly first: Int32Array;
  private arrival = new Float64Array(256);
  private tag = new Float64Array(256);
  private next = new Int32Array(256);
  private free_waiter = -1;
  private waiters = 0;

  constructor(slots: number) {
    this.row = new Int32Array(slots);
    this.bank = new Int32Array(slots);
    this.is_write = new Uint8Array(slots);
    this.burst = new Float64Array(slots);
    this.key = new Float64Array(slots);
    this.reads = new PendingTable(64);
    this.writes = new PendingTable(64);
    this.free = Int32Array.from({ length: slots }, (_, i) => i);
    this.free_count = slots;
    this.first = new Int32Array(slots).fill(-1);
  }

  /** The slot of a new request, MERGED or FORWARDED. `key`: the piece of memory in which requests are merged. */
  take(write: boolean, bank: number, row: number, key: number, burst: number, arrival: number, tag: number): number {
    if (this.writes.get(key) >= 0) return write ? MERGED : FORWARDED;
    if (!write) {
      const same = this.reads.get(key);
      if (same >= 0) {
        this.wait(same, arrival, tag);
        return MERGED;
      }
    }
    const slot = this.free[--this.free_count]!;
    this.row[slot] = row;
    this.bank[slot] = bank;
    this.is_write[slot] = write ? 1 : 0;
    this.key[slot] = key;
    this.burst[slot] = burst;
    this.first[slot] = -1;
    if (write) this.writes.add(key, slot);
    else {
      this.reads.add(key, slot);
      this.wait(slot, arrival, tag);
    }
    return slot;
  }

  /** Whether a read of the place that a write is for waits. */
  isRead(slot: number): boolean {
    return this.reads.get(this.key[slot]!) >= 0;
  }

  /** The request of a slot is issued; `answer` is called for each read that waited for it. */
  done(slot: number, answer: { readDone(tag: number, arrival: number, done: number): void }, at: number): void {
    if (this.is_write[slot] === 1) this.writes.remove(this.key[slot]!);
    else {
      this.reads.remove(this.key[slot]!);
      let w = this.first[slot]!;
      while (w >= 0) {
        const next = this.next[w]!;
        answer.readDone(this.tag[w]!, this.arrival[w]!, at);
        this.next[w] = this.free_waiter;
        this.free_waiter = w;
        w = next;
      }
    }
    this.free[this.free_count++] = slot;
  }

  private wait(slot: number, arrival: number, tag: number): void {
    let w = this.free_waiter;
    if (w >= 0) this.free_waiter = this.next[w]!;
    else {
      w = this.waiters++;
      if (w === this.next.length) this.grow();
    }
    this.arrival[w] = arrival;
    this.tag[w] = tag;
    this.next[w] = this.first[slot]!;
    this.first[slot] = w;
  }

  /** Merged reads have no bound of their own. */
  private grow(): void {
    const size = this.next.length * 2;
    const { arrival, tag, next } = this;
    this.arrival = new Float64Array(size);
    this.tag = new Float64Array(size);
    this.next = new Int32Array(size);
    this.arrival.set(arrival);
    this.tag.set(tag);
    this.next.set(next);
  }
}
