/**
 * The least loads and stores of a small graph, by A* over boards, recomputation allowed.
 *
 * A board is the set of near values and of stored ones. Dropping is free, so values are dropped only to make room, and a
 * value that can be computed into a free place is computed at once: more near values are never worse. Stores happen
 * just before a value is dropped, or at the end. The estimate counts stores of outputs not yet stored and loads of inputs
 * that they still need, neither of which any play can avoid, so the first finished board taken off the queue is optimal.
 */
import { InputError } from '../../base/errors.js';
import { type Dag, isInput, leastNear } from './dag.js';
import type { Move } from './game.js';

export interface Optimum {
  /** Loads and stores; the least when `proven`, otherwise no play can have fewer. */
  readonly cost: number;
  readonly proven: boolean;
  /** An optimal play; empty when not proven. */
  readonly moves: readonly Move[];
  /** Boards looked at. */
  readonly boards: number;
}

/** Bits of a board must fit a double's integers. */
const MOST_BITS = 52;
const MOST_BOARDS = 1_500_000;

/** @throws InputError when `near` is too small for any play or the graph too large for the search */
export function optimalPlay(dag: Dag, near: number, most_boards = MOST_BOARDS): Optimum {
  const n = dag.labels.length;
  const inputs = dag.labels.filter((_, v) => isInput(dag, v)).length;
  if (near < leastNear(dag)) throw new InputError(`needs ${leastNear(dag)} values near, has ${near}`, dag.name);
  if (n > 30 || 2 * n - inputs > MOST_BITS)
    throw new InputError(`${n} values are too many for the exhaustive search`, dag.name);
  return new Search(dag, near, inputs).run(most_boards);
}

interface Step {
  readonly from: number;
  readonly moves: readonly Move[];
}

class Search {
  private readonly n: number;
  private readonly preds: number[];
  /** Outputs that each vertex leads to. */
  private readonly leads: number[];
  private readonly outputs: number;
  private readonly cost = new Map<number, number>();
  private readonly came = new Map<number, Step>();
  private readonly queue: number[][] = [];

  constructor(
    private readonly dag: Dag,
    private readonly near: number,
    private readonly inputs: number,
  ) {
    this.n = dag.labels.length;
    this.preds = dag.preds.map((p) => p.reduce((mask, v) => mask | (1 << v), 0));
    this.outputs = dag.outputs.reduce((mask, v) => mask | (1 << v), 0);
    this.leads = dag.labels.map((_, v) => (dag.outputs.includes(v) ? 1 << v : 0));
    for (let v = this.n - 1; v >= 0; v--) for (const p of dag.preds[v]!) this.leads[p]! |= this.leads[v]!;
  }

  run(most: number): Optimum {
    const start = this.settle(0, 0);
    this.push(start.red, 0, 0, -1, start.moves);
    let boards = 0;
    for (let f = 0; f < this.queue.length; f++) {
      const bucket = this.queue[f];
      while (bucket && bucket.length > 0) {
        const key = bucket.pop()!;
        const red = key % 2 ** this.n;
        const blue = Math.floor(key / 2 ** this.n);
        const g = this.cost.get(key)!;
        if (g + this.estimate(red, blue) !== f) continue;
        if (boards++ >= most) return { cost: f, proven: false, moves: [], boards };
        if ((this.outputs & ~(red | this.stored(blue))) === 0)
          return { cost: f, proven: true, moves: this.play(key, red, blue), boards };
        this.expand(key, red, blue, g);
      }
    }
    throw new InputError('no play reaches the outputs', this.dag.name);
  }

  /** Blue pebbles as a set of vertices, inputs left out. */
  private stored(blue: number): number {
    return blue << this.inputs;
  }

  private isBlue(v: number, blue: number): boolean {
    return v < this.inputs || ((blue >> (v - this.inputs)) & 1) === 1;
  }

  private expand(key: number, red: number, blue: number, g: number): void {
    const open = this.outputs & ~(red | this.stored(blue));
    for (let v = 0; v < this.n; v++) {
      if ((red >> v) & 1 || (this.leads[v]! & open) === 0) continue;
      const loads = this.isBlue(v, blue);
      const computes = v >= this.inputs && (this.preds[v]! & ~red) === 0;
      // a value that can be computed need not be loaded, unless it would push out an operand
      if (loads) this.place(key, red, blue, g, v, false);
      if (computes) this.place(key, red, blue, g, v, true);
    }
  }

  /** Puts v near, in a free place or in that of each near value in turn, stored first or not. */
  private place(key: number, red: number, blue: number, g: number, v: number, computes: boolean): void {
    const put: Move = { kind: computes ? 'compute' : 'load', vertex: v };
    const cost = computes ? g : g + 1;
    if (bits(red) < this.near) {
      this.reach(key, red | (1 << v), blue, cost, [put]);
      return;
    }
    for (let w = 0; w < this.n; w++) {
      if (((red >> w) & 1) === 0) continue;
      const operand = computes && ((this.preds[v]! >> w) & 1) === 1;
      const moves: Move[] = operand ? [{ ...put, onto: w }] : [{ kind: 'drop', vertex: w }, put];
      const next = (red & ~(1 << w)) | (1 << v);
      this.reach(key, next, blue, cost, moves);
      if (!this.isBlue(w, blue))
        this.reach(key, next, blue | (1 << (w - this.inputs)), cost + 1, [{ kind: 'store', vertex: w }, ...moves]);
    }
  }

  private reach(key: number, red: number, blue: number, g: number, moves: readonly Move[]): void {
    const settled = this.settle(red, blue);
    this.push(settled.red, blue, g, key, [...moves, ...settled.moves]);
  }

  private push(red: number, blue: number, g: number, from: number, moves: readonly Move[]): void {
    const key = blue * 2 ** this.n + red;
    const known = this.cost.get(key);
    if (known !== undefined && known <= g) return;
    this.cost.set(key, g);
    this.came.set(key, { from, moves });
    const f = g + this.estimate(red, blue);
    (this.queue[f] ??= []).push(key);
    // buckets are walked by number
    for (let i = 0; i < f; i++) this.queue[i] ??= [];
  }

  /** Drops what leads nowhere any more, and computes what fits into free places. */
  private settle(before: number, blue: number): { red: number; moves: Move[] } {
    const moves: Move[] = [];
    const stored = this.stored(blue);
    let red = before;
    for (;;) {
      const open = this.outputs & ~(red | stored);
      for (let v = 0; v < this.n; v++) {
        const owed = (this.outputs >> v) & 1 && !this.isBlue(v, blue);
        if ((red >> v) & 1 && (this.leads[v]! & open) === 0 && !owed) {
          red &= ~(1 << v);
          moves.push({ kind: 'drop', vertex: v });
        }
      }
      if (bits(red) >= this.near) return { red, moves };
      let found = -1;
      for (let v = this.inputs; v < this.n && found < 0; v++)
        if (((red >> v) & 1) === 0 && (this.preds[v]! & ~red) === 0 && (this.leads[v]! & open) !== 0) found = v;
      if (found < 0) return { red, moves };
      red |= 1 << found;
      moves.push({ kind: 'compute', vertex: found });
    }
  }

  /** Stores that are owed, and inputs not near without which they cannot be computed. */
  private estimate(red: number, blue: number): number {
    let owed = this.outputs & ~this.stored(blue);
    const count = bits(owed);
    let seen = 0;
    let loads = 0;
    while (owed !== 0) {
      const v = 31 - Math.clz32(owed);
      owed &= ~(1 << v);
      if ((seen >> v) & 1 || (red >> v) & 1) continue;
      seen |= 1 << v;
      if (v < this.inputs) loads++;
      else if (!this.isBlue(v, blue)) owed |= this.preds[v]! & ~seen;
    }
    return count + loads;
  }

  private play(last: number, red: number, blue: number): Move[] {
    const parts: (readonly Move[])[] = [];
    for (let key = last; key >= 0; ) {
      const step = this.came.get(key)!;
      parts.push(step.moves);
      key = step.from;
    }
    const stores: Move[] = [];
    for (let v = 0; v < this.n; v++)
      if ((this.outputs >> v) & 1 && (red >> v) & 1 && !this.isBlue(v, blue)) stores.push({ kind: 'store', vertex: v });
    return [...parts.reverse().flat(), ...stores];
  }
}

function bits(mask: number): number {
  let count = 0;
  for (let m = mask; m !== 0; m &= m - 1) count++;
  return count;
}
