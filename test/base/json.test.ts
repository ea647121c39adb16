import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import { parseJson } from '../../src/base/json.js';

test('reads what JSON.parse reads, with the same value', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      if (text.includes('__proto__')) return;
      expect(parseJson(text).value).toEqual(JSON.parse(text));
    }),
  );
});

test('any text gives a value or an InputError; what JSON.parse refuses is refused', () => {
  const damaged = fc.tuple(fc.json(), fc.nat(), fc.string({ maxLength: 2 })).map(([t, i, s]) => {
    const at = i % (t.length + 1);
    return t.slice(0, at) + s + t.slice(at + 1);
  });
  fc.assert(
    fc.property(fc.oneof(fc.string(), damaged), (text) => {
      let fine = true;
      try {
        JSON.parse(text);
      } catch {
        fine = false;
      }
      try {
        parseJson(text);
        expect(fine).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(InputError);
      }
    }),
  );
});

test.each([
  ['{"a": 1,}', /x:1:9: invalid JSON: expected a key in double quotes/],
  ['{"a": 1\n"b": 2}', /x:2:1: invalid JSON: expected ',' or '}'/],
  ['{"a": ', /x:1:7: invalid JSON: the file ends where a value was expected/],
  ['{"a": 1, "a": 2}', /x:1:10: .*'a' stands here a second time/],
  ['{"__proto__": 1}', /not allowed/],
  ['[1] 2', /something follows/],
  ['{"a": NaN}', /x:1:7: invalid JSON: expected a value/],
  ['["a\nb"]', /x:1:2: .*line break/],
  ['['.repeat(100), /nested deeper than 64/],
])('%s is refused with its place', (text, message) => {
  expect(() => parseJson(text, 'x')).toThrow(message);
});

test('knows the line of a path, or of its nearest parent', () => {
  const { lineOf } = parseJson('{\n "a": {\n  "b": [1,\n   2]\n }\n}');
  expect([lineOf(''), lineOf('a'), lineOf('a.b'), lineOf('a.b.1'), lineOf('a.c.d')]).toEqual([1, 2, 3, 4, 2]);
});
