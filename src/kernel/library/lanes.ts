/** How kernels that only stream and do vector work lie on lanes, and which choices of it are worth trying. */
import { bytesOf, type DType } from '../../base/dtype.js';
import { mathRateOf, type ResourceGraph } from '../../machine/graph.js';
import type { Mapping, ParamDef, Params } from '../kernel.js';
import { ceil } from './dims.js';

export const GROUPS = [1, 2, 4, 8, 16, 32] as const;
export const groupsParam: ParamDef = { description: 'lane groups (warps) of a workgroup', values: GROUPS, default: 4 };

/** Lane groups run along rows first, then along columns. */
export function vectorMapping(machine: ResourceGraph, groups: number, rows: number): Mapping {
  const down = Math.max(1, Math.min(groups, rows));
  return {
    lanes: groups * machine.cores.lane_group,
    partition: [down, Math.max(1, Math.floor(groups / down))],
    resident: 0,
    panel: 1,
    mma: 'vector',
  };
}

/** Numbers are worked on in fp32, or in fp64 when they are fp64. */
export const workDType = (dtype: DType): DType => (dtype === 'fp64' ? 'fp64' : 'fp32');

/** Why the machine cannot do this arithmetic; undefined when it can. */
export function lacksMath(machine: ResourceGraph, dtype: DType): string | undefined {
  const work = workDType(dtype);
  return mathRateOf(machine, 'fma', work) ? undefined : `no unit of ${machine.name} does ${work} arithmetic`;
}

/** Elements of `dtype` in the widest vector access of a lane (16 bytes on GPUs of every generation here). */
export const vectorWidth = (dtype: DType): number => Math.max(1, Math.floor(16 / bytesOf(dtype)));

/**
 * Rows per workgroup × lane groups for kernels that hold whole rows of `cols` (or blocks of them) in registers:
 * 1 to 32 lane groups, each lane with a vector access of the row up to 64 elements, as row-wise library kernels do.
 */
export function rowCandidates(rows: number, cols: number, machine: ResourceGraph, dtype: DType): Params[] {
  const out: Params[] = [];
  const lane = machine.cores.lane_group;
  const width = Math.min(vectorWidth(dtype), ceil(cols, lane));
  const blocks = cols <= 4096 ? [0] : cols <= 32768 ? [0, 2048, 4096, 8192] : [4096, 8192];
  for (const block of blocks) {
    const held = block || cols;
    for (const groups of GROUPS)
      for (const per of [1, 2, 4, 8, 16, 32]) {
        const perLane = (per * held) / (groups * lane);
        if (perLane > 64 || (perLane < width && !(per === 1 && groups <= 4)) || (per > 1 && per > rows)) continue;
        if (per > 1 && (block > 0 || cols > 2048 || per > 2 * groups)) continue;
        out.push({ rows: per, groups, block });
      }
  }
  return out;
}
