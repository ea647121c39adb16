/** An encoder over text: every token attends to every other; no cache. */
import type { ResolvedSpec } from '../resolve.js';
import { type Expansion, norm, type Pass } from './context.js';
import { embedTokens, relativeBias, sequenceHead } from './embedding.js';
import { finalNorm, layers } from './layers.js';
import { lengthsOf, wholeSequences } from './lengths.js';

export function expandEncoder(x: Expansion, spec: ResolvedSpec): void {
  const pass: Pass = {
    phase: spec.phase,
    prefix: '',
    sequences: spec.batch,
    rows: lengthsOf(spec, spec.seq).tokens,
    steps: [wholeSequences(spec, spec.seq)],
    logits: spec.batch,
  };
  let input = embedTokens(x, pass, 'embedding');
  if (x.model.norm.embedding)
    input = norm(x, pass, { name: 'embedding.norm', repeat: 1, deps: [input] }, pass.rows, false);
  const stream = layers(x, pass, {
    prefix: 'layer.',
    layers: x.model.layers,
    input,
    causal: false,
    cached: false,
    bias: relativeBias(x, pass, 'layer'),
  });
  sequenceHead(x, pass, finalNorm(x, pass, 'final_norm', stream));
}
