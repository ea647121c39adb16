/**
 * Which nests of one einsum on one array may be tried: slots (a level in time, or across its places along x or y) that
 * take factors of the ranks, orders of loops in time, and which tensors each level may keep.
 */
import { InputError } from '../base/errors.js';
import type { PeArray } from '../machine/graph.js';

/** What is fixed of one level's loops in time or over places. */
export interface SlotRule {
  /** Exact factors. 0: whatever is left. */
  readonly factors?: Readonly<Record<string, number>>;
  /** Largest factors. */
  readonly most?: Readonly<Record<string, number>>;
  /** Ranks from the innermost loop outwards; those left out lie outside them, in any order. */
  readonly permutation?: readonly string[];
  /** Over places: as many ranks of the permutation lie along x, the rest along y. Free when absent. */
  readonly split?: number;
}

export interface LevelRule {
  readonly temporal?: SlotRule;
  readonly spatial?: SlotRule;
  readonly keep?: readonly string[];
  readonly bypass?: readonly string[];
}

/** By level id. */
export type NestRules = Readonly<Record<string, LevelRule>>;

export type SlotKind = 'time' | 'x' | 'y';

export interface Slot {
  readonly level: number;
  readonly kind: SlotKind;
  /** Most places; Infinity in time. */
  readonly places: number;
}

export interface NestSpace {
  readonly slots: readonly Slot[];
  /** Per rank and slot: factor that is fixed there (1 when the slot is closed to the rank), or 0 when it is free. */
  readonly fixed: readonly Int32Array[];
  /** Per rank and slot: the largest factor. */
  readonly most: readonly Float64Array[];
  /** Per rank: prime factors to be put into free slots, and the slots that are free. */
  readonly primes: readonly (readonly number[])[];
  readonly free: readonly (readonly number[])[];
  /** Per level: ranks innermost first; the first `pinned` stay where they are. */
  readonly order: readonly (readonly number[])[];
  readonly pinned: readonly number[];
  /** Per level, over places: the order of the ranks innermost first (it numbers the places). */
  readonly across: readonly (readonly number[])[];
  /** Per level and tensor: 1 keep, 0 bypass, −1 free. */
  readonly keep: readonly Int8Array[];
}

/** @throws InputError when fixed factors do not divide a rank, or no slot is left for the rest */
export function nestSpace(
  ranks: readonly string[],
  extents: ArrayLike<number>,
  tensors: readonly string[],
  array: PeArray,
  rules: NestRules,
): NestSpace {
  const slots: Slot[] = [];
  array.levels.forEach(({ fanout }, level) => {
    slots.push({ level, kind: 'time', places: Number.POSITIVE_INFINITY });
    if (fanout.x > 1) slots.push({ level, kind: 'x', places: fanout.x });
    if (fanout.y > 1) slots.push({ level, kind: 'y', places: fanout.y });
  });
  const ruleOf = (l: number): LevelRule => rules[array.levels[l]!.id] ?? {};
  const fixed: Int32Array[] = [];
  const most: Float64Array[] = [];
  const primes: number[][] = [];
  const free: number[][] = [];
  ranks.forEach((rank, r) => {
    const f = new Int32Array(slots.length);
    const m = new Float64Array(slots.length).fill(Number.POSITIVE_INFINITY);
    let left = extents[r]!;
    slots.forEach(({ level, kind, places }, s) => {
      const rule = kind === 'time' ? ruleOf(level).temporal : ruleOf(level).spatial;
      m[s] = Math.min(places, rule?.most?.[rank] ?? Number.POSITIVE_INFINITY);
      const along = kind === 'time' || alongOf(rank, rule, ranks) !== (kind === 'x' ? 'y' : 'x');
      const given = rule?.factors?.[rank];
      if (!along) f[s] = 1;
      else if (given !== undefined && given !== 0) {
        // an exact factor over places goes along x where either would do
        const twin = kind === 'y' && slots[s - 1]?.kind === 'x' && f[s - 1] === given && given > 1;
        f[s] = twin ? 1 : given;
        left /= f[s]!;
      }
    });
    if (!Number.isInteger(left))
      throw new InputError(`fixed factors of ${rank} do not divide its extent ${extents[r]}`, `constraints on ${rank}`);
    const open = slots.flatMap((_, s) => (f[s] === 0 ? [s] : []));
    if (left > 1 && open.length === 0)
      throw new InputError(
        `fixed factors of ${rank} leave ${left} of ${extents[r]} to no loop`,
        `constraints on ${rank}`,
      );
    fixed.push(f);
    most.push(m);
    primes.push(primesOf(left));
    free.push(open);
  });
  const order: number[][] = [];
  const pinned: number[] = [];
  const across: number[][] = [];
  const keep: Int8Array[] = [];
  array.levels.forEach((level, l) => {
    const rule = ruleOf(l);
    const first = (rule.temporal?.permutation ?? []).map((x) => ranks.indexOf(x)).filter((x) => x >= 0);
    order.push([...first, ...ranks.map((_, r) => r).filter((r) => !first.includes(r))]);
    pinned.push(first.length);
    const s = (rule.spatial?.permutation ?? []).map((x) => ranks.indexOf(x)).filter((x) => x >= 0);
    across.push([...s, ...ranks.map((_, r) => r).filter((r) => !s.includes(r))]);
    keep.push(
      Int8Array.from(tensors, (t) =>
        rule.bypass?.includes(t) || level.stores.length === 0 ? 0 : rule.keep?.includes(t) || l === 0 ? 1 : -1,
      ),
    );
  });
  return { slots, fixed, most, primes, free, order, pinned, across, keep };
}

/** The direction a rank is bound to by the split of its permutation. */
function alongOf(rank: string, rule: SlotRule | undefined, ranks: readonly string[]): 'x' | 'y' | undefined {
  if (rule?.split === undefined) return undefined;
  const order = [...(rule.permutation ?? []), ...ranks.filter((r) => !rule.permutation?.includes(r))];
  return order.indexOf(rank) < rule.split ? 'x' : 'y';
}

export function primesOf(n: number): number[] {
  const out: number[] = [];
  let left = n;
  for (let p = 2; p * p <= left; p++)
    while (left % p === 0) {
      out.push(p);
      left /= p;
    }
  if (left > 1) out.push(left);
  return out;
}
