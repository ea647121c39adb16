/**
 * Requests before the banks' queues: reads in order of arrival, writes in a buffer that is drained in bursts. In a cycle,
 * one goes on: the oldest whose bank's queue has room.
 */
import type { Requests } from './requests.js';
import type { Controller } from './spec.js';

/** A list of slots in order of arrival, with how many of them find room at their bank. */
class Waiting {
  count = 0;
  with_room = 0;
  /** By bank. */
  readonly for_bank: Int32Array;
  private readonly slots: Int32Array;

  constructor(
    size: number,
    banks: number,
    private readonly bank: Int32Array,
    private readonly queued: Int32Array,
    private readonly depth: number,
  ) {
    this.slots = new Int32Array(size);
    this.for_bank = new Int32Array(banks);
  }

  get full(): boolean {
    return this.count === this.slots.length;
  }

  push(slot: number): void {
    const bank = this.bank[slot]!;
    this.slots[this.count++] = slot;
    this.for_bank[bank]!++;
    if (this.queued[bank]! < this.depth) this.with_room++;
  }

  /** Place of the oldest that finds room; one does. */
  oldest(): number {
    let i = 0;
    while (this.queued[this.bank[this.slots[i]!]!]! >= this.depth) i++;
    return i;
  }

  at(place: number): number {
    return this.slots[place]!;
  }

  remove(place: number): number {
    const { slots } = this;
    const slot = slots[place]!;
    this.count--;
    for (let i = place; i < this.count; i++) slots[i] = slots[i + 1]!;
    this.for_bank[this.bank[slot]!]!--;
    this.with_room--;
    return slot;
  }
}

export class Transactions {
  /** Set at the end of a trace: writes are drained whatever their number. */
  flush = false;
  private readonly reads: Waiting;
  private readonly writes: Waiting;
  private readonly write_low: number;
  /** Writes still to go of a drain. */
  private draining = 0;

  /** `queued`: how many are in each bank's queue, of `bank_queue` at most. */
  constructor(
    private readonly requests: Requests,
    controller: Controller,
    queued: Int32Array,
  ) {
    const { read_queue, write_buffer, bank_queue } = controller;
    this.reads = new Waiting(read_queue, queued.length, requests.bank, queued, bank_queue);
    this.writes = new Waiting(write_buffer, queued.length, requests.bank, queued, bank_queue);
    this.write_low = controller.write_low;
  }

  get count(): number {
    return this.reads.count + this.writes.count;
  }

  accepts(write: boolean): boolean {
    return write ? !this.writes.full : !this.reads.full;
  }

  add(slot: number, write: boolean): void {
    if (write) this.writes.push(slot);
    else this.reads.push(slot);
  }

  /** The queue of a bank got full, or is no longer. */
  roomChanged(bank: number, room: boolean): void {
    const sign = room ? 1 : -1;
    this.reads.with_room += sign * this.reads.for_bank[bank]!;
    this.writes.with_room += sign * this.writes.for_bank[bank]!;
  }

  /** Whether `pass` would find a request; `idle`: the banks' queues are empty. */
  canPass(idle: boolean): boolean {
    if (this.reads.with_room === 0 && this.writes.with_room === 0) return false;
    if (this.draining > 0 || this.mustDrain(idle)) return this.writes.with_room > 0;
    return this.reads.with_room > 0;
  }

  /** Takes the request that goes on: its slot, or -1. */
  pass(idle: boolean): number {
    const { reads, writes } = this;
    if (this.draining === 0 && this.mustDrain(idle)) this.draining = writes.count;
    if (this.draining > 0 && writes.with_room > 0) {
      const place = writes.oldest();
      if (!this.requests.isRead(writes.at(place))) {
        this.draining--;
        return writes.remove(place);
      }
      // a read of the same place waits: reads go on until it is done
      this.draining = 0;
    }
    return this.draining === 0 && reads.with_room > 0 ? reads.remove(reads.oldest()) : -1;
  }

  /** Writes are to be drained: their buffer is full, or nothing else is to be done. */
  private mustDrain(idle: boolean): boolean {
    const n = this.writes.count;
    if (n === 0) return false;
    if (this.writes.full || (idle && n > this.write_low)) return true;
    return this.flush && this.reads.count === 0;
  }
}
