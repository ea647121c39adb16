/**
 * Strict JSON with positions: where a syntax error is, and on which line each value stands, so that messages can
 * point into the user's file. Repeated keys are errors (JSON.parse would silently keep the last).
 */
import { InputError } from './errors.js';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface ParsedJson {
  readonly value: Json;
  /** 1-based line of a dotted path ("l2.capacity"), or of its nearest parent that exists. */
  lineOf(path: string): number;
}

const MAX_DEPTH = 64;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\]|\\.)*"/sy;
const SPACE = /[ \t\r\n]*/y;

/** @throws InputError with line and column at the first fault. */
export function parseJson(text: string, file = 'input'): ParsedJson {
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  const offsets = new Map<string, number>();

  function fail(what: string, where = at): never {
    const before = text.slice(0, where);
    const line = before.split('\n').length;
    throw new InputError(`invalid JSON: ${what}`, `${file}:${line}:${where - before.lastIndexOf('\n')}`);
  }
  function match(pattern: RegExp): string | undefined {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  }
  function expect(char: string, what: string): void {
    if (text[at] !== char) fail(at >= text.length ? `the file ends where ${what} was expected` : `expected ${what}`);
    at++;
  }
  function readString(what: string): string {
    const raw = match(STRING);
    if (raw === undefined) fail(at >= text.length ? `the file ends where ${what} was expected` : `expected ${what}`);
    try {
      return JSON.parse(raw) as string;
    } catch {
      return fail('a string with a line break or an unknown escape', at - raw.length);
    }
  }
  function readValue(path: string, depth: number): Json {
    if (depth > MAX_DEPTH) fail(`nested deeper than ${MAX_DEPTH} levels`);
    match(SPACE);
    offsets.set(path, at);
    const char = text[at];
    if (char === '{') return readObject(path, depth);
    if (char === '[') return readArray(path, depth);
    if (char === '"') return readString('a string');
    for (const [word, value] of [
      ['true', true],
      ['false', false],
      ['null', null],
    ] as const)
      if (text.startsWith(word, at)) {
        at += word.length;
        return value;
      }
    const number = match(NUMBER);
    if (number === undefined) fail(at >= text.length ? 'the file ends where a value was expected' : 'expected a value');
    if (!Number.isFinite(Number(number))) fail('a number too large', at - number.length);
    return Number(number);
  }
  function readObject(path: string, depth: number): Json {
    const out: { [key: string]: Json } = {};
    at++;
    match(SPACE);
    if (text[at] === '}') {
      at++;
      return out;
    }
    for (;;) {
      match(SPACE);
      const start = at;
      const key = readString('a key in double quotes');
      if (key === '__proto__') fail(`the key '${key}' is not allowed`, start);
      if (Object.hasOwn(out, key)) fail(`the key '${key}' stands here a second time`, start);
      match(SPACE);
      expect(':', "':' after a key");
      out[key] = readValue(path === '' ? key : `${path}.${key}`, depth + 1);
      match(SPACE);
      if (text[at] === ',') {
        at++;
        continue;
      }
      expect('}', "',' or '}'");
      return out;
    }
  }
  function readArray(path: string, depth: number): Json {
    const out: Json[] = [];
    at++;
    match(SPACE);
    if (text[at] === ']') {
      at++;
      return out;
    }
    for (;;) {
      out.push(readValue(path === '' ? String(out.length) : `${path}.${out.length}`, depth + 1));
      match(SPACE);
      if (text[at] === ',') {
        at++;
        continue;
      }
      expect(']', "',' or ']'");
      return out;
    }
  }

  const value = readValue('', 0);
  match(SPACE);
  if (at < text.length) fail('something follows the end of the document');
  let lineStarts: number[] | undefined;
  return {
    value,
    lineOf(path) {
      let probe = path;
      while (probe !== '' && !offsets.has(probe)) probe = probe.slice(0, Math.max(0, probe.lastIndexOf('.')));
      lineStarts ??= [...text.matchAll(/\n/g)].map((m) => m.index);
      return 1 + countBelow(lineStarts, offsets.get(probe) ?? 0);
    },
  };
}

/** How many of the ascending `values` are below `limit`. */
function countBelow(values: readonly number[], limit: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]! < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function isObject(value: unknown): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
