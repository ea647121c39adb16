/**
 * Which kernel TensorRT-LLM runs for a prompt's attention, and its tiles. Read from its sources: the choice
 * (fmhaRunner.cpp, setupLaunchParams) and the tiles of each kernel (fmha_v2/setup.py). Assumed: trtllm-gen's tiles.
 *
 *   before Hopper   64 queries on four warps, instructions of one warp. A100: blocks of 128 keys, cut into slices that
 *                   are loaded while the one before is multiplied ("tiled"). Its smaller kin: small blocks, next one loaded
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
import type { Habit, HabitName } from './kernel-habits.js';

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
  const on = (params: Params, name?: HabitName, more?: Partial<Habit>): Dispatch => ({
    op,
    pins: { kernel: 'attention_fused', params: { pack: 0, ...params } },
    ...(name && { habit: { name, ...more } }),
  });
  const common = { groups: 4, scaled: 1 };
  /** Small blocks: whole fragments of queries, keys and values are held in registers. */
  const held = (bq: number, bkv: number, stages: number): Dispatch =>
    on({ ...common, bq, bkv, stages }, 'fmha', registersOf(op, bq, bkv, machine));
  const narrow = bytesOf(op.q) === 1;
  const d = op.head_dim;
  // two tiles of 128 queries take turns on a core: two workgroups here
  if (route.m >= 128)
    return d <= 128
      ? on({ bq: 128, bkv: 128, groups: 1, stages: 1 }, 'trtllm_gen')
      : on({ bq: 128, bkv: 64, groups: 1, stages: 2 });
  if (route.lanes > machine.cores.lane_group) {
    const bkv = narrow ? (d <= 128 ? 256 : 128) : d <= 64 ? 256 : d <= 128 ? 128 : 64;
    return on({ bq: 128, bkv, groups: 2, stages: 2 });
  }
  if (narrow) return d <= 64 ? held(128, 128, 1) : held(64, 32, 1);
  const large = machine.cores.shared_per_workgroup_B >= LARGE_SHARED_B;
  if (op.kv_len > SHORT_KEYS && (large || d >= 256))
    return on({ ...common, bq: d <= 64 ? 128 : 64, bkv: 128, stages: 1 }, 'fmha_tiled');
  return held(64, d > 128 ? 16 : d > 32 ? 32 : 64, 2);
}

const WARP = 32;
const WARPS = 4;
/** Registers for addresses, counters and predicates (as in kernel/fit.ts). */
const OTHER_REGISTERS = 32;

/**
 * What registers leave room for: each of four warps holds its queries, scores and results and the fragments of all of a
 * block's keys and values. What a lane lacks is spilled; workgroups whose spills do not fit the core's cache together
 * take turns.
 */
function registersOf(op: Attention, bq: number, bkv: number, machine: ResourceGraph): Partial<Habit> {
  const { head_dim: d } = op;
  const e = bytesOf(op.q);
  const lanes = WARP * WARPS;
  // 16-bit kernels of wide heads hold two steps of queries and keys at a time (setup.py: limit_qk_fragments)
  const depth = e > 1 && d >= 256 ? 32 : d;
  const queries_B = (bq * depth * e) / lanes;
  const fragments_B = (bkv * (depth + d) * e) / WARP;
  const sums_B = (4 * bq * (bkv + d)) / lanes;
  const need = Math.ceil((queries_B + fragments_B + sums_B) / 4) + OTHER_REGISTERS;
  const { max_registers_per_lane_B, registers_B } = machine.cores;
  const most = max_registers_per_lane_B / 4;
  const spilled = Math.max(0, need - most);
  const byRegisters = Math.floor(registers_B / (4 * Math.min(need, most) * lanes));
  if (spilled === 0) return { resident: Math.max(1, byRegisters) };
  const near_B = machine.stores.find((s) => s.role === 'cache' && s.scope === 'core')?.capacity_B ?? 0;
  const own_B = 4 * spilled * lanes + (bq + 2 * bkv) * d * e;
  return { spilled, resident: Math.max(1, Math.min(byRegisters, Math.floor(near_B / own_B))) };
}
