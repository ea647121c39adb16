/**
 * The least words between a backing store and one buffer, for each size of the buffer, over all nests of two levels
 * whose factors divide the ranks (Orojenesis: Huang et al., ISCA 2024). All tensors go through the buffer; a partial
 * result that is put aside is read again, but for the first time.
 */

import { InputError } from '../../base/errors.js';
import type { Cascade, Einsum } from '../../kernel/einsum.js';
import type { EinsumNest } from '../../kernel/nest.js';
import { nestSpace } from '../../kernel/nest-space.js';
import { bareControl, bareCores } from '../../machine/bare.js';
import type { PeArray, ResourceGraph, Store } from '../../machine/graph.js';
import { Candidate, Evaluator } from './candidate.js';
import { enumerate, sizeOf } from './enumerate.js';
import { problemOf } from './problem.js';

export interface FrontierPoint {
  readonly buffer_words: number;
  /** Words read from and written to the backing store. */
  readonly words: number;
  readonly nest: EinsumNest;
}

const BACKING = 'backing';
const BUFFER = 'buffer';
/** Nests that are still tried one by one. */
const MOST = 20e6;

/** By buffer size, ascending; words fall from point to point. @throws InputError when there are too many nests */
export function trafficFrontier(cascade: Cascade, einsum: Einsum): FrontierPoint[] {
  const graph = twoLevels(einsum);
  const array = graph.arrays![0]!;
  const problem = problemOf(cascade, einsum, array, graph);
  const names = problem.tensors.map((t) => t.name);
  const space = nestSpace(problem.ranks, problem.extents, names, array, {
    [BUFFER]: { temporal: { permutation: problem.ranks }, keep: names },
  });
  const size = sizeOf(space, MOST);
  if (size > MOST) throw new InputError(`has more than ${MOST} nests of two levels`, `einsum ${einsum.name}`);
  const evaluator = new Evaluator(problem, space);
  const { core } = evaluator;
  const { K } = core;
  const best = new Map<number, { words: number; nest: EinsumNest }>();
  const start = new Candidate(space.slots.length, problem.ranks.length, 2, K);
  start.keep.fill(1);
  for (const [l, order] of space.order.entries()) start.order.set(order, l * problem.ranks.length);
  enumerate(space, start, (c) => {
    evaluator.run(c);
    let words = 0;
    let buffer = 0;
    for (let k = 0; k < K; k++) {
      words += core.reads[k]! + core.updates[k]!;
      buffer += core.tile[K + k]!;
    }
    const known = best.get(buffer);
    if (!known || words < known.words) best.set(buffer, { words, nest: evaluator.nest(c) });
  });
  const out: FrontierPoint[] = [];
  let least = Number.POSITIVE_INFINITY;
  for (const [buffer_words, { words, nest }] of [...best].sort((a, b) => a[0] - b[0]))
    if (words < least) {
      least = words;
      out.push({ buffer_words, words, nest });
    }
  return out;
}

/** A backing store, a buffer that holds anything, one place of arithmetic. */
function twoLevels(einsum: Einsum): ResourceGraph {
  const store = (id: string): Store => ({
    id,
    scope: 'machine',
    role: id === BACKING ? 'home' : 'explicit',
    capacity_B: Number.POSITIVE_INFINITY,
    read_B_per_s: Number.POSITIVE_INFINITY,
    write_B_per_s: Number.POSITIVE_INFINITY,
    shared_port: false,
    clocked: true,
    latency_s: 0,
    line_B: 1,
    sector_B: 1,
    banks: 1,
    slices: 1,
    sustained_fraction: 1,
    read_pJ_per_B: 0,
    write_pJ_per_B: 0,
    word_B: 1,
  });
  const one = { x: 1, y: 1 };
  const network = { multicast: { x: true, y: true }, reduce: { x: true, y: true }, systolic: false, pJ_per_B: 0 };
  const array: PeArray = {
    unit: 'arithmetic',
    levels: [BACKING, BUFFER].map((id) => ({ id, stores: [id], fanout: one, network })),
  };
  const rate = { per_cycle: 1, latency_cycles: 1, pJ: 0, pipe: 'arithmetic' };
  return {
    name: 'two levels',
    title: 'A backing store and a buffer',
    family: 'none',
    stores: [store(BACKING), store(BUFFER)],
    links: [],
    units: [{ id: 'arithmetic', mma: [], math: Object.fromEntries(Object.keys(einsum.work).map((fn) => [fn, rate])) }],
    cores: bareCores(1),
    control: bareControl(1e9),
    arrays: [array],
    max_peers: 1,
  };
}
