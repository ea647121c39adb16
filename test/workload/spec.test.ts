import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import { expandWorkload } from '../../src/workload/expand/index.js';
import { resolveSpec } from '../../src/workload/resolve.js';
import { formatWorkloadSpec, PHASES, parseWorkloadSpec, SPEC_KEYS } from '../../src/workload/spec.js';
import { model } from './models.js';

const resolve = (text: string) => {
  const spec = parseWorkloadSpec(text);
  return resolveSpec(model(spec.model), spec);
};

describe('a spec is read', () => {
  test.each([
    ['llama-2-7b', { model: 'llama-2-7b' }],
    ['llama-2-7b:decode', { model: 'llama-2-7b', phase: 'decode' }],
    ['m:decode, batch = 8 ,context=2048', { model: 'm', phase: 'decode', batch: 8, context: 2048 }],
    ['m:prefill,lens=128/512/1024,logits=all', { model: 'm', phase: 'prefill', lens: [128, 512, 1024], logits: 'all' }],
    [
      'm:decode,dtype=bfloat16,weights=i4,kv=fp8',
      { model: 'm', phase: 'decode', dtype: 'bf16', weights: 'int4', kv: 'fp8_e4m3' },
    ],
    [
      './my models/m.json:generate,prompt=5,output=2',
      { model: './my models/m.json', phase: 'generate', prompt: 5, output: 2 },
    ],
    ['C:\\models\\m.json', { model: 'C:\\models\\m.json' }],
    ['C:\\models\\m.json:decode', { model: 'C:\\models\\m.json', phase: 'decode' }],
    ['a:b/m.json', { model: 'a:b/m.json' }],
  ])('%s', (text, expected) => expect(parseWorkloadSpec(text)).toEqual(expected));
});

describe('a slip is answered with what was meant', () => {
  test.each([
    ['', /expected NAME/],
    [':decode', /expected NAME/],
    ['m:', /no phase after the colon/],
    ['m:batch=8', /expected a phase before 'batch=8'/],
    ['m:decod', /unknown phase 'decod'; did you mean 'decode'\?/],
    ['m:decode,bach=8', /unknown key 'bach'; did you mean 'batch'\?/],
    ['m:decode,batch', /expected key=value, got 'batch'/],
    ['m:decode,', /expected key=value/],
    ['m:decode,batch=0', /batch: expected at least 1/],
    ['m:decode,batch=-3', /batch: expected a positive whole number, got '-3'/],
    ['m:decode,batch=NaN', /batch: expected a positive whole number/],
    ['m:decode,batch=1e9', /batch: expected a positive whole number/],
    ['m:decode,batch=2.5', /batch: expected a positive whole number/],
    ['m:decode,batch=99999999999999999999', /batch: .* is more than the 65536/],
    ['m:decode,batch=1,batch=2', /'batch' is given twice/],
    ['m:prefill,lens=1//2', /lens: expected a positive whole number, got ''/],
    ['m:prefill,logits=lst', /did you mean 'last'/],
    ['m:train,dp=0', /dp: expected at least 1/],
    ['m:train,optimizer=adem', /did you mean 'adam'/],
    ['m:decode,weights=int3', /weights: unknown number format 'int3'; did you mean 'int/],
  ])('%s', (text, message) => {
    expect(() => parseWorkloadSpec(text)).toThrow(InputError);
    expect(() => parseWorkloadSpec(text)).toThrow(message);
  });

  test.each([
    ['bert-base:train', /phase 'train' is not available for bert-base, an encoder model; available: prefill, forward/],
    ['qwen3-30b-a3b:train', /qwen3-30b-a3b has routed experts; train expands decoders with dense blocks, an lm head/],
    ['llama-2-7b:train,dtype=fp8', /train computes in fp16, bf16, tf32, fp32, not in fp8_e4m3/],
    ['llama-2-7b:train,weights=int8', /train of a decoder model takes no 'weights'/],
    ['llama-2-7b:decode,accumulate=2', /decode of a decoder model takes no 'accumulate'/],
    [
      'bert-base:decode',
      /phase 'decode' is not available for bert-base, an encoder model; available: prefill, forward/,
    ],
    ['vit-b-16:image', /not available for vit-b-16, a vision model; available: forward, prefill/],
    ['llama-2-7b:decode,seq=5', /decode of a decoder model takes no 'seq' \(it takes: /],
    ['vit-b-16:forward,seq=5', /takes no 'seq'/],
    ['gpt-2:prefill,seq=1025', /gpt-2 has 1024 learned positions, but position 1025 is needed/],
    ['gpt-2:generate,prompt=1000,output=26', /position 1025 is needed/],
    ['llama-2-7b:decode,tp=3', /tp=3 does not divide the 32 heads of llama-2-7b; possible: 1, 2, 4, 8, 16, 32/],
    ['llama-2-7b:prefill,seq=5,lens=5/6', /either seq .* or lens/],
    ['llama-2-7b:prefill,batch=65536,seq=16777216', /too large to count; take a smaller batch or length/],
    ['llama-2-7b:prefill,batch=3,lens=5/6', /batch=3, but lens has 2 lengths/],
  ])('%s', (text, message) => {
    const { model: name } = parseWorkloadSpec(text);
    const expand = () => expandWorkload(model(name), parseWorkloadSpec(text));
    expect(expand).toThrow(InputError);
    expect(expand).toThrow(message);
  });

  test('gpt-2 generates up to its last position', () => {
    expect(resolve('gpt-2:generate,prompt=1000,output=25').output).toBe(25);
  });
});

describe('the canonical form', () => {
  test('has its keys in one order and parses back to itself', () => {
    expect(formatWorkloadSpec(parseWorkloadSpec('m:decode,kv=fp8,context=7,batch=2'))).toBe(
      'm:decode,batch=2,context=7,kv=fp8_e4m3',
    );
    const value = { count: fc.integer({ min: 1, max: 1024 }), dtype: fc.constantFrom('bf16', 'int8', 'fp8_e4m3') };
    const keys = fc.record(
      {
        batch: value.count,
        seq: value.count,
        context: value.count,
        prompt: value.count,
        output: value.count,
        tp: value.count,
        lens: fc.array(value.count, { minLength: 1, maxLength: 5 }),
        logits: fc.constantFrom('last', 'all'),
        dp: value.count,
        accumulate: value.count,
        optimizer: fc.constantFrom('adam', 'sgd', 'none'),
        checkpoint: fc.constantFrom('0', '1'),
        attention: fc.constantFrom('fused', 'unfused'),
        dtype: value.dtype,
        weights: value.dtype,
        activations: value.dtype,
        kv: value.dtype,
        head: value.dtype,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(keys, fc.constantFrom(...PHASES), fc.array(fc.nat()), (options, phase, order) => {
        const spec = { model: 'm', phase, ...options } as Parameters<typeof formatWorkloadSpec>[0];
        const text = formatWorkloadSpec(spec);
        expect(parseWorkloadSpec(text)).toEqual(spec);
        const [head, ...parts] = text.split(',');
        const shuffled = parts.map((p, i) => [order[i] ?? 0, p] as const).sort((a, b) => a[0] - b[0]);
        const other = [head, ...shuffled.map(([, p]) => p)].join(',');
        expect(formatWorkloadSpec(parseWorkloadSpec(other))).toBe(text);
      }),
    );
  });

  test('of a resolved spec says every default, and resolves to the same', () => {
    expect(resolve('llama-2-7b').text).toBe('llama-2-7b:prefill,batch=1,seq=2048,logits=last');
    expect(resolve('bert-base:forward').text).toBe('bert-base:forward,batch=1,seq=512');
    expect(resolve('t5-small').text).toBe('t5-small:prefill,batch=1,seq=512');
    for (const text of ['gpt-2:generate,batch=2', 'llama-3.1-70b:decode,tp=8,weights=int8', 'vit-b-16']) {
      const once = resolve(text);
      expect(resolve(once.text)).toEqual(once);
    }
  });

  test('random text is either a spec or an InputError', () => {
    const word = fc.constantFrom(
      'llama-2-7b',
      ':',
      ',',
      '=',
      '/',
      'decode',
      'generate',
      'NaN',
      '-1',
      '8',
      ...SPEC_KEYS,
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), (words) => {
        try {
          const spec = parseWorkloadSpec(words.join(''));
          if (spec.model === 'llama-2-7b') expandWorkload(model(spec.model), { ...spec, output: 3 });
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
