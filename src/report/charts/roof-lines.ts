/** The roofs of a roofline chart as clipped line ends and their labels. */
import { quantity } from '../format.js';
import type { ComputeRoof } from '../model.js';
import { cycle, DASHES, OKABE_ITO } from '../palette.js';
import { shortName } from '../words.js';
import { type Box, overlap } from './labels.js';
import type { RooflineSeries } from './roofline-data.js';

/** The domain of both axes and the size in pixels. */
export interface Frame {
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
  readonly width: number;
  readonly height: number;
}

export interface RoofText {
  readonly level: string;
  readonly x: number;
  readonly y: number;
  readonly text: string;
  readonly align: 'left' | 'right';
  readonly angle: number;
  readonly colour?: string;
}

interface LineEnd {
  readonly id: string;
  readonly level: string;
  readonly group: string;
  readonly dash: readonly number[];
  readonly x: number;
  readonly y: number;
}

export interface RoofMarks {
  readonly lines: readonly LineEnd[];
  readonly texts: readonly RoofText[];
  /** Where labels stand, so that others keep clear of them. */
  readonly boxes: readonly Box[];
}

const VECTOR_DASH = [6, 3];
const CHAR_WIDTH = 5.7;

/** One series per machine; when machines differ, the format most matrix work runs in stands for all. */
export function roofsToDraw(series: readonly RooflineSeries[]): RooflineSeries[] {
  const machines = new Map(series.map((s) => [s.machine, s] as const).reverse());
  const firsts = series.filter((s) => machines.get(s.machine) === s);
  if (firsts.length === 1) return firsts;
  return firsts.map((s) => ({ ...s, roofline: { ...s.roofline, compute: representative(s.roofline.compute) } }));
}

function representative(roofs: readonly ComputeRoof[]): ComputeRoof[] {
  const half = roofs.find((r) => r.unit === 'matrix' && (r.dtypes.includes('bf16') || r.dtypes.includes('fp16')));
  const chosen = half ?? roofs[0];
  return chosen ? [chosen] : [];
}

/** Lines from edge to ridge and from ridge to edge, inside the frame. */
export function roofMarks(
  groups: readonly string[],
  groupOf: (series: RooflineSeries) => string,
  roofs: readonly RooflineSeries[],
  levels: readonly string[],
  frame: Frame,
): RoofMarks {
  const lines: LineEnd[] = [];
  const texts: RoofText[] = [];
  const boxes: Box[] = [];
  const memoryBoxes: Box[] = [];
  const overlay = roofs.length > 1;
  const px = (x: number) => (Math.log(x / frame.x[0]) / Math.log(frame.x[1] / frame.x[0])) * frame.width;
  const py = (y: number) => (Math.log(frame.y[1] / y) / Math.log(frame.y[1] / frame.y[0])) * frame.height;
  const slope = frame.height / Math.log(frame.y[1] / frame.y[0]) / (frame.width / Math.log(frame.x[1] / frame.x[0]));
  const angle = (-Math.atan(slope) * 180) / Math.PI;
  const colours = cycle(OKABE_ITO, groups.length);

  for (const s of roofs) {
    const peak = Math.max(...s.roofline.compute.map((c) => c.flops_per_s), 0) || frame.y[1];
    const memory = s.roofline.memory.filter((m) => levels.includes(m.store));
    const widest = Math.max(...memory.map((m) => m.B_per_s), 0);
    const colour = overlay ? colours[groups.indexOf(groupOf(s))] : undefined;
    const name = overlay ? `${s.machine} ` : '';
    const group = groupOf(s);
    const dash = overlay ? DASHES[groups.indexOf(group) % DASHES.length]! : DASHES[0];
    for (const m of memory) {
      const x0 = Math.max(frame.x[0], frame.y[0] / m.B_per_s);
      const x1 = Math.min(frame.x[1], peak / m.B_per_s);
      if (!(x1 > x0)) continue;
      const id = `${s.id}:${m.store}`;
      const end = (x: number) => ({ id, level: m.store, group, dash, x, y: x * m.B_per_s });
      lines.push(end(x0), end(x1));
      const text = `${name}${shortName(m.store)} ${quantity(m.B_per_s, 'B/s')}`;
      // near the lower end; further along where the label of a roof much like it stands
      const length = text.length * CHAR_WIDTH;
      const cos = Math.cos((angle * Math.PI) / 180);
      const sin = Math.sin((angle * Math.PI) / 180);
      let lx = x0;
      let along: Box[] = [];
      for (let attempt = 0; attempt < 4; attempt++) {
        lx = x0 * (frame.x[1] / frame.x[0]) ** ((10 + attempt * (length + 16) * cos) / frame.width);
        const [left, bottom] = [px(lx), py(lx * m.B_per_s)];
        along = Array.from({ length: Math.ceil(length / 10) + 1 }, (_, i) => {
          const at = Math.min(length, i * 10);
          return {
            x0: left + at * cos - 4,
            x1: left + at * cos + 4,
            y0: bottom + at * sin - 14,
            y1: bottom + at * sin,
          };
        });
        if (!along.some((box) => memoryBoxes.some((b) => overlap(b, box)))) break;
      }
      texts.push({
        level: m.store,
        x: lx,
        y: lx * m.B_per_s,
        text,
        align: 'left',
        angle,
        ...(colour ? { colour } : {}),
      });
      memoryBoxes.push(...along);
      boxes.push(...along);
    }
    for (const c of s.roofline.compute) {
      const y = c.flops_per_s;
      const x0 = Math.max(frame.x[0], widest > 0 ? y / widest : frame.x[0]);
      const id = `${s.id}:${c.unit}:${c.dtypes.join('+')}`;
      const end = (x: number) => ({
        id,
        level: 'compute',
        group,
        dash: !overlay && c.unit === 'vector' ? VECTOR_DASH : dash,
        x,
        y,
      });
      if (!(frame.x[1] > x0)) continue;
      // overlaid, only the level that is looked at is drawn, and its ridge is where the roof begins
      if (overlay)
        for (const m of memory) {
          const start = Math.max(frame.x[0], y / m.B_per_s);
          const at = (x: number) => ({ ...end(x), id: `${id}:${m.store}`, level: m.store });
          if (frame.x[1] > start) lines.push(at(start), at(frame.x[1]));
        }
      else lines.push(end(x0), end(frame.x[1]));
      const text = `${name}${c.unit} ${formats(c.dtypes)} ${quantity(y, 'FLOP/s')}`;
      const width = text.length * CHAR_WIDTH;
      // at the right end, or further left where another label is too near
      let right = frame.width - 4;
      let box: Box = { x0: 0, x1: 0, y0: 0, y1: 0 };
      for (let attempt = 0; attempt < 4; attempt++) {
        box = { x0: right - width, x1: right, y0: py(y) - 15, y1: py(y) + 1 };
        const hit = boxes.find((b) => overlap(b, box));
        if (!hit || hit.x0 - 14 - width < px(x0)) break;
        right = hit.x0 - 14;
      }
      boxes.push(box);
      const lx = frame.x[0] * (frame.x[1] / frame.x[0]) ** (right / frame.width);
      texts.push({ level: 'compute', x: lx, y, text, align: 'right', angle: 0, ...(colour ? { colour } : {}) });
    }
  }
  return { lines, texts, boxes };
}

/** "fp16, bf16" or, when many share a rate, the first two and how many more. */
function formats(dtypes: readonly string[]): string {
  return dtypes.length <= 3 ? dtypes.join(', ') : `${dtypes.slice(0, 2).join(', ')} +${dtypes.length - 2}`;
}
