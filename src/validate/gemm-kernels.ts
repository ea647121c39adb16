/**
 * Tiles of TensorRT-LLM's products of quantised operands; elsewhere the library of the vendor picks, and the search
 * stands for it. Read from its sources: the one tile of block-scaled products on Ada (ada_blockwise_gemm: 32 × 128 × 128)
 * and the names of its tiles for four-bit floats (CutlassTileConfigSM100). The others are assumed.
 */
import type { Pins } from '../kernel/mapper.js';
import { mmaOf, type ResourceGraph } from '../machine/graph.js';
import type { OpOf } from '../workload/op.js';

type Matmul = OpOf<'matmul'>;

/**
 * Weight-only (fpA_intB): every tile is this wide and steps through k by this much, whole or in parts; which, the plugin
 * measures. That k may be split is seen in measured rows (A100: 65536 of k with 256 columns take 84 µs more than 256 of
 * k, 115 cycles a step, less than a step's multiplications).
 */
const WEIGHT_ONLY = { bn: 128, bk: 64 } as const;
/** Rows up to which products with narrow weights run on lanes, without tiles (weightOnlyBatchedGemv). */
export const GEMV_ROWS = 4;

/** Integer weights beside wider activations. */
export const weightOnlyPins = (op: Matmul): readonly Pins[] | undefined =>
  op.m <= GEMV_ROWS
    ? undefined
    : [
        { kernel: 'gemm', params: WEIGHT_ONLY },
        { kernel: 'gemm_split_k', params: WEIGHT_ONLY },
      ];

/** Eight-bit integers scaled by row and column: one pass over k, as inferred from rows (A100: 65536 of k take 150 µs). */
export const unsplitPins = (op: Matmul): Pins | undefined => (op.m <= GEMV_ROWS ? undefined : { kernel: 'gemm' });

/** One tile before Hopper; on it 64 rows, or 128 where there are more, and the width that takes the fewest waves. */
export function blockScaledPins(op: Matmul, machine: ResourceGraph): Pins | undefined {
  const found = mmaOf(machine, op.a, op.b, 'fp32')?.op;
  if (found?.accumulator !== 'register') return undefined;
  if (found.operands === 'register') return { kernel: 'gemm', params: { bm: 32, bn: 128, bk: 128 } };
  return { kernel: 'gemm', params: { bm: op.m <= 64 ? 64 : 128, bk: 128 } };
}

/**
 * Four-bit floats (fp4_gemm): 128 rows, 128 bytes of k, and the widest of its tiles that still gives each core one.
 * That loads run only one step ahead is inferred from measured rows (B200: each 256 of k take 0.4 µs, however few the
 * columns).
 */
export function fourBitPins(op: Matmul, machine: ResourceGraph): Pins {
  const rows = Math.ceil(op.m / 128);
  const bn = [256, 128].find((w) => rows * Math.ceil(op.n / w) >= machine.cores.count) ?? 64;
  return { kernel: 'gemm', params: { bm: 128, bn, bk: 256, stages: 2 } };
}
