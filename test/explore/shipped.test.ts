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
