/** The kinds of iteration of a level: for each dimension the first, the steady ones and the incomplete last. */
import type { Level } from './levels.js';

export interface DimState {
  readonly position: 'init' | 'steady' | 'edge';
  readonly times: number;
  /** All of the dimension is there at once. */
  readonly unrolled: boolean;
  /** Less is there than the directive asks for. */
  readonly partial: boolean;
  /** The last place that works holds less than the others. */
  readonly ragged: boolean;
}

export interface Case {
  readonly states: readonly DimState[];
  readonly times: number;
}

/** All cases of a level that works on `dims`; the first is the first iteration of all. */
export function casesOf(level: Level, dims: ReadonlyMap<string, number>): Case[] {
  let cases: Case[] = [{ states: [], times: 1 }];
  for (const { kind, dim, size, offset } of level.directives) {
    const n = dims.get(dim)!;
    const states = kind === 'temporal' ? inTime(n, size, offset) : inSpace(n, size, offset, level.places);
    cases = cases.flatMap((c) => states.map((s) => ({ states: [...c.states, s], times: c.times * s.times })));
  }
  return cases;
}

function inTime(n: number, size: number, offset: number): DimState[] {
  const steady = Math.floor(Math.max(0, n - size) / offset);
  return statesOf(n, size, steady, steady * offset + size < n, false);
}

function inSpace(n: number, size: number, offset: number, places: number): DimState[] {
  const round = offset * places;
  const coverage = size + offset * (places - 1);
  if (n <= coverage) return statesOf(n, coverage, 0, false, false);
  const rounds = Math.floor((Math.floor((n - size) / offset) + 1) / places);
  const left = n - rounds * round;
  const edge = rounds * round + coverage > n && (rounds - 1) * round + coverage !== n;
  const whole = left < size ? 1 : Math.floor((left - size) / offset) + 1;
  return statesOf(n, coverage, rounds - 1, edge, (whole - 1) * offset + size < left);
}

function statesOf(n: number, covered: number, steady: number, edge: boolean, ragged: boolean): DimState[] {
  const partial = n < covered;
  const states: DimState[] = [{ position: 'init', times: 1, unrolled: n <= covered, partial, ragged: partial }];
  const later = { unrolled: false, partial: false, ragged: false };
  if (steady > 0) states.push({ ...later, position: 'steady', times: steady });
  if (edge) states.push({ ...later, position: 'edge', times: 1, partial: true, ragged });
  return states;
}
