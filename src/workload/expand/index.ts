/**
 * model × spec → trace: `resolve → expand the passes → footprint`. Pure and deterministic. Every op carries its own
 * dimensions; only identical layers (and identical ops of decode steps) share one op through `repeat`.
 */
import { bytesOf } from '../../base/dtype.js';
import type { TransformerModel } from '../model.js';
import type { Trace } from '../op.js';
import { parameterCount, parameterFootprint } from '../parameters.js';
import { type ResolvedSpec, resolveSpec } from '../resolve.js';
import { shardOf } from '../shard.js';
import type { WorkloadSpec } from '../spec.js';
import { largestActivations_B } from '../summary.js';
import { Expansion } from './context.js';
import { expandDecoder } from './decoder.js';
import { expandEncoder } from './encoder.js';
import { expandEncoderDecoder } from './encoder-decoder.js';
import { lengthsOf } from './lengths.js';
import { expandTraining } from './train.js';
import { expandVision } from './vision.js';

const EXPANDERS = {
  decoder: expandDecoder,
  encoder: expandEncoder,
  'encoder-decoder': expandEncoderDecoder,
  vision: expandVision,
} satisfies Record<TransformerModel['kind'], (x: Expansion, spec: ResolvedSpec) => void>;

/** The ops of one device. @throws InputError when the spec does not fit the model. */
export function expandWorkload(model: TransformerModel, spec: WorkloadSpec): Trace {
  const resolved = resolveSpec(model, spec);
  const shard = shardOf(model, resolved.tp);
  if (resolved.phase === 'train') return expandTraining(model, resolved, { source: sourceOf(model, resolved) });
  const x = new Expansion(model, shard, resolved.dtypes);
  EXPANDERS[model.kind](x, resolved);
  const { bytes, linear } = parameterFootprint(model, resolved.tp, resolved.dtypes);
  return {
    name: resolved.text,
    source: sourceOf(model, resolved),
    ops: x.ops,
    devices: resolved.tp,
    footprint_B: {
      weights: bytes,
      kv_cache: cacheElements(model, resolved) * bytesOf(resolved.dtypes.kv),
      activations: largestActivations_B(x.ops),
    },
    parameters: parameterCount(model),
    linear_parameters: linear,
    produces: producesOf(model, resolved),
  };
}

/** Elements of keys and values that one device holds at the end: 2 · layers · kv_heads · head_dim · tokens. */
function cacheElements(model: TransformerModel, spec: ResolvedSpec): number {
  const perToken = 2 * shardOf(model, spec.tp).kv_heads * model.attention.head_dim;
  if (model.kind === 'encoder' || model.kind === 'vision') return 0;
  if (model.kind === 'encoder-decoder') {
    const read = spec.phase === 'generate' ? spec.prompt : spec.seq;
    const own = { prefill: 1, decode: spec.context, generate: spec.output, forward: spec.output, train: 0 }[spec.phase];
    return perToken * model.decoder_layers! * spec.batch * (read + own);
  }
  const alike = { prefill: spec.seq, decode: spec.context, generate: spec.prompt, forward: spec.seq, train: 0 }[
    spec.phase
  ];
  const grown = spec.phase === 'generate' ? spec.output - 1 : 0;
  const window = model.attention.window ?? Number.POSITIVE_INFINITY;
  const lens = spec.lens ?? [alike];
  const tokens = lens.reduce((sum, n) => sum + Math.min(n + grown, window), 0) * (spec.lens ? 1 : spec.batch);
  return perToken * model.layers * tokens;
}

/** What a user counts: tokens read (prefill), tokens written (decode, generate), sequences, images. */
function producesOf(model: TransformerModel, spec: ResolvedSpec): NonNullable<Trace['produces']> {
  if (model.kind === 'vision') return { unit: 'image', count: spec.batch };
  if (model.kind === 'encoder' || spec.phase === 'forward') return { unit: 'sequence', count: spec.batch };
  if (spec.phase === 'prefill') return { unit: 'token', count: lengthsOf(spec, spec.seq).tokens };
  return { unit: 'token', count: spec.batch * (spec.phase === 'generate' ? spec.output : 1) };
}

function sourceOf(model: TransformerModel, spec: ResolvedSpec): Trace['source'] {
  const lengths: Record<string, number> = {
    prefill: { seq: spec.seq },
    forward: model.kind === 'encoder-decoder' ? { seq: spec.seq, output: spec.output } : { seq: spec.seq },
    decode: { context: spec.context },
    generate: { prompt: spec.prompt, output: spec.output },
    train: { seq: spec.seq },
  }[spec.phase];
  return {
    model: model.name,
    workload: spec.text,
    phase: spec.phase,
    batch: spec.batch,
    ...(model.kind === 'vision' ? {} : lengths),
    ...(spec.lens ? { lens: spec.lens.join('/') } : {}),
    tp: spec.tp,
    tied: model.tied,
    ...spec.dtypes,
    model_source: model.source,
  };
}
