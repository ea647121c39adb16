import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import { interpret, interpretLaunches } from '../../src/kernel/interpret.js';
import * as ir from '../../src/kernel/ir.js';

const input = (name: string, dims: number[], dtype: 'fp32' | 'fp16' | 'int32' = 'fp32', strides?: number[]) =>
  ir.tensor(name, dtype, dims, 'input', dtype === 'int32' ? 'index' : 'activation', strides);
const output = (name: string, dims: number[], role: 'output' | 'inout' = 'output') =>
  ir.tensor(name, 'fp32', dims, role, 'activation');
const reg = (name: string, r: number, c: number) => ir.tile(name, 'register', 'fp32', r, c);
const shared = (name: string, r: number, c: number, stages = 1) => ir.tile(name, 'shared', 'fp32', r, c, stages);
const program = (p: Omit<ir.Program, 'name'>): ir.Program => ({ name: 'test', ...p });
const values = (n: number, f: (i: number) => number = (i) => i + 1) => Float64Array.from({ length: n }, (_, i) => f(i));

/** C[m,n] = A[m,k]·B[k,n], A and B through shared tiles of bm × bk and bk × bn. */
function gemm(m: number, n: number, k: number, bm: number, bn: number, bk: number): ir.Program {
  const [x, y, t] = [ir.loopVar('x'), ir.loopVar('y'), ir.loopVar('t')];
  const [A, B, C] = [input('A', [m, k]), input('B', [k, n]), output('C', [m, n])];
  const [sa, sb, acc] = [shared('sa', bm, bk, 2), shared('sb', bk, bn, 2), reg('acc', bm, bn)];
  return program({
    tensors: [A, B, C],
    tiles: [sa, sb, acc],
    grid: [
      { index: x, extent: Math.ceil(n / bn) },
      { index: y, extent: Math.ceil(m / bm) },
    ],
    body: [
      ir.loop(t, 0, Math.ceil(k / bk), [
        ir.copy(ir.view(A, [ir.mul(y, bm), ir.mul(t, bk)], [0, 1]), sa),
        ir.copy(ir.view(B, [ir.mul(t, bk), ir.mul(x, bn)], [0, 1]), sb),
        ir.mma(sa, sb, acc),
      ]),
      ir.copy(acc, ir.view(C, [ir.mul(y, bm), ir.mul(x, bn)], [0, 1])),
    ],
  });
}

describe('a hand-computed gemm', () => {
  const run = interpret(gemm(4, 4, 4, 2, 2, 2), { A: values(16), B: values(16, (i) => (i % 5 === 0 ? 2 : 0)) });
  it('gives A·2I', () => expect([...run.outputs.C!]).toEqual([...values(16, (i) => 2 * (i + 1))]));
  it('reads A once per column of tiles and writes C once', () =>
    expect(run.requested_B.tensor).toEqual({
      A: { read_B: 16 * 4 * 2, write_B: 0 },
      B: { read_B: 16 * 4 * 2, write_B: 0 },
      C: { read_B: 0, write_B: 16 * 4 },
    }));
  it('counts both ends of each boundary', () => {
    expect(run.requested_B.boundary['global-shared']).toEqual({ read_B: 256, write_B: 0 });
    expect(run.requested_B.boundary['global-register']).toEqual({ read_B: 0, write_B: 64 });
    expect(run.requested_B.level).toEqual({
      global: { read_B: 256, write_B: 64 },
      shared: { read_B: 0, write_B: 256 },
      register: { read_B: 64, write_B: 0 },
    });
  });
  it('counts the operands mma reads from shared tiles apart', () =>
    expect(run.operand_B).toEqual({ sa: { read_B: 8 * 4 * 4, write_B: 0 }, sb: { read_B: 8 * 4 * 4, write_B: 0 } }));
  it('counts 2·m·n·k operations', () => expect(run.flops_executed).toBe(128));
});

it('ragged gemms match plain loops and read each element once per tile that covers it', () => {
  const size = fc.integer({ min: 1, max: 9 });
  const tile = fc.integer({ min: 1, max: 4 });
  fc.assert(
    fc.property(size, size, size, tile, tile, tile, (m, n, k, bm, bn, bk) => {
      const A = values(m * k, (i) => (i * 7) % 11);
      const B = values(k * n, (i) => (i * 5) % 13);
      const run = interpret(gemm(m, n, k, bm, bn, bk), { A, B });
      for (let r = 0; r < m; r++)
        for (let c = 0; c < n; c++) {
          let sum = 0;
          for (let x = 0; x < k; x++) sum += A[r * k + x]! * B[x * n + c]!;
          expect(run.outputs.C![r * n + c]).toBe(sum);
        }
      expect(run.requested_B.tensor.A!.read_B).toBe(4 * m * k * Math.ceil(n / bn));
      expect(run.requested_B.tensor.B!.read_B).toBe(4 * k * n * Math.ceil(m / bm));
      expect(run.requested_B.tensor.C!.write_B).toBe(4 * m * n);
    }),
    { numRuns: 60 },
  );
});

describe('views', () => {
  /** One tile [rows, cols] read through a view of x and written to y whole. */
  const read = (x: ir.Tensor, view: ir.View, rows: number, cols: number, given: Float64Array) => {
    const y = output('y', [rows, cols]);
    const t = reg('t', rows, cols);
    return interpret(
      program({
        tensors: [x, y],
        tiles: [t],
        grid: [],
        body: [ir.copy(view, t), ir.copy(t, ir.view(y, [0, 0], [0, 1]))],
      }),
      { x: given },
    );
  };
  const x = input('x', [3, 4]);
  it('clip at both ends and read the fill there', () => {
    const run = read(x, ir.view(x, [-1, 2], [0, 1], { fill: -5 }), 3, 3, values(12));
    expect([...run.outputs.y!]).toEqual([-5, -5, -5, 3, 4, -5, 7, 8, -5]);
    expect(run.requested_B.tensor.x!.read_B).toBe(4 * 4);
    expect(run.requested_B.level.register.write_B).toBe(4 * 4);
  });
  it('transpose by walking axes the other way', () =>
    expect([...read(x, ir.view(x, [0, 1], [1, 0]), 2, 3, values(12)).outputs.y!]).toEqual([2, 6, 10, 3, 7, 11]));
  it('step over elements', () => {
    const run = read(x, ir.view(x, [0, 0], [0, 1], { step: [2, 3] }), 3, 2, values(12));
    expect([...run.outputs.y!]).toEqual([1, 4, 9, 12, 0, 0]);
    expect(run.requested_B.tensor.x!.read_B).toBe(16);
  });
  it('stop at a limit tighter than the tensor', () =>
    expect([...read(x, ir.view(x, [0, 0], [0, 1], { limit: [2, 1] }), 3, 2, values(12)).outputs.y!]).toEqual([
      1, 0, 5, 0, 0, 0,
    ]));
  it('take one row or one element where an axis is −1', () =>
    expect([...read(x, ir.view(x, [1, 0], [-1, 1]), 1, 4, values(12)).outputs.y!]).toEqual([5, 6, 7, 8]));
  it('are empty when a fixed coordinate is out of range', () =>
    expect(read(x, ir.view(x, [3, 0], [-1, 1]), 1, 4, values(12)).requested_B.tensor.x!.read_B).toBe(0));
  it('see strided tensors by their coordinates', () => {
    const strided = input('x', [3, 4], 'fp32', [1, 3]);
    expect([...read(strided, ir.view(strided, [1, 0], [-1, 1]), 1, 4, values(12)).outputs.y!]).toEqual([5, 6, 7, 8]);
  });
});

describe('maps', () => {
  const [row, col] = [reg('row', 1, 3), reg('col', 2, 1)];
  const [a, b, y] = [input('a', [1, 3]), input('b', [2, 1]), output('y', [2, 3])];
  const out = reg('out', 2, 3);
  const apply = (fx: ir.Fx, scalars: ir.Expr[] = []) =>
    interpret(
      program({
        tensors: [a, b, y],
        tiles: [row, col, out],
        grid: [],
        body: [
          ir.copy(ir.view(a, [0, 0], [0, 1]), row),
          ir.copy(ir.view(b, [0, 0], [0, 1]), col),
          ir.map(ir.mapFn('f', 2, fx), [row, col], out, scalars),
          ir.copy(out, ir.view(y, [0, 0], [0, 1])),
        ],
      }),
      { a: values(3), b: Float64Array.of(10, 20) },
    );
  const at = (i: number): ir.Fx => ({ in: i });
  it('broadcast rows and columns', () =>
    expect([...apply({ f: 'add', args: [at(0), at(1)] }).outputs.y!]).toEqual([11, 12, 13, 21, 22, 23]));
  it('see scalars and local coordinates', () => {
    const fx: ir.Fx = { f: 'fma', args: [{ coord: 'row' }, { s: 0 }, { coord: 'col' }] };
    expect([...apply(fx, [ir.add(3, 4)]).outputs.y!]).toEqual([0, 1, 2, 7, 8, 9]);
  });
  it('count their work per element', () => {
    const run = apply({ f: 'fma', args: [at(0), at(1), { f: 'exp2', args: [at(0)] }] });
    expect(run.work).toEqual({ fma: 6, exp2: 6 });
    expect(run.flops_executed).toBe(18);
    expect(run.outputs.y![1]).toBe(2 * 10 + 4);
  });
  it('round halves to even', () =>
    expect([...apply({ f: 'round', args: [{ f: 'mul', args: [at(0), 0.5] }] }).outputs.y!]).toEqual([
      0, 1, 2, 0, 1, 2,
    ]));
  it.each([
    ['max', [at(0), 2], [2, 2, 3]],
    ['min', [at(0), 2], [1, 2, 2]],
    ['lt', [at(0), 2], [1, 0, 0]],
    ['select', [{ f: 'lt', args: [at(0), 2] }, 7, 8], [7, 8, 8]],
    ['rcp', [at(0)], [1, 0.5, 1 / 3]],
    ['rsqrt', [at(0)], [1, 1 / Math.SQRT2, 1 / Math.sqrt(3)]],
    ['log2', [at(0)], [0, 1, Math.log2(3)]],
    ['tanh', [at(0)], [Math.tanh(1), Math.tanh(2), Math.tanh(3)]],
    ['floor', [{ f: 'mul', args: [at(0), -0.5] }], [-1, -1, -2]],
  ] as [ir.FxOp, ir.Fx[], number[]][])('%s', (f, args, expected) => {
    const got = apply({ f, args }).outputs.y!;
    for (const [i, e] of expected.entries()) expect(got[i]).toBeCloseTo(e, 14);
  });
});

describe('reductions', () => {
  const x = input('x', [2, 3]);
  const t = shared('t', 2, 3);
  const run = (op: ir.ReduceOp, axis: 0 | 1, accumulate: boolean) => {
    const dims = axis === 1 ? [2, 1] : [1, 3];
    const y = output('y', dims);
    const r = reg('r', dims[0]!, dims[1]!);
    const one = ir.map(ir.mapFn('ten', 0, 10), [], r);
    return interpret(
      program({
        tensors: [x, y],
        tiles: [t, r],
        grid: [],
        body: [
          ir.copy(ir.view(x, [0, 0], [0, 1]), t),
          one,
          ir.reduce(op, axis, t, r, accumulate),
          ir.copy(r, ir.view(y, [0, 0], [0, 1])),
        ],
      }),
      { x: Float64Array.of(3, 1, 2, -4, 6, 5) },
    );
  };
  it.each([
    ['sum', 1, false, [6, 7]],
    ['sum', 1, true, [16, 17]],
    ['sum', 0, false, [-1, 7, 7]],
    ['max', 1, false, [3, 6]],
    ['max', 1, true, [10, 10]],
    ['min', 0, false, [-4, 1, 2]],
    ['min', 0, true, [-4, 1, 2]],
  ] as const)('%s along %i, accumulate %s', (op, axis, accumulate, expected) =>
    expect([...run(op, axis, accumulate).outputs.y!]).toEqual([...expected]),
  );
  it('read a shared operand whole, once', () => expect(run('sum', 1, false).operand_B.t!.read_B).toBe(24));
  it('take one step fewer than elements unless they accumulate', () => {
    expect(run('sum', 1, false).work).toEqual({ add: 4 });
    expect(run('sum', 1, true).work).toEqual({ add: 6 });
  });
});

describe('gather and scatter', () => {
  const g = ir.loopVar('g');
  const table = input('table', [5, 2]);
  const index = input('index', [3], 'int32');
  const idx = ir.tile('idx', 'shared', 'int32', 3, 1);
  const rows = reg('rows', 3, 2);
  const loadIndex = ir.copy(ir.view(index, [0], [0, -1]), idx);
  it('gathers rows, adds the view’s start and clips what lies outside', () => {
    const y = output('y', [3, 2]);
    const run = interpret(
      program({
        tensors: [table, index, y],
        tiles: [idx, rows],
        grid: [],
        body: [
          loadIndex,
          ir.gather(ir.view(table, [1, 0], [0, 1]), idx, rows),
          ir.copy(rows, ir.view(y, [0, 0], [0, 1])),
        ],
      }),
      { table: values(10), index: Float64Array.of(3, 0, 4) },
    );
    expect([...run.outputs.y!]).toEqual([9, 10, 3, 4, 0, 0]);
    expect(run.requested_B.tensor.table!.read_B).toBe(4 * 4);
    expect(run.operand_B.idx!.read_B).toBe(12);
  });
  it.each([
    ['add', [100, 111, 100, 100, 106]],
    ['set', [100, 5, 100, 100, 6]],
    ['max', [100, 100, 100, 100, 100]],
  ] as const)('scatters with %s, where rows may meet', (combine, first) => {
    const y = output('y', [5, 1], 'inout');
    const src = input('src', [3, 1]);
    const one = reg('one', 3, 1);
    const run = interpret(
      program({
        tensors: [src, index, y],
        tiles: [idx, one],
        grid: [{ index: g, extent: 1 }],
        body: [
          loadIndex,
          ir.copy(ir.view(src, [0, 0], [0, 1]), one),
          ir.scatter(one, idx, ir.view(y, [0, 0], [0, 1]), combine),
        ],
      }),
      { src: Float64Array.of(6, 5, 6), index: Float64Array.of(1, 1, 4), y: new Float64Array(5).fill(100) },
    );
    expect([...run.outputs.y!]).toEqual([...first]);
    expect(run.requested_B.tensor.y).toEqual({ read_B: 0, write_B: 12 });
  });
});

it('loop bounds and coordinates may come from tables', () => {
  const [g, i] = [ir.loopVar('g'), ir.loopVar('i')];
  const starts: ir.Table = { name: 'starts', values: [0, 2, 2, 6] };
  const x = input('x', [6]);
  const y = output('y', [3]);
  const [t, sum] = [reg('t', 1, 1), reg('sum', 1, 1)];
  const run = interpret(
    program({
      tensors: [x, y],
      tiles: [t, sum],
      grid: [{ index: g, extent: 3 }],
      body: [
        ir.loop(i, ir.lookup(starts, g), ir.lookup(starts, ir.add(g, 1)), [
          ir.copy(ir.view(x, [i], [0, -1]), t),
          ir.reduce('sum', 1, t, sum, true),
        ]),
        ir.copy(sum, ir.view(y, [g], [0, -1])),
      ],
    }),
    { x: values(6) },
  );
  expect([...run.outputs.y!]).toEqual([3, 0, 3 + 4 + 5 + 6]);
});

it('counts each end at its own dtype', () => {
  const x = input('x', [4, 4], 'fp16');
  const y = output('y', [4, 4]);
  const [h, f] = [ir.tile('h', 'shared', 'fp16', 4, 4), reg('f', 4, 4)];
  const run = interpret(
    program({
      tensors: [x, y],
      tiles: [h, f],
      grid: [],
      body: [ir.copy(ir.view(x, [0, 0], [0, 1]), h), ir.copy(h, f), ir.copy(f, ir.view(y, [0, 0], [0, 1]))],
    }),
    { x: values(16) },
  );
  expect(run.requested_B.level).toEqual({
    global: { read_B: 32, write_B: 64 },
    shared: { read_B: 32, write_B: 32 },
    register: { read_B: 64, write_B: 64 },
  });
  expect(run.requested_B.boundary['shared-register']).toEqual({ read_B: 32, write_B: 0 });
});

describe('what is given', () => {
  const p = gemm(2, 2, 2, 2, 2, 2);
  it.each([
    ['a tensor is missing', { A: values(4) }, /'B' \[2,2\] is not given/],
    ['a length is wrong', { A: values(4), B: values(5) }, /holds 4 elements, given 5/],
    ['a name is unknown', { A: values(4), B: values(4), D: values(4) }, /no tensor 'D'/],
  ])('is refused when %s', (_, given, message) => {
    expect(() => interpret(p, given)).toThrow(InputError);
    expect(() => interpret(p, given)).toThrow(message);
  });
  it('stays as it was', () => {
    const [A, B, C] = [values(4), values(4), values(4)];
    interpret(p, { A, B, C }, { rounding: 'dtype' });
    expect([...A, ...B, ...C]).toEqual([1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]);
  });
});

it('a second launch sees what the first wrote', () => {
  const x = input('x', [2]);
  const s = ir.tensor('s', 'fp32', [2], 'scratch', 'activation');
  const y = output('y', [2]);
  const t = reg('t', 2, 1);
  const move = (from: ir.Tensor, to: ir.Tensor) =>
    program({
      tensors: [from, to],
      tiles: [t],
      grid: [],
      body: [ir.copy(ir.view(from, [0], [0, -1]), t), ir.copy(t, ir.view(to, [0], [0, -1]))],
    });
  const run = interpretLaunches([{ program: move(x, s) }, { program: move(s, y) }], { x: values(2) });
  expect([...run.outputs.y!]).toEqual([1, 2]);
});
