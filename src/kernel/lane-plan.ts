/**
 * A program laid on the lanes of a workgroup, as the WGSL emitter writes it and the engines charge for it where lanes
 * do everything themselves: operands of mma staged, register tiles on grids of lanes, arrays of four-word vectors,
 * tiles with two buffers.
 */
import type { Program, Reduce, Stmt, Tensor, Tile } from './ir.js';
import {
  gridFor,
  type LaneGrid,
  laneGrids,
  type Reduction,
  reductionOf,
  type Share,
  type SubgroupSizes,
  shareOf,
} from './lanes.js';
import { type Ranges, rangesOf } from './range.js';
import { doubleBuffered, stageOperands } from './stage.js';
import { type Memory, vectorised } from './vectors.js';

export interface LanePlan {
  /** With copies of mma operands into shared tiles, which no program asked for: `added`. */
  readonly program: Program;
  readonly added: ReadonlySet<Stmt>;
  readonly lanes: number;
  readonly subgroup: SubgroupSizes;
  readonly grids: ReadonlyMap<Tile, LaneGrid>;
  readonly ranges: Ranges;
  /** Tensors that lanes update at the same time. */
  readonly atomic: ReadonlySet<Tensor>;
  /** Tensors and shared tiles that are arrays of vectors of four. */
  readonly vec: ReadonlySet<Memory>;
  /** Tiles with two buffers, and the indices that alternate between them. */
  readonly buffers: ReturnType<typeof doubleBuffered>;
}

export function lanePlan(unstaged: Program, lanes: number, subgroup: SubgroupSizes): LanePlan {
  const { program, added } = stageOperands(unstaged);
  const atomic = new Set<Tensor>();
  forEachStmt(program.body, (s) => {
    if (s.kind === 'scatter' && s.combine !== 'set') atomic.add(s.to.tensor);
  });
  const ranges = rangesOf(program);
  const grids = laneGrids(program, lanes);
  const vec = vectorised(program, grids, ranges, atomic);
  return { program, added, lanes, subgroup, grids, ranges, atomic, vec, buffers: doubleBuffered(program) };
}

/**
 * Gives tiles two buffers while workgroup memory lasts, smallest first. `size`: bytes of one buffer as it is stored;
 * `used_B`: of all tiles with one buffer each and whatever else stands there.
 */
export function fitBuffers(
  plan: LanePlan,
  size: (t: Tile) => number,
  used_B: number,
  workgroup_B: number,
): { readonly buffers: LanePlan['buffers']; readonly total_B: number; readonly left: readonly Tile[] } {
  const buffers = new Map(plan.buffers);
  const left: Tile[] = [];
  let total_B = used_B;
  for (const t of [...buffers.keys()].sort((a, b) => size(a) - size(b))) {
    if (total_B + size(t) <= workgroup_B) total_B += size(t);
    else {
      buffers.delete(t);
      left.push(t);
    }
  }
  return { buffers, total_B, left };
}

export const shareIn = (plan: LanePlan, t: Tile): Share => shareOf(t, plan.grids.get(t)!);

/** The lanes' grid of a statement: of one of these tiles that is in registers, or one of its own for `walked`. */
export function gridOfStmt(plan: LanePlan, s: Stmt, held: readonly Tile[], walked: Tile): LaneGrid {
  const near = held.find((t) => t.level === 'register');
  return near ? plan.grids.get(near)! : gridFor([s], [walked], plan.lanes);
}

/** How a reduction lies on the lanes. */
export function reductionIn(plan: LanePlan, s: Reduce): Reduction & { readonly grid: LaneGrid } {
  const grid = gridOfStmt(plan, s, [s.from, s.to], s.from);
  return { ...reductionOf(s, grid, plan.lanes, plan.subgroup), grid };
}

export function forEachStmt(body: readonly Stmt[], found: (s: Stmt) => void): void {
  for (const s of body) {
    found(s);
    if (s.kind === 'loop') forEachStmt(s.body, found);
  }
}
