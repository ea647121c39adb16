/** Comma-separated values (RFC 4180), strictly: what is no such table is refused with the line where it ends to be one. */
import { InputError } from '../base/errors.js';

export interface CsvRow {
  /** Where it begins, the first line of the file being 1. */
  readonly line: number;
  readonly values: readonly string[];
}

/** Field, and what follows it: a comma, the end of the line, or of the text. */
const QUOTED = /"((?:[^"]|"")*)"[ \t]*(,|\r\n|\n|\r|$)/y;
const BARE = /([^",\r\n]*)(,|\r\n|\n|\r|$)/y;

/** Header and rows with as many values; blanks around values and empty lines are left out. @throws InputError with FILE:LINE */
export function readCsv(text: string, file: string): { columns: string[]; rows: CsvRow[] } {
  const [head, ...rows] = records(text.replace(/^\uFEFF/, ''), file);
  if (!head) throw new InputError('the file is empty', file);
  const columns = [...head.values];
  const place = `${file}:${head.line}`;
  columns.forEach((name, i) => {
    if (name === '') throw new InputError(`column ${i + 1} has no name`, place);
    const first = columns.indexOf(name);
    if (first < i) throw new InputError(`the name '${name}' stands over columns ${first + 1} and ${i + 1}`, place);
  });
  const other = columns.length === 1 && /[;\t]/.exec(columns[0]!)?.[0];
  if (other)
    throw new InputError(`columns are parted by ${other === ';' ? 'semicolons' : 'tabs'}, expected commas`, place);
  if (rows.length === 0) throw new InputError('the table has no rows', file);
  for (const { line, values } of rows)
    if (values.length !== columns.length)
      throw new InputError(
        `${values.length} value${values.length === 1 ? '' : 's'}, expected ${columns.length}: ${columns.join(', ')}`,
        `${file}:${line}`,
      );
  return { columns, rows };
}

function records(text: string, file: string): CsvRow[] {
  const out: CsvRow[] = [];
  let line = 1;
  let start = 1;
  let values: string[] = [];
  for (let at = 0; at < text.length || values.length > 0; ) {
    const quoted = /^[ \t]*"/.exec(text.slice(at, at + 64));
    const pattern = quoted ? QUOTED : BARE;
    pattern.lastIndex = quoted ? at + quoted[0].length - 1 : at;
    const found = pattern.exec(text);
    if (!found)
      throw new InputError(
        quoted
          ? `the quote before value ${values.length + 1} is not closed before a comma or the end of a line`
          : `a quote inside value ${values.length + 1}, which does not begin with one`,
        `${file}:${line}`,
      );
    const [, field, end] = found;
    values.push((quoted ? field!.replaceAll('""', '"') : field!).trim());
    line += field!.split(/\r\n|\n|\r/).length - 1;
    at = pattern.lastIndex;
    if (end === ',') continue;
    if (values.length > 1 || values[0] !== '') out.push({ line: start, values });
    values = [];
    line++;
    start = line;
  }
  return out;
}
