/**
 * Rotary position embedding of a prompt's queries and keys, and the new entries of the cache, in one pass (TensorRT-LLM's
 * applyBiasRopeUpdateKVCacheV2): a workgroup takes some tokens of one query head, with the keys and values that head
 * attends to; those of the first head of a group are kept. So every query head reads its keys, values and angles again,
 * from the cache of the machine. Angles stand in tables by position, which sequences share.
 */
import { copy, div, loop, loopVar, map, min, mod, mul, sub, tensor, tile, view } from '../ir.js';
import type { Kernel, Params } from '../kernel.js';
import { ceil, opHead, readShape } from './dims.js';
import { groupsParam, lacksMath, vectorMapping, workDType } from './lanes.js';
import { ROTATE_FIRST, ROTATE_SECOND } from './rotary.js';

const SHAPE = {
  rows: { description: 'tokens' },
  heads: { description: 'query heads' },
  head_dim: { description: 'width of a head' },
  kv_heads: { description: 'heads of keys and of values' },
  positions: { description: 'tokens of a sequence' },
} as const;
const PARAMS = {
  rows: { description: 'tokens a workgroup', values: [1, 2, 4, 8, 16, 32], default: 16 },
  groups: groupsParam,
} as const;
type P = Params & Record<keyof typeof PARAMS, number>;

const T = loopVar('t');
const H = loopVar('h');
const KEPT = loopVar('kept');

export const rotary_cache: Kernel<'rotary'> = {
  name: 'rotary_cache',
  family: 'rotary',
  math: 'queries and keys turned by their position, keys and values kept',
  op: 'rotary',
  shape: SHAPE,
  params: PARAMS,
  toOp(shape, dtype) {
    const { kv_heads, positions, ...rest } = readShape('rotary_cache', SHAPE, shape);
    return { kind: 'rotary', ...opHead('rotary'), ...rest, dtype, cache: { kv_heads, positions, q: dtype, kv: dtype } };
  },
  rejects(op, machine) {
    if (!op.cache) return 'it keeps nothing';
    if (op.heads % op.cache.kv_heads !== 0) return `heads ${op.heads} is no multiple of kv_heads ${op.cache.kv_heads}`;
    if (op.rows % op.cache.positions !== 0) return `rows ${op.rows} is no multiple of positions ${op.cache.positions}`;
    return op.head_dim % 2 ? `head_dim ${op.head_dim} is odd, pairs need an even one` : lacksMath(machine, op.dtype);
  },
  /** 8 lane groups with 16 bytes of 16-bit numbers a lane, or as many tokens as share a sequence evenly. */
  candidates(op) {
    const { positions } = op.cache!;
    const most = Math.max(1, Math.min(32, 2 ** Math.floor(Math.log2(2048 / op.head_dim))));
    const rows = positions === 1 ? most : Math.min(most, positions & -positions);
    return [{ rows, groups: Math.max(1, Math.min(8, 2 ** Math.floor(Math.log2((rows * op.head_dim) / 256)))) }];
  },
  build(op, params, machine) {
    const { rows, groups } = params as P;
    const { kv_heads, positions, q: narrow, kv } = op.cache!;
    const half = op.head_dim / 2;
    const work = workDType(op.dtype);
    const group = op.heads / kv_heads;
    const inPlace = narrow === op.dtype;
    const q = tensor('q', op.dtype, [op.rows, op.heads, 2, half], inPlace ? 'inout' : 'input', 'activation');
    const turned = inPlace ? q : tensor('turned', narrow, [op.rows, op.heads, 2, half], 'output', 'activation');
    const k = tensor('k', op.dtype, [op.rows, kv_heads, 2, half], 'input', 'activation');
    const v = tensor('v', op.dtype, [op.rows, kv_heads, op.head_dim], 'input', 'activation');
    const keys = tensor('keys', kv, [op.rows, kv_heads, 2, half], 'output', 'kv');
    const values = tensor('values', kv, [op.rows, kv_heads, op.head_dim], 'output', 'kv');
    const cos = tensor('cos', work, [positions, half], 'input', 'activation');
    const sin = tensor('sin', work, [positions, half], 'input', 'activation');
    const angles = positions === 1 ? 1 : rows;
    const part = (name: string, n = rows) => tile(name, 'register', work, n, half);
    const [q1, q2, q0, k1, k2, k0] = [part('q1'), part('q2'), part('q0'), part('k1'), part('k2'), part('k0')];
    const [tc, ts] = [part('tc', angles), part('ts', angles)];
    const tv = tile('tv', 'register', op.dtype, rows, op.head_dim);
    const r0 = mul(T, rows);
    const at = positions === 1 ? 0 : mod(r0, positions);
    const kvHead = div(H, group);
    const queries = (t: typeof q, n: 0 | 1) => view(t, [r0, H, n, 0], [0, 3]);
    const ofKeys = (t: typeof k, n: 0 | 1) => view(t, [r0, kvHead, n, 0], [0, 3]);
    const ofValues = (t: typeof v) => view(t, [r0, kvHead, 0], [0, 2]);
    const keep = [copy(k0, ofKeys(keys, 0)), copy(k2, ofKeys(keys, 1)), copy(tv, ofValues(values))];
    return [
      {
        program: {
          name: `rotary_cache[${rows}x${op.head_dim}]`,
          tensors: [q, k, v, cos, sin, ...(inPlace ? [] : [turned]), keys, values],
          tiles: [q1, q2, q0, k1, k2, k0, tc, ts, tv],
          grid: [
            { index: T, extent: ceil(op.rows, rows) },
            { index: H, extent: op.heads },
          ],
          body: [
            copy(queries(q, 0), q1),
            copy(queries(q, 1), q2),
            copy(ofKeys(k, 0), k1),
            copy(ofKeys(k, 1), k2),
            copy(ofValues(v), tv),
            copy(view(cos, [at, 0], [0, 1]), tc),
            copy(view(sin, [at, 0], [0, 1]), ts),
            map(ROTATE_FIRST, [q1, q2, tc, ts], q0),
            map(ROTATE_SECOND, [q1, q2, tc, ts], q2),
            map(ROTATE_FIRST, [k1, k2, tc, ts], k0),
            map(ROTATE_SECOND, [k1, k2, tc, ts], k2),
            copy(q0, queries(turned, 0)),
            copy(q2, queries(turned, 1)),
            ...(group === 1 ? keep : [loop(KEPT, 0, sub(1, min(1, mod(H, group))), keep)]),
          ],
        },
        mapping: vectorMapping(machine, groups, rows),
      },
    ];
  },
  reference(op, { q, k, v, cos, sin }) {
    const { kv_heads, positions } = op.cache!;
    const half = op.head_dim / 2;
    const turn = (x: Float64Array, heads: number) => {
      const out = x.slice();
      for (let r = 0; r < op.rows; r++)
        for (let h = 0; h < heads; h++)
          for (let d = 0; d < half; d++) {
            const at = (r * heads + h) * op.head_dim + d;
            const angle = (r % positions) * half + d;
            const [a, b] = [x[at]!, x[at + half]!];
            out[at] = a * cos![angle]! - b * sin![angle]!;
            out[at + half] = b * cos![angle]! + a * sin![angle]!;
          }
      return out;
    };
    const turned = turn(q!, op.heads);
    return { ...(op.cache!.q === op.dtype ? { q: turned } : { turned }), keys: turn(k!, kv_heads), values: v!.slice() };
  },
};
