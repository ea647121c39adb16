/** The parameters of a model, tensor group by tensor group, as one device of `tp` holds them. */
import { bytesOf } from '../base/dtype.js';
import type { Dtypes } from './formats.js';
import type { TransformerModel } from './model.js';
import { shardOf } from './shard.js';

export interface ParameterGroup {
  readonly name: string;
  /** Elements of one copy on one device. */
  readonly elements: number;
  /** Copies: identical layers. */
  readonly copies: number;
  /** `linear`: operand of a product; `head`: an untied lm head; `table`: looked up; `vector`: norms and biases. */
  readonly role: 'linear' | 'head' | 'table' | 'vector';
}

export function parameterGroups(model: TransformerModel, tp = 1): ParameterGroup[] {
  const h = model.hidden;
  const shard = shardOf(model, tp);
  const groups: ParameterGroup[] = [];
  const add = (name: string, role: ParameterGroup['role'], elements: number, copies = 1) => {
    if (elements > 0) groups.push({ name, elements, copies, role });
  };
  const norm = (name: string, width: number, copies = 1) =>
    add(name, 'vector', width * (model.norm.kind === 'layer' ? 2 : 1), copies);

  const { head_dim, qkv_bias, out_bias, qk_norm } = model.attention;
  const q = shard.heads * head_dim;
  const kv = shard.kv_heads * head_dim;
  const attention = (prefix: string, copies: number) => {
    add(`${prefix}.qkv`, 'linear', h * (q + 2 * kv), copies);
    if (qkv_bias) add(`${prefix}.qkv_bias`, 'vector', q + 2 * kv, copies);
    if (qk_norm) add(`${prefix}.qk_norm`, 'vector', 2 * head_dim, copies);
    add(`${prefix}.out`, 'linear', q * h, copies);
    if (out_bias) add(`${prefix}.out_bias`, 'vector', h, copies);
    norm(`${prefix}.norm`, h, copies);
  };
  const ffn = (prefix: string, copies: number) => {
    const inputs = model.ffn.gated ? 2 : 1;
    if (model.experts) {
      add(`${prefix}.router`, 'linear', h * model.experts.count, copies);
      add(`${prefix}.experts`, 'linear', model.experts.count * (inputs + 1) * h * shard.ffn, copies);
    } else {
      add(`${prefix}.linear`, 'linear', (inputs + 1) * h * shard.ffn, copies);
      if (model.ffn.bias) add(`${prefix}.bias`, 'vector', inputs * shard.ffn + h, copies);
    }
    norm(`${prefix}.norm`, h, copies);
  };

  if (model.vocab) add('embedding.tokens', 'table', shard.vocab * h);
  if (model.segments) add('embedding.segments', 'table', model.segments * h);
  if (model.patches) {
    const { channels, patch, image, class_token } = model.patches;
    add('embedding.patches', 'linear', channels * patch ** 2 * h);
    add('embedding.patches_bias', 'vector', h);
    const tokens = (image / patch) ** 2 + (class_token ? 1 : 0);
    if (class_token) add('embedding.class_token', 'vector', h);
    if (model.positions.kind === 'learned') add('embedding.positions', 'table', tokens * h);
  } else if (model.positions.kind === 'learned')
    add('embedding.positions', 'table', (model.positions.max! + (model.positions.offset ?? 0)) * h);
  if (model.norm.embedding) norm('embedding.norm', h);

  const stack = (prefix: string, layers: number, cross: boolean) => {
    attention(`${prefix}attention`, layers);
    if (cross) attention(`${prefix}cross`, layers);
    ffn(`${prefix}ffn`, layers);
    if (model.positions.kind === 'relative')
      add(`${prefix}relative_bias`, 'table', model.positions.buckets! * shard.heads);
    if (model.norm.final) norm(`${prefix}final_norm`, h);
  };
  if (model.decoder_layers) {
    stack('encoder.', model.layers, false);
    stack('decoder.', model.decoder_layers, true);
  } else stack('layer.', model.layers, false);

  if (model.head === 'lm' && !model.tied) add('head', 'head', h * shard.vocab);
  if (model.head === 'pooler') {
    add('head', 'linear', h * h);
    add('head.bias', 'vector', h);
  }
  if (model.head === 'classifier') {
    add('head', 'linear', h * model.classes!);
    add('head.bias', 'vector', model.classes!);
  }
  return groups;
}

/** Parameters of the whole model. */
export function parameterCount(model: TransformerModel): number {
  return parameterGroups(model).reduce((sum, g) => sum + g.elements * g.copies, 0);
}

/** Bytes of one device's parameters, and how many of them the products with `weights` read. */
export function parameterFootprint(model: TransformerModel, tp: number, dtypes: Dtypes) {
  const dtypeOf = { linear: dtypes.weights, head: dtypes.head, table: dtypes.stream, vector: dtypes.stream } as const;
  let bytes = 0;
  let linear = 0;
  for (const { role, elements, copies } of parameterGroups(model, tp)) {
    bytes += elements * copies * bytesOf(dtypeOf[role]);
    if (role === 'linear' || role === 'head') linear += elements * copies;
  }
  return { bytes, linear };
}
