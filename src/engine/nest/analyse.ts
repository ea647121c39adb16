/**
 * One einsum on one array: counts by store and tensor, cycles, energy.
 *
 *   nest ─loopsOf─► loops ─NestCore─► words ─NestCost─► cycles, energy ─► named results
 */
import { InfeasibleError } from '../../base/errors.js';
import type { Cascade } from '../../kernel/einsum.js';
import type { EinsumNest, NestLevel } from '../../kernel/nest.js';
import { checkEinsumNest } from '../../kernel/nest-check.js';
import type { ResourceGraph } from '../../machine/graph.js';
import { NestCore } from './core.js';
import { NestCost } from './cost.js';
import { type Loops, loopsOf } from './loops.js';
import { arrayOf, type Problem, problemOf } from './problem.js';
import type { NestAnalysis, NetworkCounts, StoreCounts } from './types.js';

/**
 * @param shared loops outside the nest's own, with what they keep
 * @throws InputError when the nest does not belong to the einsum or the machine
 * @throws InfeasibleError when a tile does not fit its store
 */
export function analyseNest(
  nest: EinsumNest,
  cascade: Cascade,
  graph: ResourceGraph,
  shared: readonly NestLevel[] = [],
): NestAnalysis {
  const einsum = checkEinsumNest(nest, cascade, graph, shared);
  const problem = problemOf(cascade, einsum, arrayOf(graph, nest.unit), graph);
  const loops = loopsOf(problem, nest, shared);
  const core = new NestCore(problem, loops.n);
  const cost = new NestCost(problem, core);
  keepIn(cost, [...shared, ...nest.levels]);
  core.run(loops);
  const over = cost.overflow(loops);
  if (over >= 0) throw new InfeasibleError(overflowText(cost, loops, over, nest.einsum));
  cost.run(loops);
  return named(problem, loops, core, cost);
}

/** Writes down which store keeps each tensor. */
export function keepIn(cost: NestCost, levels: readonly NestLevel[]): void {
  const { problem, core, stores, where } = cost;
  for (const { level, keeps } of levels) {
    const l = problem.array.levels.findIndex((x) => x.id === level);
    problem.tensors.forEach((t, k) => {
      const id = keeps[t.name];
      if (id !== undefined) where[l * core.K + k] = stores.findIndex((s) => s.level === l && s.id === id);
    });
  }
}

function overflowText(cost: NestCost, loops: Loops, s: number, einsum: string): string {
  const { core, problem, stores, where, used_B } = cost;
  const store = stores[s]!;
  const parts = problem.tensors.flatMap((t, k) => {
    const at = store.level * core.K + k;
    return where[at] === s && loops.keep[at] ? [`${t.name} ${core.tile[at]}`] : [];
  });
  const words = store.word_B ? `${store.capacity_words} words` : `${store.capacity_B} B`;
  const needs = store.word_B ? `${used_B[s]! / store.word_B} words` : `${used_B[s]} B`;
  return `einsum ${einsum}: tiles take ${needs} of ${store.id}, which has ${words} (words: ${parts.join(', ')})`;
}

function named(problem: Problem, loops: Loops, core: NestCore, cost: NestCost): NestAnalysis {
  const { K, L } = core;
  const compute_cycles = core.steps * problem.point_cycles;
  const parts: Record<string, number> = {};
  const stores = cost.stores.flatMap((store, s): StoreCounts[] => {
    const tensors = problem.tensors.flatMap((t, k) => {
      const at = store.level * K + k;
      if (cost.where[at] !== s || !loops.keep[at]) return [];
      return [
        {
          tensor: t.name,
          tile: core.tile[at]!,
          partition: core.partition[at]!,
          instances: core.places[store.level]!,
          reads: core.reads[at]!,
          fills: core.fills[at]!,
          updates: core.updates[at]!,
          reductions: t.result ? core.reads[at]! : 0,
        },
      ];
    });
    if (tensors.length === 0) return [];
    parts[store.id] = (parts[store.id] ?? 0) + cost.store_pJ[s]! + cost.leak_pJ[s]!;
    return [
      {
        store: store.id,
        level: problem.array.levels[store.level]!.id,
        cycles: cost.store_cycles[s]!,
        used: tensors.reduce((n, t) => n + t.tile, 0),
        capacity: store.word_B ? store.capacity_words : store.capacity_B,
        instances: core.places[store.level]!,
        tensors,
        energy_pJ: cost.store_pJ[s]!,
        leakage_pJ: cost.leak_pJ[s]!,
      },
    ];
  });
  const compute_pJ = core.steps * core.places[L]! * problem.point_pJ;
  parts[problem.unit.id] = (parts[problem.unit.id] ?? 0) + compute_pJ;
  const networks = networksOf(problem, loops, core);
  for (const n of networks) if (n.energy_pJ > 0) parts['network'] = (parts['network'] ?? 0) + n.energy_pJ;
  const slowest = stores.reduce<StoreCounts | undefined>(
    (a, s) => (s.cycles > (a?.cycles ?? compute_cycles) ? s : a),
    undefined,
  );
  const computes = core.steps * core.places[L]!;
  return {
    einsum: problem.einsum.name,
    unit: problem.unit.id,
    computes,
    places: core.places[L]!,
    places_all: problem.places,
    compute_cycles,
    cycles: cost.cycles,
    bound_by: slowest?.store ?? 'arithmetic',
    utilisation: (computes * problem.point_cycles) / (cost.cycles * problem.places),
    compute_pJ,
    stores,
    networks,
    energy_by_part_pJ: parts,
    energy_pJ: Object.values(parts).reduce((a, b) => a + b, 0),
  };
}

/** Traffic below each level that has more than one place below it. */
function networksOf(problem: Problem, loops: Loops, core: NestCore): NetworkCounts[] {
  const { K, L } = core;
  const out: NetworkCounts[] = [];
  for (let l = 0; l < L; l++) {
    const { id, fanout, network } = problem.array.levels[l]!;
    if (fanout.x * fanout.y === 1) continue;
    problem.tensors.forEach((t, k) => {
      let child = l + 1;
      let below = 1;
      for (; child < L && !loops.keep[child * K + k]; child++) below *= core.groups[child * K + k]!;
      const share = core.into[child * K + k]! * below;
      const delivered = share * core.places[l + 1]!;
      const linked = child === l + 1 ? core.linked[child * K + k]! * core.places[child]! : 0;
      out.push({
        level: id,
        tensor: t.name,
        sent: share * core.groups[l * K + k]! * core.places[l]!,
        delivered,
        linked,
        energy_pJ: (delivered + linked) * t.element_B * network.pJ_per_B,
      });
    });
  }
  return out;
}
