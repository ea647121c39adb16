import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import { resolveAxis } from '../../src/explore/axis.js';
import { parseSpace, pointOf } from '../../src/explore/space.js';

const SMALL = {
  name: 'small',
  base: { machine: 'h100-sxm', workload: 'gpt-2:decode,batch=1' },
  axes: [
    { path: 'machine.sms', name: 'SMs', values: [100, 132] },
    { path: 'workload.batch', values: [1, 2, 4] },
  ],
  objectives: [{ name: 'time', metric: 'time_s', goal: 'min' }],
};

describe('the points of a space', () => {
  test('are numbered by mixed radix, the last axis fastest', () => {
    const space = parseSpace(SMALL);
    expect(space.size).toBe(6);
    expect(Array.from({ length: 6 }, (_, i) => pointOf(space, i).values)).toEqual([
      [100, 1],
      [100, 2],
      [100, 4],
      [132, 1],
      [132, 2],
      [132, 4],
    ]);
  });

  test('are all different, for any radices', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 }), (radices) => {
        const axes = radices.map((n, i) => ({ path: `machine.f${i}`, values: Array.from({ length: n }, (_, v) => v) }));
        const space = parseSpace({ ...SMALL, axes });
        const seen = new Set(Array.from({ length: space.size }, (_, i) => pointOf(space, i).values.join()));
        expect(seen.size).toBe(radices.reduce((a, b) => a * b, 1));
      }),
    );
  });
});

describe('ranges', () => {
  const values = (range: object) => resolveAxis({ path: 'machine.x', range } as never, 'here').values;
  test.each<[string, object, unknown[]]>([
    ['steps reach the end', { from: 0, to: 0.3, step: 0.1 }, [0, 0.1, 0.2, 0.3]],
    ['steps do not pass the end', { from: 1, to: 6, step: 2 }, [1, 3, 5]],
    ['units are kept', { from: '40 MiB', to: '60 MiB', step: '10 MiB' }, ['40 MiB', '50 MiB', '60 MiB']],
    ['factors', { from: 1, to: 64, factor: 4 }, [1, 4, 16, 64]],
    ['counts, linear', { from: 0, to: 10, count: 3 }, [0, 5, 10]],
    ['counts, logarithmic', { from: 1, to: 100, count: 3, scale: 'log' }, [1, 10, 100]],
    ['whole numbers', { from: 1, to: 4, count: 8, whole: true }, [1, 2, 3, 4]],
  ])('%s', (_, range, expected) => {
    expect(values(range)).toEqual(expected);
  });
  test.each<[object, RegExp]>([
    [{ from: 1, to: 1, step: 1 }, /must be above/],
    [{ from: 2, to: 1, step: 1 }, /must be above/],
    [{ from: 1, to: 2 }, /one of step, factor and count/],
    [{ from: 1, to: 2, step: 1, count: 2 }, /one of step, factor and count/],
    [{ from: 1, to: 2, step: 0 }, /above 0/],
    [{ from: '1 GB', to: '2 GiB', step: 1 }, /'GB' but to is in 'GiB'/],
    [{ from: '1 GB', to: '2 GB', step: 1 }, /'GB' but step is in ''/],
    [{ from: 0, to: 2, count: 3, scale: 'log' }, /start above 0/],
    [{ from: 'many', to: 2, step: 1 }, /not a number with a unit/],
    [{ from: 0, to: 1, step: 1e-9 }, /more than 100000/],
  ])('%j', (range, message) => {
    expect(() => values(range)).toThrow(InputError);
    expect(() => values(range)).toThrow(message);
  });
});

describe('a bad space says what is wrong', () => {
  test.each<[string, object, RegExp]>([
    ['unknown key', { axis: [] }, /unknown key 'axis'; did you mean 'axes'\?/],
    ['missing objectives', { objectives: undefined }, /'objectives' is missing/],
    ['root', { axes: [{ path: 'machin.sms', values: [1] }] }, /must start with machine, workload, mapping or offload/],
    ['offload', { axes: [{ path: 'offload', values: ['none', 'weigths'] }] }, /'weigths'; did you mean 'weights'\?/],
    ['share', { axes: [{ path: 'offload', values: ['kv:2'] }] }, /share from 0 to 1/],
    ['path of offload', { axes: [{ path: 'offload.what', values: ['kv'] }] }, /expected offload/],
    [
      'offload twice',
      { base: { ...SMALL.base, offload: 'kv' }, axes: [{ path: 'offload', values: ['none'] }] },
      /given once/,
    ],
    ['offload in base', { base: { ...SMALL.base, offload: 'all' } }, /base\.offload.*'all'/],
    ['mapping', { axes: [{ path: 'mapping.gemm', values: [1] }] }, /expected mapping\.KERNEL\.PARAM/],
    [
      'both values and range',
      { axes: [{ path: 'machine.x', values: [1], range: { from: 1, to: 2, count: 2 } }] },
      /one of them/,
    ],
    ['neither', { axes: [{ path: 'machine.x' }] }, /one of them/],
    ['value twice', { axes: [{ path: 'machine.x', values: [1, 1] }] }, /stands twice/],
    [
      'path twice',
      {
        axes: [
          { path: 'machine.x', name: 'a', values: [1] },
          { path: 'machine.x', name: 'b', values: [1] },
        ],
      },
      /path of an axis 'machine\.x' stands twice/,
    ],
    [
      'name twice',
      {
        axes: [
          { path: 'machine.a.x', values: [1] },
          { path: 'machine.b.x', values: [1] },
        ],
      },
      /'x' stands for two things/,
    ],
    ['no workload', { base: { machine: 'a100' } }, /'workload' must be given once/],
    ['machine twice', { axes: [{ path: 'machine', values: ['t4'] }] }, /'machine' must be given once/],
    [
      'machine by number',
      { base: { workload: 'w' }, axes: [{ path: 'machine', values: [1] }] },
      /values must be names/,
    ],
    ['goal', { objectives: [{ name: 't', metric: 'time_s', goal: 'least' }] }, /expected one of min, max/],
    [
      'too many points',
      { axes: Array.from({ length: 20 }, (_, i) => ({ path: `machine.f${i}`, range: { from: 1, to: 100, step: 1 } })) },
      /more than can be numbered/,
    ],
  ])('%s', (_, change, message) => {
    const json = JSON.parse(JSON.stringify({ ...SMALL, ...change }));
    expect(() => parseSpace(json, 'my.json')).toThrow(InputError);
    expect(() => parseSpace(json, 'my.json')).toThrow(message);
    expect(() => parseSpace(json, 'my.json')).toThrow(/^my\.json/);
  });
});
