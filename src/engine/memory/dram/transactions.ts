/**
 * Requests before the banks' queues: reads in order of arrival, writes in a buffer that is drained in bursts. In a cycle,
 * one goes on: the oldest whose bank's queue has room.
 */
import type { Requests } from './requests.js';
import { lowest } from './ripening.js';
import type { Controller } from './spec.js';

/** Slots of one queue: by bank, in order of arrival. */
class Waiting {
  count = 0;
  /** Banks with room of which some wait here: how many, and a bit each, 32 to a word. */
  able = 0;
  private readonly able_banks: Int32Array;
  /** By bank, the oldest and the youngest; by slot, the next. -1: none. */
  private readonly first: Int32Array;
  private readonly last: Int32Array;
  private readonly next: Int32Array;
  /** By slot: how many came before. */
  private readonly order: Float64Array;
  private arrivals = 0;

  constructor(
    private readonly size: number,
    private readonly bank: Int32Array,
    private readonly queued: Int32Array,
    private readonly depth: number,
  ) {
    this.able_banks = new Int32Array(Math.ceil(queued.length / 32));
    this.first = new Int32Array(queued.length).fill(-1);
    this.last = new Int32Array(queued.length);
    this.next = new Int32Array(bank.length);
    this.order = new Float64Array(bank.length);
  }

  get full(): boolean {
    return this.count === this.size;
  }

  push(slot: number): void {
    const bank = this.bank[slot]!;
    this.count++;
    this.order[slot] = this.arrivals++;
    this.next[slot] = -1;
    if (this.first[bank]! >= 0) this.next[this.last[bank]!] = slot;
    else {
      this.first[bank] = slot;
      if (this.queued[bank]! < this.depth) this.turn(bank);
    }
    this.last[bank] = slot;
  }

  /** The oldest that finds room; one does. */
  oldest(): number {
    const { able_banks, first, order } = this;
    let oldest = -1;
    for (let word = 0; word < able_banks.length; word++)
      for (let banks = able_banks[word]!; banks !== 0; banks &= banks - 1) {
        const slot = first[word * 32 + lowest(banks)]!;
        if (oldest < 0 || order[slot]! < order[oldest]!) oldest = slot;
      }
    return oldest;
  }

  /** Takes out what `oldest` found. */
  remove(slot: number): number {
    const bank = this.bank[slot]!;
    this.count--;
    this.first[bank] = this.next[slot]!;
    if (this.next[slot]! < 0) this.turn(bank);
    return slot;
  }

  /** The queue of a bank got full, or is no longer. */
  roomChanged(bank: number): void {
    if (this.first[bank]! >= 0) this.turn(bank);
  }

  /** A bank is able now, or no longer. */
  private turn(bank: number): void {
    const bit = 1 << (bank & 31);
    const banks = this.able_banks[bank >> 5]! ^ bit;
    this.able_banks[bank >> 5] = banks;
    this.able += (banks & bit) === 0 ? -1 : 1;
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
    this.reads = new Waiting(read_queue, requests.bank, queued, bank_queue);
    this.writes = new Waiting(write_buffer, requests.bank, queued, bank_queue);
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
  roomChanged(bank: number): void {
    this.reads.roomChanged(bank);
    this.writes.roomChanged(bank);
  }

  /** Whether `pass` would find a request; `idle`: the banks' queues are empty. */
  canPass(idle: boolean): boolean {
    if (this.reads.able === 0 && this.writes.able === 0) return false;
    if (this.draining > 0 || this.mustDrain(idle)) return this.writes.able > 0;
    return this.reads.able > 0;
  }

  /** Takes the request that goes on: its slot, or -1. */
  pass(idle: boolean): number {
    const { reads, writes } = this;
    if (this.draining === 0 && this.mustDrain(idle)) this.draining = writes.count;
    if (this.draining > 0 && writes.able > 0) {
      const slot = writes.oldest();
      if (!this.requests.isRead(slot)) {
        this.draining--;
        return writes.remove(slot);
      }
      // a read of the same place waits: reads go on until it is done
      this.draining = 0;
    }
    return this.draining === 0 && reads.able > 0 ? reads.remove(reads.oldest()) : -1;
  }

  /** Writes are to be drained: their buffer is full, or nothing else is to be done. */
  private mustDrain(idle: boolean): boolean {
    const n = this.writes.count;
    if (n === 0) return false;
    if (this.writes.full || (idle && n > this.write_low)) return true;
    return this.flush && this.reads.count === 0;
  }
}
