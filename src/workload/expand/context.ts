/** What every part of an expansion shares: the model, one device's shard, number formats, and the list being written. */
import { bytesOf, type DType } from '../../base/dtype.js';
import { InputError } from '../../base/errors.js';
import { accumulator, type Dtypes } from '../formats.js';
import type { TransformerModel } from '../model.js';
import type { Activation, Op } from '../op.js';
import type { Shard } from '../shard.js';

/** Sequences of one attention op: same query length; keys alike or a length each. */
export interface Lengths {
  readonly batch: number;
  readonly q_len: number;
  readonly kv_len: number;
  readonly kv_lens?: readonly number[];
}

/**
 * One pass over the stack, or several that differ in the keys attended only (decode steps). Ops that do not depend on
 * the keys are shared by all steps, with their repeat multiplied; attention has an op a step.
 */
export interface Pass {
  /** Label of the ops in reports. */
  readonly phase: string;
  /** Before each id, so that passes of one trace do not collide. */
  readonly prefix: string;
  readonly sequences: number;
  /** Tokens that go through the stack in one step, over all sequences. */
  readonly rows: number;
  /** Per step, the groups of sequences that one attention op covers. */
  readonly steps: readonly (readonly Lengths[])[];
  /** The op whose result says which tokens to read: the head of the pass before. */
  readonly after?: string;
  /** Rows that the head reads. */
  readonly logits: number;
}

export type NewOp = Op extends infer O ? (O extends Op ? Omit<O, 'id' | 'phase'> : never) : never;

export class Expansion {
  readonly ops: Op[] = [];
  constructor(
    readonly model: TransformerModel,
    readonly shard: Shard,
    readonly dtypes: Dtypes,
    /** Of a training step: what the backward pass reads is written, and attention is one op or several. */
    readonly training?: { readonly attention: 'fused' | 'unfused' },
  ) {}

  /** Appends an op and returns its id: the name behind the prefix of the pass. @throws InputError beyond 2⁵³ elements. */
  emit(pass: Pass, op: NewOp): string {
    const id = `${pass.prefix}${op.name}`;
    for (const [key, value] of Object.entries(op))
      if (typeof value === 'number' && !Number.isSafeInteger(value))
        throw new InputError(`${id} would have ${key} ${value}, too large to count; take a smaller batch or length`);
    this.ops.push({ ...op, id, phase: pass.phase } as Op);
    return id;
  }
}

/** Where an op stands: how often the block around it runs, and the op it reads. */
export interface Site {
  readonly name: string;
  readonly repeat: number;
  readonly deps: readonly string[];
}

export interface Linear extends Site {
  readonly rows: number;
  readonly k: number;
  readonly n: number;
  readonly bias?: boolean;
  readonly activation?: Activation;
  readonly residual?: boolean;
  /** The result is the input of another product: written in that product's format. */
  readonly feeds?: boolean;
  readonly weights?: DType;
}

/** A product with parameters; the first of `deps` is its left operand, already in the format of products. */
export function linear(x: Expansion, pass: Pass, l: Linear): string {
  const a = x.dtypes.activations;
  const b = l.weights ?? x.dtypes.weights;
  // what goes into an activation is kept for the backward pass, so the activation is an op of its own
  const apart = x.training && l.activation !== undefined && l.activation !== 'none';
  const product = x.emit(pass, {
    kind: 'matmul',
    name: l.name,
    repeat: l.repeat,
    deps: [...l.deps],
    batch: 1,
    m: l.rows,
    n: l.n,
    k: l.k,
    a,
    b,
    c: l.feeds ? productInput(x) : x.dtypes.stream,
    accumulate: accumulator(a, b),
    weights: true,
    bias: l.bias ?? false,
    activation: apart ? 'none' : (l.activation ?? 'none'),
    residual: l.residual ?? false,
  });
  if (!apart) return product;
  return x.emit(pass, {
    kind: 'elementwise',
    name: `${l.name}.activation`,
    repeat: l.repeat,
    deps: [product],
    fn: l.activation as Exclude<Activation, 'none'>,
    n: l.rows * l.n,
    dtype: x.dtypes.stream,
  });
}

/** Format in which a product's input is stored: the stream's own, unless products take a narrower one. */
export function productInput(x: Expansion): DType {
  return isNarrow(x) ? x.dtypes.activations : x.dtypes.stream;
}

function isNarrow(x: Expansion): boolean {
  return bytesOf(x.dtypes.activations) < bytesOf(x.dtypes.stream);
}

/** A norm of the stream, and where products take a narrower format, the quantisation of its result. */
export function norm(x: Expansion, pass: Pass, site: Site, rows: number, feeds = true): string {
  const id = x.emit(pass, {
    kind: 'normalise',
    name: site.name,
    repeat: site.repeat,
    deps: [...site.deps],
    norm: x.model.norm.kind,
    rows,
    cols: x.model.hidden,
    residual: false,
    dtype: x.dtypes.stream,
  });
  return feeds ? quantised(x, pass, { name: site.name, repeat: site.repeat, deps: [id] }, rows * x.model.hidden) : id;
}

/** `deps[0]` in the format of products: itself, or an op that narrows it. */
export function quantised(x: Expansion, pass: Pass, site: Site, n: number): string {
  if (!isNarrow(x)) return site.deps[0]!;
  return x.emit(pass, {
    kind: 'elementwise',
    name: `${site.name}.quantise`,
    repeat: site.repeat,
    deps: [site.deps[0]!],
    fn: 'quantise',
    n,
    dtype: x.dtypes.stream,
    out: x.dtypes.activations,
  });
}

/** Sums a partial result over the devices; nothing on one device. */
export function allReduce(x: Expansion, pass: Pass, site: Site, rows: number): string {
  return collective(x, pass, site, 'all_reduce', rows * x.model.hidden);
}

export function collective(
  x: Expansion,
  pass: Pass,
  site: Site,
  kind: 'all_reduce' | 'all_gather',
  elements: number,
): string {
  if (x.shard.tp === 1) return site.deps[0]!;
  return x.emit(pass, {
    kind: 'collective',
    name: site.name,
    repeat: site.repeat,
    deps: [...site.deps],
    collective: kind,
    elements,
    devices: x.shard.tp,
    dtype: x.dtypes.stream,
  });
}
