/**
 * Which einsum is on which array when: two rounds of a launch in steady state, a row for each array and for each store
 * that is at work much of the time. A bar is as tall as the share of the array's places that it fills; waits of the whole
 * round are drawn at its end, wherever in it they fall.
 */
import type { Occupancy } from '../../engine/nest/occupancy.js';
import { percent, plain, quantity } from '../format.js';
import { sizeText, whyLines } from '../occupancy.js';
import { cycle, INK, MUTED, OKABE_ITO } from '../palette.js';
import type { Table } from '../table.js';
import { shortName } from '../words.js';
import { BAR_WIDTH, type Chart, legendColumns, specOf } from './chart.js';

const ROW = 46;
/** Pixels of a letter, and of all names beside the rows. */
const LETTER = 6.4;
const MARGIN = 130;
/** Stores that are busy for less than this share of the time are left out, as are those of single places. */
const BUSY = 0.05;
const WAIT = '#d9dde2';
const STORE = '#8c959f';

interface Bar {
  readonly row: number;
  readonly from: number;
  readonly to: number;
  /** Share of the row's height. */
  readonly fills: number;
  readonly what: string;
  readonly kind: 'einsum' | 'store' | 'wait';
  readonly more: string;
}

export function occupancyChart(o: Occupancy, id: string, title: string): Chart {
  const rounds = Math.min(2, o.rounds);
  const stores = o.stores.filter(
    (s) => (s.instances === 1 && s.busy_cycles > BUSY * o.cycles) || (s.store === o.bound_by && o.store_cycles > 0),
  );
  const arrays = o.arrays.filter((a) => a.parts.every((p) => p.part !== 'unused'));
  const names = [...stores.map((s) => shortName(s.store)), ...arrays.map((a) => `${a.unit} ${sizeText(a)}`)];
  const bars = Array.from({ length: rounds }, (_, round) => barsOf(o, stores, arrays, round * o.round_cycles)).flat();
  const einsums = o.spans.map((s) => s.einsum);
  const length = rounds * o.round_cycles;
  const scale = (BAR_WIDTH - MARGIN) / length;
  const values = bars.map((b) => ({
    ...b,
    top: b.row + 0.9 - 0.8 * b.fills,
    bottom: b.row + 0.9,
    middle: (b.from + b.to) / 2,
    at: b.row + 0.9 - 0.4 * b.fills,
    label: (b.to - b.from) * scale > (b.what.length + 1) * LETTER && b.fills > 0.3 ? b.what : '',
    start: plain(b.from),
    lasts: plain(b.to - b.from),
    places: percent(b.fills),
  }));
  const x = (field: string) => ({
    field,
    type: 'quantitative',
    title: `cycles from the start of ${o.round === 'tile' ? 'a tile' : 'an epoch'}, in steady state`,
    scale: { domain: [0, length], nice: false, zero: false },
    axis: { tickCount: 8, grid: false },
  });
  const y = (field: string) => ({
    field,
    type: 'quantitative',
    title: null,
    scale: { domain: [names.length, 0], nice: false, zero: false },
    axis: {
      values: names.map((_, i) => i + 0.5),
      labelExpr: `${JSON.stringify(names)}[floor(datum.value)]`,
      labelColor: INK,
      labelFontSize: 11.5,
      labelLimit: MARGIN,
      grid: false,
      domain: false,
      ticks: false,
    },
  });
  const tooltip = [
    ['what', 'What'],
    ['start', 'From cycle'],
    ['lasts', 'Cycles'],
    ['places', 'Of the places'],
    ['more', ''],
  ].map(([field, name]) => ({ field, title: name, type: 'nominal' }));
  const of = (kind: Bar['kind']) => values.filter((v) => v.kind === kind);
  const plainBars = (kind: Bar['kind'], fill: string) => ({
    data: { values: of(kind) },
    mark: { type: 'rect', fill, stroke: '#ffffff', strokeWidth: 0.8 },
    encoding: { x: x('from'), x2: { field: 'to' }, y: y('top'), y2: { field: 'bottom' }, tooltip },
  });
  const edges = edgesOf(o, rounds);
  return {
    id,
    title,
    caption: `${countText(o)}. Einsums of one array take turns, arrays work side by side within a stage (thin lines), and stages follow one another. Grey: the array has nothing to do. ${stores.length > 0 ? 'Stores: the share of a round that their transfers take, spread over the run. ' : ''}${o.reduction_cycles + o.store_cycles > 0 ? 'Waits of the whole round are drawn at its end, wherever in it they fall. ' : ''}A bar is as tall as the share of the places that its einsum fills${o.round === 'epoch' && o.rounds > 1 ? '; what is done once for many epochs has its mean share in each' : ''}.`,
    notes: whyLines(o),
    spec: specOf({
      width: BAR_WIDTH,
      height: ROW * names.length,
      autosize: { type: 'fit-x', contains: 'padding' },
      layer: [
        {
          data: { values: names.map((_, i) => ({ top: i + 0.1, bottom: i + 0.9, from: 0, to: length })) },
          mark: { type: 'rect', fill: '#f3f5f7' },
          encoding: { x: x('from'), x2: { field: 'to' }, y: y('top'), y2: { field: 'bottom' } },
        },
        plainBars('store', STORE),
        plainBars('wait', WAIT),
        {
          data: { values: of('einsum') },
          mark: { type: 'rect', stroke: '#ffffff', strokeWidth: 0.8 },
          encoding: {
            x: x('from'),
            x2: { field: 'to' },
            y: y('top'),
            y2: { field: 'bottom' },
            color: {
              field: 'what',
              type: 'nominal',
              title: 'Einsum',
              scale: { domain: einsums, range: cycle(EINSUM_COLOURS, einsums.length) },
              legend: { orient: 'bottom', columns: legendColumns(einsums), symbolType: 'square' },
            },
            tooltip,
          },
        },
        {
          data: { values: edges },
          mark: { type: 'rule', stroke: MUTED },
          encoding: {
            x: x('at'),
            strokeWidth: { field: 'width', type: 'quantitative', scale: null },
            strokeDash: { condition: { test: 'datum.width > 1', value: [1, 0] }, value: [2, 3] },
          },
        },
        {
          data: { values: values.filter((v) => v.label !== '') },
          mark: { type: 'text', fontSize: 11, fill: { expr: `datum.kind === 'wait' ? '${MUTED}' : '#ffffff'` } },
          encoding: { x: x('middle'), y: y('at'), text: { field: 'label', type: 'nominal' } },
        },
      ],
    }),
    tables: [spansTable(o, id)],
  };
}

/** Dark enough for white names. */
export const EINSUM_COLOURS = [
  OKABE_ITO[0],
  OKABE_ITO[3],
  OKABE_ITO[2],
  '#7A3E9D',
  '#B07A00',
  '#94305F',
  '#004D73',
  '#7F5200',
  '#3B8EA5',
  OKABE_ITO[7],
  '#00604A',
  '#C2527B',
  '#5B6BBF',
  '#6E7B1F',
  '#A3452C',
  '#2F2F2F',
] as const;

function countText(o: Occupancy): string {
  const what = o.round === 'tile' ? 'tiles of the near store' : 'epochs';
  const flight = o.in_flight > 1 ? `, ${plain(o.in_flight, 6)} of them in flight together` : '';
  return o.rounds === 1
    ? `The whole launch of ${plain(o.cycles, 6)} cycles`
    : `Two of ${plain(o.rounds, 7)} ${what}, ${plain(o.round_cycles, 4)} cycles each${flight}`;
}

function barsOf(o: Occupancy, stores: Occupancy['stores'], arrays: Occupancy['arrays'], start: number): Bar[] {
  const bars: Bar[] = stores.map((s, row) => {
    const tensors = Object.entries(s.tensors_B).sort((a, b) => b[1] - a[1]);
    const cycles = s.busy_cycles / o.rounds;
    return {
      row,
      from: start,
      to: start + Math.min(cycles, o.round_cycles),
      fills: 0.55,
      what: `moves ${tensors.map(([t]) => t).join(', ')}`,
      kind: 'store',
      more: tensors.map(([t, bytes]) => `${t} ${quantity(bytes / o.rounds, 'B')}`).join(', '),
    };
  });
  arrays.forEach((a, i) => {
    const row = stores.length + i;
    const all = a.rows * a.columns;
    let end = start;
    o.stages.forEach((cycles, s) => {
      let at = end;
      for (const x of o.spans.filter((x) => x.unit === a.unit && x.stage === s + 1)) {
        at = start + x.from + x.cycles;
        const places = `${plain(x.places, 7)} of ${plain(all, 7)} places`;
        bars.push({
          row,
          from: start + x.from,
          to: at,
          fills: x.places / all,
          what: x.einsum,
          kind: 'einsum',
          more: places,
        });
      }
      end += cycles;
      wait(bars, row, at, end, 'waits', `for the rest of stage ${s + 1}`);
    });
    wait(bars, row, end, end + o.reduction_cycles, 'waits for sums', 'that places combine on the way');
    end += o.reduction_cycles;
    wait(bars, row, end, end + o.store_cycles, `waits for ${shortName(o.bound_by)}`, 'bandwidth');
  });
  return bars;
}

function wait(bars: Bar[], row: number, from: number, to: number, what: string, more: string): void {
  if (to - from > 1e-9 * to) bars.push({ row, from, to, fills: 1, what, kind: 'wait', more });
}

/** Where stages and rounds end. */
function edgesOf(o: Occupancy, rounds: number): { at: number; width: number }[] {
  const edges: { at: number; width: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    let at = round * o.round_cycles;
    if (round > 0) edges.push({ at, width: 1.6 });
    for (const cycles of o.stages) edges.push({ at: (at += cycles), width: 0.8 });
  }
  return edges;
}

function spansTable(o: Occupancy, id: string): Table {
  const number = (value: number) => ({ text: plain(value, 4), value });
  return {
    id: `${id}-spans`,
    title: 'Einsums of one round',
    columns: [
      { key: 'unit', label: 'Array', align: 'left' },
      { key: 'stage', label: 'Stage', align: 'right' },
      { key: 'einsum', label: 'Einsum', align: 'left' },
      { key: 'from', label: 'From cycle', align: 'right' },
      { key: 'cycles', label: 'Cycles', align: 'right' },
      { key: 'places', label: 'Places', align: 'right' },
      { key: 'share', label: 'Of the launch', align: 'right' },
    ],
    rows: o.spans.map((s) => [
      { text: s.unit },
      number(s.stage),
      { text: s.einsum },
      number(s.from),
      number(s.cycles),
      number(s.places),
      { text: percent((s.cycles * o.rounds) / o.cycles), value: (s.cycles * o.rounds) / o.cycles },
    ]),
  };
}
