/** Colours of the terminal; none where NO_COLOR is set or nobody looks. */
import pc from 'picocolors';
import { type Cell, type Table, type TextStyle, textTable } from '../report/table.js';

export const STYLE: TextStyle = { head: pc.bold, rule: pc.dim };
export const { bold, dim, yellow } = pc;

/** A table from plain texts; columns of numbers stand right. */
export function plainTable(columns: readonly string[], rows: readonly (readonly (string | Cell)[])[]): string {
  const cells = rows.map((row) => row.map((cell) => (typeof cell === 'string' ? { text: cell } : cell)));
  const table: Table = {
    id: 'table',
    title: '',
    columns: columns.map((label, j) => ({
      key: label,
      label,
      align:
        cells.length > 0 && cells.every((row) => row[j]?.value !== undefined || row[j]?.text === '') ? 'right' : 'left',
    })),
    rows: cells,
  };
  return textTable(table, STYLE);
}
