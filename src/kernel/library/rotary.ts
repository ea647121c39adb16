/**
 * Rotary position embedding (Su et al. 2021) in place: dim d of a head's first half is rotated with dim d of its second
 * half by the token's angle (the layout of Llama and NeoX). Angles come as tables cos, sin [rows, head_dim/2] in fp32.
 */
import { copy, type Fx, type FxOp, loopVar, map, mapFn, mul, tensor, tile, view } from '../ir.js';
import type { Kernel, Params } from '../kernel.js';
import { ceil, opHead, pow2, readShape } from './dims.js';
import { groupsParam, lacksMath, vectorMapping, workDType } from './lanes.js';

const SHAPE = {
  rows: { description: 'tokens' },
  heads: { description: 'query plus key heads' },
  head_dim: { description: 'width of a head' },
} as const;
const PARAMS = {
  heads: { description: 'heads of a token a workgroup', values: [1, 2, 4, 8, 16, 32, 64, 128], default: 8 },
  groups: groupsParam,
} as const;
type P = Params & Record<keyof typeof PARAMS, number>;

const H = loopVar('h');
const R = loopVar('row');
const f = (op: FxOp, ...args: Fx[]): Fx => ({ f: op, args });
const [x, y, cos, sin] = [{ in: 0 }, { in: 1 }, { in: 2 }, { in: 3 }] as const;
export const ROTATE_FIRST = mapFn('rotate_first', 4, f('sub', f('mul', x, cos), f('mul', y, sin)));
export const ROTATE_SECOND = mapFn('rotate_second', 4, f('fma', y, cos, f('mul', x, sin)));

export const rotary: Kernel<'rotary'> = {
  name: 'rotary',
  family: 'rotary',
  math: '(x₁, x₂) ← (x₁·cos − x₂·sin, x₂·cos + x₁·sin) per token and head',
  op: 'rotary',
  shape: SHAPE,
  params: PARAMS,
  toOp: (shape, dtype) => ({
    kind: 'rotary',
    ...opHead('rotary'),
    ...readShape('rotary', SHAPE, shape),
    dtype,
  }),
  rejects: (op, machine) =>
    op.cache
      ? 'it keeps no keys and values'
      : op.head_dim % 2
        ? `head_dim ${op.head_dim} is odd, pairs need an even one`
        : lacksMath(machine, op.dtype),
  candidates(op, machine) {
    const half = op.head_dim / 2;
    const out: Params[] = [];
    for (const heads of PARAMS.heads.values)
      for (const groups of [1, 2, 4, 8]) {
        const each = (heads * half) / (groups * machine.cores.lane_group);
        if (heads <= pow2(op.heads) && each >= 0.5 && each <= 16) out.push({ heads, groups });
      }
    return out.length ? out : [{ heads: 1, groups: 1 }];
  },
  build(op, params, machine) {
    const { heads, groups } = params as P;
    const half = op.head_dim / 2;
    const work = workDType(op.dtype);
    const table = work;
    const data = tensor('x', op.dtype, [op.rows, op.heads, 2, half], 'inout', 'activation');
    const cosines = tensor('cos', table, [op.rows, half], 'input', 'activation');
    const sines = tensor('sin', table, [op.rows, half], 'input', 'activation');
    const first = tile('first', 'register', work, heads, half);
    const second = tile('second', 'register', work, heads, half);
    const turned = tile('turned', 'register', work, heads, half);
    const tc = tile('tc', 'register', work, 1, half);
    const ts = tile('ts', 'register', work, 1, half);
    const part = (n: 0 | 1) => view(data, [R, mul(H, heads), n, 0], [1, 3]);
    return [
      {
        program: {
          name: `rotary[${heads}x${op.head_dim}]`,
          tensors: [data, cosines, sines],
          tiles: [first, second, turned, tc, ts],
          grid: [
            { index: H, extent: ceil(op.heads, heads) },
            { index: R, extent: op.rows },
          ],
          body: [
            copy(part(0), first),
            copy(part(1), second),
            copy(view(cosines, [R, 0], [-1, 1]), tc),
            copy(view(sines, [R, 0], [-1, 1]), ts),
            map(ROTATE_FIRST, [first, second, tc, ts], turned),
            map(ROTATE_SECOND, [first, second, tc, ts], second),
            copy(turned, part(0)),
            copy(second, part(1)),
          ],
        },
        mapping: vectorMapping(machine, groups, heads),
      },
    ];
  },
  reference(op, inputs) {
    const { cos: c, sin: s } = inputs;
    const data = inputs['x']!.slice();
    const half = op.head_dim / 2;
    for (let r = 0; r < op.rows; r++)
      for (let h = 0; h < op.heads; h++)
        for (let d = 0; d < half; d++) {
          const at = (r * op.heads + h) * op.head_dim + d;
          const [a, b] = [data[at]!, data[at + half]!];
          const [u, v] = [c![r * half + d]!, s![r * half + d]!];
          data[at] = a * u - b * v;
          data[at + half] = b * u + a * v;
        }
    return { x: data };
  },
};
