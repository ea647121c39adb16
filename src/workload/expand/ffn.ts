/**
 * The dense feed-forward block. Gated: gate and up are one product, then act(gate) · up, then down. Otherwise the
 * activation is in the first product's epilogue. Bias and residual are in the last one's (see attention.ts on devices).
 */
import type { Activation } from '../op.js';
import { allReduce, type Expansion, linear, type Pass, productInput } from './context.js';
import { experts } from './moe.js';

export interface FfnBlock {
  /** `layer.ffn`… */
  readonly name: string;
  readonly layers: number;
  readonly input: string;
  readonly residual: string;
}

export function feedForward(x: Expansion, pass: Pass, block: FfnBlock): string {
  if (x.model.experts) return experts(x, pass, block, x.model.experts);
  const { gated, bias, activation } = x.model.ffn;
  const repeat = block.layers * pass.steps.length;
  const width = x.shard.ffn;
  const first = linear(x, pass, {
    name: `${block.name}.${gated ? 'gate_up_proj' : 'up_proj'}`,
    repeat,
    deps: [block.input],
    rows: pass.rows,
    k: x.model.hidden,
    n: gated ? 2 * width : width,
    bias,
    activation: gated ? 'none' : activation,
    feeds: !gated,
  });
  const inner = gated ? gate(x, pass, block.name, repeat, first, pass.rows * width) : first;
  const down = linear(x, pass, {
    name: `${block.name}.down_proj`,
    repeat,
    deps: [inner, block.residual],
    rows: pass.rows,
    k: width,
    n: x.model.hidden,
    bias,
    residual: true,
  });
  return allReduce(x, pass, { name: `${block.name}.all_reduce`, repeat, deps: [down] }, pass.rows);
}

/** act(gate) · up: one kernel for silu and gelu; for others the activation and the product apart. */
export function gate(x: Expansion, pass: Pass, name: string, repeat: number, input: string, n: number): string {
  const { stream } = x.dtypes;
  const out = productInput(x);
  const narrowed = out === stream ? {} : { out };
  const activation: Activation = x.model.ffn.activation;
  const map = (label: string, fn: 'swiglu' | 'geglu' | 'mul', deps: string[]) =>
    x.emit(pass, { kind: 'elementwise', name: `${name}.${label}`, repeat, deps, fn, n, dtype: stream, ...narrowed });
  if (activation === 'silu') return map('swiglu', 'swiglu', [input]);
  if (activation === 'gelu' || activation === 'gelu_tanh') return map('geglu', 'geglu', [input]);
  const activated = x.emit(pass, {
    kind: 'elementwise',
    name: `${name}.activation`,
    repeat,
    deps: [input],
    fn: 'relu',
    n,
    dtype: stream,
  });
  return map('gate', 'mul', [activated, input]);
}
