/**
 * The discrete Fourier transform of n = 2^e points, as few trips to memory as workgroup memory allows: each takes up to
 * `points` points through log₂ points levels of the butterfly graph on chip (Hong and Kung's passes; between two trips
 * the twiddles of D. H. Bailey's four steps, J. Supercomputing 4, 1990). Real and imaginary parts are planes of their own.
 */

import { bytesOf } from '../../base/dtype.js';
import { InputError } from '../../base/errors.js';
import type { OpOf } from '../../workload/op.js';
import { opFault } from '../../workload/op-check.js';
import type { Kernel, Params } from '../kernel.js';
import { ceil, opHead, pow2, readShape } from './dims.js';
import { columnsOf, type End, radices, type Trip, tripProgram } from './fft_trip.js';
import { GROUPS, groupsParam, lacksMath, vectorMapping, workDType } from './lanes.js';

const SHAPE = {
  n: { description: 'points of a transform, a power of two' },
  batch: { description: 'transforms', default: 1 },
  inverse: { description: '1: with e^(+2πi…), not divided by n', default: 0 },
} as const;
const PARAMS = {
  points: {
    description: 'points of a transform that a workgroup holds, at most: fewer trips to memory the more',
    values: Array.from({ length: 15 }, (_, i) => 2 ** (i + 1)),
    default: 256,
  },
  cols: { description: 'neighbouring transforms of a workgroup', values: [1, 2, 4, 8, 16, 32, 64], default: 4 },
  radix: { description: 'operands of a butterfly in registers, at most', values: [2, 4, 8, 16], default: 8 },
  groups: groupsParam,
} as const;
type P = Params & Record<keyof typeof PARAMS, number>;

/** Trips of nearly equal sizes, larger ones last. */
export function tripsOf({ n, batch }: Pick<OpOf<'fft'>, 'n' | 'batch'>, points: number): Trip[] {
  const bits = Math.log2(n);
  const most = Math.max(1, Math.floor(Math.log2(Math.min(points, n))));
  const count = ceil(bits, most);
  let before = 1;
  return Array.from({ length: count }, (_, i) => {
    const size = 2 ** Math.floor((bits + i) / count);
    const trip: Trip = { batch, before, points: size, after: n / (before * size) };
    before *= size;
    return trip;
  });
}

/** Points of a column over lanes: registers for their real and imaginary parts, and as many again for work. */
const MOST_A_LANE = 32;

export const fft: Kernel<'fft'> = {
  name: 'fft',
  family: 'fft',
  math: 'y[b, k] = Σⱼ x[b, j]·e^(−2πi·jk/n)',
  op: 'fft',
  shape: SHAPE,
  params: PARAMS,
  toOp(shape, dtype) {
    const { n, batch, inverse } = readShape('fft', SHAPE, shape, ['inverse']);
    const op: OpOf<'fft'> = { kind: 'fft', ...opHead('fft'), batch, n, inverse: inverse !== 0, dtype };
    const fault = opFault(op);
    if (fault) throw new InputError(fault, 'fft --shape');
    return op;
  },
  rejects: (op, machine) => lacksMath(machine, op.dtype),
  *candidates(op, machine) {
    const { lane_group, shared_per_workgroup_B } = machine.cores;
    const bits = Math.log2(op.n);
    const held = shared_per_workgroup_B / (2 * bytesOf(workDType(op.dtype)));
    const fewest = ceil(bits, Math.max(1, Math.floor(Math.log2(held))));
    for (const trips of [fewest, fewest + 1]) {
      const points = 2 ** ceil(bits, trips);
      const sizes = tripsOf(op, points);
      if (sizes.length !== trips) continue;
      const most = Math.max(...sizes.map(columnsOf));
      for (const cols of PARAMS.cols.values) {
        if (cols > pow2(most) || points * cols > held || (cols === 2 && most > 2)) continue;
        for (const radix of [4, 8, 16]) {
          // butterflies of a pass, a lane each or two
          const butterflies = (points * cols) / radices(points, radix)[0]!;
          const groups = [1, 2].map((each) => Math.max(1, Math.floor(butterflies / (each * lane_group))));
          for (const g of new Set(groups.map((x) => GROUPS.findLast((v) => v <= x)!)))
            if (points * cols <= MOST_A_LANE * g * lane_group || g === 1) yield { points, cols, radix, groups: g };
        }
      }
    }
  },
  build(op, params, machine) {
    const { points, cols, radix, groups } = params as P;
    const trips = tripsOf(op, points);
    // the transform with e^(+…) is that of swapped parts, swapped
    const named = (name: string): End['names'] => {
      const parts = { re: `${name}_re`, im: `${name}_im` };
      return op.inverse ? { re: parts.im, im: parts.re } : parts;
    };
    return trips.map((trip, i) => {
      const from: End =
        i === 0 ? { names: named('x'), role: 'input' } : { names: named(i % 2 ? 'a' : 'b'), role: 'scratch' };
      const last = i === trips.length - 1;
      const to: End = last
        ? { names: named('y'), role: 'output' }
        : { names: named(i % 2 ? 'b' : 'a'), role: 'scratch' };
      const wide = Math.min(cols, columnsOf(trip));
      const program = tripProgram(trip, from, to, wide, radix, op.dtype);
      return { program, mapping: vectorMapping(machine, groups, trip.points) };
    });
  },
  reference(op, { x_re, x_im }) {
    const { n, batch } = op;
    const bits = Math.log2(n);
    const re = new Float64Array(batch * n);
    const im = new Float64Array(batch * n);
    const sign = op.inverse ? 1 : -1;
    for (let b = 0; b < batch; b++) {
      const at = b * n;
      for (let i = 0; i < n; i++) {
        let j = 0;
        for (let bit = 0; bit < bits; bit++) j = 2 * j + (Math.floor(i / 2 ** bit) % 2);
        re[at + j] = x_re![at + i]!;
        im[at + j] = x_im![at + i]!;
      }
      for (let half = 1; half < n; half *= 2)
        for (let k = 0; k < half; k++) {
          const [c, s] = [Math.cos((Math.PI * k) / half), sign * Math.sin((Math.PI * k) / half)];
          for (let p = at + k; p < at + n; p += 2 * half) {
            const q = p + half;
            const [u, v] = [re[q]! * c - im[q]! * s, re[q]! * s + im[q]! * c];
            re[q] = re[p]! - u;
            im[q] = im[p]! - v;
            re[p] = re[p]! + u;
            im[p] = im[p]! + v;
          }
        }
    }
    return { y_re: re, y_im: im };
  },
};
