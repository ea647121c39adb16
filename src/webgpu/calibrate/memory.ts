/**
 * Memory: loads and stores of one and four words, atomics, and the two curves over the working set. Dependent loads
 * visit its lines page by page, pages and the lines of each in an order that no prefetcher follows, so that a
 * translation is looked up once for all lines of a page and caches show rather than translation buffers.
 */
import { type Probe, range, shaderOf } from './probe.js';
import type { Setup } from './setup.js';

export const ACCESSES = 4;
export const LINE_B = 64;
/** Working set of the probes that are to hit the nearest cache. */
const SMALL_B = 16384;
const WORD_B = { f32: 4, 'vec4<f32>': 16 } as const;
type Element = keyof typeof WORD_B;

const loads = [
  ...range(ACCESSES).map((j) => `a += b[(q + ${j}u * stride) & mask];`),
  `q += ${ACCESSES}u * stride;`,
].join('\n');
const stores = [
  ...range(ACCESSES).map((j) => `b[(q + ${j}u * stride) & mask] = a;`),
  `q += ${ACCESSES}u * stride;`,
].join('\n');

function stream(id: string, type: Element, body: string, setup: Setup, bytes: number, workgroups: number): Probe {
  const elements = bytes / WORD_B[type];
  return {
    id,
    wgsl: shaderOf({
      lanes: setup.lanes,
      element: type,
      // each workgroup its own part
      setup: `var q = lane + wid.x * ((mask + 1u) / ${workgroups}u);\nvar a = ${type}(k);`,
      body,
      result: 'a',
    }),
    lanes: setup.lanes,
    workgroups,
    buffer_B: bytes,
    mask: elements - 1,
    stride: setup.lanes,
  };
}

export function memoryProbes(setup: Setup): Probe[] {
  const { fill, lanes } = setup;
  const bytes = setup.cpu ? SMALL_B : 1 << 20;
  const atomic = (id: string, stride: number): Probe => ({
    id,
    wgsl: shaderOf({
      lanes,
      element: 'atomic<u32>',
      setup: 'let q = lane * stride;',
      body: range(ACCESSES)
        .map(() => 'atomicAdd(&b[q], c);')
        .join('\n'),
      result: '0u',
    }).replace('b[lane] = 0u', 'atomicStore(&b[lane], 0u)'),
    lanes,
    workgroups: fill,
    buffer_B: 4 * lanes,
    stride,
  });
  return [
    stream('load 1', 'f32', loads, setup, bytes, fill),
    stream('load 4', 'vec4<f32>', loads, setup, bytes, fill),
    stream('store 1', 'f32', stores, setup, bytes, fill),
    stream('store 4', 'vec4<f32>', stores, setup, bytes, fill),
    chaseBaseline(),
    atomic('atomic own', 1),
    atomic('atomic same', 0),
  ];
}

/** Streaming loads over a working set by all cores. */
export function streamProbe(setup: Setup, bytes: number, workgroups: number): Probe {
  return stream(`stream ${bytes}`, 'vec4<f32>', loads, setup, bytes, workgroups);
}

/** Eighths of a power of two that a working set may be: four sizes an octave. */
const EIGHTHS = [5, 6, 7, 8] as const;

/** Working sets from `from_B` to `to_B`, `perOctave` (1 or 4) of them an octave. */
export function workingSets(from_B: number, to_B: number, perOctave: 1 | 4): number[] {
  const out: number[] = [];
  for (let top = from_B; top <= to_B; top *= 2)
    for (const e of perOctave === 4 ? EIGHTHS : [8]) out.push((top * e) / 8);
  return [...new Set(out)].filter((b) => b >= from_B && b <= to_B);
}

/** One lane's chain of loads, a line each; it goes on where the last run ended. `bytes`: eighths of a power of two. */
export function chaseProbe(bytes: number): Probe {
  const octave = 2 ** Math.ceil(Math.log2(bytes));
  const eighths = (bytes / octave) * 8;
  return {
    id: `chase ${bytes}`,
    wgsl: CHASE,
    lanes: 1,
    workgroups: 1,
    // what is loaded is 0, which no compiler can know
    buffer_B: bytes,
    mask: octave / LINE_B - 1,
    stride: eighths,
  };
}
/** The generator alone: what a step costs besides its load. */
const chaseBaseline = (): Probe => ({ ...chaseProbe(4096), id: 'chase nothing', wgsl: CHASE_NOTHING });

/** 64 lines of a page; the next line's place is known only when the last load, always of 0, is there. */
const chase = (load: string): string => `@group(0) @binding(0) var<storage, read> p: array<u32, 8>;
@group(0) @binding(1) var<storage, read_write> b: array<u32>;
@compute @workgroup_size(1)
fn main() {
  let n = p[0];
  let pages = p[3] >> 6u;
  let eighths = p[4];
  var t = b[0];
  for (var i = 0u; i < n; i++) {
    let page = ((t >> 6u) * 1664525u + 1013904223u) & pages;
    let within = ((t * 37u) ^ (page * 11u)) & 63u;
    let word = (((page * 64u + within) * eighths) >> 3u) * 16u + 1u;
    t = t + 1u + ${load};
  }
  b[0] = t;
}`;
const CHASE = chase('b[word]');
const CHASE_NOTHING = chase('(word >> 30u)');
