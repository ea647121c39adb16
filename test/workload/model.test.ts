import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import { validateModel } from '../../src/workload/model.js';
import { modelJson, modelNames } from './models.js';

type Json = Record<string, object | undefined>;
const broken = (name: string, change: (m: Json) => void) => {
  const json = modelJson(name) as Json;
  change(json);
  return () => validateModel(json, 'm.json');
};

describe('a model file is refused with the reason', () => {
  test.each<[string, string, (m: Json) => void, RegExp]>([
    [
      'unknown key',
      'llama-2-7b',
      (m) => Object.assign(m, { layer: 3 }),
      /^m\.json: unknown key 'layer'; did you mean 'layers'/,
    ],
    [
      'nested key',
      'llama-2-7b',
      (m) => Object.assign(m['attention']!, { head: 3 }),
      /attention: unknown key 'head'; did you mean 'heads'/,
    ],
    ['missing', 'llama-2-7b', (m) => delete m['layers'], /'layers' is missing/],
    ['zero', 'llama-2-7b', (m) => Object.assign(m, { layers: 0 }), /layers: must be >= 1, got 0/],
    ['text', 'llama-2-7b', (m) => Object.assign(m, { hidden: '4096' }), /hidden: expected integer, got "4096"/],
    ['huge', 'llama-2-7b', (m) => Object.assign(m, { vocab: 1e12 }), /vocab: must be <= 16777216/],
    [
      'kind',
      'llama-2-7b',
      (m) => Object.assign(m, { kind: 'decodr' }),
      /kind: expected one of .* did you mean 'decoder'/,
    ],
    [
      'kv heads',
      'llama-2-7b',
      (m) => Object.assign(m['attention']!, { kv_heads: 5 }),
      /kv_heads: 5 does not divide attention.heads 32/,
    ],
    ['no ffn', 'llama-2-7b', (m) => Reflect.deleteProperty(m['ffn']!, 'hidden'), /either ffn.hidden/],
    ['top k', 'qwen3-30b-a3b', (m) => Object.assign(m['experts']!, { top_k: 129 }), /top_k: 129 is more than the 128/],
    ['no vocabulary', 'gpt-2', (m) => delete m['vocab'], /vocab: kind 'decoder' needs it/],
    ['no table', 'gpt-2', (m) => Reflect.deleteProperty(m['positions']!, 'max'), /positions.max/],
    [
      'patches',
      'vit-b-16',
      (m) => Object.assign(m['patches']!, { patch: 15 }),
      /15 does not divide the image's side 224/,
    ],
    ['head', 'bert-base', (m) => Object.assign(m, { head: 'lm' }), /head: 'lm' does not go with kind 'encoder'/],
    ['classes', 'vit-b-16', (m) => delete m['classes'], /classes: head 'classifier' needs it/],
    ['two stacks', 'gpt-2', (m) => Object.assign(m, { decoder_layers: 3 }), /decoder_layers/],
  ])('%s', (_, name, change, message) => {
    expect(broken(name, change)).toThrow(InputError);
    expect(broken(name, change)).toThrow(message);
  });

  test('any change of one value gives a model or an InputError', () => {
    const names = modelNames();
    const value = fc.oneof(fc.integer(), fc.double(), fc.constant(null), fc.string(), fc.constant({}), fc.boolean());
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.nat(), fc.nat(), value, (name, i, j, replacement) => {
        const json = modelJson(name) as Record<string, unknown>;
        const keys = Object.keys(json);
        const key = keys[i % keys.length]!;
        const inner = json[key];
        if (typeof inner === 'object' && inner !== null && j % 3 > 0) {
          const nested = Object.keys(inner);
          (inner as Record<string, unknown>)[nested[j % nested.length]!] = replacement;
        } else json[key] = replacement;
        try {
          validateModel(json, 'm.json');
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
