/** Blocks that end early: counts against walks that leave the same trips out, on random small nests. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { NestCore } from '../../../src/engine/nest/core.js';
import { Loops, TIME } from '../../../src/engine/nest/loops.js';
import { problemOf } from '../../../src/engine/nest/problem.js';
import { visitsOf } from '../../../src/engine/nest/visits.js';
import type { Access, Cascade, Until } from '../../../src/kernel/einsum.js';
import { plainGraph } from './graphs.js';
import { fillsByWalking, listLoops } from './oracle.js';

const LEVELS = 3;
const along = (tensor: string, ...ranks: string[]): Access => ({
  tensor,
  at: ranks.map((rank) => ({ terms: [{ rank, stride: 1 }] })),
});
const [M, N, K] = [0, 1, 2];

interface Case {
  /** Loops in time over tiles of M, over N, and the one over K, in some order. */
  readonly loops: readonly { readonly rank: number; readonly size: number; readonly level: number }[];
  readonly tile: number;
  readonly blocks: readonly number[];
}

const arbitrary: fc.Arbitrary<Case> = fc
  .record({
    tiles: fc.array(fc.integer({ min: 2, max: 3 }), { minLength: 1, maxLength: 2 }),
    others: fc.array(fc.integer({ min: 2, max: 3 }), { maxLength: 2 }),
    most: fc.integer({ min: 2, max: 4 }),
    tile: fc.integer({ min: 1, max: 3 }),
    keys: fc.array(fc.nat(1000), { minLength: 5, maxLength: 5 }),
    levels: fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 5, maxLength: 5 }),
  })
  .chain(({ tiles, others, most, tile, keys, levels }) => {
    const all = [
      ...tiles.map((size) => ({ rank: M, size })),
      ...others.map((size) => ({ rank: N, size })),
      { rank: K, size: most },
    ].map((l, i) => ({ ...l, level: levels[i]!, key: keys[i]! }));
    const count = tiles.reduce((a, b) => a * b, 1);
    return fc.record({
      loops: fc.constant(all.sort((a, b) => a.level - b.level || a.key - b.key)),
      tile: fc.constant(tile),
      blocks: fc
        .array(fc.integer({ min: 1, max: most }), { minLength: count, maxLength: count })
        // the loop is as long as the longest, which comes last
        .map((blocks) => blocks.map((n, i) => (i === blocks.length - 1 ? most : n)).sort((a, b) => a - b)),
    });
  });

/** Loops over tiles inside that over K, with another between them: such nests are refused. */
function apart(loops: Case['loops']): boolean {
  const inside = loops.slice(loops.findIndex((l) => l.rank === K)).map((l) => l.rank);
  return inside.slice(inside.indexOf(M), inside.lastIndexOf(M)).includes(N);
}

function build({ loops: list, tile, blocks }: Case) {
  const covered = (rank: number) => list.reduce((n, l) => (l.rank === rank ? n * l.size : n), rank === M ? tile : 1);
  const until: Until = { rank: 'K', by: 'M', tile, blocks };
  const cascade: Cascade = {
    name: 'product',
    ranks: { M: covered(M), N: covered(N), K: covered(K) },
    until,
    tensors: ['A', 'B', 'O'].map((name) => ({
      name,
      dtype: 'int8',
      role: name === 'O' ? 'output' : 'input',
      home: true,
    })),
    einsums: [
      {
        name: 'product',
        ranks: ['M', 'N', 'K'],
        ins: [along('A', 'M', 'K'), along('B', 'K', 'N')],
        out: along('O', 'M', 'N'),
        reduce: 'sum',
        work: { fma: 1 },
      },
    ],
  };
  const every = { x: true, y: true };
  const graph = plainGraph(
    Array.from({ length: LEVELS }, (_, l) => ({
      id: `level${l}`,
      stores: [`store${l}`],
      fanout: { x: l === LEVELS - 1 ? tile : 1, y: 1 },
      network: { multicast: every, reduce: every, systolic: false, pJ_per_B: 0 },
    })),
  );
  const problem = problemOf(cascade, cascade.einsums[0]!, graph.arrays![0]!, graph);
  const loops = new Loops(LEVELS, 3, list.length + 1);
  for (const l of list) loops.push(l.rank, l.size, l.level, TIME);
  if (tile > 1) loops.push(M, tile, LEVELS - 1, 1);
  loops.keep.fill(1);
  loops.visits = visitsOf(loops, problem.ranks, until)!;
  const core = new NestCore(problem, loops.n);
  core.run(loops);
  return { problem, loops, core, list: listLoops(loops, 3) };
}

/** Whether a block is left of some tile that is still inside. */
const taken =
  ({ tile, blocks }: Case) =>
  (at: readonly number[], inside: readonly { readonly rank: number; readonly size: number }[]): boolean => {
    if (inside.some((l) => l.rank === K)) return true;
    const rows = inside.reduce((n, l) => (l.rank === M ? n * l.size : n), 1);
    return blocks.slice(at[M]! / tile, (at[M]! + rows) / tile).some((n) => n > at[K]!);
  };

it('trips and points are those whose block is left', () => {
  fc.assert(
    fc.property(arbitrary, (c) => {
      fc.pre(!apart(c.loops));
      const { core, loops } = build(c);
      const others = c.loops.reduce((n, l) => (l.rank === N ? n * l.size : n), 1);
      const left = c.blocks.reduce((a, b) => a + b, 0);
      expect(core.steps).toBe(others * left);
      expect(core.computes).toBe(others * left * c.tile);
      expect(loops.visits!.upTo.every((n, i) => i === 0 || n >= loops.visits!.upTo[i - 1]!)).toBe(true);
    }),
    { numRuns: 300, seed: 1 },
  );
});

it('words into tiles are those of the walk that leaves the other trips out', () => {
  fc.assert(
    fc.property(arbitrary, (c) => {
      fc.pre(!apart(c.loops));
      const { problem, core, list } = build(c);
      for (let k = 0; k < 3; k++)
        for (let level = 1; level < LEVELS; level++)
          expect(core.into[level * 3 + k], `${problem.tensors[k]!.name} at ${level}`).toBe(
            fillsByWalking(problem, list, k, level, taken(c)),
          );
    }),
    { numRuns: 500, seed: 2 },
  );
});

it('with all blocks left all is as without', () => {
  fc.assert(
    fc.property(arbitrary, (c) => {
      fc.pre(!apart(c.loops));
      const { core, loops } = build({ ...c, blocks: c.blocks.map(() => Math.max(...c.blocks)) });
      const before = [core.into, core.reads, core.fills, core.updates].map((x) => [...x]);
      loops.visits = undefined;
      core.run(loops);
      expect([core.into, core.reads, core.fills, core.updates].map((x) => [...x])).toEqual(before);
    }),
    { numRuns: 100, seed: 3 },
  );
});

it('loops that cut tiles, or stand between those over tiles, are refused', () => {
  const loop = (rank: number, size: number) => ({ rank, size, level: 0 });
  const of = (loops: Case['loops'], blocks: readonly number[]) => () => build({ loops, tile: 1, blocks });
  expect(of([loop(K, 4), loop(M, 2), loop(M, 2)], [1, 2, 3, 4])).not.toThrow();
  expect(of([loop(K, 4), loop(M, 2), loop(N, 2), loop(M, 2)], [1, 2, 3, 4])).toThrow(/end early/);
  expect(of([loop(K, 4), loop(M, 2), loop(M, 2)], [2, 1, 3, 4])).toThrow(/end early/);
  expect(of([loop(K, 2), loop(K, 2), loop(M, 4)], [1, 2, 3, 4])).toThrow(/end early/);
});
