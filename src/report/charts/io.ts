/** Bytes against capacity on log–log axes: the lower bound, a line per kernel at its best tile, the tiles asked about. */
import { type Bounds, type Pebbling, sizeMatters } from '../../bounds/result.js';
import { percent, quantity, times } from '../format.js';
import { cycle, DASHES, INK, MUTED, OKABE_ITO } from '../palette.js';
import type { Table } from '../table.js';
import { type Chart, decades, legendColumns, logDomain, specOf } from './chart.js';

const WIDTH = 760;
const HEIGHT = 420;
const BOUND = 'lower bound';

/** The chart of a result that holds its curve. */
export function ioChart(bounds: Bounds): Chart {
  const curve = bounds.curve ?? [];
  const kernels = [...new Set(curve.flatMap((p) => Object.keys(p.requested_B)))].sort();
  const groups = [BOUND, ...kernels];
  const lines = curve.flatMap((p) => [
    { capacity: p.capacity_B, bytes: p.bound_B, group: BOUND, ratio: '1' },
    ...Object.entries(p.requested_B).map(([group, bytes]) => ({
      capacity: p.capacity_B,
      bytes,
      group,
      ratio: times(bytes / p.bound_B),
    })),
  ]);
  const points = bounds.schedules
    .filter((s) => s.sizes !== 'free')
    .map((s) => ({
      capacity: s.live_B,
      bytes: s.requested_B,
      group: s.kernel,
      yours: s.sizes === 'yours',
      ratio: times(s.ratio),
      tile: tileText(s.tile),
    }));
  const xs = logDomain(
    lines.map((l) => l.capacity),
    1.2,
    1.2,
  );
  const inside = points.filter((p) => p.capacity >= xs[0]);
  const ys = logDomain(
    [...lines, ...inside].map((l) => l.bytes),
    1.4,
    1.4,
  );
  const x = axis('capacity', 'fast memory, near bytes of all buffers', xs);
  const y = axis('bytes', 'bytes moved', ys);
  const colour = {
    field: 'group',
    type: 'nominal',
    title: null,
    scale: { domain: groups, range: [INK, ...cycle(OKABE_ITO, kernels.length)] },
    legend: { orient: 'bottom', columns: legendColumns(groups), symbolType: 'stroke', symbolStrokeWidth: 2.4 },
  };
  const dash = {
    field: 'group',
    type: 'nominal',
    title: null,
    scale: { domain: groups, range: [DASHES[0], ...cycle(DASHES.slice(1), kernels.length)] },
    legend: { orient: 'bottom', columns: legendColumns(groups) },
  };
  const tooltip = (more: readonly { field: string; title: string }[]) =>
    [{ field: 'group', title: 'Schedule' }, ...more, { field: 'ratio', title: 'To the bound' }].map((t) => ({
      ...t,
      type: 'nominal',
    }));
  const body = {
    width: WIDTH,
    height: HEIGHT,
    layer: [
      {
        data: { name: 'asked', values: [ys[0], ys[1]].map((bytes) => ({ capacity: bounds.capacity_B, bytes })) },
        mark: { type: 'line', strokeWidth: 1, stroke: MUTED, strokeDash: [2, 3] },
        encoding: { x, y },
      },
      {
        data: { name: 'lines', values: lines },
        mark: { type: 'line', clip: true, strokeWidth: { expr: `datum.group === '${BOUND}' ? 3 : 1.8` } },
        encoding: { x, y, color: colour, strokeDash: dash },
      },
      {
        data: { name: 'lines-points', values: lines },
        mark: { type: 'point', filled: true, size: 18, clip: true },
        encoding: { x, y, color: colour, tooltip: tooltip([]) },
      },
      {
        data: { name: 'tiles', values: inside },
        mark: { type: 'point', filled: true, stroke: '#ffffff', strokeWidth: 0.8, clip: true },
        encoding: {
          x,
          y,
          color: colour,
          shape: { condition: { test: 'datum.yours', value: 'cross' }, value: 'diamond' },
          size: { condition: { test: 'datum.yours', value: 190 }, value: 80 },
          tooltip: tooltip([{ field: 'tile', title: 'Tile' }]),
        },
      },
    ],
  };
  return {
    id: 'io',
    title: `Bytes against fast memory: ${bounds.kernel}`,
    caption:
      'Lines: the lower bound, and each kernel at the best tile of free sizes. Diamonds: tiles of the sizes the library ' +
      'offers; a cross: the tile that was given. Dotted: the capacity asked about.',
    spec: specOf(body),
    tables: [curveTable(bounds)],
  };
}

const axis = (field: string, title: string, domain: [number, number]) => ({
  field,
  type: 'quantitative',
  title,
  scale: { type: 'log', domain, nice: false },
  axis: { values: ticks(domain), labelExpr: "format(datum.value, '~s') + 'B'" },
});

/** Powers of ten, with 2 and 5 between them where they are few. */
function ticks(domain: [number, number]): number[] {
  const tens = decades(domain);
  if (tens.length > 2) return tens;
  const first = Math.floor(Math.log10(domain[0]));
  return Array.from({ length: 4 }, (_, i) => [1, 2, 5].map((m) => Number(`${m}e${first + i}`)))
    .flat()
    .filter((v) => v >= domain[0] && v <= domain[1]);
}

/** Sizes that change what moves, and choices that are made. */
export const tileText = (tile: Readonly<Record<string, number>>): string =>
  Object.entries(tile)
    .filter(([key, value]) => sizeMatters(key) && value !== 0)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');

/** The schedules at the capacity that was asked about. */
export function schedulesTable(bounds: Bounds): Table {
  return {
    id: 'schedules',
    title: `Schedules within ${quantity(bounds.capacity_B, 'B')}`,
    columns: [
      { key: 'kernel', label: 'Kernel', align: 'left' },
      { key: 'sizes', label: 'Sizes', align: 'left' },
      { key: 'tile', label: 'Tile', align: 'left' },
      { key: 'requested', label: 'Bytes', align: 'right' },
      { key: 'ratio', label: 'To the bound', align: 'right' },
      { key: 'live', label: 'Near bytes', align: 'right' },
      { key: 'used', label: 'Of the capacity', align: 'right' },
    ],
    rows: bounds.schedules.map((s) => [
      { text: s.kernel },
      { text: s.sizes },
      { text: tileText(s.tile) },
      { text: quantity(s.requested_B, 'B'), value: s.requested_B },
      { text: times(s.ratio), value: s.ratio },
      { text: quantity(s.live_B, 'B'), value: s.live_B },
      { text: percent(s.live_B / bounds.capacity_B), value: s.live_B / bounds.capacity_B },
    ]),
  };
}

/** All bounds that hold, with what they hold for and, on pages, who says so. */
export function termsTable({ terms }: Bounds, sources: boolean): Table {
  return {
    id: 'terms',
    title: 'Bounds',
    columns: [
      { key: 'formula', label: 'Bound', align: 'left' },
      { key: 'bytes', label: 'Bytes', align: 'right' },
      { key: sources ? 'source' : 'range', label: 'Holds for', align: 'left' },
    ],
    rows: terms.map((t) => [
      { text: t.formula },
      t.bound_B > 0 ? { text: quantity(t.bound_B, 'B'), value: t.bound_B } : { text: 'says nothing', value: 0 },
      { text: sources ? `${t.range}; ${t.source}` : t.range },
    ]),
  };
}

/** What the kernel that a machine picks moves across each of its boundaries. */
export function boundariesTable({ name, kernel, boundaries }: NonNullable<Bounds['machine']>): Table {
  return {
    id: 'boundaries',
    title: `Boundaries of ${name}`,
    columns: [
      { key: 'boundary', label: `Boundary of ${name}`, align: 'left' },
      { key: 'near', label: 'Near memory', align: 'right' },
      { key: 'least', label: 'At least', align: 'right' },
      { key: 'moved', label: `${kernel} moves`, align: 'right' },
      { key: 'ratio', label: 'Ratio', align: 'right' },
      { key: 'formula', label: 'By', align: 'left' },
    ],
    rows: boundaries.map((c) => [
      { text: c.boundary },
      { text: quantity(c.capacity_B, 'B'), value: c.capacity_B },
      { text: quantity(c.bound_B, 'B'), value: c.bound_B },
      { text: quantity(c.moved_B, 'B'), value: c.moved_B },
      { text: times(c.ratio), value: c.ratio },
      { text: c.formula },
    ]),
  };
}

function curveTable(bounds: Bounds): Table {
  const curve = bounds.curve ?? [];
  const kernels = [...new Set(curve.flatMap((p) => Object.keys(p.requested_B)))].sort();
  return {
    id: 'curve',
    title: 'Bytes by capacity',
    columns: ['Capacity', 'Lower bound', ...kernels].map((label) => ({ key: label, label, align: 'right' })),
    rows: curve.map((p) => [
      { text: quantity(p.capacity_B, 'B'), value: p.capacity_B },
      { text: quantity(p.bound_B, 'B'), value: p.bound_B },
      ...kernels.map((k) => {
        const bytes = p.requested_B[k];
        return bytes === undefined ? { text: '' } : { text: quantity(bytes, 'B'), value: bytes };
      }),
    ]),
  };
}

/** A play of the pebble game, a move a row: what is near and what is stored after it. */
export function pebblingTable(p: Pebbling): Table {
  const verdict = p.proven ? 'no play has fewer' : `no play has fewer than ${p.at_least}`;
  return {
    id: 'pebbling',
    title: `Pebble game on ${p.graph}: ${p.cost} loads and stores with ${p.near} values near; ${verdict} (formula: ${p.bound.toFixed(1)})`,
    columns: [
      { key: 'step', label: 'Step', align: 'right' },
      { key: 'move', label: 'Move', align: 'left' },
      { key: 'value', label: 'Value', align: 'left' },
      { key: 'cost', label: 'Moved', align: 'right' },
      { key: 'near', label: 'Near', align: 'left' },
    ],
    rows: p.frames.map((f, i) => [
      { text: String(i + 1), value: i + 1 },
      { text: f.move },
      { text: f.value },
      { text: String(f.cost), value: f.cost },
      { text: f.near.join(' ') },
    ]),
  };
}
