/**
 * One step of an optimiser over all parameters as one stream, as fused multi-tensor kernels run it: Adam reads the
 * gradient, the master weight and both moments and writes the last three, and the model's own narrower copy beside them.
 */
import type { DType } from '../../base/dtype.js';
import type { OpOf } from '../../workload/op.js';
import { copy, type Fx, type FxOp, loopVar, map, mapFn, mul, type Stmt, type Tile, tensor, tile, view } from '../ir.js';
import type { Kernel } from '../kernel.js';
import { ceil, opHead, readShape } from './dims.js';
import { STREAM_PARAMS, type StreamParams, streamCandidates } from './elementwise.js';
import { lacksMath, vectorMapping, workDType } from './lanes.js';

/** β₁, β₂ and ε of Kingma & Ba (arXiv:1412.6980), section 2; the rate as after the first step's bias correction. */
const BETA_1 = 0.9;
const BETA_2 = 0.999;
const EPSILON = 1e-8;
const RATE = 1e-3;

const RULES = ['adam', 'sgd'] as const;
const SHAPE = {
  n: { description: 'parameters' },
  rule: { description: `rule: ${RULES.join(', ')}`, words: RULES, default: 0 },
} as const;
type Optimiser = OpOf<'optimiser'>;

const fx = (op: FxOp, ...args: Fx[]): Fx => ({ f: op, args });
const [x0, x1, x2]: [Fx, Fx, Fx] = [{ in: 0 }, { in: 1 }, { in: 2 }];
/** (m, g) → β₁m + (1 − β₁)g */
const FIRST = mapFn('adam_first', 2, fx('fma', x0, BETA_1, fx('mul', x1, 1 - BETA_1)));
/** (v, g) → β₂v + (1 − β₂)g² */
const SECOND = mapFn('adam_second', 2, fx('fma', x0, BETA_2, fx('mul', fx('mul', x1, x1), 1 - BETA_2)));
/** (p, m, v) → p − η·m/(√v + ε) */
const STEP = mapFn('adam_step', 3, fx('fma', fx('mul', x1, -RATE), fx('rcp', fx('add', fx('sqrt', x2), EPSILON)), x0));
/** (p, g) → p − η·g */
const DESCENT = mapFn('sgd_step', 2, fx('fma', x1, -RATE, x0));

const I = loopVar('i');
const narrower = (op: Optimiser): boolean => op.weight !== op.dtype;
/** What `toOp` makes of a format: the model's own beside masters in fp32. */
const MASTER: DType = 'fp32';

export const optimiser: Kernel<'optimiser'> = {
  name: 'optimiser',
  family: 'optimiser',
  math: 'm, v = moments of g; p −= rate·m/(√v + ε)',
  op: 'optimiser',
  shape: SHAPE,
  params: STREAM_PARAMS,
  toOp(shape, dtype) {
    const { n, rule } = readShape('optimiser', SHAPE, shape);
    const master = dtype === 'fp64' ? dtype : MASTER;
    return {
      kind: 'optimiser',
      ...opHead('optimiser'),
      rule: RULES[rule] ?? 'adam',
      n,
      gradient: dtype,
      weight: dtype,
      dtype: master,
    };
  },
  rejects: (op, machine) => lacksMath(machine, op.dtype),
  candidates: (op, machine) => streamCandidates(op.n, machine.cores.lane_group, op.dtype),
  build(op, params, machine) {
    const { groups, per_lane } = params as StreamParams;
    const block = groups * machine.cores.lane_group * per_lane;
    const held = (name: string): Tile => tile(name, 'register', workDType(op.dtype), 1, block);
    const here = [mul(I, block)];
    const kept = (op.rule === 'adam' ? ['p', 'm', 'v'] : ['p']).map((name) => ({
      of: tensor(name, op.dtype, [op.n], 'inout', 'activation'),
      tile: held(`t${name}`),
    }));
    const [p, m, v] = kept.map((k) => k.tile) as [Tile, Tile, Tile];
    const g = tensor('g', op.gradient, [op.n], 'input', 'activation');
    const tg = held('tg');
    const weight = tensor('weight', op.weight, [op.n], 'output', 'activation');
    const work: Stmt[] =
      op.rule === 'adam'
        ? [map(FIRST, [m, tg], m), map(SECOND, [v, tg], v), map(STEP, [p, m, v], p)]
        : [map(DESCENT, [p, tg], p)];
    return [
      {
        program: {
          name: `${op.rule}[${block}]`,
          tensors: [g, ...kept.map((k) => k.of), ...(narrower(op) ? [weight] : [])],
          tiles: [tg, ...kept.map((k) => k.tile)],
          grid: [{ index: I, extent: ceil(op.n, block) }],
          body: [
            copy(view(g, here, [-1, 0]), tg),
            ...kept.map((k) => copy(view(k.of, here, [-1, 0]), k.tile)),
            ...work,
            ...kept.map((k) => copy(k.tile, view(k.of, here, [-1, 0]))),
            ...(narrower(op) ? [copy(p, view(weight, here, [-1, 0]))] : []),
          ],
        },
        mapping: vectorMapping(machine, groups, 1),
      },
    ];
  },
  reference(op, { g, p, m, v }) {
    const out: Record<string, Float64Array> = { p: p!.slice() };
    if (op.rule === 'adam') {
      out['m'] = m!.map((x, i) => BETA_1 * x + (1 - BETA_1) * g![i]!);
      out['v'] = v!.map((x, i) => BETA_2 * x + (1 - BETA_2) * g![i]! ** 2);
    }
    for (let i = 0; i < op.n; i++)
      out['p']![i]! -= RATE * (op.rule === 'adam' ? out['m']![i]! / (Math.sqrt(out['v']![i]!) + EPSILON) : g![i]!);
    if (narrower(op)) out['weight'] = out['p']!.slice();
    return out;
  },
};
