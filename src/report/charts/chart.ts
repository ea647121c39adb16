/** What a chart is: a vega-lite specification with its data inside, a caption, and the table that says the same. */
import type { TopLevelSpec } from 'vega-lite';
import { THEME } from '../palette.js';
import { printable, type Table } from '../table.js';

export interface Chart {
  readonly id: string;
  readonly title: string;
  readonly caption: string;
  /** Sentences below it. */
  readonly notes?: readonly string[];
  readonly spec: TopLevelSpec;
  readonly tables: readonly Table[];
}

const SCHEMA = 'https://vega.github.io/schema/vega-lite/v6.json';

/** Width of a bar chart, names included. */
export const BAR_WIDTH = 850;

/** Columns of a legend below a chart, by the longest of its names. */
export function legendColumns(names: readonly string[]): number {
  const longest = Math.min(44, Math.max(1, ...names.map((name) => name.length)));
  return Math.max(1, Math.min(9, Math.floor(135 / (longest + 5))));
}

/** Text over lines: the same text below it in white outlines. */
export function haloed(layer: { mark: Record<string, unknown>; [key: string]: unknown }) {
  const outline = { ...layer.mark, stroke: '#ffffff', strokeWidth: 3, strokeJoin: 'round', fill: '#ffffff' };
  return [{ ...layer, mark: outline }, layer];
}

/** Adds what every specification has. */
export function specOf(body: Record<string, unknown>): TopLevelSpec {
  return { $schema: SCHEMA, config: THEME, ...body } as TopLevelSpec;
}

/** Powers of ten inside [low, high], thinned to at most `most`. Both ends must be positive. */
export function decades([low, high]: readonly [number, number], most = 9): number[] {
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const last = Math.floor(Math.log10(high) + 1e-9);
  const step = Math.max(1, Math.ceil((last - first + 1) / most));
  const ticks: number[] = [];
  for (let e = first; e <= last; e += step) ticks.push(Number(`1e${e}`));
  return ticks;
}

/** A log domain around positive values, at least two decades wide; values that a log scale cannot show are left out. */
export function logDomain(values: readonly number[], below = 2, above = 2): [number, number] {
  const usable = values.filter((v) => Number.isFinite(v) && v > 0);
  if (usable.length === 0) return [0.1, 10];
  let low = Math.max(Math.min(...usable) / below, 1e-150);
  let high = Math.min(Math.max(...usable) * above, 1e150);
  const missing = 2 - Math.log10(high / low);
  if (missing > 0) {
    low /= 10 ** (missing / 2);
    high *= 10 ** (missing / 2);
  }
  return [low, high];
}

/** Shortens in the middle, keeping both ends. */
export function clip(name: string, most: number): string {
  const text = printable(name);
  if (text.length <= most) return text;
  const head = Math.ceil((most - 1) * 0.45);
  return `${text.slice(0, head)}…${text.slice(text.length - (most - 1 - head))}`;
}
