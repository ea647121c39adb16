/**
 * One step of training: forward with what the backward pass needs, cross entropy over the vocabulary, backward, the sum of
 * gradients over replicas, the optimiser.
 *
 *   forward ─► (recompute ─►) backward ─► × accumulate ─► all-reduce over dp ─► optimiser
 *
 * Number formats: the stream, parameters and gradients in the model's own; where that is 16 bits, the optimiser keeps a
 * master copy and both moments of Adam in fp32 (Micikevicius et al., arXiv:1710.03740), so Adam moves 2 + 12 bytes a
 * parameter in and 12 + 2 out. No dropout. `batch` is of one replica and one of the `accumulate` rounds. Each collective
 * runs by itself, after what it needs: none is hidden behind the backward pass.
 */
import { bytesOf } from '../../base/dtype.js';
import { InputError } from '../../base/errors.js';
import type { TransformerModel } from '../model.js';
import { compulsoryBytesOf, type Op, type Trace } from '../op.js';
import { parameterCount, parameterFootprint, parameterGroups } from '../parameters.js';
import type { ResolvedSpec } from '../resolve.js';
import { shardOf } from '../shard.js';
import { Expansion, linear, type Pass } from './context.js';
import { embedTokens } from './embedding.js';
import { Gradients } from './gradients.js';
import { keptFor } from './kept.js';
import { finalNorm, layers } from './layers.js';
import { lengthsOf, wholeSequences } from './lengths.js';

const LAYER = 'layer.';
const isLayer = (op: Op): boolean => op.name.startsWith(LAYER);

/** The ops of one device. @throws InputError when heads share keys and attention is unfused */
export function expandTraining(
  model: TransformerModel,
  spec: ResolvedSpec,
  { source }: { readonly source: Trace['source'] },
): Trace {
  const { dtypes, dp, accumulate } = spec;
  const { heads, kv_heads } = model.attention;
  if (spec.attention === 'unfused' && (heads !== kv_heads || model.attention.window !== undefined))
    throw new InputError(`attention=unfused needs keys of its own for every head and no window, unlike ${model.name}`);
  const { tokens, longest } = lengthsOf(spec, spec.seq);
  const x = new Expansion(model, shardOf(model, spec.tp), dtypes, { attention: spec.attention });
  const pass: Pass = {
    phase: 'forward',
    prefix: '',
    sequences: Math.max(1, Math.round(tokens / longest)),
    rows: tokens,
    steps: [wholeSequences(spec, spec.seq)],
    logits: tokens,
  };
  const out = forward(x, pass);
  const ops = [...x.ops];
  const activations = keptBytes(ops, out, spec.checkpoint === '1');
  let gradients = backward(x, pass, ops, spec.checkpoint === '1');
  const of = new Set(gradients);
  const passing = x.ops.slice(ops.length).filter((op) => !of.has(op.id));
  const largest = passing.reduce((most, op) => Math.max(most, compulsoryBytesOf(op).write_B), 0);
  if (accumulate > 1) gradients = again(x, gradients, accumulate - 1);

  const parameters = parameterGroups(model, spec.tp).reduce((sum, g) => sum + g.elements * g.copies, 0);
  const step: Pass = { ...pass, phase: 'optimiser' };
  if (dp > 1)
    gradients = [
      x.emit(step, {
        kind: 'collective',
        name: 'gradients.all_reduce',
        repeat: 1,
        deps: gradients,
        collective: 'all_reduce',
        elements: parameters,
        devices: dp,
        dtype: dtypes.stream,
      }),
    ];
  const mixed = bytesOf(dtypes.stream) < 4;
  const master = mixed ? 'fp32' : dtypes.stream;
  if (spec.optimizer !== 'none')
    x.emit(step, {
      kind: 'optimiser',
      name: `optimiser.${spec.optimizer}`,
      repeat: 1,
      deps: gradients,
      rule: spec.optimizer,
      n: parameters,
      gradient: dtypes.stream,
      weight: dtypes.stream,
      dtype: master,
    });

  const { bytes, linear: linear_parameters } = parameterFootprint(model, spec.tp, dtypes);
  const kept = { adam: 2, sgd: 0, none: 0 }[spec.optimizer] + (mixed && spec.optimizer !== 'none' ? 1 : 0);
  return {
    name: spec.text,
    source: {
      ...source,
      dp,
      accumulate,
      optimizer: spec.optimizer,
      checkpoint: spec.checkpoint === '1',
      attention: spec.attention,
      model_flops: modelFlops(model, spec),
    },
    ops: x.ops,
    devices: spec.tp * dp,
    footprint_B: {
      weights: bytes,
      kv_cache: 0,
      activations: activations + largest,
      gradients: parameters * bytesOf(dtypes.stream),
      optimiser: parameters * kept * bytesOf(master),
    },
    parameters: parameterCount(model),
    linear_parameters,
    produces: { unit: 'token', count: tokens * accumulate * dp },
  };
}

/**
 * Operations of the step as training rates are usually stated, over all devices: 6 a parameter and token, and 12 · layers ·
 * hidden · length² a sequence, the causal half counted and recomputation not (Narayanan et al., arXiv:2104.04473; Dao,
 * arXiv:2307.08691, section 4.2).
 */
function modelFlops(model: TransformerModel, spec: ResolvedSpec): number {
  const lens = spec.lens ?? Array.from({ length: spec.batch }, () => spec.seq);
  const width = model.attention.heads * model.attention.head_dim;
  const each = (n: number) => 6 * parameterCount(model) * n + 12 * model.layers * width * n * n;
  return lens.reduce((sum, n) => sum + each(n), 0) * spec.accumulate * spec.dp;
}

/** Returns the op that writes the stream after the last layer. */
function forward(x: Expansion, pass: Pass): string {
  const { model, shard } = x;
  let input = embedTokens(x, pass, 'embedding');
  const stream = layers(x, pass, { prefix: LAYER, layers: model.layers, input, causal: true, cached: false });
  input = finalNorm(x, pass, 'final_norm', stream);
  const logits = linear(x, pass, {
    name: 'head.logits',
    repeat: 1,
    deps: [input],
    rows: pass.rows,
    k: model.hidden,
    n: shard.vocab,
    weights: x.dtypes.head,
  });
  // log Σ e^logit of each row, less the logit of the token that came
  const site = { repeat: 1, rows: pass.rows, cols: shard.vocab, op: 'sum', dtype: x.dtypes.stream } as const;
  x.emit(pass, { kind: 'reduce', name: 'loss', deps: [logits], ...site });
  return stream;
}

/** Bytes that stay from the forward pass to the backward one; when layers are computed again, of one layer and the inputs of all. */
function keptBytes(ops: readonly Op[], stream: string, checkpoint: boolean): number {
  const byId = new Map(ops.map((op) => [op.id, op]));
  // a tensor that several read is kept once, whole
  const kept = new Map(
    ops
      .flatMap(keptFor)
      .sort((a, b) => a.bytes - b.bytes)
      .map((k) => [k.key, k]),
  );
  let sum = 0;
  for (const { id, bytes } of kept.values()) {
    const op = byId.get(id)!;
    sum += bytes * (checkpoint && isLayer(op) && id !== stream ? 1 : op.repeat);
  }
  return sum;
}

/** Returns the ops that give the parameters' gradients. */
function backward(x: Expansion, pass: Pass, ops: readonly Op[], checkpoint: boolean): string[] {
  const copies = new Map<string, string>();
  const g = new Gradients(x, { ...pass, phase: 'backward' }, ops, (id) => copies.get(id) ?? id);
  for (const op of [...ops].reverse()) {
    if (checkpoint && copies.size === 0 && isLayer(op)) recompute(x, pass, ops, copies);
    g.of(op);
  }
  return g.parameters;
}

/** A layer's ops again, as far as the backward pass reads their results. */
function recompute(x: Expansion, pass: Pass, ops: readonly Op[], copies: Map<string, string>): void {
  const own = ops.filter(isLayer);
  const needed = new Set(own.flatMap(keptFor).map((k) => k.id));
  for (const op of [...own].reverse()) if (needed.has(op.id)) for (const dep of op.deps) needed.add(dep);
  for (const op of own) {
    if (!needed.has(op.id)) continue;
    const { id: _, phase: __, ...rest } = op;
    const again = { ...pass, phase: 'recompute', prefix: 'recompute.' };
    copies.set(op.id, x.emit(again, { ...rest, deps: op.deps.map((dep) => copies.get(dep) ?? dep) }));
  }
}

/** The rounds after the first: the same ops, whose products add to the gradients that are there. */
function again(x: Expansion, gradients: readonly string[], times: number): string[] {
  const prefix = 'accumulate.';
  const known = new Set(gradients);
  for (const op of [...x.ops]) {
    const deps = op.deps.map((dep) => prefix + dep);
    if (known.has(op.id)) deps.push(op.id);
    const adds = known.has(op.id) && op.kind === 'matmul' ? { residual: true } : {};
    x.ops.push({ ...op, ...adds, id: prefix + op.id, deps, repeat: op.repeat * times } as Op);
  }
  return gradients.map((id) => prefix + id);
}
