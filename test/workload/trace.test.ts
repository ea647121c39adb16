import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import { expandWorkload } from '../../src/workload/expand/index.js';
import type { Trace } from '../../src/workload/op.js';
import { parseWorkloadSpec } from '../../src/workload/spec.js';
import { readTrace, TRACE_LIMITS, writeTrace } from '../../src/workload/trace.js';
import { model, modelNames } from './models.js';

const expand = (text: string): Trace => {
  const spec = parseWorkloadSpec(text);
  return expandWorkload(model(spec.model), spec);
};
const TEXT = writeTrace(expand('qwen3-30b-a3b:decode,batch=3,context=20'));
const LINES = TEXT.trimEnd().split('\n');
const changed = (line: number, change: (object: Record<string, unknown>) => void): string => {
  const object = JSON.parse(LINES[line]!);
  change(object);
  return [...LINES.slice(0, line), JSON.stringify(object), ...LINES.slice(line + 1)].join('\n');
};
const lineOf = (name: string) => LINES.findIndex((line) => line.includes(`"name":"${name}"`));

describe('round trip', () => {
  test.each([
    ...modelNames(),
    'llama-2-70b:generate,lens=5/9,output=4,tp=2,weights=int4',
    't5-small:generate,output=3',
  ])('%s', (text) => {
    const trace = expand(text);
    const written = writeTrace(trace);
    expect(readTrace(written)).toEqual(trace);
    expect(writeTrace(readTrace(written))).toBe(written);
  });

  test('a trace written by hand may leave defaults out', () => {
    const op = { kind: 'softmax', id: 'a', name: 's', rows: 4, cols: 8, dtype: 'fp32' };
    const trace = readTrace(`{"tilewright":"trace","version":1,"name":"mine"}\n${JSON.stringify(op)}`);
    expect(trace.devices).toBe(1);
    expect(trace.ops).toEqual([{ ...op, repeat: 1, deps: [] }]);
  });
});

describe('a fault is said with its file and line', () => {
  test.each<[string, string, RegExp]>([
    ['nothing', '', /^t\.jsonl:1: empty/],
    ['not JSON', 'hello\n', /^t\.jsonl:1: /],
    ['no header', LINES.slice(1).join('\n'), /^t\.jsonl:1: not a trace/],
    ['another version', changed(0, (h) => (h['version'] = 2)), /^t\.jsonl:1: version 2/],
    ['a key of the header', changed(0, (h) => (h['devicse'] = 2)), /:1: unknown key 'devicse'; did you mean 'devices'/],
    ['header alone', `${LINES[0]!.replace(/,"ops":\d+/, '')}\n`, /^t\.jsonl:1: a header and no ops/],
    ['cut in a line', TEXT.slice(0, -20), /:\d+: the file ends in the middle of a line \(truncated\?\)/],
    [
      'cut between lines',
      `${LINES.slice(0, -2).join('\n')}\n`,
      /the header promises \d+ ops, but \d+ follow \(truncated\?\)/,
    ],
    ['blank line', `${LINES[0]}\n\n${LINES[1]}`, /^t\.jsonl:2: blank line/],
    ['no object', `${LINES[0]}\n7`, /^t\.jsonl:2: expected an op as a JSON object/],
    ['no kind', changed(2, (op) => delete op['kind']), /^t\.jsonl:3: an op needs a 'kind'/],
    [
      'unknown kind',
      changed(1, (op) => (op['kind'] = 'gathr')),
      /^t\.jsonl:2: unknown kind of op 'gathr'; did you mean 'gather'/,
    ],
    ['kind of the prototype', changed(1, (op) => (op['kind'] = 'constructor')), /unknown kind of op 'constructor'/],
    ['unknown key', changed(1, (op) => (op['colums'] = 1)), /^t\.jsonl:2: unknown key 'colums'/],
    ['missing key', changed(1, (op) => delete op['cols']), /^t\.jsonl:2: 'cols' is missing/],
    ['negative', changed(1, (op) => (op['rows'] = -1)), /^t\.jsonl:2: rows: must be >= 1, got -1/],
    ['a fraction', changed(1, (op) => (op['rows'] = 1.5)), /^t\.jsonl:2: rows: expected integer, got 1.5/],
    ['too large', changed(1, (op) => (op['rows'] = 1e300)), /^t\.jsonl:2: rows: must be <=/],
    ['infinite', TEXT.replace(/"rows":\d+/, '"rows":1e999'), /^t\.jsonl:2: rows: /],
    ['unknown dtype', changed(1, (op) => (op['dtype'] = 'bf61')), /dtype: expected one of .* did you mean 'bf16'/],
    [
      'same id',
      changed(2, (op) => (op['id'] = 'embedding.tokens')),
      /^t\.jsonl:3: id 'embedding.tokens' is already that of line 2/,
    ],
    [
      'unknown dep',
      changed(2, (op) => (op['deps'] = ['embeding.tokens'])),
      /unknown op in deps 'embeding.tokens'; did you mean 'embedding.tokens'/,
    ],
    [
      'later dep',
      changed(2, (op) => (op['deps'] = ['head.logits'])),
      /depends on 'head.logits', which comes later \(line \d+\)/,
    ],
    ['itself', changed(2, (op) => (op['deps'] = [op['id']])), /depends on itself/],
    [
      'heads',
      changed(lineOf('layer.attention.core'), (op) => (op['kv_heads'] = 5)),
      /kv_heads: 5 does not divide heads 32/,
    ],
    [
      'causal',
      changed(lineOf('layer.attention.core'), (op) => (op['q_len'] = 21)),
      /21 queries, but a sequence has 20 keys/,
    ],
    [
      'rows',
      changed(lineOf('layer.ffn.down_proj'), (op) => (op['rows_by_group'] = [24])),
      /rows_by_group: 1 entries for \d+ groups/,
    ],
    ['topk', changed(lineOf('layer.ffn.topk'), (op) => (op['k'] = 129)), /k: 129 of 128 columns/],
  ])('%s', (_, text, message) => {
    expect(() => readTrace(text, 't.jsonl')).toThrow(InputError);
    expect(() => readTrace(text, 't.jsonl')).toThrow(message);
  });

  test('a line beyond the limit is refused', () => {
    expect(() => readTrace(`${LINES[0]}\n${' '.repeat(TRACE_LIMITS.line + 1)}`, 't')).toThrow(/^t:2: \d+ characters/);
  });

  test('any mutation reads as a trace or is an InputError that names a line', () => {
    const cut = fc.record({ at: fc.nat(TEXT.length - 1), remove: fc.nat(5), insert: fc.string({ maxLength: 3 }) });
    fc.assert(
      fc.property(cut, ({ at, remove, insert }) => {
        const text = TEXT.slice(0, at) + insert + TEXT.slice(at + remove);
        try {
          const trace = readTrace(text, 't.jsonl');
          expect(readTrace(writeTrace(trace))).toEqual(trace);
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
          expect((error as Error).message).toMatch(/^t\.jsonl:\d+: /);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
