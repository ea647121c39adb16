import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InfeasibleError } from '../../../src/base/errors.js';
import { type LoopNode, type Node, placeBarriers, type Work } from '../../../src/kernel/barriers.js';
import { roundTo } from '../../../src/kernel/interpret/round.js';
import * as ir from '../../../src/kernel/ir.js';
import { gridFor, shareOf } from '../../../src/kernel/lanes.js';
import { isMultiple, rangeOf } from '../../../src/kernel/range.js';
import { emitWgsl } from '../../../src/webgpu/wgsl/emit.js';
import { fromHalf, packTensor, toHalf, unpackTensor } from '../../../src/webgpu/wgsl/pack.js';
import { over, sum, times } from '../../../src/webgpu/wgsl/term.js';
import { gemm } from './programs.js';

describe('barriers', () => {
  const work = (reads: object[], writes: object[]): Work => ({
    kind: 'work',
    reads,
    writes,
    barrier: false,
  });
  const loop = (body: Node[], alternating: object[] = []): LoopNode => ({
    kind: 'loop',
    loop: ir.loop(ir.loopVar('t'), 0, 4, []),
    body,
    alternating: new Set(alternating),
    barrier: false,
  });
  const [a, b] = [{ name: 'a' }, { name: 'b' }];
  it('stand between a write and a read, not between reads', () => {
    const nodes = [work([], [a]), work([a], []), work([a], [])];
    placeBarriers(nodes);
    expect(nodes.map((n) => n.barrier)).toEqual([false, true, false]);
  });
  it('one serves several tiles', () => {
    const nodes = [work([], [a]), work([], [b]), work([a, b], [])];
    placeBarriers(nodes);
    expect(nodes.map((n) => n.barrier)).toEqual([false, false, true]);
  });
  it('a loop that refills one buffer needs two per iteration', () => {
    const body = [work([], [a]), work([a], [])];
    placeBarriers([loop(body)]);
    expect(body.map((n) => n.barrier)).toEqual([true, true]);
  });
  it('a loop that alternates between two buffers needs one', () => {
    const body = [work([], [a]), work([a], [])];
    const l = loop(body, [a]);
    placeBarriers([l]);
    expect([l.barrier, ...body.map((n) => n.barrier)]).toEqual([false, false, true]);
  });
  it('a second loop over the same buffers waits once before it, not in each iteration', () => {
    const [one, two] = [
      [work([], [a]), work([a], [])],
      [work([], [a]), work([a], [])],
    ];
    const [l1, l2] = [loop(one, [a]), loop(two, [a])];
    placeBarriers([l1, l2]);
    expect([l2.barrier, ...two.map((n) => n.barrier)]).toEqual([true, false, true]);
  });
  it('a place that is read and written by one statement is waited for before', () => {
    const nodes = [work([], [a]), work([a], [a]), work([a], [])];
    placeBarriers(nodes);
    expect(nodes.map((n) => n.barrier)).toEqual([false, true, true]);
  });
});

describe('what is known of expressions', () => {
  const x = ir.loopVar('x');
  const any: fc.Arbitrary<ir.Expr> = fc.letrec<{ e: ir.Expr }>((tie) => ({
    e: fc.oneof(
      { depthSize: 'small' },
      fc.integer({ min: -8, max: 8 }),
      fc.constant(x as ir.Expr),
      fc.record({
        op: fc.constantFrom('+' as const, '-' as const, '*' as const, 'min' as const, 'max' as const),
        a: tie('e'),
        b: tie('e'),
      }),
      fc.record({ op: fc.constantFrom('/' as const, '%' as const), a: tie('e'), b: fc.integer({ min: 1, max: 6 }) }),
    ),
  })).e;
  it('intervals hold every value, and multiples are multiples', () => {
    fc.assert(
      fc.property(any, fc.integer({ min: 0, max: 7 }), (e, v) => {
        const value = ir.evalExpr(e, new Map([[x, v]]));
        const { lo, hi } = rangeOf(e, new Map([[x, { lo: 0, hi: 7 }]]));
        expect(value).toBeGreaterThanOrEqual(lo);
        expect(value).toBeLessThanOrEqual(hi);
        if (isMultiple(e, 4)) expect(Math.abs(value % 4)).toBe(0);
      }),
      { numRuns: 500 },
    );
  });
  it('tile starts are known to be multiples', () => {
    expect(isMultiple(ir.add(ir.mul(x, 16), 8), 4)).toBe(true);
    expect(isMultiple(ir.mul(ir.mul(x, 2), 2), 4)).toBe(true);
    expect(isMultiple(x, 4)).toBe(false);
  });
});

it('terms fold constants and keep their meaning', () => {
  expect(sum(3, 'a', -3)).toBe('a');
  expect(times(sum('a', 1), 4)).toBe('(a + 1) * 4');
  expect(times(times('a', 4), 8)).toBe('a * 32');
  expect(sum(times('a', 2), -1)).toBe('a * 2 - 1');
  expect(over('a * 2', 'b * 2')).toBe('a * 2 / (b * 2)');
});

describe('lanes', () => {
  it('every element of a tile has exactly one place on the lanes, whatever the sizes', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 40 }),
        fc.integer({ min: 2, max: 40 }),
        fc.constantFrom([1, 8], [4, 8], [8, 4], [16, 1]),
        (rows, cols, [down, across]) => {
          const share = shareOf({ rows, cols }, { down: down!, across: across! });
          const seen = new Set<number>();
          for (let lane = 0; lane < down! * across!; lane++)
            for (let i = 0; i < share.rows; i++)
              for (let j = 0; j < share.cols; j++) {
                const [lr, lc] = [Math.floor(lane / across!), lane % across!];
                const r = i * down! + lr;
                const c = Math.floor(j / share.chunk) * across! * share.chunk + lc * share.chunk + (j % share.chunk);
                if (r >= rows || c >= cols) continue;
                expect(seen.has(r * cols + c)).toBe(false);
                seen.add(r * cols + c);
              }
          expect(seen.size).toBe(rows * cols);
        },
      ),
    );
  });
  it('rows that are reduced stay on few lanes, wide single rows take all', () => {
    const t = ir.tile('t', 'register', 'fp32', 64, 64);
    const to = ir.tile('to', 'register', 'fp32', 64, 1);
    const tall = gridFor([ir.reduce('max', 1, t, to)], [t, to], 64);
    expect(tall.down).toBeGreaterThanOrEqual(16);
    const wide = ir.tile('wide', 'register', 'fp32', 1, 4096);
    expect(gridFor([ir.map(ir.mapFn('m', 1, { in: 0 }), [wide], wide)], [wide], 64)).toEqual({ down: 1, across: 64 });
  });
});

describe('packing', () => {
  it('halves agree with rounding to fp16, both ways', () => {
    fc.assert(
      fc.property(fc.double({ min: -70000, max: 70000, noNaN: true }), (x) => {
        expect(fromHalf(toHalf(x)) + 0).toBe(roundTo('fp16', x) + 0);
      }),
      { numRuns: 2000 },
    );
    for (let bits = 0; bits < 0x7c00; bits++) expect(toHalf(fromHalf(bits))).toBe(bits);
  });
  it('small integers keep their values, several to a word', () => {
    for (const [dtype, type, lo, hi] of [
      ['int8', 'i8', -128, 127],
      ['uint8', 'u8', 0, 255],
      ['int4', 'i4', -8, 7],
    ] as const) {
      const n = hi - lo + 1;
      const t = ir.tensor('t', dtype, [n], 'input', 'weight');
      const values = Float64Array.from({ length: n }, (_, i) => lo + i);
      const bytes = packTensor(t, values, { type, elements: n });
      expect(bytes.length).toBe(type === 'i4' ? n / 2 : n);
      expect([...unpackTensor(t, bytes, type)]).toEqual([...values]);
    }
    // the first of eight lies in the lowest bits
    const t = ir.tensor('t', 'int4', [8], 'input', 'weight');
    const bytes = packTensor(t, Float64Array.of(1, -1, 0, 0, 0, 0, 0, 7), { type: 'i4', elements: 8 });
    expect(new DataView(bytes.buffer).getUint32(0, true)).toBe(0x700000f1);
  });
  it('strided tensors go to where their strides say and come back', () => {
    const t = ir.tensor('t', 'fp32', [3, 4], 'input', 'activation', [1, 3]);
    const values = Float64Array.from({ length: 12 }, (_, i) => i);
    const bytes = packTensor(t, values, { type: 'f32', elements: 12 });
    expect([...new Float32Array(bytes.buffer).slice(0, 4)]).toEqual([0, 4, 8, 1]);
    expect([...unpackTensor(t, bytes, 'f32')]).toEqual([...values]);
  });
});

describe('what does not fit is refused with the need and what there is', () => {
  it('workgroup memory', () =>
    expect(() => emitWgsl(gemm(64, 64, 64), { workgroup_B: 2048 })).toThrow(
      /needs 6144 B of workgroup memory, the device has 2048 B/,
    ));
  it('buffers', () => expect(() => emitWgsl(gemm(64, 64, 64), { storage_buffers: 2 })).toThrow(InfeasibleError));
  it('a second buffer is given up first, and said', () => {
    const s = emitWgsl(gemm(64, 64, 64), { f16: true, workgroup_B: 4096 });
    expect(s.notes.join()).toMatch(/Bs has one buffer for its 2 stages/);
    expect(s.workgroup_B).toBeLessThanOrEqual(4096);
  });
});

describe('what no WebGPU device does is refused with its reason', () => {
  it('sparse operands', () => {
    const { program, mapping } = gemm(64, 64, 64);
    const sparse = (s: ir.Stmt): ir.Stmt =>
      s.kind === 'loop' ? { ...s, body: s.body.map(sparse) } : s.kind === 'mma' ? { ...s, sparse: '2:4' } : s;
    expect(() => emitWgsl({ mapping, program: { ...program, body: program.body.map(sparse) } })).toThrow(
      /cannot be a WebGPU shader: acc \+= As · Bs takes 2:4 sparse operands; WGSL has no product of them/,
    );
  });
  it('tensors in the memory of another device', () => {
    const { program, mapping } = gemm(64, 64, 64);
    const far = (t: ir.Tensor): ir.Tensor => Object.assign(t, t.name === 'B' ? { home: 'peer' } : {});
    expect(() => emitWgsl({ mapping, program: { ...program, tensors: program.tensors.map(far) } })).toThrow(
      /tensor B lies in the memory 'peer'/,
    );
  });
});
