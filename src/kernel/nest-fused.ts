/**
 * A nest for einsums in flight together on an array of rows and columns and the lanes beside it. Outer ranks, and tiles of the
 * rank that lies across the columns, are loops that all share:
 *
 *   home store:    outer ranks, groups of tiles, blocks
 *   shared store:  tiles of a group (their state stays here from block to block)
 *     each einsum: its other ranks in time, a tile across the columns (or lanes), a block down the rows
 *
 * Without a loop over blocks that all share, each einsum passes them by itself, tiles of a group inside.
 *
 * What lives on between blocks or goes from one array to the other is kept in the shared store, the rest in the elements.
 */
import { bytesOf } from '../base/dtype.js';
import { InfeasibleError } from '../base/errors.js';
import { type OperandRole, type PeArray, type ResourceGraph, tileStoreOf } from '../machine/graph.js';
import { ranksOf } from './cascade.js';
import { passesOf } from './cascade-passes.js';
import type { Cascade, CascadeTensor, Einsum } from './einsum.js';
import type { EinsumNest, Nest, NestLevel, NestLoop, Stage } from './nest.js';
import { arraysOf, assign, downOf, type FusedLayout, sidesOf } from './nest-layout.js';
import { hasKey, keyOf, type Laid, onTheFly, type Place, placement, ranksOfTensor, readsOf } from './nest-placement.js';

/** @throws InfeasibleError when not even one tile fits, or no array does an einsum */
export function fusedNest(cascade: Cascade, machine: ResourceGraph, given: FusedLayout): Nest {
  const { x, y } = sidesOf(arraysOf(machine).lanes);
  const layout: Laid = { ...given, key: keyOf(cascade, given), turns: given.width > x * y };
  const on = assign(cascade, machine, layout);
  const near = tileStoreOf(machine)!;
  const home = machine.stores.find((s) => s.role === 'home')!.id;
  const level = arraysOf(machine).lanes.levels.find((l) => l.stores.includes(near.id))!.id;
  const passes =
    layout.key === undefined ? new Map<string, number>() : passesOf(cascade, layout.key, layout.block !== undefined).of;
  const where = placement(cascade, on, layout, passes);
  const tiles = Math.ceil(cascade.ranks[layout.across]! / layout.width);
  const group = layout.group ?? largestGroup(cascade, machine, layout, where, tiles);
  const loop = (rank: string, size: number): NestLoop => ({ rank, size });
  const shared: NestLevel[] = [
    {
      level: home,
      loops: [
        ...layout.outer.map((r) => loop(r, cascade.ranks[r]!)),
        loop(layout.across, Math.ceil(tiles / group)),
        ...(layout.block ? [loop(layout.block, cascade.ranks[layout.block]!)] : []),
      ],
      keeps: {},
    },
    ...(layout.block ? [{ level, loops: [loop(layout.across, group)], keeps: {} }] : []),
  ];
  const touched = new Map<PeArray, Set<string>>();
  const fetched = new Set<string>();
  const nests = new Map(
    cascade.einsums.map((e) => {
      const array = on.get(e.name)!;
      let seen = touched.get(array);
      if (!seen) touched.set(array, (seen = new Set()));
      return [
        e.name,
        einsumNest(e, cascade, machine, array, layout, group, {
          home,
          level,
          near: near.id,
          where,
          seen,
          fetched,
          fly: (t) => onTheFly(t, e, cascade, on, layout, passes),
        }),
      ] as const;
    }),
  );
  const names = layout.stages ?? [cascade.einsums.map((e) => e.name)];
  const stages: Stage[] = names
    .map((s) => ({ nests: s.flatMap((n) => nests.get(n) ?? []) }))
    .filter((s) => s.nests.length > 0);
  return { shared, stages, in_flight: layout.interleaved ? group : 1 };
}

/** Most tiles of a group that fit: a divisor of all of them. */
function largestGroup(
  cascade: Cascade,
  machine: ResourceGraph,
  layout: Laid,
  where: ReadonlyMap<string, Place>,
  tiles: number,
): number {
  const near = tileStoreOf(machine)!;
  const rows = sidesOf(arraysOf(machine).matrix ?? arraysOf(machine).lanes).y;
  const fixed = new Map<string, number>();
  const byTile = new Map<string, number>();
  for (const t of cascade.tensors) {
    const place = where.get(t.name);
    const access = cascade.einsums.flatMap((e) => [...e.ins, e.out]).find((a) => a.tensor === t.name)!;
    const ranks = new Set(ranksOf(access).filter((r) => r !== layout.block && !layout.outer.includes(r)));
    const ofTile = ranks.delete(layout.across);
    const reused = place === 'home' && !ofTile && t.role !== 'output';
    // operands of several passes, and sums that blocks add to
    const summed = cascade.einsums.some(
      (e) =>
        e.out.tensor === t.name &&
        layout.down !== undefined &&
        e.reduce !== 'none' &&
        e.ranks.includes(layout.down) &&
        !ranks.has(layout.down),
    );
    const again = !layout.block && !layout.spill && usersOf(t.name, cascade) > 1;
    if (place !== 'near' && !reused && !(place === 'home' && !layout.block && (again || summed))) continue;
    const words = [...ranks].reduce(
      (n, r) => n * (reused && r === layout.down ? Math.min(cascade.ranks[r]!, rows) : cascade.ranks[r]!),
      1,
    );
    const to = ofTile ? byTile : fixed;
    const storage = t.storage ?? t.name;
    to.set(storage, Math.max(to.get(storage) ?? 0, words * bytesOf(t.dtype) * (ofTile ? layout.width : 1)));
  }
  const sum = (m: ReadonlyMap<string, number>) => [...m.values()].reduce((n, x) => n + x, 0);
  const fixed_B = sum(fixed);
  const tile_B = sum(byTile);
  const room = near.capacity_B - fixed_B;
  if (room < tile_B)
    throw new InfeasibleError(
      `${cascade.name} on ${machine.name} needs ${Math.ceil(fixed_B + tile_B)} B of ${near.id} for a tile of ${layout.width}, has ${near.capacity_B} B`,
    );
  const most = tile_B === 0 ? tiles : Math.min(tiles, Math.floor(room / tile_B));
  let best = 1;
  for (let g = 1; g <= most; g++) if (tiles % g === 0) best = g;
  return best;
}

const usersOf = (tensor: string, c: Cascade): number => c.einsums.filter((e) => readsOf(e).includes(tensor)).length;

interface Surroundings {
  readonly home: string;
  readonly level: string;
  readonly near: string;
  readonly where: ReadonlyMap<string, Place>;
  /** Tensors that the array has had in its elements since the block began. */
  readonly seen: Set<string>;
  /** Operands from the home store that an earlier einsum has brought near. */
  readonly fetched: Set<string>;
  /** Whether the einsum at hand takes a tensor as it is made. */
  fly(tensor: string): boolean;
}

function einsumNest(
  e: Einsum,
  cascade: Cascade,
  machine: ResourceGraph,
  array: PeArray,
  layout: Laid,
  group: number,
  at: Surroundings,
): EinsumNest {
  const { levels } = array;
  const own = levels.findIndex((l) => l.id === at.level);
  const shared = new Set([...layout.outer, ...(layout.block ? [layout.block] : [])]);
  /** Loops in time at the home store, and at the shared one. */
  const far: NestLoop[] = [];
  const inTime: NestLoop[] = [];
  const below = new Map<number, NestLoop[]>();
  /** Spreads a rank over places and gives what is left for time. */
  const spread = (rank: string, extent: number, along: 'x' | 'y'): number => {
    let left = extent;
    for (let l = own; l < levels.length && left > 1; l++) {
      const size = Math.min(left, levels[l]!.fanout[along]);
      if (size <= 1) continue;
      below.set(l, [...(below.get(l) ?? []), { rank, size, spatial: along }]);
      left = Math.ceil(left / size);
    }
    return left;
  };
  const down = downOf(e, cascade, array, layout);
  for (const r of e.ranks) {
    if (shared.has(r)) continue;
    const extent = cascade.ranks[r]!;
    if (r === layout.across) {
      // where blocks are no loop of all einsums, tiles of a group pass each block in turn
      if (!layout.block && group > 1) inTime.unshift({ rank: r, size: group });
      const left = spread(r, Math.min(layout.width, extent), 'x');
      if (left > 1) inTime.push({ rank: r, size: left });
    } else if (r === down) {
      const left = spread(r, extent, 'y');
      if (left > 1) (layout.block || r !== layout.down ? inTime : far).push({ rank: r, size: left });
    } else if (r === layout.down && layout.spill) {
      // what was put away comes back through the shared store block by block
      const { y } = sidesOf(arraysOf(machine).matrix ?? array);
      far.push({ rank: r, size: Math.ceil(extent / y) });
      inTime.push({ rank: r, size: Math.min(y, extent) });
    } else inTime.push({ rank: r, size: extent });
  }
  // what a block has had in the elements is not fetched again
  const inBlock = layout.block !== undefined && e.ranks.includes(layout.block);
  const home: Record<string, string> = {};
  const near: Record<string, string> = {};
  const element: Record<string, string> = {};
  const nearest = levels.findLastIndex((l) => l.stores.length > 0);
  const elementStore = (role: OperandRole) =>
    levels[nearest]!.stores.find((id) => machine.stores.find((s) => s.id === id)!.holds?.includes(role) ?? true);
  const keepInElement = (t: CascadeTensor) => {
    const store = elementStore(t.role);
    if (store) element[t.name] = store;
    // elements built for other operands leave it to the shared store
    else if (home[t.name] === undefined) near[t.name] = at.near;
  };
  for (const { tensor } of [...e.ins, ...(e.init ? [e.init] : [])]) {
    const t = cascade.tensors.find((x) => x.name === tensor)!;
    const place = at.where.get(tensor);
    if (at.fly(tensor)) {
      // taken as it is made
    } else if (place === 'home') {
      const again = !layout.block && !layout.spill && usersOf(tensor, cascade) > 1;
      if (!(again && at.fetched.has(tensor))) home[tensor] = at.home;
      // operands that tiles of a group, or later passes, share stay for all of them
      if (again || layout.spill || !ranksOfTensor(tensor, e).includes(layout.across)) near[tensor] = at.near;
      at.fetched.add(tensor);
    } else if (place === 'near' && !(inBlock && at.seen.has(tensor) && t.start !== undefined)) near[tensor] = at.near;
    // operands are latched where they are used
    keepInElement(t);
  }
  const out = cascade.tensors.find((x) => x.name === e.out.tensor)!;
  const results = new Set(ranksOf(e.out));
  const reduces = (loops: readonly NestLoop[]) => loops.some((l) => l.size > 1 && !results.has(l.rank));
  const place = at.where.get(out.name);
  if (place === 'home') home[out.name] = at.home;
  if (place === 'near' || (place === 'home' && reduces(far))) near[out.name] = at.near;
  if (place === 'element' || reduces(inTime)) keepInElement(out);
  for (const { tensor } of [...e.ins, e.out]) at.seen.add(tensor);
  const waits = layout.waits
    ? Object.keys(near).filter((t) => at.where.get(t) === 'near' && hasKey(t, cascade.einsums, layout))
    : [];
  return {
    einsum: e.name,
    unit: array.unit,
    ...(waits.length > 0 && { waits: Object.fromEntries(waits.map((t) => [t, layout.waits!])) }),
    levels: levels.map(
      (l, i): NestLevel => ({
        level: l.id,
        loops: [...(i === 0 ? far : []), ...(i === own ? inTime : []), ...(below.get(i) ?? [])],
        keeps: i === 0 ? home : i === own ? near : i === nearest ? element : {},
      }),
    ),
  };
}
