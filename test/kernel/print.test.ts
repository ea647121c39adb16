import { describe, expect, it } from 'vitest';
import * as ir from '../../src/kernel/ir.js';
import { exprText, nestText, programText } from '../../src/kernel/print.js';

const [x, y, t] = [ir.loopVar('x'), ir.loopVar('y'), ir.loopVar('t')];
const A = ir.tensor('A', 'fp16', [100, 64], 'input', 'activation');
const B = ir.tensor('B', 'fp16', [64, 32], 'input', 'weight', [1, 64]);
const C = ir.tensor('C', 'fp16', [100, 32], 'output', 'activation');
const sa = ir.tile('sa', 'shared', 'fp16', 32, 16, 2);
const sb = ir.tile('sb', 'shared', 'fp16', 16, 32);
const acc = ir.tile('acc', 'register', 'fp32', 32, 32, 1, [4, 4]);
const gemm: ir.Program = {
  name: 'gemm[32x32x16,s2]',
  tensors: [A, B, C],
  tiles: [sa, sb, acc],
  grid: [
    { index: x, extent: 1 },
    { index: y, extent: 4 },
  ],
  body: [
    ir.loop(t, 0, 4, [
      ir.copy(ir.view(A, [ir.mul(y, 32), ir.mul(t, 16)], [0, 1]), sa),
      ir.copy(ir.view(B, [ir.mul(t, 16), ir.mul(x, 32)], [0, 1], { limit: [60, undefined], fill: 1 }), sb),
      ir.mma(sa, sb, acc),
    ]),
    ir.map(ir.mapFn('relu', 1, { f: 'max', args: [{ in: 0 }, 0] }), [acc], acc),
    ir.copy(acc, ir.view(C, [ir.mul(y, 32), ir.mul(x, 32)], [0, 1])),
  ],
};

it('a program reads as one', () =>
  expect(programText(gemm)).toBe(`program gemm[32x32x16,s2]
  input   A: fp16[100, 64]
  input   B: fp16[64, 32] strides [1, 64]
  output  C: fp16[100, 32]
  shared   sa: fp16[32, 16] × 2 stages   # 2 KiB
  shared   sb: fp16[16, 32]   # 1 KiB
  register acc: fp32[32, 32] lane [4,4]   # 4 KiB
  grid x < 1, y < 4
    for t in 0 .. 4:
      sa = A[y * 32 : +32, t * 16 : +16]   # up to 1 ahead
      sb = B[t * 16 : +16 below 60, x * 32 : +32] else 1
      acc += sa · sb
    acc = max(acc, 0)
    C[y * 32 : +32, x * 32 : +32] = acc
`));

it('a nest shows what runs across workgroups, across lanes and in time', () =>
  expect(nestText(gemm)).toBe(`# gemm[32x32x16,s2]
par for y in 0 .. 4:   # workgroups
  par for x in 0 .. 1:   # workgroups
    for t in 0 .. 4:
      par for (r, c) in [32, 16]: sa = A[y * 32 : +32, t * 16 : +16]   # up to 1 ahead
      par for (r, c) in [16, 32]: sb = B[t * 16 : +16 below 60, x * 32 : +32] else 1
      par for (r, c) in [32, 32]:
        for kk in 0 .. 16: acc[r, c] += sa[r, kk] · sb[kk, c]
    par for (r, c) in [32, 32]: acc = max(acc, 0)
    par for (r, c) in [32, 32]: C[y * 32 : +32, x * 32 : +32] = acc
`));

describe('expressions keep their meaning with as few parentheses as that takes', () => {
  it.each([
    [ir.add(ir.mul(x, 2), y), 'x * 2 + y'],
    [ir.mul(ir.add(x, 2), y), '(x + 2) * y'],
    [ir.sub(x, ir.sub(y, 1)), 'x - (y - 1)'],
    [ir.div(x, ir.mul(y, 2)), 'x / (y * 2)'],
    [ir.min(ir.add(x, -1), y), 'min(x + (-1), y)'],
    [ir.lookup({ name: 'len', values: [1] }, ir.add(x, 1)), 'len[x + 1]'],
  ])('%#', (e, text) => expect(exprText(e)).toBe(text));
});
