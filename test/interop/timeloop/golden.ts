/** Timeloop's reference results: where they lie, and the figures of a printed `stats.txt`. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const FOLDER = resolve(import.meta.dirname, '..', '..', '..', '..', 'shared', 'golden', 'timeloop');
export const HAS_GOLDEN = existsSync(FOLDER);
export const CASES = HAS_GOLDEN
  ? readdirSync(FOLDER, { withFileTypes: true })
      .filter((e) => e.isDirectory())
      .map((e) => e.name)
  : [];

export interface GoldenCase {
  readonly input: { text: string; file: string };
  readonly energy: { text: string; file: string };
  readonly map: { text: string; file: string };
  readonly stats: string;
}

export function goldenCase(name: string): GoldenCase {
  const folder = join(FOLDER, name);
  const files = readdirSync(folder);
  const read = (end: string) => {
    const file = files.find((f) => f.endsWith(end))!;
    return { text: readFileSync(join(folder, file), 'utf8'), file };
  };
  return {
    input: read('input.yaml'),
    energy: read('ERT.yaml'),
    map: read('map.txt'),
    stats: read('stats.txt').text,
  };
}

/** `Key : value` lines of a part of the text, the unit cut off. */
export type Figures = Record<string, string>;

export interface Stats {
  readonly summary: Figures;
  readonly arithmetic: Figures;
  /** By storage: its own figures, and those of each data space. */
  readonly storages: Record<string, { own: Figures; spaces: Record<string, Figures> }>;
}

export function parseStats(text: string): Stats {
  const storages: Stats['storages'] = {};
  const arithmetic: Figures = {};
  const summary: Figures = {};
  const levels = text.split(/^Level \d+$/m);
  const key = (line: string, into: Figures) => {
    const m = /^\s*(.+?)\s*:\s(.*?)\s*$/.exec(line);
    if (m) into[m[1]!.trim()] = m[2]!.trim();
  };
  levels.slice(1).forEach((part, i) => {
    const name = /=== (\S+) ===/.exec(part)![1]!;
    const body = part.split(/^Networks$/m)[0]!;
    if (i === 0) {
      for (const line of body.split('\n')) key(line, arithmetic);
      return;
    }
    const own: Figures = {};
    const spaces: Record<string, Figures> = {};
    let into = own;
    let rank = '';
    for (const line of body.split('\n')) {
      const space = /^ {4}([\w-]+):\s*$/.exec(line);
      if (space) into = spaces[space[1]!] = {};
      else {
        const many = /^ {8}(\S.*?)\s*$/.exec(line);
        if (many && !line.includes(':')) rank = many[1]!;
        const m = /Rank (\d+) \(metadata, payload\): \((\d+),\s*(\d+)\)/.exec(line);
        if (m) into[`${rank} rank ${m[1]}`] = `${m[2]},${m[3]}`;
        else key(line, into);
      }
    }
    storages[name] = { own, spaces };
  });
  const end = text.split(/^Summary Stats$/m)[1]!;
  for (const line of end.split('\n')) {
    key(line, summary);
    const m = /^\s*(.+?)\s*=\s*([\d.]+)\s*$/.exec(line);
    if (m) summary[m[1]!] ??= m[2]!;
  }
  return { summary, arithmetic, storages };
}
