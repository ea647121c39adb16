/**
 * An einsum and an array in numbers: ranks, tensors, levels and stores by index, so that a mapping is evaluated over
 * typed arrays. A problem is made once for all mappings of an einsum on an array.
 */
import { bytesOf } from '../../base/dtype.js';
import { InputError, unknownName } from '../../base/errors.js';
import type { Cascade, CascadeTensor, Einsum } from '../../kernel/einsum.js';
import type { MathFn, PeArray, ResourceGraph, Store, Unit } from '../../machine/graph.js';

export interface ProblemTensor {
  readonly name: string;
  readonly of: CascadeTensor;
  /** Written by the einsum: partial results are read back, added to and written. */
  readonly result: boolean;
  /** One per dim: Σ stride · rank (by index). */
  readonly dims: readonly (readonly { readonly rank: number; readonly stride: number }[])[];
  /** Per dim and rank (dim-major, an entry more than ranks): Σ of the rank's strides in the dim. */
  readonly strides: Float64Array;
  /** Whether the tensor's coordinates depend on the rank; the last entry is for loops over no rank of the einsum. */
  readonly relevant: Uint8Array;
  /** No dim sums several ranks or strides: tiles are either the same or disjoint. */
  readonly plain: boolean;
  readonly element_B: number;
}

export interface Problem {
  readonly einsum: Einsum;
  readonly ranks: readonly string[];
  readonly extents: Int32Array;
  /** Operands in their order, then the result. */
  readonly tensors: readonly ProblemTensor[];
  readonly array: PeArray;
  readonly graph: ResourceGraph;
  readonly unit: Unit;
  /** Places of arithmetic in all. */
  readonly places: number;
  /** Cycles that one place takes for one point. */
  readonly point_cycles: number;
  readonly point_pJ: number;
  /** Stores by id. */
  readonly stores: ReadonlyMap<string, Store>;
}

/** The array that `unit` does its operations on. @throws InputError when the machine has none */
export function arrayOf(graph: ResourceGraph, unit: string): PeArray {
  const arrays = graph.arrays ?? [];
  const found = arrays.find((a) => a.unit === unit);
  if (found) return found;
  if (arrays.length === 0) throw new InputError(`${graph.name} has no array of PEs to lay a nest on`);
  throw unknownName(
    'unit',
    unit,
    arrays.map((a) => a.unit),
    `nest on ${graph.name}`,
  );
}

/** @throws InputError when a tensor, rank, store or rate is missing */
export function problemOf(cascade: Cascade, einsum: Einsum, array: PeArray, graph: ResourceGraph): Problem {
  const index = new Map(einsum.ranks.map((rank, i) => [rank, i]));
  const place = `einsum ${einsum.name}`;
  const tensors = [...einsum.ins, einsum.out].map((access, i): ProblemTensor => {
    const of = cascade.tensors.find((t) => t.name === access.tensor);
    if (!of)
      throw unknownName(
        'tensor',
        access.tensor,
        cascade.tensors.map((t) => t.name),
        place,
      );
    const relevant = new Uint8Array(einsum.ranks.length + 1);
    const dims = access.at.map(({ terms }) =>
      terms.map(({ rank, stride }) => {
        const r = index.get(rank);
        if (r === undefined) throw unknownName('rank', rank, einsum.ranks, `${place}, tensor ${access.tensor}`);
        relevant[r] = 1;
        return { rank: r, stride };
      }),
    );
    const R = einsum.ranks.length + 1;
    const strides = new Float64Array(dims.length * R);
    for (const [d, dim] of dims.entries()) for (const t of dim) strides[d * R + t.rank]! += t.stride;
    const seen = dims.flat().map((t) => t.rank);
    return {
      name: access.tensor,
      of,
      result: i === einsum.ins.length,
      dims,
      strides,
      relevant,
      plain: dims.every((d) => d.length <= 1 && d.every((t) => t.stride === 1)) && new Set(seen).size === seen.length,
      element_B: bytesOf(of.dtype),
    };
  });
  const unit = graph.units.find((u) => u.id === array.unit);
  if (!unit) throw new InputError(`array of unit '${array.unit}', which the machine has not`, graph.name);
  const stores = new Map(graph.stores.map((s) => [s.id, s]));
  for (const level of array.levels)
    for (const id of level.stores)
      if (!stores.has(id)) throw unknownName('store', id, [...stores.keys()], `${graph.name}, level ${level.id}`);
  const places = array.levels.reduce((n, l) => n * l.fanout.x * l.fanout.y, 1);
  return {
    einsum,
    ranks: einsum.ranks,
    extents: Int32Array.from(einsum.ranks, (r) => {
      const extent = cascade.ranks[r];
      if (extent === undefined) throw unknownName('rank', r, Object.keys(cascade.ranks), place);
      return extent;
    }),
    tensors,
    array,
    graph,
    unit,
    places,
    ...pointCost(einsum, unit, places, tensors),
    stores,
  };
}

/** Work of one point on one place: functions of one pipe take turns, pipes run side by side. */
function pointCost(
  einsum: Einsum,
  unit: Unit,
  places: number,
  tensors: readonly ProblemTensor[],
): { point_cycles: number; point_pJ: number } {
  const pipes = new Map<string, number>();
  let point_pJ = 0;
  const dtype = tensors.at(-1)!.of.dtype;
  for (const [fn, count] of Object.entries(einsum.work) as [MathFn, number][]) {
    if (!count) continue;
    const rate = unit.math[`${fn}:${dtype}`] ?? unit.math[fn];
    const mma = fn === 'fma' && !rate ? mmaRate(unit, tensors) : undefined;
    if (!rate && !mma) throw new InputError(`unit '${unit.id}' has no rate for '${fn}'`, `einsum ${einsum.name}`);
    const pipe = rate?.pipe ?? 'mma';
    const per_cycle = rate?.per_cycle ?? mma!.macs_per_cycle;
    pipes.set(pipe, (pipes.get(pipe) ?? 0) + (count * places) / per_cycle);
    point_pJ += count * (rate?.pJ ?? mma!.pJ_per_MAC);
  }
  return { point_cycles: Math.max(0, ...pipes.values()) || 1, point_pJ };
}

/** The matrix operation of these operands, or of any when the unit knows only others of the same width. */
function mmaRate(unit: Unit, tensors: readonly ProblemTensor[]) {
  const dtype = tensors[0]!.of.dtype;
  const same = unit.mma.filter((m) => m.a === dtype);
  return (same.length > 0 ? same : unit.mma)[0];
}
