import { expect, test } from 'vitest';
import { iniLines } from '../../src/base/ini.js';

const TEXT = '; a file\n\n[one]\r\na = 1 # first\nb:x;y\n[ Two ]\nc.d =\n';
const read = (comments: 'anywhere' | 'word', text = TEXT) => [...iniLines(text, 'f.ini', comments)];

test('sections and pairs come in order, with their places', () => {
  expect(read('word')).toEqual([
    { section: 'one', value: '', line: 3, place: 'f.ini:3' },
    { section: 'one', key: 'a', value: '1', line: 4, place: 'f.ini:4' },
    { section: 'one', key: 'b', value: 'x;y', line: 5, place: 'f.ini:5' },
    { section: 'Two', value: '', line: 6, place: 'f.ini:6' },
    { section: 'Two', key: 'c.d', value: '', line: 7, place: 'f.ini:7' },
  ]);
});

test('a comment begins anywhere, or at the start of a word only', () => {
  expect(read('anywhere')[2]).toMatchObject({ key: 'b', value: 'x' });
  expect(read('word', 'k = a ;b')[0]).toMatchObject({ section: '', key: 'k', value: 'a' });
});

test('any other line is an error with its place', () => {
  expect(() => read('word', '[one]\nnot a pair')).toThrow(
    /^f\.ini:2: expected 'name = value' or '\[section\]', got 'not a pair'/,
  );
});
