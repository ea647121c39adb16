/** Tables as data, and as plain text for terminals. Pages and Markdown render the same tables. */

export interface Column {
  readonly key: string;
  readonly label: string;
  readonly align: 'left' | 'right';
}

/** What is shown, and the number behind it when there is one. */
export interface Cell {
  readonly text: string;
  readonly value?: number;
}

export interface Table {
  readonly id: string;
  readonly title: string;
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Cell[])[];
}

/** How a terminal sets off parts of a table; the command line passes colours, the default leaves text plain. */
export interface TextStyle {
  readonly head?: (text: string) => string;
  readonly rule?: (text: string) => string;
}

const ZERO_WIDTH = /\p{Mn}|\p{Cf}/gu;
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}]/gu;

/** Columns a terminal gives the text. */
export function displayWidth(text: string): number {
  const bare = text.replace(ZERO_WIDTH, '');
  return [...bare].length + (bare.match(WIDE)?.length ?? 0);
}

/** Control characters and line separators (a name may hold anything) would move the cursor, change colours or end a line. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}|\p{Zl}|\p{Zp}|[\u202a-\u202e\u2066-\u2069]/gu, ' ');
}

/** Lines of `table`, columns aligned, two blanks apart; no trailing blanks. */
export function textTable(table: Table, style: TextStyle = {}): string {
  const cells = table.rows.map((row) => row.map((cell) => printable(cell.text)));
  const widths = table.columns.map((column, j) =>
    Math.max(displayWidth(column.label), ...cells.map((row) => displayWidth(row[j] ?? ''))),
  );
  const line = (texts: readonly string[]) =>
    texts
      .map((text, j) => {
        const pad = ' '.repeat(Math.max(0, widths[j]! - displayWidth(text)));
        return table.columns[j]!.align === 'right' ? pad + text : text + pad;
      })
      .join('  ')
      .trimEnd();
  const head = style.head ?? ((t) => t);
  const rule = style.rule ?? ((t) => t);
  return [
    head(line(table.columns.map((c) => c.label))),
    rule(widths.map((w) => '─'.repeat(w)).join('  ')),
    ...cells.map(line),
  ].join('\n');
}
