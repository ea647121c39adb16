/**
 * Where a workgroup must wait: before a statement that reads what other lanes wrote since the last barrier, or writes
 * what they read or wrote. A tile with two buffers may be written while the other buffer is still read.
 */
import type { Loop } from './ir.js';

/** Something in workgroup memory, or a tensor that the program both reads and writes. */
export type Place = object;

export interface Work {
  readonly kind: 'work';
  readonly reads: readonly Place[];
  readonly writes: readonly Place[];
  barrier: boolean;
}
export interface LoopNode<W extends Work = Work> {
  readonly kind: 'loop';
  readonly loop: Loop;
  readonly body: readonly Node<W>[];
  /** Places whose buffers alternate with this loop's index. */
  readonly alternating: ReadonlySet<Place>;
  barrier: boolean;
}
export type Node<W extends Work = Work> = W | LoopNode<W>;

/** Accesses since the last barrier, by how many iterations of the place's loop they lie back. */
type Pending = Map<Place, { reads: Set<number>; writes: Set<number> }>;

const BUFFERS = 2;

interface Rules {
  readonly alternating: ReadonlySet<Place>;
  readonly meet: Meet | undefined;
}

/** Whether two places have something in common. */
export type Meet = (a: Place, b: Place) => boolean;

/** Sets `barrier` on the nodes before which one is needed. Different places are apart, unless `meet` says otherwise. */
export function placeBarriers(nodes: readonly Node[], meet?: Meet): void {
  const alternating = new Set<Place>();
  const collect = (list: readonly Node[]): void => {
    for (const n of list)
      if (n.kind === 'loop') {
        for (const p of n.alternating) alternating.add(p);
        collect(n.body);
      }
  };
  collect(nodes);
  walk(nodes, new Map(), true, { alternating, meet });
}

/**
 * The pending accesses after the nodes. With `decide`, barriers are added where needed; without, undefined is
 * returned when one would be.
 */
function walk(nodes: readonly Node[], entry: Pending, decide: boolean, rules: Rules): Pending | undefined {
  let state = entry;
  for (const n of nodes) {
    if (n.barrier) state = new Map();
    if (n.kind === 'work') {
      if (conflicts(n, state, rules)) {
        if (!decide) return undefined;
        n.barrier = true;
        state = new Map();
      }
      state = clone(state);
      for (const p of n.reads) at(state, p).reads.add(0);
      for (const p of n.writes) at(state, p).writes.add(0);
      continue;
    }
    const after = walkLoop(n, state, decide, rules);
    if (!after) return undefined;
    state = after;
  }
  return state;
}

function walkLoop(n: LoopNode, entry: Pending, decide: boolean, rules: Rules): Pending | undefined {
  let around: Pending = new Map();
  if (decide) {
    for (let size = -1; size !== weight(around); ) {
      size = weight(around);
      around = union(around, advanced(walk(n.body, around, true, rules)!, n.alternating));
    }
    if (!walk(n.body, entry, false, rules)) n.barrier = true;
  }
  const start: Pending = n.barrier ? new Map() : entry;
  let state = start;
  for (let size = -1; size !== weight(state); ) {
    size = weight(state);
    const after = walk(n.body, state, false, rules);
    if (!after) return undefined;
    state = union(state, advanced(after, n.alternating));
  }
  // beyond the loop its buffers are one place
  const out = clone(state);
  for (const p of n.alternating) {
    const x = out.get(p);
    if (x?.reads.size) x.reads.add(0);
    if (x?.writes.size) x.writes.add(0);
  }
  return out;
}

function conflicts(w: Work, state: Pending, { alternating, meet }: Rules): boolean {
  const same = (p: Place, ages: ReadonlySet<number> | undefined): boolean =>
    [...(ages ?? [])].some((age) => !alternating.has(p) || age % BUFFERS === 0);
  const met = (p: Place): Place[] => (meet ? [...state.keys()].filter((q) => meet(p, q)) : [p]);
  return (
    w.reads.some((p) => met(p).some((q) => same(q, state.get(q)?.writes))) ||
    w.writes.some((p) => met(p).some((q) => same(q, state.get(q)?.writes) || same(q, state.get(q)?.reads)))
  );
}

/** One iteration later. */
function advanced(state: Pending, moving: ReadonlySet<Place>): Pending {
  const out = clone(state);
  const later = (ages: Set<number>) => new Set([...ages].map((a) => Math.min(a + 1, BUFFERS)));
  for (const p of moving) {
    const x = out.get(p);
    if (x) out.set(p, { reads: later(x.reads), writes: later(x.writes) });
  }
  return out;
}

function at(state: Pending, p: Place): { reads: Set<number>; writes: Set<number> } {
  let x = state.get(p);
  if (!x) state.set(p, (x = { reads: new Set(), writes: new Set() }));
  return x;
}
const clone = (s: Pending): Pending =>
  new Map([...s].map(([p, x]) => [p, { reads: new Set(x.reads), writes: new Set(x.writes) }]));
function union(a: Pending, b: Pending): Pending {
  const out = clone(a);
  for (const [p, x] of b) {
    const y = at(out, p);
    for (const r of x.reads) y.reads.add(r);
    for (const w of x.writes) y.writes.add(w);
  }
  return out;
}
const weight = (s: Pending): number => [...s.values()].reduce((n, x) => n + x.reads.size + x.writes.size, 0);
