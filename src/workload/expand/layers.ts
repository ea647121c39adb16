/** A stack of identical layers. Pre-norm: x + f(norm(x)). Post-norm: norm(x + f(x)). */
import { selfAttention } from './attention.js';
import { type Expansion, norm, type Pass, quantised } from './context.js';
import { crossAttention } from './cross.js';
import { feedForward } from './ffn.js';

export interface Stack {
  /** Before each name: `layer.`, `encoder.`, `decoder.`. */
  readonly prefix: string;
  readonly layers: number;
  readonly input: string;
  readonly causal: boolean;
  readonly cached: boolean;
  readonly bias?: readonly string[];
  /** Decoder of two stacks: keys of the encoder, per sequence, and the op that wrote them. */
  readonly cross?: { readonly kv_len: number; readonly written: readonly string[] };
}

/** Returns the op that writes the stream after the last layer. */
export function layers(x: Expansion, pass: Pass, stack: Stack): string {
  const repeat = stack.layers * pass.steps.length;
  const n = pass.rows * x.model.hidden;
  const at = (part: string) => `${stack.prefix}${part}`;
  const normed = (part: string, input: string, feeds: boolean) =>
    norm(x, pass, { name: at(`${part}.norm`), repeat, deps: [input] }, pass.rows, feeds);
  const pre = x.model.norm.position === 'pre';
  /** The stream as a product reads it. */
  const inputOf = (part: string, stream: string) =>
    pre ? normed(part, stream, true) : quantised(x, pass, { name: at(part), repeat, deps: [stream] }, n);
  const outputOf = (part: string, sum: string) => (pre ? sum : normed(part, sum, false));

  const block = { name: at('attention'), layers: stack.layers, causal: stack.causal, cached: stack.cached };
  let stream = stack.input;
  const input = inputOf('attention', stream);
  stream = outputOf('attention', selfAttention(x, pass, { ...block, input, residual: stream, bias: stack.bias }));
  if (stack.cross) {
    const query = inputOf('cross', stream);
    const cross = { ...stack.cross, name: at('cross'), layers: stack.layers, input: query, residual: stream };
    stream = outputOf('cross', crossAttention(x, pass, cross));
  }
  const inner = inputOf('ffn', stream);
  return outputOf(
    'ffn',
    feedForward(x, pass, { name: at('ffn'), layers: stack.layers, input: inner, residual: stream }),
  );
}

/** The norm behind the last layer, where the model has one. */
export function finalNorm(x: Expansion, pass: Pass, name: string, stream: string): string {
  if (!x.model.norm.final) return stream;
  return norm(x, pass, { name, repeat: pass.steps.length, deps: [stream] }, pass.rows, false);
}
