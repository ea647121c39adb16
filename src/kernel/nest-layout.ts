/** What einsums in flight together are laid on: the layout's choices, the arrays of a machine, which array does which einsum. */
import { InfeasibleError } from '../base/errors.js';
import type { PeArray, ResourceGraph, Unit } from '../machine/graph.js';
import type { Cascade, Einsum } from './einsum.js';

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

/** Which array does each einsum: the one with rows what fills them, if it can; the lanes what they can; see `balance`. */
export function assign(cascade: Cascade, machine: ResourceGraph, layout: FusedLayout): Map<string, PeArray> {
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
export function downOf(e: Einsum, cascade: Cascade, a: PeArray, layout: FusedLayout): string | undefined {
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
