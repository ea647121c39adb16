/** The array that is watched: sentences and pages say what the frames hold. */
import { describe, expect, test } from 'vitest';
import { arrayHtml, framesOf, frameText, utilisationSentence } from '../../src/report/array.js';

const W = { name: 'Array', dataflow: 'ws', product: { m: 6, n: 4, k: 5 }, rows: 4, cols: 4 } as const;

describe('text', () => {
  test('a cycle shows words, products and results', () => {
    const [load, work] = [framesOf(W, 3, 3)[0]!, framesOf(W, 5, 5)[0]!];
    expect(frameText(W, load)).toMatch(/cycle 3 of 32 · fold 1 of 2 · load .* 0\/16/);
    expect(frameText(W, load)).toContain('↓b[3,3]');
    // the second product of row 0 is beside the first, a cycle behind
    expect(frameText(W, work)).toMatch(/a\[1,0\] {2}1,0,0 {2}0,1,0/);
    expect(frameText(W, framesOf(W, 10, 10)[0]!)).toMatch(/→ .*c\[/);
  });

  test('the sentence adds up', () => {
    // 6 words, 4 to load, 6 of skew: 16 cycles a fold; the second fold has one row of four
    expect(utilisationSentence(W)).toMatch(/Of 16 cycles of a fold 6 bring new words, 4 load .* 6 wait/);
    expect(utilisationSentence(W)).toMatch(/2 folds, one after another, which leave 37\.5 %/);
    expect(utilisationSentence(W)).toMatch(/23\.4 %/);
    const one = { ...W, dataflow: 'os' as const, product: { m: 4, n: 4, k: 90 } };
    expect(utilisationSentence(one)).toMatch(/there is 1 fold\. The array does 93\.8 %/);
  });
});

test('the page holds every cycle and no markup of the user’s', () => {
  const html = arrayHtml({ ...W, name: '<b>x</b>' }, '0', 'tilewright array');
  const data = JSON.parse(/id="tilewright-report">(.*?)<\/script>/s.exec(html)![1]!);
  expect(data.frames).toHaveLength(32);
  expect(data.frames[5].busy).toBe(3);
  expect(html).not.toContain('<b>x');
  expect(html.match(/data-cycle=/g)).toHaveLength(32);
});
