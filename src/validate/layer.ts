/**
 * One layer of a model as papers on accelerators count it: attention among all tokens and, where they are asked for, the
 * products beside it. Norms, activations, biases of positions, tables and heads are left out.
 */
import { InputError } from '../base/errors.js';
import type { TransformerModel } from '../workload/model.js';

type Shape = Record<string, number>;

export interface Layer {
  /** Of the kernels of attention. */
  readonly attention: Shape;
  readonly products: { readonly kernel: 'gemm'; readonly shape: Shape; readonly repeat: number }[];
}

/** @throws InputError when the layer has routed experts: which rows meet which is not told by its shape */
export function layerOf(model: TransformerModel, batch: number, seq: number): Layer {
  const { hidden, ffn } = model;
  const { heads, kv_heads, head_dim } = model.attention;
  if (ffn.hidden === undefined) throw new InputError(`${model.name} has routed experts, not one dense block a layer`);
  const m = batch * seq;
  const products: Layer['products'] = [];
  const add = (n: number, k: number, repeat: number) => {
    const same = products.findIndex(({ shape }) => shape['n'] === n && shape['k'] === k);
    if (same >= 0) products[same] = { ...products[same]!, repeat: products[same]!.repeat + repeat };
    else products.push({ kernel: 'gemm', shape: { m, n, k }, repeat });
  };
  add(heads * head_dim, hidden, 1);
  add(kv_heads * head_dim, hidden, 2);
  add(hidden, heads * head_dim, 1);
  add(ffn.hidden, hidden, ffn.gated ? 2 : 1);
  add(hidden, ffn.hidden, 1);
  return { attention: { batch, heads, kv_heads, q_len: seq, head_dim }, products };
}
