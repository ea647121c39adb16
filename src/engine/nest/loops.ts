/** Loops of one mapping as typed arrays, outermost first; a level's loops over places come after its loops in time. */
import { InputError } from '../../base/errors.js';
import type { EinsumNest, NestLevel } from '../../kernel/nest.js';
import type { Problem } from './problem.js';
import type { Visits } from './visits.js';

export const TIME = 0;
export const ACROSS_X = 1;
export const ACROSS_Y = 2;

export class Loops {
  n = 0;
  readonly rank: Int32Array;
  readonly size: Int32Array;
  readonly level: Int32Array;
  /** TIME, ACROSS_X or ACROSS_Y. */
  readonly kind: Uint8Array;
  /** Per level and tensor: whether the level keeps it. */
  readonly keep: Uint8Array;
  /** Where trips are left out. */
  visits: Visits | undefined;

  constructor(
    readonly levels: number,
    readonly tensors: number,
    most: number,
  ) {
    this.rank = new Int32Array(most);
    this.size = new Int32Array(most);
    this.level = new Int32Array(most);
    this.kind = new Uint8Array(most);
    this.keep = new Uint8Array(levels * tensors);
  }

  push(rank: number, size: number, level: number, kind: number): void {
    const i = this.n++;
    this.rank[i] = rank;
    this.size[i] = size;
    this.level[i] = level;
    this.kind[i] = kind;
  }
}

/** A nest's loops, with those shared by all einsums outside its own. The nest has been checked. */
export function loopsOf(problem: Problem, nest: EinsumNest, shared: readonly NestLevel[] = []): Loops {
  const { levels } = problem.array;
  const ranks = new Map(problem.ranks.map((r, i) => [r, i]));
  const all = [...shared, ...nest.levels];
  const loops = new Loops(
    levels.length,
    problem.tensors.length,
    all.reduce((n, l) => n + l.loops.length, 0),
  );
  for (let l = 0; l < levels.length; l++) {
    const here = all.filter((x) => x.level === levels[l]!.id);
    for (const spatial of [false, true])
      for (const { loops: own } of here)
        for (const { rank, size, spatial: along } of own) {
          if ((along !== undefined) !== spatial || size === 1) continue;
          // an einsum that lacks the rank of a shared loop is done once for all of its trips
          const r = ranks.get(rank);
          if (r === undefined) continue;
          loops.push(r, size, l, along === undefined ? TIME : along === 'x' ? ACROSS_X : ACROSS_Y);
        }
    problem.tensors.forEach((t, k) => {
      if (here.some((x) => x.keeps[t.name] !== undefined)) loops.keep[l * problem.tensors.length + k] = 1;
    });
  }
  if (problem.tensors.some((_, k) => levels.every((__, l) => !loops.keep[l * problem.tensors.length + k])))
    throw new InputError(`einsum ${nest.einsum}: a tensor is kept at no level`);
  return loops;
}
