/** A machine's rates as flat tables, made once per machine, so that an evaluation looks nothing up by name. */
import type { DType } from '../../base/dtype.js';
import { InfeasibleError } from '../../base/errors.js';
import type { MapFn } from '../../kernel/ir.js';
import {
  FLOPS,
  type Link,
  MATH_FNS,
  type MathFn,
  type MmaOp,
  mathRateOf,
  type ResourceGraph,
  type Store,
  tileStoreOf,
} from '../../machine/graph.js';
import type { Demand, Latest, Segment } from './demand.js';
import { InOrderCosts } from './in-order.js';

/** Resources of one core: the matrix unit, the shared-memory port, issue, then one per pipe of the vector units. */
export const MATRIX = 0;
export const SHARED = 1;
export const ISSUE = 2;
export const PIPES = 3;
/** Resources after the pipes: the core's link, the cache's port, DRAM, links to other devices. */
export const BEYOND = 4;
export const LINK = 0;
export const CACHE = 1;
export const DRAM = 2;
export const PEER = 3;

/** Work of one element on each pipe, in cycles of a whole core. */
export interface ElementCost {
  /** Pipes that it occupies, and for how long. */
  readonly pipes: readonly number[];
  readonly cycles: readonly number[];
  readonly longest: number;
  /** Issue slots of the core, in cycles. */
  readonly issue: number;
  readonly flops: number;
  readonly latency_cycles: number;
  readonly pJ: number;
}

/** Memory of another device, or of the host. */
export interface Remote {
  readonly link: Link | undefined;
  readonly store: Store | undefined;
  readonly read_s_per_B: number;
  readonly write_s_per_B: number;
  readonly latency_s: number;
}

export interface Costs {
  /** Segments to be used again by the next launch. */
  readonly spare: Segment[];
  /** Likewise. */
  demand: Demand | undefined;
  /** What both hold now. */
  latest: Latest | undefined;
  readonly machine: ResourceGraph;
  readonly home: Store;
  readonly cache: Store | undefined;
  readonly shared: Store | undefined;
  readonly l1: Store | undefined;
  readonly register: Store | undefined;
  /** Between a core and the machine-wide cache. */
  readonly linkIn: Link | undefined;
  readonly linkOut: Link | undefined;
  readonly pipes: readonly string[];
  readonly sector_B: number;
  /** Bytes a cycle through the shared-memory port, and its latency. */
  readonly sharedRate: number;
  readonly shared_latency_cycles: number;
  /** Where lane groups take turns and do everything themselves. */
  inOrder: InOrderCosts | undefined;
  /** Copies into shared tiles pass the lanes' registers. */
  readonly viaLanes: boolean;
  readonly coIssue: number;
  /** Of loads that hit the cache and that miss it, the core's and cache's clocked part apart from the rest; seconds. */
  readonly hitClocked_s: number;
  readonly hitFixed_s: number;
  readonly missClocked_s: number;
  readonly missFixed_s: number;
  readonly dram_s_per_B: number;
  /** How much slower DRAM is when as many bytes are written as read. */
  readonly mixedSlowdown: number;
  readonly special: number;
  /**
   * Energy per byte, apart by what goes with the clock's voltage, of: home read, written; cache read, written; core's
   * cache; shared read, written; registers read, written; link in, out. Ways between near stores and lanes included.
   */
  readonly flow: { readonly clocked_pJ: readonly number[]; readonly fixed_pJ: readonly number[] };
  mma(a: DType, b: DType, acc: DType, unit: 'matrix' | 'vector', widest?: number): MmaOp;
  element(fn: MapFn, dtype: DType): ElementCost;
  math(fn: MathFn, dtype: DType): ElementCost;
  remote(name: string): Remote;
}

const known = new WeakMap<ResourceGraph, Costs>();

export function costsOf(machine: ResourceGraph): Costs {
  let c = known.get(machine);
  if (!c) {
    c = makeCosts(machine);
    known.set(machine, c);
  }
  return c;
}

function makeCosts(machine: ResourceGraph): Costs {
  const home = machine.stores.find((s) => s.role === 'home');
  if (!home) throw new InfeasibleError(`machine ${machine.name} has no home store`);
  const cache = machine.stores.find((s) => s.role === 'cache' && s.scope === 'machine');
  const shared = tileStoreOf(machine);
  const { cores, control } = machine;
  const nominal = control.clock.nominal_Hz;
  const pipes: string[] = [];
  for (const unit of machine.units)
    for (const key in unit.math) if (!pipes.includes(unit.math[key]!.pipe)) pipes.push(unit.math[key]!.pipe);
  const near = (cache ?? home).id;
  const linkIn = machine.links.find((l) => l.scope === 'core' && l.from === near);
  const linkOut = machine.links.find((l) => l.scope === 'core' && l.to === near) ?? linkIn;
  const dramLink = cache && machine.links.find((l) => l.from === home.id && l.to === cache.id);

  // latencies in two parts: what runs from the core clock, and what does not
  let hitClocked_s = 0;
  let hitFixed_s = 0;
  let missClocked_s = 0;
  let missFixed_s = 0;
  const hit = (s: number, clocked: boolean) => {
    if (clocked) hitClocked_s += s;
    else hitFixed_s += s;
  };
  const miss = (s: number, clocked: boolean) => {
    if (clocked) missClocked_s += s;
    else missFixed_s += s;
  };
  if (cache) hit(cache.latency_s + (cache.far ? cache.far.extra_latency_s * cache.far.share : 0), cache.clocked);
  else hit(home.latency_s, home.clocked);
  miss(home.latency_s, home.clocked);
  if (dramLink) miss(dramLink.latency_s, false);
  if (linkIn) {
    hit(linkIn.latency_s, linkIn.clocked);
    miss(linkIn.latency_s, linkIn.clocked);
  }

  const elements = new Map<MapFn, Map<DType, ElementCost>>();
  const maths = new Map<string, ElementCost>();
  const mmas = new Map<string, MmaOp>();
  const remotes = new Map<string, Remote>();

  /** Results of one lane-group instruction: more than its lanes where narrow values are packed. */
  const perInstruction = (per_cycle: number) => Math.max(cores.lane_group, per_cycle / cores.issue_per_cycle);

  const sum = (parts: readonly (readonly [fn: MathFn, n: number])[], dtype: DType): ElementCost => {
    const cycles = new Array<number>(pipes.length).fill(0);
    let issue = 0;
    let flops = 0;
    let latency_cycles = 0;
    let pJ = 0;
    for (const [fn, n] of parts) {
      const found = mathRateOf(machine, fn, dtype);
      if (!found) throw new InfeasibleError(`machine ${machine.name} cannot do ${fn} on ${dtype}`);
      const { rate } = found;
      const p = pipes.indexOf(rate.pipe);
      cycles[p] = cycles[p]! + n / rate.per_cycle;
      issue += n / perInstruction(rate.per_cycle) / cores.issue_per_cycle;
      flops += n * FLOPS[fn];
      latency_cycles += rate.latency_cycles;
      pJ += n * rate.pJ;
    }
    const used = cycles.flatMap((c, p) => (c > 0 ? [p] : []));
    return {
      pipes: used.map((p) => PIPES + p),
      cycles: used.map((p) => cycles[p]!),
      longest: Math.max(0, ...cycles),
      issue,
      flops,
      latency_cycles,
      pJ,
    };
  };

  const math = (fn: MathFn, dtype: DType): ElementCost => {
    const key = `${fn}:${dtype}`;
    let cost = maths.get(key);
    if (!cost) {
      cost = sum([[fn, 1]], dtype);
      maths.set(key, cost);
    }
    return cost;
  };

  const l1 = machine.stores.find((s) => s.role === 'cache' && s.scope === 'core');
  const register = machine.stores.find((s) => s.id === 'register');
  const clocked_pJ = new Array<number>(11).fill(0);
  const fixed_pJ = new Array<number>(11).fill(0);
  const charge = (i: number, pJ: number, clocked: boolean) => {
    const to = clocked ? clocked_pJ : fixed_pJ;
    to[i] = to[i]! + pJ;
  };
  [home, cache, undefined, shared, register].forEach((s, i) => {
    if (!s) return;
    const at = i < 2 ? 2 * i : 2 * i - 1;
    charge(at, s.read_pJ_per_B, s.clocked);
    charge(at + 1, s.write_pJ_per_B, s.clocked);
  });
  if (l1) charge(4, l1.read_pJ_per_B, l1.clocked);
  if (linkIn) charge(9, linkIn.pJ_per_B, linkIn.clocked);
  if (linkOut) charge(10, linkOut.pJ_per_B, linkOut.clocked);
  for (const l of machine.links) {
    if (l.scope !== 'core' || l.to !== 'register' || l === linkIn || l === linkOut) continue;
    if (l.from === shared?.id) for (const i of [5, 6]) charge(i, l.pJ_per_B, l.clocked);
    else if (l.from === l1?.id) charge(4, l.pJ_per_B, l.clocked);
  }

  const exp2 = mathRateOf(machine, 'exp2', 'fp32')?.rate.pipe;
  const fma = mathRateOf(machine, 'fma', 'fp32')?.rate.pipe;
  const costs: Costs = {
    inOrder: undefined,
    spare: [],
    demand: undefined,
    latest: undefined,
    machine,
    home,
    cache,
    shared,
    l1,
    register,
    linkIn,
    linkOut,
    pipes,
    sector_B: cache?.sector_B ?? home.sector_B,
    sharedRate: shared ? (shared.read_B_per_s / nominal) * (shared.shared_port ? 1 : 2) : Number.POSITIVE_INFINITY,
    shared_latency_cycles: (shared?.latency_s ?? 0) * nominal,
    viaLanes: machine.links.some((l) => l.to === 'shared' && l.via === 'register'),
    coIssue: cores.co_issue ?? 1,
    hitClocked_s,
    hitFixed_s,
    missClocked_s,
    missFixed_s,
    dram_s_per_B: Math.max(1 / (home.read_B_per_s * home.sustained_fraction), dramLink ? 1 / dramLink.B_per_s : 0),
    mixedSlowdown: home.sustained_fraction / (home.mixed_fraction ?? home.sustained_fraction),
    flow: { clocked_pJ, fixed_pJ },
    special: exp2 === undefined || exp2 === fma ? -1 : PIPES + pipes.indexOf(exp2),
    mma(a, b, acc, unit, widest) {
      const key = `${a}:${b}:${acc}:${unit}:${widest ?? ''}`;
      let best = mmas.get(key);
      if (!best) {
        for (const u of machine.units)
          for (const op of u.mma)
            if (
              op.a === a &&
              op.b === b &&
              op.acc === acc &&
              op.lanes > 1 === (unit === 'matrix') &&
              (widest === undefined || op.lanes <= widest) &&
              (!best || op.macs_per_cycle > best.macs_per_cycle)
            )
              best = op;
        if (!best && unit === 'vector') {
          // not listed: plain fma on the accumulator's format
          const found = mathRateOf(machine, 'fma', acc);
          if (found)
            best = {
              a,
              b,
              acc,
              macs_per_cycle: found.rate.per_cycle,
              sparse_2_4: false,
              m: 1,
              n: 1,
              k: 1,
              lanes: 1,
              latency_cycles: found.rate.latency_cycles,
              operands: 'register',
              accumulator: 'register',
              pJ_per_MAC: found.rate.pJ,
            };
        }
        if (!best)
          throw new InfeasibleError(
            `machine ${machine.name} has no ${unit} multiply–accumulate for ${a} × ${b} → ${acc}`,
          );
        mmas.set(key, best);
      }
      return best;
    },
    math,
    element(fn, dtype) {
      let byType = elements.get(fn);
      if (!byType) {
        byType = new Map();
        elements.set(fn, byType);
      }
      let cost = byType.get(dtype);
      if (!cost) {
        cost = sum(
          MATH_FNS.flatMap((name) => (fn.work[name] ? [[name, fn.work[name]] as const] : [])),
          dtype,
        );
        byType.set(dtype, cost);
      }
      return cost;
    },
    remote(name) {
      let r = remotes.get(name);
      if (!r) {
        const link = machine.links.find((l) => l.to === name || l.from === name);
        const store = machine.stores.find((s) => s.id === name);
        if (!link && !store) throw new InfeasibleError(`machine ${machine.name} has no ${name} memory`);
        const rate = (store_B_per_s: number | undefined) =>
          Math.max(link ? 1 / link.B_per_s : 0, store_B_per_s ? 1 / store_B_per_s : 0);
        r = {
          link,
          store,
          read_s_per_B: rate(store?.read_B_per_s),
          write_s_per_B: rate(store?.write_B_per_s),
          latency_s: (link?.latency_s ?? 0) + (store?.latency_s ?? 0),
        };
        remotes.set(name, r);
      }
      return r;
    },
  };
  if (cores.in_order) costs.inOrder = new InOrderCosts(costs);
  return costs;
}
