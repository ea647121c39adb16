/**
 * Sums over the index space of a statement: how often it runs over the whole grid, and how many elements its view
 * really accesses, edges clipped. Closed form where bounds are constant and indices separate; exact enumeration of
 * the indices that matter otherwise.
 */
import { type Expr, evalExpr, indicesOf, type LoopVar, type View } from '../../kernel/ir.js';

/** A loop around a statement, grid dims outermost. `count`: executions of its body over the whole grid. */
export interface Nest {
  readonly parent: Nest | undefined;
  readonly index: LoopVar;
  readonly from: Expr;
  readonly to: Expr;
  readonly grid: boolean;
  readonly count: number;
  /** No bound from here outwards depends on an index or a table. */
  readonly rectangular: boolean;
  /** Where executions differ between workgroups by one grid index alone: that dim, and how many each value has. */
  readonly by: Nest | undefined;
  readonly profile: Float64Array | undefined;
  /** They differ in some other way; then this is the most that a workgroup can have. */
  readonly most: number;
}

export function enter(parent: Nest | undefined, index: LoopVar, from: Expr, to: Expr, grid: boolean): Nest {
  if (typeof from === 'number' && typeof to === 'number') {
    const trips = to > from ? to - from : 0;
    const profile = parent?.profile?.map((x) => x * trips);
    return {
      parent,
      index,
      from,
      to,
      grid,
      count: (parent ? parent.count : 1) * trips,
      rectangular: parent ? parent.rectangular : true,
      by: profile && parent?.by,
      profile,
      most: grid || !parent ? 1 : parent.most * trips,
    };
  }
  const by = soleGridIndex(parent, from, to);
  const profile = by && new Float64Array(by.to as number);
  let count = 0;
  let most = 0;
  enumerate(parent, [from, to], (weight, env) => {
    const trips = Math.max(0, evalExpr(to, env) - evalExpr(from, env));
    count += weight * trips;
    if (trips > most) most = trips;
    if (profile) {
      const v = env.get(by!.index)!;
      profile[v] = profile[v]! + weight * trips;
    }
  });
  if (profile) {
    let workgroups = 1;
    for (let n = parent; n; n = n.parent) if (n.grid) workgroups *= n.to as number;
    const each = workgroups / profile.length;
    for (let v = 0; v < profile.length; v++) profile[v] = profile[v]! / each;
  }
  return { parent, index, from, to, grid, count, rectangular: false, by, profile, most: (parent?.most ?? 1) * most };
}

/** The one grid dim whose index decides trips, through this loop's bounds and those around it; undefined when several do. */
function soleGridIndex(parent: Nest | undefined, from: Expr, to: Expr): Nest | undefined {
  const needed = new Set<LoopVar>();
  const need = (v: LoopVar) => needed.add(v);
  indicesOf(from, need);
  indicesOf(to, need);
  let sole: Nest | undefined;
  for (let n = parent; n; n = n.parent) {
    if (n.grid) {
      if (!needed.has(n.index)) continue;
      if (sole) return undefined;
      sole = n;
    } else {
      indicesOf(n.from, need);
      indicesOf(n.to, need);
    }
  }
  return sole;
}

/** Visits every combination of the indices that `exprs` need, with how many grid × loop points share it. */
function enumerate(
  nest: Nest | undefined,
  exprs: readonly Expr[],
  visit: (weight: number, env: ReadonlyMap<LoopVar, number>) => void,
): void {
  const levels: Nest[] = [];
  for (let n = nest; n; n = n.parent) levels.push(n); // innermost first
  const needed = new Set<LoopVar>();
  const need = (v: LoopVar) => needed.add(v);
  for (const e of exprs) indicesOf(e, need);
  for (const n of levels) {
    indicesOf(n.from, need);
    indicesOf(n.to, need);
  }
  const env = new Map<LoopVar, number>();
  const step = (i: number, weight: number): void => {
    if (i < 0) {
      visit(weight, env);
      return;
    }
    const n = levels[i]!;
    const from = evalExpr(n.from, env);
    const to = evalExpr(n.to, env);
    if (to <= from) return;
    if (!needed.has(n.index)) {
      step(i - 1, weight * (to - from));
      return;
    }
    for (let v = from; v < to; v++) {
      env.set(n.index, v);
      step(i - 1, weight);
    }
  };
  step(levels.length - 1, 1);
}

/** Least and greatest value of an expression over the nest, by interval arithmetic (never too narrow). */
function interval(e: Expr, nest: Nest | undefined): [number, number] {
  if (typeof e === 'number') return [e, e];
  if ('var' in e) {
    for (let n = nest; n; n = n.parent)
      if (n.index === e) {
        if (typeof n.from === 'number' && typeof n.to === 'number') return [n.from, n.to - 1];
        return [interval(n.from, n.parent)[0], interval(n.to, n.parent)[1] - 1];
      }
    throw new Error(`unbound index ${e.var}`);
  }
  if ('table' in e) {
    let lo = Number.POSITIVE_INFINITY;
    let hi = Number.NEGATIVE_INFINITY;
    for (const v of e.table.values) {
      if (v < lo) lo = v;
      if (v > hi) hi = v;
    }
    return [lo, hi];
  }
  const [al, ah] = interval(e.a, nest);
  const [bl, bh] = interval(e.b, nest);
  switch (e.op) {
    case '+':
      return [al + bl, ah + bh];
    case '-':
      return [al - bh, ah - bl];
    case '*': {
      const p = [al * bl, al * bh, ah * bl, ah * bh];
      return [Math.min(...p), Math.max(...p)];
    }
    case '/':
      return bl > 0
        ? [Math.min(Math.floor(al / bl), Math.floor(al / bh)), Math.max(Math.floor(ah / bl), Math.floor(ah / bh))]
        : [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    case '%':
      return bl > 0
        ? al >= 0 && ah < bl
          ? [al, ah]
          : [0, bh - 1]
        : [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    case 'min':
      return [Math.min(al, bl), Math.min(ah, bh)];
    case 'max':
      return [Math.max(al, bl), Math.max(ah, bh)];
  }
}

/** How many of `extent` elements from `start`, `step` apart, lie in [0, end). */
function clipped(start: number, extent: number, step: number, end: number): number {
  const first = start >= 0 ? 0 : Math.ceil(-start / step);
  const last = Math.min(extent, Math.ceil((end - start) / step));
  return last > first ? last - first : 0;
}

/** Σ over v in [0, trips) of min(extent, max(0, end − v·coef)): tiles of `extent` along an axis of `end`. */
function clippedSum(trips: number, coef: number, extent: number, end: number): number {
  const whole = Math.min(trips, Math.max(0, Math.floor((end - extent) / coef) + 1));
  let sum = whole * extent;
  for (let v = whole; v < trips; v++) {
    const rest = end - v * coef;
    if (rest <= 0) break;
    sum += Math.min(extent, rest);
  }
  return sum;
}

/** Elements a view of rows × cols accesses over all its executions. */
export function accessed(view: View, rows: number, cols: number, nest: Nest, scattered: boolean): number {
  const { tensor, at, axes, step, limit } = view;
  let factor = 1;
  /** Dims whose clipping needs the indices' values. */
  let open: Edge[] | undefined;
  for (let d = 0; d < at.length; d++) {
    const e = at[d]!;
    if (scattered && d === axes[0]) {
      // rows go where an index tile says: all of them are in range
      factor *= rows;
      continue;
    }
    const side = axes[0] === d ? 0 : axes[1] === d ? 1 : undefined;
    const extent = side === 0 ? rows : side === 1 ? cols : 1;
    const stride = side !== undefined ? (step?.[side] ?? 1) : 1;
    const bound = side !== undefined ? limit?.[side] : undefined;
    const end = typeof bound === 'number' ? Math.min(tensor.dims[d]!, bound) : tensor.dims[d]!;
    const least = bound === undefined || typeof bound === 'number' ? end : Math.min(end, interval(bound, nest)[0]);
    const [lo, hi] = interval(e, nest);
    if (lo >= 0 && hi + (extent - 1) * stride < least) {
      factor *= extent;
      continue;
    }
    const form = stride === 1 && typeof bound !== 'object' ? linear(e) : undefined;
    const n = form && nest.rectangular ? levelOf(nest, form.index) : undefined;
    // tiles side by side along one index that nothing else here follows: closed form
    if (form && form.offset === 0 && n?.from === 0 && !usedTwice(form.index, at))
      factor *= clippedSum(n.to as number, form.coef, extent, end) / (n.to as number);
    else (open ??= []).push({ e, extent, stride, end, bound: typeof bound === 'object' ? bound : undefined, form });
  }
  if (!open) return Math.round(nest.count * factor);
  const [only] = open;
  if (open.length === 1 && only!.form?.index === nest.index && only!.form.offset === 0) {
    // the innermost loop alone walks the edge: its sum is closed, only outer indices are enumerated
    const { form, extent, end } = only!;
    let total = 0;
    enumerate(nest.parent, [nest.from, nest.to], (weight, env) => {
      const from = evalExpr(nest.from, env);
      const to = evalExpr(nest.to, env);
      if (to > from)
        total += weight * (clippedSum(to, form!.coef, extent, end) - clippedSum(from, form!.coef, extent, end));
    });
    return Math.round(total * factor);
  }
  // edges that follow different indices do not know of one another: the mean of their product is that of their means
  for (const part of independent(open, nest)) factor *= meanOf(part.edges, part.levels);
  return Math.round(nest.count * factor);
}

/** Mean over the points of `levels` (outermost first) of how many elements of each edge are in range, multiplied. */
function meanOf(edges: readonly Edge[], levels: readonly Nest[]): number {
  let total = 0;
  let points = 0;
  const env = new Map<LoopVar, number>();
  const step = (i: number): void => {
    const n = levels[i];
    if (n) {
      const to = evalExpr(n.to, env);
      for (let v = evalExpr(n.from, env); v < to; v++) {
        env.set(n.index, v);
        step(i + 1);
      }
      return;
    }
    points++;
    let elements = 1;
    for (const o of edges) {
      const end = o.bound === undefined ? o.end : Math.min(o.end, evalExpr(o.bound, env));
      elements *= clipped(evalExpr(o.e, env), o.extent, o.stride, end);
      if (elements === 0) return;
    }
    total += elements;
  };
  step(0);
  return points > 0 ? total / points : 0;
}

interface Part {
  edges: Edge[];
  levels: Nest[];
}

/** Edges put together with the loops they follow, and with those that decide how often these run. */
function independent(open: readonly Edge[], nest: Nest): Part[] {
  const levels: Nest[] = [];
  for (let n: Nest | undefined = nest; n; n = n.parent) levels.unshift(n);
  // numbers of groups, the lower taking over the higher where two meet
  const group = levels.map((_, i) => i);
  const join = (i: number, j: number) => {
    const low = Math.min(group[i]!, group[j]!);
    const high = Math.max(group[i]!, group[j]!);
    for (let k = 0; k < group.length; k++) if (group[k] === high) group[k] = low;
  };
  const follow = (first: number, e: Expr | undefined): number => {
    if (e === undefined) return first;
    let found = first;
    indicesOf(e, (v) => {
      const i = levels.findIndex((n) => n.index === v);
      if (found < 0) found = i;
      else join(found, i);
    });
    return found;
  };
  levels.forEach((n, i) => {
    follow(i, n.from);
    follow(i, n.to);
  });
  const places = open.map((o) => follow(follow(-1, o.e), o.bound));
  const parts = new Map<number, Part>();
  open.forEach((o, i) => {
    const key = places[i]! < 0 ? -1 : group[places[i]!]!;
    let part = parts.get(key);
    if (!part) {
      part = { edges: [], levels: levels.filter((_, l) => group[l] === key) };
      parts.set(key, part);
    }
    part.edges.push(o);
  });
  return [...parts.values()];
}

interface Edge {
  readonly e: Expr;
  readonly extent: number;
  readonly stride: number;
  readonly end: number;
  readonly bound: Expr | undefined;
  readonly form: Linear | undefined;
}

interface Linear {
  readonly index: LoopVar;
  readonly coef: number;
  readonly offset: number;
}

/** index·coef + offset, when the expression is that. */
function linear(e: Expr): Linear | undefined {
  if (typeof e === 'number') return undefined;
  if ('var' in e) return { index: e, coef: 1, offset: 0 };
  if (!('op' in e)) return undefined;
  const inner =
    typeof e.b === 'number' ? linear(e.a) : typeof e.a === 'number' && e.op !== '-' ? linear(e.b) : undefined;
  const k = typeof e.b === 'number' ? e.b : typeof e.a === 'number' ? e.a : 0;
  if (!inner) return undefined;
  if (e.op === '*') return { index: inner.index, coef: inner.coef * k, offset: inner.offset * k };
  if (e.op === '+') return { ...inner, offset: inner.offset + k };
  if (e.op === '-') return { ...inner, offset: inner.offset - k };
  return undefined;
}

function levelOf(nest: Nest, index: LoopVar): Nest | undefined {
  let n: Nest | undefined = nest;
  while (n && n.index !== index) n = n.parent;
  return n;
}

function usedTwice(v: LoopVar, at: readonly Expr[]): boolean {
  let uses = 0;
  for (const e of at)
    indicesOf(e, (x) => {
      if (x === v) uses++;
    });
  return uses > 1;
}

/** Whether a view's place depends on an index. */
export function placeFollows(view: View, index: LoopVar): boolean {
  for (let d = 0; d < view.at.length; d++) if (mentions(view.at[d]!, index)) return true;
  return false;
}

/** Whether an index occurs in an expression. */
export function mentions(e: Expr, index: LoopVar): boolean {
  if (typeof e === 'number') return false;
  if ('var' in e) return e === index;
  if ('op' in e) return mentions(e.a, index) || mentions(e.b, index);
  return mentions(e.at, index);
}
