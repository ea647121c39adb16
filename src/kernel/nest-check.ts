/** Whether a nest belongs to its cascade and machine: levels in order, loops that cover each rank, places that exist. */
import { InputError, unknownName } from '../base/errors.js';
import type { ArrayLevel, PeArray, ResourceGraph } from '../machine/graph.js';
import type { Cascade, Einsum } from './einsum.js';
import type { EinsumNest, Nest, NestLevel } from './nest.js';

/** @throws InputError for the first thing that is wrong, with its place inside the nest */
export function checkNest(nest: Nest, cascade: Cascade, graph: ResourceGraph): void {
  if (nest.stages.length === 0) throw new InputError('has no stages', 'nest');
  nest.stages.forEach(({ nests }, s) => {
    if (nests.length === 0) throw new InputError('has no einsums', `nest, stage ${s + 1}`);
    for (const n of nests) checkEinsumNest(n, cascade, graph, nest.shared);
  });
  const laid = nest.stages.flatMap((s) => s.nests.map((n) => n.einsum));
  for (const { name } of cascade.einsums)
    if (!laid.includes(name)) throw new InputError(`einsum ${name} is in no stage`, 'nest');
}

/** The einsum that the nest lays out. @throws InputError */
export function checkEinsumNest(
  nest: EinsumNest,
  cascade: Cascade,
  graph: ResourceGraph,
  shared: readonly NestLevel[] = [],
): Einsum {
  const place = `nest of einsum ${nest.einsum}`;
  const einsum = cascade.einsums.find((e) => e.name === nest.einsum);
  if (!einsum)
    throw unknownName(
      'einsum',
      nest.einsum,
      cascade.einsums.map((e) => e.name),
      'nest',
    );
  const arrays = graph.arrays ?? [];
  const array = arrays.find((a) => a.unit === nest.unit);
  if (!array)
    throw arrays.length === 0
      ? new InputError(`${graph.name} has no array of PEs`, place)
      : unknownName(
          'unit',
          nest.unit,
          arrays.map((a) => a.unit),
          place,
        );
  inOrder(nest.levels, array, place);
  inOrder(shared, array, 'nest, shared loops');
  const innermost = array.levels.findIndex((l) => l.id === shared.filter((x) => x.loops.length > 0).at(-1)?.level);
  for (const { level, loops } of nest.levels)
    if (loops.length > 0 && array.levels.findIndex((l) => l.id === level) < innermost)
      throw new InputError(
        `loops at level ${level} lie outside the shared ones of ${array.levels[innermost]!.id}`,
        place,
      );
  const all = [...shared, ...nest.levels];
  const own = nest.levels.flatMap((l) => l.loops);
  for (const { rank } of own) if (!einsum.ranks.includes(rank)) throw unknownName('rank', rank, einsum.ranks, place);
  for (const { level, loops } of all)
    for (const { rank, size } of loops)
      if (!Number.isInteger(size) || size < 1)
        throw new InputError(
          `the loop over ${rank} has size ${size}, expected a whole number from 1`,
          `${place}, level ${level}`,
        );
  for (const rank of einsum.ranks) {
    const sizes = all.flatMap((l) => l.loops.filter((x) => x.rank === rank).map((x) => x.size));
    const covered = sizes.reduce((a, b) => a * b, 1);
    const extent = cascade.ranks[rank]!;
    if (covered < extent)
      throw new InputError(
        `loops over ${rank} cover ${covered} of ${extent}${sizes.length > 0 ? ` (${sizes.join(' × ')})` : ': there is none'}`,
        place,
      );
  }
  for (const level of array.levels) withinFanout(level, all, place);
  for (const { level, keeps } of all) {
    const at = array.levels.find((l) => l.id === level)!;
    for (const [tensor, store] of Object.entries(keeps)) {
      const of = cascade.tensors.find((t) => t.name === tensor);
      if (!of)
        throw unknownName(
          'tensor',
          tensor,
          cascade.tensors.map((t) => t.name),
          `${place}, level ${level}`,
        );
      if (!at.stores.includes(store)) throw unknownName('store', store, at.stores, `${place}, level ${level}`);
      const holds = graph.stores.find((s) => s.id === store)?.holds;
      if (holds && !holds.includes(of.role))
        throw new InputError(
          `${store} holds ${holds.join(' and ')}, not ${tensor}, which is ${of.role}`,
          `${place}, level ${level}`,
        );
    }
  }
  for (const tensor of Object.keys(nest.waits ?? {})) {
    const levels = all.filter((l) => l.keeps[tensor] !== undefined).map((l) => l.level);
    if (levels.length === 0)
      throw unknownName(
        'kept tensor',
        tensor,
        all.flatMap((l) => Object.keys(l.keeps)),
        `${place}, waits`,
      );
    if (levels.includes(array.levels[0]!.id))
      throw new InputError(`${tensor} is kept at ${array.levels[0]!.id} as a whole: no share of it waits there`, place);
  }
  return einsum;
}

function inOrder(levels: readonly NestLevel[], array: PeArray, place: string): void {
  let last = -1;
  for (const { level } of levels) {
    const at = array.levels.findIndex((l) => l.id === level);
    if (at < 0)
      throw unknownName(
        'level',
        level,
        array.levels.map((l) => l.id),
        place,
      );
    if (at <= last)
      throw new InputError(
        `level ${level} comes twice or out of order (far to near: ${array.levels.map((l) => l.id).join(', ')})`,
        place,
      );
    last = at;
  }
}

function withinFanout({ id, fanout }: ArrayLevel, levels: readonly NestLevel[], place: string): void {
  const loops = levels.filter((l) => l.level === id).flatMap((l) => l.loops);
  for (const along of ['x', 'y'] as const) {
    const across = loops.filter((l) => l.spatial === along);
    const used = across.reduce((n, l) => n * l.size, 1);
    if (used > fanout[along])
      throw new InputError(
        `loops over ${across.map((l) => `${l.rank} (${l.size})`).join(', ')} take ${used} places along ${along}, there are ${fanout[along]}`,
        `${place}, level ${id}`,
      );
  }
}
