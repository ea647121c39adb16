/** Experts' products and convolutions: implicit and grouped matrix products. */
import { describe, expect, it } from 'vitest';
import { isMisfit, residency } from '../../../src/kernel/fit.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { conv2d } from '../../../src/kernel/library/conv2d.js';
import { conv3d } from '../../../src/kernel/library/conv3d.js';
import { grouped_gemm, groupRows } from '../../../src/kernel/library/grouped_gemm.js';
import type { ResourceGraph } from '../../../src/machine/graph.js';
import { compulsoryBytesOf, flopsOf, type OpKind, type OpOf } from '../../../src/workload/op.js';
import { LANES_ONLY, SKETCHES, shippedMachines, WARPGROUPS, WARPS } from '../machines.js';
import { distance, inputsOf, runLaunches } from './run.js';

/** Candidates that do not give the reference result; fails when there are none to try. */
function wrong<K extends OpKind>(kernel: Kernel<K>, op: Parameters<Kernel<K>['build']>[0], machine: ResourceGraph) {
  const all = [...kernel.candidates(op, machine)];
  expect(all.length).toBeGreaterThan(0);
  return all.filter((p) => {
    const launches = kernel.build(op, p, machine);
    const inputs = inputsOf(launches);
    const expected = kernel.reference(op, inputs)['C']!;
    return !(distance(runLaunches(launches, inputs)['C']!, expected) < 1e-4);
  });
}

type Grouped = OpOf<'grouped_matmul'>;
const experts = (more: Partial<Grouped> = {}): Grouped => ({
  ...grouped_gemm.toOp({ groups: 5, rows: 73, n: 40, k: 50 }, 'fp16'),
  ...more,
});

describe('grouped_gemm gives the reference result', () => {
  const cases: [string, Partial<Grouped>][] = [
    ['even groups', {}],
    ['ragged groups, some empty', { rows_by_group: [0, 40, 1, 0, 32] }],
    ['an activation', { rows_by_group: [3, 30, 40], groups: 3, activation: 'silu' }],
    ['int4 weights', { k: 150, b: 'int4' }],
    ['int8 weights', { b: 'int8' }],
  ];
  it.each(cases)('%s', (_, more) => {
    for (const machine of [WARPS, WARPGROUPS, LANES_ONLY])
      expect(wrong(grouped_gemm, experts(more), machine)).toEqual([]);
  });
  it('in no workgroup for a group without rows', () => {
    const p = { bm: 16, bn: 64, bk: 32, stages: 2, groups_m: 1, groups_n: 4, panel: 1 };
    const [launch] = grouped_gemm.build(experts({ rows_by_group: [0, 40, 1, 0, 32] }), p, WARPS);
    expect(launch!.program.grid[1]!.extent).toBe(3 + 1 + 2);
  });
});

it('rows spread over groups as evenly as they can', () => {
  expect(groupRows(experts())).toEqual([15, 15, 15, 14, 14]);
});
it('rows by group that do not add up are refused', () => {
  const p = { bm: 16, bn: 64, bk: 32, stages: 2, groups_m: 1, groups_n: 4, panel: 1 };
  expect(() => grouped_gemm.build(experts({ rows_by_group: [1, 2, 3, 4, 5] }), p, WARPS)).toThrow(
    /add up to 15, rows is 73/,
  );
});

type Conv = OpOf<'conv2d'>;
const image = (more: Partial<Conv> = {}): Conv => ({
  ...conv2d.toOp({ in_channels: 20, out_channels: 24, height: 9, width: 11, kernel: 3, padding: 1 }, 'fp16'),
  ...more,
});
describe('conv2d gives the reference result', () => {
  const cases: [string, Partial<Conv>][] = [
    ['a padded window of 3', {}],
    ['stride 2', { stride: 2 }],
    ['no padding, a window of 5', { kernel: 5, padding: 0 }],
    ['1×1 on a batch', { kernel: 1, padding: 0, batch: 2 }],
    ['1×1 with stride 2', { kernel: 1, padding: 0, stride: 2 }],
    ['a batch with bias', { batch: 2, bias: true }],
    [
      'patches: stride as wide as the window',
      { kernel: 4, stride: 4, padding: 0, in_channels: 3, height: 12, width: 12 },
    ],
    ['many channels', { in_channels: 70, height: 4, width: 5 }],
    ['int8 weights', { b: 'int8', height: 5, width: 5 }],
  ];
  it.each(cases)('%s', (_, more) => {
    for (const machine of [WARPS, WARPGROUPS, LANES_ONLY]) expect(wrong(conv2d, image(more), machine)).toEqual([]);
  });
  it('a window larger than the image is refused', () => {
    expect(() => conv2d.toOp({ in_channels: 1, out_channels: 1, height: 2, width: 2 }, 'fp16')).toThrow(
      /does not fit 2×2/,
    );
  });
});

type Volume = OpOf<'conv3d'>;
const volume = (more: Partial<Volume> = {}): Volume => ({
  ...conv3d.toOp(
    { in_channels: 10, out_channels: 12, depth: 4, height: 5, width: 6, padding: 1, padding_depth: 1 },
    'fp16',
  ),
  ...more,
});
describe('conv3d gives the reference result', () => {
  const cases: [string, Partial<Volume>][] = [
    ['a padded window of 3', {}],
    ['strides of its own in depth', { stride_depth: 2, depth: 5 }],
    ['strides in all directions', { stride: 2, stride_depth: 2 }],
    ['a window flat in depth', { kernel_depth: 1, padding_depth: 0 }],
    ['a window in depth alone', { kernel: 1, padding: 0 }],
    ['1×1×1 on a batch', { kernel: 1, kernel_depth: 1, padding: 0, padding_depth: 0, batch: 2 }],
    ['a batch with bias', { batch: 2, bias: true }],
    ['patches of video', { kernel: 2, stride: 2, kernel_depth: 1, padding: 0, padding_depth: 0, height: 6 }],
  ];
  it.each(cases)('%s', (_, more) => {
    for (const machine of [WARPS, LANES_ONLY]) expect(wrong(conv3d, volume(more), machine)).toEqual([]);
  });
  it('of one plane is that of an image', () => {
    const flat = volume({ depth: 1, kernel_depth: 1, padding_depth: 0 });
    const p = conv3d.candidates(flat, WARPS)[Symbol.iterator]().next().value!;
    const launches = conv3d.build(flat, p, WARPS);
    const inputs = inputsOf(launches);
    const { in_channels, out_channels, height, width, padding } = flat;
    const plane = conv2d.toOp({ in_channels, out_channels, height, width, padding }, 'fp16');
    expect(distance(runLaunches(launches, inputs)['C']!, conv2d.reference(plane, inputs)['C']!)).toBeLessThan(1e-4);
    expect(flopsOf(flat)).toBe(flopsOf(plane));
    expect(compulsoryBytesOf(flat)).toEqual(compulsoryBytesOf(plane));
  });
  it('a window deeper than the volume is refused', () => {
    const shape = { in_channels: 1, out_channels: 1, depth: 2, height: 4, width: 4 };
    expect(() => conv3d.toOp(shape, 'fp16')).toThrow(/kernel_depth: 3 is larger than the padded depth 2/);
  });
});

it('candidates are few, legal, and some of them fit, on every machine', async () => {
  const faults: string[] = [];
  const check = <K extends OpKind>(
    kernel: Kernel<K>,
    op: Parameters<Kernel<K>['build']>[0],
    machine: ResourceGraph,
  ) => {
    const all = [...kernel.candidates(op, machine)];
    const place = `${machine.name} ${kernel.name}`;
    if (all.length > 150) faults.push(`${place}: ${all.length} candidates`);
    for (const p of all)
      for (const key in p) if (!kernel.params[key]?.values.includes(p[key]!)) faults.push(`${place}: ${key}=${p[key]}`);
    if (!all.some((p) => kernel.build(op, p, machine).every((l) => !isMisfit(residency(l, machine)))))
      faults.push(`${place}: none fits`);
  };
  for (const machine of [...SKETCHES, ...(await shippedMachines())]) {
    check(grouped_gemm, grouped_gemm.toOp({ groups: 128, rows: 8192, n: 1536, k: 2048 }, 'bf16'), machine);
    check(grouped_gemm, grouped_gemm.toOp({ groups: 8, rows: 8, n: 1536, k: 2048 }, 'bf16'), machine);
    check(
      conv2d,
      conv2d.toOp({ in_channels: 320, out_channels: 640, height: 64, width: 64, padding: 1 }, 'fp16'),
      machine,
    );
    check(
      conv2d,
      conv2d.toOp(
        { in_channels: 3, out_channels: 64, height: 224, width: 224, kernel: 7, stride: 2, padding: 3 },
        'fp32',
      ),
      machine,
    );
  }
  expect(faults).toEqual([]);
});
