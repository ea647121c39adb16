/** A spec against a model: is the phase there, do the keys belong to it, do lengths and shards fit; then the defaults. */
import type { DType } from '../base/dtype.js';
import { InputError, nearestName } from '../base/errors.js';
import { type Dtypes, dtypesOf } from './formats.js';
import type { TransformerModel } from './model.js';
import { shardFault, shardsOf } from './shard.js';
import { DTYPE_KEYS, formatWorkloadSpec, type Phase, SPEC_KEYS, type SpecKey, type WorkloadSpec } from './spec.js';

export interface ResolvedSpec {
  readonly phase: Phase;
  readonly batch: number;
  /** One of them per phase, as `PHASE_KEYS` says. */
  readonly seq: number;
  readonly context: number;
  readonly prompt: number;
  readonly output: number;
  readonly lens?: readonly number[];
  readonly logits: 'last' | 'all';
  readonly tp: number;
  /** Replicas of the model, each with a batch of its own. */
  readonly dp: number;
  /** Batches whose gradients are summed before the optimiser's step. */
  readonly accumulate: number;
  readonly optimizer: 'adam' | 'sgd' | 'none';
  readonly checkpoint: '0' | '1';
  readonly attention: 'fused' | 'unfused';
  readonly dtypes: Dtypes;
  /** The canonical text, defaults filled in. */
  readonly text: string;
}

const COMMON = ['batch', 'tp', 'dtype'] as const;
/** Formats of their own, for parameters and for what products read: of inference. */
const FORMATS = ['weights', 'activations', 'head'] as const;

/** Which phases a kind of model has, and their keys beside the common ones. */
export const PHASE_KEYS: Record<TransformerModel['kind'], Partial<Record<Phase, readonly SpecKey[]>>> = {
  decoder: {
    prefill: ['seq', 'lens', 'logits', 'kv'],
    decode: ['context', 'lens', 'kv'],
    generate: ['prompt', 'output', 'lens', 'kv'],
    train: ['seq', 'lens', 'dp', 'accumulate', 'optimizer', 'checkpoint', 'attention'],
  },
  encoder: { prefill: ['seq', 'lens'], forward: ['seq', 'lens'] },
  'encoder-decoder': {
    prefill: ['seq', 'kv'],
    decode: ['seq', 'context', 'kv'],
    generate: ['prompt', 'output', 'kv'],
    forward: ['seq', 'output', 'logits', 'kv'],
  },
  vision: { forward: [], prefill: [] },
};

/** Which length key a ragged batch replaces. */
const RAGGED: Record<Phase, 'seq' | 'context' | 'prompt'> = {
  prefill: 'seq',
  forward: 'seq',
  decode: 'context',
  generate: 'prompt',
  train: 'seq',
};

/** @throws InputError when the phase or a key is not there for this model, or a value does not fit it. */
export function resolveSpec(model: TransformerModel, spec: WorkloadSpec): ResolvedSpec {
  const place = `workload '${formatWorkloadSpec(spec)}'`;
  const phases = PHASE_KEYS[model.kind];
  const phase = (spec.phase ?? Object.keys(phases)[0]) as Phase;
  const extra = phases[phase];
  if (!extra)
    throw new InputError(
      `phase '${phase}' is not available for ${model.name}, ${article(model.kind)} model; available: ${Object.keys(phases).join(', ')}`,
      place,
    );
  const allowed = [...COMMON, ...(phase === 'train' ? [] : FORMATS), ...extra];
  for (const key of SPEC_KEYS)
    if (spec[key] !== undefined && !(allowed as string[]).includes(key)) {
      const near = nearestName(key, extra);
      throw new InputError(
        `${phase} of ${article(model.kind)} model takes no '${key}'${near ? `; did you mean '${near}'?` : ''} (it takes: ${allowed.join(', ')})`,
        place,
      );
    }

  const { lens, tp = 1 } = spec;
  const replaced = RAGGED[phase];
  if (lens && spec[replaced] !== undefined)
    throw new InputError(`give either ${replaced} (every sequence alike) or lens (a length each), not both`, place);
  if (lens && spec.batch !== undefined && spec.batch !== lens.length)
    throw new InputError(`batch=${spec.batch}, but lens has ${lens.length} lengths; leave batch out`, place);

  const longest = model.positions.max ?? 2048;
  const seq = spec.seq ?? (lens && replaced === 'seq' ? Math.max(...lens) : Math.min(2048, longest));
  const context = spec.context ?? (lens && replaced === 'context' ? Math.max(...lens) : Math.min(2048, longest));
  const prompt =
    spec.prompt ?? (lens && replaced === 'prompt' ? Math.max(...lens) : Math.min(512, Math.ceil(longest / 2)));
  const output = spec.output ?? (phase === 'forward' ? seq : Math.min(128, Math.max(1, longest - prompt + 1)));
  const reach = { prefill: seq, forward: seq, train: seq, decode: context, generate: prompt + output - 1 }[phase];
  if (model.positions.kind === 'learned' && model.positions.max !== undefined && reach > model.positions.max)
    throw new InputError(
      `${model.name} has ${model.positions.max} learned positions, but position ${reach} is needed`,
      place,
    );
  const fault = shardFault(model, tp);
  if (fault) throw new InputError(`tp=${tp} ${fault}; possible: ${shardsOf(model).join(', ')}`, place);

  const dtypes = dtypesOf(model, spec);
  const untrainable = phase === 'train' ? trainingFault(model, dtypes) : undefined;
  if (untrainable) throw new InputError(untrainable, place);

  const full: ResolvedSpec = {
    phase,
    batch: lens?.length ?? spec.batch ?? 1,
    seq,
    context,
    prompt,
    output,
    lens: lens && !lens.every((x) => x === lens[0]) ? lens : undefined,
    logits: spec.logits ?? (phase === 'forward' ? 'all' : 'last'),
    tp,
    dp: spec.dp ?? 1,
    accumulate: spec.accumulate ?? 1,
    optimizer: spec.optimizer ?? 'adam',
    checkpoint: spec.checkpoint ?? '0',
    attention: spec.attention ?? 'fused',
    dtypes,
    text: '',
  };
  return { ...full, text: formatWorkloadSpec(filledIn(spec, full, allowed)) };
}

/** The spec with each default of its phase written out; formats that equal the model's own are left out. */
function filledIn(spec: WorkloadSpec, full: ResolvedSpec, allowed: readonly SpecKey[]): WorkloadSpec {
  const out: Record<string, unknown> = { model: spec.model, phase: full.phase };
  for (const key of allowed) {
    if (key === 'lens') out['lens'] = full.lens;
    else if ((DTYPE_KEYS as readonly string[]).includes(key)) out[key] = spec[key];
    else if (key === 'tp' || key === 'dp' || key === 'accumulate') out[key] = full[key] > 1 ? full[key] : undefined;
    else if (key === 'checkpoint') out[key] = full.checkpoint === '1' ? '1' : undefined;
    else if (key === 'attention') out[key] = full.attention === 'unfused' ? 'unfused' : undefined;
    else if (key === 'optimizer') out[key] = full.optimizer;
    else if (key === 'logits') out['logits'] = full.logits;
    else if (full.lens === undefined || (key !== RAGGED[full.phase] && key !== 'batch'))
      out[key] = full[key as 'batch' | 'seq' | 'context' | 'prompt' | 'output'];
  }
  return out as unknown as WorkloadSpec;
}

/** Why no training step is expanded of a model; undefined when one is. */
function trainingFault(model: TransformerModel, dtypes: Dtypes): string | undefined {
  const able = 'train expands decoders with dense blocks, an lm head and pre-norms';
  if (model.experts) return `${model.name} has routed experts; ${able}`;
  if (model.head !== 'lm') return `${model.name} has no lm head; ${able}`;
  if (model.norm.position !== 'pre') return `${model.name} has post-norms; ${able}`;
  if (model.positions.kind === 'relative') return `${model.name} has relative positions; ${able}`;
  if (!TRAINED_IN.includes(dtypes.activations))
    return `train computes in ${TRAINED_IN.join(', ')}, not in ${dtypes.activations}`;
  return undefined;
}
const TRAINED_IN: readonly DType[] = ['fp16', 'bf16', 'tf32', 'fp32'];

function article(kind: string): string {
  return `${/^[aeiou]/.test(kind) ? 'an' : 'a'} ${kind}`;
}
