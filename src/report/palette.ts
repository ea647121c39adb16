/**
 * Colours and the common chart theme. Okabe and Ito, "Color universal design", 2008: eight colours that people with
 * any colour vision tell apart; shape or dash always says the same again.
 */
import type { Config } from 'vega-lite';

export const OKABE_ITO = [
  '#0072B2',
  '#E69F00',
  '#009E73',
  '#D55E00',
  '#56B4E9',
  '#CC79A7',
  '#A89A00',
  '#5A5A5A',
] as const;
export const SHAPES = [
  'circle',
  'square',
  'triangle-up',
  'diamond',
  'cross',
  'triangle-down',
  'triangle-right',
  'triangle-left',
] as const;
export const DASHES = [
  [1, 0],
  [7, 3],
  [2, 2],
  [8, 3, 2, 3],
  [12, 4],
  [4, 6],
] as const;

export const INK = '#1b1f24';
export const MUTED = '#57606a';
export const RULE = '#e3e6ea';
export const FONT = 'Inter, Helvetica, Arial, sans-serif';

/** Colours that stay with a resource or an energy part in every chart; others take what is left, in order. */
const FIXED: Record<string, string> = {
  matrix: '#0072B2',
  vector: '#56B4E9',
  special: '#CC79A7',
  dram: '#D55E00',
  l2: '#E69F00',
  shared: '#009E73',
  static: '#9aa0a6',
  launch: '#5A5A5A',
  work: '#009E73',
  edges: '#A89A00',
  unfilled: '#E69F00',
  other_array: '#56B4E9',
  reduction: '#CC79A7',
  store: '#D55E00',
  fill_drain: '#7A3E9D',
  unused: '#d0d4d9',
  grid: '#9aa0a6',
  pause: '#94305F',
};
const SPARE = ['#A89A00', '#004D73', '#7A3E9D', '#7F5200', '#00604A', '#B3B3B3', '#94305F', '#2F2F2F'] as const;

/** A colour for each id, the same whatever else is there for the well-known ones. */
export function colourOf(ids: readonly string[]): string[] {
  let spare = 0;
  return ids.map((id) => (Object.hasOwn(FIXED, id) ? FIXED[id]! : SPARE[spare++ % SPARE.length]!));
}

/** Domain and range of a nominal colour scale, cycling when there are more than eight. */
export function cycle<T>(values: readonly T[], n: number): T[] {
  return Array.from({ length: n }, (_, i) => values[i % values.length]!);
}

export const THEME: Config = {
  // every chart stands beside a table of its numbers, which is what a screen reader can use
  aria: false,
  background: '#ffffff',
  font: FONT,
  padding: 4,
  view: { stroke: null },
  axis: {
    labelColor: MUTED,
    labelFontSize: 11,
    titleColor: INK,
    titleFontSize: 12,
    titleFontWeight: 600,
    titlePadding: 10,
    gridColor: RULE,
    domainColor: '#8c959f',
    tickColor: '#8c959f',
    labelPadding: 5,
  },
  legend: {
    labelColor: INK,
    labelFontSize: 11.5,
    titleColor: MUTED,
    titleFontSize: 11,
    titleFontWeight: 600,
    symbolStrokeWidth: 1.2,
    labelLimit: 260,
  },
  text: { font: FONT, fontSize: 11, fill: INK },
};
