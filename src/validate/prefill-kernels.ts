/**
 * Which kernel TensorRT-LLM runs for a prompt's attention, and its tiles. Read from its sources: the choice
 * (fmhaRunner.cpp, setupLaunchParams) and the tiles of each kernel (fmha_v2/setup.py). Assumed: trtllm-gen's tiles.
 *
 *   before Hopper   64 queries on four warps, instructions of one warp. A100: blocks of 128 keys, cut into slices that
 *                   are loaded while the one before is multiplied (\"tiled\"). Its smaller kin: small blocks, next one loaded
 *                   ahead, but for heads of 256. Prompts of up to 64 keys: small blocks everywhere.
 *   Hopper          two consumer groups of 64 queries, wide blocks of keys, twice buffered, fed by TMA.
 *   Blackwell       trtllm-gen: two tiles of 128 queries against 128 keys.
 */
import { bytesOf } from '../base/dtype.js';
import type { Params } from '../kernel/kernel.js';
import { routeOf } from '../kernel/library/attention_route.js';
import type { ResourceGraph } from '../machine/graph.js';
import type { OpOf } from '../workload/op.js';
import { type Dispatch, multipliesNarrow } from './attention-kernels.js';
import type { HabitName } from './kernel-habits.js';

type Attention = OpOf<'attention'>;

/** Shared storage that tells the A100's kernels from those of its smaller kin. */
const LARGE_SHARED_B = 128 * 1024;
/** Prompts up to this long take the kernels of small blocks. */
const SHORT_KEYS = 64;

/** `cache`: format of the keys and values kept for later. Undefined where no kernel is known: no matrix instructions. */
export function prefillDispatch(
  attention: Attention,
  cache: Attention['kv'],
  machine: ResourceGraph,
): Dispatch | undefined {
  // a cache of one byte is made first, and multiplied as it is where that is possible
  const op: Attention = multipliesNarrow(cache, machine) ? { ...attention, q: cache, kv: cache } : attention;
  const route = routeOf(op, machine);
  if (route?.mma !== 'matrix') return undefined;
  const on = (params: Params, name?: HabitName): Dispatch => ({
    op,
    pins: { kernel: 'attention_fused', params: { pack: 0, ...params } },
    ...(name && { habit: { name } }),
  });
  const narrow = bytesOf(op.q) === 1;
  const d = op.head_dim;
  // two tiles of 128 queries take turns on a core: two workgroups here
  if (route.m >= 128)
    return on({ bq: 128, groups: 1, ...(d <= 128 ? { bkv: 128, stages: 1 } : { bkv: 64, stages: 2 }) }, 'trtllm_gen');
  if (route.lanes > machine.cores.lane_group) {
    const bkv = narrow ? (d <= 128 ? 256 : 128) : d <= 64 ? 256 : d <= 128 ? 128 : 64;
    return on({ bq: 128, bkv, groups: 2, stages: 2 });
  }
  const common = { groups: 4, scaled: 1 };
  if (narrow) return on({ ...common, ...(d <= 64 ? { bq: 128, bkv: 128 } : { bq: 64, bkv: 32 }), stages: 1 }, 'fmha');
  const large = machine.cores.shared_per_workgroup_B >= LARGE_SHARED_B;
  if (op.kv_len > SHORT_KEYS && (large || d >= 256))
    return on({ ...common, bq: d <= 64 ? 128 : 64, bkv: 128, stages: 1 }, 'fmha_tiled');
  return on({ ...common, bq: 64, bkv: d > 128 ? 16 : d > 32 ? 32 : 64, stages: 2 }, 'fmha');
}
