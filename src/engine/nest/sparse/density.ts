/**
 * How many elements of a tile are not zero.
 *  - fixed_structured: share · size of every tile; between whole numbers with the probabilities that keep the mean.
 *  - hypergeometric: ⌈share · tensor⌉ of the tensor, anywhere: P(x) = C(r,x) C(N−r,n−x) / C(N,n).
 * Within a tile of which `count` of `size` are known, those take the place of the tensor's.
 */
import type { Density } from '../../../kernel/einsum.js';

export interface Within {
  readonly size: number;
  readonly count: number;
}

export class Occupancy {
  constructor(
    private readonly density: Density | undefined,
    /** Words of the tensor. */
    private readonly tensor: number,
  ) {}

  get share(): number {
    return this.density?.share ?? 1;
  }

  private total(): number {
    return Math.ceil(this.share * this.tensor);
  }

  /** Probability that a tile of `size` elements has `count` that are not zero. */
  probability(size: number, count: number, within?: Within): number {
    if (this.density?.model === 'hypergeometric')
      return hypergeometric(within?.count ?? this.total(), size, within?.size ?? this.tensor, count);
    const exact = size * (within ? within.count / within.size : this.share);
    const low = Math.floor(exact);
    const above = exact - low;
    return count === low ? 1 - above : count === Math.ceil(exact) ? above : 0;
  }

  /** Counts that are worth summing over: all that a double can tell from zero, 12 standard deviations about the mean. */
  range(size: number): [low: number, high: number] {
    if (this.density?.model !== 'hypergeometric') return [Math.floor(size * this.share), Math.ceil(size * this.share)];
    const [r, N] = [this.total(), this.tensor];
    const mean = (size * r) / N;
    const deviation = Math.sqrt((mean * (1 - r / N) * (N - size)) / Math.max(1, N - 1));
    return [
      Math.max(0, size + r - N, Math.floor(mean - 12 * deviation)),
      Math.min(size, r, Math.ceil(mean + 12 * deviation)),
    ];
  }

  most(size: number): number {
    if (this.density?.model === 'hypergeometric') return Math.min(size, this.total());
    return Math.ceil(size * this.share);
  }
}

function hypergeometric(r: number, n: number, N: number, x: number): number {
  if (x > r || x > n || x < n + r - N) return 0;
  if (n === N) return x === r ? 1 : 0;
  if (n <= DRAWN) {
    // one element after another: exact where the result is
    let p = 1;
    for (let i = 0; i < x; i++) p *= ((r - i) / (N - i)) * ((n - i) / (i + 1));
    for (let i = 0; i < n - x; i++) p *= (N - r - i) / (N - x - i);
    return p;
  }
  return Math.exp(choose(r, x) + choose(N - r, n - x) - choose(N, n));
}

/** ln C(n, k). */
const choose = (n: number, k: number): number =>
  k === 0 || k === n ? 0 : lnFactorial(n) - lnFactorial(k) - lnFactorial(n - k);

/** Tiles of at most so many elements are drawn one by one. */
const DRAWN = 64;
const SMALL = 256;
const known = new Float64Array(SMALL);
for (let i = 2; i < SMALL; i++) known[i] = known[i - 1]! + Math.log(i);

/** ln n!, beyond the table by Stirling's series (error below 1e-15 of it). */
function lnFactorial(n: number): number {
  if (n < SMALL) return known[n]!;
  const s = 1 / (n * n);
  return (
    n * Math.log(n) - n + 0.5 * Math.log(2 * Math.PI * n) + (1 / 12 - (1 / 360 - (1 / 1260 - s / 1680) * s) * s) / n
  );
}
