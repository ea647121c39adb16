import { describe, expect, test } from 'vitest';
import { isMisfit, residency } from '../../../src/kernel/fit.js';
import type { Kernel, Params } from '../../../src/kernel/kernel.js';
import {
  all_gather,
  all_reduce_one_shot,
  all_reduce_two_shot,
  all_to_all,
  reduce_scatter,
} from '../../../src/kernel/library/collective.js';
import { elementwise } from '../../../src/kernel/library/elementwise.js';
import { gather } from '../../../src/kernel/library/gather.js';
import { kv_append } from '../../../src/kernel/library/kv_append.js';
import { layernorm } from '../../../src/kernel/library/layernorm.js';
import { optimiser } from '../../../src/kernel/library/optimiser.js';
import { reduce } from '../../../src/kernel/library/reduce.js';
import { rmsnorm } from '../../../src/kernel/library/rmsnorm.js';
import { rotary } from '../../../src/kernel/library/rotary.js';
import { rotary_cache } from '../../../src/kernel/library/rotary_cache.js';
import { scatter_add } from '../../../src/kernel/library/scatter_add.js';
import { scatter_combine } from '../../../src/kernel/library/scatter_combine.js';
import { softmax } from '../../../src/kernel/library/softmax.js';
import { topk } from '../../../src/kernel/library/topk.js';
import { transpose } from '../../../src/kernel/library/transpose.js';
import { compulsoryBytesOf, ELEMENTWISE, type ElementwiseFn, flopsOf, type Op } from '../../../src/workload/op.js';
import { difference, type Fill } from './difference.js';
import { LANES, WARP } from './plain-machines.js';

// biome-ignore lint/suspicious/noExplicitAny: a table of kernels of several ops
type Any = Kernel<any>;
interface Case {
  kernel: Any;
  shapes: Record<string, number>[];
  params: Params[];
  fill?: Fill;
  tolerance?: number;
}

/** Index tensors: any row of the table, results in turn, slots shuffled. */
const index =
  (rows: number, step: number): Fill =>
  (t, _, i) =>
    t.kind === 'index' ? (i * step + 3) % rows : undefined;
/** Every function's operands positive, as pow needs them. */
const positive: Fill = (_, next) => next() + 1.5;
const FN = Object.keys(ELEMENTWISE) as ElementwiseFn[];
const rowParams: Params[] = [
  { rows: 1, groups: 1, block: 0 },
  { rows: 4, groups: 2, block: 0 },
  { rows: 2, groups: 4, block: 2048 },
  { rows: 1, groups: 4, block: 16 },
  { rows: 4, groups: 4, block: 8 },
];
const rowShapes = [
  { rows: 8, cols: 32 },
  { rows: 7, cols: 37 },
  { rows: 1, cols: 1 },
];
const indexParams: Params[] = [
  { rows: 1, block: 32, groups: 1 },
  { rows: 4, block: 1024, groups: 4 },
  { rows: 2, block: 64, groups: 2 },
];
const stream: Params[] = [
  { groups: 1, per_lane: 1 },
  { groups: 4, per_lane: 8 },
];

const CASES: Case[] = [
  { kernel: softmax, shapes: rowShapes, params: rowParams },
  { kernel: layernorm, shapes: [...rowShapes, { rows: 5, cols: 21, residual: 1 }], params: rowParams },
  { kernel: rmsnorm, shapes: [...rowShapes, { rows: 5, cols: 21, residual: 1 }], params: rowParams },
  {
    kernel: elementwise,
    shapes: FN.map((_, op) => ({ op, n: 333 })),
    params: stream,
    fill: positive,
    tolerance: 1e-6,
  },
  {
    kernel: rotary,
    shapes: [
      { rows: 3, heads: 4, head_dim: 8 },
      { rows: 5, heads: 5, head_dim: 18 },
    ],
    params: [
      { heads: 4, groups: 1 },
      { heads: 2, groups: 2 },
      { heads: 8, groups: 4 },
    ],
  },
  {
    kernel: rotary_cache,
    shapes: [
      { rows: 8, heads: 4, head_dim: 8, kv_heads: 2, positions: 4 },
      { rows: 6, heads: 3, head_dim: 18, kv_heads: 3, positions: 1 },
    ],
    params: [
      { rows: 4, groups: 1 },
      { rows: 2, groups: 2 },
    ],
  },
  { kernel: kv_append, shapes: [{ rows: 7, cols: 70 }], params: indexParams, fill: index(7, 2) },
  { kernel: gather, shapes: [{ rows: 9, cols: 70, table_rows: 31 }], params: indexParams, fill: index(31, 5) },
  {
    kernel: scatter_combine,
    shapes: [
      { rows: 12, cols: 70, fan_in: 2 },
      { rows: 11, cols: 40, fan_in: 4 },
    ],
    params: indexParams,
    fill: index(12, 5),
  },
  { kernel: scatter_add, shapes: [{ rows: 12, cols: 70, fan_in: 3 }], params: indexParams, fill: index(4, 1) },
  {
    kernel: topk,
    shapes: [
      { rows: 9, cols: 16, k: 4 },
      { rows: 4, cols: 5, k: 5 },
    ],
    params: [
      { rows: 1, groups: 1 },
      { rows: 4, groups: 2 },
    ],
  },
  {
    kernel: transpose,
    shapes: [
      { batch: 2, rows: 32, cols: 48 },
      { rows: 37, cols: 5 },
    ],
    params: [
      { tile: 16, groups: 2 },
      { tile: 32, groups: 4 },
    ],
  },
  {
    kernel: reduce,
    shapes: [
      { rows: 5, cols: 300 },
      { rows: 5, cols: 300, op: 1 },
      { rows: 1, cols: 1000 },
      { rows: 20, cols: 3, op: 1 },
    ],
    params: [
      { rows: 1, block: 32, stages: 1, splits: 1, groups: 1 },
      { rows: 4, block: 64, stages: 2, splits: 1, groups: 2 },
      { rows: 2, block: 32, stages: 4, splits: 4, groups: 4 },
      { rows: 2, block: 64, stages: 4, splits: 16, groups: 4 },
    ],
  },
  {
    kernel: optimiser,
    shapes: [{ n: 333 }, { n: 333, rule: 1 }],
    params: stream,
    fill: positive,
  },
  ...[all_reduce_one_shot, all_reduce_two_shot, all_gather, reduce_scatter, all_to_all].map((kernel) => ({
    kernel,
    shapes: [
      { elements: 256, devices: 4 },
      { elements: 330, devices: 4 },
      { elements: 300, devices: 2 },
      { elements: 1000, devices: 8 },
    ],
    params: stream,
  })),
];

describe('every kernel gives what its reference gives', () => {
  for (const { kernel, shapes, params, fill, tolerance = 1e-12 } of CASES)
    test(kernel.name, () => {
      for (const machine of [WARP, LANES])
        for (const shape of shapes) {
          const op = kernel.toOp(shape, 'fp64');
          expect(kernel.rejects(op, machine)).toBeUndefined();
          for (const p of params)
            expect(
              difference(kernel, op, p, machine, { fill }).worst,
              `${JSON.stringify(shape)} ${JSON.stringify(p)}`,
            ).toBeLessThan(tolerance);
        }
    });
  test('softmax of large numbers, ties in routing, negative maxima', () => {
    const big: Fill = (_, next) => 1e4 * next();
    for (const p of rowParams)
      expect(
        difference(softmax, softmax.toOp({ rows: 5, cols: 33 }, 'fp32'), p, WARP, { fill: big }).worst,
      ).toBeLessThan(1e-12);
    const tied: Fill = (_, _next, i) => i % 3;
    const route = topk.toOp({ rows: 4, cols: 8, k: 6 }, 'fp32');
    expect(difference(topk, route, { rows: 2, groups: 1 }, WARP, { fill: tied, rounding: 'dtype' }).worst).toBeLessThan(
      1e-6,
    );
    const low: Fill = (_, next) => next() - 100;
    const most = reduce.toOp({ rows: 3, cols: 50, op: 1 }, 'fp16');
    const p = { rows: 2, block: 32, stages: 2, splits: 4, groups: 1 };
    expect(difference(reduce, most, p, WARP, { fill: low }).worst).toBe(0);
  });
  test('activations on the whole range, rounded to fp32', () => {
    const wide: Fill = (_, next) => 12 * next();
    const slopes = ['gelu_backward', 'gelu_tanh_backward', 'silu_backward', 'relu_backward'] as const;
    for (const fn of ['gelu', 'gelu_tanh', 'silu', 'sigmoid', 'tanh', 'relu', 'swiglu', 'geglu', ...slopes] as const) {
      const op = elementwise.toOp({ op: FN.indexOf(fn), n: 5000 }, 'fp32');
      const { worst } = difference(elementwise, op, { groups: 4, per_lane: 8 }, WARP, {
        fill: wide,
        rounding: 'dtype',
      });
      // the fit of erf is good to 1.5e-7, times x, times the other operand
      expect(worst, fn).toBeLessThan(2e-5);
    }
  });
  test('gradients of activations are their slopes: central differences of the activations themselves', () => {
    const n = 2001;
    const a = Float64Array.from({ length: n }, (_, i) => (i - 1000.5) / 125);
    const b = Float64Array.from({ length: n }, (_, i) => 1 + (i % 7));
    const run = (fn: ElementwiseFn, inputs: Record<string, Float64Array>) =>
      elementwise.reference(elementwise.toOp({ op: FN.indexOf(fn), n }, 'fp64'), inputs)['out']!;
    const step = 1e-4;
    for (const fn of ['relu', 'gelu', 'gelu_tanh', 'silu'] as const) {
      const above = run(fn, { a: a.map((x) => x + step) });
      const below = run(fn, { a: a.map((x) => x - step) });
      const slope = run(`${fn}_backward`, { a, b });
      for (let i = 0; i < n; i++)
        expect(slope[i], `${fn} at ${a[i]}`).toBeCloseTo((b[i]! * (above[i]! - below[i]!)) / (2 * step), 5);
    }
  });
  test('an optimiser in mixed precision writes the narrow copy of the master too', () => {
    const op = optimiser.toOp({ n: 333 }, 'fp16');
    const { worst, launches } = difference(optimiser, op, { groups: 1, per_lane: 8 }, WARP, { fill: positive });
    expect(worst).toBeLessThan(1e-6);
    expect(launches[0]!.requested_B.level.global).toEqual({ read_B: 333 * 14, write_B: 333 * 14 });
  });
  test('quantise rounds and clamps to the format it is given', () => {
    const wide: Fill = (_, next) => 40 * next();
    for (const out of ['int8', 'int4', 'fp8_e4m3', 'fp16'] as const) {
      const op = { ...elementwise.toOp({ op: FN.indexOf('quantise'), n: 200 }, 'fp32'), out };
      expect(difference(elementwise, op, { groups: 1, per_lane: 4 }, WARP, { fill: wide }).worst, out).toBe(0);
    }
  });
});

describe('traffic', () => {
  const P1 = { rows: 2, groups: 4, block: 0 };
  const cases: [Any, Record<string, number>, Params, Fill?][] = [
    [softmax, { rows: 16, cols: 64 }, P1],
    [elementwise, { op: FN.indexOf('add'), n: 1024 }, { groups: 4, per_lane: 8 }],
    [elementwise, { op: FN.indexOf('gelu'), n: 1000 }, { groups: 4, per_lane: 8 }],
    [transpose, { batch: 2, rows: 40, cols: 72 }, { tile: 32, groups: 4 }],
    [rotary, { rows: 6, heads: 8, head_dim: 16 }, { heads: 8, groups: 4 }],
    [topk, { rows: 16, cols: 32, k: 4 }, { rows: 2, groups: 1 }],
    [reduce, { rows: 16, cols: 200 }, { rows: 2, block: 64, stages: 2, splits: 1, groups: 1 }],
    [optimiser, { n: 1000 }, { groups: 4, per_lane: 4 }, positive],
    [scatter_combine, { rows: 32, cols: 64, fan_in: 4 }, { rows: 2, block: 64, groups: 2 }, index(32, 1)],
  ];
  for (const [kernel, shape, params, fill] of cases)
    test(`${kernel.name} ${JSON.stringify(shape)} moves its compulsory bytes and no more`, () => {
      const op: Op = kernel.toOp(shape, 'fp32');
      const { launches } = difference(kernel, op, params, WARP, { fill, rounding: 'dtype' });
      expect(launches).toHaveLength(1);
      expect(launches[0]!.requested_B.level.global).toEqual(compulsoryBytesOf(op));
    });
  test('gains are read once a workgroup, everything else once', () => {
    for (const [kernel, gains] of [
      [layernorm, 2],
      [rmsnorm, 1],
    ] as [Any, number][]) {
      const op: Op = kernel.toOp({ rows: 16, cols: 64, residual: 1 }, 'fp32');
      const { launches } = difference(kernel, op, P1, WARP, {});
      const { read_B, write_B } = compulsoryBytesOf(op);
      expect(launches[0]!.requested_B.level.global).toEqual({ read_B: read_B + 7 * gains * 64 * 4, write_B });
    }
  });
  test('a row in blocks is read twice', () => {
    const op: Op = softmax.toOp({ rows: 4, cols: 64 }, 'fp32');
    const { launches } = difference(softmax, op, { rows: 1, groups: 1, block: 16 }, WARP);
    expect(launches[0]!.requested_B.tensor['x']!.read_B).toBe(2 * 4 * 64 * 4);
  });
  test('all-reduce reads (n − 1)·elements in one shot, 2(n − 1)/n·elements in two', () => {
    const op = all_reduce_one_shot.toOp({ elements: 1024, devices: 8 }, 'fp32');
    const peerBytes = (kernel: Any) =>
      difference(kernel, op, { groups: 1, per_lane: 4 }, WARP)
        .launches.flatMap((l) => Object.entries(l.requested_B.tensor))
        .filter(([name]) => name.startsWith('peer'))
        .reduce((sum, [, b]) => sum + b.read_B, 0);
    expect(peerBytes(all_reduce_one_shot)).toBe(7 * 1024 * 4);
    expect(peerBytes(all_reduce_two_shot)).toBe((2 * 7 * 1024 * 4) / 8);
  });
});

describe('work', () => {
  test('softmax: one exponential an element when a row is held, two in blocks', () => {
    const op: Op = softmax.toOp({ rows: 4, cols: 64 }, 'fp32');
    expect(difference(softmax, op, { rows: 2, groups: 1, block: 0 }, WARP).launches[0]!.work.exp2).toBe(256);
    const blocks = difference(softmax, op, { rows: 2, groups: 1, block: 16 }, WARP).launches[0]!.work.exp2;
    expect(blocks).toBe(2 * 256 + 4 * 4);
  });
  test('rotary and scatter do exactly the useful operations', () => {
    const turn: Op = rotary.toOp({ rows: 3, heads: 4, head_dim: 8 }, 'fp32');
    expect(difference(rotary, turn, { heads: 4, groups: 1 }, WARP).launches[0]!.flops_executed).toBe(flopsOf(turn));
  });
});

describe('candidates', () => {
  const big: [Any, Record<string, number>][] = [
    [softmax, { rows: 4096, cols: 4096 }],
    [softmax, { rows: 1, cols: 100000 }],
    [softmax, { rows: 100000, cols: 16 }],
    [layernorm, { rows: 8192, cols: 1024 }],
    [rmsnorm, { rows: 1, cols: 8192, residual: 1 }],
    [rmsnorm, { rows: 4096, cols: 16384 }],
    [elementwise, { op: 0, n: 1 }],
    [elementwise, { op: FN.indexOf('swiglu'), n: 1 << 26 }],
    [rotary, { rows: 1, heads: 40, head_dim: 128 }],
    [rotary, { rows: 8192, heads: 1, head_dim: 64 }],
    [rotary_cache, { rows: 8192, heads: 32, head_dim: 128, kv_heads: 8, positions: 2048 }],
    [kv_append, { rows: 1, cols: 2048 }],
    [gather, { rows: 8192, cols: 4096, table_rows: 32000 }],
    [gather, { rows: 1, cols: 7, table_rows: 2 }],
    [scatter_combine, { rows: 65536, cols: 2048, fan_in: 8 }],
    [scatter_add, { rows: 65536, cols: 2048, fan_in: 8 }],
    [topk, { rows: 4096, cols: 128, k: 8 }],
    [topk, { rows: 1, cols: 8, k: 2 }],
    [transpose, { rows: 4096, cols: 4096 }],
    [transpose, { rows: 1, cols: 1 }],
    [reduce, { rows: 1, cols: 1 << 24 }],
    [reduce, { rows: 65536, cols: 64 }],
    [reduce, { rows: 3, cols: 5, op: 1 }],
    [all_reduce_two_shot, { elements: 8192, devices: 8 }],
  ];
  for (const [kernel, shape] of big)
    test(`${kernel.name} ${JSON.stringify(shape)}: few, legal, repeatable, some fit`, () => {
      const op = kernel.toOp(shape, 'fp16');
      const all = [...kernel.candidates(op, WARP)];
      expect(all.length).toBeGreaterThan(0);
      expect(all.length).toBeLessThanOrEqual(60);
      expect([...kernel.candidates(op, WARP)]).toEqual(all);
      for (const p of all)
        for (const [name, value] of Object.entries(p)) expect(kernel.params[name]?.values).toContain(value);
      const fits = all.filter((p) => kernel.build(op, p, WARP).every((l) => !isMisfit(residency(l, WARP))));
      expect(fits.length).toBeGreaterThan(0);
    });
});

describe('what cannot be computed is refused with a reason', () => {
  test('odd heads, too many experts, other norms, too many devices', () => {
    expect(rotary.rejects(rotary.toOp({ rows: 1, heads: 1, head_dim: 7 }, 'fp16'), WARP)).toContain('odd');
    expect(topk.rejects(topk.toOp({ rows: 1, cols: 4, k: 5 }, 'fp16'), WARP)).toContain('cannot choose 5 of 4');
    expect(layernorm.rejects(rmsnorm.toOp({ rows: 1, cols: 4 }, 'fp16'), WARP)).toContain(
      'does not compute a rms norm',
    );
    const wide = all_gather.toOp({ elements: 64, devices: 16 }, 'fp16');
    expect(all_gather.rejects(wide, WARP)).toContain('links at most 8 devices');
    expect(all_gather.rejects({ ...wide, devices: 2 }, { ...WARP, links: [] })).toContain('no link to a peer');
    expect(() => elementwise.toOp({ op: 99, n: 4 }, 'fp16')).toThrow("'op' is 99");
  });
});
