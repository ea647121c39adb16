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
import { analyseSparse, type SparseAnalysis, type SparseCounts } from './sparse/analyse.js';
import { type SparseCost, sparseCost, sparseOverflow } from './sparse/cost.js';
import type { NestAnalysis, NetworkCounts, StoreCounts, TensorCounts } from './types.js';
import { visitsOf } from './visits.js';

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
  loops.visits = visitsOf(loops, problem.ranks, cascade.until);
  const core = new NestCore(problem, loops.n);
  const cost = new NestCost(problem, core);
  keepIn(cost, [...shared, ...nest.levels]);
  core.run(loops);
  if (nest.waits) waitAtHome(nest.waits, loops, core, cost);
  if (nest.sparsity) {
    const sparse = analyseSparse(loops, core, cost, nest.sparsity);
    const costs = sparseCost(core, cost, sparse);
    const over = sparseOverflow(cost, costs.stores);
    if (over >= 0) {
      const { used_B, used_bits } = costs.stores[over]!;
      throw new InfeasibleError(
        `einsum ${nest.einsum}: tiles take ${used_B} B and ${used_bits} bits of metadata in ${cost.stores[over]!.id}, which has less`,
      );
    }
    return named(problem, loops, core, cost, { counts: sparse, costs });
  }
  const over = cost.overflow(loops);
  if (over >= 0) throw new InfeasibleError(overflowText(cost, loops, over, nest.einsum));
  cost.run(loops);
  return named(problem, loops, core, cost);
}

interface Sparse {
  readonly counts: SparseAnalysis;
  readonly costs: SparseCost;
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

/** Moves shares of tensors from the outermost store that keeps them to the home store, which sees each access to them. */
function waitAtHome(waits: NonNullable<EinsumNest['waits']>, loops: Loops, core: NestCore, cost: NestCost): void {
  const { K, L, places, tile, reads, fills, updates, partition } = core;
  cost.problem.tensors.forEach((t, k) => {
    const share = waits[t.name];
    if (share === undefined) return;
    let at = k;
    for (let l = 1; l < L && at === k; l++) if (loops.keep[l * K + k]) at = l * K + k;
    const n = (share * places[Math.floor(at / K)]!) / places[0]!;
    cost.where[k] = cost.stores.findIndex((s) => s.level === 0);
    loops.keep[k] = 1;
    reads[k] = n * reads[at]!;
    updates[k] = n * (fills[at]! + updates[at]!);
    fills[k] = 0;
    tile[k] = share * tile[at]!;
    partition[k] = share * partition[at]!;
    tile[at]! *= 1 - share;
  });
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

function named(problem: Problem, loops: Loops, core: NestCore, cost: NestCost, sparse?: Sparse): NestAnalysis {
  const { K, L } = core;
  const compute_cycles = sparse?.costs.compute_cycles ?? core.steps * problem.point_cycles;
  const cycles = sparse?.costs.cycles ?? cost.cycles;
  const parts: Record<string, number> = {};
  const stores = cost.stores.flatMap((store, s): StoreCounts[] => {
    const tensors = problem.tensors.flatMap((t, k): TensorCounts[] => {
      const at = store.level * K + k;
      if (cost.where[at] !== s || !loops.keep[at]) return [];
      const zeros = sparse?.counts.at.get(at);
      return [
        {
          tensor: t.name,
          tile: core.tile[at]!,
          partition: core.partition[at]!,
          instances: core.places[store.level]!,
          reads: core.reads[at]!,
          fills: core.fills[at]!,
          updates: core.updates[at]!,
          reductions: zeros ? zeros.reductions : t.result ? core.reads[at]! : 0,
          ...(zeros && { sparse: sparseOf(zeros) }),
        },
      ];
    });
    if (tensors.length === 0) return [];
    const own = sparse?.costs.stores[s];
    const energy_pJ = own?.energy_pJ ?? cost.store_pJ[s]!;
    const leakage_pJ = own?.leakage_pJ ?? cost.leak_pJ[s]!;
    parts[store.id] = (parts[store.id] ?? 0) + energy_pJ + leakage_pJ;
    return [
      {
        store: store.id,
        level: problem.array.levels[store.level]!.id,
        cycles: own?.cycles ?? cost.store_cycles[s]!,
        used: tensors.reduce((n, t) => n + (t.sparse?.stored ?? t.tile), 0),
        capacity: store.word_B ? store.capacity_words : store.capacity_B,
        instances: core.places[store.level]!,
        tensors,
        energy_pJ,
        leakage_pJ,
      },
    ];
  });
  const computes = core.computes;
  const done = sparse?.counts.computes.actual ?? computes;
  const compute_pJ = done * problem.point_pJ;
  parts[problem.unit.id] = (parts[problem.unit.id] ?? 0) + compute_pJ;
  const networks = networksOf(problem, loops, core);
  for (const n of networks) if (n.energy_pJ > 0) parts['network'] = (parts['network'] ?? 0) + n.energy_pJ;
  const slowest = stores.reduce<StoreCounts | undefined>(
    (a, s) => (s.cycles > (a?.cycles ?? compute_cycles) ? s : a),
    undefined,
  );
  return {
    einsum: problem.einsum.name,
    unit: problem.unit.id,
    computes,
    ...(sparse && { sparse_computes: sparse.counts.computes }),
    places: core.places[L]!,
    places_all: problem.places,
    compute_cycles,
    cycles,
    bound_by: slowest?.store ?? 'arithmetic',
    utilisation: (done * problem.point_cycles) / (cycles * problem.places),
    compute_pJ,
    stores,
    networks,
    energy_by_part_pJ: parts,
    energy_pJ: Object.values(parts).reduce((a, b) => a + b, 0),
  };
}

const sparseOf = (c: SparseCounts): NonNullable<TensorCounts['sparse']> => ({
  format: c.representation.metadata ? [...c.formats].reverse().map((f) => f.format) : [],
  density: c.density,
  stored: c.stored,
  stored_metadata: [...c.units]
    .reverse()
    .map((u) => ({ metadata: Math.ceil(u.metadata), payload: Math.ceil(u.payload) })),
  reads: c.reads,
  fills: c.fills,
  updates: c.updates,
  ranks: [...c.formats].reverse().map(({ format, reads, fills, updates }) => ({ format, reads, fills, updates })),
  compressions: c.compressions,
  expansions: c.expansions,
});

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
