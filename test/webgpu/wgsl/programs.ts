/** Small programs whose shaders are easy to read. */
import * as ir from '../../../src/kernel/ir.js';
import type { Launch } from '../../../src/kernel/kernel.js';

const f = (op: ir.FxOp, ...args: ir.Fx[]): ir.Fx => ({ f: op, args });
const launch = (program: ir.Program, lanes: number): Launch => ({
  program,
  mapping: { lanes, partition: [1, 1], resident: 0, panel: 1, mma: 'vector' },
});

/** C = A·B with aligned or ragged sizes, two stages, a 4 × 8 register tile per lane. */
export function gemm(m: number, n: number, k: number): Launch {
  const [x, y, t] = [ir.loopVar('x'), ir.loopVar('y'), ir.loopVar('t')];
  const A = ir.tensor('A', 'fp16', [m, k], 'input', 'activation');
  const B = ir.tensor('B', 'fp16', [k, n], 'input', 'weight');
  const C = ir.tensor('C', 'fp16', [m, n], 'output', 'activation');
  const As = ir.tile('As', 'shared', 'fp16', 32, 16, 2);
  const Bs = ir.tile('Bs', 'shared', 'fp16', 16, 64, 2);
  const acc = ir.tile('acc', 'register', 'fp32', 32, 64, 1, [4, 8]);
  return launch(
    {
      name: `gemm[32x64x16] ${m}x${n}x${k}`,
      tensors: [A, B, C],
      tiles: [As, Bs, acc],
      grid: [
        { index: x, extent: Math.ceil(n / 64) },
        { index: y, extent: Math.ceil(m / 32) },
      ],
      body: [
        ir.loop(t, 0, Math.ceil(k / 16), [
          ir.copy(ir.view(A, [ir.mul(y, 32), ir.mul(t, 16)], [0, 1]), As),
          ir.copy(ir.view(B, [ir.mul(t, 16), ir.mul(x, 64)], [0, 1]), Bs),
          ir.mma(As, Bs, acc),
        ]),
        ir.copy(acc, ir.view(C, [ir.mul(y, 32), ir.mul(x, 64)], [0, 1])),
      ],
    },
    64,
  );
}

/** C = A·B of bytes, widened on the way as plain multiply–adds want them. */
export function gemmOfBytes(m: number, n: number, k: number, transposed = false): Launch {
  const [x, y, t] = [ir.loopVar('x'), ir.loopVar('y'), ir.loopVar('t')];
  const A = ir.tensor('A', 'int8', [m, k], 'input', 'activation');
  const B = ir.tensor('B', 'int8', transposed ? [n, k] : [k, n], 'input', 'weight');
  const C = ir.tensor('C', 'int32', [m, n], 'output', 'activation');
  const As = ir.tile('As', 'shared', 'int8', 32, 16, 2);
  const Bs = transposed ? ir.tile('Bs', 'shared', 'int8', 32, 16, 2) : ir.tile('Bs', 'shared', 'int8', 16, 32, 2);
  const Aw = ir.tile('Aw', 'shared', 'int32', 32, 16);
  const Bw = ir.tile('Bw', 'shared', 'int32', Bs.rows, Bs.cols);
  const acc = ir.tile('acc', 'register', 'int32', 32, 32, 1, [4, 4]);
  const widen = ir.mapFn('widen', 1, f('fma', { in: 0 }, 1, 0));
  const at = (a: ir.Expr, b: ir.Expr): ir.Expr[] => (transposed ? [b, a] : [a, b]);
  return launch(
    {
      name: `gemm of bytes[32x32x16] ${m}x${n}x${k}`,
      tensors: [A, B, C],
      tiles: [As, Bs, Aw, Bw, acc],
      grid: [
        { index: x, extent: Math.ceil(n / 32) },
        { index: y, extent: Math.ceil(m / 32) },
      ],
      body: [
        ir.loop(t, 0, Math.ceil(k / 16), [
          ir.copy(ir.view(A, [ir.mul(y, 32), ir.mul(t, 16)], [0, 1]), As),
          ir.copy(ir.view(B, at(ir.mul(t, 16), ir.mul(x, 32)), [0, 1]), Bs),
          ir.map(widen, [As], Aw),
          ir.map(widen, [Bs], Bw),
          ir.mma(Aw, Bw, acc, { tb: transposed }),
        ]),
        ir.copy(acc, ir.view(C, [ir.mul(y, 32), ir.mul(x, 32)], [0, 1])),
      ],
    },
    64,
  );
}

/** Softmax of whole rows, four to a workgroup. */
export function softmax(rows: number, cols: number, lanes = 64): Launch {
  const i = ir.loopVar('i');
  const x = ir.tensor('x', 'fp32', [rows, cols], 'input', 'activation');
  const y = ir.tensor('y', 'fp32', [rows, cols], 'output', 'activation');
  const t = ir.tile('t', 'register', 'fp32', 4, cols);
  const [top, total] = [ir.tile('top', 'register', 'fp32', 4, 1), ir.tile('total', 'register', 'fp32', 4, 1)];
  const exp = ir.mapFn('exp', 2, f('exp2', f('mul', f('sub', { in: 0 }, { in: 1 }), Math.LOG2E)));
  const divide = ir.mapFn('divide', 2, f('mul', { in: 0 }, f('rcp', { in: 1 })));
  const here = [ir.mul(i, 4), 0];
  return launch(
    {
      name: `softmax[4x${cols}]`,
      tensors: [x, y],
      tiles: [t, top, total],
      grid: [{ index: i, extent: Math.ceil(rows / 4) }],
      body: [
        ir.copy(ir.view(x, here, [0, 1]), t),
        ir.reduce('max', 1, t, top),
        ir.map(exp, [t, top], t),
        ir.reduce('sum', 1, t, total),
        ir.map(divide, [t, total], t),
        ir.copy(t, ir.view(y, here, [0, 1])),
      ],
    },
    lanes,
  );
}

/** y[index[r]] += table[index[r]] for ragged groups of rows: gather, atomic add, a loop bounded by a table. */
export function accumulateRows(): Launch {
  const [g, i] = [ir.loopVar('g'), ir.loopVar('i')];
  const starts: ir.Table = { name: 'starts', values: [0, 3, 3, 8] };
  const table = ir.tensor('table', 'fp32', [10, 8], 'input', 'weight');
  const index = ir.tensor('index', 'int32', [8], 'input', 'index');
  const y = ir.tensor('y', 'fp32', [10, 8], 'inout', 'activation');
  const at = ir.tile('at', 'shared', 'int32', 4, 1);
  const rows = ir.tile('rows', 'register', 'fp32', 4, 8);
  const limit = [ir.lookup(starts, ir.add(g, 1)), undefined] as const;
  return launch(
    {
      name: 'accumulate_rows',
      tensors: [table, index, y],
      tiles: [at, rows],
      grid: [{ index: g, extent: 3 }],
      body: [
        ir.loop(i, 0, ir.ceilDiv(ir.sub(ir.lookup(starts, ir.add(g, 1)), ir.lookup(starts, g)), 4), [
          ir.copy(ir.view(index, [ir.add(ir.mul(i, 4), ir.lookup(starts, g))], [0, -1], { limit, fill: -1 }), at),
          ir.gather(ir.view(table, [0, 0], [0, 1]), at, rows),
          ir.scatter(rows, at, ir.view(y, [0, 0], [0, 1]), 'add'),
        ]),
      ],
    },
    32,
  );
}
