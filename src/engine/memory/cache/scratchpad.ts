/**
 * A banked scratchpad: successive words lie in successive banks, and a bank serves one word a cycle. Lanes that want the
 * same word share it. An access of a lane group takes as many cycles as the busiest bank has different words to give.
 */
import { InputError } from '../../../base/errors.js';

export interface ScratchpadConfig {
  readonly banks: number;
  /** Bytes of a bank's word. */
  readonly word_B: number;
  /** Latency of an access without conflict. */
  readonly latency_cycles: number;
}

export class Scratchpad {
  accesses = 0;
  /** Cycles beyond the first of each access. */
  conflict_cycles = 0;
  private readonly words: Float64Array[];
  private readonly used: Int32Array;
  private readonly touched: Int32Array;

  constructor(private readonly config: ScratchpadConfig) {
    const { banks, word_B } = config;
    if (!(Number.isInteger(banks) && banks > 0 && word_B > 0))
      throw new InputError(`scratchpad: ${banks} banks of ${word_B} B words`);
    this.words = Array.from({ length: banks }, () => new Float64Array(8));
    this.used = new Int32Array(banks);
    this.touched = new Int32Array(banks);
  }

  /** Cycles in which the banks are busy with the byte addresses of one lane group (negative: the lane is off). */
  access(addresses: ArrayLike<number>): number {
    const { banks, word_B } = this.config;
    let cycles = 0;
    let touched = 0;
    for (let i = 0; i < addresses.length; i++) {
      if (addresses[i]! < 0) continue;
      const word = Math.floor(addresses[i]! / word_B);
      const bank = word % banks;
      const n = this.used[bank]!;
      let list = this.words[bank]!;
      let seen = false;
      for (let j = 0; j < n && !seen; j++) seen = list[j] === word;
      if (seen) continue;
      if (n === 0) this.touched[touched++] = bank;
      if (n === list.length) {
        const grown = new Float64Array(n * 2);
        grown.set(list);
        list = this.words[bank] = grown;
      }
      list[n] = word;
      this.used[bank] = n + 1;
      if (n + 1 > cycles) cycles = n + 1;
    }
    for (let i = 0; i < touched; i++) this.used[this.touched[i]!] = 0;
    if (cycles > 0) {
      this.accesses++;
      this.conflict_cycles += cycles - 1;
    }
    return cycles;
  }

  /** Cycles from issue to the last lane's data. */
  latency(addresses: ArrayLike<number>): number {
    return this.config.latency_cycles + Math.max(0, this.access(addresses) - 1);
  }
}
