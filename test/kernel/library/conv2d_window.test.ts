/** Convolution that keeps its input over the window: the reference's results, the bytes of a formula, near its bound. */
import { describe, expect, test } from 'vitest';
import { leastIo } from '../../../src/bounds/least-io.js';
import { nearMachine } from '../../../src/bounds/near-machine.js';
import { schedulesOf } from '../../../src/bounds/schedules.js';
import { isMisfit, residency } from '../../../src/kernel/fit.js';
import { conv2d, convOp } from '../../../src/kernel/library/conv2d.js';
import { conv2d_window } from '../../../src/kernel/library/conv2d_window.js';
import { LANES_ONLY, SKETCHES } from '../machines.js';
import { difference } from './difference.js';
import { WARP } from './plain-machines.js';
import { distance, inputsOf, runLaunches } from './run.js';

const P = { bm: 8, bn: 16, bk: 4, stages: 1, groups_m: 1, groups_n: 1, py: 2, px: 3 };
const SHAPES: [string, Record<string, number>][] = [
  ['3×3, padded', { in_channels: 6, out_channels: 20, height: 11, width: 13, padding: 1 }],
  ['nothing divides', { batch: 2, in_channels: 5, out_channels: 7, height: 9, width: 30, kernel: 3 }],
  ['strided', { in_channels: 4, out_channels: 8, height: 17, width: 19, stride: 2, padding: 1 }],
  ['5×5, stride 3', { in_channels: 3, out_channels: 8, height: 16, width: 20, kernel: 5, stride: 3, padding: 2 }],
  ['2×2', { in_channels: 3, out_channels: 8, height: 8, width: 9, kernel: 2 }],
];

describe('conv2d_window gives the convolution', () => {
  test.each(SHAPES)('%s', (_, shape) => {
    const op = { ...convOp(shape, 'fp64'), bias: true };
    for (const more of [{}, { stages: 2 }, { py: 1, px: 1 }, { py: 4, px: 2, bm: 16, bk: 1 }])
      for (const machine of [WARP, nearMachine(op)])
        expect(difference(conv2d_window, op, { ...P, ...more }, machine).worst, JSON.stringify(more)).toBeLessThan(
          1e-11,
        );
  });
  test('for every candidate on every kind of machine, operands widened where it must be', () => {
    const op = {
      ...convOp({ in_channels: 9, out_channels: 33, height: 12, width: 40, padding: 1 }, 'bf16'),
      bias: true,
    };
    let tried = 0;
    for (const machine of SKETCHES) {
      if (conv2d_window.rejects(op, machine)) continue;
      for (const p of conv2d_window.candidates(op, machine)) {
        const launches = conv2d_window.build(op, p, machine);
        const inputs = inputsOf(launches);
        const expected = conv2d_window.reference(op, inputs)['C']!;
        expect(distance(runLaunches(launches, inputs)['C']!, expected), `${machine.name} ${JSON.stringify(p)}`).toBe(0);
        tried++;
      }
    }
    expect(tried).toBeGreaterThan(20);
  }, 60_000);
});

test('the input is asked for once a workgroup and offset, weights once a workgroup', () => {
  // 24 × 24 results of a 26 × 26 input, blocks of 2 × 3 pixels, 8 of them in a row
  const op = convOp({ in_channels: 8, out_channels: 32, height: 26, width: 26 }, 'fp64');
  const t = difference(conv2d_window, op, P, WARP).launches[0]!.requested_B.tensor;
  const workgroups = 2 * 1 * 12;
  expect(t['A']!.read_B).toBe(8 * workgroups * (2 + 2) * (3 + 2) * 8 * 8);
  expect(t['B']!.read_B).toBe(8 * workgroups * 9 * 8 * 16);
  expect(t['C']!.write_B).toBe(8 * 24 * 24 * 32);
});

test('free sizes come within twice the bound, where the implicit product moves three to nine times as much', () => {
  const op = convOp({ in_channels: 64, out_channels: 64, height: 56, width: 56, padding: 1 }, 'fp32');
  for (const kib of [8, 32, 128]) {
    const M = kib * 1024;
    const ratio = (kernel: string) =>
      schedulesOf(op, M, 'only if not free').find((s) => s.kernel === kernel)!.requested_B / leastIo(op, M).bytes;
    expect(ratio('conv2d_window'), `${kib} KiB`).toBeLessThan(2.5);
    expect(ratio('conv2d'), `${kib} KiB`).toBeGreaterThan(3);
  }
}, 60_000);

test('candidates are legal and some fit', () => {
  for (const machine of SKETCHES) {
    const op = convOp(
      { in_channels: 64, out_channels: 128, height: 58, width: 130 },
      machine === LANES_ONLY ? 'fp32' : 'fp16',
    );
    const all = [...conv2d_window.candidates(op, machine)];
    expect(all.length).toBeLessThanOrEqual(60);
    for (const params of all)
      for (const [name, value] of Object.entries(params))
        expect(conv2d_window.params[name]?.values, name).toContain(value);
    const fits = all.filter((p) => conv2d_window.build(op, p, machine).every((l) => !isMisfit(residency(l, machine))));
    expect(fits.length, machine.name).toBeGreaterThan(0);
  }
});

test('windows without overlap are left to the implicit product', () => {
  const op = convOp({ in_channels: 4, out_channels: 8, height: 16, width: 16, kernel: 2, stride: 2 }, 'fp32');
  expect(conv2d_window.rejects(op, LANES_ONLY)).toContain('two places');
  expect(conv2d.rejects(op, LANES_ONLY)).toBeUndefined();
});
