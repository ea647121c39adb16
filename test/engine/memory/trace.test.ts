/** Trace forms: what is read from them, however the bytes are cut, and what is refused where. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TraceFormat } from '../../../src/engine/memory/trace/formats.js';
import { TraceReader } from '../../../src/engine/memory/trace/reader.js';

type Request = readonly [address: number, write: boolean, cycle: number];

function read(text: string, over: { format?: TraceFormat; cut?: number } = {}) {
  const out: Request[] = [];
  const address = (place: readonly number[]) => (place[4]! > 99 ? 'row 100 is too far' : place[4]! * 1000 + place[5]!);
  const reader = new TraceReader({ file: 't.trace', address, ...(over.format && { format: over.format }) }, (a, w, c) =>
    out.push([a, w, c]),
  );
  const bytes = new TextEncoder().encode(text);
  const step = over.cut ?? bytes.length;
  for (let i = 0; i < bytes.length; i += step) reader.push(bytes.subarray(i, i + step));
  reader.end();
  return { out, format: reader.format };
}

test.each([
  [
    'dramsim3',
    '0x10 READ 0\n3CB7F2C0 WRITE 12\n',
    [
      [16, false, 0],
      [0x3cb7f2c0, true, 12],
    ],
  ],
  [
    'dramsim3',
    '  0X10\tP_MEM_WR  7\r\n\n# a note\n0x20 P_MEM_RD 9',
    [
      [16, true, 7],
      [32, false, 9],
    ],
  ],
  [
    'ramulator_loadstore',
    'LD 0x40\nST 128\n',
    [
      [64, false, -1],
      [128, true, -1],
    ],
  ],
  [
    'ramulator_readwrite',
    'R 0,0,1,2,3,4\nW 0,0,0,0,5,6\n',
    [
      [3004, false, -1],
      [5006, true, -1],
    ],
  ],
  [
    'ramulator_instructions',
    '3 20734016\n8 20841280 64\n',
    [
      [20734016, false, 3],
      [20841280, false, 11],
      [64, true, 11],
    ],
  ],
  [
    'plain',
    '0x40\n64\n',
    [
      [64, false, -1],
      [64, false, -1],
    ],
  ],
  [
    'plain',
    '64 W\nR 0x80\n',
    [
      [64, true, -1],
      [128, false, -1],
    ],
  ],
  ['plain', '4503599627370496\n', [[2 ** 52, false, -1]]],
] as const)('%s: %j', (format, text, expected) => {
  expect(read(text)).toEqual({ out: expected, format });
});

test('pieces of any length give the same requests', () => {
  const text = '0x10 READ 0\n0x3CB7F2C0 WRITE 12\n\n0x0 READ 99999\n0xFFFFFFFFFF READ 100000';
  const { out } = read(text);
  expect(out).toHaveLength(4);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 80 }), (cut) => {
      expect(read(text, { cut }).out).toEqual(out);
    }),
  );
});

describe('refused', () => {
  test.each<[string, RegExp, TraceFormat?]>([
    ['0x10 READ 0\n0x1G READ 1\n', /t\.trace:2: address: expected a hexadecimal number below 2\^53, got '0x1G'/],
    ['0x10 READ 0\n0x10 REED 1\n', /t\.trace:2: expected READ or WRITE, got 'REED'/],
    ['0x10 READ 0\n0x10 READ\n', /t\.trace:2: expected three words/],
    ['0x10 READ 0\n0x10 READ -1\n', /t\.trace:2: cycle: expected a whole number/],
    ['\n\nhello world, this is no trace\n', /t\.trace:3: not a line of any known form: dramsim3/],
    ['LD 0x40\nXX 0x40\n', /t\.trace:2: expected LD or ST, got 'XX'/],
    ['R 0,0,0,0,5\n', /t\.trace:1: expected six whole numbers/],
    ['R 0,0,0,0,100,0\n', /t\.trace:1: row 100 is too far/],
    ['64\n0x80\nabc\n', /t\.trace:3: address: expected a whole \(hexadecimal after 0x\) number below 2\^53, got 'abc'/],
    ['99999999999999999999\n', /t\.trace:1: address: expected a whole/],
    ['64\n', /t\.trace:1: expected three words/, 'dramsim3'],
    [`${'x'.repeat(5000)}`, /t\.trace:1: a line of more than 4096 bytes/],
  ])('%j', (text, message, format) => {
    expect(() => read(text, format ? { format } : {})).toThrow(message);
  });
});
