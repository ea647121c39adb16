/** Where the tensors of einsums in flight together are kept, and which are taken as they are made. */
import type { PeArray } from '../machine/graph.js';
import { ranksOf } from './cascade.js';
import type { Cascade, Einsum } from './einsum.js';
import { type FusedLayout, sidesOf } from './nest-layout.js';

/** A layout with what follows from it. */
export interface Laid extends FusedLayout {
  /** The rank that passes go over: within a block where there are blocks. */
  readonly key: string | undefined;
  /** Whether a tile is wider than the lanes, so that they take it in turns. */
  readonly turns: boolean;
}

export type Place = 'home' | 'near' | 'element';

/** Where each tensor is kept: in the home store, the shared store, or the elements. */
export function placement(
  cascade: Cascade,
  on: ReadonlyMap<string, PeArray>,
  layout: Laid,
  passes: ReadonlyMap<string, number>,
): ReadonlyMap<string, Place> {
  const out = new Map<string, Place>();
  const { block } = layout;
  for (const t of cascade.tensors) {
    const makers = cascade.einsums.filter((e) => e.out.tensor === t.name);
    const users = cascade.einsums.filter((e) => readsOf(e).includes(t.name));
    const all = [...makers, ...users];
    const oneArray = new Set(all.map((e) => on.get(e.name))).size === 1;
    const direct = layout.direct?.has(t.name) === true;
    if (t.home) out.set(t.name, 'home');
    else if (block !== undefined) {
      const lives =
        t.start !== undefined || all.some((e) => e.ranks.includes(block) && !ranksOfTensor(t.name, e).includes(block));
      out.set(t.name, !lives && (oneArray || direct) ? 'element' : 'near');
    } else {
      // what is used as it comes needs no place; what is one number of a row stays where it is made
      const passing = users.every((e) => onTheFly(t.name, e, cascade, on, layout, passes));
      const scalar =
        oneArray &&
        all.every((e) => e.ranks.filter((r) => innerTo(layout, r)).every((r) => !ranksOfTensor(t.name, e).includes(r)));
      const parts = makers.some((e) => inParts(e, layout, on.get(e.name)!));
      out.set(
        t.name,
        (passing || scalar) && !parts ? 'element' : layout.spill && hasKey(t.name, all, layout) ? 'home' : 'near',
      );
    }
  }
  return out;
}

export const readsOf = (e: Einsum): string[] => [...e.ins, ...(e.init ? [e.init] : [])].map((a) => a.tensor);
const innerTo = (layout: Laid, r: string): boolean =>
  (layout.turns || r !== layout.across) && !layout.outer.includes(r);
export const hasKey = (name: string, all: readonly Einsum[], { key }: Laid): boolean =>
  key !== undefined && all.some((e) => ranksOfTensor(name, e).includes(key));

/** Whether places across hold parts of a result that no wire combines: they meet in the shared store. */
const inParts = (e: Einsum, layout: Laid, a: PeArray): boolean =>
  e.reduce !== 'none' &&
  e.ranks.includes(layout.across) &&
  !ranksOf(e.out).includes(layout.across) &&
  a.levels.some((l) => l.fanout.x > 1 && !l.network.reduce.x);

/** Whether lanes take values as they are made, in the pass that makes them; what is put away passes arrays' edges too. */
export function onTheFly(
  name: string,
  e: Einsum,
  cascade: Cascade,
  on: ReadonlyMap<string, PeArray>,
  layout: Laid,
  passes: ReadonlyMap<string, number>,
): boolean {
  const maker = cascade.einsums.find((x) => x.out.tensor === name);
  // what is handed on from block to block waits for all of a block
  if (layout.block !== undefined && layout.down === undefined) return false;
  if (!maker || !e.ranks.some((r) => innerTo(layout, r) && ranksOfTensor(name, e).includes(r))) return false;
  const lanes = sidesOf(on.get(e.name)!).y === 1 || layout.spill === true;
  return lanes && hasKey(name, [e], layout) && passes.get(e.name) === passes.get(maker.name);
}

/** The rank that lies down the rows, or whatever rows reduce. */
export const keyOf = (cascade: Cascade, layout: FusedLayout): string | undefined =>
  layout.down ??
  layout.block ??
  cascade.einsums.flatMap((e) => (e.reduce === 'none' ? [] : e.ranks.filter((r) => !ranksOf(e.out).includes(r))))[0];

export const ranksOfTensor = (name: string, e: Einsum): string[] =>
  [e.out, ...e.ins].filter((a) => a.tensor === name).flatMap(ranksOf);
