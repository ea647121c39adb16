/**
 * What a transformer is, in the terms of the paper that describes it. One file under `workloads/models/` each;
 * widths are elements, not bytes. The schema is the single source of the type, the validation and the editor support.
 */
import { type Static, Type } from '@sinclair/typebox';
import { DTYPES, type DType } from '../base/dtype.js';
import { InputError } from '../base/errors.js';
import { schemaCheck } from './schema-check.js';

const count = (description: string, maximum = 2 ** 24) => Type.Integer({ minimum: 1, maximum, description });
const oneOf = <T extends string>(names: readonly T[], description: string) =>
  Type.Unsafe<T>(Type.String({ enum: [...names], description }));

export const MODEL_KINDS = ['decoder', 'encoder', 'encoder-decoder', 'vision'] as const;
export const FFN_ACTIVATIONS = ['relu', 'gelu', 'gelu_tanh', 'silu'] as const;
export const POSITION_KINDS = ['rotary', 'learned', 'relative', 'none'] as const;
export const HEAD_KINDS = ['lm', 'pooler', 'classifier', 'none'] as const;

export const TransformerSchema = Type.Object(
  {
    $schema: Type.Optional(Type.String()),
    name: Type.String({ minLength: 1, description: 'how the command line names it' }),
    description: Type.Optional(Type.String()),
    source: Type.String({ minLength: 1, description: 'where the figures were read' }),
    kind: oneOf(MODEL_KINDS, 'how the stacks are wired'),
    layers: count('layers of the stack (of the encoder, when there are two)', 10_000),
    decoder_layers: Type.Optional(count('layers of the decoder of an encoder-decoder', 10_000)),
    hidden: count('width of the residual stream'),
    attention: Type.Object(
      {
        heads: count('query heads', 65_536),
        kv_heads: count('key/value heads: fewer than heads is grouped-query, 1 is multi-query', 65_536),
        head_dim: count('width of a head; heads × head_dim may differ from hidden', 65_536),
        qkv_bias: Type.Boolean({ default: false }),
        out_bias: Type.Boolean({ default: false }),
        qk_norm: Type.Boolean({ default: false, description: 'RMS norm of each query and key head' }),
        window: Type.Optional(count('keys a query sees (sliding window), in every layer')),
      },
      { additionalProperties: false },
    ),
    ffn: Type.Object(
      {
        hidden: Type.Optional(count('inner width; left out when every layer is routed experts')),
        activation: oneOf(FFN_ACTIVATIONS, 'non-linearity'),
        gated: Type.Boolean({ description: 'act(gate) · up, two input projections' }),
        bias: Type.Boolean({ default: false }),
      },
      { additionalProperties: false },
    ),
    experts: Type.Optional(
      Type.Object(
        {
          count: count('routed experts of a layer', 65_536),
          top_k: count('experts a token goes to', 65_536),
          hidden: count('inner width of one expert'),
          normalise: Type.Boolean({ description: 'weights of the chosen experts are scaled to sum to 1' }),
        },
        { additionalProperties: false },
      ),
    ),
    norm: Type.Object(
      {
        kind: oneOf(['layer', 'rms'] as const, 'layer norm (scale and shift) or RMS norm (scale)'),
        position: oneOf(['pre', 'post'] as const, 'before each block or after its residual sum'),
        embedding: Type.Boolean({ default: false, description: 'a norm on the embedding (BERT)' }),
        final: Type.Boolean({ description: 'a norm after the last layer' }),
      },
      { additionalProperties: false },
    ),
    positions: Type.Object(
      {
        kind: oneOf(POSITION_KINDS, 'how order enters'),
        max: Type.Optional(count('longest sequence: rows of a learned table, or what it was trained for')),
        offset: Type.Optional(Type.Integer({ minimum: 0, maximum: 1024, description: 'unused rows of the table' })),
        buckets: Type.Optional(count('relative: buckets of the bias table, one per stack', 65_536)),
      },
      { additionalProperties: false },
    ),
    vocab: Type.Optional(count('rows of the token table')),
    segments: Type.Optional(count('rows of the segment (token type) table', 65_536)),
    patches: Type.Optional(
      Type.Object(
        {
          image: count('side of the square image, pixels', 65_536),
          channels: count('colour channels', 1024),
          patch: count('side of a patch, pixels: a convolution of that stride', 65_536),
          class_token: Type.Boolean({ description: 'a learned token before the patches' }),
        },
        { additionalProperties: false },
      ),
    ),
    head: oneOf(HEAD_KINDS, 'what reads the last hidden state'),
    tied: Type.Boolean({ default: false, description: 'the lm head is the token table' }),
    classes: Type.Optional(count('outputs of the classifier')),
    dtype: Type.Unsafe<DType>(Type.String({ enum: [...DTYPES], description: 'what it is usually run in' })),
  },
  { additionalProperties: false, $id: 'transformer', title: 'Transformer model' },
);

export type TransformerModel = Static<typeof TransformerSchema>;

const check = schemaCheck<TransformerModel>(TransformerSchema);

/** A checked model from parsed JSON. @throws InputError with `file` and the path of the first fault. */
export function validateModel(json: unknown, file?: string): TransformerModel {
  const model = check(json, file);
  for (const [fault, message] of faults(model)) if (fault) throw new InputError(message, file);
  return model;
}

/** What a schema cannot say: fields that need or exclude each other. */
function* faults(m: TransformerModel): Generator<[boolean, string]> {
  const { heads, kv_heads, head_dim } = m.attention;
  yield [
    heads % kv_heads !== 0,
    `attention.kv_heads: ${kv_heads} does not divide attention.heads ${heads}; each key/value head serves a whole number of query heads`,
  ];
  yield [
    m.positions.kind === 'rotary' && head_dim % 2 !== 0,
    `attention.head_dim: rotary positions turn pairs, so it must be even, not ${head_dim}`,
  ];
  yield [
    (m.ffn.hidden === undefined) === (m.experts === undefined),
    'expected either ffn.hidden (a dense block) or experts (a routed block), and not both',
  ];
  if (m.experts)
    yield [
      m.experts.top_k > m.experts.count,
      `experts.top_k: ${m.experts.top_k} is more than the ${m.experts.count} experts there are`,
    ];
  yield [m.experts !== undefined && m.ffn.bias, 'ffn.bias: routed experts have no bias'];
  yield [
    (m.kind === 'encoder-decoder') !== (m.decoder_layers !== undefined),
    "decoder_layers: an 'encoder-decoder' needs it and no other kind has it",
  ];
  yield [
    m.kind === 'encoder-decoder' && m.norm.position === 'post',
    'norm.position: an encoder-decoder is expanded with pre-norms only',
  ];
  yield [
    (m.kind === 'vision') !== (m.patches !== undefined),
    "patches: kind 'vision' needs it and no other kind has it",
  ];
  yield [
    (m.kind === 'vision') === (m.vocab !== undefined),
    m.kind === 'vision' ? 'vocab: kind vision reads patches, not tokens' : `vocab: kind '${m.kind}' needs it`,
  ];
  if (m.patches)
    yield [
      m.patches.image % m.patches.patch !== 0,
      `patches.patch: ${m.patches.patch} does not divide the image's side ${m.patches.image}`,
    ];
  yield [
    m.positions.kind === 'learned' && m.kind !== 'vision' && m.positions.max === undefined,
    'positions.max: learned positions need the rows of their table',
  ];
  yield [
    m.positions.kind === 'relative' && m.positions.buckets === undefined,
    'positions.buckets: relative positions need the rows of their bias table',
  ];
  yield [
    (m.head === 'classifier') !== (m.classes !== undefined),
    "classes: head 'classifier' needs it and no other head has it",
  ];
  const heads_of: Record<TransformerModel['kind'], readonly string[]> = {
    decoder: ['lm', 'none'],
    encoder: ['pooler', 'none', 'classifier'],
    'encoder-decoder': ['lm', 'none'],
    vision: ['classifier', 'none'],
  };
  yield [
    !heads_of[m.kind].includes(m.head),
    `head: '${m.head}' does not go with kind '${m.kind}' (it has: ${heads_of[m.kind].join(', ')})`,
  ];
  yield [m.tied && m.head !== 'lm', "tied: only an 'lm' head can share the token table"];
}
