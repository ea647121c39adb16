/** A resource graph checks itself when it is made: numbers finite and positive, names unique, links between stores. */
import { InputError } from '../base/errors.js';
import type { ResourceGraph } from './graph.js';

/** Paths whose value may be 0. */
const MAY_BE_ZERO =
  /(_pJ|pJ_per_B|pJ_per_MAC|latency_s|share|launch_\w+_s|kernel_\w+_s|interval_s|start_cycles|start_group_cycles|barrier_cycles|barrier_group_cycles|turn_cycles|place_cycles|access_s|shared_reserved_B|static_W|voltage_floor|co_issue|serial|\.pJ)$/;
/** Paths whose value may be Infinity: not a limit. */
const MAY_BE_INFINITE = /(in_flight_B|power_cap_W)$/;

/** Returns the graph. @throws InputError naming the first number or name that is wrong. */
export function validGraph(graph: ResourceGraph, place: string): ResourceGraph {
  checkNumbers(graph, graph.name, place);
  unique(graph.stores, 'store', place);
  unique(graph.links, 'link', place);
  unique(graph.units, 'unit', place);
  for (const array of graph.arrays ?? []) {
    if (!graph.units.some((u) => u.id === array.unit))
      throw new InputError(`an array's unit is '${array.unit}', which is no unit`, place);
    unique(array.levels, `level of array '${array.unit}'`, place);
    for (const level of array.levels)
      for (const id of level.stores)
        if (!graph.stores.some((s) => s.id === id))
          throw new InputError(`level '${level.id}' of array '${array.unit}' has '${id}', which is no store`, place);
  }
  const ends = new Set([...graph.stores.map((s) => s.id), 'peer', 'host']);
  for (const link of graph.links)
    for (const end of [link.from, link.to])
      if (!ends.has(end)) throw new InputError(`link '${link.id}' ends at '${end}', which is no store`, place);
  return graph;
}

function checkNumbers(value: unknown, path: string, place: string): void {
  if (typeof value === 'number') {
    const fine =
      (Number.isFinite(value) || (value === Number.POSITIVE_INFINITY && MAY_BE_INFINITE.test(path))) &&
      (value > 0 || (value === 0 && MAY_BE_ZERO.test(path)));
    if (!fine) throw new InputError(`${path} comes out as ${value}, expected a positive finite number`, place);
  } else if (typeof value === 'object' && value !== null)
    for (const [key, child] of Object.entries(value)) checkNumbers(child, `${path}.${key}`, place);
}

function unique(things: readonly { readonly id: string }[], what: string, place: string): void {
  const seen = new Set<string>();
  for (const { id } of things) {
    if (seen.has(id)) throw new InputError(`two ${what}s are called '${id}'`, place);
    seen.add(id);
  }
}
