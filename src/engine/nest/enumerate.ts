/** All candidates of a space, one after another in one record. */
import type { NestSpace } from '../../kernel/nest-space.js';
import type { Candidate } from './candidate.js';

/** How many candidates there are, or more than `enough`: an upper bound, since orders of loops of one trip are alike. */
export function sizeOf(space: NestSpace, enough: number): number {
  let size = 1;
  for (let r = 0; r < space.primes.length && size <= enough; r++) size *= splits(space, r).length;
  for (let l = 0; l < space.order.length && size <= enough; l++)
    for (let n = looping(space, l).length; n > 1; n--) size *= n;
  for (const level of space.keep) for (const k of level) if (k < 0) size *= 2;
  return size;
}

/** Calls `each` with every candidate that keeps within places and largest factors. */
export function enumerate(space: NestSpace, c: Candidate, each: (c: Candidate) => void): void {
  const R = c.ranks;
  const factors = space.primes.map((_, r) => splits(space, r));
  const fixed = space.fixed.map((f) => Array.from(f, (x) => x || 1));
  const free = space.keep.flatMap((level, l) => [...level].flatMap((k, t) => (k < 0 ? [l * level.length + t] : [])));
  const orders = (l: number) => {
    if (l === space.order.length) {
      for (let bits = 0; bits < 2 ** free.length; bits++) {
        for (const [i, at] of free.entries()) c.keep[at] = (bits >> i) & 1;
        each(c);
      }
      return;
    }
    const time = space.slots.findIndex((s) => s.level === l && s.kind === 'time');
    const ranks = looping(space, l).filter((r) => c.factor[time * R + r]! > 1);
    const rest = space.order[l]!.filter((r) => !ranks.includes(r));
    for (const p of permutations(ranks)) {
      // loops that are pinned or of one trip lie inside
      c.order.set([...rest, ...p], l * R);
      orders(l + 1);
    }
  };
  const rank = (r: number) => {
    if (r === R) return orders(0);
    for (const split of factors[r]!) {
      let ok = true;
      space.slots.forEach((slot, s) => {
        const size = fixed[r]![s]! * split[s]!;
        c.factor[s * R + r] = size;
        if (size > space.most[r]![s]!) ok = false;
        if (slot.places < Number.POSITIVE_INFINITY) {
          let used = 1;
          for (let x = 0; x <= r; x++) used *= c.factor[s * R + x]!;
          if (used > slot.places) ok = false;
        }
      });
      if (ok) rank(r + 1);
    }
  };
  rank(0);
}

/** Ranks whose place in the order of a level is free. */
const looping = (space: NestSpace, l: number): number[] => {
  const time = space.slots.findIndex((s) => s.level === l && s.kind === 'time');
  return space.order[l]!.slice(space.pinned[l]!).filter(
    (r) => space.free[r]!.includes(time) || space.fixed[r]![time]! > 1,
  );
};

const known = new WeakMap<NestSpace, Map<number, number[][]>>();

/** The ways to put a rank's primes into its free slots: a factor per slot. */
function splits(space: NestSpace, r: number): number[][] {
  const memo = known.get(space) ?? new Map<number, number[][]>();
  known.set(space, memo);
  const found = memo.get(r);
  if (found) return found;
  let out = [space.slots.map(() => 1)];
  const primes = space.primes[r]!;
  for (let i = 0; i < primes.length; ) {
    const p = primes[i]!;
    let n = 0;
    while (primes[i + n] === p) n++;
    i += n;
    const shares = compositions(n, space.free[r]!.length);
    out = out.flatMap((base) =>
      shares.map((share) => {
        const next = [...base];
        for (const [j, power] of share.entries()) next[space.free[r]![j]!]! *= p ** power;
        return next;
      }),
    );
  }
  memo.set(r, out);
  return out;
}

/** Ways to write n as an ordered sum of `parts` whole numbers. */
function compositions(n: number, parts: number): number[][] {
  if (parts === 0) return n === 0 ? [[]] : [];
  if (parts === 1) return [[n]];
  return Array.from({ length: n + 1 }, (_, first) =>
    compositions(n - first, parts - 1).map((rest) => [first, ...rest]),
  ).flat();
}

function* permutations(items: readonly number[]): Generator<number[]> {
  if (items.length < 2) yield [...items];
  else
    for (const [i, first] of items.entries())
      for (const rest of permutations(items.filter((_, j) => j !== i))) yield [first, ...rest];
}
