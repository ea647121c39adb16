/**
 * Which tensors and shared tiles are arrays of vec4. An array has one element type, so every access to it must be
 * able to take whole aligned vectors; where one cannot, the array is of scalars, and so are those it is copied with.
 */
import { isTile, type Program, type Stmt, stridesOf, type Tensor, type Tile, type View } from './ir.js';
import { type LaneGrid, shareOf } from './lanes.js';
import { isMultiple, type Ranges, rangeOf } from './range.js';

export type Memory = Tensor | Tile;

/** Tensors and shared tiles whose arrays hold vec4; `atomic` tensors never do. */
export function vectorised(
  program: Program,
  grids: ReadonlyMap<Tile, LaneGrid>,
  ranges: Ranges,
  atomic: ReadonlySet<Tensor>,
): Set<Memory> {
  const vec = new Set<Memory>();
  for (const t of program.tensors) if (!atomic.has(t) && elements(t) % 4 === 0) vec.add(t);
  for (const t of program.tiles) if (t.level === 'shared' && t.cols % 4 === 0) vec.add(t);
  // parts start and step anywhere
  for (const t of program.tiles)
    if (t.part) {
      vec.delete(t);
      vec.delete(t.part.of);
    }
  /** Pairs that are vectors together or not at all. */
  const pairs: [Memory, Memory][] = [];
  /** Whether a tile can hand over or take aligned vectors along its columns. */
  const offers = (t: Tile): boolean => {
    if (t.level === 'shared') return vec.has(t);
    const grid = grids.get(t);
    return grid !== undefined && shareOf(t, grid).chunk === 4;
  };
  const between = (view: View, t: Tile): void => {
    if (!aligned(view, t, ranges) || !offers(t)) {
      vec.delete(view.tensor);
      if (t.level === 'shared') vec.delete(t);
    } else if (t.level === 'shared') pairs.push([view.tensor, t]);
  };
  const visit = (body: readonly Stmt[]): void => {
    for (const s of body) {
      switch (s.kind) {
        case 'loop':
          visit(s.body);
          break;
        case 'copy':
          if (!isTile(s.from)) between(s.from, s.to as Tile);
          else if (!isTile(s.to)) between(s.to, s.from);
          else if (s.from.level === 'shared' && s.to.level === 'shared') pairs.push([s.from, s.to]);
          else if (s.to.level === 'shared' && !offers(s.from)) vec.delete(s.to);
          break;
        case 'map':
          vec.delete(s.out);
          break;
        case 'reduce':
          vec.delete(s.to);
          break;
        case 'mma':
          vec.delete(s.acc);
          break;
        case 'gather':
          between(s.from, s.to);
          break;
        case 'scatter':
          between(s.to, s.from);
          break;
      }
    }
  };
  visit(program.body);
  for (let changed = true; changed; ) {
    changed = false;
    for (const [a, b] of pairs)
      if (vec.has(a) !== vec.has(b)) {
        vec.delete(a);
        vec.delete(b);
        changed = true;
      }
  }
  return vec;
}

const elements = (t: Tensor): number => t.dims.reduce((a, b) => a * b, 1);

/** Whether every vector of four columns of the view is whole and starts at a multiple of four. */
function aligned(v: View, t: Tile, ranges: Ranges): boolean {
  const { tensor, axes } = v;
  const strides = stridesOf(tensor);
  const col = axes[1];
  if (col < 0 || t.cols % 4 !== 0) return false;
  if (strides[col] !== 1 || (v.step?.[1] ?? 1) !== 1) return false;
  if (strides.some((s, d) => d !== col && s % 4 !== 0)) return false;
  if (!isMultiple(v.at[col]!, 4)) return false;
  const limit = v.limit?.[1];
  if (limit !== undefined && !isMultiple(limit, 4)) return false;
  return tensor.dims[col]! % 4 === 0 || rangeOf(v.at[col]!, ranges).hi + t.cols <= tensor.dims[col]!;
}
