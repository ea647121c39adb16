/** What a trace holds, by phase: operations, compulsory bytes, and how much of them are parameters and cache. */
import { bytesOf } from '../base/dtype.js';
import { compulsoryBytesOf, convWeights, flopsOf, isConvolution, type Op, type Trace } from './op.js';

/** Totals over repeats, of one device. */
export interface PhaseSummary {
  readonly phase: string;
  /** Lines of the trace. */
  readonly ops: number;
  /** Ops run, repeats counted. */
  readonly runs: number;
  readonly flops: number;
  /** Of these, in products, attention and convolutions. */
  readonly matrix_flops: number;
  readonly compulsory_B: number;
  readonly weights_B: number;
  readonly kv_B: number;
  /** By kind of op: runs, flops and compulsory bytes. */
  readonly kinds: Readonly<Record<string, { runs: number; flops: number; compulsory_B: number }>>;
}

/** One summary per phase, in order of appearance, then the `total`. */
export function summarise(trace: Trace): PhaseSummary[] {
  const phases = new Map<string, Op[]>();
  for (const op of trace.ops) {
    const name = op.phase ?? 'trace';
    const list = phases.get(name);
    if (list) list.push(op);
    else phases.set(name, [op]);
  }
  return [...[...phases].map(([phase, ops]) => totals(phase, ops)), totals('total', trace.ops)];
}

function totals(phase: string, ops: readonly Op[]): PhaseSummary {
  const sum = { runs: 0, flops: 0, matrix_flops: 0, compulsory_B: 0, weights_B: 0, kv_B: 0 };
  const kinds: Record<string, { runs: number; flops: number; compulsory_B: number }> = {};
  for (const op of ops) {
    const flops = flopsOf(op) * op.repeat;
    const { read_B, write_B } = compulsoryBytesOf(op);
    const compulsory_B = (read_B + write_B) * op.repeat;
    sum.runs += op.repeat;
    sum.flops += flops;
    if (isMatrix(op)) sum.matrix_flops += flops;
    sum.compulsory_B += compulsory_B;
    sum.weights_B += weightBytesOf(op) * op.repeat;
    sum.kv_B += cacheBytesOf(op) * op.repeat;
    kinds[op.kind] ??= { runs: 0, flops: 0, compulsory_B: 0 };
    const kind = kinds[op.kind]!;
    kind.runs += op.repeat;
    kind.flops += flops;
    kind.compulsory_B += compulsory_B;
  }
  return { phase, ops: ops.length, ...sum, kinds };
}

/** Whether the op's work is products and sums of products. */
export function isMatrix(op: Op): boolean {
  return (
    op.kind === 'matmul' ||
    op.kind === 'grouped_matmul' ||
    op.kind === 'attention' ||
    op.kind === 'attention_backward' ||
    isConvolution(op)
  );
}

/** Bytes of matrix parameters that one repeat reads (norms and biases are left out). */
export function weightBytesOf(op: Op): number {
  if (op.kind === 'matmul') return op.weights ? op.batch * op.k * op.n * bytesOf(op.b) : 0;
  if (op.kind === 'grouped_matmul') return op.groups * op.k * op.n * bytesOf(op.b);
  if (isConvolution(op)) return convWeights(op) * bytesOf(op.b);
  return 0;
}

/** Bytes of cached keys and values that one repeat reads (attention) or writes (append). */
export function cacheBytesOf(op: Op): number {
  if (op.kind === 'kv_append') return op.rows * op.cols * bytesOf(op.kv);
  if (op.kind !== 'attention' || !op.cached) return 0;
  const { read_B } = compulsoryBytesOf({ ...op, relative_bias: false });
  return read_B - op.batch * op.q_len * op.heads * op.head_dim * bytesOf(op.q);
}

/** Bytes that must live on one device, all told. */
export function footprintOf({
  weights,
  kv_cache,
  activations,
  gradients = 0,
  optimiser = 0,
}: Trace['footprint_B']): number {
  return weights + kv_cache + activations + gradients + optimiser;
}

/** The most bytes of inputs and outputs, parameters and cache apart, that any op holds at once. */
export function largestActivations_B(ops: readonly Op[]): number {
  let most = 0;
  for (const op of ops) {
    const { read_B, write_B } = compulsoryBytesOf(op);
    const cached = op.kind === 'attention' || op.kind === 'kv_append' ? cacheBytesOf(op) : 0;
    most = Math.max(most, read_B + write_B - weightBytesOf(op) - cached);
  }
  return most;
}
