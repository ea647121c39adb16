/**
 * Sums over the index space of a statement: how often it runs over the whole grid, and how many elements its view
 * really accesses, edges clipped. Closed form where bounds are constant and indices separate; exact enumeration of
 * the indices that matter otherwise.
 */
import { applyInt, type Expr, indicesOf, type LoopVar, type View } from '../../kernel/ir.js';

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
  /** Its index now, while points are enumerated. */
  value: number;
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
      value: 0,
    };
  }
  const deciding = gridIndices(parent, from, to);
  const by = deciding.length === 1 ? deciding[0] : undefined;
  const profile = by && new Float64Array(by.to as number);
  let count = 0;
  let most = 0;
  enumerate(parent, from, to, (weight) => {
    const trips = Math.max(0, valueAt(to, parent) - valueAt(from, parent));
    count += weight * trips;
    if (trips > most) most = trips;
    if (profile) {
      const v = by!.value;
      profile[v] = profile[v]! + weight * trips;
    }
  });
  let workgroups = 1;
  for (let n = parent; n; n = n.parent) if (n.grid) workgroups *= n.to as number;
  if (profile) {
    const each = workgroups / profile.length;
    for (let v = 0; v < profile.length; v++) profile[v] = profile[v]! / each;
  }
  return {
    parent,
    index,
    from,
    to,
    grid,
    count,
    rectangular: false,
    by,
    profile,
    // loops that only other loops decide run equally often in all workgroups
    most: deciding.length === 0 ? count / workgroups : (parent?.most ?? 1) * most,
    value: 0,
  };
}

/** The grid dims whose indices decide trips, through this loop's bounds and those around it. */
function gridIndices(parent: Nest | undefined, from: Expr, to: Expr): readonly Nest[] {
  const needed: LoopVar[] = [];
  const need = (v: LoopVar) => {
    if (!needed.includes(v)) needed.push(v);
  };
  indicesOf(from, need);
  indicesOf(to, need);
  const found: Nest[] = [];
  for (let n = parent; n; n = n.parent) {
    if (n.grid) {
      if (needed.includes(n.index)) found.push(n);
    } else {
      indicesOf(n.from, need);
      indicesOf(n.to, need);
    }
  }
  return found;
}

/** Value of an expression at the point that the loops around it are at. */
function valueAt(e: Expr, nest: Nest | undefined): number {
  if (typeof e === 'number') return e;
  if ('var' in e) {
    let n = nest;
    while (n && n.index !== e) n = n.parent;
    if (!n) throw new Error(`unbound index ${e.var}`);
    return n.value;
  }
  if ('op' in e) return applyInt(e.op, valueAt(e.a, nest), valueAt(e.b, nest));
  const at = valueAt(e.at, nest);
  const v = e.table.values[at];
  if (v === undefined) throw new Error(`table ${e.table.name} has no entry ${at}`);
  return v;
}

/** Visits every combination of the indices that a loop's bounds need, with how many grid × loop points share it. */
function enumerate(nest: Nest | undefined, from: Expr, to: Expr, visit: (weight: number) => void): void {
  const levels: Nest[] = [];
  for (let n = nest; n; n = n.parent) levels.push(n); // innermost first
  const needed: LoopVar[] = [];
  const need = (v: LoopVar) => {
    if (!needed.includes(v)) needed.push(v);
  };
  indicesOf(from, need);
  indicesOf(to, need);
  for (let i = 0; i < levels.length; i++) {
    indicesOf(levels[i]!.from, need);
    indicesOf(levels[i]!.to, need);
  }
  const step = (i: number, weight: number): void => {
    if (i < 0) {
      visit(weight);
      return;
    }
    const n = levels[i]!;
    const first = valueAt(n.from, n.parent);
    const end = valueAt(n.to, n.parent);
    if (end <= first) return;
    if (!needed.includes(n.index)) {
      step(i - 1, weight * (end - first));
      return;
    }
    for (let v = first; v < end; v++) {
      n.value = v;
      step(i - 1, weight);
    }
  };
  step(levels.length - 1, 1);
}

/** What `interval` found last. */
let least = 0;
let greatest = 0;

/** Sets least and greatest value of an expression over the nest, by interval arithmetic (never too narrow). */
function interval(e: Expr, nest: Nest | undefined): void {
  if (typeof e === 'number') {
    least = e;
    greatest = e;
    return;
  }
  if ('var' in e) {
    let n = nest;
    while (n && n.index !== e) n = n.parent;
    if (!n) throw new Error(`unbound index ${e.var}`);
    interval(n.to, n.parent);
    const last = greatest - 1;
    interval(n.from, n.parent);
    greatest = last;
    return;
  }
  if ('table' in e) {
    least = Number.POSITIVE_INFINITY;
    greatest = Number.NEGATIVE_INFINITY;
    for (const v of e.table.values) {
      if (v < least) least = v;
      if (v > greatest) greatest = v;
    }
    return;
  }
  interval(e.a, nest);
  const al = least;
  const ah = greatest;
  interval(e.b, nest);
  const bl = least;
  const bh = greatest;
  switch (e.op) {
    case '+':
      least = al + bl;
      greatest = ah + bh;
      return;
    case '-':
      least = al - bh;
      greatest = ah - bl;
      return;
    case '*':
      least = Math.min(al * bl, al * bh, ah * bl, ah * bh);
      greatest = Math.max(al * bl, al * bh, ah * bl, ah * bh);
      return;
    case '/':
      if (bl > 0) {
        least = Math.min(Math.floor(al / bl), Math.floor(al / bh));
        greatest = Math.max(Math.floor(ah / bl), Math.floor(ah / bh));
        return;
      }
      break;
    case '%':
      if (bl > 0) {
        least = al >= 0 && ah < bl ? al : 0;
        greatest = al >= 0 && ah < bl ? ah : bh - 1;
        return;
      }
      break;
    case 'min':
      least = Math.min(al, bl);
      greatest = Math.min(ah, bh);
      return;
    case 'max':
      least = Math.max(al, bl);
      greatest = Math.max(ah, bh);
      return;
  }
  least = Number.NEGATIVE_INFINITY;
  greatest = Number.POSITIVE_INFINITY;
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

// Keys and values, queries and results are of one shape and place: the last answer is kept.
let known: { view: View; rows: number; cols: number; nest: Nest; scattered: boolean; elements: number } | undefined;

/** Elements a view of rows × cols accesses over all its executions. */
export function accessed(view: View, rows: number, cols: number, nest: Nest, scattered: boolean): number {
  if (
    known?.nest === nest &&
    known.rows === rows &&
    known.cols === cols &&
    known.scattered === scattered &&
    samePlace(known.view, view)
  )
    return known.elements;
  const elements = count(view, rows, cols, nest, scattered);
  known = { view, rows, cols, nest, scattered, elements };
  return elements;
}

/** Views on the same part of tensors of the same dims. */
function samePlace(a: View, b: View): boolean {
  const { dims } = a.tensor;
  if (a.axes[0] !== b.axes[0] || a.axes[1] !== b.axes[1] || dims.length !== b.tensor.dims.length) return false;
  for (let d = 0; d < dims.length; d++) if (dims[d] !== b.tensor.dims[d] || !sameExpr(a.at[d], b.at[d])) return false;
  for (let side = 0; side < 2; side++)
    if (
      (a.step?.[side] ?? 1) !== (b.step?.[side] ?? 1) ||
      !sameExpr(a.limit?.[side as 0 | 1], b.limit?.[side as 0 | 1])
    )
      return false;
  return true;
}

function sameExpr(a: Expr | undefined, b: Expr | undefined): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object') return false;
  return 'op' in a && 'op' in b && a.op === b.op && sameExpr(a.a, b.a) && sameExpr(a.b, b.b);
}

function count(view: View, rows: number, cols: number, nest: Nest, scattered: boolean): number {
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
    let tightest = end;
    if (typeof bound === 'object') {
      interval(bound, nest);
      tightest = Math.min(end, least);
    }
    interval(e, nest);
    if (least >= 0 && greatest + (extent - 1) * stride < tightest) {
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
    enumerate(nest.parent, nest.from, nest.to, (weight) => {
      const from = valueAt(nest.from, nest.parent);
      const to = valueAt(nest.to, nest.parent);
      if (to > from)
        total += weight * (clippedSum(to, form!.coef, extent, end) - clippedSum(from, form!.coef, extent, end));
    });
    return Math.round(total * factor);
  }
  // edges that follow different indices do not know of one another: the mean of their product is that of their means
  for (const part of independent(open, levelsOf(nest))) factor *= meanOf(part.edges, part.levels, nest);
  return Math.round(nest.count * factor);
}

/** Mean over the points of `levels` (outermost first) of how many elements of each edge are in range, multiplied. */
function meanOf(edges: readonly Edge[], levels: readonly Nest[], nest: Nest): number {
  const split = hubOf(edges, levels);
  if (split) {
    const { hub, parts } = split;
    const [from, to] = [hub.from as number, hub.to as number];
    let sum = 0;
    for (let v = from; v < to; v++) {
      hub.value = v;
      let product = 1;
      for (const part of parts) product *= meanOf(part.edges, part.levels, nest);
      sum += product;
    }
    return to > from ? sum / (to - from) : 0;
  }
  let total = 0;
  let points = 0;
  const only = edges.length === 1 && edges[0]!.stride === 1 && edges[0]!.bound === undefined ? edges[0]! : undefined;
  const inner = levels[levels.length - 1];
  const coef = only && inner && coefficientOf(only.e, inner.index);
  const step = (i: number): void => {
    if (i < levels.length) {
      const n = levels[i]!;
      const from = valueAt(n.from, n.parent);
      const to = valueAt(n.to, n.parent);
      if (n === inner && to > from && coef !== undefined && coef > 0) {
        // tiles side by side along the innermost index: their sum is closed
        n.value = from;
        const start = valueAt(only!.e, nest);
        if (start >= 0) {
          points += to - from;
          total += clippedSum(to - from, coef, only!.extent, only!.end - start);
          return;
        }
      }
      for (let v = from; v < to; v++) {
        n.value = v;
        step(i + 1);
      }
      return;
    }
    points++;
    let elements = 1;
    for (let k = 0; k < edges.length; k++) {
      const o = edges[k]!;
      const end = o.bound === undefined ? o.end : Math.min(o.end, valueAt(o.bound, nest));
      elements *= clipped(valueAt(o.e, nest), o.extent, o.stride, end);
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

/** Outermost first. */
function levelsOf(nest: Nest): Nest[] {
  const levels: Nest[] = [];
  for (let n: Nest | undefined = nest; n; n = n.parent) levels.unshift(n);
  return levels;
}

/**
 * A loop that, once its index is known, leaves the edges in parts that know nothing of each other: the window of a
 * convolution, which meets planes, rows and columns. Of loops with constant bounds, all points count alike.
 */
function hubOf(edges: readonly Edge[], levels: readonly Nest[]): { hub: Nest; parts: Part[] } | undefined {
  if (edges.length < 2 || levels.length < 3) return undefined;
  if (levels.some((n) => typeof n.from !== 'number' || typeof n.to !== 'number')) return undefined;
  for (const hub of levels) {
    const parts = independent(
      edges,
      levels.filter((n) => n !== hub),
    );
    if (parts.length > 1) return { hub, parts };
  }
  return undefined;
}

/** Edges put together with the loops they follow, and with those that decide how often these run. */
function independent(open: readonly Edge[], levels: readonly Nest[]): Part[] {
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
      if (i < 0) return;
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
  if (e.op === '+') return { index: inner.index, coef: inner.coef, offset: inner.offset + k };
  if (e.op === '-') return { index: inner.index, coef: inner.coef, offset: inner.offset - k };
  return undefined;
}

/** What an expression grows by with each step of an index; undefined when that is not always the same. */
function coefficientOf(e: Expr, index: LoopVar): number | undefined {
  if (e === index) return 1;
  if (!mentions(e, index)) return 0;
  if (typeof e === 'number' || !('op' in e)) return undefined;
  const a = coefficientOf(e.a, index);
  const b = coefficientOf(e.b, index);
  if (a === undefined || b === undefined) return undefined;
  if (e.op === '+') return a + b;
  if (e.op === '-') return a - b;
  if (e.op === '*' && typeof e.b === 'number') return a * e.b;
  if (e.op === '*' && typeof e.a === 'number') return b * e.a;
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
