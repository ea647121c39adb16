/** Tile sizes of the backward kernels: legal values, and those that libraries ship per head width and machine. */
import type { ResourceGraph } from '../../machine/graph.js';
import type { ParamDef, Params } from '../kernel.js';
import { type AttentionBackward, backwardRoute } from './attention_backward_op.js';
import type { Route } from './attention_route.js';

const SIDES = [16, 32, 64, 80, 96, 128, 192, 256] as const;
export const GROUP_COUNTS = [1, 2, 3, 4, 8, 16] as const;

export const BACKWARD_PARAMS = {
  bq: { description: 'queries of a block', values: SIDES, default: 64 },
  bkv: { description: 'keys a workgroup keeps with their gradients', values: SIDES, default: 128 },
  stages: { description: 'buffers of queries and of their gradients', values: [1, 2, 3], default: 2 },
  groups: {
    description: 'lane groups: warps, or warpgroups where the instruction spans one',
    values: GROUP_COUNTS,
    default: 8,
  },
} as const satisfies Record<string, ParamDef>;

/**
 * Blocks [queries, keys] by head width. Warps: FlashAttention-2 (128×128 to width 64, 64×128 to 128, 64×64 beyond).
 * Warpgroups: FlashAttention-3 (128×128; 64 or 80 × 128; 64 × 80, 96 or 64).
 */
export function blockSizes(head_dim: number, route: Route): readonly (readonly [bq: number, bkv: number])[] {
  if (route.mma === 'vector') {
    if (head_dim <= 64)
      return [
        [32, 32],
        [32, 64],
        [64, 64],
      ];
    return [
      [16, 16],
      [32, 32],
      [16, 32],
    ];
  }
  if (route.m >= 64) {
    if (head_dim <= 64)
      return [
        [128, 128],
        [64, 128],
        [64, 64],
      ];
    if (head_dim <= 128)
      return [
        [64, 128],
        [80, 128],
        [128, 128],
        [64, 64],
      ];
    return [
      [64, 64],
      [64, 80],
      [64, 96],
      [64, 128],
    ];
  }
  if (head_dim <= 64)
    return [
      [128, 128],
      [64, 128],
      [64, 64],
      [32, 64],
    ];
  if (head_dim <= 128)
    return [
      [64, 128],
      [64, 64],
      [32, 64],
    ];
  return [
    [64, 64],
    [32, 64],
    [16, 64],
    [16, 32],
  ];
}

/** Lane groups: as many as share the accumulators of blocks this large. */
export function groupsOf(head_dim: number, route: Route): readonly number[] {
  if (route.mma === 'vector') return [4, 8];
  if (route.lanes > 32) return route.m >= 128 ? [1, 2] : head_dim > 128 ? [2, 3] : [1, 2, 3];
  return [4, 8];
}

export function backwardBlocks(op: AttentionBackward, machine: ResourceGraph): Params[] {
  const route = backwardRoute(op, machine);
  if (!route) return [];
  const out: Params[] = [];
  for (const [bq, bkv] of blockSizes(op.head_dim, route))
    for (const groups of groupsOf(op.head_dim, route))
      for (const stages of [1, 2]) out.push({ bq, bkv, stages, groups });
  return out;
}
