/** What the microbenchmarks are made for. */
import type { AdapterInfo } from '../device/job.js';

export interface Setup {
  readonly info: AdapterInfo;
  /** A software device: a workgroup runs on a core from its start to its end. */
  readonly cpu: boolean;
  /** Lanes of one instruction. */
  readonly group: number;
  /** Lanes of a workgroup in most probes. */
  readonly lanes: number;
  /** Workgroups that fill the device: 1 on a CPU, where a second may find its core taken by others. */
  readonly fill: number;
}

/** Where the adapter does not say how wide its groups are. */
const USUAL_GROUP = { cpu: 8, gpu: 32 } as const;
const FILL = 2048;

export function setupOf(info: AdapterInfo): Setup {
  const cpu = info.fallback;
  const most = info.limits['maxComputeInvocationsPerWorkgroup'] ?? 256;
  return {
    info,
    cpu,
    group: info.subgroup[0] || USUAL_GROUP[cpu ? 'cpu' : 'gpu'],
    lanes: Math.min(cpu ? 64 : 256, most),
    fill: cpu ? 1 : FILL,
  };
}

/** Lanes that barriers and workgroups are measured at, few to many. */
export function laneCounts({ group, info }: Setup): number[] {
  const most = info.limits['maxComputeInvocationsPerWorkgroup'] ?? 256;
  return [group, 64, 256].filter((n, i, all) => n <= most && all.indexOf(n) === i);
}
