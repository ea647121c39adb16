/** Densities and formats against every way in which the elements of a small tensor can be zero. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { analyseNest } from '../../../src/engine/nest/analyse.js';
import { Occupancy } from '../../../src/engine/nest/sparse/density.js';
import { type RankShape, unitsOf } from '../../../src/engine/nest/sparse/formats.js';
import type { Cascade } from '../../../src/kernel/einsum.js';
import type { EinsumNest } from '../../../src/kernel/nest.js';
import { RANK_FORMATS, type Sparsity } from '../../../src/kernel/sparsity.js';
import { plainGraph } from './graphs.js';

/** All subsets of n elements with r of them not zero. */
function* subsets(n: number, r: number): Generator<boolean[]> {
  for (let bits = 0; bits < 2 ** n; bits++) {
    const set = Array.from({ length: n }, (_, i) => ((bits >> i) & 1) === 1);
    if (set.filter(Boolean).length === r) yield set;
  }
}

test('hypergeometric: the share of all tensors in which a tile holds so many', () => {
  for (const [N, share, n] of [
    [8, 0.5, 3],
    [9, 1 / 3, 4],
    [10, 0.25, 10],
    [6, 1, 2],
  ] as const) {
    const o = new Occupancy({ model: 'hypergeometric', share }, N);
    const all = [...subsets(N, Math.ceil(share * N))];
    for (let x = 0; x <= n; x++) {
      const those = all.filter((s) => s.slice(0, n).filter(Boolean).length === x).length;
      expect(o.probability(n, x)).toBeCloseTo(those / all.length, 12);
    }
  }
});

test('either model keeps the mean, and its probabilities sum to one', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('fixed_structured' as const, 'hypergeometric' as const),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 4000 }),
      fc.integer({ min: 1, max: 4000 }),
      (model, nonzero, a, b) => {
        const [size, tensor] = [Math.min(a, b), Math.max(a, b)];
        const o = new Occupancy({ model, share: nonzero / 20 }, tensor);
        // of a tensor a whole number of elements is not zero
        const share = model === 'hypergeometric' ? Math.ceil((nonzero / 20) * tensor) / tensor : nonzero / 20;
        const [low, high] = o.range(size);
        let sum = 0;
        let mean = 0;
        for (let x = low; x <= high; x++) {
          sum += o.probability(size, x);
          mean += x * o.probability(size, x);
        }
        expect(sum).toBeCloseTo(1, 8);
        expect(mean / size).toBeCloseTo(share, 6);
      },
    ),
    { numRuns: 200, seed: 1 },
  );
});

describe('expected metadata of two ranks: the mean over all tensors', () => {
  // 3 fibers of 4: 5 of 12 elements are not zero
  const [rows, columns, count] = [3, 4, 5];
  const o = new Occupancy({ model: 'hypergeometric', share: count / (rows * columns) }, rows * columns);
  const all = [...subsets(rows * columns, count)];
  const used = (s: boolean[]) =>
    Array.from({ length: rows }, (_, r) => s.slice(r * columns, (r + 1) * columns)).filter((f) => f.some(Boolean));
  const mean = (of: (s: boolean[]) => number) => all.reduce((n, s) => n + of(s), 0) / all.length;
  const units = (outer: RankShape['format'], inner: RankShape['format']) =>
    unitsOf(
      [
        { format: inner, fiber: columns, below: 1 },
        { format: outer, fiber: rows, below: columns },
      ],
      rows * columns,
      o,
      { size: rows * columns, count },
    );

  test('rows of CSR: one pointer more than rows; columns one coordinate an element, up to whole ones of a fiber', () => {
    const [inner, outer] = units('UOP', 'CP');
    expect(outer).toEqual({ metadata: 0, payload: rows + 1 });
    const fibers = mean((s) => used(s).length);
    expect(inner!.metadata).toBeCloseTo(fibers * Math.ceil((columns * count) / (rows * columns)), 10);
    expect(inner!.payload).toBe(0);
  });

  test('runs: one an element that is not zero', () => {
    const [inner] = units('UOP', 'RLE');
    const fibers = mean((s) => used(s).length);
    expect(inner!.metadata).toBeCloseTo((fibers * columns * count) / (rows * columns), 10);
  });

  test('bitmasks: a bit for each place of a fiber that is there', () => {
    expect(units('UOP', 'B')[0]!.metadata).toBeCloseTo(
      mean((s) => used(s).length * columns),
      10,
    );
    expect(units('UOP', 'UB')[0]!.metadata).toBe(rows * columns);
    expect(units('B', 'B')[1]).toEqual({ metadata: rows, payload: Math.ceil(mean((s) => used(s).length)) });
  });

  test('a tile that is full costs each format what it says', () => {
    const full = new Occupancy(undefined, 12);
    for (const format of RANK_FORMATS) {
      const [u] = unitsOf([{ format, fiber: 12, below: 1 }], 12, full, { size: 12, count: 12 });
      expect(u!.metadata).toBe(format === 'U' || format === 'UOP' ? 0 : 12);
    }
  });
});

describe('actions on a dot product of 64, of which A has a quarter and B a half', () => {
  const graph = plainGraph([
    {
      id: 'buffer',
      stores: ['buffer'],
      fanout: { x: 1, y: 1 },
      network: { multicast: { x: true, y: true }, reduce: { x: true, y: true }, systolic: false, pJ_per_B: 0 },
    },
  ]);
  const cascade: Cascade = {
    name: 'dot',
    ranks: { K: 64 },
    tensors: [
      { name: 'A', dtype: 'int8', role: 'input', home: true, density: { model: 'hypergeometric', share: 0.25 } },
      { name: 'B', dtype: 'int8', role: 'weight', home: true, density: { model: 'hypergeometric', share: 0.5 } },
      { name: 'Z', dtype: 'int8', role: 'output', home: true },
    ],
    einsums: [
      {
        name: 'dot',
        ranks: ['K'],
        ins: [
          { tensor: 'A', at: [{ terms: [{ rank: 'K', stride: 1 }] }] },
          { tensor: 'B', at: [{ terms: [{ rank: 'K', stride: 1 }] }] },
        ],
        out: { tensor: 'Z', at: [] },
        reduce: 'sum',
        work: { fma: 1 },
      },
    ],
  };
  const run = (sparsity: Partial<Sparsity>) => {
    const nest: EinsumNest = {
      einsum: 'dot',
      unit: 'pe',
      levels: [{ level: 'buffer', loops: [{ rank: 'K', size: 64 }], keeps: { A: 'buffer', B: 'buffer', Z: 'buffer' } }],
      sparsity: { formats: [], actions: [], compute: { gate_zero: false, skip_unaligned: false }, ...sparsity },
    };
    return analyseNest(nest, cascade, graph);
  };
  const on = (kind: 'gating' | 'skipping', target: string, ...of: string[]) => ({
    level: 'buffer',
    kind,
    options: [{ target, on: of }],
  });
  const of = (a: ReturnType<typeof run>, tensor: string) =>
    a.stores[0]!.tensors.find((t) => t.tensor === tensor)!.sparse!;

  test('nothing said: all is done', () => {
    const a = run({});
    expect(a.sparse_computes).toEqual({ actual: 64, gated: 0, skipped: 0 });
    expect(a.cycles).toBe(64);
  });
  test('reads of B gated where A is zero keep their cycles, skipped ones do not', () => {
    const gated = run({ actions: [on('gating', 'B', 'A')] });
    expect(of(gated, 'B').reads).toEqual({ actual: 16, gated: 48, skipped: 0 });
    const skipped = run({ actions: [on('skipping', 'B', 'A')] });
    expect(of(skipped, 'B').reads).toEqual({ actual: 16, gated: 0, skipped: 48 });
    expect(skipped.compute_cycles).toBe(16);
    expect(skipped.energy_pJ).toBe(gated.energy_pJ);
  });
  test('each on the other: both must be there, and results are written for those alone', () => {
    const a = run({ actions: [on('skipping', 'A', 'B'), on('skipping', 'B', 'A'), on('skipping', 'Z', 'A', 'B')] });
    expect(a.sparse_computes!.actual).toBe(8);
    expect(of(a, 'A').reads.actual).toBe(32);
    expect(of(a, 'B').reads.actual).toBe(16);
    expect(of(a, 'Z').updates).toEqual({ actual: 8, gated: 0, skipped: 56 });
  });
  test('arithmetic that sees zeros does not work on them', () => {
    const a = run({ compute: { gate_zero: true, skip_unaligned: false } });
    expect(a.sparse_computes).toEqual({ actual: 8, gated: 56, skipped: 0 });
    expect(a.cycles).toBe(64);
  });
  test('compressed operands meet only where both are: the rest is skipped or, with neither there, never seen', () => {
    const formats = ['A', 'B'].map((tensor) => ({ level: 'buffer', tensor, ranks: [{ format: 'CP' as const }] }));
    const a = run({ formats, compute: { gate_zero: false, skip_unaligned: true } });
    expect(a.sparse_computes).toEqual({ actual: 8, gated: 0, skipped: 32 });
    expect(of(a, 'A').stored).toBe(16);
    expect(of(a, 'B').reads.actual).toBe(32);
  });
});
