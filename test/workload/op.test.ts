import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attentionPairs, compulsoryBytesOf, flopsOf, type OpOf } from '../../src/workload/op.js';

const attention = (over: Partial<OpOf<'attention'>>): OpOf<'attention'> => ({
  kind: 'attention',
  id: 'a',
  name: 'a',
  repeat: 1,
  deps: [],
  batch: 1,
  heads: 2,
  kv_heads: 1,
  q_len: 4,
  kv_len: 4,
  head_dim: 8,
  causal: true,
  window: 0,
  q: 'bf16',
  kv: 'bf16',
  o: 'bf16',
  ...over,
});

/** Every query against every key. */
function pairsByCounting(op: OpOf<'attention'>): number {
  let pairs = 0;
  for (const kv of op.kv_lens ?? Array<number>(op.batch).fill(op.kv_len))
    for (let i = 0; i < op.q_len; i++) {
      const position = kv - op.q_len + i;
      let seen = 0;
      for (let key = 0; key < kv; key++) {
        if (op.causal && key > position) continue;
        if (op.causal && op.window > 0 && key <= position - op.window) continue;
        seen++;
      }
      pairs += op.causal || op.window === 0 ? seen : Math.min(seen, op.window);
    }
  return pairs;
}

describe('query–key pairs', () => {
  test.each([
    ['causal square', attention({ q_len: 4, kv_len: 4 }), 10],
    ['not causal', attention({ q_len: 4, kv_len: 6, causal: false }), 24],
    ['last two of five', attention({ q_len: 2, kv_len: 5 }), 9],
    ['window of two', attention({ q_len: 4, kv_len: 4, window: 2 }), 7],
    ['decode', attention({ q_len: 1, kv_len: 9 }), 9],
    ['decode in a window', attention({ q_len: 1, kv_len: 9, window: 4 }), 4],
    ['ragged decode', attention({ batch: 2, q_len: 1, kv_len: 9, kv_lens: [9, 3] }), 12],
  ])('%s', (_, op, expected) => expect(attentionPairs(op)).toBe(expected));

  test('equal a double loop over queries and keys', () => {
    fc.assert(
      fc.property(
        fc.record({
          batch: fc.integer({ min: 1, max: 3 }),
          q_len: fc.integer({ min: 1, max: 24 }),
          kv_len: fc.integer({ min: 1, max: 24 }),
          causal: fc.boolean(),
          window: fc.integer({ min: 0, max: 30 }),
          kv_lens: fc.option(fc.array(fc.integer({ min: 1, max: 24 }), { minLength: 1, maxLength: 4 }), {
            nil: undefined,
          }),
        }),
        (over) => {
          const op = attention(over.kv_lens ? { ...over, batch: over.kv_lens.length } : over);
          expect(attentionPairs(op)).toBe(pairsByCounting(op));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('work of an op', () => {
  test('causal halves are counted once', () => {
    const n = 512;
    const [causal, full] = [true, false].map((c) => flopsOf(attention({ q_len: n, kv_len: n, causal: c })));
    expect(causal! / full!).toBeCloseTo((n + 1) / (2 * n), 12);
  });
  test('grouped-query attention reads each key once for its group of query heads', () => {
    const op = attention({ q_len: 1, kv_len: 100, heads: 8, kv_heads: 2, head_dim: 64 });
    expect(compulsoryBytesOf(op).read_B).toBe(8 * 64 * 2 + 2 * 100 * 2 * 64 * 2);
  });
});
