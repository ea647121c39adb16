/**
 * YAML of Timeloop v0.4 as plain values, with helpers that say where something is wrong. Keys that nobody asks for are
 * collected, so that nothing is dropped in silence.
 */
import { parseDocument } from 'yaml';
import { InputError } from '../../base/errors.js';

export type Value = string | number | boolean | null | Value[] | Node;
export interface Node {
  [key: string]: Value;
}

/** Tags of the architecture's nodes; a node's tag is kept under this key. */
export const TAG = '!';
const TAGS = ['Container', 'Component', 'Hierarchical', 'Parallel', 'Pipelined', 'Nothing', 'ArrayContainer'];

/** Products of a few such numbers are still finite. */
const LARGEST = 1e30;

/** Whether a text is Timeloop's: YAML with an architecture and a problem. */
export const isTimeloop = (text: string): boolean => /^architecture\s*:/m.test(text) && /^problem\s*:/m.test(text);

/** @throws InputError with the line where the text is no YAML */
export function readYaml(text: string, file: string): Node {
  const doc = parseDocument(text, {
    merge: true,
    customTags: TAGS.map((name) => ({
      tag: `!${name}`,
      collection: 'map' as const,
      resolve(map: unknown) {
        (map as { add(pair: { key: string; value: string }): void }).add({ key: TAG, value: name });
        return map as never;
      },
    })),
  });
  const [error] = doc.errors;
  if (error) {
    const line = error.linePos?.[0].line;
    throw new InputError(`is no YAML: ${error.message.split('\n')[0]}`, line ? `${file}:${line}` : file);
  }
  const value = doc.toJS() as Value;
  if (!isNode(value)) throw new InputError('is no mapping of keys to values', file);
  return value;
}

export const isNode = (value: Value | undefined): value is Node =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** One mapping of the file: gives its values and remembers which were asked for. */
export class Reader {
  private readonly asked = new Set<string>([TAG]);
  constructor(
    readonly node: Node,
    readonly place: string,
    readonly warnings: string[],
  ) {}

  has(key: string): boolean {
    return this.node[key] !== undefined && this.node[key] !== null;
  }

  any(...keys: string[]): Value | undefined {
    let found: Value | undefined;
    for (const key of keys) {
      this.asked.add(key);
      const value = this.node[key];
      if (found === undefined && value !== undefined && value !== null) found = value;
    }
    return found;
  }

  /** @throws InputError for what is no number, negative, or 0 where it must be `positive` */
  number(keys: readonly string[], otherwise: number, positive = false): number {
    const value = this.any(...keys);
    if (value === undefined) return otherwise;
    const n = numberOf(value);
    if (n === undefined || !(n >= (positive ? 1 / LARGEST : 0) && n <= LARGEST)) {
      const shown = typeof value === 'number' ? value : JSON.stringify(value);
      const expected = `a ${positive ? 'positive' : 'non-negative'} number of at most ${LARGEST}`;
      throw new InputError(`${keys[0]} is ${shown}, expected ${expected}`, this.place);
    }
    return n;
  }

  text(keys: readonly string[], otherwise: string): string {
    const value = this.any(...keys);
    return value === undefined ? otherwise : String(value);
  }

  list(key: string): Value[] {
    const value = this.any(key);
    if (value === undefined) return [];
    if (!Array.isArray(value)) throw new InputError(`${key} is no list`, this.place);
    return value;
  }

  child(key: string): Reader | undefined {
    const value = this.any(key);
    if (value === undefined) return undefined;
    if (!isNode(value)) throw new InputError(`${key} is no mapping of keys to values`, this.place);
    return new Reader(value, `${this.place}.${key}`, this.warnings);
  }

  children(key: string): Reader[] {
    return this.list(key).map((value, i) => {
      if (!isNode(value)) throw new InputError(`${key}[${i}] is no mapping of keys to values`, this.place);
      const name = value['name'] ?? value['target'];
      return new Reader(value, `${this.place}.${key}[${typeof name === 'string' ? name : i}]`, this.warnings);
    });
  }

  /** Keys that say nothing that the model asks for. */
  ignore(...keys: string[]): void {
    for (const key of keys) this.asked.add(key);
  }

  /** Warns of what was not asked for. */
  done(): void {
    for (const [key, value] of Object.entries(this.node))
      if (!this.asked.has(key) && value !== null && value !== false)
        this.warnings.push(`${this.place}: '${key}' is not understood and left out`);
  }
}

/** Numbers, and texts of one; undefined otherwise. */
export function numberOf(value: Value): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value))) return Number(value);
  return undefined;
}

/** Names in a list, or in a text where commas or spaces part them; a text without either is letter by letter. */
export function namesOf(value: Value | undefined, known: readonly string[]): string[] {
  if (value === undefined || value === null || value === '*') return [];
  if (Array.isArray(value)) return value.map(String);
  const text = String(value).trim();
  if (text === '') return [];
  const parts = text.split(/[\s,]+/);
  return parts.length > 1 || known.includes(text) ? parts.filter((p) => p !== '') : [...text];
}
