/**
 * Microbenchmarks as small shaders: a loop over a body, the number of iterations a parameter, so that each is compiled
 * once. `p`: [iterations, bits of a float just below 1, 3, mask, stride, 0, 0, 0]; `b`: whatever memory it works on.
 */
import type { JobStep } from '../device/job.js';

export interface Probe {
  /** Names the result. */
  readonly id: string;
  readonly wgsl: string;
  readonly lanes: number;
  readonly workgroups: number;
  /** Of buffer `b`. */
  readonly buffer_B: number;
  /** Further parameters: p[3] and p[4]. */
  readonly mask?: number;
  readonly stride?: number;
  /** Timed as it is, without iterations to choose. */
  readonly whole?: boolean;
  /** Iterations are set by hand, the same for all that are compared with it. */
  readonly iterations?: number;
  readonly clock?: 'host';
}

/** A loop may run no longer than this: lavapipe ends one after 65,535 iterations. */
export const MOST_ITERATIONS = 60_000;
/** p[1]: a factor that keeps values near 1 however often it is applied. */
const NEAR_ONE = new Uint32Array(new Float32Array([0.99999]).buffer)[0]!;

export function paramsOf(probe: Probe, iterations: number): Uint8Array {
  const p = new Uint32Array(8);
  p.set([iterations, NEAR_ONE, 3, probe.mask ?? 0, probe.stride ?? 0]);
  return new Uint8Array(p.buffer);
}

export const stepOf = (probe: Probe): JobStep => ({
  name: probe.id,
  wgsl: probe.wgsl,
  entry: 'main',
  workgroups: [probe.workgroups, 1, 1],
  bindings: ['p', 'b'],
});

export interface Parts {
  readonly lanes: number;
  /** Element type of `b`. */
  readonly element?: string;
  /** Before everything: directives, workgroup variables. */
  readonly head?: string;
  readonly setup: string;
  readonly body: string;
  /** What is kept, of type `element`; written only when p[7] says so, which it never does. */
  readonly result: string;
}

/** Directives first, then declarations: `head` lines that start with `enable` come before the bindings. */
export function shaderOf({ lanes, element = 'u32', head = '', setup, body, result }: Parts): string {
  const lines = head.split('\n');
  const directives = lines.filter((l) => /^(enable|requires) /.test(l));
  const declarations = lines.filter((l) => l !== '' && !directives.includes(l));
  return [
    ...directives,
    '@group(0) @binding(0) var<storage, read> p: array<u32, 8>;',
    `@group(0) @binding(1) var<storage, read_write> b: array<${element}>;`,
    ...declarations,
    `@compute @workgroup_size(${lanes})`,
    'fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {',
    '  let n = p[0];',
    '  let k = bitcast<f32>(p[1]);',
    '  let c = p[2];',
    '  let mask = p[3];',
    '  let stride = p[4];',
    ...indent(setup, 2),
    '  for (var i = 0u; i < n; i++) {',
    ...indent(body, 4),
    '  }',
    `  if (p[7] == 1u) { b[lane] = ${result}; }`,
    '}',
  ].join('\n');
}

const indent = (text: string, by: number): string[] =>
  text === '' ? [] : text.split('\n').map((l) => ' '.repeat(by) + l);

export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
