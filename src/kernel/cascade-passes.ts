/**
 * How often a cascade must go over a rank. An einsum that needs what another found over the whole of the rank (a maximum, a
 * sum) cannot start before that one has ended: it is in a later pass. What is made in one pass and used in a later one, and
 * has the rank, must be kept whole, made again or put away: its live footprint grows with the rank (Nayak et al., MICRO'24,
 * after the analysis of Einsum cascades by passes).
 */
import { bytesOf } from '../base/dtype.js';
import { InputError, unknownName } from '../base/errors.js';
import { ranksOf } from './cascade.js';
import type { Access, Cascade, Einsum } from './einsum.js';

export interface Passes {
  /** The rank, with the ranks of its blocks and of what lies in a block. */
  readonly ranks: readonly string[];
  readonly count: number;
  /** From 0; einsums that do not go over the rank are left out. */
  readonly of: ReadonlyMap<string, number>;
  /** Tensors that live from one pass to a later one, and their bytes per element of the rank, all other ranks whole. */
  readonly kept: readonly {
    readonly tensor: string;
    readonly from: number;
    readonly to: number;
    readonly B_per_element: number;
  }[];
  /** What is handed on from block to block, whatever the rank's extent: bytes for one of each rank outside. */
  readonly state_B: number;
}

/**
 * @param within the rank alone: passes over a block, where the rank lies within blocks
 * @throws InputError when no rank has this name
 */
export function passesOf(cascade: Cascade, rank: string, within = false): Passes {
  if (cascade.ranks[rank] === undefined) throw unknownName('rank', rank, Object.keys(cascade.ranks), cascade.name);
  const ranks = within ? [rank] : familyOf(cascade, rank);
  const over = (names: readonly string[]) => names.some((r) => ranks.includes(r));
  /** Along the rank (an element, a block's state) or past it (found over the whole). */
  const whole = (a: Access) => !over(ranksOf(a));
  const makers = new Map<string, Einsum[]>();
  for (const e of cascade.einsums) makers.set(e.out.tensor, [...(makers.get(e.out.tensor) ?? []), e]);
  const done = new Map<string, number>();
  const walking = new Set<string>();
  /** Pass that an einsum is in, or, where it does not go over the rank, the passes that are over before it. */
  const passOf = (e: Einsum): number => {
    const known = done.get(e.name);
    if (known !== undefined) return known;
    if (walking.has(e.name)) return 0;
    walking.add(e.name);
    let pass = 0;
    for (const a of [...e.ins, ...(e.init ? [e.init] : [])])
      for (const m of makers.get(a.tensor) ?? []) {
        if (m === e) continue;
        const before = passOf(m);
        // what a later einsum reads past the rank was found over the whole of it
        const found = over(m.ranks) && whole(a) && (whole(m.out) || m.out.at.some((c) => c.offset !== undefined));
        pass = Math.max(pass, before + (found ? 1 : 0));
      }
    walking.delete(e.name);
    done.set(e.name, pass);
    return pass;
  };
  for (const e of cascade.einsums) passOf(e);
  const going = cascade.einsums.filter((e) => over(e.ranks));
  if (going.length === 0) throw new InputError(`no einsum goes over rank ${rank}`, cascade.name);
  const of = new Map(going.map((e) => [e.name, done.get(e.name)!]));
  const kept: Passes['kept'][number][] = [];
  let state_B = 0;
  for (const t of cascade.tensors) {
    const [maker] = makers.get(t.name) ?? [];
    const users = going.filter((e) => e.ins.some((a) => a.tensor === t.name));
    const access = [...going.flatMap((e) => [e.out, ...e.ins])].find((a) => a.tensor === t.name);
    if (!access || users.length === 0) continue;
    const others = ranksOf(access).filter((r) => !ranks.includes(r));
    const each_B = others.reduce((n, r) => n * (outside(cascade, r) ? 1 : cascade.ranks[r]!), 1) * bytesOf(t.dtype);
    if (t.start !== undefined) state_B += each_B;
    if (!over(ranksOf(access)) || t.start !== undefined) continue;
    const from = maker ? of.get(maker.name)! : Math.min(...users.map((e) => of.get(e.name)!));
    const to = Math.max(...users.map((e) => of.get(e.name)!));
    if (to > from) kept.push({ tensor: t.name, from, to, B_per_element: each_B });
  }
  return { ranks, count: Math.max(...of.values()) + 1, of, kept, state_B };
}

/** Ranks that every einsum has: loops over them can lie outside everything. */
const outside = (c: Cascade, r: string): boolean => c.einsums.every((e) => e.ranks.includes(r));

/** A rank of blocks and the rank within its blocks are one: they stand together in a coordinate. */
function familyOf(cascade: Cascade, rank: string): string[] {
  const family = new Set([rank]);
  for (const e of cascade.einsums)
    for (const a of [e.out, ...e.ins])
      for (const { terms } of a.at) {
        const stride = new Map(terms.map((t) => [t.rank, t.stride]));
        if (terms.length !== 2) continue;
        const [far, near] = [...terms].sort((x, y) => y.stride - x.stride);
        if (far!.stride !== cascade.ranks[near!.rank]! * near!.stride) continue;
        if (stride.has(rank)) for (const t of terms) family.add(t.rank);
      }
  return [...family];
}
