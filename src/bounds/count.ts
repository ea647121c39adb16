/**
 * What a tile program asks of the far side, in closed form: bytes at each copy, gather and scatter, clipped at the edges as
 * the interpreter clips them; and the bytes that live on the near side. Independent sums are multiplied, the innermost index
 * is summed as a piecewise linear function, the others are enumerated.
 */
import { bytesOf } from '../base/dtype.js';
import {
  type Expr,
  evalExpr,
  indicesOf,
  isTile,
  type LoopVar,
  type Program,
  type Stmt,
  type Tile,
  type View,
} from '../kernel/ir.js';

export interface Traffic {
  read_B: number;
  write_B: number;
}

export interface Requested {
  readonly total_B: number;
  readonly by_tensor: Readonly<Record<string, Traffic>>;
}

/** Thrown when a sum has too many terms for who asked. */
class TooMany extends Error {}

/** Places of indices that may be visited in one sum. */
interface Budget {
  left: number;
}

/** As `requestedOf`, or undefined when more than `most` places of indices would have to be visited. */
export function requestedWithin(programs: readonly Program[], most: number): Requested | undefined {
  try {
    return requested(programs, { left: most });
  } catch (e) {
    if (e instanceof TooMany) return undefined;
    throw e;
  }
}

/** Requested bytes of programs in sequence. Indices of gathers and scatters are taken to lie in their tensor. */
export const requestedOf = (programs: readonly Program[]): Requested =>
  requested(programs, { left: Number.POSITIVE_INFINITY });

function requested(programs: readonly Program[], budget: Budget): Requested {
  const by_tensor: Record<string, Traffic> = {};
  for (const program of programs) {
    const nest: Span[] = program.grid.map((g) => ({ index: g.index, from: 0, to: g.extent })).reverse();
    count(program.body, nest, by_tensor, budget);
  }
  let total_B = 0;
  for (const t of Object.values(by_tensor)) total_B += t.read_B + t.write_B;
  return { total_B, by_tensor };
}

/** Most near bytes of programs in sequence: all tiles with their stages; tiles that reuse another's storage not twice. */
export function liveBytes(programs: readonly Program[]): number {
  let most = 0;
  for (const { tiles } of programs) {
    let sum = 0;
    for (const t of tiles) if (t.reuses === undefined && !t.part) sum += t.rows * t.cols * t.stages * bytesOf(t.dtype);
    if (sum > most) most = sum;
  }
  return most;
}

/** An index and its bounds, outermost first in a nest. */
interface Span {
  readonly index: LoopVar;
  readonly from: Expr;
  readonly to: Expr;
}

function count(body: readonly Stmt[], nest: readonly Span[], sums: Record<string, Traffic>, budget: Budget): void {
  const add = (view: View, tile: Tile, byIndex: boolean, side: keyof Traffic) => {
    const t = (sums[view.tensor.name] ??= { read_B: 0, write_B: 0 });
    t[side] += elements(view, tile, nest, byIndex, budget) * bytesOf(view.tensor.dtype);
  };
  for (const s of body)
    switch (s.kind) {
      case 'loop':
        count(s.body, [...nest, { index: s.index, from: s.from, to: s.to }], sums, budget);
        break;
      case 'copy':
        if (isTile(s.to)) {
          if (!isTile(s.from)) add(s.from, s.to, false, 'read_B');
        } else if (isTile(s.from)) add(s.to, s.from, false, 'write_B');
        break;
      case 'gather':
        add(s.from, s.to, true, 'read_B');
        break;
      case 'scatter':
        add(s.to, s.from, true, 'write_B');
        break;
      default:
    }
}

/** One dim of a view: `extent` elements from `at`, `step` apart, those in [0, end) accessed. */
interface Edge {
  readonly at: Expr;
  readonly extent: number;
  readonly step: number;
  readonly ends: readonly Expr[];
}

/** Elements accessed over all executions. */
function elements(view: View, tile: Tile, nest: readonly Span[], byIndex: boolean, budget: Budget): number {
  const { tensor, at, axes, step, limit } = view;
  const edges: Edge[] = [];
  let factor = 1;
  for (let d = 0; d < at.length; d++) {
    const side = axes[0] === d ? 0 : axes[1] === d ? 1 : undefined;
    if (side === 0 && byIndex) {
      factor *= tile.rows;
      continue;
    }
    const bound = side === undefined ? undefined : limit?.[side];
    edges.push({
      at: at[d]!,
      extent: side === undefined ? 1 : side === 0 ? tile.rows : tile.cols,
      step: side === undefined ? 1 : (step?.[side] ?? 1),
      ends: bound === undefined ? [tensor.dims[d]!] : [tensor.dims[d]!, bound],
    });
  }
  for (const part of components(nest, edges)) factor *= sumOf(part.spans, part.edges, budget);
  return factor;
}

/** Spans and edges that share indices, directly or through bounds, apart from those that do not. */
function components(nest: readonly Span[], edges: readonly Edge[]): { spans: Span[]; edges: Edge[] }[] {
  const root = new Map<LoopVar, LoopVar>(nest.map((s) => [s.index, s.index]));
  const find = (v: LoopVar): LoopVar => {
    let r = v;
    while (root.get(r) !== r) r = root.get(r)!;
    return r;
  };
  const join = (exprs: readonly Expr[], first?: LoopVar): LoopVar | undefined => {
    let one = first;
    for (const e of exprs)
      indicesOf(e, (v) => {
        // one that is known by now
        if (!root.has(v)) return;
        if (one === undefined) one = v;
        else root.set(find(v), find(one));
      });
    return one;
  };
  for (const s of nest) join([s.from, s.to], s.index);
  const owners = edges.map((e) => join([e.at, ...e.ends]));
  const parts = new Map<LoopVar | undefined, { spans: Span[]; edges: Edge[] }>();
  const partOf = (key: LoopVar | undefined) => {
    let part = parts.get(key);
    if (!part) {
      part = { spans: [], edges: [] };
      parts.set(key, part);
    }
    return part;
  };
  for (const s of nest) partOf(find(s.index)).spans.push(s);
  for (const [i, e] of edges.entries()) partOf(owners[i] && find(owners[i])).edges.push(e);
  return [...parts.values()];
}

type Env = Map<LoopVar, number>;

/**
 * An index that, once known, leaves the others in parts of their own: that of a convolution's window, which meets planes,
 * rows and columns.
 */
function hubOf(spans: readonly Span[], edges: readonly Edge[]) {
  if (spans.length < 3) return undefined;
  for (const hub of spans) {
    const rest = spans.filter((s) => s !== hub);
    if (rest.some((s) => mentions(hub.from, s.index) || mentions(hub.to, s.index))) continue;
    const parts = components(rest, edges);
    if (parts.length > 1) return { hub, parts };
  }
  return undefined;
}

/** Σ over the spans of the product of what the edges let through. */
function sumOf(spans: readonly Span[], edges: readonly Edge[], budget: Budget, env: Env = new Map()): number {
  const split = hubOf(spans, edges);
  if (split) {
    const { index, from, to } = split.hub;
    const [first, end] = [evalExpr(from, env), evalExpr(to, env)];
    spend(budget, Math.max(0, end - first));
    let sum = 0;
    for (let v = first; v < end; v++) {
      env.set(index, v);
      sum += split.parts.reduce((p, part) => (p === 0 ? 0 : p * sumOf(part.spans, part.edges, budget, env)), 1);
    }
    return sum;
  }
  const last = spans.at(-1);
  const inner = last ? edges.filter((e) => uses(e, last.index)) : [];
  const outer = edges.filter((e) => !inner.includes(e));
  const [only] = inner;
  const slope = last && inner.length === 1 && only!.step === 1 && only!.ends.every((e) => !mentions(e, last.index));
  const coef = slope ? coefficient(only!.at, last.index) : undefined;
  const visit = (i: number): number => {
    const span = spans[i];
    if (!span) return outer.reduce((p, e) => (p === 0 ? 0 : p * through(e, env)), 1);
    const from = evalExpr(span.from, env);
    const to = evalExpr(span.to, env);
    if (to <= from) return 0;
    if (i === spans.length - 1) {
      const rest = outer.reduce((p, e) => (p === 0 ? 0 : p * through(e, env)), 1);
      if (rest === 0) return 0;
      if (inner.length === 0) return rest * (to - from);
      if (coef !== undefined) {
        env.set(span.index, 0);
        const start = evalExpr(only!.at, env);
        return rest * slopeSum(start, coef, from, to, only!.extent, endOf(only!, env));
      }
      let sum = 0;
      spend(budget, to - from);
      for (let v = from; v < to; v++) {
        env.set(span.index, v);
        sum += inner.reduce((p, e) => p * through(e, env), 1);
      }
      return rest * sum;
    }
    let sum = 0;
    spend(budget, to - from);
    for (let v = from; v < to; v++) {
      env.set(span.index, v);
      sum += visit(i + 1);
    }
    return sum;
  };
  return visit(0);
}

function spend(budget: Budget, steps: number): void {
  budget.left -= steps;
  if (budget.left < 0) throw new TooMany();
}

const endOf = (e: Edge, env: Env): number => Math.min(...e.ends.map((x) => evalExpr(x, env)));

/** How many of the edge's elements lie in range. */
function through(e: Edge, env: Env): number {
  const at = evalExpr(e.at, env);
  const first = at >= 0 ? 0 : Math.ceil(-at / e.step);
  const last = Math.min(e.extent, Math.ceil((endOf(e, env) - at) / e.step));
  return last > first ? last - first : 0;
}

function mentions(e: Expr, v: LoopVar): boolean {
  let found = false;
  indicesOf(e, (x) => {
    found ||= x === v;
  });
  return found;
}
const uses = (e: Edge, v: LoopVar): boolean => mentions(e.at, v) || e.ends.some((x) => mentions(x, v));

/** c where e = c·v + (something without v), when e is that. */
function coefficient(e: Expr, v: LoopVar): number | undefined {
  if (!mentions(e, v)) return 0;
  if (typeof e === 'number' || 'table' in e) return undefined;
  if ('var' in e) return 1;
  const a = coefficient(e.a, v);
  const b = coefficient(e.b, v);
  if (a === undefined || b === undefined) return undefined;
  if (e.op === '+') return a + b;
  if (e.op === '-') return a - b;
  if (e.op === '*' && typeof e.b === 'number') return a * e.b;
  if (e.op === '*' && typeof e.a === 'number') return b * e.a;
  return undefined;
}

/** Σ over v in [from, to) of the length of [x, x + extent) ∩ [0, end), x = start + coef·v: linear between four turns. */
function slopeSum(start: number, coef: number, from: number, to: number, extent: number, end: number): number {
  const length = (v: number) => {
    const x = start + coef * v;
    return Math.max(0, Math.min(x + extent, end) - Math.max(x, 0));
  };
  if (coef === 0) return (to - from) * length(from);
  const turns = [-extent, 0, end - extent, end].map((x) => (x - start) / coef);
  const cuts = [from, to];
  for (const t of turns) for (const c of [Math.floor(t), Math.ceil(t)]) if (c > from && c < to) cuts.push(c);
  cuts.sort((a, b) => a - b);
  let sum = 0;
  for (let i = 1; i < cuts.length; i++) {
    const a = cuts[i - 1]!;
    const z = cuts[i]!;
    if (z > a) sum += ((z - a) * (length(a) + length(z - 1))) / 2;
  }
  return sum;
}
