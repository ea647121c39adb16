/**
 * Tile shapes that libraries ship (cuBLAS, CUTLASS: their profiler's tile lists), by how the machine multiplies:
 * lane groups with operands in registers (mma.sync), groups of 128 lanes that read shared memory (wgmma), matrix
 * units with an accumulator store of their own (tcgen05), and register tiles of plain multiply–adds (SGEMM).
 */
import { bytesOf, type DType } from '../../base/dtype.js';
import type { ResourceGraph } from '../../machine/graph.js';
import type { ParamDef } from '../kernel.js';
import { laneGrid } from './matmul_plan.js';
import { type Formats, type Route, SCALE_GROUP, scalingOf } from './mma_route.js';

/** bm, bn, lane groups along m, along n. */
type Shape = readonly [bm: number, bn: number, gm: number, gn: number];

const WARP_TILES: readonly Shape[] = [
  [128, 128, 2, 2],
  [128, 256, 2, 4],
  [256, 128, 4, 2],
  [128, 64, 2, 2],
  [64, 128, 2, 2],
  [64, 256, 1, 4],
  [256, 64, 4, 1],
  [64, 64, 2, 2],
];
/** Of products with narrower weights, which CUTLASS and its like are built for: also few rows (FasterTransformer). */
const WEIGHT_ONLY_TILES: readonly Shape[] = [
  ...WARP_TILES,
  [128, 32, 4, 1],
  [32, 128, 1, 4],
  [32, 256, 1, 4],
  [64, 32, 2, 2],
  [32, 64, 1, 4],
  [32, 32, 2, 2],
  [16, 256, 1, 8],
  [16, 128, 1, 4],
  [16, 64, 1, 4],
  [16, 32, 1, 2],
];
const WARPGROUP_TILES: readonly Shape[] = [
  [128, 256, 2, 1],
  [128, 128, 2, 1],
  [256, 128, 2, 1],
  [128, 224, 2, 1],
  [128, 192, 2, 1],
  [128, 160, 2, 1],
  [192, 128, 3, 1],
  [64, 256, 1, 1],
  [128, 64, 2, 1],
  [256, 64, 2, 1],
  [64, 128, 1, 1],
  [64, 192, 1, 1],
  [64, 64, 1, 1],
  [128, 32, 2, 1],
  [64, 32, 1, 1],
  [64, 16, 1, 1],
];
const OWN_ACCUMULATOR_TILES: readonly Shape[] = [
  [256, 256, 2, 1],
  [128, 256, 1, 1],
  [256, 128, 2, 1],
  [128, 128, 1, 1],
  [256, 192, 2, 1],
  [128, 192, 1, 1],
  [128, 160, 1, 1],
  [256, 64, 2, 1],
  [128, 64, 1, 1],
  [64, 256, 1, 1],
  [64, 128, 1, 1],
  [64, 64, 1, 1],
  [128, 32, 1, 1],
  [64, 32, 1, 1],
  [128, 16, 1, 1],
  [64, 16, 1, 1],
];
/** bm, bn and the register tile of a lane. */
const LANE_TILES: readonly Shape[] = [
  [128, 128, 8, 8],
  [256, 128, 16, 8],
  [128, 256, 8, 16],
  [256, 64, 8, 8],
  [64, 256, 8, 8],
  [128, 64, 8, 8],
  [64, 128, 8, 8],
  [128, 64, 8, 4],
  [64, 128, 4, 8],
  [64, 64, 8, 8],
  [64, 64, 8, 4],
  [64, 64, 4, 4],
  [128, 32, 8, 4],
  [32, 128, 4, 8],
  [64, 32, 4, 4],
  [32, 64, 4, 4],
  [32, 32, 4, 4],
  [32, 32, 2, 2],
  [16, 64, 2, 4],
  [16, 32, 2, 2],
];

export const TILE_PARAMS = {
  bm: {
    description: 'rows of C per workgroup',
    values: [4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512],
    default: 128,
  },
  bn: {
    description: 'columns of C per workgroup',
    values: [4, 8, 16, 32, 48, 64, 96, 128, 160, 192, 224, 256, 384, 512],
    default: 128,
  },
  bk: { description: 'depth of one step', values: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512], default: 32 },
  stages: { description: 'buffers of each operand tile', values: [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16], default: 3 },
  groups_m: { description: 'lane groups along the rows of the tile', values: [1, 2, 3, 4, 8, 16, 32], default: 2 },
  groups_n: { description: 'lane groups along the columns of the tile', values: [1, 2, 3, 4, 8, 16, 32], default: 2 },
} as const satisfies Record<string, ParamDef>;

export const PANEL: ParamDef = {
  description: 'tiles of rows that workgroups walk together before the next columns (rasterisation)',
  values: [1, 2, 4, 8, 16, 32],
  default: 1,
};

export const CLUSTER = {
  cluster_n: {
    description: 'workgroups along the columns that share what they read of A',
    values: [1, 2, 4],
    default: 1,
  },
  cluster_m: { description: 'workgroups along the rows that share what they read of B', values: [1, 2, 4], default: 1 },
} as const satisfies Record<string, ParamDef>;

/** A tile choice without what only some kernels have (panel, split). */
export type TileChoice = {
  readonly bm: number;
  readonly bn: number;
  readonly bk: number;
  readonly stages: number;
  readonly groups_m: number;
  readonly groups_n: number;
};

/** The kinds of list above, by how the route multiplies. */
function shapesFor(route: Route, machine: ResourceGraph): readonly Shape[] {
  if (route.mma === 'matrix') {
    if (route.op!.accumulator === 'own') return OWN_ACCUMULATOR_TILES;
    if (route.group_lanes > machine.cores.lane_group) return WARPGROUP_TILES;
    return route.widenB && !route.widenA ? WEIGHT_ONLY_TILES : WARP_TILES;
  }
  const [lr, lc] = laneGrid(machine);
  const shapes: Shape[] = [];
  for (const [bm, bn, tm, tn] of LANE_TILES) {
    const gm = bm / (tm * lr);
    const gn = bn / (tn * lc);
    if (Number.isInteger(gm) && Number.isInteger(gn)) shapes.push([bm, bn, gm, gn]);
  }
  return shapes;
}

/** Depths: 128 and 64 bytes of a row of the widest operand as mma reads it, at least the instruction's own depth. */
function depthsFor(f: Formats, route: Route, k: number): number[] {
  const bytes =
    route.mma === 'matrix' ? Math.max(bytesOf(route.a), bytesOf(route.b)) : Math.max(bytesOf(f.a), bytesOf(f.b));
  const least = route.op?.k ?? 1;
  const most = scalingOf(f) === 'group' ? SCALE_GROUP : 512;
  const rows = route.mma === 'matrix' ? [128, 64] : bytes < 4 ? [32, 16] : [64, 32];
  const depths: number[] = [];
  for (const row_B of rows) {
    const bk = Math.min(most, Math.max(least, 2 ** Math.floor(Math.log2(row_B / bytes))));
    if (!depths.includes(bk)) depths.push(bk);
  }
  if (f.block_scaled && route.op?.accumulator === 'register') return [SCALE_GROUP];
  // a depth that the whole product does not fill only pads
  const filled = depths.filter((bk) => bk <= k);
  return filled.length > 0 ? filled : [depths[depths.length - 1]!];
}

/** Most stages that copies can use: without a path around the registers, two (one in flight, one in use). */
export const maxStages = (machine: ResourceGraph): number =>
  machine.links.some((l) => l.to === 'shared' && l.via === undefined) ? 8 : 2;

/**
 * Stage counts that fill what shared memory leaves to each of 1, 2 or 3 workgroups on a core, deepest first; none when
 * not even two buffers fit.
 */
export function stagesFor(machine: ResourceGraph, stage_B: number, fixed_B: number, steps: number): number[] {
  const c = machine.cores;
  const most = Math.max(1, Math.min(maxStages(machine), steps));
  const out: number[] = [];
  for (const residents of [1, 2, 3]) {
    const room = Math.min(c.shared_per_workgroup_B, c.shared_B / residents - c.shared_reserved_B);
    const stages = Math.min(most, Math.floor((room - fixed_B) / stage_B));
    if (stages < Math.min(2, most)) break;
    if (!out.includes(stages)) out.push(stages);
  }
  return out;
}

/**
 * Tile choices for an m × n × k product, in a fixed order, none far larger than the product. At most two depths and,
 * per depth, two stage counts (three for the deeper one when tiles are small).
 */
export function tileChoices(
  f: Formats,
  route: Route,
  machine: ResourceGraph,
  m: number,
  n: number,
  k: number,
): TileChoice[] {
  const shapes = shapesFor(route, machine);
  // the smallest tile that covers the product is enough; larger ones only pad
  const cover = (extent: number, side: 0 | 1) => {
    let best = Number.POSITIVE_INFINITY;
    for (const s of shapes) if (s[side] >= extent && s[side] < best) best = s[side];
    return best;
  };
  const mostM = cover(m, 0);
  const mostN = cover(n, 1);
  const depths = depthsFor(f, route, k);
  const wide = (d: DType, stored: boolean) => (stored ? 0 : bytesOf(d));
  const fromShared = route.op?.operands !== 'register';
  const out: TileChoice[] = [];
  let least: { stage_B: number; choice: TileChoice } | undefined;
  for (const [bm, bn, groups_m, groups_n] of shapes) {
    if (bm > mostM || bn > mostN) continue;
    for (const bk of depths) {
      const scale_B = scalingOf(f) === 'group' ? bn * bytesOf(f.a) : 0;
      const stage_B = bm * bk * bytesOf(f.a) + bk * bn * bytesOf(f.b) + scale_B;
      const fixed_B = fromShared ? bm * bk * wide(route.a, !route.widenA) + bk * bn * wide(route.b, !route.widenB) : 0;
      for (const stages of stagesFor(machine, stage_B, fixed_B, Math.ceil(k / bk)).slice(0, 2))
        out.push({ bm, bn, bk, stages, groups_m, groups_n });
      // should nothing fit, the mapper is to say by how much the least tile misses
      if (out.length === 0 && (!least || stage_B < least.stage_B))
        least = { stage_B, choice: { bm, bn, bk, stages: Math.min(2, maxStages(machine)), groups_m, groups_n } };
    }
  }
  if (out.length === 0 && least) out.push(least.choice);
  return out;
}

/**
 * Panels worth trying: plain row-major, and the power of two that makes the tiles running at once as square as
 * possible in elements (their operands are then the fewest bytes).
 */
export function panelsFor(machine: ResourceGraph, c: TileChoice, m: number, n: number): number[] {
  const rows = Math.ceil(m / c.bm);
  const cols = Math.ceil(n / c.bn);
  if (rows < 2 || cols < 2) return [1];
  const running = Math.min(rows * cols, machine.cores.count);
  const ideal = Math.sqrt((running * c.bn) / c.bm);
  const panel = Math.min(32, 2 ** Math.round(Math.log2(ideal)), 2 ** Math.ceil(Math.log2(rows)));
  return panel > 1 ? [1, panel] : [1];
}

/**
 * Clusters worth trying where reads can be multicast: none, two that share the larger operand, and two by two for
 * tiles that a core cannot feed alone.
 */
export function clustersFor(
  machine: ResourceGraph,
  c: TileChoice,
  m: number,
  n: number,
): { cluster_n: number; cluster_m: number }[] {
  const most = machine.cores.multicast ?? 1;
  const rows = Math.ceil(m / c.bm);
  const cols = Math.ceil(n / c.bn);
  const out = [{ cluster_n: 1, cluster_m: 1 }];
  if (most >= 2 && rows >= 2 && (c.bn >= c.bm || cols < 2)) out.push({ cluster_n: 1, cluster_m: 2 });
  else if (most >= 2 && cols >= 2) out.push({ cluster_n: 2, cluster_m: 1 });
  if (most >= 4 && rows >= 2 && cols >= 2 && c.bm * c.bn >= 128 * 128) out.push({ cluster_n: 2, cluster_m: 2 });
  return out;
}
