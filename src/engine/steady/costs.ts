/** A machine's rates as flat tables, made once per machine, so that an evaluation looks nothing up by name. */
import type { DType } from '../../base/dtype.js';
import { InfeasibleError } from '../../base/errors.js';
import type { MapFn } from '../../kernel/ir.js';
import {
  type Link,
  linkOf,
  MATH_FNS,
  type MathFn,
  type MmaOp,
  mathRateOf,
  type ResourceGraph,
  type Store,
} from '../../machine/graph.js';

/** Resources of one core come first, then those of the whole machine, then one per pipe of the vector units. */
export const MATRIX = 0;
export const SHARED = 1;
export const ISSUE = 2;
export const LINK = 3;
export const L2 = 4;
export const DRAM = 5;
export const PEER = 6;
export const PIPES = 7;
export const CORE_RESOURCES = 4;

/** Work of one element of a map on each pipe, in cycles of a whole core. */
export interface ElementCost {
  readonly cycles: Float64Array;
  /** Longest pipe, for one workgroup alone. */
  readonly longest: number;
  readonly operations: number;
  readonly latency_cycles: number;
  readonly pJ: number;
}

export interface Costs {
  readonly machine: ResourceGraph;
  readonly home: Store;
  readonly cache: Store | undefined;
  readonly shared: Store | undefined;
  readonly l1: Store | undefined;
  readonly register: Store | undefined;
  readonly coreLink: Link | undefined;
  readonly peer: Link | undefined;
  readonly pipes: readonly string[];
  /** Names of all resources, by index. */
  readonly names: readonly string[];
  mma(a: DType, b: DType, acc: DType, unit: 'matrix' | 'vector'): MmaOp;
  element(fn: MapFn, dtype: DType): ElementCost;
  math(fn: MathFn, dtype: DType): ElementCost;
}

const cache = new WeakMap<ResourceGraph, Costs>();

export function costsOf(machine: ResourceGraph): Costs {
  let c = cache.get(machine);
  if (!c) {
    c = makeCosts(machine);
    cache.set(machine, c);
  }
  return c;
}

function makeCosts(machine: ResourceGraph): Costs {
  const home = machine.stores.find((s) => s.role === 'home');
  if (!home) throw new InfeasibleError(`machine ${machine.name} has no home store`);
  const level = machine.stores.find((s) => s.role === 'cache' && s.scope === 'machine');
  const pipes: string[] = [];
  for (const unit of machine.units)
    for (const key in unit.math) if (!pipes.includes(unit.math[key]!.pipe)) pipes.push(unit.math[key]!.pipe);
  const elements = new Map<MapFn, Map<DType, ElementCost>>();
  const maths = new Map<string, ElementCost>();
  const mmas = new Map<string, MmaOp>();

  const math = (fn: MathFn, dtype: DType): ElementCost => {
    const key = `${fn}:${dtype}`;
    let cost = maths.get(key);
    if (!cost) {
      const found = mathRateOf(machine, fn, dtype);
      if (!found) throw new InfeasibleError(`machine ${machine.name} cannot do ${fn} on ${dtype}`);
      const cycles = new Float64Array(pipes.length);
      cycles[pipes.indexOf(found.rate.pipe)] = 1 / found.rate.per_cycle;
      cost = {
        cycles,
        longest: 1 / found.rate.per_cycle,
        operations: 1,
        latency_cycles: found.rate.latency_cycles,
        pJ: found.rate.pJ,
      };
      maths.set(key, cost);
    }
    return cost;
  };

  return {
    machine,
    home,
    cache: level,
    shared: machine.stores.find((s) => s.id === 'shared'),
    l1: machine.stores.find((s) => s.role === 'cache' && s.scope === 'core'),
    register: machine.stores.find((s) => s.id === 'register'),
    coreLink:
      machine.links.find((l) => l.scope === 'core' && l.from === (level ?? home).id) ??
      linkOf(machine, home.id, 'shared'),
    peer: machine.links.find((l) => l.to === 'peer'),
    pipes,
    names: ['matrix', 'shared', 'issue', 'link', 'l2', 'dram', 'peer', ...pipes],
    mma(a, b, acc, unit) {
      const key = `${a}:${b}:${acc}:${unit}`;
      let best = mmas.get(key);
      if (!best) {
        for (const u of machine.units)
          for (const op of u.mma)
            if (
              op.a === a &&
              op.b === b &&
              op.acc === acc &&
              op.lanes > 1 === (unit === 'matrix') &&
              (!best || op.macs_per_cycle > best.macs_per_cycle)
            )
              best = op;
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
        const cycles = new Float64Array(pipes.length);
        let operations = 0;
        let latency_cycles = 0;
        let pJ = 0;
        for (const name of MATH_FNS) {
          const n = fn.work[name];
          if (!n) continue;
          const one = math(name, dtype);
          for (let p = 0; p < pipes.length; p++) cycles[p]! += n * one.cycles[p]!;
          operations += n;
          latency_cycles += one.latency_cycles;
          pJ += n * one.pJ;
        }
        cost = { cycles, longest: Math.max(0, ...cycles), operations, latency_cycles, pJ };
        byType.set(dtype, cost);
      }
      return cost;
    },
  };
}
