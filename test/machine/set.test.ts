import { expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import { openMachine, openMachineSource } from '../../src/cli/files.js';
import { resolveMachine } from '../../src/machine/load.js';

const a100 = (...set: string[]) => openMachine('a100-sxm-80gb', set);

test('a number, a unit and a formula override a field and are marked as assumed', async () => {
  const { fields, graph } = await a100('sm.count=216', 'dram.bandwidth=4 TB/s', 'l2.capacity = = sm.count * 1024');
  expect(graph.cores.count).toBe(216);
  expect(graph.stores[0]!.read_B_per_s).toBe(4e12);
  expect(fields.get('l2.capacity')).toMatchObject({
    value: 216 * 1024,
    from: 'assumed',
    source: '--set',
    text: '= sm.count * 1024',
  });
});

test('later overrides win, and other machines are untouched', async () => {
  expect((await a100('tdp=300', 'tdp=500 W')).graph.control.power_cap_W).toBe(500);
  expect((await a100()).graph.control.power_cap_W).toBe(400);
});

test('an optional field that the file leaves out can be set', async () => {
  expect((await a100('clock.sustained=1.2 GHz')).fields.get('clock.sustained')?.value).toBe(1.2e9);
});

test('switches and names can be set', async () => {
  const { graph, title } = await a100('shared.async_copy=false', 'title=Mine');
  expect(graph.links.find((l) => l.id === 'l2-shared')?.via).toBe('register');
  expect(title).toBe('Mine');
});

test.each([
  ['l2.capacty=1', /unknown field 'l2\.capacty'; did you mean 'l2\.capacity'\?/],
  ['l2=1', /'l2' is a section; set a field of it: l2\.capacity, /],
  ['tdp', /expected path=value/],
  ['=5', /expected path=value/],
  ['tdp=', /--set tdp=.*'' is not a power/],
  ['tdp=fast', /'fast' is not a power/],
  ['tdp=-5 W', /expected a power above 0, got -5 W/],
  ['tdp=0', /above 0/],
  ['shared.async_copy=maybe', /expected true or false/],
  ['tensor.bf16_fp32.operands=moon', /tensor\.bf16_fp32\.operands/],
  ['tensor.bf16_fp32.a=bf17', /expected one of fp64/],
  ['family=cpu', /cannot be changed/],
  ['__proto__.x=1', /unknown field/],
  ['constructor=1', /unknown field/],
])('--set %s is refused', async (set, message) => {
  const error = await a100(set).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(InputError);
  expect((error as Error).message).toMatch(message);
});

test('one source resolves to many machines without changing', async () => {
  const source = await openMachineSource('h100-sxm');
  const before = JSON.stringify(source.tree);
  const counts = await Promise.all(
    [66, 132, 264].map(async (n) => (await resolveMachine(source, [`sm.count=${n}`])).graph.cores.count),
  );
  expect(counts).toEqual([66, 132, 264]);
  expect(JSON.stringify(source.tree)).toBe(before);
});
