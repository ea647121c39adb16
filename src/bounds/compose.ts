/**
 * Bounds over a trace. Op by op, each op's operands and results pass through far memory: the sum of the ops' bounds. Fused,
 * what one op makes and another reads may stay near: an op's bound falls by at most those bytes (they need be neither
 * loaded nor stored; Elango et al., SPAA 2014, tagging of inputs and outputs), and never below what enters and leaves.
 * Fusion is within one repeat of an op's group; from repeat to repeat tensors pass through memory.
 */
import { compulsoryBytesOf, type Op, type Trace } from '../workload/op.js';
import { leastIo } from './least-io.js';

/** A tensor that one op makes and another reads: staying near would save its write and its read. */
export interface Edge {
  readonly from: string;
  readonly to: string;
  readonly kinds: readonly [string, string];
  readonly bytes: number;
  readonly saves_B: number;
}

export interface Composition {
  readonly capacity_B: number;
  /** Least bytes when every op runs by itself, and when all may be fused. */
  readonly unfused_B: number;
  readonly fused_B: number;
  /** What enters and leaves the trace: parameters, caches, first inputs, last results. */
  readonly external_B: number;
  /** Largest saving first. */
  readonly edges: readonly Edge[];
}

export function composeTrace(trace: Trace, capacity_B: number): Composition {
  const byId = new Map(trace.ops.map((op) => [op.id, op]));
  const read = new Set(trace.ops.flatMap((op) => op.deps));
  let unfused_B = 0;
  let inside_B = 0;
  let external_B = 0;
  const edges: Edge[] = [];
  for (const op of trace.ops) {
    const { read_B, write_B } = compulsoryBytesOf(op);
    const least = leastIo(op, capacity_B).bytes;
    let near = 0;
    for (const id of op.deps) {
      const from = byId.get(id);
      if (!from) continue;
      const bytes = Math.min(compulsoryBytesOf(from).write_B, read_B - near);
      near += bytes;
      if (bytes > 0) edges.push(edgeOf(from, op, bytes));
    }
    if (read.has(op.id)) near += write_B;
    unfused_B += least * op.repeat;
    inside_B += Math.max(0, least - near) * op.repeat;
    external_B += (read_B + write_B - near) * op.repeat;
  }
  edges.sort((a, b) => b.saves_B - a.saves_B || (a.from < b.from ? -1 : 1));
  return { capacity_B, unfused_B, fused_B: Math.max(external_B, inside_B), external_B, edges };
}

const edgeOf = (from: Op, to: Op, bytes: number): Edge => ({
  from: from.name,
  to: to.name,
  kinds: [from.kind, to.kind],
  bytes,
  saves_B: 2 * bytes * Math.min(from.repeat, to.repeat),
});
