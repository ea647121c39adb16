import { describe, expect, test } from 'vitest';
import { parameterCount, parameterGroups } from '../../src/workload/parameters.js';
import { shardsOf } from '../../src/workload/shard.js';
import { model, modelNames } from './models.js';

/**
 * Parameters, exact: the sums of the published checkpoints' tensors (`sum(p.numel())` of the reference implementation,
 * tied tables once). Rounded published names: GPT-2 XL "1.5B", GPT-3 "175B", Llama-2 "7B/13B/70B", Qwen3-30B "30.5B".
 */
const EXPECTED: Record<string, number> = {
  'bert-base': 109_482_240,
  'bert-large': 335_141_888,
  'gpt-2': 124_439_808,
  'gpt-2-medium': 354_823_168,
  'gpt-2-large': 774_030_080,
  'gpt-2-xl': 1_557_611_200,
  'gpt-3-175b': 174_604_259_328,
  // 12Lh² + 13Lh in the layers, (50257 + 8192)h in the tables and 2h in the last norm
  'gpt-3-1.3b': 24 * (12 * 2048 ** 2 + 13 * 2048) + (50257 + 8192 + 2) * 2048,
  'gpt-3-2.7b': 32 * (12 * 2560 ** 2 + 13 * 2560) + (50257 + 8192 + 2) * 2560,
  'opt-6.7b': 6_658_473_984,
  'opt-13b': 12_853_473_280,
  'opt-30b': 29_974_540_288,
  't5-small': 60_506_624,
  'vit-b-16': 86_567_656,
  'xlm-mlm-en-2048': 667_088_896,
  // its layers as published, and one table of full width
  'transformer-xl-wt103': 18 * (12 * 1024 ** 2 + 4096 + 1024 + 4 * 1024) + 267_735 * 1024,
  'llama-2-7b': 6_738_415_616,
  'llama-2-13b': 13_015_864_320,
  'llama-2-70b': 68_976_648_192,
  'llama-3.1-8b': 8_030_261_248,
  'llama-3.1-70b': 70_553_706_496,
  'qwen3-8b': 8_190_735_360,
  'qwen3-32b': 32_762_123_264,
  'qwen3-30b-a3b': 30_532_122_624,
};

describe('parameters', () => {
  test('every shipped model is in the table', () => {
    expect(modelNames().sort()).toEqual(Object.keys(EXPECTED).sort());
  });
  test.each(Object.entries(EXPECTED))('%s has %i', (name, expected) => {
    expect(parameterCount(model(name))).toBe(expected);
  });
  test.each(Object.keys(EXPECTED))('%s names its source and its own file', (name) => {
    expect(model(name).source.length).toBeGreaterThan(20);
    expect(model(name).name).toBe(name);
  });
  test('linear parameters split over devices sum to the whole', () => {
    const m = model('llama-2-70b');
    const linear = (tp: number) =>
      parameterGroups(m, tp).reduce((s, g) => s + (g.role === 'linear' ? g.elements * g.copies : 0), 0);
    for (const tp of shardsOf(m).filter((n) => n <= m.attention.kv_heads)) expect(linear(tp) * tp).toBe(linear(1));
  });
});
