/** A profile of PyTorch as a trace: its innermost operators in the order in which they were called. */
import { bytesOf } from '../../base/dtype.js';
import { InputError } from '../../base/errors.js';
import { compulsoryBytesOf, type Op, type Trace } from '../../workload/op.js';
import { callsOf } from './events.js';
import { isKnown, isView, opOf } from './ops.js';

export interface Imported {
  readonly trace: Trace;
  /** Calls that no op stands for, by name, the most frequent first. */
  readonly left_out: readonly (readonly [name: string, calls: number])[];
}

/**
 * A profile does not say which tensors are parameters, nor who reads whose result: tables and the right sides of products
 * of single matrices are taken for parameters, each of its own, and each op for the reader of the one before.
 * @throws InputError
 */
export function importProfile(text: string, file: string, name: string): Imported {
  const { calls, others } = callsOf(text, file, isKnown);
  for (const other of [...others.keys()]) if (isView(other)) others.delete(other);
  const ops: Op[] = [];
  for (const call of calls) {
    const op = opOf(call, String(ops.length + 1), ops.length > 0 ? [String(ops.length)] : []);
    if (op) ops.push(op);
    else others.set(call.name, (others.get(call.name) ?? 0) + 1);
  }
  const left_out = [...others].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  if (ops.length === 0)
    throw new InputError(`none of its calls is one that ops stand for: ${left_out.map(([n]) => n).join(', ')}`, file);
  const weights = ops.map(weightsOf);
  const sum = (pick: (w: (typeof weights)[number]) => number) => weights.reduce((total, w) => total + pick(w), 0);
  return {
    trace: {
      name,
      source: { profile: file },
      ops,
      devices: 1,
      footprint_B: {
        weights: sum((w) => w.bytes),
        kv_cache: 0,
        activations: ops.reduce((most, op, i) => Math.max(most, activationsOf(op) - weights[i]!.bytes), 0),
      },
      parameters: sum((w) => w.parameters),
    },
    left_out,
  };
}

function weightsOf(op: Op): { parameters: number; bytes: number } {
  const parameters =
    op.kind === 'matmul' && op.weights
      ? op.n * op.k
      : op.kind === 'gather'
        ? op.table_rows * op.cols
        : op.kind === 'conv2d'
          ? op.out_channels * op.in_channels * op.kernel ** 2
          : 0;
  const dtype = 'b' in op ? op.b : 'dtype' in op ? op.dtype : 'fp32';
  return { parameters, bytes: parameters * bytesOf(dtype) };
}

function activationsOf(op: Op): number {
  const { read_B, write_B } = compulsoryBytesOf(op);
  return read_B + write_B;
}
