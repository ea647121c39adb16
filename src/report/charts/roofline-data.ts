/** What a roofline chart draws, and in which frame: levels, groups, marks kept, domains, caption. */
import type { Point, Roofline } from '../model.js';
import { OKABE_ITO, SHAPES } from '../palette.js';
import { logDomain } from './chart.js';
import type { Frame } from './roof-lines.js';

export interface RooflineSeries {
  readonly id: string;
  readonly label: string;
  /** Machines that are the same share their roofs. */
  readonly machine: string;
  readonly roofline: Roofline;
}

const WIDTH = 760;
const HEIGHT = 430;
/** More would be a blot; the longest-running are kept and the caption says so. */
const MOST_POINTS = 400;
const MOST_KINDS = SHAPES.length - 1;

/** What tells series apart by colour and shape: their labels, or with more than there are colours their machines. */
export function groupNames(series: readonly RooflineSeries[]): (s: RooflineSeries) => string {
  return series.length <= OKABE_ITO.length ? (s) => s.label : (s) => s.machine;
}

/** Levels with a roof; with points, only those where some op moves bytes. */
export function levelsOf(series: readonly RooflineSeries[]): string[] {
  const roofs = [...new Set(series.flatMap((s) => s.roofline.memory.map((m) => m.store)))];
  const all = series.flatMap((s) => [...s.roofline.points, ...(s.roofline.total ? [s.roofline.total] : [])]);
  if (all.length === 0) return roofs;
  return roofs.filter((store) => all.some((p) => (p.intensity[store] ?? 0) > 0));
}

export function keepLargest(points: readonly Point[]): Point[] {
  return [...points].sort((a, b) => b.share - a.share).slice(0, MOST_POINTS);
}

/** Kinds by time, the least of them gathered as "other". */
export function kindsOf(points: readonly Point[]): string[] {
  const shares = new Map<string, number>();
  for (const p of points) shares.set(p.kind, (shares.get(p.kind) ?? 0) + p.share);
  const kinds = [...shares].sort((a, b) => b[1] - a[1]).map(([kind]) => kind);
  return kinds.length <= MOST_KINDS ? kinds : [...kinds.slice(0, MOST_KINDS - 1), 'other'];
}

export function areaOf(share: number): number {
  return 44 + 900 * Math.max(0, Math.min(1, share));
}

export function frameOf(all: readonly Point[], roofs: readonly Roofline[]): Frame {
  const peaks = roofs.flatMap((r) => r.compute.map((c) => c.flops_per_s));
  const ridges = roofs.flatMap((r) =>
    r.compute.flatMap((c) => r.memory.slice(0, 1).map((m) => c.flops_per_s / m.B_per_s)),
  );
  const xs = [...all.flatMap((p) => Object.values(p.intensity)), ...ridges];
  if (all.length === 0) xs.push(0.1);
  const x = logDomain(xs, 2.5, 3);
  // room for the labels of the horizontals right of where the diagonals end
  const room = (roofs.length > 1 ? 300 : 225) / WIDTH;
  const end = Math.max(...ridges, 0);
  if (end > x[0]) x[1] = Math.max(x[1], (end / x[0] ** room) ** (1 / (1 - room)));
  // without points the height follows from the roofs inside the width
  const lowest = roofs.flatMap((r) => r.memory.slice(0, 1).map((m) => m.B_per_s * x[0]));
  const y = logDomain([...all.map((p) => p.flops_per_s), ...peaks, ...(all.length === 0 ? lowest : [])], 3, 2.2);
  return { x, y, width: WIDTH, height: HEIGHT };
}

export function captionOf(
  series: readonly RooflineSeries[],
  drawn: readonly (readonly Point[])[],
  overlay: boolean,
): string {
  const parts = [
    overlay
      ? 'Diagonals: what the memory level can feed. Horizontals: the peak rate of 16-bit matrix work where there is one. Each machine in its colour and dash.'
      : 'Diagonals: what each memory level can feed. Horizontals: peak rates by number format (dashed: vector units).',
  ];
  const ops = drawn.reduce((n, points) => n + points.length, 0);
  const all = series.reduce((n, s) => n + s.roofline.points.length, 0);
  const skipped = series.reduce((n, s) => n + s.roofline.without_flops, 0);
  const totals = series.some((s) => s.roofline.total);
  if (ops > 0) parts.push('A mark is an op, its area its share of the time.');
  if (totals) parts.push(ops > 0 ? 'Outlined in black: the whole run.' : 'A mark is a whole run.');
  if (ops > 0 && skipped > 0)
    parts.push(
      `${skipped} op${skipped > 1 ? 's do' : ' does'} no FLOPs and so ${skipped > 1 ? 'have' : 'has'} no mark.`,
    );
  if (ops > 0 && ops < all) parts.push(`${all - ops} shorter ops are left out; the table has all.`);
  return parts.join(' ');
}
