import { describe, expect, test } from 'vitest';
import { listMachines, openMachine } from '../../src/cli/files.js';
import { boundsOf, type Calibratable, constantsOf, factorAt, valueAt } from '../../src/machine/calibratable.js';
import { FAMILIES } from '../../src/machine/family.js';
import { GPU_CALIBRATION } from '../../src/machine/gpu-calibration.js';

const machines = await Promise.all(listMachines().map((name) => openMachine(name)));

describe('what calibration may change of a GPU', () => {
  test('is no more than twelve constants', () => {
    expect(GPU_CALIBRATION.length).toBeLessThanOrEqual(12);
    expect(new Set(GPU_CALIBRATION.map((c) => c.name)).size).toBe(GPU_CALIBRATION.length);
  });
  test('names fields that shipped GPUs have', () => {
    const fields = machines.filter((m) => m.family === 'gpu').map((m) => m.fields);
    for (const entry of GPU_CALIBRATION)
      for (const path of entry.fields)
        expect(
          fields.some((f) => constantsOf([{ ...entry, fields: [path] }], f).length === 1),
          `${entry.name}: ${path}`,
        ).toBe(true);
  });
  test('is nothing that a datasheet says', () => {
    for (const machine of machines) {
      if (machine.family !== 'gpu') continue;
      for (const constant of constantsOf(GPU_CALIBRATION, machine.fields))
        for (const { path } of constant.fields)
          expect(machine.fields.get(path)!.from, `${machine.name}: ${path}`).not.toBe('datasheet');
    }
  });
});

test.each(machines.map((m) => [m.name, m] as const))('constants of %s stay in bounds and start where it is', (_, m) => {
  for (const c of constantsOf(FAMILIES[m.family].calibratable, m.fields)) {
    const [least, greatest] = boundsOf(c);
    expect(least).toBeLessThanOrEqual(1e-12);
    expect(greatest).toBeGreaterThanOrEqual(-1e-12);
    for (const f of c.fields) {
      expect(valueAt(c, f, 0)).toBeCloseTo(f.value, 12);
      expect(valueAt(c, f, -1e6)).toBeLessThanOrEqual(f.value);
      if (m.fields.get(f.path)!.dimension === 'ratio') expect(valueAt(c, f, 1e6)).toBeLessThanOrEqual(1);
    }
  }
});

describe('a prior', () => {
  const entry: Calibratable = { name: 'x', fields: ['a.*', 'b'], what: '', by: 'factor', sd: 0.4, bounds: [0.5, 3] };
  const field = (value: number, from: 'assumed' | 'measured' | 'paper') =>
    ({ value, from, unit: '', dimension: 'cycles', source: '', text: '' }) as const;
  test('is half as wide where somebody measured', () => {
    expect(constantsOf([entry], new Map([['b', field(2, 'assumed')]]))[0]!.sd).toBe(0.4);
    expect(constantsOf([entry], new Map([['b', field(2, 'measured')]]))[0]!.sd).toBe(0.2);
  });
  test('moves all fields of a pattern by one factor, and those that are 0 not at all', () => {
    const [c] = constantsOf(
      [entry],
      new Map([
        ['a.p', field(2, 'assumed')],
        ['a.q.r', field(3, 'assumed')],
        ['a.zero', field(0, 'assumed')],
        ['b', field(5, 'paper')],
      ]),
    );
    expect(c!.fields.map((f) => f.path)).toEqual(['a.p', 'b']);
    expect(factorAt(c!, 1)).toBeCloseTo(Math.exp(0.4), 12);
    expect(factorAt(c!, 99)).toBe(3);
    expect(valueAt(c!, c!.fields[1]!, -1)).toBeCloseTo(5 * Math.exp(-0.4), 12);
  });
});
