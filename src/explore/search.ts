/**
 * Which points of a space are evaluated, and in which order. A search yields batches of point ids and is given the rows
 * of each before it must say the next, so searchers that learn from results fit the same interface. It sees rows in
 * the order it asked for them and nothing else, hence decides the same for any number of workers and after a resume.
 */
import { unknownName } from '../base/errors.js';
import type { Row } from './evaluate.js';
import { nsga2 } from './nsga2.js';
import { sample } from './sample.js';
import type { Space } from './space.js';

export const SEARCHES = ['grid', 'random', 'nsga2'] as const;
export type SearchName = (typeof SEARCHES)[number];

/** Point ids, made when asked for: a grid may have billions. */
export interface Batch {
  readonly length: number;
  at(i: number): number;
}

export interface SearchOptions {
  readonly seed: number;
  /** Points to evaluate at most; the whole grid when absent. */
  readonly points?: number;
}

export type Search = (space: Space, options: SearchOptions) => Generator<Batch, void, readonly Row[]>;

export const SEARCH = {
  /** Every point, in order. */
  *grid(space, { points }) {
    yield { length: Math.min(points ?? space.size, space.size), at: (i) => i };
  },
  /** Different points drawn uniformly, in the order drawn. */
  *random(space, { seed, points }) {
    const drawn = sample(space.size, Math.min(points ?? space.size, space.size), seed);
    yield { length: drawn.length, at: (i) => drawn[i]! };
  },
  /** Bred towards the Pareto front. */
  nsga2: (space, options) => nsga2(space, options),
} as const satisfies Record<SearchName, Search>;

/** Throws InputError that lists what there is. */
export function searchNamed(name: string): SearchName {
  if ((SEARCHES as readonly string[]).includes(name)) return name as SearchName;
  throw unknownName('search', name, SEARCHES);
}
