/** The fixed set: large and varied enough, and every case fits a device with WebGPU's default limits for a CPU. */
import { describe, expect, test } from 'vitest';
import { runLaunches } from '../../../src/engine/run.js';
import { COLD } from '../../../src/engine/types.js';
import { isMisfit, residency } from '../../../src/kernel/fit.js';
import { storeOf } from '../../../src/machine/graph.js';
import { bindingOf, buildCase, groupParams } from '../../../src/validate/device/binding.js';
import { CASES, GROUPS } from '../../../src/validate/device/cases.js';
import { inputsOf } from '../../../src/validate/device/inputs.js';
import { spread } from '../../../src/validate/device/run.js';
import { emitLaunches } from '../../../src/webgpu/program.js';
import { CPU } from './machine.js';

const NONE = new Map();
const machine = bindingOf(CPU);

test('there are at least sixty cases, of every group, each named once', () => {
  expect(CASES.length).toBeGreaterThanOrEqual(60);
  expect(new Set(CASES.map((c) => c.id)).size).toBe(CASES.length);
  expect(new Set(CASES.map((c) => c.group))).toEqual(new Set(GROUPS));
});

test('products and attention come in enough tile variants to rank', () => {
  const variants = (problem: string) => CASES.filter((c) => c.problem === problem).length;
  expect(variants('gemm 128')).toBeGreaterThanOrEqual(10);
  expect(variants('attention d32')).toBeGreaterThanOrEqual(8);
});

test.each(CASES.map((c) => [c.id, c] as const))('%s fits, is emitted and is predicted', (_, c) => {
  const { launches } = buildCase(c, machine, NONE);
  for (const launch of launches) {
    expect(launch.mapping.mma).toBe('vector');
    expect(isMisfit(residency(launch, machine)), JSON.stringify(residency(launch, machine))).toBe(false);
  }
  expect(emitLaunches(launches, { workgroup_B: 32768, compact: true, f16: true })).toHaveLength(launches.length);
  for (const r of runLaunches(launches, machine, COLD, 'steady')) expect(r.time_s).toBeGreaterThan(0);
});

describe('lanes become lane groups', () => {
  const wide = { ...machine, cores: { ...machine.cores, lane_group: 32 } };
  test('of whatever width the machine has', () => {
    expect(groupParams({ lanes: 64 }, machine)).toEqual({ groups: 8 });
    expect(groupParams({ lanes: 64 }, wide)).toEqual({ groups: 2 });
    // 8 lanes lie 2 × 4, 32 lanes 4 × 8
    expect(groupParams({ bm: 64, bn: 64, tm: 4, tn: 4 }, machine)).toMatchObject({ groups_m: 8, groups_n: 4 });
    expect(groupParams({ bm: 64, bn: 64, tm: 4, tn: 4 }, wide)).toMatchObject({ groups_m: 4, groups_n: 2 });
  });
  test('whole ones only', () => {
    expect(() => groupParams({ lanes: 16 }, wide)).toThrow('16 lanes are no whole lane groups of 32');
  });
  test('and give the same workgroups either way', () => {
    for (const c of spread(CASES, 12)) {
      const lanes = (m: typeof machine) => buildCase(c, m, NONE).launches.map((l) => l.mapping.lanes);
      // the launch that adds parts picks its own lanes
      if (!c.id.includes('split') && !c.id.includes('parts')) expect(lanes(wide), c.id).toEqual(lanes(machine));
    }
  });
});

test('the binding has no matrix instructions and copies through registers', () => {
  const bound = bindingOf({
    ...CPU,
    units: [
      {
        id: 'matrix',
        mma: [{ ...CPU.units[0]!.mma[0]!, a: 'fp16', b: 'fp16', m: 16, n: 8, k: 16, lanes: 32 }],
        math: CPU.units[0]!.math,
      },
    ],
    links: CPU.links.map(({ via: _, ...l }) => l),
  });
  expect(bound.units.flatMap((u) => u.mma).map((m) => [m.a, m.m * m.n * m.k])).toEqual([['fp32', 1]]);
  expect(bound.links.find((l) => l.to === 'shared')!.via).toBe('register');
  expect(storeOf(bound, 'shared')).toEqual(storeOf(CPU, 'shared'));
});

test('kernels in sequence hand on what the first wrote', () => {
  const { launches } = buildCase(CASES.find((c) => c.id.startsWith('swiglu in two'))!, machine, NONE);
  expect(launches.map((l) => l.program.tensors.map((t) => `${t.role} ${t.name}`))).toEqual([
    ['input a', 'output middle'],
    ['input middle', 'input b', 'output out'],
  ]);
  expect(Object.keys(inputsOf(launches)).sort()).toEqual(['a', 'b']);
});

test('rows are gathered in order, scattered and all the same, inside the table', () => {
  const rows = CASES.filter((c) => c.group === 'gather').map((c) => {
    const { index } = inputsOf(buildCase(c, machine, NONE).launches, c.pattern);
    expect(index!.every((i) => Number.isInteger(i) && i >= 0 && i < 4096)).toBe(true);
    return new Set(index).size;
  });
  expect([...new Set(rows)].sort((a, b) => a - b)).toEqual([1, 1024]);
});

test('a part of the cases is spread over all', () => {
  expect(spread([1, 2, 3, 4, 5, 6], 3)).toEqual([1, 3, 5]);
  expect(spread([1, 2], 5)).toEqual([1, 2]);
});
