/**
 * A decoder: prefill writes the cache and gives the first token, each decode step reads it and gives one more.
 * `context` counts the keys a step attends to, its own token's included. A generation of n tokens from a prompt of p is
 * the prefill and n − 1 steps, at contexts p + 1 … p + n − 1.
 */
import type { ResolvedSpec } from '../resolve.js';
import type { Expansion, Lengths, Pass } from './context.js';
import { embedTokens, lmHead, relativeBias } from './embedding.js';
import { finalNorm, layers } from './layers.js';
import { lengthsOf, oneQueryEach, wholeSequences } from './lengths.js';

export function expandDecoder(x: Expansion, spec: ResolvedSpec): void {
  if (spec.phase === 'decode') {
    decoderPass(
      x,
      decodePass(spec, `decode@${lengthsOf(spec, spec.context).longest}`, '', [oneQueryEach(spec, spec.context)]),
    );
    return;
  }
  const prompt = spec.phase === 'generate' ? spec.prompt : spec.seq;
  const { tokens } = lengthsOf(spec, prompt);
  const whole = spec.phase === 'generate';
  const first = decoderPass(x, {
    phase: 'prefill',
    prefix: whole ? 'prefill.' : '',
    sequences: spec.batch,
    rows: tokens,
    steps: [wholeSequences(spec, prompt)],
    logits: spec.logits === 'all' ? tokens : spec.batch,
  });
  if (whole && spec.output > 1)
    decoderPass(x, { ...decodePass(spec, 'decode', 'decode.', stepsOf(spec)), after: first });
}

/** Attention of each step after the prefill. */
export function stepsOf(spec: ResolvedSpec): Lengths[] {
  return Array.from({ length: spec.output - 1 }, (_, i) => oneQueryEach(spec, spec.prompt, i + 1));
}

export function decodePass(spec: ResolvedSpec, phase: string, prefix: string, steps: readonly Lengths[]): Pass {
  return {
    phase,
    prefix,
    sequences: spec.batch,
    rows: spec.batch,
    steps: steps.map((lengths) => [lengths]),
    logits: spec.batch,
  };
}

/** Returns the op that gives the next tokens. */
function decoderPass(x: Expansion, pass: Pass): string {
  const stream = layers(x, pass, {
    prefix: 'layer.',
    layers: x.model.layers,
    input: embedTokens(x, pass, 'embedding'),
    causal: true,
    cached: true,
    bias: relativeBias(x, pass, 'layer'),
  });
  const normed = finalNorm(x, pass, 'final_norm', stream);
  return x.model.head === 'lm' ? lmHead(x, pass, normed) : normed;
}
