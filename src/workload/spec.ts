/**
 * A workload as users write it: `NAME[:phase[,key=value]*]`, e.g. `llama-2-7b:decode,batch=8,context=2048`.
 * Parsing knows no model; `resolve.ts` checks a spec against one and fills in what was left out.
 */
import { asDType, DTYPES, type DType } from '../base/dtype.js';
import { InputError, nearestName, unknownName } from '../base/errors.js';

/** What can be replayed of a transformer. `forward` is one pass over given inputs, without a cache; `train` one step. */
export const PHASES = ['prefill', 'decode', 'generate', 'forward', 'train'] as const;
export type Phase = (typeof PHASES)[number];
/** Phases that other kinds of models have; a transformer answers what it has instead. */
export const OTHER_PHASES = ['image', 'frame'] as const;

/** The keys that count something, with the largest value taken: beyond it a slip is likelier than a wish. */
export const COUNT_KEYS = {
  batch: 65_536,
  seq: 2 ** 24,
  context: 2 ** 24,
  prompt: 2 ** 24,
  output: 65_536,
  tp: 1024,
  dp: 65_536,
  accumulate: 65_536,
} as const;
export type CountKey = keyof typeof COUNT_KEYS;

/** The keys that choose among words. */
export const WORD_KEYS = {
  /** Positions whose logits are computed. */
  logits: ['last', 'all'],
  optimizer: ['adam', 'sgd', 'none'],
  /** 1: a layer keeps its input alone, and the backward pass computes the layer again. */
  checkpoint: ['0', '1'],
  /** unfused: scores, softmax and values are ops of their own, with the scores in far memory. */
  attention: ['fused', 'unfused'],
} as const;
export type WordKey = keyof typeof WORD_KEYS;

/** The keys that set a number format: all classes, or one of them. */
export const DTYPE_KEYS = ['dtype', 'weights', 'activations', 'kv', 'head'] as const;
export type DTypeKey = (typeof DTYPE_KEYS)[number];

/** All keys, in the order of the canonical form. */
export const SPEC_KEYS = [
  'batch',
  'seq',
  'context',
  'prompt',
  'output',
  'lens',
  'logits',
  'tp',
  'dp',
  'accumulate',
  'optimizer',
  'checkpoint',
  'attention',
  ...DTYPE_KEYS,
] as const satisfies readonly (CountKey | DTypeKey | WordKey | 'lens')[];
export type SpecKey = (typeof SPEC_KEYS)[number];

type Words = { readonly [K in WordKey]?: (typeof WORD_KEYS)[K][number] };

export interface WorkloadSpec extends Partial<Record<CountKey, number>>, Partial<Record<DTypeKey, DType>>, Words {
  /** Stem of a model file, or a path to one. */
  readonly model: string;
  readonly phase?: Phase | (typeof OTHER_PHASES)[number];
  /** Ragged batch: a length for each sequence. */
  readonly lens?: readonly number[];
}

/** @throws InputError naming the text, what is wrong with it and the nearest valid name. */
export function parseWorkloadSpec(text: string): WorkloadSpec {
  const place = `workload '${text.length > 200 ? `${text.slice(0, 197)}…` : text}'`;
  const [model, rest] = splitModel(text.trim());
  if (!model) throw new InputError("expected NAME[:phase[,key=value]…], such as 'llama-2-7b:decode,batch=8'", place);
  if (rest === undefined) return { model };
  const [phase = '', ...pairs] = rest.split(',').map((part) => part.trim());
  if (phase.includes('='))
    throw new InputError(`expected a phase before '${phase}' (phases: ${PHASES.join(', ')})`, place);
  if (!phase) throw new InputError(`no phase after the colon (phases: ${PHASES.join(', ')})`, place);
  const phases = [...PHASES, ...OTHER_PHASES];
  if (!(phases as string[]).includes(phase)) throw unknownName('phase', phase, phases, place);

  const options: Record<string, unknown> = {};
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    if (equals < 1) throw new InputError(`expected key=value, got '${pair}'`, place);
    const key = pair.slice(0, equals).trim();
    const value = pair.slice(equals + 1).trim();
    if (!(SPEC_KEYS as readonly string[]).includes(key)) throw unknownName('key', key, SPEC_KEYS, place);
    if (key in options) throw new InputError(`'${key}' is given twice`, place);
    options[key] = parseValue(key as SpecKey, value, place);
  }
  return { model, phase: phase as Phase, ...options };
}

/** The name (or path) and what follows the colon. Colons inside a path (`C:\m.json`, `a:b/m.json`) belong to it. */
function splitModel(text: string): [string, string | undefined] {
  for (let at = text.lastIndexOf(':'); at >= 0; at = at === 0 ? -1 : text.lastIndexOf(':', at - 1)) {
    const rest = text.slice(at + 1);
    if (!/[/\\]/.test(rest.split(',', 1)[0]?.split('=', 1)[0] ?? '')) return [text.slice(0, at), rest];
  }
  return [text, undefined];
}

function parseValue(key: SpecKey, value: string, place: string): unknown {
  if (key === 'lens') {
    const lens = value.split('/').map((part) => parseCount('lens', part.trim(), COUNT_KEYS.seq, place));
    if (lens.length > COUNT_KEYS.batch)
      throw new InputError(`lens has ${lens.length} lengths, more than ${COUNT_KEYS.batch}`, place);
    return lens;
  }
  if (key in WORD_KEYS) {
    const words: readonly string[] = WORD_KEYS[key as WordKey];
    if (words.includes(value)) return value;
    throw unknownName(`value of ${key}`, value, words, place);
  }
  if (key in COUNT_KEYS) return parseCount(key, value, COUNT_KEYS[key as CountKey], place);
  const dtype = asDType(value);
  if (!dtype) {
    const near = nearestName(value, DTYPES);
    throw new InputError(
      `${key}: unknown number format '${value}'${near ? `; did you mean '${near}'?` : ''} (known: ${DTYPES.join(', ')})`,
      place,
    );
  }
  return dtype;
}

function parseCount(key: string, text: string, limit: number, place: string): number {
  if (!/^\d+$/.test(text)) throw new InputError(`${key}: expected a positive whole number, got '${text}'`, place);
  const value = Number(text);
  if (value < 1) throw new InputError(`${key}: expected at least 1, got ${text}`, place);
  if (value > limit) throw new InputError(`${key}: ${text} is more than the ${limit} taken here`, place);
  return value;
}

/** The one spelling of a spec: keys in a fixed order, number formats by their own names. Parses back to the same. */
export function formatWorkloadSpec(spec: WorkloadSpec): string {
  if (!spec.phase) return spec.model;
  const parts: string[] = [spec.phase];
  for (const key of SPEC_KEYS) {
    const value = spec[key];
    if (value !== undefined) parts.push(`${key}=${Array.isArray(value) ? value.join('/') : value}`);
  }
  return `${spec.model}:${parts.join(',')}`;
}
