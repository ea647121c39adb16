/** Dispatches: many small ones, many workgroups in one, and how many run at once. */

import { OPERATIONS } from './arithmetic.js';
import { type Probe, range, shaderOf } from './probe.js';
import { laneCounts, type Setup } from './setup.js';

export const MANY = 512;
/** Iterations of `workgroups working`, which keep a core busy about as long as an empty workgroup does. */
export const WORK = 20;
/** Workgroups at once that are tried on a CPU: more than any has cores would take long. */
const CPU_COUNTS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64] as const;
const GPU_COUNTS = [1, 2, 4, 8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 108, 128, 132, 144, 160, 192, 256] as const;

const HEAD = `@group(0) @binding(0) var<storage, read> p: array<u32, 8>;
@group(0) @binding(1) var<storage, read_write> b: array<u32>;`;
const empty = (lanes: number) => `${HEAD}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  if (wid.x == 1000000u) { b[lane] = p[0]; }
}`;
/** Each lane moves a word: a group that does nothing would not even find out where it is. */
const moving = (lanes: number) => `${HEAD}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  b[wid.x * ${lanes}u + lane] = p[lane & 7u];
}`;
export const countsOf = ({ cpu }: Setup): readonly number[] => (cpu ? CPU_COUNTS : GPU_COUNTS);

export function dispatchProbes(setup: Setup): Probe[] {
  const { lanes } = setup;
  const probe = (id: string, wgsl: string, n: number, workgroups: number, more: Partial<Probe> = {}): Probe => ({
    id,
    wgsl,
    lanes: n,
    workgroups,
    buffer_B: 4 * n,
    whole: true,
    ...more,
  });
  return [
    probe('dispatch', empty(lanes), lanes, 1),
    probe('submission', empty(lanes), lanes, 1, { clock: 'host' }),
    ...laneCounts(setup).map((n) =>
      probe(`workgroups of ${n}`, setup.cpu ? moving(n) : empty(n), n, MANY, { buffer_B: 4 * n * MANY }),
    ),
    { ...occupancyProbe(setup, MANY), id: 'workgroups working', iterations: WORK },
  ];
}

/** The same work for each of `count` workgroups. */
export function occupancyProbe(setup: Setup, count: number): Probe {
  const { lanes } = setup;
  const { int } = OPERATIONS;
  return {
    id: `occupancy ${count}`,
    wgsl: shaderOf({
      lanes,
      setup: range(8)
        .map((i) => `var x${i} = lane + ${i}u;`)
        .join('\n'),
      body: range(8)
        .map((i) => int!.code(`x${i}`, ''))
        .join('\n'),
      result: range(8)
        .map((i) => `x${i}`)
        .join(' + '),
    }),
    lanes,
    workgroups: count,
    buffer_B: 4 * lanes,
    iterations: 10_000,
  };
}
