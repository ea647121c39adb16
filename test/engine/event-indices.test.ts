/** What index tensors hold, and what comes of it: rows from data, reuse and overfetch from addresses. */
import { describe, expect, test } from 'vitest';
import { type Indices, pickOf } from '../../src/engine/event/indices.js';
import { runEvent } from '../../src/engine/event/run.js';
import { COLD } from '../../src/engine/types.js';
import { kernelByName } from '../../src/kernel/library/index.js';
import { shippedMachine } from '../kernel/machines.js';

const draw = (indices: Indices, rows: number, n: number) => {
  const pick = pickOf(indices, rows, n);
  return Array.from({ length: n }, (_, i) => pick(i));
};
const times = (xs: readonly number[]) => {
  const n = new Map<number, number>();
  for (const x of xs) n.set(x, (n.get(x) ?? 0) + 1);
  return [...n.values()].sort((a, b) => b - a);
};

describe('distributions', () => {
  test.each([
    { kind: 'uniform', seed: 3 },
    { kind: 'zipf', exponent: 1, seed: 3 },
    { kind: 'zipf', exponent: 0.7, seed: 0 },
    { kind: 'sorted', seed: 1 },
    { kind: 'paged', page: 16, seed: 2 },
  ] as const)('$kind stays in the table and says the same again', (indices) => {
    for (const rows of [1, 5, 16, 1000, 999_983]) {
      const xs = draw(indices, rows, 2000);
      for (const x of xs) expect(Number.isInteger(x) && x >= 0 && x < rows, `${x} of ${rows}`).toBe(true);
      expect(draw(indices, rows, 2000)).toEqual(xs);
    }
  });

  test('uniform: as many different rows as chance has it', () => {
    // n of R at random leave R·(1 − (1 − 1/R)ⁿ) different
    const different = new Set(draw({ kind: 'uniform', seed: 0 }, 10_000, 10_000)).size;
    expect(Math.abs(different / 10_000 - (1 - Math.exp(-1)))).toBeLessThan(0.01);
  });

  test('zipf: the favourite comes as often as its law says, and twice as often as the second', () => {
    const n = 200_000;
    const counts = times(draw({ kind: 'zipf', exponent: 1, seed: 0 }, 1000, n));
    // density 1/x between 1 and 1001: the first has ln 2 / ln 1001, the second ln 1.5 / ln 1001
    expect(counts[0]! / n).toBeCloseTo(Math.log(2) / Math.log(1001), 2);
    expect(counts[1]! / n).toBeCloseTo(Math.log(1.5) / Math.log(1001), 2);
  });

  test('sorted rises over the whole table', () => {
    const xs = draw({ kind: 'sorted', seed: 0 }, 50_000, 1000);
    expect(xs).toEqual([...xs].sort((a, b) => a - b));
    expect(xs.at(-1)).toBeGreaterThan(49_900);
    expect(xs[0]).toBeLessThan(50);
  });

  test('pages hold consecutive rows, none taken twice', () => {
    const xs = draw({ kind: 'paged', page: 16, seed: 5 }, 4096, 4096);
    expect(new Set(xs).size).toBe(4096);
    for (let i = 0; i < xs.length; i++) if (i % 16 > 0) expect(xs[i]).toBe(xs[i - 1]! + 1);
    expect(xs[16]).not.toBe(xs[15]! + 1);
  });

  test('numbers of the user are taken as they are, and must be in the table', () => {
    expect(draw({ kind: 'given', values: [7, 0, 3], file: 'f' }, 8, 5)).toEqual([7, 0, 3, 7, 0]);
    expect(() => pickOf({ kind: 'given', values: [7, 8], file: 'f' }, 8, 2)).toThrow(/f: index 8 .*8 rows/);
  });
});

test('what a gather brings from memory is what the rows it names hold', async () => {
  const machine = await shippedMachine('a100-sxm-80gb');
  const context = { ...COLD, clock_Hz: machine.control.clock.nominal_Hz };
  const kernel = kernelByName('gather');
  const op = kernel.toOp({ rows: 8192, cols: 64, table_rows: 200_000 }, 'fp16');
  const [launch] = kernel.build(op, [...kernel.candidates(op, machine)][0]!, machine);
  const read = (indices: Indices) => runEvent(launch!, machine, context, { indices }).moved_B['dram']!.read_B;
  const row_B = 64 * 2;
  // one row alone, beside the indices themselves
  const index_B = read({ kind: 'given', values: [0], file: 'f' }) - row_B;
  for (const indices of [
    { kind: 'uniform', seed: 1 },
    { kind: 'zipf', exponent: 1.2, seed: 1 },
    { kind: 'given', values: [5, 9, 11, 5], file: 'f' },
  ] as const) {
    const different = new Set(draw(indices, 200_000, 8192)).size;
    expect(read(indices)).toBe(index_B + different * row_B);
  }
});
