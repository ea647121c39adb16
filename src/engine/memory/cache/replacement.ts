/** Which way of a set is given up when a new line comes. */
export const REPLACEMENT_POLICIES = ['lru', 'tree_plru', 'random'] as const;
export type ReplacementPolicy = (typeof REPLACEMENT_POLICIES)[number];

export interface Replacement {
  /** A way was used; `streaming`: it will not be needed again soon, so it is to go first. */
  touch(set: number, way: number, streaming: boolean): void;
  /** The way to give up, all ways holding lines. */
  victim(set: number): number;
  /** One of the same policy and shape takes over the state. */
  copyTo(other: Replacement): void;
}

/** Least recently used: the ways of each set in the order of their last use, oldest first; streaming lines stand first. */
class Lru implements Replacement {
  private readonly order: Uint8Array | Uint16Array;
  constructor(
    sets: number,
    private readonly ways: number,
  ) {
    this.order = ways <= 256 ? new Uint8Array(sets * ways) : new Uint16Array(sets * ways);
    for (let i = 0; i < this.order.length; i++) this.order[i] = i % ways;
  }
  touch(set: number, way: number, streaming: boolean): void {
    const { order } = this;
    const first = set * this.ways;
    const last = first + this.ways - 1;
    let at = last;
    while (order[at] !== way) at--;
    if (streaming) {
      for (; at > first; at--) order[at] = order[at - 1]!;
      order[first] = way;
    } else {
      for (; at < last; at++) order[at] = order[at + 1]!;
      order[last] = way;
    }
  }
  victim(set: number): number {
    return this.order[set * this.ways]!;
  }
  copyTo(other: Replacement): void {
    (other as Lru).order.set(this.order);
  }
}

/**
 * Tree pseudo-LRU: a bit per inner node of a binary tree over the ways says which half was used longer ago
 * (Handy, "The Cache Memory Book"). Node 1 is the root, node n's children are 2n and 2n + 1; bit n of a set's word.
 */
class TreePlru implements Replacement {
  private readonly bits: Uint32Array;
  private readonly levels: number;
  constructor(sets: number, ways: number) {
    this.bits = new Uint32Array(sets);
    this.levels = Math.log2(ways);
  }
  touch(set: number, way: number, streaming: boolean): void {
    let bits = this.bits[set]!;
    let node = 1;
    for (let level = this.levels - 1; level >= 0; level--) {
      const right = (way >> level) & 1;
      // away from the way that was used, towards one that streams by
      if ((right === 0) !== streaming) bits |= 1 << node;
      else bits &= ~(1 << node);
      node = node * 2 + right;
    }
    this.bits[set] = bits;
  }
  victim(set: number): number {
    const bits = this.bits[set]!;
    let node = 1;
    for (let level = 0; level < this.levels; level++) node = node * 2 + ((bits >>> node) & 1);
    return node - (1 << this.levels);
  }
  copyTo(other: Replacement): void {
    (other as TreePlru).bits.set(this.bits);
  }
}

/** Any way, by a seeded generator (xorshift32: Marsaglia, "Xorshift RNGs", 2003); a streaming line before all others. */
class RandomWay implements Replacement {
  private state: number;
  private readonly streaming: Int8Array;
  constructor(
    sets: number,
    private readonly ways: number,
    seed: number,
  ) {
    this.state = (Math.imul(seed + 1, 0x9e3779b1) ^ 0x6a09e667) >>> 0 || 1;
    this.streaming = new Int8Array(sets).fill(-1);
  }
  touch(set: number, way: number, streaming: boolean): void {
    if (streaming) this.streaming[set] = way;
    else if (this.streaming[set] === way) this.streaming[set] = -1;
  }
  victim(set: number): number {
    const marked = this.streaming[set]!;
    if (marked >= 0) return marked;
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x >>> 0;
    return this.state % this.ways;
  }
  copyTo(other: Replacement): void {
    (other as RandomWay).state = this.state;
    (other as RandomWay).streaming.set(this.streaming);
  }
}

/** Makers of each policy's state. Tree PLRU needs a power of two of ways, at most 32. */
export const REPLACEMENTS = {
  lru: (sets, ways) => new Lru(sets, ways),
  tree_plru: (sets, ways) => new TreePlru(sets, ways),
  random: (sets, ways, seed) => new RandomWay(sets, ways, seed),
} as const satisfies Record<ReplacementPolicy, (sets: number, ways: number, seed: number) => Replacement>;
