/**
 * Rooflines on log–log axes: a diagonal per memory level, a horizontal per number format, a point per op.
 * Roofs are lines with explicit ends (rule marks break on log scales), clipped to the domain. One series draws all
 * its roofs and colours ops by kind; several overlay one compute roof each and colour by series.
 */

import { percent, plain, quantity } from '../format.js';
import type { Point } from '../model.js';
import { cycle, INK, MUTED, OKABE_ITO, SHAPES } from '../palette.js';
import { pointsTable, roofsTable } from '../tables.js';
import { shortName } from '../words.js';
import { type Chart, clip, decades, haloed, legendColumns, specOf } from './chart.js';
import { type Box, placeLabels } from './labels.js';
import { type Frame, roofMarks, roofsToDraw } from './roof-lines.js';
import {
  areaOf,
  captionOf,
  frameOf,
  groupNames,
  keepLargest,
  kindsOf,
  levelsOf,
  type RooflineSeries,
} from './roofline-data.js';

export type { RooflineSeries };

const MOST_WITH_OPS = 3;

/** The chart; `level` is the memory level shown first (a page offers the others). */
export function rooflineChart(series: readonly RooflineSeries[], level?: string): Chart {
  const levels = levelsOf(series);
  const first = level && levels.includes(level) ? level : (levels[0] ?? 'dram');
  const compare = series.length > 1;
  const roofs = roofsToDraw(series);
  // ops of many runs would be a cloud: then only the runs themselves
  const drawn = series.map((s) =>
    series.length > MOST_WITH_OPS && s.roofline.total ? [] : keepLargest(s.roofline.points),
  );
  const frame = frameOf(
    series.flatMap((s, i) => [...drawn[i]!, ...(s.roofline.total ? [s.roofline.total] : [])]),
    roofs.map((r) => r.roofline),
  );
  const nameOf = groupNames(series);
  const groups = compare ? [...new Set(series.map(nameOf))] : kindsOf(drawn[0] ?? []);
  const overlay = roofs.length > 1;
  const groupOf = (s: RooflineSeries, p: Point) => (compare ? nameOf(s) : groups.includes(p.kind) ? p.kind : 'other');

  const points = series.flatMap((s, i) =>
    [
      ...drawn[i]!.map((p) => ({ p, total: false })),
      ...(s.roofline.total ? [{ p: s.roofline.total, total: true }] : []),
    ].flatMap(({ p, total }) =>
      Object.entries(p.intensity)
        .filter(([store, x]) => levels.includes(store) && x > 0 && Number.isFinite(x))
        .map(([store, x]) => ({
          level: store,
          x,
          y: p.flops_per_s,
          total,
          group: total && !compare ? 'whole run' : groupOf(s, p),
          share: p.share,
          // large ones behind small ones, whole runs before all
          front: total ? 1 : -p.share,
          area: total ? 150 : areaOf(p.share),
          run: s.label,
          tag: nameOf(s) === s.label ? s.label : s.label.replace(` on ${s.machine}`, ''),
          op: p.name,
          kind: p.kind,
          rate: quantity(p.flops_per_s, 'FLOP/s'),
          intensity: `${plain(x)} FLOP/B at ${shortName(store)}`,
          time: quantity(p.time_s, 's'),
          share_text: percent(p.share),
          bound: shortName(p.bound_by),
        })),
    ),
  );
  const marks = roofMarks(groups, nameOf, roofs, levels, frame);
  const labels = levels.flatMap((store) => labelsAt(store, points, marks.boxes, frame, compare));
  const total = series.some((s) => s.roofline.total);
  const domain = [...groups, ...(total && !compare ? ['whole run'] : [])];
  const x = {
    field: 'x',
    type: 'quantitative',
    title: 'FLOP per byte moved',
    scale: { type: 'log', domain: frame.x, nice: false },
    axis: { values: decades(frame.x), labelExpr: TICK, labelOverlap: true },
  };
  const y = {
    field: 'y',
    type: 'quantitative',
    title: 'FLOP/s',
    scale: { type: 'log', domain: frame.y, nice: false },
    axis: { values: decades(frame.y), labelExpr: TICK },
  };
  const legend = domain.length > 0 ? { orient: 'bottom', columns: legendColumns(domain), symbolSize: 90 } : null;
  const colour = {
    field: 'group',
    type: 'nominal',
    title: null,
    scale: { domain, range: [...cycle(OKABE_ITO, groups.length), INK] },
    legend,
  };
  const shape = {
    field: 'group',
    type: 'nominal',
    title: null,
    scale: { domain, range: [...cycle(SHAPES, groups.length), 'cross'] },
    legend,
  };
  const tooltip = [
    ...(compare ? [{ field: 'run', title: 'Run' }] : []),
    { field: 'op', title: 'Op' },
    { field: 'kind', title: 'Kind' },
    { field: 'rate', title: 'Rate' },
    { field: 'intensity', title: 'Intensity' },
    { field: 'time', title: 'Time of one' },
    { field: 'share_text', title: 'Share of time' },
    { field: 'bound', title: 'Bound by' },
  ].map((t) => ({ ...t, type: 'nominal' }));
  const here = { filter: 'datum.level === level' };

  const body = {
    width: frame.width,
    height: frame.height,
    params: [
      {
        name: 'level',
        value: first,
        ...(levels.length > 1
          ? { bind: { input: 'radio', options: levels, labels: levels.map(shortName), name: 'Bytes counted at ' } }
          : {}),
      },
    ],
    layer: [
      {
        data: { name: 'roofs', values: marks.lines },
        ...(overlay ? { transform: [{ filter: "datum.level === 'compute' || datum.level === level" }] } : {}),
        mark: { type: 'line', clip: true, strokeWidth: 1.4, strokeDash: { expr: 'datum.dash' } },
        encoding: {
          x,
          y,
          detail: { field: 'id', type: 'nominal' },
          color: overlay
            ? colour
            : {
                condition: { test: "datum.level === 'compute' || datum.level === level", value: '#3d444d' },
                value: '#b4bac1',
              },
        },
      },
      ...haloed({
        data: { name: 'roof-names', values: marks.texts.map((t) => ({ colour: MUTED, ...t })) },
        ...(overlay ? { transform: [{ filter: "datum.level === 'compute' || datum.level === level" }] } : {}),
        mark: {
          type: 'text',
          align: { expr: 'datum.align' },
          angle: { expr: 'datum.angle' },
          baseline: 'bottom',
          dy: -3,
          fontSize: 10.5,
          fill: { expr: 'datum.colour' },
        },
        encoding: { x, y, text: { field: 'text', type: 'nominal' } },
      }),
      {
        data: { name: 'points', values: points },
        transform: [here],
        mark: { type: 'point', filled: true, strokeWidth: { expr: 'datum.total ? 1.4 : 0.8' }, clip: true },
        encoding: {
          x,
          y,
          color: colour,
          shape,
          opacity: { condition: { test: compare ? '!datum.total' : 'false', value: 0.45 }, value: 0.9 },
          stroke: { condition: { test: 'datum.total', value: INK }, value: '#ffffff' },
          size: { field: 'area', type: 'quantitative', scale: null, legend: null },
          order: { field: 'front', type: 'quantitative' },
          tooltip,
        },
      },
      ...haloed({
        data: { name: 'names', values: labels },
        transform: [here],
        mark: {
          type: 'text',
          align: { expr: 'datum.align' },
          baseline: 'middle',
          fontSize: 10.5,
          fontWeight: compare ? 600 : 400,
        },
        encoding: { x, y, text: { field: 'text', type: 'nominal' } },
      }),
    ],
  };
  return {
    id: 'roofline',
    title: 'Roofline',
    caption: captionOf(series, drawn, overlay),
    spec: specOf(body),
    tables: [
      ...roofs.map((s) => roofsTable(s.id, s.machine, s.roofline)),
      ...series
        .filter((s) => s.roofline.points.length > 0 || s.roofline.total)
        .map((s) => pointsTable(s.id, s.label, s.roofline)),
    ],
  };
}

const TICK = "datum.value >= 1000 ? format(datum.value, '~s') : format(datum.value, '~g')";

interface Mark {
  readonly level: string;
  readonly x: number;
  readonly y: number;
  readonly total: boolean;
  readonly share: number;
  readonly area: number;
  readonly tag: string;
  readonly op: string;
}

/** Names beside the ops that take most of the time (each name once), or beside the whole runs. */
function labelsAt(level: string, points: readonly Mark[], taken: readonly Box[], frame: Frame, compare: boolean) {
  const seen = new Set<string>();
  const spots = points
    .filter((p) => p.level === level)
    .sort((a, b) => b.share - a.share)
    .map((p) => {
      const text = clip(compare ? p.tag : p.op, 36);
      const wanted = compare ? p.total : !p.total && p.share >= 0.01 && !seen.has(text) && seen.size < 9;
      if (wanted) seen.add(text);
      const [x, y] = pixels(frame, p.x, p.y);
      return { x, y, radius: Math.sqrt(p.area / Math.PI), text, wanted };
    });
  return placeLabels(spots, frame.width, frame.height, taken).map(({ label }) => ({
    level,
    x: frame.x[0] * (frame.x[1] / frame.x[0]) ** (label.x / frame.width),
    y: frame.y[1] * (frame.y[0] / frame.y[1]) ** (label.y / frame.height),
    align: label.align,
    text: label.text,
  }));
}

function pixels(frame: Frame, x: number, y: number): [number, number] {
  return [
    (Math.log(x / frame.x[0]) / Math.log(frame.x[1] / frame.x[0])) * frame.width,
    (Math.log(y / frame.y[1]) / Math.log(frame.y[0] / frame.y[1])) * frame.height,
  ];
}
