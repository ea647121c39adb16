/**
 * The route a matrix product takes on a machine: which matrix instruction it feeds, or plain multiply–adds, and
 * which operands are widened on the way from their storage format. Shared by every kernel built around `mma`.
 */
import { bytesOf, type DType } from '../../base/dtype.js';
import { type MmaOp, mmaOf, type ResourceGraph } from '../../machine/graph.js';
import { type Fx, type MapFn, mapFn } from '../ir.js';
import { CONVERT, isInteger, MOVE } from '../math.js';

/** The formats of a product. */
export interface Formats {
  readonly a: DType;
  readonly b: DType;
  readonly accumulate: DType;
  /** Operands have a scale for each 128 of k. */
  readonly block_scaled?: boolean;
}

export interface Route {
  readonly mma: 'matrix' | 'vector';
  /** The matrix instruction, when mma is matrix. */
  readonly op?: MmaOp;
  /** Formats of the tiles that mma reads and accumulates in. */
  readonly a: DType;
  readonly b: DType;
  readonly acc: DType;
  /** The stored tile is converted to the format above by a map in the main loop. */
  readonly widenA: boolean;
  readonly widenB: boolean;
  /** Lanes that issue one mma together, at least a lane group. */
  readonly group_lanes: number;
}

/** Formats that are exact in every wider floating-point format tried below, so that a library may widen them. */
const NARROW: ReadonlySet<DType> = new Set<DType>([
  'fp8_e4m3',
  'fp8_e5m2',
  'fp6_e3m2',
  'fp4_e2m1',
  'nvfp4',
  'mxfp4',
  'mxfp8',
  'int8',
  'uint8',
  'int4',
  'int1',
]);

/** Scales of quantised weights that a floating-point product applies: per column of B, or per column and 128 rows. */
export type Scaling = 'none' | 'column' | 'group';
/** Rows of B that share a scale in `group` scaling (AWQ, GPTQ and Marlin use 128). */
export const SCALE_GROUP = 128;

/** Integer weights beside floating-point activations carry scales: int8 per column, int4 per column and group. */
export function scalingOf(f: Formats): Scaling {
  if (isInteger(f.a) || !isInteger(f.b)) return 'none';
  return bytesOf(f.b) < 1 ? 'group' : 'column';
}

// One product is planned many times over by a search, so the last answer is kept.
let lastFormats: Formats | undefined;
let lastMachine: ResourceGraph | undefined;
let lastRoute: Route | undefined;

/** The best route; undefined when the machine has neither an instruction nor multiply–adds for it. */
export function routeOf(formats: Formats, machine: ResourceGraph): Route | undefined {
  if (formats === lastFormats && machine === lastMachine) return lastRoute;
  lastRoute = findRoute(formats, machine);
  lastFormats = formats;
  lastMachine = machine;
  return lastRoute;
}

function findRoute({ a, b, accumulate }: Formats, machine: ResourceGraph): Route | undefined {
  const accs: DType[] = isInteger(accumulate) ? [accumulate] : [accumulate, 'fp32'];
  for (const acc of accs) {
    const direct = instructionOf(machine, a, b, acc);
    if (direct) return matrix(direct, false, false, machine);
  }
  const wider = bytesOf(a) >= bytesOf(b) ? a : b;
  const targets: DType[] = [wider];
  // Narrow floats go through a wider format exactly; integers that accumulate as integers have no such way.
  if (NARROW.has(a) && NARROW.has(b) && !isInteger(accumulate)) targets.push('fp16', 'bf16');
  for (const to of targets)
    for (const acc of accs) {
      if ((a !== to && !NARROW.has(a)) || (b !== to && !NARROW.has(b))) continue;
      const op = instructionOf(machine, to, to, acc);
      if (op) return matrix(op, a !== to, b !== to, machine);
    }
  // plain multiply–adds have operands of the format they add in; others are widened to it in shared memory
  for (const acc of accs)
    if (mmaOf(machine, acc, acc, acc) && !(isInteger(acc) && isInteger(a) !== isInteger(b)))
      return {
        mma: 'vector',
        a: acc,
        b: acc,
        acc,
        widenA: a !== acc,
        widenB: b !== acc,
        group_lanes: machine.cores.lane_group,
      };
  return undefined;
}

/** The matrix instruction for these formats; plain multiply–adds, which machines list as 1×1×1, are none. */
function instructionOf(machine: ResourceGraph, a: DType, b: DType, acc: DType): MmaOp | undefined {
  const op = mmaOf(machine, a, b, acc)?.op;
  return op && op.m * op.n * op.k > 1 ? op : undefined;
}

const matrix = (op: MmaOp, widenA: boolean, widenB: boolean, machine: ResourceGraph): Route => ({
  mma: 'matrix',
  op,
  a: op.a,
  b: op.b,
  acc: op.acc,
  widenA,
  widenB,
  group_lanes: Math.max(machine.cores.lane_group, op.lanes),
});

/** Why no route exists, and which there are. */
export function noRoute(f: Formats, machine: ResourceGraph): string {
  const has = machine.units.flatMap((u) => u.mma.map((m) => (m.a === m.b ? m.a : `${m.a} × ${m.b}`)));
  const known = has.length > 0 ? ` (it multiplies ${[...new Set(has)].join(', ')})` : '';
  return `${machine.name} has neither a matrix instruction nor multiply–adds for ${f.a} × ${f.b} accumulated in ${f.accumulate}${known}`;
}

const weight: Fx = { in: 0 };
/**
 * Widening, as fast dequantisation does it: bits are placed in the mantissa of a biased number (a byte permute or lop3,
 * which counts as the conversion), and one fused multiply–add removes the bias and applies the scale, bias·scale being
 * kept with it; a second byte permute packs two bytes' results (Kim et al. 2022, "Who Says Elephants Can't Run",
 * section 4; FasterTransformer, AWQ).
 */
export const WIDEN_INTEGER: MapFn = mapFn('widen', 1, { f: 'fma', args: [weight, 1, 0] }, { int: 0.5 });
/** The same with the scale of its column and group. */
export const DEQUANTISE: MapFn = mapFn('dequantise', 2, { f: 'fma', args: [weight, { in: 1 }, 0] });
/** Narrow floats and bf16: a shift, and the exponent rebased by one multiplication. */
export const WIDEN_FLOAT: MapFn = mapFn('widen', 1, { f: 'mul', args: [weight, 1] });

export function widenFn(from: DType): MapFn {
  if (from === 'tf32') return MOVE;
  if (from === 'fp16' || from === 'fp32') return CONVERT;
  return isInteger(from) ? WIDEN_INTEGER : WIDEN_FLOAT;
}
