/**
 * How far a device's result may be from the interpreter's, which computes in fp64: one unit roundoff for each rounding
 * that a result can pass through, taken from the program itself.
 *
 * A sum of n products in fp32 errs by at most n·u·Σ|a·b|, and for roundings of random sign by about √n·u·Σ|a·b|
 * (Higham and Mary, SIAM J. Sci. Comput. 41(5), 2019). Terms of random sign make Σ|a·b| about √n times the result, so
 * relative to the largest result n·u is what to expect at most, whatever the order of summation. Functions that WGSL
 * does not round correctly count with the accuracy it promises (WGSL, §15.7.4.1), results and tiles of narrower formats
 * with theirs.
 */
import type { DType } from '../../base/dtype.js';
import type { Fx, FxOp, Program, Stmt } from '../../kernel/ir.js';
import { rangeOf, rangesOf } from '../../kernel/range.js';

/** Half a unit in the last place of fp32, relative. */
export const UNIT = 2 ** -24;

/** Unit roundoff of formats narrower than fp32 that results pass through. */
const ROUNDOFF: Partial<Record<DType, number>> = {
  fp16: 2 ** -11,
  bf16: 2 ** -8,
  tf32: 2 ** -11,
  fp8_e4m3: 2 ** -4,
  fp8_e5m2: 2 ** -3,
};

/**
 * Roundings, in units of half an ulp, of one application. WGSL promises 3 + 2|x| ulp for exp2; arguments that matter
 * to a result are small (a weight of 2^x with x < −24 vanishes in its sum), so |x| is taken as 8 where it is largest.
 */
const ROUNDINGS = {
  fma: 1,
  add: 1,
  sub: 1,
  mul: 1,
  max: 0,
  min: 0,
  lt: 0,
  select: 0,
  exp2: 2 * (3 + 2 * 8),
  log2: 2 * 3,
  rcp: 2 * 2.5,
  div: 2 * 2.5,
  rsqrt: 2 * 2,
  sqrt: 2 * 4.5,
  // absolute error 2^−11 inside ±π
  sin: 2 ** 13,
  cos: 2 ** 13,
  // from exp: two of them and a division
  tanh: 2 * 64,
  round: 0,
  floor: 0,
} as const satisfies Record<FxOp, number>;

export interface Tolerance {
  /** Relative to the largest magnitude of the tensor. */
  readonly value: number;
  readonly why: string;
}

/** Over all programs of a case, one after another. Integer results must be equal. */
export function toleranceOf(programs: readonly Program[]): Tolerance {
  let roundings = 0;
  let sums = 0;
  let narrow = 0;
  const narrowed = new Set<DType>();
  const real = programs.some((p) => p.tensors.some((t) => t.role !== 'input' && !/int/.test(t.dtype)));
  if (!real) return { value: 0, why: 'whole numbers: equal' };
  for (const program of programs) {
    const ranges = rangesOf(program);
    const into = (dtype: DType) => {
      const u = ROUNDOFF[dtype];
      if (u === undefined) return;
      narrow += u;
      narrowed.add(dtype);
    };
    const visit = (body: readonly Stmt[], trips: number): void => {
      for (const s of body)
        switch (s.kind) {
          case 'loop': {
            const n = Math.max(0, rangeOf(s.to, ranges).hi - rangeOf(s.from, ranges).lo);
            visit(s.body, trips * n);
            break;
          }
          case 'mma':
            sums += trips * (s.ta ? s.a.rows : s.a.cols);
            break;
          case 'reduce':
            if (s.op === 'sum') sums += trips * (s.axis === 1 ? s.from.cols : s.from.rows);
            break;
          case 'map':
            roundings += trips * depthOf(s.fn.body);
            into(s.out.dtype);
            break;
          case 'copy':
          case 'gather':
            into('level' in s.to ? s.to.dtype : s.to.tensor.dtype);
            break;
          case 'scatter':
            into(s.to.tensor.dtype);
            break;
        }
    };
    visit(program.body, 1);
  }
  const value = (sums + roundings) * UNIT + narrow;
  const parts = [
    ...(sums > 0 ? [`${sums} terms summed`] : []),
    ...(roundings > 0 ? [`${Math.round(roundings)} roundings of functions`] : []),
  ];
  const why = [
    parts.length > 0 ? `${parts.join(' and ')}, 2^-24 each` : '',
    narrowed.size > 0 ? `storage in ${[...narrowed].join(', ')}` : '',
  ].filter(Boolean);
  return { value, why: why.length > 0 ? `${why.join('; ')}; of the largest result` : 'moved only: equal' };
}

/** Most roundings on a path through the function. */
function depthOf(fx: Fx): number {
  if (typeof fx === 'number' || !('f' in fx)) return 0;
  return ROUNDINGS[fx.f] + Math.max(0, ...fx.args.map(depthOf));
}

/** Largest |got − expected| over the largest |expected|; Infinity where a result is not finite. */
export function errorOf(got: Float64Array, expected: Float64Array): number {
  let worst = 0;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    const e = expected[i]!;
    const d = Math.abs(got[i]! - e);
    if (!(d <= worst)) worst = Number.isFinite(d) ? d : Number.POSITIVE_INFINITY;
    scale = Math.max(scale, Math.abs(e));
  }
  return worst === 0 ? 0 : worst / (scale || 1);
}
