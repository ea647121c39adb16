/** Bounds hold: below every schedule of the library, below other tools' optima, and never rising with memory. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { composeTrace } from '../../src/bounds/compose.js';
import { beladyMisses, distinctRows } from '../../src/bounds/families/gather.js';
import { productLoads } from '../../src/bounds/families/product.js';
import { leastIo } from '../../src/bounds/least-io.js';
import { OTHERS } from '../../src/bounds/others.js';
import { CompositionSchema } from '../../src/bounds/result.js';
import { schedulesOf, tileSizes } from '../../src/bounds/schedules.js';
import { strongest } from '../../src/bounds/term.js';
import { attentionBackwardOp } from '../../src/kernel/library/attention_backward_op.js';
import { attentionOp } from '../../src/kernel/library/attention_op.js';
import { conv2d } from '../../src/kernel/library/conv2d.js';
import { fft } from '../../src/kernel/library/fft.js';
import { gemm } from '../../src/kernel/library/gemm.js';
import { layernorm } from '../../src/kernel/library/layernorm.js';
import { softmax } from '../../src/kernel/library/softmax.js';
import { compulsoryBytesOf, type Op, type Trace } from '../../src/workload/op.js';

const KiB = 1024;
const least = (op: Op, M: number) => leastIo(op, M).bytes;

describe('no schedule of the library moves less', () => {
  const ops: [string, Op][] = [
    ['square product', gemm.toOp({ m: 200, n: 200, k: 200 }, 'fp32')],
    ['half precision', gemm.toOp({ m: 256, n: 192, k: 300 }, 'bf16')],
    ['short sums', gemm.toOp({ m: 400, n: 400, k: 4 }, 'fp32')],
    ['sums of one', gemm.toOp({ m: 300, n: 300, k: 1 }, 'fp32')],
    ['one row', gemm.toOp({ m: 1, n: 500, k: 500 }, 'fp16')],
    ['batch', gemm.toOp({ m: 40, n: 50, k: 60, batch: 5 }, 'fp32')],
    ['integers', gemm.toOp({ m: 128, n: 128, k: 128 }, 'int8')],
    ['attention', attentionOp({ heads: 2, q_len: 256, head_dim: 32 }, 'fp32')],
    ['attention, wide heads', attentionOp({ heads: 1, q_len: 128, head_dim: 128 }, 'bf16')],
    ['attention, narrow heads', attentionOp({ heads: 1, q_len: 300, head_dim: 4 }, 'fp32')],
    ['causal attention', attentionOp({ heads: 1, q_len: 120, head_dim: 16, causal: 1 }, 'fp16')],
    ['grouped attention', attentionOp({ heads: 8, kv_heads: 2, q_len: 64, head_dim: 16 }, 'fp32')],
    ['decode', attentionOp({ batch: 4, heads: 8, q_len: 1, kv_len: 300, head_dim: 16, causal: 1 }, 'fp16')],
    ['backward attention', attentionBackwardOp({ heads: 2, q_len: 256, head_dim: 32 }, 'fp32')],
    ['backward, wide heads', attentionBackwardOp({ heads: 1, q_len: 128, head_dim: 128 }, 'bf16')],
    [
      'backward, causal and grouped',
      attentionBackwardOp({ heads: 4, kv_heads: 2, q_len: 90, head_dim: 16, causal: 1 }, 'fp16'),
    ],
    ['convolution', conv2d.toOp({ in_channels: 16, out_channels: 24, height: 20, width: 20, padding: 1 }, 'fp32')],
    ['strided', conv2d.toOp({ in_channels: 8, out_channels: 24, height: 21, width: 21, stride: 2 }, 'fp32')],
    ['softmax', softmax.toOp({ rows: 20, cols: 2000 }, 'fp32')],
    ['norm', layernorm.toOp({ rows: 20, cols: 2000 }, 'fp16')],
  ];
  // searches over tiles, many of them counted: slow where the machine is shared
  test.each(ops)('%s', { timeout: 60_000 }, (_, op) => {
    let compared = 0;
    for (let M = 16; M <= 256 * KiB; M *= 4)
      for (const s of schedulesOf(op, M)) {
        expect(s.requested_B, `${s.kernel} ${JSON.stringify(s.tile)} in ${M}`).toBeGreaterThanOrEqual(least(op, M));
        expect(s.live_B).toBeLessThanOrEqual(M);
        compared++;
      }
    expect(compared).toBeGreaterThan(5);
  });
  test('rows of A kept near while B streams past, which beats 2mnk/√M + mn for k < 2√M', () => {
    for (const [k, M] of [
      [16, 256],
      [16, 1024],
      [8, 256],
      [31, 256],
    ] as const) {
      const [m, n] = [4096, 4096];
      const moved = (m * n * k * k) / (M - k - 1) + m * n + m * k;
      const op = gemm.toOp({ m, n, k }, 'fp32');
      expect(moved).toBeGreaterThanOrEqual(least(op, 4 * M) / 4);
      if (k < Math.sqrt(M)) expect(moved).toBeLessThan((2 * m * n * k) / Math.sqrt(M) + m * n);
    }
  });
});

test('more fast memory never raises a bound, and it never falls below the compulsory traffic', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 3, max: 20 }),
      (a, b, c, e) => {
        for (const op of [
          gemm.toOp({ m: a, n: b, k: c }, 'fp32'),
          attentionOp({ heads: 1, q_len: a, kv_len: b, head_dim: c }, 'bf16'),
        ]) {
          const { read_B, write_B } = compulsoryBytesOf(op);
          const small = least(op, 2 ** e);
          expect(small).toBeGreaterThanOrEqual(least(op, 2 ** (e + 1)) * (1 - 1e-12));
          expect(small).toBeGreaterThanOrEqual(read_B + write_B);
        }
      },
    ),
    { numRuns: 200 },
  );
});

test('a product at free tile sizes comes within a tenth of its bound from 1 to 192 KiB', () => {
  for (const dtype of ['fp32', 'bf16'] as const)
    for (const kib of [1, 4, 16, 64, 128, 192]) {
      const op = gemm.toOp({ m: 4096, n: 4096, k: 4096 }, dtype);
      const best = schedulesOf(op, kib * KiB)[0]!;
      expect(best.requested_B / least(op, kib * KiB), `${dtype} in ${kib} KiB`).toBeLessThanOrEqual(1.1);
    }
});

test('one pass of attention keeps within a constant of the bound above d², square tiles below it', () => {
  const op = attentionOp({ heads: 1, q_len: 8192, head_dim: 64 }, 'fp32');
  const square = 64 * 64 * 4;
  const of = (kernel: string, x: number) =>
    schedulesOf(op, x * square, 'only if not free').find((s) => s.kernel === kernel)!.requested_B /
    least(op, x * square);
  for (const x of [4, 8, 16]) expect(of('attention_fused', x)).toBeLessThan(2.6);
  for (const x of [1 / 4, 1 / 8]) expect(of('attention_small_memory', x)).toBeLessThan(4.5);
  // and each is the worse one in the other's regime
  expect(of('attention_small_memory', 8)).toBeGreaterThan(of('attention_fused', 8));
  expect(of('attention_fused', 1 / 4)).toBeGreaterThan(of('attention_small_memory', 1 / 4));
}, 60_000);

const GOLDEN = join('..', 'shared', 'golden', 'orojenesis');
describe.skipIf(!existsSync(GOLDEN))('beside exhaustive mappings of products (orojenesis)', () => {
  const files = existsSync(GOLDEN) ? readdirSync(GOLDEN).filter((f) => f.endsWith('.csv')) : [];
  test.each(files)('%s', (file) => {
    const [, m, k, n] = /gemm_(\d+)x(\d+)x(\d+)_/.exec(file)!.map(Number) as [number, number, number, number];
    const product = { macs: m * n * k, results: m * n, a_B: 1, b_B: 1, sum_B: 1 };
    const rows = readFileSync(join(GOLDEN, file), 'utf8').trim().split('\n').slice(1);
    for (const row of rows) {
      const [buffer, accesses] = row.split(',').map(Number) as [number, number];
      const bound = Math.max(productLoads(product, buffer) + m * n, m * k + k * n + m * n);
      expect(accesses, `${buffer} words`).toBeGreaterThanOrEqual(bound);
      // perfect factors cost something; the bound must still be of use
      if (buffer > 8 && buffer < (m * n) / 16) expect(accesses / bound).toBeLessThan(1.8);
    }
  });
});

describe('other families', () => {
  test('FFT: the library moves 2n values a trip, in few times the trips that the bound asks for', () => {
    for (const n of [16, 256, 4096, 2 ** 16, 2 ** 20])
      for (const M of [16, 64, 1024, 2 ** 15, 2 ** 22]) {
        const op = fft.toOp({ n, batch: 2 }, 'fp32');
        const [best] = schedulesOf(op, 8 * M);
        const trips = best!.requested_B / (2 * 2 * n * 8);
        // points that fit beside their tiles: a third of the values at least, of few values a sixth
        const points = 2 ** Math.floor(Math.log2(M / (M < 64 ? 6 : 3)));
        expect(trips, `${n} points, ${M} values near`).toBe(Math.round(trips));
        expect(trips).toBeLessThanOrEqual(Math.ceil(Math.log2(n) / Math.log2(points)));
        const ratio = best!.requested_B / least(op, 8 * M);
        expect(ratio).toBeGreaterThanOrEqual(1);
        expect(ratio, `${n} points, ${M} values near`).toBeLessThan(M < 64 ? 6 : 3.5);
      }
  });
  test('triangular and sparse products move less than whole ones, more than what they must', () => {
    const M = 4 * KiB;
    const whole = least(gemm.toOp({ m: 512, n: 512, k: 512 }, 'fp32'), M);
    for (const [name, shape] of [
      ['triangular_gemm', { m: 512, n: 512 }],
      ['sparse_gemm', { m: 512, n: 512, k: 512, keep: 2, of: 4 }],
    ] as const) {
      const terms = OTHERS[name].terms(shape, 'fp32', M);
      const bytes = strongest(terms).bytes;
      expect(bytes).toBeLessThan(0.62 * whole);
      expect(bytes).toBeGreaterThan(0.45 * whole);
    }
  });
  test('backward attention needs at least what forward does', () => {
    const shape = { heads: 1, q_len: 4096, head_dim: 64 };
    for (const x of [1 / 8, 1, 16]) {
      const M = x * 64 * 64 * 4;
      const forward = least(attentionOp(shape, 'fp32'), M) - 4 * 4096 * 64;
      expect(least(attentionBackwardOp(shape, 'fp32'), M)).toBeGreaterThan(0.9 * forward);
    }
  });
  test('gathers: Belady’s misses lie between distinct rows and uses, and fall with room', () => {
    const indices = Array.from({ length: 200 }, (_, i) => (i * i * 7 + 3 * i) % 23);
    let before = indices.length;
    for (const rows of [0, 1, 2, 4, 8, 16, 23]) {
      const misses = beladyMisses(indices, rows);
      expect(misses).toBeLessThanOrEqual(before);
      expect(misses).toBeGreaterThanOrEqual(distinctRows(indices));
      before = misses;
    }
    expect(before).toBe(distinctRows(indices));
    // a row that is not used again passes by those that are
    expect(beladyMisses([0, 1, 2, 0, 1], 2)).toBe(3);
    expect(beladyMisses([0, 1, 2, 0, 1, 2], 2)).toBe(4);
  });
  test('softmax of rows that do not fit reads the rest again', () => {
    const op = softmax.toOp({ rows: 10, cols: 1000 }, 'fp32');
    expect(least(op, 4000)).toBe(2 * 40000);
    expect(least(op, 1000)).toBe(2 * 40000 + 10 * 3000);
  });
});

test('fusing a chain saves its intermediates and no more', () => {
  const head = { repeat: 2, deps: [] as string[] };
  const product = (id: string, deps: string[]): Op => ({
    ...gemm.toOp({ m: 64, n: 64, k: 64 }, 'fp32'),
    ...head,
    id,
    name: id,
    deps,
  });
  const trace: Trace = {
    name: 'chain',
    source: {},
    ops: [product('a', []), product('b', ['a'])],
    devices: 1,
    footprint_B: { weights: 0, kv_cache: 0, activations: 0 },
    parameters: 0,
  };
  const tensor = 64 * 64 * 4;
  const c = composeTrace(trace, 1 << 20);
  expect(new Ajv({ strict: false }).validate(CompositionSchema, c)).toBe(true);
  expect(c.unfused_B).toBe(2 * 6 * tensor);
  expect(c.fused_B).toBe(2 * 4 * tensor);
  expect(c.edges).toEqual([{ from: 'a', to: 'b', kinds: ['matmul', 'matmul'], bytes: tensor, saves_B: 4 * tensor }]);
  // with little memory the products themselves move more than enters and leaves
  expect(composeTrace(trace, KiB).fused_B).toBeGreaterThan(c.fused_B);
});

test('tile sizes are those that change how many tiles there are', () => {
  expect(tileSizes(10)).toEqual([1, 2, 3, 4, 5, 10]);
  for (const n of [1, 7, 64, 100]) {
    const counts = tileSizes(n).map((s) => Math.ceil(n / s));
    expect(new Set(counts).size).toBe(counts.length);
    expect(counts[0]).toBe(n);
  }
});
