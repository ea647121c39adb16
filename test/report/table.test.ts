import { describe, expect, it } from 'vitest';
import { displayWidth, printable, type Table, textTable } from '../../src/report/table.js';

const table: Table = {
  id: 't',
  title: 'T',
  columns: [
    { key: 'a', label: 'Op', align: 'left' },
    { key: 'b', label: 'Time', align: 'right' },
  ],
  rows: [
    [{ text: 'gemm' }, { text: '1.25 ms', value: 0.00125 }],
    [{ text: '注意' }, { text: '3 s', value: 3 }],
    [{ text: 'x\u001b[31m\ny' }, { text: '' }],
  ],
};

describe('text tables', () => {
  it('align by the width a terminal gives', () => {
    expect(textTable(table).split('\n')).toEqual([
      'Op           Time',
      '────────  ───────',
      'gemm      1.25 ms',
      '注意          3 s',
      'x [31m y',
    ]);
  });

  it('let no name move the cursor', () => {
    expect(printable('a\u001b[2Jb\u202ec')).toBe('a [2Jb c');
    expect(displayWidth('e\u0301注')).toBe(3);
  });

  it('style only what they are asked to', () => {
    const styled = textTable(table, { head: (t) => `<${t}>` });
    expect(styled.split('\n')[0]).toBe('<Op           Time>');
    expect(styled.split('\n').slice(1)).toEqual(textTable(table).split('\n').slice(1));
  });
});
