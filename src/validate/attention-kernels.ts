/**
 * Which kernels TensorRT-LLM runs for the attention of one decode step. Read from its sources: the choice
 * between XQA and MMHA and their parts (decoderXQAImplJIT, decoderXQAImplCommon.h, decoderXQAConstants.h,
 * decoderMaskedMultiheadAttentionLaunch.h), XQA's tile and buffers (xqa/mha.cu). Assumed, none of it read: the kernels
 * for one-byte keys and of trtllm-gen. Inferred from measured rows, for the sources looked at do not say it: one-byte
 * keys in XQA's register kernel are not cut into parts (L40S: 139 µs for one sequence of 8192 keys, 32 steps of 4.3 µs)
 * and take that kernel however little there is to do; parts are of the whole context where a window leaves little of it
 * (L40S: 23 µs for 128 keys of 65536, 11 of 2048); trtllm-gen hands groups of 64 heads to MMHA (B200). One of
 *
 *   XQA   2 to 32 query heads share keys, and there is work for a quarter of the cores. Eight warps hold all heads of a
 *         group against 256 keys at a time (four warps multiply scores, four weigh values).
 *   MMHA  otherwise: a workgroup for each query head, products on lanes, embedding and cache writes in the same kernel.
 *   FMHA  where matrix units have accumulators of their own (trtllm-gen): all heads of a group against 128 keys.
 *
 * All cut long contexts into parts and combine these.
 */
import { bytesOf, type DType } from '../base/dtype.js';
import type { Pins } from '../kernel/mapper.js';
import { mmaOf, type ResourceGraph } from '../machine/graph.js';
import type { OpOf } from '../workload/op.js';
import type { Habit } from './kernel-habits.js';

type Attention = OpOf<'attention'>;

/** What the framework runs: the op in the formats its kernel multiplies, its tiles, and what it does besides. */
export interface Dispatch {
  readonly op: Attention;
  readonly pins: Pins;
  readonly habit?: Habit;
}

/** Query heads of a group that the matrix kernels hold. */
const MOST_HEADS = 32;
/** XQA: least history of a part, workgroups wanted per core, parts of all sequences. */
const XQA_PART_KEYS = 128;
const XQA_WAVES = 8;
const XQA_MOST_PARTS = 6000;
/** Work for a quarter of the cores is worth the matrix kernel. */
const XQA_FEW_CORES = 4;
/** Keys of a step: 64 for each of four warps; their buffers, by how much shared storage there is. */
const XQA_KEYS = 256;
const XQA_BUFFERS_B = [131072, 65536] as const;

/** MMHA: lanes of a workgroup, workgroups that 64 registers a lane leave room for, loads of a lane in flight. */
const MMHA_LANES = 256;
const MMHA_RESIDENT = 4;
const MMHA_MOST_LANES = 1024;
const MMHA_UNROLL = 8;
/** Elements of keys that a lane holds. */
const MMHA_HELD = 16;
const MMHA_ACCESS_B = 16;

const NARROW_KEYS = 128;
const FMHA_KEYS = 128;
/** Workgroups on a core: 128 of its 512 columns of accumulators each (assumed). */
const FMHA_RESIDENT = 4;

const PARTS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128] as const;
/** The nearest number of parts not above. */
const legal = (parts: number): number => PARTS.filter((p) => p <= parts).at(-1) ?? 1;

const ownAccumulators = (op: Attention, machine: ResourceGraph): boolean =>
  mmaOf(machine, op.q, op.q, 'fp32')?.op.accumulator === 'own';
/** Keys of one byte are multiplied as they are where instructions read shared storage: queries are made narrow too. */
export const multipliesNarrow = (kv: DType, machine: ResourceGraph): boolean =>
  bytesOf(kv) === 1 && mmaOf(machine, kv, kv, 'fp32')?.op.operands === 'shared';

const widensInSoftware = (op: Attention, machine: ResourceGraph): boolean =>
  bytesOf(op.kv) === 1 && !multipliesNarrow(op.kv, machine);

export type DecodeKernel = 'xqa' | 'narrow xqa' | 'mmha' | 'fmha';

export function decodeKernel(op: Attention, machine: ResourceGraph): DecodeKernel {
  const group = op.heads / op.kv_heads;
  if (group > MOST_HEADS) return 'mmha';
  if (ownAccumulators(op, machine)) return 'fmha';
  if (group < 2) return 'mmha';
  if (bytesOf(op.kv) === 1) return multipliesNarrow(op.kv, machine) ? 'narrow xqa' : 'xqa';
  const parts = Math.max(1, Math.floor((op.kv_len - 1) / XQA_PART_KEYS));
  const work = op.kv_heads * op.batch * parts * XQA_FEW_CORES;
  return work >= machine.cores.count ? 'xqa' : 'mmha';
}

export function decodeDispatch(op: Attention, machine: ResourceGraph): Dispatch {
  const kernel = decodeKernel(op, machine);
  const narrow: Attention = multipliesNarrow(op.kv, machine) ? { ...op, q: op.kv } : op;
  switch (kernel) {
    case 'fmha':
      return { op: narrow, pins: fmhaPins(op, machine), habit: { name: 'trtllm_gen', resident: FMHA_RESIDENT } };
    case 'mmha':
      return {
        op,
        pins: mmhaPins(op, machine),
        habit: { name: widensInSoftware(op, machine) ? 'mmha_widening' : 'mmha' },
      };
    case 'xqa':
      return {
        op,
        pins: xqaPins(op, machine, false),
        habit: { name: 'xqa', width: (1 + Math.ceil(op.head_dim / 128)) / 2 },
      };
    case 'narrow xqa':
      return {
        op: narrow,
        pins: xqaPins(op, machine, true),
        habit: { name: 'narrow_xqa', heads: ((op.heads / op.kv_heads) * op.head_dim) / 128 },
      };
  }
}

const keysSeen = (op: Attention): number => (op.window > 0 ? Math.min(op.window, op.kv_len) : op.kv_len);

function inParts(parts: number, params: Readonly<Record<string, number>>): Pins {
  return parts > 1
    ? { kernel: 'attention_split', params: { ...params, splits: parts } }
    : { kernel: 'attention_fused', params };
}

function xqaPins(op: Attention, machine: ResourceGraph, narrow: boolean): Pins {
  // parts are of the whole context, whatever a window leaves of it
  const history = Math.floor(((narrow ? keysSeen(op) : op.kv_len) - 1) / XQA_PART_KEYS);
  let parts = Math.max(1, Math.min(history, Math.round(Math.sqrt(8 * history))));
  const waves = (op.batch * op.kv_heads * parts) / machine.cores.count;
  if (waves > XQA_WAVES) parts = Math.floor((parts * XQA_WAVES) / waves);
  parts = legal(Math.max(1, Math.min(parts, Math.floor(XQA_MOST_PARTS / op.batch))));
  if (!narrow && bytesOf(op.kv) === 1) parts = 1;
  if (narrow)
    return inParts(parts, {
      bq: op.heads / op.kv_heads > 16 ? 32 : 16,
      bkv: op.head_dim <= 128 ? NARROW_KEYS : NARROW_KEYS / 2,
      stages: 2,
      // one group of warps for scores, one for weighted values, one that loads
      groups: 3,
      pack: 1,
      vector: 0,
    });
  const room = machine.cores.shared_per_workgroup_B;
  const buffers_B = XQA_BUFFERS_B.find((b) => b + 12288 <= room) ?? 0;
  const key_B = 2 * op.head_dim * bytesOf(op.kv);
  const bkv = Math.min(XQA_KEYS, 2 ** Math.floor(Math.log2(buffers_B / key_B)));
  return inParts(parts, {
    bq: op.heads / op.kv_heads > 16 ? 32 : 16,
    bkv,
    stages: bkv * key_B * 2 <= buffers_B ? 2 : 1,
    groups: 8,
    pack: 1,
    vector: 0,
    widest: machine.cores.lane_group,
  });
}

function mmhaPins(op: Attention, machine: ResourceGraph): Pins {
  const workgroups = op.batch * op.heads;
  const filled = workgroups >= machine.cores.count * MMHA_RESIDENT;
  const factor = Math.min(Math.ceil((machine.cores.count * MMHA_RESIDENT) / workgroups), MMHA_RESIDENT);
  const lanes = filled ? MMHA_LANES : factor === 3 ? 2 * MMHA_LANES : Math.min(MMHA_LANES * factor, MMHA_MOST_LANES);
  const resident = (MMHA_LANES * MMHA_RESIDENT) / lanes;
  const lanes_per_key = (op.head_dim * bytesOf(op.q)) / MMHA_ACCESS_B;
  const loop = Math.ceil(lanes / lanes_per_key) * MMHA_UNROLL;
  const wanted = Math.ceil((machine.cores.count * resident) / workgroups);
  const parts = legal(Math.max(1, Math.min(wanted, Math.ceil((keysSeen(op) + 1) / loop))));
  // what the lanes hold in flight lies in shared tiles here
  const bkv = 2 ** Math.floor(Math.log2((Math.min(lanes, 2 * MMHA_LANES) * MMHA_HELD) / op.head_dim));
  return inParts(parts, {
    bq: 1,
    bkv: Math.min(XQA_KEYS, bkv),
    stages: 1,
    groups: lanes / machine.cores.lane_group,
    pack: 0,
    vector: 1,
  });
}

function fmhaPins(op: Attention, machine: ResourceGraph): Pins {
  const group = op.heads / op.kv_heads;
  const pack = group > 1 ? 1 : 0;
  const workgroups = op.batch * (pack ? op.kv_heads : op.heads);
  const keys = keysSeen(op);
  const wanted = Math.floor(machine.cores.count / workgroups);
  const parts = legal(Math.max(1, Math.min(wanted, Math.ceil(keys / (2 * FMHA_KEYS)))));
  return inParts(parts, {
    // queries of a tile: 8, 16 or 32, whatever holds the group
    bq: group > 16 ? 32 : group > 8 ? 16 : 8,
    bkv: op.head_dim > 128 ? 64 : FMHA_KEYS,
    // several tiles share a core where one ends soon, and one runs ahead where it goes on
    stages: keys > 4 * FMHA_KEYS * parts ? 2 : 1,
    groups: 2,
    pack,
    vector: 0,
  });
}
