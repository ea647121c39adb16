/**
 * Lays programs on arrays of processing elements: program → cascade → nests → the best by the objective. A product alone
 * is searched over all its nests; what follows it element by element goes to the lanes beside the array; rows that pass
 * several times, and products with a softmax between them, are laid with their einsums in flight together.
 */
import { InfeasibleError } from '../../base/errors.js';
import { cascadeOf, hasCascade, ranksOf } from '../../kernel/cascade.js';
import type { Cascade, Einsum } from '../../kernel/einsum.js';
import type { Program } from '../../kernel/ir.js';
import type { Launch } from '../../kernel/kernel.js';
import type { Objective } from '../../kernel/mapper.js';
import type { EinsumNest, Nest } from '../../kernel/nest.js';
import { fusedNest } from '../../kernel/nest-fused.js';
import { arraysOf, canDo, type FusedLayout, sidesOf } from '../../kernel/nest-layout.js';
import { type PeArray, type ResourceGraph, tileStoreOf } from '../../machine/graph.js';
import type { Context, RunResult } from '../types.js';
import { evaluateNest } from './evaluate.js';
import { runNest } from './run.js';
import { searchNest } from './search.js';

/** Nests that a search for one product works out, at most. */
const EVALUATIONS = 20_000;
/** What is searched for: time alone stands still where one resource sets the pace, energy beside it leads on. */
const AIMS = {
  time: ['time', 'edp'],
  energy: ['energy'],
  edp: ['edp'],
} as const satisfies Record<Objective, readonly Objective[]>;

const cascades = new WeakMap<Program, ReturnType<typeof cascadeOf>>();

/** The cascade of a program, remembered. */
export function knownCascade(program: Program): ReturnType<typeof cascadeOf> {
  let c = cascades.get(program);
  if (!c) {
    c = cascadeOf(program);
    cascades.set(program, c);
  }
  return c;
}

/** Runs a launch whose mapping has nests. */
export function runNestLaunch(launch: Launch, machine: ResourceGraph, context: Context): RunResult {
  const cascade = knownCascade(launch.program);
  if (!hasCascade(cascade)) throw new InfeasibleError(`${launch.program.name}: ${cascade.reason}`);
  return runNest(launch.mapping.nest!, cascade, machine, context);
}

const found = new WeakMap<ResourceGraph, Map<string, Nest | undefined>>();

/** The launch with nests for its program; itself where the machine has no arrays or the program no cascade. */
export function layOut(launch: Launch, machine: ResourceGraph, objective: Objective): Launch {
  if (!machine.arrays || launch.mapping.nest) return launch;
  const cascade = knownCascade(launch.program);
  if (!hasCascade(cascade)) return launch;
  let known = found.get(machine);
  if (!known) found.set(machine, (known = new Map()));
  const key = `${objective}|${contentOf(cascade)}`;
  if (!known.has(key)) known.set(key, best(candidates(cascade, machine, objective), cascade, machine, objective));
  const nest = known.get(key);
  return nest ? { ...launch, mapping: { ...launch.mapping, nest } } : launch;
}

/** What a cascade computes, as text: programs that differ in their tiles alone have one. */
function contentOf({ ranks, until, tensors, einsums }: Cascade): string {
  return JSON.stringify([ranks, until, tensors, einsums.map(({ fn: _, ...e }) => e)]);
}

function best(nests: Iterable<Nest>, cascade: Cascade, machine: ResourceGraph, objective: Objective): Nest | undefined {
  let least = Number.POSITIVE_INFINITY;
  let chosen: Nest | undefined;
  for (const nest of nests) {
    let score: number;
    try {
      const { cycles, energy_pJ } = evaluateNest(nest, cascade, machine);
      score = objective === 'time' ? cycles : objective === 'energy' ? energy_pJ : cycles * energy_pJ;
    } catch (e) {
      if (e instanceof InfeasibleError) continue;
      throw e;
    }
    if (score < least) {
      least = score;
      chosen = nest;
    }
  }
  return chosen;
}

const isProduct = (e: Einsum): boolean => e.reduce === 'sum' && e.ins.length === 2 && !e.fn;

function* candidates(cascade: Cascade, machine: ResourceGraph, objective: Objective): Iterable<Nest> {
  const products = cascade.einsums.filter(isProduct);
  if (products.length > 1) yield* tried(fusedProducts(cascade, products), cascade, machine);
  else if (products.length === 1) yield* productAlone(cascade, products[0]!, machine, objective);
  else yield* tried(rowWise(cascade, machine), cascade, machine);
}

function* tried(layouts: Iterable<FusedLayout>, cascade: Cascade, machine: ResourceGraph): Iterable<Nest> {
  for (const layout of layouts)
    try {
      yield fusedNest(cascade, machine, layout);
    } catch (e) {
      if (!(e instanceof InfeasibleError)) throw e;
    }
}

/** Ranks whose turns hand values on. */
const handedOn = (c: Cascade): Set<string> =>
  new Set(
    c.einsums.flatMap((e) => e.out.at.flatMap((x) => (x.offset && x.terms.length === 1 ? [x.terms[0]!.rank] : []))),
  );

const inAll = (c: Cascade, r: string): boolean => c.einsums.every((e) => e.ranks.includes(r));

/** Products one after another: what the first makes and the last sums lies down the rows. */
function* fusedProducts(cascade: Cascade, products: readonly Einsum[]): Iterable<FusedLayout> {
  const first = products[0]!;
  const last = products.at(-1)!;
  const [block] = handedOn(cascade);
  const down = ranksOf(first.out).find((r) => r !== block && !ranksOf(last.out).includes(r));
  for (const across of ranksOf(last.out).filter((r) => r !== block && inAll(cascade, r))) {
    const outer = Object.keys(cascade.ranks).filter((r) => r !== across && r !== block && inAll(cascade, r));
    yield {
      outer,
      across,
      width: cascade.ranks[across]!,
      ...(down && { down }),
      ...(block && { block }),
      interleaved: true,
    };
  }
}

/** Ranks that every einsum has and none reduces: tiles of them are independent. */
const isFree = (c: Cascade, r: string): boolean => c.einsums.every((e) => ranksOf(e.out).includes(r));

/** Lanes across any rank: tiles of it in turn where they are independent, the whole of it otherwise. */
function* rowWise(cascade: Cascade, machine: ResourceGraph): Iterable<FusedLayout> {
  const { x, y } = sidesOf(arraysOf(machine).lanes);
  const [block] = handedOn(cascade);
  for (const [across, extent] of Object.entries(cascade.ranks)) {
    if (across === block || !inAll(cascade, across)) continue;
    const outer = Object.keys(cascade.ranks).filter((r) => r !== across && r !== block && isFree(cascade, r));
    const width = isFree(cascade, across) ? Math.min(x * y, extent) : extent;
    yield { outer, across, width, ...(block && { block }), group: 1, interleaved: true };
  }
}

/** The product on the array that is best for it; functions of its results on the lanes as they come. */
function* productAlone(
  cascade: Cascade,
  product: Einsum,
  machine: ResourceGraph,
  objective: Objective,
): Iterable<Nest> {
  // a search goes over nests whose trips are all taken
  if (cascade.until) return;
  const rest = cascade.einsums.filter((e) => e !== product);
  const { lanes } = arraysOf(machine);
  const laid: EinsumNest[] = [];
  for (const e of rest) {
    if (e.reduce !== 'none' || !canDo(machine, lanes, e, cascade)) return;
    laid.push(onLanes(e, cascade, lanes, machine));
  }
  // tensors made and used here wait in the shared store
  const alone: Cascade = {
    ...cascade,
    einsums: [product],
    tensors: cascade.tensors.map((t) => ({ ...t, home: true })),
  };
  // lanes beside an array with rows are for what that cannot do
  const { matrix } = arraysOf(machine);
  const arrays = machine.arrays!.filter((a) => canDo(machine, a, product, cascade));
  for (const array of matrix && arrays.includes(matrix) ? [matrix] : arrays) {
    for (const shape of new Set([alone, padded(alone, array)]))
      for (const aim of AIMS[objective]) {
        let own: EinsumNest;
        try {
          own = searchNest(shape, product, machine, array.unit, { objective: aim, evaluations: EVALUATIONS }).nest;
        } catch (e) {
          if (e instanceof InfeasibleError) continue;
          throw e;
        }
        yield { shared: [], stages: [{ nests: [withoutHome(own, cascade, machine), ...laid] }] };
      }
  }
}

/** Ranks larger than a side of the array rounded up to whole sides. */
function padded(cascade: Cascade, array: PeArray): Cascade {
  const { x, y } = sidesOf(array);
  const side = Math.max(x, y);
  const up = (n: number) => (n > side ? Math.ceil(n / side) * side : n);
  if (Object.values(cascade.ranks).every((n) => up(n) === n)) return cascade;
  return { ...cascade, ranks: Object.fromEntries(Object.entries(cascade.ranks).map(([r, n]) => [r, up(n)])) };
}

/** Keeps what is made and used within the cascade in the shared store instead of the home store. */
function withoutHome(nest: EinsumNest, cascade: Cascade, machine: ResourceGraph): EinsumNest {
  const inner = cascade.tensors.filter((t) => !t.home).map((t) => t.name);
  if (inner.length === 0) return nest;
  const near = tileStoreOf(machine)!.id;
  const [home, shared, ...levels] = nest.levels;
  const keeps = Object.fromEntries(Object.entries(home!.keeps).filter(([t]) => !inner.includes(t)));
  const here = inner.filter((t) => home!.keeps[t] !== undefined);
  return {
    ...nest,
    levels: [
      { ...home!, keeps },
      {
        ...shared!,
        keeps: { ...shared!.keeps, ...Object.fromEntries(here.map((t) => [t, shared!.keeps[t] ?? near])) },
      },
      ...levels,
    ],
  };
}

/** One element after another, as many at once as there are lanes. */
function onLanes(e: Einsum, cascade: Cascade, lanes: PeArray, machine: ResourceGraph): EinsumNest {
  const near = tileStoreOf(machine)!.id;
  const own = lanes.levels.findIndex((l) => l.stores.includes(near));
  const nearest = lanes.levels.findLastIndex((l) => l.stores.length > 0);
  const { x, y } = lanes.levels[own]!.fanout;
  const sorted = [...e.ranks].sort((a, b) => cascade.ranks[b]! - cascade.ranks[a]!);
  const size = (r: string | undefined, places: number) => (r === undefined ? 1 : Math.min(cascade.ranks[r]!, places));
  const across = size(sorted[0], x);
  const down = size(sorted[1], y);
  const time = e.ranks.map((rank) => {
    const places = rank === sorted[0] ? across : rank === sorted[1] ? down : 1;
    return { rank, size: Math.ceil(cascade.ranks[rank]! / places) };
  });
  const all = [...e.ins, e.out].map((a) => cascade.tensors.find((t) => t.name === a.tensor)!);
  const home = Object.fromEntries(all.filter((t) => t.home).map((t) => [t.name, lanes.levels[0]!.stores[0]!]));
  const inner = Object.fromEntries(all.filter((t) => !t.home).map((t) => [t.name, near]));
  const [store] = lanes.levels[nearest]!.stores;
  return {
    einsum: e.name,
    unit: lanes.unit,
    levels: lanes.levels.map((l, i) => ({
      level: l.id,
      // tensors handed on are never whole in the shared store: time is outside it
      loops: [
        ...(i === 0 ? time : []),
        ...(i === own && sorted[0] !== undefined && across > 1
          ? [{ rank: sorted[0], size: across, spatial: 'x' as const }]
          : []),
        ...(i === own && sorted[1] !== undefined && down > 1
          ? [{ rank: sorted[1], size: down, spatial: 'y' as const }]
          : []),
      ],
      keeps:
        i === 0 ? home : i === own ? inner : i === nearest ? Object.fromEntries(all.map((t) => [t.name, store!])) : {},
    })),
  };
}
