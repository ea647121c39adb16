/** What a replay keeps of its requests: a distribution of latencies, and bytes over time, both of bounded size. */

/** Values below this are counted one by one; above, in steps of a thousandth. */
const EXACT = 2048;
const STEPS = 1024;

/** Distribution of non-negative values: exact mean and largest, percentiles within 0.1 %. */
export class Distribution {
  count = 0;
  sum = 0;
  max = 0;
  private readonly bins = new Float64Array(EXACT + 32 * STEPS);

  add(value: number): void {
    this.count++;
    this.sum += value;
    if (value > this.max) this.max = value;
    const v = value < 2147483647 ? (value + 0.5) | 0 : 2147483647;
    if (v < EXACT) this.bins[v]!++;
    else {
      const e = 31 - Math.clz32(v);
      this.bins[EXACT + (e - 11) * STEPS + (v >>> (e - 10)) - STEPS]!++;
    }
  }

  get mean(): number {
    return this.count === 0 ? 0 : this.sum / this.count;
  }

  /** The least value that `share` of the values do not exceed. */
  percentile(share: number): number {
    const wanted = Math.max(1, Math.ceil(share * this.count));
    let seen = 0;
    for (let i = 0; i < this.bins.length; i++) {
      seen += this.bins[i]!;
      if (seen < wanted) continue;
      if (i < EXACT) return i;
      const e = Math.floor((i - EXACT) / STEPS) + 11;
      return Math.min(this.max, (((i - EXACT) % STEPS) + STEPS) * 2 ** (e - 10));
    }
    return this.max;
  }
}

/** Amounts over time in at most `BINS` equal bins, whose width doubles as time goes on. */
const BINS = 256;

export class Series {
  width: number;
  private readonly sums = new Float64Array(BINS);
  private last = 0;

  constructor(width: number) {
    this.width = width;
  }

  add(time: number, amount: number): void {
    let bin = Math.floor(time / this.width);
    while (bin >= BINS) {
      for (let i = 0; i < BINS / 2; i++) this.sums[i] = this.sums[2 * i]! + this.sums[2 * i + 1]!;
      this.sums.fill(0, BINS / 2);
      this.width *= 2;
      this.last >>= 1;
      bin = Math.floor(time / this.width);
    }
    this.sums[bin]! += amount;
    if (bin > this.last) this.last = bin;
  }

  /** Sums of the bins up to the last that has any. */
  values(): number[] {
    return [...this.sums.subarray(0, this.last + 1)];
  }
}
