/**
 * What lane groups that take turns need besides bare accesses. Loops whose number of turns no compiler knows, with few
 * and many accesses in a turn at places that lanes' own numbers give, inside a loop with a barrier: the difference is
 * the accesses, the rest the loop. And code that runs once, with few and many accesses of memory.
 */
import { type Probe, range, shaderOf } from './probe.js';
import type { Setup } from './setup.js';

/** Accesses of a turn: few and many. */
export const FEW = 2;
export const MANY_ACCESSES = 8;
/** Turns of a loop with accesses; fewest and most of one without. */
export const TURNS = 4;
export const BARE_TURNS = [4, 32] as const;
/** Fewest and most accesses of code that runs once, by so many lanes. */
export const ONCE = [2, 16] as const;
export const onceLanes = ({ info }: Setup): number =>
  Math.min(1024, info.limits['maxComputeInvocationsPerWorkgroup'] ?? 256);
export const WAYS = ['near load', 'near store', 'load', 'store'] as const;
export type Way = (typeof WAYS)[number];
export const WIDTHS = [1, 4] as const;
const AMOUNTS = { few: FEW, many: MANY_ACCESSES } as const;

const total = (width: 1 | 4): string => (width === 1 ? 'a' : 'a.x + a.y + a.z + a.w');
const typeOf = (width: 1 | 4): string => (width === 1 ? 'f32' : 'vec4<f32>');

function inLoop(setup: Setup, way: Way, width: 1 | 4, amount: keyof typeof AMOUNTS): Probe {
  const { lanes } = setup;
  const type = typeOf(width);
  const near = way.startsWith('near');
  const [memory, elements] = near ? ['s', 512] : ['b', 1024];
  const accesses = range(AMOUNTS[amount]).map((j) => {
    const place = `${memory}[(${j * 8}u + lane / 8u) * ${TURNS}u + z]`;
    return way.endsWith('load') ? `a += ${place};` : `${place} = a;`;
  });
  return {
    id: `in loop ${way} ${width} ${amount}`,
    wgsl: shaderOf({
      lanes,
      element: type,
      head: `var<workgroup> s: array<${type}, 512>;`,
      setup: `let none = p[5];\nvar a = ${type}(k);\ns[lane] = a;`,
      body: `workgroupBarrier();\nfor (var z = 0u; z < ${TURNS}u + none; z++) {\n${accesses.join('\n')}\n}`,
      result: `a + s[lane]`,
    }),
    lanes,
    workgroups: 1,
    buffer_B: elements * 4 * width,
  };
}

function bare(setup: Setup, turns: number): Probe {
  return {
    id: `turns ${turns}`,
    wgsl: shaderOf({
      lanes: setup.lanes,
      head: 'var<workgroup> s: array<f32, 64>;',
      setup: 'let none = p[5];\nvar a = k;',
      body: `workgroupBarrier();\nfor (var z = 0u; z < ${turns}u + none; z++) { a += k; }`,
      result: 'bitcast<u32>(a)',
    }),
    lanes: setup.lanes,
    workgroups: 1,
    buffer_B: 4 * setup.lanes,
  };
}

/** Code that each of a workgroup's many groups runs once: no loop keeps what it looked up of its buffers. */
function once(setup: Setup, way: 'load' | 'store', width: 1 | 4, amount: number): Probe {
  const lanes = onceLanes(setup);
  const type = typeOf(width);
  const places = range(amount).map((j) => `b[${j * lanes}u + lane]`);
  const body =
    way === 'load'
      ? [`var a = ${type}(k);`, ...places.map((x) => `a += ${x};`), `if (${total(width)} == 1234.5) { b[0] = a; }`]
      : [`let a = ${type}(f32(lane));`, ...places.map((x) => `${x} = a;`)];
  return {
    id: `once ${way} ${width} ${amount}`,
    wgsl: `@group(0) @binding(0) var<storage, read> p: array<u32, 8>;
@group(0) @binding(1) var<storage, read_write> b: array<${type}>;
@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32) {
  let k = bitcast<f32>(p[1]);
  ${body.join('\n  ')}
}`,
    lanes,
    workgroups: 1,
    buffer_B: Math.max(...ONCE) * lanes * 4 * width,
    whole: true,
  };
}

/** Of CPU devices only. */
export function inOrderProbes(setup: Setup): Probe[] {
  if (!setup.cpu) return [];
  return [
    ...BARE_TURNS.map((n) => bare(setup, n)),
    ...WIDTHS.flatMap((width) => [
      ...WAYS.flatMap((way) => [inLoop(setup, way, width, 'few'), inLoop(setup, way, width, 'many')]),
      ...(['load', 'store'] as const).flatMap((way) => ONCE.map((n) => once(setup, way, width, n))),
    ]),
  ];
}
