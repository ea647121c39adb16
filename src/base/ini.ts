/** Files of sections and 'name = value' lines, with their places; what may stand there is the reader's own matter. */
import { InputError } from './errors.js';

export interface IniLine {
  /** As written; '' before the first. */
  readonly section: string;
  /** Undefined: the line that begins the section. */
  readonly key?: string;
  readonly value: string;
  /** From 1. */
  readonly line: number;
  /** FILE:LINE. */
  readonly place: string;
}

/** Where ; and # begin a comment: anywhere, or at the start of a word only. */
const COMMENTS = { anywhere: /\s*[;#].*$/, word: /(^|\s)[;#].*$/ } as const;

/** The lines that say something, in order. @throws InputError with FILE:LINE for one that is neither of the two kinds */
export function* iniLines(text: string, file: string, comments: keyof typeof COMMENTS): Generator<IniLine> {
  let section = '';
  for (const [i, raw] of text.split(/\r?\n/).entries()) {
    const written = raw.replace(COMMENTS[comments], '').trim();
    if (written === '') continue;
    const line = i + 1;
    const place = `${file}:${line}`;
    const head = /^\[\s*(\w+)\s*\]$/.exec(written);
    if (head) {
      section = head[1]!;
      yield { section, value: '', line, place };
      continue;
    }
    const pair = /^([\w.]+)\s*[=:]\s*(.*)$/.exec(written);
    if (!pair) throw new InputError(`expected 'name = value' or '[section]', got '${written.slice(0, 60)}'`, place);
    yield { section, key: pair[1]!, value: pair[2]!.trim(), line, place };
  }
}
