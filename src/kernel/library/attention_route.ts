/** Which arithmetic attention runs on: matrix instructions for its dtypes, or multiply–adds on each lane. */
import { bytesOf, type DType } from '../../base/dtype.js';
import { mathRateOf, mmaOf, type ResourceGraph } from '../../machine/graph.js';
import { map, type Stmt, type Tile, tile } from '../ir.js';
import type { Mapping } from '../kernel.js';
import type { Attention } from './attention_op.js';
import { widenFn } from './mma_route.js';

export interface Route {
  /** Operands of both products. */
  readonly operand: DType;
  readonly acc: DType;
  readonly mma: 'matrix' | 'vector';
  /** Rows of the instruction's native tile; 1 on plain lanes. */
  readonly m: number;
  /** Lanes of one group that issues together. */
  readonly lanes: number;
  /** The instruction reads its b operand from shared storage. */
  readonly fromShared: boolean;
  /** Lanes of the widest instruction it may use; any if absent. */
  readonly widest?: number;
}

const isFp8 = (d: DType): boolean => d.startsWith('fp8');

/** Operand formats to try, the first is the natural one: the wider of q and kv; narrow formats may run as 16-bit ones. */
function operandsOf(op: Attention): readonly DType[] {
  const wide = bytesOf(op.kv) > bytesOf(op.q) ? op.kv : op.q;
  return isFp8(wide) ? [wide, 'bf16', 'fp16'] : [wide];
}

// One op is planned many times over by a search, so the last answer is kept.
let lastOp: Attention | undefined;
let lastMachine: ResourceGraph | undefined;
let lastVector = false;
let lastWidest: number | undefined;
let lastRoute: Route | undefined;

/**
 * Matrix instructions when the machine has them for the operands; lanes otherwise (as libraries do for fp32, whose
 * products must not be rounded to tf32, and for bf16 on machines that lack it); lanes multiply in the accumulator's format.
 */
export function routeOf(
  op: Attention,
  machine: ResourceGraph,
  forceVector = false,
  widest?: number,
): Route | undefined {
  if (op === lastOp && machine === lastMachine && forceVector === lastVector && widest === lastWidest) return lastRoute;
  lastRoute = findRoute(op, machine, forceVector, widest);
  lastWidest = widest;
  lastOp = op;
  lastMachine = machine;
  lastVector = forceVector;
  return lastRoute;
}

function findRoute(op: Attention, machine: ResourceGraph, forceVector: boolean, widest?: number): Route | undefined {
  const acc: DType = op.q === 'fp64' ? 'fp64' : 'fp32';
  const operands = operandsOf(op);
  if (!forceVector)
    for (const operand of operands) {
      const found = mmaOf(machine, operand, operand, acc, widest)?.op;
      // plain multiply–adds may be listed as instructions of one element
      if (found && found.m * found.n * found.k > 1)
        return {
          operand,
          acc,
          mma: 'matrix',
          m: found.m,
          lanes: Math.max(machine.cores.lane_group, found.lanes),
          fromShared: found.operands === 'shared',
          widest,
        };
    }
  if (!mathRateOf(machine, 'fma', acc)) return undefined;
  return { operand: acc, acc, mma: 'vector', m: 1, lanes: machine.cores.lane_group, fromShared: false };
}

/** Why a kernel cannot run; `statistics`: it can write them. */
export function attentionRejects(op: Attention, machine: ResourceGraph, statistics = false): string | undefined {
  if (op.statistics && !statistics) return 'it keeps no statistics for the backward pass';
  if (op.heads % op.kv_heads !== 0) return `heads ${op.heads} is no multiple of kv_heads ${op.kv_heads}`;
  const route = routeOf(op, machine);
  if (!route) return `${machine.name} has neither matrix instructions nor multiply–adds for ${op.q}`;
  for (const fn of ['exp2', 'rcp'] as const)
    if (!mathRateOf(machine, fn, route.acc)) return `${machine.name} has no ${fn} for ${route.acc}`;
  return undefined;
}

/** `groups` lane groups: along the rows while each keeps a native tile of them, the rest along the columns. */
export function attentionMapping(route: Route, groups: number, bq: number): Mapping {
  const down = Math.max(1, Math.min(groups, Math.floor(bq / route.m)));
  const rows = groups % down === 0 ? down : 1;
  // two or more warpgroups of consumers with their producer take a core's registers whole (FlashAttention-3)
  const resident = route.lanes > 32 && route.m < 128 && groups > 1 && bq > route.m ? 1 : 0;
  return {
    lanes: groups * route.lanes,
    partition: [rows, groups / rows],
    resident,
    panel: 1,
    mma: route.mma,
    widest: route.widest,
  };
}

/**
 * Register tile of one lane when lanes multiply and add: lanes form a grid of `down` × `across` over the accumulator,
 * 16 across when there are rows enough.
 */
export function laneTile(lanes: number, rows: number, cols: number): readonly [number, number] {
  const down = Math.max(1, Math.min(2 ** Math.floor(Math.log2(rows)), Math.floor(lanes / 16)));
  const across = Math.max(1, Math.floor(lanes / down));
  return [Math.ceil(rows / down), Math.ceil(cols / across)];
}

/** Narrow keys or values widened to the operands' format. */
export function widening(op: Attention, route: Route, from: Tile): { out: Tile; tiles: Tile[]; steps: Stmt[] } {
  if (route.mma !== 'matrix' || op.kv === route.operand) return { out: from, tiles: [], steps: [] };
  const out = tile(`${from.name}w`, route.fromShared ? 'shared' : 'register', route.operand, from.rows, from.cols);
  return { out, tiles: [out], steps: [map(widenFn(op.kv), [from], out)] };
}
