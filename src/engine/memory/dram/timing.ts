/**
 * What the device allows: for each rank, bank group and bank, the first cycle at which each command may come.
 * A command is legal when rank, bank group and bank all allow it.
 */
import { CMD, COMMANDS } from './commands.js';
import type { CompiledConstraints } from './constraints.js';
import { PAST, shift } from './cycles.js';
import type { Organisation } from './spec.js';

const N = COMMANDS.length;

export class DeviceTiming {
  /** By node and command: ranks, then bank groups, then banks. */
  private readonly next: Int32Array;
  private readonly groups_at: number;
  private readonly banks_at: number;
  private readonly ranks: number;
  /** Cycles of the last activations of each rank, a ring per window. */
  private readonly rings: Int32Array[];
  private readonly ring_at: Int32Array[];

  constructor(
    private readonly constraints: CompiledConstraints,
    organisation: Organisation,
  ) {
    const { ranks, bankgroups, banks_per_group } = organisation;
    this.ranks = ranks;
    this.groups_at = ranks * N;
    this.banks_at = this.groups_at + ranks * bankgroups * N;
    this.next = new Int32Array(this.banks_at + ranks * bankgroups * banks_per_group * N);
    this.rings = constraints.windows.map((w) => new Int32Array(ranks * w.size).fill(PAST));
    this.ring_at = constraints.windows.map(() => new Int32Array(ranks));
  }

  /** First cycle at which `command` to this bank is legal. Bank groups and banks are numbered over the whole channel. */
  earliest(command: number, rank: number, group: number, bank: number): number {
    const { next } = this;
    const r = next[rank * N + command]!;
    const g = next[this.groups_at + group * N + command]!;
    const b = next[this.banks_at + bank * N + command]!;
    const rg = r > g ? r : g;
    return rg > b ? rg : b;
  }

  /** First cycle at which the rank alone would allow `command`. */
  rankNext(command: number, rank: number): number {
    return this.next[rank * N + command]!;
  }

  /** First cycle at which a refresh of the whole rank is legal, its banks being closed. */
  earliestRefresh(rank: number): number {
    return this.next[rank * N + CMD.REF]!;
  }

  /** Records a command at `cycle`. A refresh of a rank is given with any of its banks. */
  issue(command: number, rank: number, group: number, bank: number, cycle: number): void {
    const { constraints, next } = this;
    raise(next, rank * N, constraints.rank[command]!, cycle);
    raise(next, this.groups_at + group * N, constraints.bankgroup[command]!, cycle);
    raise(next, this.banks_at + bank * N, constraints.bank[command]!, cycle);
    if (this.ranks > 1) {
      const siblings = constraints.sibling[command]!;
      if (siblings.length > 0) for (let r = 0; r < this.ranks; r++) if (r !== rank) raise(next, r * N, siblings, cycle);
    }
    if (command === CMD.ACT) this.activated(rank, cycle);
  }

  /** The epoch follows by so many cycles. */
  moveEpoch(by: number): void {
    shift(this.next, by);
    for (const ring of this.rings) shift(ring, by);
  }

  private activated(rank: number, cycle: number): void {
    const { windows } = this.constraints;
    for (let w = 0; w < windows.length; w++) {
      const { size, cycles } = windows[w]!;
      const ring = this.rings[w]!;
      const at = this.ring_at[w]![rank]!;
      ring[rank * size + at] = cycle;
      const next = at + 1 === size ? 0 : at + 1;
      this.ring_at[w]![rank] = next;
      const oldest = ring[rank * size + next]! + cycles;
      const slot = rank * N + CMD.ACT;
      if (oldest > this.next[slot]!) this.next[slot] = oldest;
    }
  }
}

function raise(next: Int32Array, base: number, pairs: Int32Array, cycle: number): void {
  for (let i = 0; i < pairs.length; i += 2) {
    const slot = base + pairs[i]!;
    const legal = cycle + pairs[i + 1]!;
    if (legal > next[slot]!) next[slot] = legal;
  }
}
