/** A pebbling of one small op: its graph, the optimal play where the search proves one, a good play elsewhere. */
import { InputError } from '../../base/errors.js';
import type { Op } from '../../workload/op.js';
import { leastIo } from '../least-io.js';
import type { Pebbling } from '../result.js';
import { attentionDag, type Dag, fftDag, leastNear, matmulDag, reductionDag } from './dag.js';
import { costOf, type Move, replay } from './game.js';
import { goodPlay } from './heuristic.js';
import { optimalPlay } from './optimal.js';

/** More values than this make no table that anyone reads. */
const MOST_VALUES = 400;
const SEARCHABLE = 26;

/** The graph of an op, values of one width. @throws InputError when there is none, or it is too large */
export function dagOf(op: Op): Dag {
  const small = (values: number, make: () => Dag): Dag => {
    if (values > MOST_VALUES)
      throw new InputError(`${values} values are too many for a pebble game; at most ${MOST_VALUES}`, '--pebble');
    return make();
  };
  switch (op.kind) {
    case 'matmul':
      return small(op.m * op.n * op.k + op.m * op.k + op.k * op.n, () => matmulDag(op.m, op.n, op.k));
    case 'attention': {
      const { q_len: n, head_dim: d } = op;
      if (op.batch * op.heads > 1 || op.causal || op.kv_len !== n)
        throw new InputError('the graph of attention is that of one head, without a mask, q_len = kv_len', '--pebble');
      return small(n * n * (2 * d + 1) + 4 * n * d, () => attentionDag(n, d));
    }
    case 'fft':
      if (op.batch > 1) throw new InputError('the graph of fft is that of one transform', '--pebble');
      return small(op.n * (Math.log2(op.n) + 1), () => fftDag(op.n));
    case 'reduce':
      return small(2 * op.cols, () => reductionDag(op.cols));
    default:
      throw new InputError(`no graph of ${op.kind}; known: matmul, attention, reduce, fft`, '--pebble');
  }
}

/** `near`: values that fit; `bound`: the formula's figure in values. */
export function pebblingOf(dag: Dag, near: number, bound: number): Pebbling {
  if (near < leastNear(dag))
    throw new InputError(`needs ${leastNear(dag)} values near, the capacity holds ${near}`, dag.name);
  const best = dag.labels.length <= SEARCHABLE ? optimalPlay(dag, near) : undefined;
  const moves: readonly Move[] = best?.proven ? best.moves : goodPlay(dag, near, 4000);
  const frames = replay(dag, near, moves);
  const least = best?.cost ?? Math.ceil(Math.max(bound, 0));
  const name = (v: number) => dag.labels[v]!;
  return {
    graph: dag.name,
    values: dag.labels.length,
    near,
    bound,
    cost: costOf(moves),
    proven: best?.proven === true || costOf(moves) <= least,
    at_least: least,
    frames: frames.map(({ move, cost: sofar, red, blue }) => ({
      move: move.kind,
      value: name(move.vertex) + (move.onto === undefined ? '' : ` in place of ${name(move.onto)}`),
      cost: sofar,
      near: red.map(name),
      far: blue.map(name),
    })),
  };
}

/** The bound of an op on values of one width, `near` of which fit. */
export const boundInValues = (op: Op, near: number, width_B: number): number =>
  leastIo(op, near * width_B).bytes / width_B;
