/** The design spaces that ship are valid, and their points can be evaluated. */
import { describe, expect, test } from 'vitest';
import { listFiles } from '../../src/cli/files.js';
import { openSpace } from '../../src/cli/space.js';
import { compileSpace, evaluatePoint } from '../../src/explore/evaluate.js';
import { formulas } from '../../src/explore/formula.js';
import { opener } from '../../src/explore/replay.js';
import { sample } from '../../src/explore/sample.js';
import { pointOf } from '../../src/explore/space.js';

describe.each(listFiles('spaces'))('%s', (name) => {
  test('has points with results, and none that fails', async () => {
    const setup = await openSpace(name);
    const compiled = compileSpace(setup.space, await formulas(), setup.place);
    const open = opener(setup);
    const rows = [];
    for (const id of sample(setup.space.size, 4, 1))
      rows.push(await evaluatePoint(compiled, pointOf(setup.space, id), open));
    expect(rows.filter((row) => row.status === 'failed')).toEqual([]);
    expect(rows.some((row) => row.status === 'ok')).toBe(true);
  }, 60_000);
});

test('what does not fit a machine has results with a share of it away, and waits for copies', async () => {
  const setup = await openSpace('llama-2-13b-offload');
  const space = {
    ...setup.space,
    axes: setup.space.axes.map((a) => (a.path === 'offload' ? { ...a, values: ['none', 'kv'] } : a)),
  };
  const compiled = compileSpace(space, await formulas(), setup.place);
  const open = opener({ ...setup, space });
  const [fits, , over, , , , away] = await Promise.all(
    Array.from({ length: 8 }, (_, id) => evaluatePoint(compiled, pointOf(space, id), open)),
  );
  expect(fits!.status).toBe('ok');
  expect(fits!.results!['wait_s']).toBe(0);
  expect(over).toMatchObject({ axes: { offload: 'none', batch: 12 }, status: 'failed', fault: 'infeasible' });
  expect(away).toMatchObject({ axes: { offload: 'kv', batch: 12 }, status: 'ok' });
  expect(away!.results!['wait_s']).toBeGreaterThan(0);
  expect(away!.results!['wait_s']).toBeLessThan(away!.results!['time_s'] as number);
}, 60_000);
