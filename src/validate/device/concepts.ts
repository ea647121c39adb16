/** What the model knows of machines and a run on this device cannot put to the test: nothing here is validated by it. */
import type { ResourceGraph } from '../../machine/graph.js';
import type { AdapterInfo } from '../../webgpu/device/job.js';
import type { CaseResult } from './compare.js';

export interface Unexercised {
  readonly concept: string;
  readonly why: string;
}

interface Seen {
  readonly info: AdapterInfo;
  readonly machine: ResourceGraph;
  readonly results: readonly CaseResult[];
  /** Bytes of the tensors of the largest case. */
  readonly largest_B: number;
}

type Check = readonly [concept: string, why: (seen: Seen) => string | undefined];

const ALWAYS = (why: string) => () => why;
const cacheOf = (m: ResourceGraph) => m.stores.find((s) => s.role === 'cache' && s.scope === 'machine');

const CHECKS: readonly Check[] = [
  [
    'matrix units',
    ({ info }) =>
      info.subgroup_matrix.length > 0
        ? 'the cases multiply and add on lanes; subgroup matrices are used only where asked for'
        : 'WGSL multiplies and adds on lanes, and the device has no subgroup matrices',
  ],
  [
    'asynchronous copies',
    ALWAYS('WGSL loads into registers and stores from there; stages are two buffers, filled in turn'),
  ],
  ['multicast and clusters of cores', ALWAYS('workgroups of WGSL share nothing but global memory')],
  [
    'collectives, and links between devices',
    ALWAYS(
      'one device, and WebGPU binds no memory of another: only the interpreter runs all_reduce, all_gather and their like',
    ),
  ],
  ['sparse operands', ALWAYS('WGSL has no product of them')],
  ['energy, power and clock under a power cap', ALWAYS('the device has no meter that WebGPU reads')],
  ['launches one by one from the host', ALWAYS('times are of many dispatches in one pass')],
  [
    'home memory bandwidth and cold caches',
    ({ machine, largest_B }) => {
      const cache = cacheOf(machine);
      return cache && largest_B <= cache.capacity_B
        ? `runs repeat on tensors that stay in the ${cache.id} (at most ${Math.round(largest_B / 1024)} KiB of ${Math.round(cache.capacity_B / 1024)} KiB)`
        : undefined;
    },
  ],
  [
    'caches shared by many cores',
    ({ info, machine }) => (info.fallback ? `the device is the CPU: ${machine.cores.count} cores` : undefined),
  ],
  [
    'several workgroups on a core, which hide each other’s waits',
    ({ info }) => (info.fallback ? 'a CPU device runs one workgroup after another on a core' : undefined),
  ],
  [
    'bank conflicts of shared storage',
    ({ info }) => (info.fallback ? 'workgroup memory of a CPU device is cached memory without banks' : undefined),
  ],
  [
    'special-function units beside the vector units',
    ({ info }) => (info.fallback ? 'a CPU device computes these functions on its vector units' : undefined),
  ],
  ['floating-point formats narrower than 16 bits, bf16 and tf32', ALWAYS('WGSL has f32 and f16')],
  [
    'f16 arithmetic',
    ({ info }) => (info.features.includes('shader-f16') ? undefined : 'the device has no shader-f16: f32 stands in'),
  ],
  [
    'attention',
    ({ results }) => (results.some((r) => r.group === 'attention') ? undefined : 'none of its cases was run'),
  ],
];

export function unexercised(seen: Seen): Unexercised[] {
  return CHECKS.flatMap(([concept, why]) => {
    const reason = why(seen);
    return reason === undefined ? [] : [{ concept, why: reason }];
  });
}
