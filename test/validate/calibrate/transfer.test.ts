import { expect, test } from 'vitest';
import { openMachine } from '../../../src/cli/files.js';
import { type Taught, transferred } from '../../../src/validate/calibrate/transfer.js';

const to = await openMachine('t4');
const taught = async (...set: string[]): Promise<Taught> => ({
  before: await openMachine('rtx-3090', ['launch.start=1us', 'sm.co_issue=0.2']),
  after: await openMachine('rtx-3090', ['launch.start=1us', 'sm.co_issue=0.2', ...set]),
});
const settingOf = (path: string, set: readonly string[]) =>
  Number(set.find((s) => s.startsWith(`${path}=`))?.split('=')[1] ?? to.fields.get(path)!.value);
const base = to.fields.get('launch.start')!.value;

test('a factor is taken over to a machine with another value', async () => {
  expect(settingOf('launch.start', transferred([await taught('launch.start=1.5us')], to)) / base).toBeCloseTo(1.5, 9);
});
test('of factors that differ the geometric mean counts', async () => {
  const two = [await taught('launch.start=2us'), await taught('launch.start=0.5us')];
  expect(settingOf('launch.start', transferred(two, to))).toBeCloseTo(base, 12);
  const one = [await taught('launch.start=2us'), await taught()];
  expect(settingOf('launch.start', transferred(one, to)) / base).toBeCloseTo(Math.SQRT2, 9);
});
test('a share is moved, and stays one', async () => {
  const share = to.fields.get('sm.co_issue')!.value;
  expect(settingOf('sm.co_issue', transferred([await taught('sm.co_issue=0.5')], to))).toBeCloseTo(share + 0.3, 9);
  const down = transferred([await taught('sm.co_issue=0')], to);
  expect(settingOf('sm.co_issue', down)).toBeGreaterThanOrEqual(0);
});
test('what no calibration changed stays', async () => {
  expect(transferred([await taught()], to)).toEqual([]);
});
