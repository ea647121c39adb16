/** The search over nests: all of small spaces, better than the tool's own mappings under its constraints, by seed. */
import { describe, expect, test } from 'vitest';
import { analyseNest } from '../../../src/engine/nest/analyse.js';
import { searchNest } from '../../../src/engine/nest/search.js';
import { importTimeloop } from '../../../src/interop/timeloop/import.js';
import { rulesOf } from '../../../src/interop/timeloop/rules.js';
import { kernelByName } from '../../../src/kernel/library/index.js';
import { opCascade } from '../../../src/kernel/op-cascade.js';
import { parseShape } from '../../../src/kernel/shape.js';
import type { ArrayLevel } from '../../../src/machine/graph.js';
import { goldenCase, HAS_GOLDEN } from '../../interop/timeloop/golden.js';
import { plainGraph } from './graphs.js';

const OBJECTIVE = {
  time: (cycles: number, _: number) => cycles,
  energy: (_: number, energy: number) => energy,
  edp: (cycles: number, energy: number) => cycles * energy,
};

describe.skipIf(!HAS_GOLDEN)("beside Timeloop's mapper, under the same constraints", () => {
  for (const name of ['06-mapper-convlayer-eyeriss', 'eyeriss_like', 'simple_weight_stationary'])
    test(name, () => {
      const { input, energy, map } = goldenCase(name);
      const { machine, cascade, einsum, nest, constraints, objective } = importTimeloop(input, energy, map);
      const { graph } = machine;
      const theirs = analyseNest(nest!, cascade, graph);
      const rules = rulesOf(constraints);
      const ours = searchNest(cascade, einsum, graph, nest!.unit, { rules, objective, evaluations: 60_000 });
      const rate = OBJECTIVE[objective];
      expect(rate(ours.cycles, ours.energy_pJ)).toBeLessThanOrEqual(rate(theirs.cycles, theirs.energy_pJ));
      expect(ours.cycles * ours.energy_pJ).toBeLessThanOrEqual(theirs.cycles * theirs.energy_pJ);
      // what is found is a nest that the analysis takes, and keeps to the constraints
      const again = analyseNest(ours.nest, cascade, graph);
      expect([again.cycles, again.energy_pJ]).toEqual([ours.cycles, expect.closeTo(ours.energy_pJ, 3)]);
      for (const [level, rule] of Object.entries(rules)) {
        const { loops, keeps } = ours.nest.levels.find((l) => l.level === level)!;
        const factor = (rank: string, spatial: boolean) =>
          loops.reduce((n, l) => (l.rank === rank && (l.spatial !== undefined) === spatial ? n * l.size : n), 1);
        for (const [rank, size] of Object.entries(rule.temporal?.factors ?? {}))
          if (size > 0) expect(factor(rank, false)).toBe(size);
        for (const [rank, size] of Object.entries(rule.spatial?.factors ?? {}))
          if (size > 0) expect(factor(rank, true)).toBe(size);
        for (const tensor of rule.keep ?? []) expect(keeps).toHaveProperty(tensor);
        for (const tensor of rule.bypass ?? []) expect(keeps).not.toHaveProperty(tensor);
      }
    });
});

const one = { x: 1, y: 1 };
const network = { multicast: { x: true, y: true }, reduce: { x: true, y: true }, systolic: false, pJ_per_B: 0 };
const levels: ArrayLevel[] = [
  { id: 'far', stores: ['far'], fanout: one, network },
  { id: 'near', stores: ['near'], fanout: { x: 4, y: 1 }, network },
];
const graph = plainGraph(levels, {
  far: { read_pJ_per_B: 100, write_pJ_per_B: 100, word_B: 1 },
  near: { capacity_B: 40, word_B: 1 },
});
const gemm = kernelByName('gemm');
const product = (m: number, n: number, k: number) =>
  opCascade(gemm.toOp(parseShape(`m=${m},n=${n},k=${k}`, gemm.shape), 'int8'))!;

test('a small space is tried whole, and sampling finds as good', () => {
  const cascade = product(8, 8, 4);
  const einsum = cascade.einsums[0]!;
  const all = searchNest(cascade, einsum, graph, 'pe', { evaluations: 1e6 });
  expect(all.exhaustive).toBe(true);
  const some = searchNest(cascade, einsum, graph, 'pe', { evaluations: 4000, seed: 3 });
  expect(some.exhaustive).toBe(false);
  expect(some.tried).toBeLessThan(all.tried / 2);
  expect(some.cycles * some.energy_pJ).toBeGreaterThanOrEqual(all.cycles * all.energy_pJ * (1 - 1e-12));
  expect(some.cycles * some.energy_pJ).toBeLessThanOrEqual(all.cycles * all.energy_pJ * 1.02);
});

test('the same seed finds the same nest; each objective is best by its own measure', () => {
  const cascade = product(32, 48, 16);
  const einsum = cascade.einsums[0]!;
  const run = (objective: 'time' | 'energy' | 'edp', seed = 1) =>
    searchNest(cascade, einsum, graph, 'pe', { objective, seed, evaluations: 20_000 });
  expect(run('edp').nest).toEqual(run('edp').nest);
  const [time, energy, edp] = [run('time'), run('energy'), run('edp')];
  expect(time.cycles).toBeLessThanOrEqual(Math.min(energy.cycles, edp.cycles));
  expect(energy.energy_pJ).toBeLessThanOrEqual(Math.min(time.energy_pJ, edp.energy_pJ));
});

test('rules that cannot be kept, and machines on which nothing fits, are said', () => {
  const cascade = product(8, 8, 8);
  const einsum = cascade.einsums[0]!;
  const rules = { near: { temporal: { factors: { M: 3 } } } };
  expect(() => searchNest(cascade, einsum, graph, 'pe', { rules })).toThrow(
    /fixed factors of M do not divide its extent 8/,
  );
  const tiny = plainGraph(levels, { near: { capacity_B: 2, word_B: 1 } });
  expect(() => searchNest(cascade, einsum, tiny, 'pe', { rules: { near: { keep: ['A', 'W', 'O'] } } })).toThrow(
    /none of \d+ nests fits/,
  );
});
