/**
 * Routed experts: a router product, softmax and top k, the tokens gathered by expert, two grouped products around the
 * activation, and the weighted results added back to their tokens.
 *
 * Which experts are touched decides the weight traffic. Under uniform routing each of T tokens draws k distinct of E
 * experts, so an expert is missed with probability (1 − k/E)^T and E · (1 − (1 − k/E)^T) are expected to be touched.
 */
import type { DType } from '../../base/dtype.js';
import { accumulator } from '../formats.js';
import type { TransformerModel } from '../model.js';
import type { Activation } from '../op.js';
import { allReduce, type Expansion, linear, type Pass, productInput } from './context.js';
import { type FfnBlock, gate } from './ffn.js';

type Experts = NonNullable<TransformerModel['experts']>;

/** Distinct experts that `tokens` are expected to touch, to the nearest whole one; at least top_k. */
export function expertsTouched(tokens: number, { count, top_k }: Experts): number {
  const expected = count * (1 - (1 - top_k / count) ** tokens);
  return Math.min(count, Math.max(top_k, Math.round(expected)));
}

/** `rows` over `groups` as evenly as whole rows allow; undefined when exactly even. */
export function evenRows(rows: number, groups: number): number[] | undefined {
  const each = Math.floor(rows / groups);
  const more = rows % groups;
  return more === 0 ? undefined : Array.from({ length: groups }, (_, g) => each + (g < more ? 1 : 0));
}

export function experts(x: Expansion, pass: Pass, block: FfnBlock, moe: Experts): string {
  const { hidden } = x.model;
  const { name } = block;
  const repeat = block.layers * pass.steps.length;
  const rows = pass.rows * moe.top_k;
  const width = x.shard.ffn;
  const router = linear(x, pass, {
    name: `${name}.router`,
    repeat,
    deps: [block.input],
    rows: pass.rows,
    k: hidden,
    n: moe.count,
  });
  const chosen = x.emit(pass, {
    kind: 'topk',
    name: `${name}.topk`,
    repeat,
    deps: [router],
    rows: pass.rows,
    cols: moe.count,
    k: moe.top_k,
    dtype: x.dtypes.stream,
  });
  const permuted = x.emit(pass, {
    kind: 'gather',
    name: `${name}.permute`,
    repeat,
    deps: [block.input, chosen],
    rows,
    cols: hidden,
    table_rows: pass.rows,
    dtype: productInput(x),
  });
  const groups = expertsTouched(pass.rows, moe);
  const rows_by_group = evenRows(rows, groups);
  const grouped = (label: string, input: string, k: number, n: number, activation: Activation, c: DType): string =>
    x.emit(pass, {
      kind: 'grouped_matmul',
      name: `${name}.${label}`,
      repeat,
      deps: [input, chosen],
      groups,
      rows,
      n,
      k,
      ...(rows_by_group ? { rows_by_group } : {}),
      a: x.dtypes.activations,
      b: x.dtypes.weights,
      c,
      accumulate: accumulator(x.dtypes.activations, x.dtypes.weights),
      activation,
    });
  const { stream } = x.dtypes;
  const inner = x.model.ffn.gated
    ? gate(x, pass, name, repeat, grouped('gate_up_proj', permuted, hidden, 2 * width, 'none', stream), rows * width)
    : grouped('up_proj', permuted, hidden, width, x.model.ffn.activation, productInput(x));
  const down = grouped('down_proj', inner, width, hidden, 'none', stream);
  const combined = x.emit(pass, {
    kind: 'scatter',
    name: `${name}.combine`,
    repeat,
    deps: [down, chosen],
    rows,
    cols: hidden,
    fan_in: moe.top_k,
    dtype: x.dtypes.stream,
  });
  const summed = allReduce(x, pass, { name: `${name}.all_reduce`, repeat, deps: [combined] }, pass.rows);
  return x.emit(pass, {
    kind: 'elementwise',
    name: `${name}.residual`,
    repeat,
    deps: [summed, block.residual],
    fn: 'add',
    n: pass.rows * hidden,
    dtype: x.dtypes.stream,
  });
}
