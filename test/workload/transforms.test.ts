import { describe, expect, test } from 'vitest';
import { expandWorkload } from '../../src/workload/expand/index.js';
import { parseWorkloadSpec } from '../../src/workload/spec.js';
import { summarise } from '../../src/workload/summary.js';
import { quantise, scaleRepeat } from '../../src/workload/transforms.js';
import { model } from './models.js';

const expand = (text: string) => {
  const spec = parseWorkloadSpec(text);
  return expandWorkload(model(spec.model), spec);
};

describe('quantise is what expanding in those formats gives', () => {
  test.each([
    ['llama-2-7b:decode,batch=4,context=64', { weights: 'int8' }, 'weights=int8'],
    ['llama-3.1-8b:generate,prompt=8,output=4', { weights: 'int4', kv: 'fp8_e4m3' }, 'weights=int4,kv=fp8'],
    ['gpt-2:decode,context=64', { weights: 'int8', kv: 'int8' }, 'weights=int8,kv=int8'],
    ['qwen3-30b-a3b:decode,context=64,tp=4', { weights: 'fp8_e4m3' }, 'weights=fp8'],
    ['bert-base:forward,seq=64', { weights: 'int8', kv: 'int8' }, 'weights=int8'],
    ['vit-b-16:forward', { weights: 'int8' }, 'weights=int8'],
    ['t5-small:forward,seq=8', { weights: 'int8', kv: 'int8' }, 'weights=int8,kv=int8'],
  ] as const)('%s, %o', (text, formats, options) => {
    const given = quantise(expand(text), formats);
    const expected = expand(`${text},${options}`);
    expect(given.ops).toEqual(expected.ops);
    expect(given.footprint_B).toEqual(expected.footprint_B);
  });

  test.each(['llama-2-7b:decode,batch=4', 'llama-2-70b:prefill,seq=9,tp=8', 'opt-6.7b:decode', 'bert-base:forward'])(
    '%s with narrow activations: the same work and bytes',
    (text) => {
      const given = summarise(quantise(expand(text), { activations: 'int8', weights: 'int8' }));
      expect(given).toEqual(summarise(expand(`${text},activations=int8,weights=int8`)));
    },
  );
});

test('a training step keeps its formats', () => {
  expect(() => quantise(expand('gpt-2:train,seq=8'), { weights: 'int8' })).toThrow(/is a training step/);
});

test('doubling the repeats doubles the work', () => {
  const trace = expand('gpt-2:generate,prompt=8,output=3');
  const [once, twice] = [trace, scaleRepeat(trace, 2)].map((t) => summarise(t).at(-1)!);
  expect(twice!.flops).toBe(2 * once!.flops);
  expect(twice!.compulsory_B).toBe(2 * once!.compulsory_B);
  expect(twice!.ops).toBe(once!.ops);
});

test('phases of a summary sum to its total', () => {
  const summary = summarise(expand('llama-2-7b:generate,prompt=8,output=3'));
  const total = summary.pop()!;
  expect(summary.map((s) => s.phase)).toEqual(['prefill', 'decode']);
  for (const key of ['ops', 'runs', 'flops', 'compulsory_B', 'weights_B', 'kv_B'] as const)
    expect(summary.reduce((sum, s) => sum + s[key], 0)).toBe(total[key]);
});
