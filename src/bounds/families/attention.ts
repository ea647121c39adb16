/**
 * Attention, forward and backward, in both regimes (Saha and Ye, arXiv 2402.07443: Θ(min(N²d/√M, N²d²/M)), meeting at
 * M = d²; backward: Li et al., arXiv 2410.09397), with explicit constants.
 *
 * Phases of X − M bytes loaded, so that X bytes are near at their start or come in. Count the N²·d multiply–adds of P·V. A
 * score whose partial sum, or weight, is among the X bytes takes part in at most d of them, and there are X/p of those.
 * Any other is computed in the phase from a whole row of Q and a whole row of K: with rows I, J and v elements of V,
 * d·|I|·p_q + d·|J|·p_kv + v·p_kv ≤ X and v ≤ d·|J|, so |I|·v ≤ X²/(8·d·p_q·p_kv). The two share X, and the sum is convex in
 * the share, so a phase covers at most E(X) = max(X/p, X²/(8d²p_qp_kv)) of the N² scores: loads ≥ (X − M)(N²/E(X) − 1),
 * at X = 2M about 2N²d²/M. Backward, a score's gradient needs rows of Q, K, V and dO: X²/(16d²…) and 4N²d²/M.
 *
 * For M < d² both products count, 2N²d multiply–adds: with T = M elements moved a phase, partial sums and weights that cross
 * a phase's ends obey Loomis–Whitney, M^{3/2} together (also where one score serves both), and scores that live in one phase add 3·(2M)²/(8d).
 */
import { bytesOf } from '../../base/dtype.js';
import { attentionPairs, type OpOf } from '../../workload/op.js';
import type { Term } from '../term.js';

const CLASSICAL = 'any schedule of the classical algorithm; scores may be recomputed';

export interface Scores {
  /** Query–key pairs that the mask lets through, all heads. */
  readonly pairs: number;
  readonly d: number;
  readonly q_B: number;
  readonly kv_B: number;
  /** Narrowest element of all: what a score or weight takes at least. */
  readonly least_B: number;
  readonly written_B: number;
}

/** M ≥ d²: E(X) = max(X/p, X²/(halves·d²·p_q·p_kv)). */
function wideTerm(s: Scores, M: number, cores: number, halves: 8 | 16, formula: string, source: string): Term {
  const { pairs, d, q_B, kv_B, least_B, written_B } = s;
  const inPhase = (X: number) => Math.max(X / least_B, (X * X) / (halves * d * d * q_B * kv_B));
  // E is linear up to here and quadratic beyond
  const turn = (halves * d * d * q_B * kv_B) / least_B;
  const X = Math.max(2 * M, turn);
  return {
    bytes: (X - M) * (pairs / inPhase(X) - cores) + written_B,
    formula,
    range: `${CLASSICAL}, best for M ≥ d²`,
    source,
  };
}

/** M < d²: elements of the narrowest width. */
function narrowTerm(s: Scores, M: number, cores: number, source: string): Term {
  const elements = M / s.least_B;
  const perPhase = elements ** 1.5 + (1.5 * elements * elements) / s.d;
  return {
    bytes: M * ((2 * s.pairs * s.d) / perPhase - cores),
    formula: '2N²d/(√M + 3M/2d) − M',
    range: `${CLASSICAL}, best for M < d²`,
    source,
  };
}

export function scoresOf(op: OpOf<'attention'>): Scores {
  const q_B = bytesOf(op.q);
  const kv_B = bytesOf(op.kv);
  const o_B = bytesOf(op.o);
  return {
    pairs: attentionPairs(op) * op.heads,
    d: op.head_dim,
    q_B,
    kv_B,
    least_B: Math.min(q_B, kv_B, o_B),
    written_B: op.batch * op.q_len * op.heads * op.head_dim * o_B,
  };
}

export function attentionTerms(op: OpOf<'attention'>, M: number, cores = 1): Term[] {
  const s = scoresOf(op);
  const source = 'Saha and Ye, arXiv 2402.07443, Theorem 3.1; constants from the phases described in this family';
  const elements = M / s.least_B;
  const d2 = s.d * s.d;
  return [
    wideTerm(s, M, cores, 8, '2N²d²/M − M + Nd (N²(1 − M/8d²) for M < 4d²)', source),
    narrowTerm(s, M, cores, source),
    {
      bytes: ((s.pairs * d2) / (4 * elements + 2 * d2) - elements * cores) * s.least_B,
      formula: 'N²d²/(4M + 2d²) − M',
      range: elements >= d2 / 2 ? 'M ≥ d²/2' : 'not valid for M < d²/2',
      source: 'Saha and Ye, arXiv 2402.07443, M-partition lemma with Hong and Kung’s Q ≥ M(P(2M) − 1)',
    },
  ].filter((t) => !t.range.startsWith('not valid'));
}

/** Gradients of Q, K, V from Q, K, V, O, dO and the row sums; scores are recomputed or were stored. */
export function attentionBackwardTerms(op: OpOf<'attention_backward'>, M: number, cores = 1): Term[] {
  const width_B = bytesOf(op.dtype);
  const pairs = attentionPairs(op) * op.heads;
  const s: Scores = { pairs, d: op.head_dim, q_B: width_B, kv_B: width_B, least_B: width_B, written_B: 0 };
  const source = 'Li et al., arXiv 2410.09397; constants from the phases described in this family';
  return [
    wideTerm(s, M, cores, 16, '4N²d²/M − M (N²(1 − M/16d²) for M < 8d²)', source),
    narrowTerm(s, M, cores, source),
  ];
}
