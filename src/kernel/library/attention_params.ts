/** Tile sizes of the attention kernels: legal values, and those that libraries ship per head width and machine. */
import type { ResourceGraph } from '../../machine/graph.js';
import type { ParamDef, Params } from '../kernel.js';
import type { Attention } from './attention_op.js';
import { type Route, routeOf } from './attention_route.js';

export const ATTENTION_PARAMS = {
  bq: { description: 'rows of a query tile', values: [1, 2, 4, 8, 16, 32, 64, 128, 192, 256], default: 128 },
  bkv: {
    description: 'keys of a block',
    values: [16, 32, 48, 64, 80, 96, 112, 128, 160, 176, 192, 224, 256],
    default: 64,
  },
  stages: { description: 'buffers of keys and of values', values: [1, 2, 3, 4], default: 2 },
  groups: {
    description: 'lane groups: warps, or warpgroups where the instruction spans one',
    values: [1, 2, 3, 4, 8, 16, 32],
    default: 4,
  },
  pack: { description: '1: the query heads of a group share a tile', values: [0, 1], default: 0 },
} as const satisfies Record<string, ParamDef>;

export const ATTENTION_VECTOR: ParamDef = {
  description: '1: products on lanes instead of matrix instructions',
  values: [0, 1],
  default: 0,
};

/** Lanes of the widest matrix instruction that a kernel was written for. */
export const ATTENTION_WIDEST: ParamDef = {
  description: 'lanes of the widest matrix instruction it may use; 0: any',
  values: [0, 32, 128],
  default: 0,
};

/** Most query heads that libraries pack into one tile (TensorRT-LLM's XQA, FlashInfer); beyond, each head goes alone. */
const PACKED_HEADS = 32;

/** Queries so few that one tile holds those of all heads of a group are packed. */
export const packs = (op: Attention): boolean =>
  op.heads > op.kv_heads &&
  op.heads / op.kv_heads <= PACKED_HEADS &&
  op.q_len <= 64 &&
  !op.relative_bias &&
  !op.statistics;

/**
 * Query tiles: 64 to 192 rows by whole native tiles (FlashAttention-2: 64, 128; FlashAttention-3: 128, 192), and the
 * smallest native tile that holds all rows when there are fewer.
 */
export function queryTiles(rows: number, head_dim: number, route: Route): readonly number[] {
  if (head_dim > 256 && rows > 16) return route.m >= 64 ? [route.m] : [32, 64];
  if (route.mma === 'vector') return rows <= 8 ? [rowsUp(rows)] : rows <= 32 ? [32] : [32, 64];
  const sizes = route.m >= 128 ? [128, 256] : route.m >= 64 ? [64, 128, 192] : [16, 32, 64, 128];
  // warp-specialised kernels give each of at least two consumer groups a native tile
  if (route.lanes > 32 && route.m < 128 && rows > 64) return [128, 192];
  const small = sizes.findIndex((bq) => bq >= rows);
  if (small >= 0) return sizes.slice(small, small + 1);
  return route.m >= 64 ? sizes : [64, 128];
}
const rowsUp = (rows: number): number => 2 ** Math.ceil(Math.log2(rows));

/** Blocks of keys: wide for narrow heads, narrow for wide ones, as registers and shared storage demand. */
export function keyBlocks(head_dim: number, route: Route): readonly number[] {
  if (head_dim > 256) return [16, 32];
  if (route.m >= 64) {
    if (head_dim <= 64) return [96, 128, 160, 192, 224];
    if (head_dim <= 128) return [64, 96, 128, 176];
    return head_dim <= 192 ? [64, 96, 112] : [32, 64, 80];
  }
  if (head_dim <= 64) return [32, 64, 128];
  return head_dim <= 128 ? [32, 64, 128] : [16, 32, 64];
}

/** Lane groups: along the rows, and also along the columns of heads so wide that one group could not hold the result. */
export function groupCounts(bq: number, head_dim: number, route: Route): readonly number[] {
  if (head_dim > 256) return route.lanes > 32 ? [2, 4] : [8];
  if (route.mma === 'vector') return [4, 8];
  if (route.m >= 128) return bq > 128 ? [2, 4] : [1, 2];
  if (route.lanes > 32) return [Math.max(1, Math.min(3, Math.floor(bq / Math.min(64, route.m))))];
  return bq <= 64 ? [4] : [4, 8];
}

/** Choices for kernels that hold a whole head of queries and blocks of keys: at most 40. */
export function tileCandidates(op: Attention, machine: ResourceGraph, stageCounts: readonly number[]): Params[] {
  const route = routeOf(op, machine);
  if (!route) return [];
  const pack = packs(op);
  const rows = pack ? (op.q_len * op.heads) / op.kv_heads : op.q_len;
  const out: Params[] = [];
  for (const bq of queryTiles(rows, op.head_dim, route))
    for (const bkv of keyBlocks(op.head_dim, route))
      for (const groups of groupCounts(bq, op.head_dim, route))
        for (const stages of stageCounts) out.push({ bq, bkv, stages, groups, pack: pack ? 1 : 0 });
  return out;
}

/** Blocks [queries, keys] of kernels with keys in the outer loop: FlashAttention's of 2022 (16 × 128, 16 × 256) and larger. */
export const FIRST_BLOCKS = [
  [16, 256],
  [16, 128],
  [64, 128],
  [64, 64],
] as const;
