/** Horizontal stacked bars: a row each, its parts in one order and colour everywhere, the share written where it fits. */
import { percent } from '../format.js';
import { colourOf, INK } from '../palette.js';
import { shortName } from '../words.js';
import { BAR_WIDTH, clip, legendColumns, specOf } from './chart.js';

export interface StackRow {
  readonly name: string;
  readonly parts: Readonly<Record<string, number>>;
  /** Written behind the bar. */
  readonly end: string;
}

export interface Stack {
  readonly rows: readonly StackRow[];
  /** Parts from the left. */
  readonly order: readonly string[];
  /** Axis title, and what values are divided by on it. */
  readonly axis: { readonly title: string; readonly factor: number };
  /** Of a part, for the tooltip. */
  readonly show: (value: number) => string;
  readonly words: { readonly row: string; readonly part: string; readonly value: string };
}

/** Parts with light colours, on which dark text reads better. */
const LIGHT = new Set(['l2', 'vector', 'static', 'register', 'unfilled', 'other_array', 'reduction', 'unused', 'grid']);

export function stackedBars({ rows, order, axis, show, words }: Stack) {
  const sums = rows.map((row) => order.reduce((sum, part) => sum + (row.parts[part] ?? 0), 0));
  const whole = Math.max(...sums);
  const values = rows.flatMap((row, i) => {
    let start = 0;
    return order
      .filter((part) => (row.parts[part] ?? 0) > 0)
      .map((part) => {
        const value = row.parts[part]!;
        const from = start;
        start += value;
        return {
          // a counter keeps apart names that are alike
          key: `${i}`,
          row: row.name,
          part: shortName(part),
          from: from / axis.factor,
          to: start / axis.factor,
          middle: (from + value / 2) / axis.factor,
          label: value / whole > 0.05 ? percent(value / sums[i]!, 2) : '',
          light: LIGHT.has(part),
          value: show(value),
          share: percent(value / sums[i]!),
        };
      });
  });
  const ends = rows.map((row, i) => ({ key: `${i}`, to: sums[i]! / axis.factor, label: row.end }));
  const y = rowAxis(rows.map((row) => row.name));
  const x = (field: string) => ({
    field,
    type: 'quantitative',
    title: axis.title,
    // room for what is written behind the longest bar
    scale: { domain: [0, (whole / axis.factor) * 1.13], nice: false },
    axis: { tickCount: 6 },
  });
  return specOf({
    width: BAR_WIDTH,
    height: (rows.length > 3 ? 26 : 38) * rows.length,
    autosize: { type: 'fit-x', contains: 'padding' },
    layer: [
      {
        data: { name: 'parts', values },
        mark: { type: 'bar', height: { band: 0.72 }, stroke: '#ffffff', strokeWidth: 0.8 },
        encoding: {
          y,
          x: x('from'),
          x2: { field: 'to' },
          color: {
            field: 'part',
            type: 'nominal',
            title: null,
            scale: { domain: order.map(shortName), range: colourOf(order) },
            legend: { orient: 'bottom', columns: legendColumns(order.map(shortName)), symbolType: 'square' },
          },
          tooltip: [
            { field: 'row', title: words.row },
            { field: 'part', title: words.part },
            { field: 'value', title: words.value },
            { field: 'share', title: 'Share' },
          ].map((t) => ({ ...t, type: 'nominal' })),
        },
      },
      {
        data: { values: values.filter((v) => v.label !== '') },
        mark: { type: 'text', fontSize: 10.5, fill: { expr: `datum.light ? '${INK}' : '#ffffff'` } },
        encoding: { y, x: x('middle'), text: { field: 'label', type: 'nominal' } },
      },
      {
        data: { values: ends },
        mark: { type: 'text', align: 'left', dx: 5, fontSize: 10.5 },
        encoding: { y, x: x('to'), text: { field: 'label', type: 'nominal' } },
      },
    ],
  });
}

/** An axis of names over rows keyed "0", "1", …; names may repeat. */
export function rowAxis(names: readonly string[]) {
  const shown = JSON.stringify(names.map((name) => clip(name, 44)));
  return {
    field: 'key',
    type: 'nominal',
    sort: null,
    title: null,
    axis: {
      labelExpr: `${shown}[toNumber(datum.label)]`,
      labelLimit: 300,
      domain: false,
      ticks: false,
      labelColor: INK,
      labelFontSize: 11.5,
    },
  };
}
