/** Where a command's result goes: stdout, or whole into a file with --out; as text for people or as JSON. */
import { InputError } from '../base/errors.js';
import { writeOutput } from './io.js';
import type { CommonOptions } from './options.js';

/** `json` and `text` are made only when they are wanted. */
export interface Result {
  json(): unknown;
  text(): string | Promise<string>;
}

/** What the commands write that can draw. */
export const DRAWN = 'text, JSON or a report (.html, .md, .svg, .png)';

/** `can`: what the command writes, for people. A command that draws has done so before it comes here. */
export async function emit(options: CommonOptions, result: Result, can = 'text or JSON'): Promise<void> {
  if (!options.json) refusePicture(options.out, can);
  const asJson = options.json || /\.json$/i.test(options.out ?? '');
  const body = asJson ? jsonText(result.json()) : endLine(await result.text());
  if (options.out === undefined || options.out === '-') process.stdout.write(body);
  else writeOutput(options.out, body);
}

/** Text under the name of a page or a picture is a file that nothing opens. */
export function refusePicture(path: string | undefined, can: string): void {
  const [ending] = /\.(html?|svg|png|pdf|jpe?g|gif|webp)$/i.exec(path ?? '') ?? [];
  if (ending)
    throw new InputError(`nothing is drawn here that '${ending}' could hold; expected a file for ${can}`, path);
}

/** A note for people, on stderr. */
export function note(options: CommonOptions, text: string): void {
  if (!options.quiet) process.stderr.write(`${text}\n`);
}

export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

export const endLine = (text: string): string => (text.endsWith('\n') ? text : `${text}\n`);
