/**
 * An encoder and a decoder that attends to it. The encoder reads the prompt once and its keys and values for every
 * decoder layer go to the cache; the decoder starts from one start token.
 *
 * prefill: the encoder over `seq` tokens and the decoder's first step. decode: one decoder step. generate: the encoder
 * and `output` steps. forward: the encoder over `seq` and the decoder over `output` given tokens at once.
 */
import type { ResolvedSpec } from '../resolve.js';
import { type Expansion, type Lengths, type Pass, quantised } from './context.js';
import { encoderKeys } from './cross.js';
import { decodePass } from './decoder.js';
import { embedTokens, lmHead, relativeBias } from './embedding.js';
import { finalNorm, layers } from './layers.js';

export function expandEncoderDecoder(x: Expansion, spec: ResolvedSpec): void {
  const read = spec.phase === 'generate' ? spec.prompt : spec.seq;
  const at = (keys: number): Lengths => ({ batch: spec.batch, q_len: 1, kv_len: keys });
  if (spec.phase === 'decode') {
    decoder(x, decodePass(spec, `decode@${spec.context}`, '', [at(spec.context)]), read, []);
    return;
  }
  const written = [encoder(x, spec, read)];
  if (spec.phase === 'prefill') decoder(x, decodePass(spec, 'prefill', '', [at(1)]), read, written);
  else if (spec.phase === 'generate') {
    const steps = Array.from({ length: spec.output }, (_, i) => at(i + 1));
    decoder(x, decodePass(spec, 'decode', '', steps), read, written);
  } else {
    const rows = spec.batch * spec.output;
    const whole = { batch: spec.batch, q_len: spec.output, kv_len: spec.output };
    const logits = spec.logits === 'all' ? rows : spec.batch;
    const pass = { phase: 'forward', prefix: '', sequences: spec.batch, rows, steps: [[whole]], logits };
    decoder(x, pass, read, written);
  }
}

function encoder(x: Expansion, spec: ResolvedSpec, length: number): string {
  const pass: Pass = {
    phase: spec.phase === 'forward' ? 'forward' : 'prefill',
    prefix: '',
    sequences: spec.batch,
    rows: spec.batch * length,
    steps: [[{ batch: spec.batch, q_len: length, kv_len: length }]],
    logits: spec.batch,
  };
  const stream = layers(x, pass, {
    prefix: 'encoder.',
    layers: x.model.layers,
    input: embedTokens(x, pass, 'encoder.embedding'),
    causal: false,
    cached: false,
    bias: relativeBias(x, pass, 'encoder'),
  });
  const normed = finalNorm(x, pass, 'encoder.final_norm', stream);
  const n = pass.rows * x.model.hidden;
  const input = quantised(x, pass, { name: 'decoder.cross.kv', repeat: 1, deps: [normed] }, n);
  return encoderKeys(x, pass, 'decoder.cross', x.model.decoder_layers!, input);
}

function decoder(x: Expansion, pass: Pass, kv_len: number, written: readonly string[]): void {
  const stream = layers(x, pass, {
    prefix: 'decoder.',
    layers: x.model.decoder_layers!,
    input: embedTokens(x, pass, 'decoder.embedding'),
    causal: true,
    cached: true,
    bias: relativeBias(x, pass, 'decoder'),
    cross: { kv_len, written },
  });
  const normed = finalNorm(x, pass, 'decoder.final_norm', stream);
  if (x.model.head === 'lm') lmHead(x, pass, normed);
}
