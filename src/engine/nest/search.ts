/**
 * Finds a nest for one einsum on one array: every candidate where they are few, else simulated annealing from several
 * starts and a descent over all single changes at the end. Deterministic by seed.
 */
import { xoroshiro128plus } from 'pure-rand/generator/XoroShiro';
import { InfeasibleError, InputError } from '../../base/errors.js';
import type { Cascade, Einsum } from '../../kernel/einsum.js';
import type { Objective } from '../../kernel/mapper.js';
import type { EinsumNest } from '../../kernel/nest.js';
import { type NestRules, type NestSpace, nestSpace } from '../../kernel/nest-space.js';
import type { Sparsity } from '../../kernel/sparsity.js';
import type { ResourceGraph } from '../../machine/graph.js';
import { analyseNest } from './analyse.js';
import { Candidate, Evaluator } from './candidate.js';
import { enumerate, sizeOf } from './enumerate.js';
import { arrayOf, type Problem, problemOf } from './problem.js';

export interface NestSearchOptions {
  readonly objective?: Objective;
  readonly rules?: NestRules;
  readonly seed?: number;
  /** Candidates to try, where there are more. */
  readonly evaluations?: number;
  /** Use of zeros: the best of the nests without it are worked out with it, and the best of those is taken. */
  readonly sparsity?: Sparsity;
}

export interface NestSearch {
  readonly nest: EinsumNest;
  readonly cycles: number;
  readonly energy_pJ: number;
  /** Candidates that were worked out. */
  readonly tried: number;
  /** All there are were tried. */
  readonly exhaustive: boolean;
}

const STARTS = 8;
/** Nests that are worked out again with zeros made use of. */
const ELITE = 256;
const HOT = 0.5;
const COLD = 0.005;
/** What a nest that does not fit scores at least. */
const MISFIT = 1e6;

/** @throws InputError for rules that cannot be kept; InfeasibleError when no candidate fits */
export function searchNest(
  cascade: Cascade,
  einsum: Einsum,
  graph: ResourceGraph,
  unit: string,
  { objective = 'edp', rules = {}, seed = 0, evaluations = 200_000, sparsity }: NestSearchOptions = {},
): NestSearch {
  const problem = problemOf(cascade, einsum, arrayOf(graph, unit), graph);
  const names = problem.tensors.map((t) => t.name);
  const space = nestSpace(problem.ranks, problem.extents, names, problem.array, withHolds(problem, rules));
  const search = new Search(problem, space, objective, seed, sparsity ? ELITE : 0);
  const exhaustive = sizeOf(space, evaluations) <= evaluations;
  if (exhaustive) enumerate(space, search.fresh(), (c) => search.consider(c));
  else search.anneal(evaluations);
  const { best, evaluator } = search;
  if (search.score >= MISFIT)
    throw new InfeasibleError(
      `einsum ${einsum.name} on ${graph.name}: none of ${evaluator.evaluated} nests fits; the nearest takes ${(1 + search.score / MISFIT - 1).toFixed(2)} times a store's capacity`,
    );
  if (sparsity) {
    const found = withZeros(search, sparsity, cascade, graph, objective);
    if (found) return { ...found, tried: evaluator.evaluated, exhaustive };
  }
  evaluator.run(best);
  return {
    nest: evaluator.nest(best),
    cycles: evaluator.cost.cycles,
    energy_pJ: evaluator.cost.energy_pJ,
    tried: evaluator.evaluated,
    exhaustive,
  };
}

/** The best of the elite when zeros are made use of; undefined when none fits. */
function withZeros(
  { elite, evaluator }: Search,
  sparsity: Sparsity,
  cascade: Cascade,
  graph: ResourceGraph,
  objective: Objective,
): Pick<NestSearch, 'nest' | 'cycles' | 'energy_pJ'> | undefined {
  let best: Pick<NestSearch, 'nest' | 'cycles' | 'energy_pJ'> | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const { candidate } of elite) {
    const nest = { ...evaluator.nest(candidate), sparsity };
    try {
      const { cycles, energy_pJ } = analyseNest(nest, cascade, graph);
      const score = rating(objective, cycles, energy_pJ);
      if (score < least) {
        least = score;
        best = { nest, cycles, energy_pJ };
      }
    } catch (e) {
      // a format may not suit the loops
      if (!(e instanceof InfeasibleError || e instanceof InputError)) throw e;
    }
  }
  return best;
}

/** Lower is better: the logarithm of the objective, a little of the other figure to part equals. */
function rating(objective: Objective, cycles: number, energy_pJ: number): number {
  const t = Math.log(cycles);
  const e = Math.log(energy_pJ || 1);
  return objective === 'time' ? t + 1e-4 * e : objective === 'energy' ? e + 1e-4 * t : t + e;
}

/** Levels whose stores hold only some kinds of operand let the others pass. */
function withHolds(problem: Problem, rules: NestRules): NestRules {
  const out: Record<string, NestRules[string]> = { ...rules };
  for (const level of problem.array.levels) {
    const barred = problem.tensors
      .filter((t) => level.stores.every((s) => problem.stores.get(s)!.holds?.includes(t.of.role) === false))
      .map((t) => t.name);
    if (barred.length > 0) out[level.id] = { ...out[level.id], bypass: [...(out[level.id]?.bypass ?? []), ...barred] };
  }
  return out;
}

class Search {
  readonly evaluator: Evaluator;
  readonly best: Candidate;
  score = Number.POSITIVE_INFINITY;
  private readonly rng;
  private readonly current: Candidate;
  private readonly next: Candidate;
  /** Ranks that can move between slots, levels whose order is free, places of free keeps. */
  private readonly movable: number[];
  private readonly orders: number[];
  private readonly keeps: number[] = [];
  /** The best so far, best first. */
  readonly elite: { readonly score: number; readonly candidate: Candidate }[] = [];

  constructor(
    private readonly problem: Problem,
    private readonly space: NestSpace,
    private readonly objective: Objective,
    seed: number,
    private readonly most: number,
  ) {
    this.evaluator = new Evaluator(problem, space);
    this.rng = xoroshiro128plus(seed);
    this.best = this.fresh();
    this.current = this.fresh();
    this.next = this.fresh();
    const R = problem.ranks.length;
    this.movable = problem.ranks
      .map((_, r) => r)
      .filter((r) => space.primes[r]!.length > 0 && space.free[r]!.length > 1);
    this.orders = problem.array.levels.map((_, l) => l).filter((l) => R - space.pinned[l]! > 1);
    for (const [l, level] of space.keep.entries())
      for (const [k, kept] of level.entries()) if (kept < 0) this.keeps.push(l * problem.tensors.length + k);
  }

  /** All fixed factors, orders as given, whatever may be kept bypassed but at the farthest level. */
  fresh(): Candidate {
    const { space, problem } = this;
    const R = problem.ranks.length;
    const K = problem.tensors.length;
    const c = new Candidate(space.slots.length, R, problem.array.levels.length, K);
    for (let r = 0; r < R; r++)
      for (let x = 0; x < space.slots.length; x++) c.factor[x * R + r] = space.fixed[r]![x]! || 1;
    for (const [l, order] of space.order.entries()) c.order.set(order, l * R);
    for (const [l, level] of space.keep.entries())
      for (let k = 0; k < K; k++) c.keep[l * K + k] = level[k] === 0 ? 0 : 1;
    return c;
  }

  private rate(c: Candidate): number {
    const { evaluator, objective } = this;
    if (!evaluator.run(c)) return MISFIT * (1 + Math.min(1e6, evaluator.excess));
    const score = rating(objective, evaluator.cost.cycles, evaluator.cost.energy_pJ);
    if (this.most > 0) this.remember(c, score);
    return score;
  }

  /** Keeps the best that differ, while there is room. */
  private remember(c: Candidate, score: number): void {
    const { elite, most } = this;
    if (elite.length === most && score >= elite.at(-1)!.score) return;
    if (elite.some((x) => x.score === score && x.candidate.equals(c))) return;
    const at = elite.findIndex((x) => score < x.score);
    const candidate = this.fresh();
    candidate.copy(c);
    elite.splice(at < 0 ? elite.length : at, 0, { score, candidate });
    if (elite.length > most) elite.pop();
  }

  consider(c: Candidate): void {
    const score = this.rate(c);
    if (score < this.score) {
      this.score = score;
      this.best.copy(c);
    }
  }

  anneal(evaluations: number): void {
    const { current, next, evaluator } = this;
    const each = Math.max(200, Math.floor((evaluations * 0.9) / STARTS));
    for (let start = 0; start < STARTS && evaluator.evaluated < evaluations; start++) {
      // half of the starts go on from the best so far
      if (start % 2 === 1 && this.score < MISFIT) current.copy(this.best);
      else this.random(current);
      let score = this.rate(current);
      const hot = start % 2 === 1 ? HOT / 4 : HOT;
      const from = evaluator.evaluated;
      // changes that come to nothing are not counted, but end
      for (let i = 0; i < 8 * each && evaluator.evaluated - from < each; i++) {
        next.copy(current);
        if (!this.change(next)) continue;
        const rated = this.rate(next);
        const misfit = rated >= MISFIT;
        const T = hot * (COLD / HOT) ** ((evaluator.evaluated - from) / each);
        const worse = misfit ? (rated - score) / MISFIT : rated - score;
        if (worse <= 0 || (misfit === score >= MISFIT && this.uniform() < Math.exp(-worse / T))) {
          current.copy(next);
          score = rated;
          if (score < this.score) {
            this.score = score;
            this.best.copy(current);
          }
        }
      }
    }
    this.descend();
  }

  private uniform(): number {
    return (this.rng.unsafeNext() >>> 0) / 2 ** 32;
  }

  private below(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  private random(c: Candidate): void {
    c.copy(this.fresh());
    const { space } = this;
    const R = c.ranks;
    for (let r = 0; r < R; r++)
      for (const p of space.primes[r]!) {
        const open = space.free[r]!.filter((s) => this.room(c, s, r, p));
        const s = open.length > 0 ? open[this.below(open.length)]! : space.free[r]![0]!;
        c.factor[s * R + r]! *= p;
      }
    for (const l of this.orders)
      for (let i = R - 1; i > space.pinned[l]!; i--)
        this.swap(c, l, i, space.pinned[l]! + this.below(i + 1 - space.pinned[l]!));
    for (const at of this.keeps) c.keep[at] = this.below(2);
  }

  private swap(c: Candidate, l: number, i: number, j: number): void {
    const at = l * c.ranks;
    const r = c.order[at + i]!;
    c.order[at + i] = c.order[at + j]!;
    c.order[at + j] = r;
  }

  /** Whether a slot may take another factor p of rank r. */
  private room(c: Candidate, s: number, r: number, p: number): boolean {
    const { space } = this;
    if (c.factor[s * c.ranks + r]! * p > space.most[r]![s]!) return false;
    const { places } = space.slots[s]!;
    if (places === Number.POSITIVE_INFINITY) return true;
    let used = p;
    for (let x = 0; x < c.ranks; x++) used *= c.factor[s * c.ranks + x]!;
    return used <= places;
  }

  /** One random change; false when it came to nothing. */
  private change(c: Candidate): boolean {
    const kind = this.uniform();
    if (kind < 0.6 && this.movable.length > 0) {
      if (!this.shift(c)) return false;
      if (this.uniform() < 0.35) this.shift(c);
      return true;
    }
    if (kind < 0.9 && this.orders.length > 0) {
      const l = this.orders[this.below(this.orders.length)]!;
      const from = this.space.pinned[l]!;
      const n = c.ranks - from;
      const i = from + this.below(n);
      const j = from + this.below(n);
      if (i === j) return false;
      this.swap(c, l, i, j);
      return true;
    }
    if (this.keeps.length === 0) return this.movable.length > 0 && this.shift(c);
    c.keep[this.keeps[this.below(this.keeps.length)]!]! ^= 1;
    return true;
  }

  /** A prime factor of a rank goes to another slot, one of another rank comes back where places are short. */
  private shift(c: Candidate): boolean {
    const { space } = this;
    const R = c.ranks;
    const r = this.movable[this.below(this.movable.length)]!;
    const free = space.free[r]!;
    const primes = space.primes[r]!;
    const p = primes[this.below(primes.length)]!;
    const from = free[this.below(free.length)]!;
    const to = free[this.below(free.length)]!;
    if (from === to || c.factor[from * R + r]! % p !== 0) return false;
    c.factor[from * R + r]! /= p;
    if (this.room(c, to, r, p)) {
      c.factor[to * R + r]! *= p;
      return true;
    }
    // make room: a factor of some rank leaves the slot for where p came from
    for (let tries = 0; tries < 4; tries++) {
      const q = this.movable[this.below(this.movable.length)]!;
      const size = c.factor[to * R + q]!;
      if (size === 1 || !space.free[q]!.includes(from) || space.fixed[q]![to] !== 0) continue;
      const other = space.primes[q]!.filter((x) => size % x === 0);
      if (other.length === 0) continue;
      const x = other[this.below(other.length)]!;
      c.factor[to * R + q]! /= x;
      if (this.room(c, from, q, x) && this.room(c, to, r, p)) {
        c.factor[from * R + q]! *= x;
        c.factor[to * R + r]! *= p;
        return true;
      }
      c.factor[to * R + q]! *= x;
    }
    c.factor[from * R + r]! *= p;
    return false;
  }

  /** From the best, the best of all single changes, until none is better. */
  private descend(): void {
    const { next, best, space } = this;
    const R = best.ranks;
    for (let better = true; better; ) {
      const before = this.score;
      const origin = this.fresh();
      origin.copy(best);
      const tryIt = () => this.consider(next);
      for (const r of this.movable)
        for (const p of new Set(space.primes[r]!))
          for (const from of space.free[r]!)
            for (const to of space.free[r]!) {
              if (from === to || origin.factor[from * R + r]! % p !== 0) continue;
              next.copy(origin);
              next.factor[from * R + r]! /= p;
              if (!this.room(next, to, r, p)) continue;
              next.factor[to * R + r]! *= p;
              tryIt();
            }
      for (const l of this.orders)
        for (let i = space.pinned[l]!; i < R; i++)
          for (let j = i + 1; j < R; j++) {
            next.copy(origin);
            this.swap(next, l, i, j);
            tryIt();
          }
      for (const at of this.keeps) {
        next.copy(origin);
        next.keep[at]! ^= 1;
        tryIt();
      }
      better = this.score < before;
    }
  }
}
