/** Tables are read strictly: quotes, blanks and line ends as RFC 4180 has them; anything else is refused where it stands. */
import { expect, test } from 'vitest';
import { readCsv } from '../../src/validate/csv.js';

test.each<[string, string, string[], [number, string[]][]]>([
  [
    'a plain table',
    'a,b\n1,2\n3,4\n',
    ['a', 'b'],
    [
      [2, ['1', '2']],
      [3, ['3', '4']],
    ],
  ],
  ['a byte order mark and CRLF', '\uFEFFa,b\r\n1,2\r\n', ['a', 'b'], [[2, ['1', '2']]]],
  ['no line end at the last line', 'a,b\n1,', ['a', 'b'], [[2, ['1', '']]]],
  ['blanks and empty lines', ' a , b\n\n 1 ,2 \n\n', ['a', 'b'], [[3, ['1', '2']]]],
  [
    'quotes with commas, quotes and line ends',
    'a,b\n"x, ""y""\nz", 2\n3,4',
    ['a', 'b'],
    [
      [2, ['x, "y"\nz', '2']],
      [4, ['3', '4']],
    ],
  ],
])('%s', (_, text, columns, rows) => {
  const read = readCsv(text, 'f.csv');
  expect(read.columns).toEqual(columns);
  expect(read.rows.map(({ line, values }) => [line, values])).toEqual(rows);
});

test.each<[string, string, RegExp]>([
  ['nothing', '', /^f\.csv: the file is empty$/],
  ['only line ends', '\n\r\n', /^f\.csv: the file is empty$/],
  ['only a header', 'a,b\n', /^f\.csv: the table has no rows$/],
  ['a name twice', 'a,b,a\n1,2,3\n', /^f\.csv:1: the name 'a' stands over columns 1 and 3$/],
  ['no name', 'a,,b\n1,2,3\n', /^f\.csv:1: column 2 has no name$/],
  ['semicolons', 'a;b\n1;2\n', /^f\.csv:1: columns are parted by semicolons, expected commas$/],
  ['a value too few', 'a,b\n1,2\n\n3\n', /^f\.csv:4: 1 value, expected 2: a, b$/],
  ['a value too many', 'a,b\n1,2,3\n', /^f\.csv:2: 3 values, expected 2: a, b$/],
  ['an open quote', 'a,b\n1,2\n"3,4\n', /^f\.csv:3: the quote before value 1 is not closed/],
  ['a quote in the middle', 'a,b\n1,2"3"\n', /^f\.csv:2: a quote inside value 2/],
])('%s is refused', (_, text, message) => {
  expect(() => readCsv(text, 'f.csv')).toThrow(message);
});
