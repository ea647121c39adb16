/**
 * How a launch occupies its arrays, from its nest and what the engine counted; nothing is worked out anew.
 *
 *   cycles = rounds · round_cycles + fill and drain
 *   round  = its stages one after another, then what it waits for rows' sums and for a store
 *
 * A round is an epoch, or (of a product alone) one tile that the near store holds. Of each array the cycles of the
 * launch are divided among what its places do in them on the mean: the parts sum to `cycles`.
 */
import { type Static, Type } from '@sinclair/typebox';
import { hasCascade } from '../../kernel/cascade.js';
import type { Cascade } from '../../kernel/einsum.js';
import type { Launch } from '../../kernel/kernel.js';
import type { EinsumNest, Nest } from '../../kernel/nest.js';
import type { PeArray, ResourceGraph } from '../../machine/graph.js';
import type { RunResult } from '../types.js';
import { skewOf } from './evaluate.js';
import { knownCascade } from './lay-out.js';
import { trafficOf } from './traffic.js';
import type { NestAnalysis, NestResult } from './types.js';

/** What places do. */
export const OCCUPANCY_PARTS = [
  'work',
  'gated',
  'edges',
  'unfilled',
  'other_array',
  'reduction',
  'store',
  'fill_drain',
  'unused',
] as const;
export type OccupancyPart = (typeof OCCUPANCY_PARTS)[number];

const text = (description: string) => Type.String({ description });
const amount = (description: string) => Type.Number({ minimum: 0, description });

const PartSchema = Type.Object({
  part: Type.Unsafe<OccupancyPart>(
    Type.String({
      enum: [...OCCUPANCY_PARTS],
      description:
        'work: points computed; gated: points of zeros, idle; edges: places beyond the ends of ranks; unfilled: places that the einsum leaves free; other_array: waits for the array that sets the pace of a stage; reduction: waits for sums over places; store: waits for bandwidth; fill_drain: first operands in, last results out; unused: no einsum of the launch is laid on it',
    }),
  ),
  of: text('the einsum, array or store that it is due to'),
  stage: Type.Optional(Type.Integer({ minimum: 1 })),
  cycles: amount('of the launch, mean over the places of the array'),
});

const SpanSchema = Type.Object({
  unit: text('array'),
  einsum: Type.String(),
  stage: Type.Integer({ minimum: 1 }),
  from: amount('cycles from the start of the round'),
  cycles: amount('of one round, mean over the rounds'),
  places: Type.Integer({ minimum: 1, description: 'of the array, in use' }),
  edges: Type.Array(
    Type.Object({ rank: Type.String(), extent: Type.Integer(), laid: Type.Integer({ description: 'by its loops' }) }),
    { description: 'ranks over places whose loops reach beyond them' },
  ),
});

export const OccupancySchema = Type.Object(
  {
    launch: text('program'),
    cycles: amount('launch cost apart; at clock_Hz'),
    rounds: Type.Integer({ minimum: 1 }),
    round: Type.Unsafe<'epoch' | 'tile'>(Type.String({ enum: ['epoch', 'tile'] })),
    in_flight: Type.Integer({ minimum: 1, description: 'epochs in flight together' }),
    round_cycles: amount('mean'),
    fill_drain_cycles: amount('beside the rounds, once'),
    bound_by: Type.String(),
    stages: Type.Array(amount('cycles of the stage, in one round')),
    reduction_cycles: amount('of one round: waits for sums over places, beyond the stages'),
    store_cycles: amount('of one round: waits for bound_by, beyond both'),
    spans: Type.Array(SpanSchema, { description: 'of one round' }),
    arrays: Type.Array(
      Type.Object({
        unit: Type.String(),
        columns: Type.Integer({ minimum: 1 }),
        rows: Type.Integer({ minimum: 1 }),
        skew_cycles: amount('from the first place that starts to the last'),
        busy_cycles: amount('some place of it works'),
        parts: Type.Array(PartSchema, { description: 'sum to cycles' }),
      }),
    ),
    stores: Type.Array(
      Type.Object({
        store: Type.String(),
        instances: Type.Integer({ minimum: 1, description: 'in use' }),
        busy_cycles: amount('of the launch'),
        tensors_B: Type.Record(Type.String(), Type.Number(), { description: 'read and written' }),
      }),
    ),
  },
  { description: 'of one launch' },
);
export type Occupancy = Static<typeof OccupancySchema>;
type OccupancyParts = Occupancy['arrays'][number]['parts'];
export type OccupancySpan = Occupancy['spans'][number];

/** Of the launches that are laid on arrays; no entry where none is. */
export function occupanciesOf(
  launches: readonly Launch[],
  runs: readonly RunResult[],
  machine: ResourceGraph,
): { arrays?: Occupancy[] } {
  const arrays = launches.flatMap(({ program, mapping }, i) => {
    const result = runs[i]!.nest;
    const cascade = result && knownCascade(program);
    return cascade && hasCascade(cascade) ? [occupancyOf(program.name, mapping.nest!, result, cascade, machine)] : [];
  });
  return arrays.length > 0 ? { arrays } : {};
}

/** @param result of the nest on the graph */
function occupancyOf(
  launch: string,
  nest: Nest,
  result: NestResult,
  cascade: Cascade,
  graph: ResourceGraph,
): Occupancy {
  const tiles = result.epochs === 1 ? tripsAtHome(nest.stages[0]!.nests[0]!, cascade) : 1;
  const rounds = result.epochs * tiles;
  const store_cycles = result.cycles - result.compute_cycles - result.stall_cycles;
  return {
    launch,
    cycles: result.cycles + result.fill_drain_cycles,
    rounds,
    round: tiles > 1 ? 'tile' : 'epoch',
    in_flight: nest.in_flight ?? 1,
    round_cycles: result.cycles / rounds,
    fill_drain_cycles: result.fill_drain_cycles,
    bound_by: result.bound_by,
    stages: result.stages.map((s) => s.cycles / tiles),
    reduction_cycles: result.stall_cycles / rounds,
    store_cycles: store_cycles / rounds,
    spans: spansOf(nest, result, cascade, rounds),
    arrays: (graph.arrays ?? []).map((array) => ({
      unit: array.unit,
      ...sides(array),
      skew_cycles: skewOf(array),
      busy_cycles: result.einsums.reduce((n, a) => n + (a.unit === array.unit ? a.compute_cycles : 0), 0),
      parts: partsOf(array.unit, result, store_cycles),
    })),
    stores: [...trafficOf(result.einsums, cascade, graph)].map(([store, moved]) => ({
      store,
      instances: moved.instances,
      busy_cycles: result.store_busy_cycles[store] ?? 0,
      tensors_B: Object.fromEntries(moved.tensors_B),
    })),
  };
}

function sides({ levels }: PeArray): { columns: number; rows: number } {
  return levels.reduce((s, { fanout }) => ({ columns: s.columns * fanout.x, rows: s.rows * fanout.y }), {
    columns: 1,
    rows: 1,
  });
}

/** How often an einsum's tile in the near store is another: trips of its loops in time at the home store. */
function tripsAtHome({ levels: [home, ...nearer] }: EinsumNest, cascade: Cascade): number {
  let trips = 1;
  for (const rank of new Set(home!.loops.map((l) => l.rank))) {
    const size = (loops: EinsumNest['levels'][number]['loops']) =>
      loops.reduce((n, l) => (l.rank === rank ? n * l.size : n), 1);
    const inside = nearer.reduce((n, l) => n * size(l.loops), 1);
    trips *= Math.min(size(home!.loops), Math.ceil(cascade.ranks[rank]! / inside));
  }
  return trips;
}

/** Einsums of one array follow one another in a stage, and stages do. */
function spansOf(nest: Nest, result: NestResult, cascade: Cascade, rounds: number): OccupancySpan[] {
  const spans: OccupancySpan[] = [];
  let start = 0;
  let i = 0;
  nest.stages.forEach(({ nests }, s) => {
    const at = new Map<string, number>();
    for (const own of nests) {
      const { compute_cycles, places } = result.einsums[i++]!;
      const cycles = compute_cycles / rounds;
      const from = at.get(own.unit) ?? start;
      at.set(own.unit, from + cycles);
      const edges = edgesOf(nest, own, cascade);
      spans.push({ unit: own.unit, einsum: own.einsum, stage: s + 1, from, cycles, places, edges });
    }
    start += (result.stages[s]!.cycles * result.epochs) / rounds;
  });
  return spans;
}

function edgesOf(nest: Nest, own: EinsumNest, cascade: Cascade): OccupancySpan['edges'] {
  const loops = [...nest.shared, ...own.levels].flatMap((l) => l.loops);
  return [...new Set(own.levels.flatMap((l) => l.loops.filter((x) => x.spatial).map((x) => x.rank)))]
    .map((rank) => ({
      rank,
      extent: cascade.ranks[rank]!,
      laid: loops.reduce((n, l) => (l.rank === rank ? n * l.size : n), 1),
    }))
    .filter(({ extent, laid }) => laid > extent);
}

function partsOf(unit: string, result: NestResult, store_cycles: number): OccupancyParts {
  if (result.einsums.every((a) => a.unit !== unit))
    return [{ part: 'unused', of: unit, cycles: result.cycles + result.fill_drain_cycles }];
  const parts: OccupancyParts = [];
  const add = (part: OccupancyPart, of: string, cycles: number, stage?: number) => {
    // what is left of the rounding of products is nothing
    if (cycles > 1e-9 * result.cycles) parts.push({ part, of, ...(stage !== undefined && { stage }), cycles });
  };
  for (const a of result.einsums) {
    if (a.unit !== unit) continue;
    const work = a.utilisation * a.cycles;
    const gated = gatedShare(a) * work;
    const filled = (a.places / a.places_all) * a.compute_cycles;
    add('work', a.einsum, work);
    add('gated', a.einsum, gated);
    add('edges', a.einsum, filled - work - gated);
    add('unfilled', a.einsum, a.compute_cycles - filled);
  }
  result.stages.forEach((stage, s) => {
    const waits = stage.cycles - (stage.by_unit[unit] ?? 0);
    const [pacing] = Object.entries(stage.by_unit).sort((x, y) => y[1] - x[1])[0]!;
    if (waits > 0) add('other_array', pacing, waits * result.epochs, s + 1);
  });
  add('reduction', unit, result.stall_cycles);
  add('store', result.bound_by, store_cycles);
  add('fill_drain', unit, result.fill_drain_cycles);
  return parts;
}

/** Points that pass idle, for each that is computed. */
function gatedShare({ sparse_computes: s }: NestAnalysis): number {
  return s && s.actual > 0 ? s.gated / s.actual : 0;
}
