import { expect, it } from 'vitest';
import { findFile, openMachine } from '../../src/cli/files.js';
import { linkOf, mathRateOf, storeOf } from '../../src/machine/graph.js';
import { loadMachine } from '../../src/machine/load.js';

const NAME = 'lavapipe-sapphire-rapids';
type Tree = Record<string, Record<string, unknown>>;
const tree = (): Tree => JSON.parse(findFile('machines', NAME).text) as Tree;
const load = (t: Tree) => loadMachine(JSON.stringify(t), { file: 'mine.json' });
const assumed = (value: number | string) => ({ value, from: 'assumed', source: 'test' });

it('caches stand far to near between DRAM and lanes, and copies pass the lanes’ registers', async () => {
  const { graph, fields } = await openMachine(NAME);
  expect(graph.family).toBe('cpu');
  const ids = graph.stores.map((s) => s.id);
  expect(ids.filter((id) => id.startsWith('l'))).toEqual(
    ids
      .filter((id) => id.startsWith('l'))
      .sort()
      .reverse(),
  );
  expect(ids[0]).toBe('dram');
  expect(graph.links.find((l) => l.to === 'shared')!.via).toBe('register');
  const f = fields.get('clock.nominal')!.value;
  expect(storeOf(graph, 'shared')!.read_B_per_s).toBeCloseTo(fields.get('shared.bandwidth')!.value * f, -3);
  expect(storeOf(graph, 'shared')!.read_access_s).toBeCloseTo(fields.get('shared.access')!.value / f, 15);
  expect(storeOf(graph, 'shared')!.broadcast).toBe(false);
});

it('a workgroup has its core to itself', async () => {
  const { cores } = (await openMachine(NAME)).graph;
  expect(cores.max_workgroups).toBe(1);
  expect(cores.max_lanes).toBe(cores.max_lanes_per_workgroup);
  expect(cores.issue_groups).toBe(1);
});

it('all arithmetic is one pipe; a dtype with a rate of its own has it', async () => {
  const { graph } = await openMachine(NAME, ['vector.fma_int32.per_cycle=2']);
  expect(new Set(Object.values(graph.units[0]!.math).map((r) => r.pipe)).size).toBe(1);
  expect(mathRateOf(graph, 'fma', 'int32')!.rate.per_cycle).toBe(2);
  expect(mathRateOf(graph, 'fma', 'fp32')!.rate.per_cycle).not.toBe(2);
});

it('a cache that all cores share is where their copies start', async () => {
  const t = tree();
  t['caches'] = {
    l1: { capacity: assumed('32 KiB'), latency: assumed(5), bandwidth: assumed(64), of: 'core' },
    l2: { capacity: assumed('8 MiB'), latency: assumed(50), bandwidth: assumed(16), of: 'machine' },
  };
  const { graph } = await load(t);
  expect(linkOf(graph, 'l2', 'shared')!.scope).toBe('core');
  expect(linkOf(graph, 'dram', 'l2')!.scope).toBe('machine');
  expect(storeOf(graph, 'l2')!.read_B_per_s).toBeCloseTo(16 * graph.control.clock.nominal_Hz * graph.cores.count, -3);
});

it('a machine without caches works too', async () => {
  const { graph } = await load({ ...tree(), caches: {} });
  expect(linkOf(graph, 'dram', 'shared')!.scope).toBe('core');
});

const cache = (capacity: string, of: string) => ({
  capacity: assumed(capacity),
  latency: assumed(5),
  bandwidth: assumed(64),
  of,
});
it.each([
  [
    'a far cache smaller than a near one',
    (t: Tree) => (t['caches'] = { l1: cache('64 KiB', 'core'), l2: cache('32 KiB', 'core') }),
    /caches\.l2 is smaller than caches\.l1/,
  ],
  [
    'a core’s cache behind the machine’s',
    (t: Tree) => (t['caches'] = { l1: cache('64 KiB', 'machine'), l2: cache('1 MiB', 'core') }),
    /caches\.l2 is a core's, caches\.l1, which is nearer, the machine's/,
  ],
  ['a function without a rate', (t: Tree) => delete t['vector']!['sin'], /vector has no rate for 'sin'/],
  [
    'an unknown function',
    (t: Tree) => (t['vector']!['cosh'] = { per_cycle: assumed(1) }),
    /unknown math function 'cosh'/,
  ],
  [
    'more static power than the cap',
    (t: Tree) => (t['power']!['static'] = assumed('1 kW')),
    /power\.static is not below/,
  ],
])('%s is refused', async (_, change, message) => {
  const t = tree();
  change(t);
  await expect(load(t)).rejects.toThrow(message);
});
