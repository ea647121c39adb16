/** An op as the einsum it is, whatever program computes it; undefined for ops that are none. */
import { convOut, type Op, type OpOf } from '../workload/op.js';
import type { Access, Cascade } from './einsum.js';

export function opCascade(op: Op): Cascade | undefined {
  return op.kind === 'matmul' ? matmul(op) : op.kind === 'conv2d' ? convolution(op) : undefined;
}

function matmul(op: OpOf<'matmul'>): Cascade {
  const batched = op.batch > 1;
  const at = (tensor: string, ...ranks: string[]): Access => ({
    tensor,
    at: [...(batched ? ['B'] : []), ...ranks].map((rank) => ({ terms: [{ rank, stride: 1 }] })),
  });
  return {
    name: 'matmul',
    ranks: { ...(batched && { B: op.batch }), M: op.m, N: op.n, K: op.k },
    tensors: [
      { name: 'A', dtype: op.a, role: 'input', home: true },
      { name: 'W', dtype: op.b, role: 'weight', home: true },
      { name: 'O', dtype: op.c, role: 'output', home: true },
    ],
    einsums: [
      {
        name: 'matmul',
        ranks: [...(batched ? ['B'] : []), 'M', 'N', 'K'],
        out: at('O', 'M', 'N'),
        ins: [at('A', 'M', 'K'), at('W', 'K', 'N')],
        reduce: 'sum',
        work: { fma: 1 },
      },
    ],
  };
}

/** Rows and columns that padding adds count as elements of the input. */
function convolution(op: OpOf<'conv2d'>): Cascade {
  const [height, width] = convOut(op);
  const at = (tensor: string, ...dims: (string | [string, string])[]): Access => ({
    tensor,
    at: dims.map((d) => ({
      terms:
        typeof d === 'string'
          ? [{ rank: d, stride: 1 }]
          : [
              { rank: d[0], stride: op.stride },
              { rank: d[1], stride: 1 },
            ],
    })),
  });
  return {
    name: 'convolution',
    ranks: { N: op.batch, M: op.out_channels, C: op.in_channels, P: height, Q: width, R: op.kernel, S: op.kernel },
    tensors: [
      { name: 'Inputs', dtype: op.a, role: 'input', home: true },
      { name: 'Weights', dtype: op.b, role: 'weight', home: true },
      { name: 'Outputs', dtype: op.c, role: 'output', home: true },
    ],
    einsums: [
      {
        name: 'convolution',
        ranks: ['N', 'M', 'C', 'P', 'Q', 'R', 'S'],
        out: at('Outputs', 'N', 'M', 'P', 'Q'),
        ins: [at('Inputs', 'N', 'C', ['P', 'R'], ['Q', 'S']), at('Weights', 'M', 'C', 'R', 'S')],
        reduce: 'sum',
        work: { fma: 1 },
      },
    ],
  };
}
