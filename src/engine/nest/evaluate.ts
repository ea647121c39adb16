/**
 * A nest of stages. Within a stage each unit does its einsums one after another while the units work side by side;
 * stages follow one another inside the shared loops. Stores serve all einsums: their traffic adds up over the run.
 *
 *   cycles = max( epochs · Σ_stages max_units Σ_einsums cycles + stalls ,  max_stores Σ_einsums words ÷ bandwidth )
 */
import type { Cascade } from '../../kernel/einsum.js';
import type { EinsumNest, Nest } from '../../kernel/nest.js';
import { checkNest } from '../../kernel/nest-check.js';
import type { PeArray, ResourceGraph } from '../../machine/graph.js';
import { analyseNest } from './analyse.js';
import { bandwidthOf } from './bandwidth.js';
import { loopsOf } from './loops.js';
import { arrayOf, problemOf } from './problem.js';
import { type Moved, trafficOf } from './traffic.js';
import type { NestResult } from './types.js';
import { visitsOf } from './visits.js';

/** @throws InputError, InfeasibleError as `analyseNest` */
export function evaluateNest(nest: Nest, cascade: Cascade, graph: ResourceGraph): NestResult {
  checkNest(nest, cascade, graph);
  const epochs = epochsOf(nest, cascade, graph);
  const stages = nest.stages.map(({ nests }) => nests.map((n) => analyseNest(n, cascade, graph, nest.shared)));
  const einsums = stages.flat();
  const paced = stages.map((analyses) => {
    const by_unit: Record<string, number> = {};
    for (const a of analyses) by_unit[a.unit] = (by_unit[a.unit] ?? 0) + a.compute_cycles / epochs;
    return { by_unit, cycles: Math.max(...Object.values(by_unit)) };
  });
  const compute_cycles = epochs * paced.reduce((n, s) => n + s.cycles, 0);
  const parts: Record<string, number> = {};
  const stall_cycles = stalls(nest, cascade, graph, epochs, compute_cycles);
  let cycles = compute_cycles + stall_cycles;
  let bound_by = busiestUnit(paced);
  const store_busy_cycles: Record<string, number> = {};
  for (const [store, moved] of trafficOf(einsums, cascade, graph))
    store_busy_cycles[store] = cyclesOf(moved, store, graph);
  let store_cycles = store_busy_cycles;
  if (einsums.length === 1) {
    // one einsum: its stores' cycles as they were found, tensor by tensor
    store_cycles = {};
    for (const s of einsums[0]!.stores) store_cycles[s.store] = Math.max(store_cycles[s.store] ?? 0, s.cycles);
  }
  for (const [store, needs] of Object.entries(store_cycles))
    if (needs > cycles) {
      cycles = needs;
      bound_by = store;
    }
  const leak_pJ_per_cycle: Record<string, number> = {};
  for (const a of einsums)
    for (const [part, pJ] of Object.entries(a.energy_by_part_pJ)) {
      const leaks = a.stores.filter((s) => s.store === part);
      parts[part] = (parts[part] ?? 0) + pJ - leaks.reduce((n, s) => n + s.leakage_pJ, 0);
      for (const s of leaks) leak_pJ_per_cycle[part] = Math.max(leak_pJ_per_cycle[part] ?? 0, s.leakage_pJ / a.cycles);
    }
  for (const [part, pJ] of Object.entries(leak_pJ_per_cycle)) parts[part]! += pJ * cycles;
  return {
    einsums,
    epochs,
    stages: paced,
    compute_cycles,
    stall_cycles,
    store_cycles,
    store_busy_cycles,
    cycles,
    fill_drain_cycles: fillAndDrain(nest, graph),
    bound_by,
    energy_by_part_pJ: parts,
    energy_pJ: Object.values(parts).reduce((a, b) => a + b, 0),
  };
}

/** Trips of the loops that all share. */
function epochsOf(nest: Nest, cascade: Cascade, graph: ResourceGraph): number {
  const shared = nest.shared.flatMap((l) => l.loops).filter((l) => !l.spatial && l.size > 1);
  const all = shared.reduce((n, l) => n * l.size, 1);
  const { until } = cascade;
  if (!until || !shared.some((l) => l.rank === until.rank)) return all;
  // of an einsum that has both ranks; others are done once for all blocks
  const both = (n: EinsumNest) => {
    const { ranks } = cascade.einsums.find((e) => e.name === n.einsum)!;
    return ranks.includes(until.rank) && ranks.includes(until.by);
  };
  const own = nest.stages.flatMap((s) => s.nests).find(both);
  if (!own) return all;
  const einsum = cascade.einsums.find((e) => e.name === own.einsum)!;
  const problem = problemOf(cascade, einsum, arrayOf(graph, own.unit), graph);
  const visits = visitsOf(loopsOf(problem, own, nest.shared), problem.ranks, until)!;
  return visits.upTo[shared.filter((l) => einsum.ranks.includes(l.rank)).length - 1]!;
}

function busiestUnit(stages: readonly { readonly by_unit: Readonly<Record<string, number>> }[]): string {
  const total = new Map<string, number>();
  for (const { by_unit } of stages)
    for (const [unit, cycles] of Object.entries(by_unit)) total.set(unit, (total.get(unit) ?? 0) + cycles);
  let best = '';
  for (const [unit, cycles] of total) if (best === '' || cycles > total.get(best)!) best = unit;
  return best;
}

/** Cycles a store's instances in use need for what they move, evenly spread. */
function cyclesOf({ read_B, write_B, instances }: Moved, id: string, graph: ResourceGraph): number {
  const store = graph.stores.find((s) => s.id === id)!;
  const { read_B_per_cycle, write_B_per_cycle } = bandwidthOf(store, graph.control.clock.nominal_Hz);
  const read = read_B / instances / read_B_per_cycle;
  const write = write_B / instances / write_B_per_cycle;
  return store.shared_port ? read + write : Math.max(read, write);
}

/**
 * What stages wait for results that places combine on the way: a chain takes a cycle a place, a tree one for each halving.
 * Epochs in flight beside it fill the wait with their own work.
 */
function stalls(nest: Nest, cascade: Cascade, graph: ResourceGraph, epochs: number, compute_cycles: number): number {
  let waits = 0;
  nest.stages.forEach(({ nests }, s) => {
    const later = new Set(nest.stages.slice(s + 1).flatMap((x) => x.nests.map((n) => n.einsum)));
    const users = cascade.einsums.filter((e) => later.has(e.name));
    let longest = 0;
    for (const n of nests) {
      const { out } = cascade.einsums.find((e) => e.name === n.einsum)!;
      const kept = new Set(out.at.flatMap((c) => c.terms.map((t) => t.rank)));
      if (!users.some((e) => e.ins.some((a) => a.tensor === out.tensor))) continue;
      const array = graph.arrays!.find((a) => a.unit === n.unit)!;
      let depth = 0;
      for (const { level, loops } of n.levels) {
        const { reduce, tree } = array.levels.find((l) => l.id === level)!.network;
        for (const { rank, size, spatial } of loops)
          if (spatial && reduce[spatial] && !kept.has(rank)) depth += tree ? Math.ceil(Math.log2(size)) : size;
      }
      longest = Math.max(longest, depth);
    }
    waits += longest;
  });
  const others = compute_cycles / epochs;
  return (
    epochs *
    inFlight(nest, cascade).reduce((n, { turns, share }) => n + share * Math.max(0, waits - (turns - 1) * others), 0)
  );
}

/** Epochs that are in flight together, with the share of all that are; fewer where the tiles of a group end early. */
function inFlight({ in_flight = 1 }: Nest, { until }: Cascade): { readonly turns: number; readonly share: number }[] {
  if (!until || in_flight === 1) return [{ turns: in_flight, share: 1 }];
  const epochs = new Map<number, number>();
  let all = 0;
  for (let first = 0; first < until.blocks.length; first += in_flight) {
    const group = until.blocks.slice(first, first + in_flight);
    for (let block = 0; block < Math.max(...group); block++) {
      const turns = group.filter((n) => n > block).length;
      epochs.set(turns, (epochs.get(turns) ?? 0) + turns);
      all += turns;
    }
  }
  return [...epochs].map(([turns, n]) => ({ turns, share: n / all }));
}

/** Skew of the operands across systolic arrays in use. */
function fillAndDrain(nest: Nest, graph: ResourceGraph): number {
  const units = new Set(nest.stages.flatMap((s) => s.nests.map((n) => n.unit)));
  return Math.max(0, ...(graph.arrays ?? []).filter((a) => units.has(a.unit)).map(skewOf));
}

/** The last place of a systolic array starts, and the first ends, so many cycles apart. */
export function skewOf({ levels }: PeArray): number {
  return levels.reduce((n, { network, fanout }) => n + (network.systolic ? fanout.x - 1 + (fanout.y - 1) : 0), 0);
}
