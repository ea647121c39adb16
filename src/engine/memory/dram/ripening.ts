/**
 * Banks that wait, by what they wait for and by the cycle before which they cannot issue: those past it, as a bit each,
 * and the others on a wheel of the cycles to come. What lies beyond the wheel stands on its last cycle, and is put anew
 * when that comes.
 */
import { NEVER, shift, since } from './cycles.js';

const SPAN = 32;
const LAST = SPAN - 1;

export class Ripening {
  /** The banks past their cycle, a bit each, by rank and kind. */
  readonly ripe: Int32Array;
  /** What a bank waits for; -1: nothing, and it does not stand here. */
  readonly kind: Int32Array;
  private readonly at: Int32Array;
  private readonly slot: Int32Array;
  /** Banks by cycle (`now` stands at `turn`, and so on round) and rank. */
  private readonly wheel: Int32Array;
  /** Cycles of the wheel with banks, a bit each from `now` on. */
  private occupied = 0;
  private turn = 0;
  private now = 0;
  private readonly in_rank: number;

  constructor(
    private readonly ranks: number,
    private readonly rank_shift: number,
    private readonly kinds: number,
  ) {
    const banks = ranks << rank_shift;
    this.in_rank = (1 << rank_shift) - 1;
    this.ripe = new Int32Array(ranks * kinds);
    this.kind = new Int32Array(banks).fill(-1);
    this.at = new Int32Array(banks);
    this.slot = new Int32Array(banks);
    this.wheel = new Int32Array(SPAN * ranks);
  }

  /** A cycle before which no other bank gets ripe. */
  get next(): number {
    return this.occupied === 0 ? NEVER : this.now + lowest(this.occupied);
  }

  /** A bank that does not stand here waits for `kind`, and cannot issue before `cycle`. */
  put(bank: number, kind: number, cycle: number): void {
    this.kind[bank] = kind;
    this.at[bank] = cycle;
    const rank = bank >> this.rank_shift;
    const bit = 1 << (bank & this.in_rank);
    const ahead = cycle - this.now < SPAN ? cycle - this.now : LAST;
    if (ahead <= 0) this.ripe[rank * this.kinds + kind]! |= bit;
    else {
      const slot = (this.turn + ahead) & LAST;
      this.slot[bank] = slot;
      this.wheel[slot * this.ranks + rank]! |= bit;
      this.occupied |= 1 << ahead;
    }
  }

  /** Takes a bank away, if it stands here. */
  drop(bank: number): void {
    const kind = this.kind[bank]!;
    if (kind < 0) return;
    const rank = bank >> this.rank_shift;
    const bit = 1 << (bank & this.in_rank);
    this.kind[bank] = -1;
    this.ripe[rank * this.kinds + kind]! &= ~bit;
    this.wheel[this.slot[bank]! * this.ranks + rank]! &= ~bit;
  }

  /** The epoch follows by so many cycles. */
  moveEpoch(by: number): void {
    shift(this.at, by);
    this.now = since(this.now, by);
  }

  /** Time goes on to `cycle`. */
  advance(cycle: number): void {
    const passed = cycle - this.now;
    if (passed <= 0) return;
    const { ranks, turn, occupied } = this;
    this.now = cycle;
    this.turn = (turn + passed) & LAST;
    this.occupied = passed < SPAN ? (occupied >>> passed) & ~1 : 0;
    for (let due = passed < LAST ? occupied & ((2 << passed) - 1) : occupied; due !== 0; due &= due - 1) {
      const from = ((turn + lowest(due)) & LAST) * ranks;
      for (let rank = 0; rank < ranks; rank++) {
        let banks = this.wheel[from + rank]!;
        this.wheel[from + rank] = 0;
        for (; banks !== 0; banks &= banks - 1) {
          const bank = (rank << this.rank_shift) + lowest(banks);
          this.put(bank, this.kind[bank]!, this.at[bank]!);
        }
      }
    }
  }
}

/** Place of the lowest bit of a number that is not 0. */
export const lowest = (bits: number): number => 31 - Math.clz32(bits & -bits);
