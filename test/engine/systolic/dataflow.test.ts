/** The demand of a systolic array, against registers that shift cycle by cycle. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  DATAFLOWS,
  type Dataflow,
  denseProduct,
  fetchOrder,
  foldsOf,
  type Product,
  walk,
} from '../../../src/engine/systolic/dataflow.js';

interface Trace {
  /** Result words, by the cycle they leave in. */
  readonly left: { cycle: number; m: number; n: number; value: number }[];
  readonly cycles: number;
}

const A = (m: number, k: number) => 1 + ((m * 7 + k * 3) % 11);
const B = (k: number, n: number) => 1 + ((k * 5 + n * 2) % 13);

/** An array of registers: every element holds what its left and upper neighbours had a cycle before. */
function registers(dataflow: Dataflow, p: Product, rows: number, cols: number): Trace {
  const left: Trace['left'] = [];
  let cycle = 0;
  const grid = () => Array.from({ length: rows }, () => new Array<number>(cols).fill(0));
  const stationary = dataflow !== 'os';
  const down = dataflow === 'os' ? p.m : p.k;
  const right = dataflow === 'is' ? p.m : p.n;
  const time = dataflow === 'os' ? p.k : dataflow === 'ws' ? p.m : p.n;
  const stream = dataflow === 'is' ? (i: number, k: number) => B(k, i) : (i: number, k: number) => A(i, k);
  const stay = dataflow === 'is' ? (k: number, s: number) => A(s, k) : (k: number, s: number) => B(k, s);
  for (let c0 = 0; c0 < right; c0 += cols)
    for (let r0 = 0; r0 < down; r0 += rows) {
      const held = grid();
      let across = grid();
      let below = grid();
      if (stationary) {
        // pushed in from the top, a row a cycle
        for (let t = 0; t < rows; t++, cycle++)
          for (let r = rows - 1; r >= 0; r--)
            for (let c = 0; c < cols; c++) {
              const k = r0 + rows - 1 - t;
              held[r]![c] = r > 0 ? held[r - 1]![c]! : k < down && c0 + c < right ? stay(k, c0 + c) : 0;
            }
        for (let t = 0; t < time + rows + cols - 2; t++, cycle++) {
          const a = grid();
          const sum = grid();
          for (let r = 0; r < rows; r++)
            for (let c = 0; c < cols; c++) {
              const i = t - r;
              const edge = i >= 0 && i < time && r0 + r < down ? stream(i, r0 + r) : 0;
              a[r]![c] = c > 0 ? across[r]![c - 1]! : edge;
              sum[r]![c] = (r > 0 ? below[r - 1]![c]! : 0) + a[r]![c]! * held[r]![c]!;
            }
          across = a;
          below = sum;
          for (let c = 0; c < cols; c++) {
            const i = t - (rows - 1) - c;
            if (i >= 0 && i < time && c0 + c < right) {
              const [m, n] = dataflow === 'ws' ? [i, c0 + c] : [c0 + c, i];
              left.push({ cycle, m, n, value: sum[rows - 1]![c]! });
            }
          }
        }
      } else
        for (let t = 0; t < time + rows + cols - 2; t++, cycle++) {
          const a = grid();
          const b = grid();
          for (let r = 0; r < rows; r++)
            for (let c = 0; c < cols; c++) {
              const ka = t - r;
              const kb = t - c;
              a[r]![c] = c > 0 ? across[r]![c - 1]! : ka >= 0 && ka < time && r0 + r < down ? A(r0 + r, ka) : 0;
              b[r]![c] = r > 0 ? below[r - 1]![c]! : kb >= 0 && kb < time && c0 + c < right ? B(kb, c0 + c) : 0;
              held[r]![c]! += a[r]![c]! * b[r]![c]!;
              if (t === time - 1 + r + c && r0 + r < down && c0 + c < right)
                left.push({ cycle, m: r0 + r, n: c0 + c, value: held[r]![c]! });
            }
          across = a;
          below = b;
        }
    }
  return { left, cycles: cycle };
}

const sizes = fc.record({
  m: fc.integer({ min: 1, max: 9 }),
  n: fc.integer({ min: 1, max: 9 }),
  k: fc.integer({ min: 1, max: 9 }),
  rows: fc.integer({ min: 1, max: 4 }),
  cols: fc.integer({ min: 1, max: 4 }),
});

describe.each(DATAFLOWS)('%s', (dataflow) => {
  test('cycles and results are those of shifting registers', () => {
    fc.assert(
      fc.property(sizes, ({ m, n, k, rows, cols }) => {
        const p = denseProduct(m, n, k);
        const folds = foldsOf(dataflow, p, rows, cols);
        const truth = registers(dataflow, p, rows, cols);
        expect(folds.cycles).toBe(truth.cycles);
        const product = new Float64Array(m * n);
        for (const w of truth.left) product[w.m * n + w.n]! += w.value;
        for (let i = 0; i < m; i++)
          for (let j = 0; j < n; j++) {
            let sum = 0;
            for (let x = 0; x < k; x++) sum += A(i, x) * B(x, j);
            expect(product[i * n + j]).toBe(sum);
          }
        const words: string[] = [];
        let cycle = 0;
        walk(dataflow, p, folds, {
          a: () => {},
          b: () => {},
          c: (at) => words.push(`${cycle}:${at}`),
          cycle: () => cycle++,
        });
        expect(cycle).toBe(truth.cycles);
        expect(words.sort()).toEqual(truth.left.map((w) => `${w.cycle}:${w.m * n + w.n}`).sort());
      }),
      { numRuns: 60 },
    );
  });

  test('operands are asked for as often as folds need them, in the order they are fetched at first', () => {
    fc.assert(
      fc.property(sizes, ({ m, n, k, rows, cols }) => {
        const p = denseProduct(m, n, k);
        const folds = foldsOf(dataflow, p, rows, cols);
        const count = { a: 0, b: 0 };
        const seen = { a: new Set<number>(), b: new Set<number>() };
        walk(dataflow, p, folds, {
          a: (at) => {
            count.a++;
            seen.a.add(at);
          },
          b: (at) => {
            count.b++;
            seen.b.add(at);
          },
          c: () => {},
          cycle: () => {},
        });
        const [down, right] = folds.count;
        expect(count.a).toBe(m * k * (dataflow === 'is' ? 1 : right));
        expect(count.b).toBe(k * n * (dataflow === 'os' ? down : dataflow === 'ws' ? 1 : right));
        for (const operand of ['a', 'b'] as const) {
          const order = fetchOrder(dataflow, operand, p, folds);
          expect(new Set([...order].filter((at) => at >= 0))).toEqual(seen[operand]);
        }
      }),
      { numRuns: 60 },
    );
  });
});

test('cycles of a fold', () => {
  expect(foldsOf('os', { m: 256, n: 128, k: 256 }, 32, 32).cycles).toBe(8 * 4 * (256 + 32 + 32 - 2));
  expect(foldsOf('ws', { m: 256, n: 128, k: 256 }, 32, 32).cycles).toBe(8 * 4 * (256 + 2 * 32 + 32 - 2));
  expect(foldsOf('is', { m: 100, n: 30, k: 70 }, 16, 8).cycles).toBe(5 * 13 * (30 + 2 * 16 + 8 - 2));
  expect(() => foldsOf('os', { m: 0, n: 1, k: 1 }, 4, 4)).toThrow(/m = 0/);
});
