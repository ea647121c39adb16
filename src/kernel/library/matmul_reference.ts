/** Matrix products in plain loops, fp64: what the kernels of this folder must give. */
import type { Activation, OpOf } from '../../workload/op.js';
import { erf } from './erf.js';
import { SCALE_GROUP, scalingOf } from './mma_route.js';

/** Activations by their definitions (not by the approximations that kernels use). */
export const ACTIVATION = {
  none: (x) => x,
  relu: (x) => Math.max(x, 0),
  gelu: (x) => (x / 2) * (1 + erf(x / Math.SQRT2)),
  gelu_tanh: (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  silu: (x) => x / (1 + Math.exp(-x)),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  tanh: Math.tanh,
  exp: Math.exp,
} as const satisfies Record<Activation, (x: number) => number>;

/** An input by name; throws when a caller left it out. */
export function input(inputs: Readonly<Record<string, Float64Array>>, name: string): Float64Array {
  const values = inputs[name];
  if (!values) throw new Error(`reference needs the input '${name}'`);
  return values;
}

/** C[b,m,n] = act((A·B)·scale + bias) + residual. */
export function matmulReference(
  op: OpOf<'matmul'>,
  inputs: Readonly<Record<string, Float64Array>>,
): Record<string, Float64Array> {
  const { batch, m, n, k } = op;
  const a = input(inputs, 'A');
  const b = input(inputs, 'B');
  const scaling = scalingOf(op);
  const scales = scaling === 'none' ? undefined : input(inputs, 'scales');
  const bias = op.bias ? input(inputs, 'bias') : undefined;
  const residual = op.residual ? input(inputs, 'residual') : undefined;
  const act = ACTIVATION[op.activation];
  const out = new Float64Array(batch * m * n);
  for (let z = 0; z < batch; z++)
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let x = 0; x < k; x++) {
          const scale = scaling === 'group' ? scales![Math.floor(x / SCALE_GROUP) * n + j]! : 1;
          sum += a[(z * m + i) * k + x]! * b[(z * k + x) * n + j]! * scale;
        }
        if (scaling === 'column') sum *= scales![j]!;
        const at = (z * m + i) * n + j;
        out[at] = act(sum + (bias?.[j] ?? 0)) + (residual?.[at] ?? 0);
      }
  return { C: out };
}
