/** What is shown of an array is what it does. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DATAFLOWS, denseProduct, foldsOf, walk } from '../../../src/engine/systolic/dataflow.js';
import { frameAt, occupancyByCycle } from '../../../src/engine/systolic/frames.js';

const sizes = fc.record({
  m: fc.integer({ min: 1, max: 7 }),
  n: fc.integer({ min: 1, max: 7 }),
  k: fc.integer({ min: 1, max: 7 }),
  rows: fc.integer({ min: 1, max: 4 }),
  cols: fc.integer({ min: 1, max: 4 }),
});

describe.each(DATAFLOWS)('%s', (dataflow) => {
  test('every product is added once, and edges show what the array asks for', () => {
    fc.assert(
      fc.property(sizes, ({ m, n, k, rows, cols }) => {
        const p = denseProduct(m, n, k);
        const f = foldsOf(dataflow, p, rows, cols);
        const asked: { a: number[]; b: number[]; c: number[] }[] = [];
        let now = { a: [] as number[], b: [] as number[], c: [] as number[] };
        walk(dataflow, p, f, {
          a: (at) => now.a.push(at),
          b: (at) => now.b.push(at),
          c: (at) => now.c.push(at),
          cycle: () => {
            asked.push(now);
            now = { a: [], b: [], c: [] };
          },
        });
        const added = new Set<string>();
        for (let cycle = 0; cycle < f.cycles; cycle++) {
          const frame = frameAt(dataflow, f, cycle);
          const words = [...frame.left, ...frame.top];
          for (const operand of ['a', 'b'] as const)
            expect(
              words
                .filter((w) => w?.operand === operand)
                .map((w) => (operand === 'a' ? p.a(w!.row, w!.col) : p.b(w!.row, w!.col))),
            ).toEqual(asked[cycle]![operand]);
          expect(frame.out.map((w) => w.m * n + w.n)).toEqual(asked[cycle]!.c);
          let busy = 0;
          for (const e of frame.elements.flat())
            if (e.does === 'work') {
              busy++;
              const key = `${e.m},${e.n},${e.k}`;
              expect(added.has(key)).toBe(false);
              added.add(key);
            }
          expect(frame.busy).toBe(busy);
        }
        expect(added.size).toBe(m * n * k);
        expect(occupancyByCycle(dataflow, f).reduce((a, b) => a + b, 0)).toBe(m * n * k);
      }),
      { numRuns: 60 },
    );
  });
});

test('fills, is full and drains', () => {
  const p = denseProduct(4, 4, 10);
  const f = foldsOf('os', p, 4, 4);
  const phases = Array.from({ length: f.cycles }, (_, cycle) => frameAt('os', f, cycle).phase);
  expect(phases).toEqual([...Array(6).fill('fill'), ...Array(4).fill('full'), ...Array(6).fill('drain')]);
  const weights = foldsOf('ws', p, 4, 4);
  expect(frameAt('ws', weights, 0).phase).toBe('load');
  expect(() => frameAt('os', f, f.cycles)).toThrow(/cycles 0 to 15/);
});

test('a stationary word moves down to its row and stays', () => {
  const p = denseProduct(3, 2, 3);
  const f = foldsOf('ws', p, 3, 2);
  // the last row's word enters first
  expect(frameAt('ws', f, 0).elements[0]![0]).toEqual({ does: 'load', k: 2, n: 0, m: undefined });
  expect(frameAt('ws', f, 1).elements[1]![0]).toEqual({ does: 'load', k: 2, n: 0, m: undefined });
  expect(frameAt('ws', f, 2).elements.map((row) => row[0]!.k)).toEqual([0, 1, 2]);
});
