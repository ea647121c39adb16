/** A vision transformer: a convolution cuts the image into patches, which are tokens of an encoder. */
import { accumulator } from '../formats.js';
import type { ResolvedSpec } from '../resolve.js';
import type { Expansion, Pass } from './context.js';
import { sequenceHead } from './embedding.js';
import { finalNorm, layers } from './layers.js';

/** Tokens of an image: its patches, and the class token. */
export function imageTokens({ image, patch, class_token }: { image: number; patch: number; class_token: boolean }) {
  return (image / patch) ** 2 + (class_token ? 1 : 0);
}

export function expandVision(x: Expansion, spec: ResolvedSpec): void {
  const { model, dtypes } = x;
  const patches = model.patches!;
  const tokens = imageTokens(patches);
  const pass: Pass = {
    phase: spec.phase,
    prefix: '',
    sequences: spec.batch,
    rows: spec.batch * tokens,
    steps: [[{ batch: spec.batch, q_len: tokens, kv_len: tokens }]],
    logits: spec.batch,
  };
  let input = x.emit(pass, {
    kind: 'conv2d',
    name: 'embedding.patches',
    repeat: 1,
    deps: [],
    batch: spec.batch,
    in_channels: patches.channels,
    out_channels: model.hidden,
    height: patches.image,
    width: patches.image,
    kernel: patches.patch,
    stride: patches.patch,
    padding: 0,
    a: dtypes.activations,
    b: dtypes.weights,
    c: dtypes.stream,
    accumulate: accumulator(dtypes.activations, dtypes.weights),
    bias: true,
  });
  if (model.positions.kind === 'learned')
    input = x.emit(pass, {
      kind: 'elementwise',
      name: 'embedding.add_positions',
      repeat: 1,
      deps: [input],
      fn: 'add',
      n: pass.rows * model.hidden,
      dtype: dtypes.stream,
    });
  const stream = layers(x, pass, {
    prefix: 'layer.',
    layers: model.layers,
    input,
    causal: false,
    cached: false,
  });
  sequenceHead(x, pass, finalNorm(x, pass, 'final_norm', stream));
}
