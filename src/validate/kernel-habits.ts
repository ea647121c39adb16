/**
 * What the framework's attention kernels do besides the statements of a tile program: code that goes once through a
 * workgroup, lengths and pages looked up before keys can be asked for, meetings of all lane groups. One set of numbers
 * for all machines; each has its source (`tilewright explain kernels`).
 */
import type { Sourced } from '../base/provenance.js';
import type { Bookkeeping } from '../kernel/bookkeeping.js';
import type { Launch } from '../kernel/kernel.js';

const number = (value: number, from: Sourced['from'], source: string): Sourced => ({
  value,
  from,
  source,
  dimension: 'count',
  unit: '',
  text: String(value),
});
const none = number(0, 'assumed', 'none beyond the statements');

interface Share {
  /** Instructions of each lane group that wait for one another. */
  readonly instructions: Sourced;
  /** More of them for each query head of the workgroup that is 128 wide. */
  readonly per_head?: Sourced;
  /** Reads of which each needs the one before. */
  readonly lookups: Sourced;
  /** Lines that each token's table is read in, step by step, and passes over its head. */
  readonly table_lines?: Sourced;
  readonly passes?: Sourced;
  readonly barriers: Sourced;
}
interface Numbers {
  /** Once a workgroup, and in each block of keys. */
  readonly start: Share;
  readonly step: Share;
}

const ADJUSTED =
  'adjusted, one number for all machines, on measured decode calls of A100, H100, L40S and B200 (ai-dynamo/aiconfigurator); no compiled code was counted';
const adjusted = (value: number) => number(value, 'calibrated', ADJUSTED);
const idle: Share = { instructions: none, lookups: none, barriers: none };

const NUMBERS = {
  xqa: {
    start: { instructions: adjusted(150), lookups: adjusted(2), barriers: none },
    // half of them go with the width of a head, in steps of 128
    step: { instructions: adjusted(1250), lookups: adjusted(1), barriers: none },
  },
  narrow_xqa: {
    start: { instructions: adjusted(560), per_head: adjusted(80), lookups: adjusted(2), barriers: none },
    step: idle,
  },
  mmha: {
    start: { instructions: adjusted(1200), lookups: adjusted(4), barriers: none },
    step: { instructions: adjusted(50), lookups: adjusted(1), barriers: none },
  },
  // bytes are widened in software: the L40S's slope is 59 lane instructions an element of the cache, the H100's 25
  mmha_widening: {
    start: { instructions: adjusted(2400), lookups: adjusted(4), barriers: none },
    step: { instructions: adjusted(1100), lookups: adjusted(1), barriers: none },
  },
  trtllm_gen: { start: { instructions: adjusted(1500), lookups: adjusted(6), barriers: none }, step: idle },
  rotary_cache: {
    start: {
      instructions: none,
      table_lines: number(
        32,
        'paper',
        'TensorRT-LLM, applyBiasRopeUpdateKVCacheV2: 64 angles as pairs of fp32 are 4 lines; a lane reads its 8 one by one, its neighbour 64 B on',
      ),
      passes: number(6, 'paper', 'the same: queries and keys twice, values, queries stored'),
      lookups: number(
        4,
        'paper',
        'TensorRT-LLM, applyBiasRopeUpdateKVCacheV2: the token’s sequence, its length, the angles at its position, its page',
      ),
      barriers: none,
    },
    step: idle,
  },
  fmha_tiled: {
    start: idle,
    step: {
      instructions: none,
      lookups: none,
      barriers: number(
        8,
        'paper',
        'fmha_v2, fused_multihead_flash_attention_kernel_noloop_tiled.h: two in each of two slices of keys and two of values',
      ),
    },
  },
  fmha: {
    start: idle,
    step: {
      instructions: none,
      lookups: none,
      barriers: number(
        2,
        'paper',
        'fmha_v2, fused_multihead_flash_attention_kernel_noloop.h: one for keys, one for values',
      ),
    },
  },
} as const satisfies Record<string, Numbers>;

/** Kernels that read the fragments of a product first and multiply then (fmha_v2 before Hopper: gemm after load). */
const OPERANDS_FIRST: ReadonlySet<HabitName> = new Set(['fmha_tiled', 'fmha']);

export type HabitName = keyof typeof NUMBERS;
/**
 * `width`: what the instructions are multiplied by; `heads`: query heads of a workgroup, in widths of 128; `spilled`:
 * registers that a lane lacks in each block of keys; `resident`: workgroups on a core at most.
 */
export interface Habit {
  readonly name: HabitName;
  readonly width?: number;
  readonly heads?: number;
  readonly spilled?: number;
  readonly resident?: number;
}

/** Every number by path, as `explain kernels` lists them. */
export const KERNEL_NUMBERS: ReadonlyMap<string, Sourced> = new Map(
  Object.entries(NUMBERS).flatMap(([kernel, parts]) =>
    Object.entries(parts).flatMap(([part, share]) =>
      Object.entries(share as Share)
        .filter(([, n]) => n !== none)
        .map(([key, n]) => [`${kernel}.${part}.${key}`, n as Sourced] as const),
    ),
  ),
);

/** 16-bit numbers, half a head a tile; lines of a core's own cache. */
const HALF_B = 2;
const LINE_B = 128;

const counts = (s: Share, { width = 1, heads = 0 }: Habit): Bookkeeping => ({
  instructions: s.instructions.value * width + (s.per_head?.value ?? 0) * heads,
  lookups: s.lookups.value,
  barriers: s.barriers.value,
});

/** The launch with what its kernel does besides; launches without products (the one that combines parts) as they are. */
export function withHabit(launch: Launch, habit: Habit): Launch {
  if (launch.program.name.startsWith('attention_combine')) return launch;
  const { name } = habit;
  const { table_lines, passes } = NUMBERS[name].start as Share;
  const tokens = table_lines && launch.program.tiles.find((t) => t.name === 'q1');
  const lines =
    tokens && passes ? tokens.rows * (table_lines.value + (passes.value * 2 * tokens.cols * HALF_B) / LINE_B) : 0;
  const { start, step } = NUMBERS[name];
  return {
    program: launch.program,
    mapping: {
      ...launch.mapping,
      bookkeeping: {
        start: { ...counts(start, habit), ...(lines && { lines }) },
        step: { ...counts(step, habit), ...(habit.spilled && { spilled: habit.spilled }) },
      },
      ...(habit.resident && { resident: habit.resident }),
      ...(OPERANDS_FIRST.has(name) && { operandsFirst: true }),
    },
  };
}
