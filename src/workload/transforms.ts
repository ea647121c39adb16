/** Pure functions Trace → Trace. */
import { bytesOf, type DType } from '../base/dtype.js';
import { InputError } from '../base/errors.js';
import { accumulator } from './formats.js';
import { type Convolution, convInputs, isConvolution, type Op, type OpOf, type Trace } from './op.js';
import { largestActivations_B } from './summary.js';

/** Ops with parameters as their right operand. */
type Product = OpOf<'matmul'> | OpOf<'grouped_matmul'> | Convolution;

function isProduct(op: Op): op is Product {
  return (op.kind === 'matmul' && op.weights) || op.kind === 'grouped_matmul' || isConvolution(op);
}

/** A sum kept in the format that goes with its operands stays so; one that the user chose is left alone. */
function withFormats(op: Product, a: DType, b: DType): Product {
  const usual = op.accumulate === accumulator(op.a, op.b);
  return { ...op, a, b, accumulate: usual ? accumulator(a, b) : op.accumulate };
}

/** The head that shares the token table keeps the table's format. */
function isTiedHead(trace: Trace, op: Op): boolean {
  return trace.source['tied'] === true && op.name === 'head.logits';
}

export interface Quantisation {
  /** Parameters of products. */
  readonly weights?: DType;
  /** Left operands of products; the stream between them keeps its format. */
  readonly activations?: DType;
  /** Keys and values in the cache. */
  readonly kv?: DType;
}

/**
 * Other number formats for a class of tensors, with the conversions that this takes as ops.
 * @throws InputError for a training step, or when the weights have several formats
 */
export function quantise(trace: Trace, q: Quantisation): Trace {
  const { weights, activations, kv } = q;
  if (trace.footprint_B.gradients !== undefined)
    throw new InputError(`${trace.name} is a training step, whose gradients need the formats that it has`);
  let ops = trace.ops;
  let { weights: weights_B, kv_cache: kv_B } = trace.footprint_B;
  if (weights) {
    const old = ops.filter((op) => isProduct(op) && !isTiedHead(trace, op)).map((op) => (op as Product).b);
    if (new Set(old).size > 1)
      throw new InputError(`cannot quantise weights of ${trace.name}: they have ${[...new Set(old)].join(', ')}`);
    const linear = trace.linear_parameters ?? trace.parameters / trace.devices;
    if (old[0]) weights_B += linear * (bytesOf(weights) - bytesOf(old[0]));
    ops = ops.map((op) => (isProduct(op) && !isTiedHead(trace, op) ? withFormats(op, op.a, weights) : op));
  }
  if (kv) {
    const append = ops.find((op) => op.kind === 'kv_append');
    if (append) kv_B *= bytesOf(kv) / bytesOf(append.kv);
    ops = ops.map((op) =>
      op.kind === 'kv_append' || (op.kind === 'attention' && op.cached) ? ({ ...op, kv } as Op) : op,
    );
  }
  if (activations) ops = quantiseInputs(ops, activations);
  const footprint_B = { weights: weights_B, kv_cache: kv_B, activations: largestActivations_B(ops) };
  const changes = Object.fromEntries(Object.entries(q).filter(([, dtype]) => dtype !== undefined));
  return { ...trace, source: { ...trace.source, ...changes }, ops, footprint_B };
}

/**
 * The first of a product's `deps` is its left operand. A producer that only products read, as an element-wise op,
 * attention or an activated product, writes the narrow format itself; behind any other an op converts it, once.
 */
function quantiseInputs(ops: readonly Op[], to: DType): Op[] {
  const direct = new Set(ops.filter(isProduct).flatMap((op) => op.deps.slice(0, 1)));
  for (const op of ops) for (const dep of isProduct(op) ? op.deps.slice(1) : op.deps) direct.delete(dep);
  const out: Op[] = [];
  const byId = new Map<string, Op>();
  const converted = new Map<string, string>();
  for (const op of ops) {
    let next: Op = op;
    if (isProduct(op)) {
      const producer = op.deps[0] === undefined ? undefined : byId.get(op.deps[0]);
      next = withFormats(op, to, op.b);
      if (producer && !(direct.has(producer.id) && writes(producer)) && bytesOf(op.a) > bytesOf(to)) {
        const known = converted.get(producer.id);
        const id = known ?? `${producer.id}.quantise`;
        if (known === undefined) {
          const { repeat, phase } = op;
          const n = inputElements(op);
          const name = `${producer.name}.quantise`;
          const deps = [producer.id];
          out.push({ kind: 'elementwise', id, name, repeat, deps, phase, fn: 'quantise', n, dtype: op.a, out: to });
          converted.set(producer.id, id);
        }
        next = { ...next, deps: [id, ...op.deps.slice(1)] };
      }
    }
    if (direct.has(op.id) && writes(op)) next = writing(next, to);
    byId.set(op.id, next);
    out.push(next);
  }
  return out;
}

/** Whether the op's kernel can write another format than it computes in. */
function writes(op: Op): boolean {
  return op.kind === 'elementwise' || op.kind === 'attention' || (op.kind === 'matmul' && op.activation !== 'none');
}

function writing(op: Op, to: DType): Op {
  if (op.kind === 'elementwise') return { ...op, out: to };
  if (op.kind === 'attention') return { ...op, o: to };
  return op.kind === 'matmul' ? { ...op, c: to } : op;
}

function inputElements(op: Product): number {
  if (isConvolution(op)) return convInputs(op);
  return op.kind === 'matmul' ? op.batch * op.m * op.k : op.rows * op.k;
}

/** The whole trace `times` over, one run after another. */
export function scaleRepeat(trace: Trace, times: number): Trace {
  if (!Number.isInteger(times) || times < 1) throw new InputError(`repeat: expected at least 1, got ${times}`);
  const ops = trace.ops.map((op) => ({ ...op, repeat: op.repeat * times }));
  const { produces } = trace;
  return { ...trace, ops, ...(produces ? { produces: { ...produces, count: produces.count * times } } : {}) };
}
