/**
 * One pass in FlashAttention's first order (Dao et al. 2022, algorithm 1): one workgroup a head walks the blocks of keys in
 * the outer loop and, for each, the queries, whose result, maximum and sum pass through memory once a block. With Tc blocks
 * of keys 2Nd + Tc(3Nd + 4N) + Nd + 2N elements move, where queries outside move 2Nd + 2Tr·Nd.
 */
import { copy, loop, map, type Stmt, type Tile, tensor, view } from '../ir.js';
import type { Kernel, Params } from '../kernel.js';
import { MUL, ZERO } from '../math.js';
import { seeingLoops } from './attention_backward_core.js';
import { coreOf, START_MAX, statisticsOf } from './attention_core.js';
import { ATTENTION_MATH, ATTENTION_SHAPE, type Attention, attentionOp, attentionReference } from './attention_op.js';
import { ATTENTION_PARAMS, FIRST_BLOCKS, groupCounts } from './attention_params.js';
import { attentionMapping, attentionRejects, routeOf } from './attention_route.js';
import { J, queryTensor, rowsOf, storeRows } from './attention_rows.js';
import { ceil } from './dims.js';

const { pack: _, ...PARAMS } = ATTENTION_PARAMS;
type P = Params & Record<keyof typeof PARAMS, number>;

/** Queries from which walking the keys outside them is worth a try. */
const MANY_QUERIES = 64;

export const attention_keys_outer: Kernel<'attention'> = {
  name: 'attention_keys_outer',
  family: 'attention',
  math: `${ATTENTION_MATH}, one workgroup a head, keys in the outer loop`,
  op: 'attention',
  shape: ATTENTION_SHAPE,
  params: PARAMS,
  toOp: attentionOp,
  rejects: (op, machine) => (unsuited(op) ? unsuited(op) : attentionRejects(op, machine, true)),
  *candidates(op, machine) {
    const route = routeOf(op, machine);
    if (!route || op.q_len < MANY_QUERIES) return;
    for (const [bq, bkv] of FIRST_BLOCKS) yield { bq, bkv, stages: 1, groups: groupCounts(bq, op.head_dim, route)[0]! };
  },
  build(op, params, machine) {
    const { bq, bkv, stages, groups } = params as P;
    const route = routeOf(op, machine)!;
    const rows = rowsOf(op, bq, false);
    const core = coreOf(op, route, rows, { bq, bkv, stages, groups });
    const [tiles, ...heads] = rows.grid as [(typeof rows.grid)[number], ...typeof rows.grid];
    const o = queryTensor(rows, 'o', op.o, 'output', [], [op.head_dim]);
    const sums = statisticsOf(op, rows, core, route.acc);
    const statistic = (name: string) =>
      tensor(name, route.acc, [op.batch, op.heads, op.q_len], 'scratch', 'activation');
    const m = statistic('maxima');
    const l = statistic('weight_sums');
    const atRows = (t: typeof m) => view(t, [rows.b, rows.head, rows.r0], [2, -1]);
    const oView = view(o, [rows.b, rows.r0, rows.head, 0], [1, 3]);
    const store = (from: Tile, to: typeof m): Stmt => copy(from, atRows(to));
    const body = (masked: boolean): readonly Stmt[] => [
      ...core.start,
      copy(oView, core.o),
      copy(atRows(l), core.l),
      copy(atRows(m), core.m),
      ...core.scores(masked),
      // memory holds normalised results
      map(MUL, [core.o, core.l], core.o),
      ...core.foldMax,
      ...core.accumulate,
      store(core.l, l),
      store(core.m, m),
      ...sums.steps,
      ...core.normalise,
      storeRows(rows, core.o, o, [], undefined),
    ];
    return [
      {
        program: {
          name: `attention_keys_outer[${bq}x${bkv}x${op.head_dim},s${stages}]`,
          tensors: [...core.tensors, o, m, l, ...sums.tensors],
          tiles: core.tiles,
          grid: heads,
          body: [
            map(ZERO, [], core.o),
            map(ZERO, [], core.l),
            map(START_MAX, [], core.m),
            loop(tiles.index, 0, tiles.extent, [
              storeRows(rows, core.o, o, [], undefined),
              store(core.l, l),
              store(core.m, m),
              ...sums.steps,
            ]),
            loop(J, 0, ceil(op.kv_len, bkv), [
              core.loadKeys,
              core.loadValues,
              ...seeingLoops(op, bq, bkv, body, { keys: J, queries: tiles.index }),
            ]),
          ],
        },
        mapping: attentionMapping(route, groups, bq),
      },
    ];
  },
  reference: attentionReference,
};

/** Shapes whose queries do not see blocks of keys in one run. */
function unsuited(op: Attention): string | undefined {
  if (op.kv_lens) return 'with keys in the outer loop all sequences have as many';
  return op.window > 0 && op.window < op.kv_len && !op.causal
    ? 'windows around a query need queries outside'
    : undefined;
}
