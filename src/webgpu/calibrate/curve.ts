/**
 * Levels of a memory from the time of dependent loads over the working set: the logarithm of the time is cut into
 * constant pieces by dynamic programming (optimal partitioning: Jackson et al., IEEE Signal Processing Letters 12, 2005),
 * with a penalty for each piece that makes noise alone no reason for one. Short pieces between two
 * others are the way from one level to the next.
 */
export interface CurvePoint {
  readonly bytes: number;
  readonly time_s: number;
}

export interface Level {
  /** Median over the level's points. */
  readonly time_s: number;
  /** Working sets that belong to it. */
  readonly from_B: number;
  readonly to_B: number;
  /** Where the curve leaves it: between its last working set and the next level's first; undefined for the last. */
  readonly capacity_B?: number;
  /** Working sets between which the capacity lies. */
  readonly between_B?: readonly [number, number];
}

/** Times of neighbouring levels differ at least by this factor. */
const LEAST_STEP = 1.5;
/** Noise of a point is at least this, relative. */
const LEAST_NOISE = 0.08;
/** With more, a cache of a few points would be lost in it. */
const MOST_NOISE = 0.2;
/** A piece must explain this many times what a noisy point does. */
const PENALTY = 6;

/** @throws RangeError with fewer than 3 points */
export function levelsOf(curve: readonly CurvePoint[]): Level[] {
  const points = [...curve].sort((a, b) => a.bytes - b.bytes);
  if (points.length < 3) throw new RangeError('a curve needs at least 3 points');
  const y = points.map((p) => Math.log(p.time_s));
  const pieces = joined(steady(partition(y, noiseOf(y)), points), y);
  return pieces.map(({ from, to }, i): Level => {
    const level = { time_s: Math.exp(middle(y, from, to)), from_B: points[from]!.bytes, to_B: points[to - 1]!.bytes };
    const next = pieces[i + 1];
    if (!next) return level;
    const half = (middle(y, from, to) + middle(y, next.from, next.to)) / 2;
    // the last crossing of the height half way up, from the level's start to the next one's end
    let j = next.to - 1;
    while (j > from && y[j - 1]! > half) j--;
    const [a, b] = [points[j - 1] ?? points[j]!, points[j]!];
    const [ya, yb] = [y[j - 1] ?? half, y[j]!];
    const share = yb > ya ? Math.min(1, Math.max(0, (half - ya) / (yb - ya))) : 0.5;
    return { ...level, capacity_B: a.bytes * (b.bytes / a.bytes) ** share, between_B: [a.bytes, b.bytes] };
  });
}

interface Piece {
  readonly from: number;
  readonly to: number;
}

/** Noise from differences of second order, which neither levels nor even slopes show in. */
function noiseOf(y: readonly number[]): number {
  const d = y.slice(2).map((v, i) => Math.abs(v - 2 * y[i + 1]! + y[i]!));
  d.sort((a, b) => a - b);
  // median of |N(0, 6σ²)| is 0.6745·√6·σ
  return Math.min(MOST_NOISE, Math.max(LEAST_NOISE, d[Math.floor(d.length / 2)]! / (0.6745 * Math.sqrt(6))));
}

/** Cuts that minimise squared residuals ÷ 2σ² + penalty · pieces. */
function partition(y: readonly number[], sigma: number): Piece[] {
  const n = y.length;
  const sum = [0];
  const square = [0];
  for (const v of y) {
    sum.push(sum.at(-1)! + v);
    square.push(square.at(-1)! + v * v);
  }
  const residual = (a: number, b: number) => square[b]! - square[a]! - (sum[b]! - sum[a]!) ** 2 / (b - a);
  const best = [0];
  const cut = [0];
  for (let to = 1; to <= n; to++) {
    let least = Number.POSITIVE_INFINITY;
    let at = 0;
    for (let from = 0; from < to; from++) {
      const cost = best[from]! + residual(from, to) / (2 * sigma * sigma) + PENALTY;
      if (cost < least) {
        least = cost;
        at = from;
      }
    }
    best.push(least);
    cut.push(at);
  }
  const pieces: Piece[] = [];
  for (let to = n; to > 0; to = cut[to]!) pieces.unshift({ from: cut[to]!, to });
  return pieces;
}

/** A level spans at least this factor of working sets; what is shorter is on the way from one to the next. */
const LEAST_SPAN = 4;

/** Without the short pieces that are not at an end. */
function steady(pieces: readonly Piece[], points: readonly CurvePoint[]): Piece[] {
  return pieces.filter(({ from, to }, i) => {
    if (i === 0 || i === pieces.length - 1) return true;
    return points[to - 1]!.bytes / points[from]!.bytes >= LEAST_SPAN;
  });
}

/** Neighbours of nearly the same height, or out of order, as one. */
function joined(pieces: readonly Piece[], y: readonly number[]): Piece[] {
  const out: Piece[] = [];
  for (const p of pieces) {
    const last = out.at(-1);
    if (last && middle(y, p.from, p.to) - middle(y, last.from, last.to) < Math.log(LEAST_STEP))
      out[out.length - 1] = { from: last.from, to: p.to };
    else out.push(p);
  }
  return out;
}

function middle(y: readonly number[], from: number, to: number): number {
  const part = y.slice(from, to).sort((a, b) => a - b);
  const h = part.length >> 1;
  return part.length % 2 ? part[h]! : (part[h - 1]! + part[h]!) / 2;
}
