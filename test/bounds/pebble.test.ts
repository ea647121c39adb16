/** The pebble game: the search is optimal, plays are legal, and formula ≤ optimum ≤ every schedule. */
import { describe, expect, test } from 'vitest';
import { liveBytes, requestedOf } from '../../src/bounds/count.js';
import { leastIo } from '../../src/bounds/least-io.js';
import { nearMachine } from '../../src/bounds/near-machine.js';
import {
  attentionDag,
  type Dag,
  fftDag,
  isInput,
  leastNear,
  matmulDag,
  reductionDag,
  stencilDag,
} from '../../src/bounds/pebble/dag.js';
import { costOf, type Move, replay } from '../../src/bounds/pebble/game.js';
import { goodPlay, playInOrder, startOrders } from '../../src/bounds/pebble/heuristic.js';
import { optimalPlay } from '../../src/bounds/pebble/optimal.js';
import { schedulesOf } from '../../src/bounds/schedules.js';
import { type Attention, attentionOp } from '../../src/kernel/library/attention_op.js';
import { fft } from '../../src/kernel/library/fft.js';
import { gemm } from '../../src/kernel/library/gemm.js';

/** The game by the rules alone: Dijkstra over every (red, blue) board and every single move. */
function exhaustive(dag: Dag, near: number): number {
  const n = dag.labels.length;
  const preds = dag.preds.map((p) => p.reduce((m, v) => m | (1 << v), 0));
  const inputs = dag.labels.reduce((m, _, v) => (isInput(dag, v) ? m | (1 << v) : m), 0);
  const outputs = dag.outputs.reduce((m, v) => m | (1 << v), 0);
  const size = (m: number) => m.toString(2).replaceAll('0', '').length;
  const done = new Set<number>();
  let now = [0 * 2 ** n + inputs];
  for (let cost = 0; ; cost++) {
    const later: number[] = [];
    while (now.length > 0) {
      const key = now.pop()!;
      if (done.has(key)) continue;
      done.add(key);
      const red = Math.floor(key / 2 ** n);
      const blue = key % 2 ** n;
      if ((outputs & ~blue) === 0) return cost;
      const go = (r: number, b: number, list: number[]) => {
        if (size(r) <= near) list.push(r * 2 ** n + b);
      };
      for (let v = 0; v < n; v++) {
        const bit = 1 << v;
        if (red & bit) {
          go(red & ~bit, blue, now);
          if (!(blue & bit)) go(red, blue | bit, later);
          continue;
        }
        if (blue & bit) go(red | bit, blue, later);
        if (preds[v] !== 0 && (preds[v]! & ~red) === 0) {
          go(red | bit, blue, now);
          for (let p = 0; p < n; p++) if (preds[v]! & (1 << p)) go((red & ~(1 << p)) | bit, blue, now);
        }
      }
    }
    if (later.length === 0) throw new Error('no play');
    now = later;
  }
}

describe('the search finds what trying every move finds', () => {
  const graphs: [Dag, number[]][] = [
    [matmulDag(2, 2, 1), [3, 4]],
    [matmulDag(1, 2, 2), [3, 4]],
    [matmulDag(2, 1, 2), [3, 4]],
    [fftDag(4), [3, 4]],
    [stencilDag(4, 2), [3, 4]],
    [reductionDag(5), [2, 3]],
  ];
  for (const [dag, room] of graphs)
    for (const near of room)
      test(`${dag.name}, ${near} values near`, () => {
        const best = optimalPlay(dag, near);
        expect(best.proven).toBe(true);
        expect(best.cost).toBe(exhaustive(dag, near));
        expect(replay(dag, near, best.moves).at(-1)!.cost).toBe(best.cost);
      });
});

describe('formula ≤ optimum ≤ good play ≤ any order', () => {
  const W = 4;
  const product = (m: number, n: number, k: number) => (S: number) =>
    leastIo(gemm.toOp({ m, n, k }, 'fp32'), S * W).bytes / W;
  const head = (n: number, d: number) => (S: number) =>
    leastIo(attentionOp({ heads: 1, q_len: n, head_dim: d }, 'fp32'), S * W).bytes / W;
  const transform = (n: number) => (S: number) => leastIo(fft.toOp({ n }, 'fp32'), 2 * S * W).bytes / (2 * W);
  const graphs: [Dag, number[], (S: number) => number][] = [
    [matmulDag(2, 2, 2), [3, 4, 5, 6], product(2, 2, 2)],
    [matmulDag(3, 2, 2), [4, 5, 7], product(3, 2, 2)],
    [matmulDag(2, 2, 3), [6, 7], product(2, 2, 3)],
    [attentionDag(2, 1), [4, 5, 6, 8], head(2, 1)],
    [fftDag(4), [3, 4, 5], transform(4)],
    [stencilDag(5, 2), [3, 4, 5], () => 10],
    [reductionDag(8), [2, 3, 5], () => 9],
  ];
  for (const [dag, room, formula] of graphs)
    for (const near of room)
      test(`${dag.name}, ${near} values near`, () => {
        const best = optimalPlay(dag, near);
        expect(best.proven).toBe(true);
        const good = goodPlay(dag, near, 500);
        expect(replay(dag, near, good).at(-1)!.cost).toBe(costOf(good));
        expect(formula(near)).toBeLessThanOrEqual(best.cost);
        expect(best.cost).toBeLessThanOrEqual(costOf(good));
        for (const order of startOrders(dag)) {
          const moves = playInOrder(dag, near, order);
          replay(dag, near, moves);
          expect(costOf(good)).toBeLessThanOrEqual(costOf(moves));
        }
      });
  test('larger graphs: formula ≤ good play', () => {
    for (const [dag, near, bound] of [
      [matmulDag(4, 4, 4), 8, product(4, 4, 4)],
      [attentionDag(4, 2), 8, head(4, 2)],
      [fftDag(16), 6, transform(16)],
    ] as const) {
      const moves = goodPlay(dag, near, 200);
      replay(dag, near, moves);
      expect(bound(near)).toBeLessThanOrEqual(costOf(moves));
    }
    expect(costOf(goodPlay(fftDag(16), 5, 2000))).toBeLessThanOrEqual(1.6 * 64);
  });
});

describe('optimum ≤ each schedule of the library, in as much memory', () => {
  test('products', () => {
    for (const [m, n, k] of [
      [2, 2, 2],
      [3, 2, 2],
    ] as const) {
      const op = gemm.toOp({ m, n, k }, 'fp32');
      let compared = 0;
      for (let S = 4; S <= 8; S++)
        for (const s of schedulesOf(op, 4 * S)) {
          expect(optimalPlay(matmulDag(m, n, k), S).cost).toBeLessThanOrEqual(s.requested_B / 4);
          compared++;
        }
      expect(compared).toBeGreaterThan(4);
    }
    // three values near: one result, one of each operand
    const op = gemm.toOp({ m: 2, n: 2, k: 2 }, 'fp32');
    const least = schedulesOf(op, 12)[0]!;
    expect(least.requested_B / 4).toBe(20);
    expect(optimalPlay(matmulDag(2, 2, 2), 3).cost).toBe(17);
  });
  test('attention', () => {
    const op: Attention = attentionOp({ heads: 1, q_len: 2, head_dim: 1 }, 'fp32');
    for (const s of schedulesOf(op, 4 * 16)) {
      const near = Math.min(16, Math.ceil(s.live_B / 4));
      expect(optimalPlay(attentionDag(2, 1), near).cost, s.kernel).toBeLessThanOrEqual(s.requested_B / 4);
    }
    // schedules of larger graphs are above a good play with as much room
    const larger = attentionOp({ heads: 1, q_len: 6, head_dim: 2 }, 'fp32');
    for (const s of schedulesOf(larger, 4 * 24)) {
      const cost = costOf(goodPlay(attentionDag(6, 2), Math.ceil(s.live_B / 4), 50));
      if (s.kernel === 'attention_fused') expect(cost).toBeLessThanOrEqual(s.requested_B / 4);
    }
  });
  test('the tile’s own order, played as pebbles, costs what the kernel asks for', () => {
    // 1×1 tiles of a 3×3×3 product in three values: each step loads both operands anew
    const op = gemm.toOp({ m: 3, n: 3, k: 3 }, 'fp32');
    const programs = gemm
      .build(
        op,
        { bm: 1, bn: 1, bk: 1, stages: 1, groups_m: 1, groups_n: 1, panel: 1, cluster_m: 1, cluster_n: 1 },
        nearMachine(op),
      )
      .map((l) => l.program);
    const near = liveBytes(programs) / 4;
    expect(near).toBe(3);
    const played = costOf(playInOrder(matmulDag(3, 3, 3), near, startOrders(matmulDag(3, 3, 3))[0]!));
    expect(played).toBeLessThanOrEqual(requestedOf(programs).total_B / 4);
  });
});

describe('illegal plays are refused', () => {
  const dag = reductionDag(2);
  const fine: Move[] = [
    { kind: 'load', vertex: 0 },
    { kind: 'compute', vertex: 2, onto: 0 },
    { kind: 'load', vertex: 1 },
    { kind: 'compute', vertex: 3, onto: 2 },
    { kind: 'store', vertex: 3 },
  ];
  test.each<[string, Move[], string]>([
    ['too many near', [fine[0]!, { kind: 'load', vertex: 1 }, { kind: 'compute', vertex: 2 }], 'room for 2'],
    ['an operand is missing', [{ kind: 'compute', vertex: 2 }], 'operand x0 is not near'],
    ['nothing to store', [{ kind: 'store', vertex: 2 }], 'not near'],
    ['not in far memory', [{ kind: 'load', vertex: 2 }], 'not in far memory'],
    ['an output is left', fine.slice(0, 4), 'output s1 is not stored'],
    [
      'takes the place of a stranger',
      [fine[0]!, { kind: 'load', vertex: 1 }, { kind: 'compute', vertex: 2, onto: 1 }],
      'no operand',
    ],
  ])('%s', (_, moves, message) => {
    expect(() => replay(dag, 2, moves)).toThrow(message);
  });
  test('and the legal one is played', () => {
    expect(replay(dag, 2, fine).map((f) => f.cost)).toEqual([1, 1, 2, 2, 3]);
    expect(() => optimalPlay(dag, leastNear(dag) - 1)).toThrow('needs 2 values near');
  });
});
