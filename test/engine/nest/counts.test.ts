/** Closed forms of nests against walks over every element, on random small nests. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NestCore } from '../../../src/engine/nest/core.js';
import { Loops } from '../../../src/engine/nest/loops.js';
import { type Problem, problemOf } from '../../../src/engine/nest/problem.js';
import type { Access, Cascade } from '../../../src/kernel/einsum.js';
import type { ArrayLevel, ResourceGraph } from '../../../src/machine/graph.js';
import { plainGraph } from './graphs.js';
import { fillsByWalking, groupsByWalking, listLoops, walkPairs, walkPartial } from './oracle.js';

const at = (tensor: string, ...dims: [string, number][][]): Access => ({
  tensor,
  at: dims.map((d) => ({ terms: d.map(([rank, stride]) => ({ rank, stride })) })),
});

interface Shape {
  readonly ranks: readonly string[];
  readonly ins: readonly Access[];
  readonly out: Access;
}

const one = (rank: string): [string, number][] => [[rank, 1]];
const SHAPES: Record<string, Shape> = {
  product: {
    ranks: ['M', 'N', 'K'],
    ins: [at('A', one('M'), one('K')), at('B', one('K'), one('N'))],
    out: at('O', one('M'), one('N')),
  },
  convolution: {
    ranks: ['P', 'R', 'C', 'K'],
    ins: [
      at('A', one('C'), [
        ['P', 1],
        ['R', 1],
      ]),
      at('B', one('K'), one('C'), one('R')),
    ],
    out: at('O', one('K'), one('P')),
  },
  strided: {
    ranks: ['P', 'Q', 'R', 'S'],
    ins: [
      at(
        'A',
        [
          ['P', 2],
          ['R', 1],
        ],
        [
          ['Q', 1],
          ['S', 2],
        ],
      ),
      at('B', one('R'), one('S')),
    ],
    out: at('O', one('P'), one('Q')),
  },
};

interface Loop {
  readonly rank: number;
  readonly size: number;
  readonly level: number;
  readonly kind: number;
}
interface Case {
  readonly shape: string;
  readonly loops: readonly Loop[];
  readonly keep: readonly boolean[];
  readonly neighbours: boolean;
  /** Per rank: by how much its extent falls short of what the loops cover. */
  readonly short?: readonly number[];
}

const LEVELS = 3;
const arbitrary: fc.Arbitrary<Case> = fc.constantFrom(...Object.keys(SHAPES)).chain((shape) =>
  fc.record({
    shape: fc.constant(shape),
    loops: fc
      .array(
        fc.record({
          rank: fc.integer({ min: 0, max: SHAPES[shape]!.ranks.length - 1 }),
          size: fc.integer({ min: 2, max: 3 }),
          level: fc.integer({ min: 0, max: LEVELS - 1 }),
          kind: fc.constantFrom(0, 0, 0, 1, 2),
        }),
        { minLength: 1, maxLength: 6 },
      )
      .map((list) =>
        // a level's loops over places come after those in time
        [...list].sort((a, b) => a.level - b.level || Number(a.kind > 0) - Number(b.kind > 0) || b.kind - a.kind),
      ),
    keep: fc.array(fc.boolean(), { minLength: 9, maxLength: 9 }),
    neighbours: fc.boolean(),
  }),
);

function build({ shape, loops: list, keep, neighbours, short = [] }: Case): {
  problem: Problem;
  loops: Loops;
  core: NestCore;
} {
  const { ranks, ins, out } = SHAPES[shape]!;
  const extents = ranks.map((_, r) => {
    const covered = list.reduce((n, l) => (l.rank === r ? n * l.size : n), 1);
    return Math.max(1, covered - (short[r] ?? 0));
  });
  const cascade: Cascade = {
    name: shape,
    ranks: Object.fromEntries(ranks.map((r, i) => [r, extents[i]!])),
    tensors: [...ins, out].map((a) => ({
      name: a.tensor,
      dtype: 'int8',
      role: a === out ? 'output' : 'input',
      home: true,
    })),
    einsums: [{ name: shape, ranks, ins, out, reduce: 'sum', work: { fma: 1 } }],
  };
  const across = (level: number, kind: number) =>
    list.reduce((n, l) => (l.level === level && l.kind === kind ? n * l.size : n), 1);
  const levels = Array.from(
    { length: LEVELS },
    (_, l): ArrayLevel => ({
      id: `level${l}`,
      stores: [`store${l}`],
      fanout: { x: across(l, 1), y: across(l, 2) },
      network: {
        multicast: { x: true, y: true },
        reduce: { x: true, y: true },
        systolic: false,
        neighbours,
        pJ_per_B: 0,
      },
    }),
  );
  const graph: ResourceGraph = plainGraph(levels);
  const problem = problemOf(cascade, cascade.einsums[0]!, graph.arrays![0]!, graph);
  const loops = new Loops(LEVELS, 3, list.length);
  for (const l of list) loops.push(l.rank, l.size, l.level, l.kind);
  keep.forEach((kept, i) => {
    loops.keep[i] = Number(kept || i < 3);
  });
  const core = new NestCore(problem, list.length);
  core.run(loops);
  return { problem, loops, core };
}

test('words into a tile, distinct tiles and what neighbours hand on are those of the walk', () => {
  fc.assert(
    fc.property(arbitrary, (c) => {
      const { problem, loops, core } = build(c);
      const list = listLoops(loops, problem.ranks.length);
      for (let k = 0; k < 3; k++)
        for (let level = 1; level <= LEVELS; level++) {
          const { fanout } = problem.array.levels[level - 1]!;
          const walk = walkPairs(problem, list, k, level, fanout.x, fanout.y, c.neighbours);
          const i = level * 3 + k;
          const [into, linked, groups] = [core.into[i]!, core.linked[i]!, core.groups[(level - 1) * 3 + k]!];
          expect([into, linked, groups * into].map((x) => Math.round(x * 1e6) / 1e6)).toEqual(
            [walk.shared, walk.handed, walk.sent].map((x) => Math.round(x * 1e6) / 1e6),
          );
        }
    }),
    { numRuns: 300, seed: 1 },
  );
});

test('tensors without windows: fills are the words that the tile before does not hold, walked trip by trip', () => {
  fc.assert(
    fc.property(arbitrary, (c) => {
      const { problem, loops, core } = build({
        ...c,
        shape: 'product',
        loops: c.loops.filter((l) => l.rank < 3),
        neighbours: false,
      });
      const list = listLoops(loops, problem.ranks.length);
      for (let k = 0; k < 3; k++)
        for (let level = 1; level < LEVELS; level++)
          expect(core.into[level * 3 + k]).toBe(fillsByWalking(problem, list, k, level));
    }),
    { numRuns: 300, seed: 2 },
  );
});

test('a window that slides along the innermost loop alone is fetched word by word, walked trip by trip', () => {
  fc.assert(
    fc.property(arbitrary, (c) => {
      // at the first level the window moves in one loop in time at most, over P, and that is the innermost
      const rest = c.loops.filter((l) => l.rank > 1 || l.level > 0 || l.kind > 0);
      const slides = c.loops.find((l) => l.rank === 0 && l.level === 0 && l.kind === 0);
      const outer = rest.filter((l) => l.level === 0 && l.kind === 0);
      const loops = [...outer, ...(slides ? [slides] : []), ...rest.filter((l) => !outer.includes(l))];
      const built = build({ ...c, shape: 'convolution', loops, neighbours: false });
      const list = listLoops(built.loops, built.problem.ranks.length);
      expect(built.core.into[3]).toBe(fillsByWalking(built.problem, list, 0, 1));
    }),
    { numRuns: 300, seed: 3 },
  );
});

test('reads, updates and partitions: what a store gives its nearer one, bypassed levels between them', () => {
  fc.assert(
    fc.property(arbitrary, (c) => {
      const { problem, loops, core } = build({ ...c, neighbours: false });
      const list = listLoops(loops, problem.ranks.length);
      const computes = list.reduce((n, l) => n * l.size, 1);
      expect(core.steps * core.places[LEVELS]!).toBe(computes);
      problem.tensors.forEach((t, k) => {
        for (let level = 0; level < LEVELS; level++) {
          const i = level * 3 + k;
          if (!loops.keep[i]) continue;
          let child = level + 1;
          while (child < LEVELS && !loops.keep[child * 3 + k]) child++;
          let share = 1;
          for (let l = level; l < child; l++) share *= groupsByWalking(problem, list, k, l);
          const given = core.into[child * 3 + k]! * share;
          if (t.result) {
            expect(core.updates[i]).toBe(given);
            expect(core.reads[i]).toBe(Math.max(0, given - core.partition[i]!));
          } else {
            expect(core.reads[i]).toBe(given);
            if (level > 0) expect(core.fills[i]).toBe(core.into[i]);
          }
        }
      });
    }),
    { numRuns: 300, seed: 4 },
  );
});

test('sizes that do not divide a rank: words are those of a walk that leaves out what lies beyond the extent', () => {
  fc.assert(
    fc.property(arbitrary, fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 4, maxLength: 4 }), (c, short) => {
      const { problem, loops, core } = build({
        ...c,
        shape: 'product',
        loops: c.loops.filter((l) => l.rank < 3),
        neighbours: false,
        short,
      });
      const list = listLoops(loops, problem.ranks.length);
      const walk = walkPartial(problem, loops, list);
      expect([core.computes, core.steps]).toEqual([walk.computes, walk.steps]);
      problem.tensors.forEach((t, k) => {
        for (let l = 0; l < LEVELS; l++) {
          const i = l * 3 + k;
          if (!loops.keep[i]) continue;
          const instances = walk.instances[l]!;
          expect(core.places[l]).toBe(instances);
          const mean = (n: number) => Math.round(n / instances);
          const { given, taken, firsts } = walk.at.get(i)!;
          const outermost = [0, 1, 2].find((x) => loops.keep[x * 3 + k]) === l;
          if (t.result) {
            expect(core.updates[i]).toBe(mean(given));
            expect(core.reads[i]).toBe(Math.max(0, mean(given - firsts)));
            expect(core.fills[i]).toBe(outermost ? 0 : Math.max(0, mean(taken - firsts)));
          } else {
            expect(core.reads[i]).toBe(mean(given));
            expect(core.fills[i]).toBe(outermost ? 0 : mean(taken));
          }
        }
      });
    }),
    { numRuns: 300, seed: 5 },
  );
});
