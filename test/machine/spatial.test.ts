import { expect, it, test } from 'vitest';
import { findFile, openMachine } from '../../src/cli/files.js';
import { mathRateOf, mmaOf, storeOf, tileStoreOf } from '../../src/machine/graph.js';
import { loadMachine } from '../../src/machine/load.js';

const SHIPPED = [
  'fusemax',
  'flat',
  'unfused',
  'fusemax-cascade',
  'eyeriss-like',
  'simba-like',
  'tpu-v1',
  'tpu-v4i',
  'gemmini',
];
// biome-ignore lint/suspicious/noExplicitAny: a tree that the cases damage at will
type Tree = Record<string, any>;
const tree = (name = 'gemmini'): Tree => JSON.parse(findFile('machines', name).text) as Tree;
const load = (t: Tree, set: string[] = []) => loadMachine(JSON.stringify(t), { file: 'mine.json', set });

test.each(SHIPPED)(
  '%s: levels from home store to arithmetic, each store of an array in as many instances as places',
  async (name) => {
    const { graph } = await openMachine(name);
    expect(graph.arrays!.length).toBeGreaterThan(1);
    for (const array of graph.arrays!) {
      expect(array.levels[0]!.stores).toEqual(['dram']);
      expect(array.levels[1]!.stores).toContain('buffer');
      let places = 1;
      for (const level of array.levels) {
        for (const id of level.stores) expect(storeOf(graph, id)!.instances ?? 1, id).toBe(places);
        places *= level.fanout.x * level.fanout.y;
      }
      const unit = graph.units.find((u) => u.id === array.unit)!;
      for (const op of unit.mma) expect(op.macs_per_cycle).toBe(places);
    }
    expect(tileStoreOf(graph)!.id).toBe('buffer');
  },
);

// peaks as published, in multiply–accumulates a second
test.each([
  ['fusemax', 'fp16', 'fp16', 65536 * 940e6],
  ['tpu-v1', 'int8', 'int32', 46e12],
  ['tpu-v4i', 'bf16', 'fp32', 69e12],
  ['eyeriss-like', 'int16', 'int16', 33.6e9],
] as const)('%s multiplies at its published peak', async (name, a, acc, peak) => {
  const { graph } = await openMachine(name);
  const { op } = mmaOf(graph, a, a, acc)!;
  const rate = op.macs_per_cycle * graph.control.clock.nominal_Hz;
  expect(Math.abs(rate / peak - 1)).toBeLessThan(0.01);
});

it('a function done as a sequence takes its steps’ time and energy', async () => {
  const { graph } = await openMachine('fusemax');
  const { math } = graph.units.find((u) => u.id === 'matrix')!;
  expect(math['exp2']!.per_cycle * 6).toBe(math['fma']!.per_cycle);
  expect(math['exp2']!.pJ).toBeCloseTo(6 * math['fma']!.pJ, 9);
  expect(math['exp2']!.pipe).toBe(math['fma']!.pipe);
});

it('lanes of programs without a nest are those of the last array', async () => {
  const { graph } = await openMachine('fusemax');
  expect(graph.cores.count).toBe(1);
  expect(graph.cores.lane_group).toBe(256);
  expect(mathRateOf(graph, 'max', 'fp32')!.unit.id).toBe('vector');
});

it('the sides of an array can be set', async () => {
  const { graph } = await openMachine('fusemax', [
    'arrays.matrix.levels.pe.columns=32',
    'arrays.matrix.levels.pe.rows=32',
  ]);
  expect(graph.arrays![0]!.levels[1]!.fanout).toEqual({ x: 32, y: 32 });
  expect(storeOf(graph, 'pe_register')!.instances).toBe(1024);
});

test.each([
  [
    'two stores of one name',
    (t: Tree) => (t['arrays'].vector.levels.lane.stores = { buffer: t['shared'].buffer }),
    /another store called 'buffer'/,
  ],
  [
    'a sequence of what is not there',
    (t: Tree) =>
      (t['arrays'].vector.functions.exp2 = { as: 'fmaa', steps: { value: 6, from: 'assumed', source: 'test' } }),
    /unknown function 'fmaa'/,
  ],
  [
    'a function without a rate',
    (t: Tree) => (t['arrays'].vector.functions.exp2 = {}),
    /'per_cycle' and 'energy' are missing/,
  ],
  [
    'an unknown function',
    (t: Tree) =>
      (t['arrays'].vector.functions.cosh = { as: 'fma', steps: { value: 6, from: 'assumed', source: 'test' } }),
    /unknown math function 'cosh'/,
  ],
  [
    'a sequence of a sequence',
    (t: Tree) =>
      (t['arrays'].vector.functions.sin = { as: 'exp2', steps: { value: 2, from: 'assumed', source: 'test' } }),
    /itself a sequence/,
  ],
  [
    'a first shared store for one kind of operand',
    (t: Tree) => (t['shared'].buffer.holds = 'weight'),
    /must hold whatever/,
  ],
  [
    'a first shared store of a byte',
    (t: Tree) => (t['shared'].buffer.capacity = '1 B'),
    /shared\.buffer\.capacity: 1 B leave no room/,
  ],
  [
    'a level without stores above another',
    (t: Tree) => {
      delete t['arrays'].matrix.levels.pe.stores;
      t['arrays'].matrix.levels.lane = t['arrays'].vector.levels.lane;
    },
    /has no stores, and is not the last level/,
  ],
])('%s is refused', async (_, change, message) => {
  const t = tree();
  change(t);
  await expect(load(t)).rejects.toThrow(message);
});
