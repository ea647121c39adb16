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
import { type OperandRole, type PeArray, type ResourceGraph, tileStoreOf, type Unit } from '../machine/graph.js';
import { ranksOf } from './cascade.js';
import { passesOf } from './cascade-passes.js';
import type { Cascade, CascadeTensor, Einsum } from './einsum.js';
import type { EinsumNest, Nest, NestLevel, NestLoop, Stage } from './nest.js';

export interface FusedLayout {
  /** Ranks of the outermost loops, in order. */
  readonly outer: readonly string[];
  /** Rank that lies across the columns and lanes, and how many of it a tile has. */
  readonly across: string;
  readonly width: number;
  /** Rank that lies down the rows. */
  readonly down?: string;
  /** Rank of the loop over blocks, outside the tiles of a group. */
  readonly block?: string;
  /** Tiles of a group: as many as divide the rank and fit when absent. */
  readonly group?: number;
  /** Names of einsums by stage, in flight together in each; all in one stage when absent. */
  readonly stages?: readonly (readonly string[])[];
  /** Tensors that go from one array straight to the other. */
  readonly direct?: ReadonlySet<string>;
  /** Without blocks: what later passes need waits in the home store, not in the shared one. */
  readonly spill?: boolean;
  /** Without blocks: share of what later passes need that waits in the home store, for want of room in the shared one. */
  readonly waits?: number;
  /** Whether tiles of a group take turns on the arrays, so that none waits for its own results. */
  readonly interleaved: boolean;
}

interface Arrays {
  readonly matrix: PeArray | undefined;
  readonly lanes: PeArray;
}

/** The array with rows, and the last: the lanes. @throws InfeasibleError on a machine without arrays */
export function arraysOf(machine: ResourceGraph): Arrays {
  const all = machine.arrays ?? [];
  const lanes = all.at(-1);
  if (!lanes) throw new InfeasibleError(`${machine.name} has no array of processing elements`);
  return { matrix: all.find((a) => a !== lanes && sidesOf(a).y > 1), lanes };
}

/** Places along x and y over all levels. */
export function sidesOf(a: PeArray): { x: number; y: number } {
  return a.levels.reduce((s, { fanout }) => ({ x: s.x * fanout.x, y: s.y * fanout.y }), { x: 1, y: 1 });
}

const unitOf = (machine: ResourceGraph, array: PeArray): Unit => machine.units.find((u) => u.id === array.unit)!;

/** Whether a unit has all functions of an einsum. */
export function canDo(machine: ResourceGraph, array: PeArray, e: Einsum, cascade: Cascade): boolean {
  const unit = unitOf(machine, array);
  const dtype = cascade.tensors.find((t) => t.name === e.out.tensor)!.dtype;
  return Object.entries(e.work).every(
    ([fn, n]) => n === 0 || unit.math[`${fn}:${dtype}`] || unit.math[fn] || (fn === 'fma' && unit.mma.length > 0),
  );
}

/** Which array does each einsum: the one with rows what fills them, if it can; the lanes what they can; see `balanced`. */
function assign(cascade: Cascade, machine: ResourceGraph, layout: FusedLayout): Map<string, PeArray> {
  const { matrix, lanes } = arraysOf(machine);
  const on = new Map<string, PeArray>();
  const free: Einsum[] = [];
  for (const e of cascade.einsums) {
    const wide = matrix && canDo(machine, matrix, e, cascade) ? matrix : undefined;
    const narrow = canDo(machine, lanes, e, cascade) ? lanes : undefined;
    const fills = layout.down !== undefined && e.ranks.includes(layout.down);
    const turns = layout.block ?? layout.down;
    const once = turns !== undefined && !e.ranks.includes(turns);
    if (wide && narrow && once && !fills) free.push(e);
    const pick = fills ? (wide ?? narrow) : (narrow ?? wide);
    if (!pick)
      throw new InfeasibleError(
        `no array of ${machine.name} does ${Object.keys(e.work).join(' and ')}, which einsum ${e.name} needs`,
      );
    on.set(e.name, pick);
  }
  balance(cascade, machine, layout, on, free);
  return on;
}

/** Einsums outside the loop over blocks go to the array that has more time to spare in their stage. */
function balance(
  cascade: Cascade,
  machine: ResourceGraph,
  layout: FusedLayout,
  on: Map<string, PeArray>,
  free: readonly Einsum[],
): void {
  const { matrix, lanes } = arraysOf(machine);
  for (const e of free) {
    on.delete(e.name);
    const stage = layout.stages?.find((s) => s.includes(e.name)) ?? cascade.einsums.map((x) => x.name);
    const busy = (a: PeArray) =>
      cascade.einsums.reduce(
        (sum, x) =>
          sum + (stage.includes(x.name) && on.get(x.name) === a ? cyclesOf(x, a, cascade, machine, layout) : 0),
        0,
      );
    const with_ = (a: PeArray) =>
      Math.max(...[matrix!, lanes].map((b) => busy(b) + (a === b ? cyclesOf(e, a, cascade, machine, layout) : 0)));
    on.set(e.name, with_(matrix!) < with_(lanes) ? matrix! : lanes);
  }
}

/** What lies down the rows of an array: the layout's rank, or else the largest that the einsum has to itself. */
function downOf(e: Einsum, cascade: Cascade, a: PeArray, layout: FusedLayout): string | undefined {
  if (sidesOf(a).y === 1) return undefined;
  if (layout.down !== undefined && e.ranks.includes(layout.down)) return layout.down;
  const own = e.ranks.filter((r) => r !== layout.across && r !== layout.block && !layout.outer.includes(r));
  return own.reduce<string | undefined>(
    (best, r) => (best === undefined || cascade.ranks[r]! > cascade.ranks[best]! ? r : best),
    undefined,
  );
}

/** Cycles of an einsum over the run as it will be laid. */
function cyclesOf(e: Einsum, a: PeArray, cascade: Cascade, machine: ResourceGraph, layout: FusedLayout): number {
  const { x, y } = sidesOf(a);
  const unit = unitOf(machine, a);
  const dtype = cascade.tensors.find((t) => t.name === e.out.tensor)!.dtype;
  let cycles = 0;
  for (const [fn, n] of Object.entries(e.work)) {
    const rate = unit.math[`${fn}:${dtype}`] ?? unit.math[fn];
    cycles += n * (rate ? (x * y) / rate.per_cycle : 1);
  }
  const down = downOf(e, cascade, a, layout);
  let steps = 1;
  for (const r of e.ranks) {
    const extent = cascade.ranks[r]!;
    const places = r === layout.across ? Math.min(layout.width, x) : r === down ? y : 1;
    steps *= Math.ceil(extent / places);
  }
  return steps * cycles;
}

/** A layout with what follows from it. */
interface Laid extends FusedLayout {
  /** The rank that passes go over: within a block where there are blocks. */
  readonly key: string | undefined;
  /** Whether a tile is wider than the lanes, so that they take it in turns. */
  readonly turns: boolean;
}

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

type Place = 'home' | 'near' | 'element';

/** Where each tensor is kept: in the home store, the shared store, or the elements. */
function placement(
  cascade: Cascade,
  on: ReadonlyMap<string, PeArray>,
  layout: Laid,
  passes: ReadonlyMap<string, number>,
): ReadonlyMap<string, Place> {
  const out = new Map<string, Place>();
  const { block } = layout;
  for (const t of cascade.tensors) {
    const makers = cascade.einsums.filter((e) => e.out.tensor === t.name);
    const users = cascade.einsums.filter((e) => readsOf(e).includes(t.name));
    const all = [...makers, ...users];
    const oneArray = new Set(all.map((e) => on.get(e.name))).size === 1;
    const direct = layout.direct?.has(t.name) === true;
    if (t.home) out.set(t.name, 'home');
    else if (block !== undefined) {
      const lives =
        t.start !== undefined || all.some((e) => e.ranks.includes(block) && !ranksOfTensor(t.name, e).includes(block));
      out.set(t.name, !lives && (oneArray || direct) ? 'element' : 'near');
    } else {
      // what is used as it comes needs no place; what is one number of a row stays where it is made
      const passing = users.every((e) => onTheFly(t.name, e, cascade, on, layout, passes));
      const scalar =
        oneArray &&
        all.every((e) => e.ranks.filter((r) => innerTo(layout, r)).every((r) => !ranksOfTensor(t.name, e).includes(r)));
      const parts = makers.some((e) => inParts(e, layout, on.get(e.name)!));
      out.set(
        t.name,
        (passing || scalar) && !parts ? 'element' : layout.spill && hasKey(t.name, all, layout) ? 'home' : 'near',
      );
    }
  }
  return out;
}

const readsOf = (e: Einsum): string[] => [...e.ins, ...(e.init ? [e.init] : [])].map((a) => a.tensor);
const innerTo = (layout: Laid, r: string): boolean =>
  (layout.turns || r !== layout.across) && !layout.outer.includes(r);
const hasKey = (name: string, all: readonly Einsum[], { key }: Laid): boolean =>
  key !== undefined && all.some((e) => ranksOfTensor(name, e).includes(key));

/** Whether places across hold parts of a result that no wire combines: they meet in the shared store. */
const inParts = (e: Einsum, layout: Laid, a: PeArray): boolean =>
  e.reduce !== 'none' &&
  e.ranks.includes(layout.across) &&
  !ranksOf(e.out).includes(layout.across) &&
  a.levels.some((l) => l.fanout.x > 1 && !l.network.reduce.x);

/** Whether lanes take values as they are made, in the pass that makes them; what is put away passes arrays' edges too. */
function onTheFly(
  name: string,
  e: Einsum,
  cascade: Cascade,
  on: ReadonlyMap<string, PeArray>,
  layout: Laid,
  passes: ReadonlyMap<string, number>,
): boolean {
  const maker = cascade.einsums.find((x) => x.out.tensor === name);
  // what is handed on from block to block waits for all of a block
  if (layout.block !== undefined && layout.down === undefined) return false;
  if (!maker || !e.ranks.some((r) => innerTo(layout, r) && ranksOfTensor(name, e).includes(r))) return false;
  const lanes = sidesOf(on.get(e.name)!).y === 1 || layout.spill === true;
  return lanes && hasKey(name, [e], layout) && passes.get(e.name) === passes.get(maker.name);
}

/** The rank that lies down the rows, or whatever rows reduce. */
const keyOf = (cascade: Cascade, layout: FusedLayout): string | undefined =>
  layout.down ??
  layout.block ??
  cascade.einsums.flatMap((e) => (e.reduce === 'none' ? [] : e.ranks.filter((r) => !ranksOf(e.out).includes(r))))[0];

const ranksOfTensor = (name: string, e: Einsum): string[] =>
  [e.out, ...e.ins].filter((a) => a.tensor === name).flatMap(ranksOf);

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
