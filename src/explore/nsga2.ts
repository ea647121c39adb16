/**
 * NSGA-II: a population of points is bred towards the Pareto front and spread along it (K. Deb, A. Pratap, S. Agarwal and
 * T. Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE Trans. Evol. Comp. 6(2), 2002).
 *
 *   random points ──evaluate──► population ──tournament, crossover, mutation──► as many new points ──evaluate──┐
 *                                   ▲                                                                          │
 *                                   └── the best of both: front by front, the last one where it is least dense ◄┘
 *
 * A gene is an axis, its alleles the values of the axis. No point is evaluated twice. Points that constraints exclude or
 * that fail are worse than all others. One seed, one order: the same for any number of workers and after a resume.
 */
import { uniformIntDistribution } from 'pure-rand/distribution/UniformIntDistribution';
import { xoroshiro128plus } from 'pure-rand/generator/XoroShiro';
import type { Row } from './evaluate.js';
import { paretoFront } from './pareto.js';
import { sample } from './sample.js';
import type { Search } from './search.js';
import { alleleOf, idOf, type Space } from './space.js';

interface Member {
  readonly id: number;
  /** By axis: which of its values. */
  readonly genes: readonly number[];
  /** Values of the objectives; undefined where there is no result. */
  readonly costs: readonly number[] | undefined;
}
/** Fronts from the best, and how far from its neighbours of the front a member is. */
interface Ranked extends Member {
  readonly front: number;
  readonly distance: number;
}

const LEAST = 8;
const MOST = 64;
/** Mutations of a child that has been seen before a point is drawn blindly. */
const TRIES = 20;

export const nsga2: Search = function* (space, { seed, points }) {
  const budget = Math.min(points ?? space.size, space.size);
  const size = Math.min(budget, Math.max(LEAST, Math.min(MOST, 2 * Math.round(Math.sqrt(budget)))));
  const random = randomFrom(seed);
  const seen = new Set<number>();
  let ids = sample(space.size, size, seed);
  let population: Ranked[] = [];
  while (ids.length > 0) {
    for (const id of ids) seen.add(id);
    const asked = ids;
    const rows = yield { length: asked.length, at: (i) => asked[i]! };
    population = rank(
      [...population, ...asked.map((id, i) => memberOf(space, id, rows[i]!))],
      space.objectives.map(({ goal }) => goal),
    ).slice(0, size);
    ids = [];
    while (ids.length < size && seen.size + ids.length < budget) {
      const id = child(space, population, random, (one) => seen.has(one) || ids.includes(one));
      ids.push(id);
    }
  }
};

function memberOf(space: Space, id: number, row: Row): Member {
  const { objectives } = row;
  const costs = row.status === 'ok' && objectives ? space.objectives.map(({ name }) => objectives[name]!) : undefined;
  return { id, genes: space.axes.map((_, axis) => alleleOf(space, id, axis)), costs };
}

/** Best first. */
function rank(members: readonly Member[], goals: Parameters<typeof paretoFront>[1]): Ranked[] {
  const out: Ranked[] = [];
  let rest = members.filter((m) => m.costs);
  for (let front = 0; rest.length > 0; front++) {
    const best = new Set(
      paretoFront(
        rest.map((m) => m.costs!),
        goals,
      ),
    );
    const members = rest.filter((_, i) => best.has(i));
    const distances = crowding(members.map((m) => m.costs!));
    out.push(
      ...members
        .map((m, i) => ({ ...m, front, distance: distances[i]! }))
        .sort((a, b) => b.distance - a.distance || a.id - b.id),
    );
    rest = rest.filter((_, i) => !best.has(i));
  }
  const without = members.filter((m) => !m.costs);
  return [...out, ...without.map((m) => ({ ...m, front: Number.POSITIVE_INFINITY, distance: 0 }))];
}

/** Sum over the objectives of the gap between a point's two neighbours, in the front's extent; the ends are kept. */
function crowding(costs: readonly (readonly number[])[]): number[] {
  const out = costs.map(() => 0);
  for (let j = 0; j < (costs[0]?.length ?? 0); j++) {
    const order = costs.map((_, i) => i).sort((a, b) => costs[a]![j]! - costs[b]![j]! || a - b);
    const at = (k: number): number => costs[order[k]!]![j]!;
    const extent = at(order.length - 1) - at(0);
    order.forEach((i, k) => {
      if (k === 0 || k === order.length - 1) out[i] = Number.POSITIVE_INFINITY;
      else if (extent > 0) out[i]! += (at(k + 1) - at(k - 1)) / extent;
    });
  }
  return out;
}

type Random = (below: number) => number;

function randomFrom(seed: number): Random {
  // another stream than the first population is drawn from
  let rng = xoroshiro128plus(seed ^ 0x5bd1e995);
  return (below) => {
    const [n, next] = uniformIntDistribution(0, below - 1, rng);
    rng = next;
    return n;
  };
}

/** A point that has not been seen: of two parents, changed in about one gene, and again until it is new. */
function child(space: Space, population: readonly Ranked[], random: Random, isSeen: (id: number) => boolean): number {
  const parent = (): Ranked => {
    const [a, b] = [population[random(population.length)]!, population[random(population.length)]!];
    return a.front < b.front || (a.front === b.front && a.distance >= b.distance) ? a : b;
  };
  const [mother, father] = [parent(), parent()];
  const genes = mother.genes.map((gene, axis) => (random(2) === 0 ? gene : father.genes[axis]!));
  for (let i = 0; i < TRIES; i++) {
    space.axes.forEach((axis, a) => {
      if (random(space.axes.length) === 0) genes[a] = mutated(genes[a]!, axis.values, random);
    });
    const id = idOf(space, genes);
    if (!isSeen(id)) return id;
  }
  let id = random(space.size);
  while (isSeen(id)) id = (id + 1) % space.size;
  return id;
}

/** Of values in an order a neighbour as often as any other; of names any other. */
function mutated(gene: number, values: Space['axes'][number]['values'], random: Random): number {
  if (values.length === 1) return gene;
  const ordered = values.every((v) => typeof v === 'number' || (typeof v === 'string' && /^[+-]?[\d.]/.test(v)));
  if (ordered && random(2) === 0) {
    const next = gene + (random(2) === 0 ? 1 : -1);
    return next < 0 ? 1 : next >= values.length ? gene - 1 : next;
  }
  return (gene + 1 + random(values.length - 1)) % values.length;
}
