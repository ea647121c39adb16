import { expect, it } from 'vitest';
import * as ir from '../../src/kernel/ir.js';
import { programWork, type WorkNode } from '../../src/kernel/lane-work.js';

/** c = a·b on 64 lanes of 4 × 4 elements each: 32 × 32 tiles, 16 deep. */
function product(k: number, n = 64): ir.Program {
  const A = ir.tensor('A', 'fp32', [32, k], 'input', 'activation');
  const B = ir.tensor('B', 'fp32', [k, n], 'input', 'weight');
  const C = ir.tensor('C', 'fp32', [32, n], 'output', 'activation');
  const a = ir.tile('a', 'shared', 'fp32', 32, 16);
  const b = ir.tile('b', 'shared', 'fp32', 16, 32);
  const c = ir.tile('c', 'register', 'fp32', 32, 32, 1, [4, 4]);
  const [i, j] = [ir.loopVar('i'), ir.loopVar('j')];
  return {
    name: 'product',
    tensors: [A, B, C],
    tiles: [a, b, c],
    grid: [{ index: j, extent: Math.ceil(n / 32) }],
    body: [
      ir.loop(i, 0, k / 16, [
        ir.copy(ir.view(A, [0, ir.mul(i, 16)], [0, 1]), a),
        ir.copy(ir.view(B, [ir.mul(i, 16), ir.mul(j, 32)], [0, 1]), b),
        ir.mma(a, b, c),
      ]),
      ir.copy(c, ir.view(C, [0, ir.mul(j, 32)], [0, 1])),
    ],
  };
}
const work = (p: ir.Program, group = 8): readonly WorkNode[] => programWork(p, 64, group, 16384).body;

it('lanes of a product load vectors of four: counted by hand from the text of its shader', () => {
  const [loop, store] = work(product(64));
  const [a, b, mma] = loop!.body;
  // 128 vectors over 64 lanes: two turns of eight groups
  for (const copy of [a!, b!]) {
    expect(copy.work.far_loads).toEqual({ one: 0, four: 16 });
    expect(copy.work.near_stores).toEqual({ one: 0, four: 16 });
    expect(copy.work.turns).toBe(16);
  }
  // four turns of four depths; in each four vectors of a, and one of b for each depth
  expect(mma!.work.turns).toBe(8 * 4);
  expect(mma!.work.near_loads).toEqual({ one: 0, four: 8 * 4 * (4 + 4) });
  expect(mma!.work.math).toEqual([{ fn: 'fma', dtype: 'fp32', n: 8 * 16 * 16 }]);
  // once a loop for the lane's row, once for its column
  expect(mma!.work.places).toBe(8 * 2);
  expect(store!.work.far_stores).toEqual({ one: 0, four: 8 * 4 });
});

it('barriers stand before the tiles are filled anew and before they are read; lanes meet only inside the loop', () => {
  const [loop, store] = work(product(64));
  expect(loop!.body.map((n) => n.work.barriers)).toEqual([1, 0, 1]);
  expect(loop!.body.map((n) => n.work.meeting)).toEqual([true, true, true]);
  expect(store!.work.meeting).toBe(false);
});

it('rows that are no whole vectors are loaded word by word', () => {
  const [loop] = work(product(64, 63));
  const [a, b, mma] = loop!.body;
  expect(a!.work.far_loads.four).toBe(16);
  expect(b!.work.far_loads).toEqual({ one: 64, four: 0 });
  expect(mma!.work.near_loads.one).toBeGreaterThan(0);
});

it('wider groups do the same in fewer instructions', () => {
  const narrow = work(product(64), 8)[0]!.body[2]!.work;
  const wide = work(product(64), 32)[0]!.body[2]!.work;
  expect(narrow.near_loads.four).toBe(4 * wide.near_loads.four);
});
