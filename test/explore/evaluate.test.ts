import { describe, expect, test } from 'vitest';
import { InfeasibleError, InputError } from '../../src/base/errors.js';
import { compileSpace, evaluatePoint, type Open, type Results } from '../../src/explore/evaluate.js';
import { formulas } from '../../src/explore/formula.js';
import { parseSpace, pointOf } from '../../src/explore/space.js';

const compile = await formulas();
const FILE = {
  name: 'small',
  base: { machine: 'm', workload: 'w' },
  axes: [{ path: 'machine.cores', values: [1, 2, 4] }],
  derived: [{ name: 'area', formula: '100 * cores + machine.l2.capacity' }],
  constraints: ['energy_J < 9', 'area <= 300'],
  objectives: [
    { name: 'time', metric: 'time_s', goal: 'min' },
    { name: 'area', metric: 'area', goal: 'min' },
  ],
};
const spaceOf = (change: object = {}) => parseSpace(JSON.parse(JSON.stringify({ ...FILE, ...change })));
const compiledOf = (change: object = {}) => compileSpace(spaceOf(change), compile, 'my.json');

const RESULTS_OF = (cores: number): Results => ({
  time_s: 8 / cores,
  launch_s: 0,
  energy_J: 8,
  power_W: cores,
  flops: 1,
  flops_executed: 1,
  roof_fraction: 1,
  bound_by: 'dram',
  footprint_B: 1,
});

function counting(): { open: Open; replays: () => number } {
  let replays = 0;
  const open: Open = ({ values }) => ({
    machine: { l2: { capacity: 50 } },
    replay() {
      replays++;
      return RESULTS_OF(values[0] as number);
    },
  });
  return { open, replays: () => replays };
}

describe('a point', () => {
  const compiled = compiledOf();
  const rowOf = (id: number, open: Open, of = compiled) => evaluatePoint(of, pointOf(of.space, id), open);

  test('has objectives, derived values and results', async () => {
    const { open, replays } = counting();
    expect(await rowOf(1, open)).toEqual({
      point: 1,
      axes: { cores: 2 },
      status: 'ok',
      objectives: { time: 4, area: 250 },
      derived: { area: 250 },
      results: RESULTS_OF(2),
    });
    expect(replays()).toBe(1);
  });

  test('is excluded without a replay where the machine alone tells', async () => {
    const { open, replays } = counting();
    expect(await rowOf(2, open)).toEqual({
      point: 2,
      axes: { cores: 4 },
      status: 'excluded',
      reason: 'not area <= 300',
    });
    expect(replays()).toBe(0);
  });

  test('is replayed when no formula asks for a result', async () => {
    const { open } = counting();
    const of = compiledOf({ constraints: [], objectives: [{ name: 'area', metric: 'area', goal: 'min' }] });
    expect((await rowOf(0, open, of)).results).toEqual(RESULTS_OF(1));
  });

  test.each<[string, Error, string]>([
    ['nothing fits', new InfeasibleError('needs 288 KiB'), 'infeasible'],
    ['a bad field', new InputError('unknown field'), 'input'],
    ['a fault of the program', new RangeError('oops'), 'internal'],
  ])('that fails by %s says so', async (_, error, fault) => {
    const row = await rowOf(0, () => {
      throw error;
    });
    expect(row).toEqual({ point: 0, axes: { cores: 1 }, status: 'failed', reason: error.message, fault });
  });

  test('fails when an objective is no number or a constraint is no truth', async () => {
    const { open } = counting();
    const text = compiledOf({ objectives: [{ name: 'x', metric: '1 / (machine.l2.capacity - 50)', goal: 'min' }] });
    expect((await rowOf(0, open, text)).reason).toMatch(/objective x is Infinity/);
    const sum = compiledOf({ constraints: ['cores + 1'] });
    expect((await rowOf(0, open, sum)).reason).toMatch(/constraint 'cores \+ 1' is 2, expected true or false/);
  });
});

describe('several workloads', () => {
  const base = { machine: 'm', workload: { prefill: 'p', decode: 'd' } };
  const objectives = [{ name: 'time', metric: 'prefill.time_s + 10 * decode.time_s', goal: 'min' }];
  const change = { base, objectives, constraints: ['area <= 300', 'decode.energy_J < 9'] };

  test('have results under their names', async () => {
    const replays: (string | undefined)[] = [];
    const open: Open = () => ({
      machine: { l2: { capacity: 50 } },
      replay(run) {
        replays.push(run);
        return { time_s: run === 'prefill' ? 3 : 2, energy_J: 8 };
      },
    });
    const compiled = compiledOf(change);
    const row = await evaluatePoint(compiled, pointOf(compiled.space, 0), open);
    expect(row).toMatchObject({ status: 'ok', objectives: { time: 23 } });
    expect(row.results).toEqual({
      'prefill.time_s': 3,
      'prefill.energy_J': 8,
      'decode.time_s': 2,
      'decode.energy_J': 8,
    });
    expect(replays.sort()).toEqual(['decode', 'prefill']);
    const excluded = await evaluatePoint(compiled, pointOf(compiled.space, 2), open);
    expect(excluded.status).toBe('excluded');
    expect(replays).toHaveLength(2);
  });

  test.each<[string, RegExp]>([
    ['time_s', /unknown name 'time_s'/],
    ['decode', /unknown result of decode 'decode'/],
    ['decode.time', /unknown result of decode 'decode\.time'; did you mean 'decode\.time_s'/],
  ])('are not read as %s', (metric, message) => {
    expect(() => compiledOf({ ...change, objectives: [{ name: 'x', metric, goal: 'min' }] })).toThrow(message);
  });
});

describe('formulas of a space', () => {
  test.each<[string, object, RegExp]>([
    [
      'unknown name',
      { constraints: ['time_ms < 1'] },
      /my\.json: constraints\.0: unknown name 'time_ms'; did you mean 'time_s'/,
    ],
    [
      'circle',
      {
        derived: [
          { name: 'a', formula: 'b' },
          { name: 'b', formula: 'a + 1' },
          { name: 'area', formula: '1' },
        ],
      },
      /circular formulas: a → b → a/,
    ],
    ['own circle', { derived: [{ name: 'area', formula: 'area' }] }, /circular formulas: area → area/],
    [
      'result redefined',
      { derived: [{ name: 'time_s', formula: '1' }, FILE.derived[0]] },
      /'time_s' is the name of a result/,
    ],
    [
      'objective named as another value',
      { objectives: [{ name: 'area', metric: 'time_s', goal: 'min' }] },
      /objective 'area' has the name of another value/,
    ],
  ])('%s', (_, change, message) => {
    expect(() => compiledOf(change)).toThrow(InputError);
    expect(() => compiledOf(change)).toThrow(message);
  });
});
