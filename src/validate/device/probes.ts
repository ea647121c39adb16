/** Kernels that only validation runs: what a good library would not do, and a model should see. */
import { copy, loopVar, mul, tensor, tile, view } from '../../kernel/ir.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { AnyKernel } from '../../kernel/library/index.js';
import { vectorMapping } from '../../kernel/library/lanes.js';
import { transpose } from '../../kernel/library/transpose.js';

const C = loopVar('col');
const R = loopVar('row');
const B = loopVar('batch');

/** A transpose without workgroup memory: whichever side its lanes run along, the other is strided. */
const transpose_direct: Kernel<'transpose'> = {
  ...transpose,
  name: 'transpose_direct',
  math: 'out[b, c, r] = x[b, r, c], through registers',
  params: {
    rows: { description: 'rows of x a workgroup', values: [1, 2, 4, 8, 16, 32, 64, 128], default: 2 },
    cols: { description: 'columns of x a workgroup', values: [1, 2, 4, 8, 16, 32, 64, 128], default: 64 },
    groups: { description: 'lane groups', values: [1, 2, 4, 8, 16, 32], default: 2 },
  },
  *candidates() {
    for (const [rows, cols] of [
      [2, 64],
      [64, 2],
    ] as const)
      yield { rows, cols, groups: 2 };
  },
  build(op, params, machine) {
    const rows = params['rows']!;
    const cols = params['cols']!;
    const x = tensor('x', op.dtype, [op.batch, op.rows, op.cols], 'input', 'activation');
    const out = tensor('out', op.dtype, [op.batch, op.cols, op.rows], 'output', 'activation');
    const t = tile('t', 'register', op.dtype, rows, cols);
    const at = [mul(R, rows), mul(C, cols)] as const;
    return [
      {
        program: {
          name: `transpose_direct[${rows}x${cols}]`,
          tensors: [x, out],
          tiles: [t],
          grid: [
            { index: C, extent: Math.ceil(op.cols / cols) },
            { index: R, extent: Math.ceil(op.rows / rows) },
            { index: B, extent: op.batch },
          ],
          body: [copy(view(x, [B, ...at], [1, 2]), t), copy(t, view(out, [B, at[1], at[0]], [2, 1]))],
        },
        mapping: vectorMapping(machine, params['groups']!, rows),
      },
    ];
  },
};

export const PROBES: Readonly<Record<string, AnyKernel>> = { transpose_direct };
