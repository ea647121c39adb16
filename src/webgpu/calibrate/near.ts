/** Workgroup memory: loads and stores of one and of four words a lane, beside arithmetic, dependent ones; barriers. */
import { type Probe, range, shaderOf } from './probe.js';
import { laneCounts, type Setup } from './setup.js';

/** Accesses of an iteration. */
export const ACCESSES = 4;
/** Multiply–adds beside them, as many as keep a core busy about as long. */
export const BESIDE = { values: 8, rounds: 8 } as const;
const ELEMENTS = 512;

const zero = (type: string) => `${type}(0.0)`;
const word = (type: string) => (type === 'f32' ? 'a' : 'a.x + a.y + a.z + a.w');
/** Each lane its own element, each access an iteration's own. */
const at = (j: number) => `s[(q + ${j * 64}u) & ${ELEMENTS - 1}u]`;

export function nearProbes(setup: Setup): Probe[] {
  const { lanes, fill } = setup;
  const probe = (id: string, type: string, body: string, more: Partial<Probe> = {}, before = ''): Probe => ({
    id,
    wgsl: shaderOf({
      lanes,
      head: `var<workgroup> s: array<${type}, ${ELEMENTS}>;`,
      setup: [
        `for (var e = lane; e < ${ELEMENTS}u; e += ${lanes}u) { s[e] = ${type}(k); }`,
        'workgroupBarrier();',
        'var q = lane * stride;',
        `var a = ${zero(type)};`,
        ...(before ? [before] : []),
      ].join('\n'),
      body,
      result: `bitcast<u32>(${word(type)}${
        before
          ? ` + ${range(BESIDE.values)
              .map((i) => `x${i}`)
              .join(' + ')}`
          : ''
      })`,
    }),
    lanes,
    workgroups: fill,
    buffer_B: 4 * lanes,
    stride: 1,
    ...more,
  });
  const loads = [...range(ACCESSES).map((j) => `a += ${at(j)};`), 'q += 8u;'].join('\n');
  const stores = [...range(ACCESSES).map((j) => `${at(j)} = a;`), 'q += 8u;', 'a = a + k;'].join('\n');
  const values = range(BESIDE.values);
  const arithmetic = range(BESIDE.rounds)
    .flatMap(() => values.map((i) => `x${i} = fma(x${i}, k, k);`))
    .join('\n');
  const declared = values.map((i) => `var x${i} = f32(lane) * k + ${i}.0;`).join('\n');
  const four = 'vec4<f32>';
  return [
    probe('near load 1', 'f32', loads),
    probe('near load 4', four, loads),
    // all lanes the same word: the same shader
    probe('near load same', four, loads, { stride: 0 }),
    probe('near store 1', 'f32', stores),
    probe('near store 4', four, stores.replace('a + k', 'a + vec4<f32>(k)')),
    probe('beside loads', four, `${loads}\n${arithmetic}`, {}, declared),
    probe('beside nothing', four, arithmetic, {}, declared),
    {
      id: 'near chase',
      wgsl: shaderOf({
        lanes: 1,
        head: `var<workgroup> s: array<u32, ${ELEMENTS}>;`,
        setup: `for (var e = 0u; e < ${ELEMENTS}u; e++) { s[e] = (e + 67u) & ${ELEMENTS - 1}u; }\nvar q = c;`,
        body: range(ACCESSES)
          .map(() => 'q = s[q];')
          .join('\n'),
        result: 'q',
      }),
      lanes: 1,
      workgroups: 1,
      buffer_B: 4,
    },
    ...laneCounts(setup).map(
      (n): Probe => ({
        id: `barrier ${n}`,
        wgsl: shaderOf({
          lanes: n,
          setup: 'var a = k;',
          body: 'workgroupBarrier();\na = a + k;\nworkgroupBarrier();\na = a * k;',
          result: 'bitcast<u32>(a)',
        }),
        lanes: n,
        workgroups: 1,
        buffer_B: 4 * n,
      }),
    ),
  ];
}
/** Barriers of an iteration of `barrier n`. */
export const BARRIERS = 2;
