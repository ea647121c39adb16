/**
 * Double-buffered scratchpads at an array's edge, as SCALE-Sim has them. Reading: half the buffer serves the array while
 * the other half runs ahead along a fixed fetch order that repeats; a word that is not in the serving window moves the
 * window on, and the array waits until the words before it have come. Writing: results gather until half the buffer is
 * full, which is then written out.
 */

import { wordsArray } from './words.js';

/** Parts that a buffer's capacity is counted in: the window moves by whole parts. */
const PARTS = 100;

/** One operand's far side, as the array's reads drive it. */
export interface ReadBuffer {
  /** Words asked of the far side. */
  readonly fetched: number;
  /** Cycles in which the first and the last of them came; before cycle 0 for what is there at the start. */
  readonly first_cycle: number;
  readonly last_cycle: number;
  /** Cycle at which `address`, asked for at `cycle`, is there. */
  read(address: number, cycle: number): number;
  /** No more reads will come. */
  end(): void;
}

/** How a wait is counted: once, or twice as SCALE-Sim 3 does (it adds the wait again where it checks that there is one). */
export type Waits = 'once' | 'twice';

/** Streams along a fixed order over wires of a given width; the array waits for what has not come. */
export class PrefetchBuffer implements ReadBuffer {
  fetched = 0;
  first_cycle = 0;
  last_cycle = -1;
  /** Parts that each word is in, one word after another: those of `address` from `#from[address]` on. */
  readonly #parts: Int32Array;
  readonly #from: Int32Array;
  readonly #count: number;
  readonly #window: number;
  readonly #step: number;
  readonly #lines: number;
  #start = 0;

  /** `order`: addresses (below `words`) as they are fetched, −1 for idle places; capacity in words, `width` words a cycle. */
  constructor(
    order: Int32Array,
    words: number,
    capacity: number,
    private readonly width: number,
    private readonly waits: Waits,
  ) {
    const serving = Math.ceil(capacity / 2);
    const ahead = capacity - serving;
    const size = Math.ceil(capacity / PARTS);
    // the part that a word was in last, counted from 1
    const last = wordsArray(words);
    const visit = (found: (address: number, part: number) => void): number => {
      let part = 0;
      let filled = 0;
      for (const address of order) {
        if (address < 0) continue;
        if (last[address] !== part + 1) found(address, part);
        last[address] = part + 1;
        if (++filled === size) {
          part++;
          filled = 0;
        }
      }
      return part;
    };
    const from = wordsArray(words + 1);
    const part = visit((address) => from[address + 1]!++);
    for (let i = 0; i < words; i++) from[i + 1]! += from[i]!;
    const parts = wordsArray(from[words]!);
    const next = from.slice(0, words);
    last.fill(0);
    visit((address, at) => {
      parts[next[address]!++] = at;
    });
    this.#from = from;
    this.#parts = parts;
    this.#count = part + 1;
    this.#window = Math.min(this.#count, Math.ceil(serving / size));
    this.#step = Math.min(this.#count - this.#window, Math.ceil(ahead / size));
    this.#lines = Math.ceil(ahead / width);
    // what is served first is there before cycle 0
    const initial = Math.min(Math.ceil(serving / width), Math.ceil(order.length / width));
    this.fetched = initial * width;
    this.first_cycle = -initial;
  }

  read(address: number, cycle: number): number {
    let at = cycle;
    while (!this.#holds(address)) {
      this.#start = (this.#start + this.#step) % this.#count;
      this.fetched += this.#lines * this.width;
      // a line a cycle, and one to answer
      this.last_cycle += this.#lines + 1;
      const wait = this.last_cycle - at;
      if (this.waits === 'once') at += Math.max(0, wait);
      else at += wait > 0 ? 2 * wait : wait;
    }
    return at;
  }

  end(): void {}

  #holds(address: number): boolean {
    if (this.#window >= this.#count) return true;
    const end = this.#from[address + 1]!;
    if (this.#from[address] === end) throw new Error(`address ${address} is not in the fetch order`);
    for (let i = this.#from[address]!; i < end; i++) {
      const behind = this.#parts[i]! - this.#start;
      if ((behind < 0 ? behind + this.#count : behind) < this.#window) return true;
    }
    return false;
  }
}

/**
 * Never waited for: holds the words used last, half a buffer replaced at a time, and tells what its far side must have
 * brought, and when, for the array not to wait.
 */
export class DemandBuffer implements ReadBuffer {
  fetched = 0;
  first_cycle = 0;
  last_cycle = 0;
  readonly #part: number;
  readonly #lines: number;
  readonly #half = PARTS / 2;
  /** Which part each word is in, or was last, counted from 1. */
  readonly #held: Int32Array;
  #filled = 0;
  #current = 0;
  #oldest = 0;
  #batches = 0;
  #ends = 0;
  #first: number | undefined;

  /** `words`: addresses lie below; `width`: words a cycle that bring the first half. */
  constructor(
    words: number,
    capacity: number,
    private readonly width: number,
  ) {
    this.#held = wordsArray(words);
    this.#part = Math.max(1, Math.floor(capacity / PARTS));
    this.#lines = Math.ceil((this.#half * this.#part) / width);
  }

  read(address: number, cycle: number): number {
    this.#first ??= cycle;
    if (this.#held[address]! > this.#oldest) return cycle;
    this.#held[address] = this.#current + 1;
    this.fetched++;
    if (++this.#filled < this.#part) return cycle;
    this.#filled = 0;
    this.#current++;
    if (this.#current % this.#half === 0) {
      this.#batch(cycle);
      this.#oldest = this.#current - this.#half;
    }
    return cycle;
  }

  /** Half a buffer of new words was asked for by `cycle`: the next half comes while these are used. */
  #batch(cycle: number): void {
    if (this.#batches++ === 0) {
      this.last_cycle = (this.#first ?? 0) - 2;
      this.first_cycle = this.last_cycle - this.#lines + 1;
    } else this.last_cycle = this.#ends;
    this.#ends = cycle;
  }

  end(): void {
    if (this.#batches === 0) {
      this.last_cycle = -1;
      this.first_cycle = -Math.ceil((Math.ceil(this.fetched / this.#part) * this.#part) / this.width);
    } else this.last_cycle = this.#ends;
  }
}

export class WriteBuffer {
  written = 0;
  first_cycle: number | undefined;
  last_cycle = 0;
  readonly #capacity: number;
  readonly #width: number;
  readonly #drain: number;
  #free: number;
  /** Words in each line that waits to be written, and how many lines were. */
  readonly #fill: number[] = [];
  #open = 0;
  #done = 0;
  #busy_until = 0;

  /** `lines`: a batch is told by the words in it, or by its lines as SCALE-Sim does, which takes all but its last as full. */
  constructor(
    capacity: number,
    width: number,
    private readonly lines: 'words' | 'lines',
  ) {
    this.#capacity = capacity;
    this.#width = width;
    this.#drain = capacity - Math.ceil(capacity / 2);
    this.#free = capacity;
  }

  /** Takes `count` words at `cycle`; the cycle at which it has. */
  write(count: number, cycle: number): number {
    let now = cycle;
    for (let i = 0; i < count; i++) {
      this.#free--;
      if (++this.#open === this.#width) this.#close();
      if (now < this.#busy_until) {
        if (this.#free <= 0) now = this.#busy_until;
      } else if (this.#free < this.#capacity - this.#drain) {
        this.#close();
        this.#busy_until = this.#flush(now);
      }
    }
    return now;
  }

  /** Writes out what is left, from `cycle` on. */
  empty(cycle: number): void {
    this.#close();
    let at = cycle;
    while (this.#done < this.#fill.length) at = this.#flush(at) + 1;
  }

  #close(): void {
    if (this.#open > 0) this.#fill.push(this.#open);
    this.#open = 0;
  }

  #flush(from: number): number {
    const to = Math.min(this.#done + Math.ceil(this.#drain / this.#width), this.#fill.length);
    const lines = to - this.#done;
    let words = (lines - 1) * this.#width + this.#fill[to - 1]!;
    if (this.lines === 'words') words = this.#fill.slice(this.#done, to).reduce((sum, n) => sum + n, 0);
    this.written += words;
    this.#free += words;
    this.#done = to;
    this.first_cycle ??= from;
    this.last_cycle = from + lines - 1;
    return this.last_cycle;
  }
}
