/** When refreshes fall due, and what the oldest that is not done yet stands for. */
import { NEVER, since } from './cycles.js';
import type { DramSpec } from './spec.js';

export class RefreshTimer {
  /** Cycle at which the next falls due. */
  next: number;
  /** Due and not done. */
  pending = 0;
  /** The oldest holds up the requests of its banks. */
  begun = false;
  readonly per_bank: boolean;
  /** Of the oldest: its rank and its banks, from `first` to before `end`. */
  rank = 0;
  private rank_first = 0;
  first = 0;
  end: number;
  private readonly interval: number;
  private readonly ranks_at_once: number;
  private readonly ranks: number;
  private readonly groups: number;
  private readonly banks_per_group: number;

  constructor({ organisation, timing, controller }: DramSpec) {
    const { ranks, bankgroups, banks_per_group } = organisation;
    const policy = controller.refresh;
    this.ranks = ranks;
    this.groups = bankgroups;
    this.banks_per_group = banks_per_group;
    this.per_bank = policy === 'per_bank';
    this.ranks_at_once = policy === 'together' ? ranks : 1;
    this.interval =
      policy === 'none'
        ? NEVER
        : policy === 'per_bank'
          ? timing.tREFIpb
          : policy === 'together'
            ? timing.tREFI
            : Math.floor(timing.tREFI / ranks);
    this.next = this.interval;
    this.end = this.per_bank ? 1 : bankgroups * banks_per_group;
  }

  /** Counts those due up to `cycle`. */
  advance(cycle: number): void {
    while (this.next <= cycle) {
      this.pending += this.ranks_at_once;
      this.next += this.interval;
    }
  }

  /** The epoch follows by so many cycles. */
  moveEpoch(by: number): void {
    this.next = since(this.next, by);
  }

  /** The banks whose requests wait for the refresh, a bit each, of the rank whose first bank is `rank_first`. */
  blockedBanks(rank_first: number): number {
    if (rank_first !== this.rank_first) return 0;
    return this.per_bank ? 1 << (this.first - rank_first) : -1;
  }

  /** The oldest is issued; the next in turn follows. Banks go group after group, then bank after bank, then rank. */
  done(): void {
    this.pending--;
    this.begun = false;
    const per_rank = this.groups * this.banks_per_group;
    if (!this.per_bank) {
      this.rank = (this.rank + 1) % this.ranks;
      this.first = this.rank * per_rank;
      this.rank_first = this.first;
      this.end = this.first + per_rank;
      return;
    }
    const inRank = this.first - this.rank * per_rank;
    let group = Math.floor(inRank / this.banks_per_group) + 1;
    let bank = inRank % this.banks_per_group;
    if (group === this.groups) {
      group = 0;
      if (++bank === this.banks_per_group) {
        bank = 0;
        this.rank = (this.rank + 1) % this.ranks;
      }
    }
    this.rank_first = this.rank * per_rank;
    this.first = this.rank_first + group * this.banks_per_group + bank;
    this.end = this.first + 1;
  }
}
