/** What kernels ask of a machine, for building programs that a WebGPU device runs: lanes and workgroup memory, no matrix unit. */

import type { DType } from '../../src/base/dtype.js';
import type { MmaOp, ResourceGraph } from '../../src/machine/graph.js';
import type { AdapterInfo } from '../../src/webgpu/device/job.js';
import { LANES } from '../kernel/library/plain-machines.js';

const multiplyAdd = (t: DType): MmaOp => ({
  a: t,
  b: t,
  acc: t,
  macs_per_cycle: 8,
  sparse_2_4: false,
  m: 1,
  n: 1,
  k: 1,
  lanes: 1,
  latency_cycles: 4,
  operands: 'register',
  accumulator: 'register',
  pJ_per_MAC: 1,
});

export function machineOf(info: Pick<AdapterInfo, 'limits'>): ResourceGraph {
  const shared_B = info.limits['maxComputeWorkgroupStorageSize'] ?? 16384;
  return {
    ...LANES,
    name: 'webgpu',
    // plain multiply–adds, as machines list them
    units: [{ id: 'matrix', mma: [multiplyAdd('fp32'), multiplyAdd('int32')], math: {} }, ...LANES.units.slice(1)],
    cores: {
      ...LANES.cores,
      count: 8,
      lane_group: 32,
      max_lanes_per_workgroup: Math.min(256, info.limits['maxComputeInvocationsPerWorkgroup'] ?? 256),
      shared_B,
      shared_per_workgroup_B: shared_B,
      shared_reserved_B: 0,
    },
  };
}
