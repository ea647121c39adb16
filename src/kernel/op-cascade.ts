/** An op as the einsum it is, whatever program computes it; undefined for ops that are none. */
import { type Convolution, convDepth, convOut, isConvolution, type Op, type OpOf } from '../workload/op.js';
import type { Access, Cascade, Coordinate } from './einsum.js';

export function opCascade(op: Op): Cascade | undefined {
  return op.kind === 'matmul' ? matmul(op) : isConvolution(op) ? convolution(op) : undefined;
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

/** Planes, rows and columns that padding adds count as elements of the input. */
function convolution(op: Convolution): Cascade {
  const [height, width] = convOut(op);
  const deep = convDepth(op);
  const volume = op.kind === 'conv3d';
  const along = (out: string, window: string, stride: number): Coordinate => ({
    terms: [
      { rank: out, stride },
      { rank: window, stride: 1 },
    ],
  });
  const at = (tensor: string, ...dims: (string | Coordinate)[]): Access => ({
    tensor,
    at: dims.map((d) => (typeof d === 'string' ? { terms: [{ rank: d, stride: 1 }] } : d)),
  });
  const [planes, depth] = volume ? [['D'], ['T']] : [[], []];
  const window = [
    ...(volume ? [along('D', 'T', deep.stride)] : []),
    along('P', 'R', op.stride),
    along('Q', 'S', op.stride),
  ];
  return {
    name: 'convolution',
    ranks: {
      N: op.batch,
      M: op.out_channels,
      C: op.in_channels,
      ...(volume && { D: deep.out }),
      P: height,
      Q: width,
      ...(volume && { T: deep.kernel }),
      R: op.kernel,
      S: op.kernel,
    },
    tensors: [
      { name: 'Inputs', dtype: op.a, role: 'input', home: true },
      { name: 'Weights', dtype: op.b, role: 'weight', home: true },
      { name: 'Outputs', dtype: op.c, role: 'output', home: true },
    ],
    einsums: [
      {
        name: 'convolution',
        ranks: ['N', 'M', 'C', ...planes, 'P', 'Q', ...depth, 'R', 'S'],
        out: at('Outputs', 'N', 'M', ...planes, 'P', 'Q'),
        ins: [at('Inputs', 'N', 'C', ...window), at('Weights', 'M', 'C', ...depth, 'R', 'S')],
        reduce: 'sum',
        work: { fma: 1 },
      },
    ],
  };
}
