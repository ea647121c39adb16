/** Results of made-up cases. */
import type { CaseResult } from '../../../src/validate/device/compare.js';

const COUNTS = { global: { read_B: 1000, write_B: 500 }, shared: { read_B: 0, write_B: 0 } };

export const result = (
  id: string,
  measured_s: number,
  predicted_s: number,
  more: Partial<CaseResult> & { readonly spread?: number } = {},
): CaseResult => {
  const { spread = 0.01, ...rest } = more;
  return {
    id,
    group: 'gemm',
    problem: 'one',
    kernel: 'gemm',
    dtype: 'fp32',
    flops: 1e6,
    flops_executed: 1.2e6,
    numerics: { error: 1e-7, tolerance: 1e-6, why: '16 terms summed', pass: true },
    bytes: { interpreter: COUNTS, engine: COUNTS, device: COUNTS, equal: true },
    measured_s,
    lo_s: measured_s * (1 - spread),
    hi_s: measured_s * (1 + spread),
    predicted_s,
    roofline_s: measured_s / 10,
    bound_by: 'shared',
    compile_s: 0.5,
    clock: 'timestamps',
    ...rest,
  };
};
