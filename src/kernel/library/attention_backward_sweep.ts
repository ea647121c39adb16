/**
 * The sweep over queries: a workgroup keeps a block of keys and values with their gradients, and walks the blocks of queries
 * that see it, for all query heads of the group. Given the sums of dQ, it adds each block's share to them.
 */
import { copy, loop, map, mapFn, mma, mul, type Stmt, scatter, type Tensor, tile, view } from '../ir.js';
import type { Launch } from '../kernel.js';
import { ZERO } from '../math.js';
import {
  BATCH,
  type Block,
  backwardMapping,
  blockMask,
  gradientScale,
  gradientTile,
  HEAD,
  KEYS,
  loadQueries,
  memberHead,
  pairOf,
  QUERIES,
  queryLoops,
} from './attention_backward_core.js';
import { type AttentionBackward, backwardTensors } from './attention_backward_op.js';
import type { Route } from './attention_route.js';
import { ceil } from './dims.js';

/** Row r of the tile goes r rows below where the view starts. */
const ROW = mapFn('row', 0, { coord: 'row' });

/**
 * dK and dV, and dQ added to `dqSums` [batch, heads, queries padded to whole blocks, d]. Grid [blocks of keys, key/value
 * heads, batch], additions atomic; with `keysInside` [key/value heads, batch], the blocks of keys one after another in a
 * workgroup, which reads, adds and writes.
 */
export function sweepLaunch(
  op: AttentionBackward,
  route: Route,
  z: Block,
  dqSums?: Tensor,
  keysInside = false,
): Launch {
  const { bq, bkv, stages } = z;
  const t = backwardTensors(op, route.acc);
  // scores and dQ of a block are never needed together: the smaller lies in the larger
  const wide = op.head_dim > bkv;
  const pair = pairOf(op, route, z, 'queries', true, dqSums && wide ? 'tdq' : undefined);
  const dk = gradientTile('tdk', op, route, bkv, z.groups);
  const dv = gradientTile('tdv', op, route, bkv, z.groups);
  const mask = blockMask(op, pair, route.acc, bq, bkv);
  const head = memberHead(op);
  const keys = [BATCH, mul(KEYS, bkv), HEAD, 0];
  const tiles = [...pair.tiles, dk, dv, ...mask.tiles];
  const tensors = [t.q, t.k, t.v, t.dO, t.sums, t.deltas, t.dk, t.dv];
  const start: Stmt[] = [];
  const addQueries: Stmt[] = [];
  if (dqSums) {
    const own = gradientTile('tdq', op, route, bq, z.groups);
    const dq = wide ? own : { ...own, reuses: 's' };
    const place = view(dqSums, [BATCH, head, mul(QUERIES, bq), 0], [2, 3]);
    tiles.push(dq);
    tensors.push(dqSums);
    if (keysInside) addQueries.push(copy(place, dq), mma(pair.ds, pair.k, dq), copy(dq, place));
    else {
      const row = tile('row', 'register', 'int32', bq, 1);
      tiles.push(row);
      start.push(map(ROW, [], row));
      addQueries.push(map(ZERO, [], dq), mma(pair.ds, pair.k, dq), scatter(dq, row, place, 'add'));
    }
  }
  const block: readonly Stmt[] = [
    copy(view(t.k, keys, [1, 3]), pair.k),
    copy(view(t.v, keys, [1, 3]), pair.v),
    map(ZERO, [], dk),
    map(ZERO, [], dv),
    ...queryLoops(op, bq, bkv, (masked) => [
      ...loadQueries(pair, t, head, bq),
      ...pair.weights(masked ? mask.steps : []),
      mma(pair.p!, pair.dO, dv, { ta: true }),
      ...pair.gradient,
      mma(pair.ds, pair.q, dk, { ta: true }),
      ...addQueries,
    ]),
    map(gradientScale(op.head_dim), [dk], dk),
    copy(dk, view(t.dk, keys, [1, 3])),
    copy(dv, view(t.dv, keys, [1, 3])),
  ];
  const blocks = ceil(op.kv_len, bkv);
  const heads = [
    { index: HEAD, extent: op.kv_heads },
    { index: BATCH, extent: op.batch },
  ];
  return {
    program: {
      name: `attention_backward_${keysInside ? 'keys_outer' : dqSums ? 'fused' : 'dkv'}[${bq}x${bkv}x${op.head_dim},s${stages}]`,
      tensors,
      tiles,
      grid: keysInside ? heads : [{ index: KEYS, extent: blocks }, ...heads],
      body: [...start, ...(keysInside ? [loop(KEYS, 0, blocks, block)] : block)],
    },
    mapping: backwardMapping(op, route, z),
  };
}
