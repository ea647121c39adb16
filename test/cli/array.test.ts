/** `tilewright array` as a user runs it. */
import { beforeAll, describe, expect, test } from 'vitest';
import { built, run } from './spawn.js';

beforeAll(() => built(), 300_000);

describe('array', () => {
  test('prints cycles as text and as JSON', async () => {
    const text = await run(['array', '--cycles', '4..5']);
    expect(text.code).toBe(0);
    expect(text.stdout.match(/^cycle \d+ of 32/gm)).toEqual(['cycle 4 of 32', 'cycle 5 of 32']);
    const json = JSON.parse((await run(['array', '--json', '--dataflow', 'os', '--shape', 'm=4,n=4,k=8'])).stdout);
    expect(json.cycles).toBe(8 + 4 + 4 - 2);
    expect(json.busy.reduce((a: number, b: number) => a + b, 0)).toBe(4 * 4 * 8);
    expect(json.frames).toHaveLength(14);
  });

  test.each([
    [['--size', '4'], /expected ROWSxCOLS/],
    [['--shape', 'm=4'], /expected m=…,n=…,k=…/],
    [['--shape', 'm=4,n=4,k=4,q=1'], /'q' is not of a product/],
    [['--cycles', '90..99'], /within 0\.\.31/],
    [['--shape', 'm=900,n=900,k=900'], /too many to watch/],
    [['--dataflow', 'rs'], /Allowed choices are os, ws, is/],
  ])('%s is refused', async (args, message) => {
    const { code, stderr, stdout } = await run(['array', ...args]);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
  });
});
