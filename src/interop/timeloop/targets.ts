/**
 * What a mapping or a constraint says of one level: loops in time or over places with their factors and order, and
 * which data spaces it keeps. Permutations list dimensions from the innermost loop outwards; of the loops over places
 * those before `split` lie along x, the rest along y.
 */
import { InputError } from '../../base/errors.js';
import { isNode, namesOf, type Reader, type Value } from './read.js';

export interface Target {
  readonly level: string;
  readonly type: 'temporal' | 'spatial' | 'bypass';
  /** Given factors; 0 stands for whatever is left. */
  readonly factors: Readonly<Record<string, number>>;
  /** Factors that may be at most this. */
  readonly most: Readonly<Record<string, number>>;
  /** Innermost first; those left out are free. */
  readonly permutation: readonly string[] | undefined;
  readonly split: number | undefined;
  readonly keep: readonly string[];
  readonly bypass: readonly string[];
  readonly place: string;
}

export function targetFrom(r: Reader, level: string, ranks: readonly string[], tensors: readonly string[]): Target {
  const named = r.text(['type'], 'temporal');
  const type = named === 'datatype' || named === 'dataspace' || named === 'bypass' ? 'bypass' : named;
  if (type !== 'temporal' && type !== 'spatial' && type !== 'bypass')
    throw new InputError(`type '${named}' is not known (known: temporal, spatial, bypass)`, r.place);
  const factors: Record<string, number> = {};
  const most: Record<string, number> = {};
  for (const { rank, how, value } of factorsOf(r.any('factors'), ranks, r.place))
    (how === '=' ? factors : most)[rank] = value;
  const order = r.any('permutation');
  const permutation =
    order === undefined
      ? undefined
      : namesOf(order, ranks).filter((x) => !['*', 'X', 'Y'].includes(x) || ranks.includes(x));
  for (const rank of permutation ?? [])
    if (!ranks.includes(rank))
      throw new InputError(`permutation names '${rank}', which is no dimension (${ranks.join(', ')})`, r.place);
  const spaces = (key: string) => {
    const value = r.any(key);
    return value === '*' ? [...tensors] : namesOf(value, tensors);
  };
  const target: Target = {
    level,
    type,
    factors,
    most,
    permutation,
    split: r.has('split') ? r.number(['split'], 0) : undefined,
    keep: spaces('keep'),
    bypass: spaces('bypass'),
    place: r.place,
  };
  r.ignore('target', 'name');
  r.done();
  return target;
}

/** "R=3,P=16", "R3 P16", [R=3, P<=4] or a mapping. */
function factorsOf(value: Value | undefined, ranks: readonly string[], place: string) {
  const out: { rank: string; how: '=' | '<='; value: number }[] = [];
  if (value === undefined || value === null) return out;
  const parts = isNode(value)
    ? Object.entries(value).map(([k, v]) => `${k}=${String(v)}`)
    : Array.isArray(value)
      ? value.map(String)
      : String(value)
          .replace(/\s*(<=|>=|=|<|>)\s*/g, '$1')
          .split(/[\s,]+/);
  for (const part of parts) {
    const text = part.trim();
    // "P=4,3": of the last trip 3, which the extent of P says too
    if (text === '' || (/^\d+$/.test(text) && out.length > 0)) continue;
    const m = /^([A-Za-z_]\w*?)\s*(<=|>=|<|>|==?|)\s*(\d+)$/.exec(text);
    const rank = m && ranks.find((x) => x === m[1]);
    if (!m || !rank)
      throw new InputError(`factor '${text}' is not understood (as in R=3; dimensions ${ranks.join(', ')})`, place);
    const how = m[2] === '<=' ? '<=' : '=';
    if (m[2] === '>=' || m[2] === '<' || m[2] === '>')
      throw new InputError(`factor '${text}': only = and <= are known`, place);
    out.push({ rank, how, value: Number(m[3]) });
  }
  return out;
}
