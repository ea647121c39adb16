/**
 * How a systolic array fills and drains: neighbours hand words on a place a cycle, so that each place does what the
 * first one does as many cycles later as it lies along the diagonals. Above which einsum is where, below the places at
 * work; the start of the launch at the left, its end at the right.
 */
import type { Occupancy } from '../../engine/nest/occupancy.js';
import { plain, quantity } from '../format.js';
import { cycle } from '../palette.js';
import { BAR_WIDTH, type Chart, legendColumns, specOf } from './chart.js';
import { EINSUM_COLOURS } from './occupancy.js';

type ArrayOf = Occupancy['arrays'][number];

/** Rounds in a window that can still be told apart. */
const MOST_ROUNDS = 48;
const HEIGHT = 170;

/** The chart of the array with the longest way across; undefined when operands reach all places at once. */
export function wavefrontChart(o: Occupancy, id: string, title: string): Chart | undefined {
  const array = o.arrays
    .filter((a) => a.skew_cycles > 0 && a.busy_cycles > 0)
    .sort((a, b) => b.skew_cycles - a.skew_cycles)[0];
  if (!array) return undefined;
  const windows = windowsOf(o, array);
  const einsums = o.spans.filter((s) => s.unit === array.unit).map((s) => s.einsum);
  const width = Math.floor((BAR_WIDTH - 110) / windows.length);
  return {
    id,
    title,
    caption: `Array ${array.unit}: operands enter at the first place and are handed on, a place a cycle; the last place starts ${plain(array.skew_cycles)} cycles after the first and ends as much later. The rounds between take ${plain(o.cycles - o.fill_drain_cycles, 7)} cycles; filling and draining add ${quantity(o.fill_drain_cycles / o.cycles, '%')} to the launch. Grey: places wait.`,
    spec: specOf({
      vconcat: [
        {
          hconcat: windows.map((w, i) => ({ ...wavePanel(o, array, w, einsums, i === 0), width, height: HEIGHT })),
          spacing: 24,
        },
        { hconcat: windows.map((w, i) => ({ ...placesPanel(o, array, w, i === 0), width, height: 80 })), spacing: 24 },
      ],
      spacing: 14,
    }),
    tables: [],
  };
}

type Window = readonly [from: number, to: number];

/** The whole of a short launch, else its two ends. */
function windowsOf(o: Occupancy, { skew_cycles }: ArrayOf): Window[] {
  if (o.cycles <= 5 * skew_cycles) return [[0, o.cycles]];
  return [
    [0, 2 * skew_cycles],
    [o.cycles - 2 * skew_cycles, o.cycles],
  ];
}

const xOf = (field: string, [from, to]: Window, title: string | null = null) => ({
  field,
  type: 'quantitative',
  title,
  scale: { domain: [from, to], nice: false, zero: false },
  axis: { tickCount: 5, grid: false, labelFlush: true, ...(title === null && { labels: false, ticks: false }) },
});

function wavePanel(o: Occupancy, array: ArrayOf, window: Window, einsums: readonly string[], first: boolean) {
  const skew = array.skew_cycles;
  const y = {
    field: 'place',
    type: 'quantitative',
    title: first ? 'place along the diagonals' : null,
    scale: { domain: [1, 0], nice: false },
    axis: {
      values: [0, 1],
      labelExpr: "datum.value === 0 ? 'first' : 'last'",
      grid: false,
      ticks: false,
      domain: first,
      labels: first,
    },
  };
  const area = (values: readonly Corner[], mark: object, more: object = {}) => ({
    data: { values },
    mark: { type: 'area', orient: 'horizontal', ...mark },
    encoding: { y, x: xOf('from', window), x2: { field: 'to' }, ...more },
  });
  const run = slanted(0, o.cycles - o.fill_drain_cycles, skew, window, { key: 'run', what: 'waits' });
  return {
    view: { fill: '#f3f5f7' },
    layer: [
      area(run, { fill: '#d0d4d9' }),
      area(
        spansIn(o, array, window),
        { stroke: '#ffffff', strokeWidth: 0.4 },
        {
          detail: { field: 'key' },
          color: {
            field: 'what',
            type: 'nominal',
            title: 'Einsum',
            scale: { domain: einsums, range: cycle(coloursOf(o, einsums), einsums.length) },
            legend: { orient: 'bottom', columns: legendColumns(einsums), symbolType: 'square' },
          },
        },
      ),
    ],
  };
}

/** Those that the einsums have in the chart of all arrays. */
const coloursOf = (o: Occupancy, einsums: readonly string[]): string[] =>
  einsums.map((e) => EINSUM_COLOURS[o.spans.findIndex((s) => s.einsum === e) % EINSUM_COLOURS.length]!);

interface Corner {
  readonly key: string;
  readonly what: string;
  readonly place: number;
  readonly from: number;
  readonly to: number;
}

/** Spans of the rounds that a window shows; one band for all where they are too many. */
function spansIn(o: Occupancy, array: ArrayOf, window: Window): Corner[] {
  const skew = array.skew_cycles;
  const spans = o.spans.filter((s) => s.unit === array.unit);
  const first = Math.max(0, Math.floor((window[0] - skew) / o.round_cycles));
  const last = Math.min(o.rounds - 1, Math.floor(window[1] / o.round_cycles));
  if (last - first > MOST_ROUNDS) {
    const longest = spans.reduce((a, b) => (b.cycles > a.cycles ? b : a));
    return slanted(0, o.rounds * o.round_cycles, skew, window, { key: 'all', what: longest.einsum });
  }
  const out: Corner[] = [];
  for (let round = first; round <= last; round++)
    for (const s of spans) {
      const from = round * o.round_cycles + s.from;
      out.push(...slanted(from, from + s.cycles, skew, window, { key: `${round} ${s.einsum}`, what: s.einsum }));
    }
  return out;
}

/** What the first place does from one cycle to another, at all places, cut to the window: corners of a band. */
function slanted(
  from: number,
  to: number,
  skew: number,
  [left, right]: Window,
  names: Pick<Corner, 'key' | 'what'>,
): Corner[] {
  const places = [0, 1, ...[from, to].flatMap((t) => [left, right].map((x) => (x - t) / skew))]
    .filter((p) => p >= 0 && p <= 1)
    .sort((a, b) => a - b);
  const inside = (x: number) => Math.min(right, Math.max(left, x));
  return places
    .map((place) => ({ ...names, place, from: inside(from + place * skew), to: inside(to + place * skew) }))
    .filter((c, i, all) => c.to > c.from || all[i - 1]?.to !== all[i - 1]?.from || all[i + 1]?.to !== all[i + 1]?.from);
}

/** Places at work in a cycle (started, not ended), of an array whose operands enter at a corner. */
export function placesAt(array: Pick<ArrayOf, 'rows' | 'columns'>, running_cycles: number, at: number): number {
  return startedBy(array, at + 1) - startedBy(array, at + 1 - running_cycles);
}

/** Places fewer than so many diagonals from the corner. */
function startedBy({ rows, columns }: Pick<ArrayOf, 'rows' | 'columns'>, cycles: number): number {
  const n = Math.max(0, Math.min(Math.floor(cycles), rows + columns - 1));
  const short = Math.min(rows, columns);
  const long = Math.max(rows, columns);
  const corner = (x: number) => (x > 0 ? (x * (x + 1)) / 2 : 0);
  return corner(n) - corner(n - short) - corner(n - long) + corner(n - short - long);
}

function placesPanel(o: Occupancy, array: ArrayOf, window: Window, first: boolean) {
  const running = o.cycles - o.fill_drain_cycles;
  const steps = 120;
  const values = Array.from({ length: steps + 1 }, (_, i) => {
    const at = window[0] + ((window[1] - window[0]) * i) / steps;
    return { at, places: placesAt(array, running, at) };
  });
  return {
    data: { values },
    mark: { type: 'area', fill: '#9aa0a6', line: { stroke: '#5A5A5A', strokeWidth: 1.4 } },
    encoding: {
      x: xOf('at', window, window[0] === 0 ? 'cycles from the launch’s start' : 'to its end'),
      y: {
        field: 'places',
        type: 'quantitative',
        title: first ? 'places reached' : null,
        scale: { domain: [0, array.rows * array.columns], nice: false },
        axis: {
          values: [0, array.rows * array.columns],
          grid: false,
          labels: first,
          ticks: first,
          domain: first,
          minExtent: first ? 44 : 0,
        },
      },
    },
  };
}
