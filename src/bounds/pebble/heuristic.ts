/**
 * Good plays of graphs too large to search: an order of the vertices, near values replaced as Belady would (the one used
 * farthest in the order goes), and a local search over orders. Nothing is computed twice.
 */
import { InputError } from '../../base/errors.js';
import { type Dag, isInput, leastNear } from './dag.js';
import { costOf, type Move } from './game.js';

/** Plays the vertices in `order` (topological, inputs left out). @throws InputError when `near` is too small */
export function playInOrder(dag: Dag, near: number, order: readonly number[]): Move[] {
  if (near < leastNear(dag)) throw new InputError(`needs ${leastNear(dag)} values near, has ${near}`, dag.name);
  /** Places in the order where each vertex is used, last first. */
  const uses: number[][] = dag.labels.map(() => []);
  for (let i = order.length - 1; i >= 0; i--) for (const p of dag.preds[order[i]!]!) uses[p]!.push(i);
  const outputs = new Set(dag.outputs);
  const red = new Set<number>();
  const blue = new Set<number>(dag.labels.flatMap((_, v) => (isInput(dag, v) ? [v] : [])));
  const moves: Move[] = [];
  const nextUse = (v: number) => uses[v]!.at(-1) ?? Number.POSITIVE_INFINITY;
  const leave = (v: number) => {
    if (!blue.has(v) && (uses[v]!.length > 0 || outputs.has(v))) {
      moves.push({ kind: 'store', vertex: v });
      blue.add(v);
    }
  };
  const makeRoom = (keep: readonly number[]) => {
    if (red.size < near) return;
    let victim = -1;
    for (const v of red) {
      if (keep.includes(v)) continue;
      // farthest next use; of equals one that needs no store
      if (victim < 0 || nextUse(v) > nextUse(victim) || (nextUse(v) === nextUse(victim) && blue.has(v))) victim = v;
    }
    leave(victim);
    red.delete(victim);
    moves.push({ kind: 'drop', vertex: victim });
  };
  for (const v of order) {
    const preds = dag.preds[v]!;
    for (const p of preds)
      if (!red.has(p)) {
        makeRoom(preds);
        moves.push({ kind: 'load', vertex: p });
        red.add(p);
      }
    for (const p of preds) uses[p]!.pop();
    const done = preds.filter((p) => uses[p]!.length === 0 && !(outputs.has(p) && !blue.has(p)));
    let onto: number | undefined = done[0];
    if (onto === undefined && red.size >= near) {
      const others = [...red].filter((x) => !preds.includes(x));
      if (others.length > 0) makeRoom(preds);
      else {
        // an operand must make way
        onto = preds.reduce((a, b) => (nextUse(b) > nextUse(a) ? b : a));
        leave(onto);
      }
    }
    if (onto !== undefined) red.delete(onto);
    moves.push(onto === undefined ? { kind: 'compute', vertex: v } : { kind: 'compute', vertex: v, onto });
    red.add(v);
    for (const p of done) if (red.delete(p)) moves.push({ kind: 'drop', vertex: p });
    if (outputs.has(v) && uses[v]!.length === 0) {
      leave(v);
      red.delete(v);
      moves.push({ kind: 'drop', vertex: v });
    }
  }
  return moves;
}

/** Orders to start from: as the graph was built, by level, and by the output each vertex serves first. */
export function startOrders(dag: Dag): number[][] {
  const vertices = dag.labels.map((_, v) => v).filter((v) => !isInput(dag, v));
  const level: number[] = [];
  for (const v of dag.labels.keys()) level[v] = Math.max(-1, ...dag.preds[v]!.map((p) => level[p]!)) + 1;
  const byLevel = [...vertices].sort((a, b) => level[a]! - level[b]! || a - b);
  const depthFirst: number[] = [];
  const seen = new Set<number>();
  const visit = (v: number) => {
    if (seen.has(v) || isInput(dag, v)) return;
    seen.add(v);
    dag.preds[v]!.forEach(visit);
    depthFirst.push(v);
  };
  dag.outputs.forEach(visit);
  return [vertices, byLevel, depthFirst];
}

/** The best play found: the start orders, then `tries` moves of one vertex to another place it may stand at. */
export function goodPlay(dag: Dag, near: number, tries = 2000, seed = 1): Move[] {
  let state = seed >>> 0;
  // Numerical Recipes' congruence: the search must repeat exactly
  const random = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  let order: number[] = [];
  let best: Move[] = [];
  let least = Number.POSITIVE_INFINITY;
  for (const start of startOrders(dag)) {
    const moves = playInOrder(dag, near, start);
    if (costOf(moves) < least) {
      least = costOf(moves);
      best = moves;
      order = start;
    }
  }
  const succs: number[][] = dag.labels.map(() => []);
  for (const v of dag.labels.keys()) for (const p of dag.preds[v]!) succs[p]!.push(v);
  for (let i = 0; i < tries && order.length > 1; i++) {
    const from = random(order.length);
    const v = order[from]!;
    const rest = order.filter((x) => x !== v);
    const place = new Map(rest.map((x, at) => [x, at]));
    const low = Math.max(0, ...dag.preds[v]!.map((p) => (place.get(p) ?? -1) + 1));
    const high = Math.min(rest.length, ...succs[v]!.map((s) => place.get(s)!));
    const to = low + random(high - low + 1);
    const candidate = [...rest.slice(0, to), v, ...rest.slice(to)];
    const moves = playInOrder(dag, near, candidate);
    const cost = costOf(moves);
    // sideways steps keep it from standing still
    if (cost <= least) {
      order = candidate;
      if (cost < least) best = moves;
      least = cost;
    }
  }
  return best;
}
