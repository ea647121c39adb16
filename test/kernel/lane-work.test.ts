import { expect, it } from 'vitest';
import type { DType } from '../../src/base/dtype.js';
import * as ir from '../../src/kernel/ir.js';
import { programWork, type WorkNode } from '../../src/kernel/lane-work.js';
import { CONVERT } from '../../src/kernel/math.js';

/** c = a·b on 64 lanes of 4 × 4 elements each: 32 × 32 tiles, 16 deep. */
function product(k: number, n = 64, [from, to]: readonly [DType, DType] = ['fp32', 'fp32']): ir.Program {
  const A = ir.tensor('A', from, [32, k], 'input', 'activation');
  const B = ir.tensor('B', from, [k, n], 'input', 'weight');
  const C = ir.tensor('C', to, [32, n], 'output', 'activation');
  const a = ir.tile('a', 'shared', from, 32, 16);
  const b = ir.tile('b', 'shared', from, 16, 32);
  const c = ir.tile('c', 'register', to, 32, 32, 1, [4, 4]);
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
const work = (p: ir.Program, group = 8, bytes = true): readonly WorkNode[] =>
  programWork(p, 64, { group, workgroup_B: 16384, bytes }).body;

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

it('four bytes are one word, moved and multiplied at once', () => {
  const [loop, store] = work(product(64, 64, ['int8', 'int32']));
  const [a, b, mma] = loop!.body;
  for (const copy of [a!, b!]) {
    expect(copy.work.far_loads).toEqual({ one: 16, four: 0 });
    expect(copy.work.near_stores).toEqual({ one: 16, four: 0 });
    expect(copy.work.math).toEqual([]);
  }
  // in each of four turns a word of each of four rows of a, and of b those of four rows, whose columns are then made
  expect(mma!.work.near_loads).toEqual({ one: 8 * 4 * (4 + 4), four: 0 });
  expect(mma!.work.math).toEqual([
    { fn: 'fma', dtype: 'int8', n: 8 * 16 * 16 },
    { fn: 'int', dtype: 'int32', n: 8 * 4 * 28 },
  ]);
  expect(store!.work.far_stores).toEqual({ one: 0, four: 8 * 4 });
});

it('bytes that no instruction multiplies are taken from their words', () => {
  const [loop] = work(product(64, 64, ['int8', 'int32']), 8, false);
  const mma = loop!.body[2]!.work;
  expect(mma.near_loads).toEqual({ one: 8 * 4 * (4 + 4), four: 0 });
  expect(mma.math).toContainEqual({ fn: 'fma', dtype: 'int32', n: 8 * 16 * 16 });
  expect(mma.math).toContainEqual({ fn: 'int', dtype: 'int32', n: 2 * 8 * 4 * 4 * 4 });
});

it('bytes are not widened where they are multiplied as they are', () => {
  const program = (widened: boolean): ir.Program => {
    const p = product(64, 64, ['int8', 'int32']);
    if (!widened) return p;
    const [a, b, c] = p.tiles as [ir.Tile, ir.Tile, ir.Tile];
    const [loop, store] = p.body as [ir.Loop, ir.Stmt];
    const wide = [a, b].map((t) => ir.tile(`${t.name}_wide`, 'shared', 'int32', t.rows, t.cols));
    const maps = [a, b].map((t, i) => ir.map(CONVERT, [t], wide[i]!));
    const body = [...loop.body.slice(0, 2), ...maps, ir.mma(wide[0]!, wide[1]!, c)];
    return { ...p, tiles: [...p.tiles, ...wide], body: [{ ...loop, body }, store] };
  };
  const narrow = work(program(false))[0]!.body;
  const [a, b, none, nothing, mma] = work(program(true))[0]!.body;
  expect([a, b, mma]).toEqual(narrow);
  for (const n of [none!, nothing!]) {
    expect(n.work.near_stores).toEqual({ one: 0, four: 0 });
    expect(n.work.math).toEqual([]);
  }
  const wide = work(program(true), 8, false)[0]!.body[2]!;
  expect(wide.work.near_stores.one).toBeGreaterThan(0);
});
