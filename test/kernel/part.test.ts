/** Parts of shared tiles: what may be one, what copies through them leave, and when lanes wait for each other. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { liveBytes } from '../../src/bounds/count.js';
import { checkProgram } from '../../src/kernel/check.js';
import { sharedBytes } from '../../src/kernel/fit.js';
import { interpret } from '../../src/kernel/interpret.js';
import { copy, map, type Program, part, type Stmt, type Tile, tensor, tile, view } from '../../src/kernel/ir.js';
import { lanePlan } from '../../src/kernel/lane-plan.js';
import { NO_SUBGROUPS } from '../../src/kernel/lanes.js';
import { MOVE } from '../../src/kernel/math.js';
import { partsMeet, stepsOf } from '../../src/kernel/steps.js';

const s = tile('s', 'shared', 'fp32', 6, 8);
const x = tensor('x', 'fp32', [6, 8], 'input', 'activation');
const y = tensor('y', 'fp32', [8, 6], 'output', 'activation');
const r = tile('r', 'register', 'fp32', 3, 4);
const of = (name: string, rows: number, cols: number, at: number, strides: [number, number], whole = s) =>
  part(name, whole, [rows, cols], at, strides);

const program = (tiles: readonly Tile[], body: readonly Stmt[]): Program => ({
  name: 'parts',
  tensors: [x, y],
  tiles,
  grid: [],
  body,
});

describe('a part', () => {
  test('is refused where it reaches out of its tile, meets itself, or is no plain storage', () => {
    const fault = (p: Tile, more: readonly Tile[] = []) => {
      expect(() => checkProgram(program([s, r, ...more, p], [copy(p, r)]))).toThrow();
      try {
        checkProgram(program([s, r, ...more, p], [copy(p, r)]));
        return '';
      } catch (e) {
        return (e as Error).message;
      }
    };
    expect(fault(of('p', 3, 4, 31, [8, 1]))).toContain('reaches element 50');
    expect(fault(of('p', 3, 4, 0, [2, 1]))).toContain('may be one');
    expect(fault(of('p', 3, 4, 0, [8, 0]))).toContain('steps at least 1');
    expect(fault(of('p', 3, 4, 0, [8, 1], tile('far', 'shared', 'fp32', 6, 8)))).toContain('not among');
    const staged = tile('staged', 'shared', 'fp32', 6, 8, 2);
    expect(fault(of('p', 3, 4, 0, [8, 1], staged), [staged])).toContain('one stage');
    expect(fault({ ...of('p', 3, 4, 0, [8, 1]), dtype: 'fp16' })).toContain('is fp16');
  });
  test('is for copies between tiles alone', () => {
    const p = of('p', 3, 4, 0, [8, 1]);
    expect(() => checkProgram(program([s, r, p], [copy(p, r), copy(r, p)]))).not.toThrow();
    expect(() => checkProgram(program([s, r, p], [map(MOVE, [p], r)]))).toThrow('only copies between tiles');
    expect(() => checkProgram(program([s, p], [copy(view(x, [0, 0], [0, 1]), p)]))).toThrow(
      'only copies between tiles',
    );
  });
  test('takes no storage', () => {
    const p = program([s, of('p', 3, 4, 0, [8, 1])], []);
    expect(sharedBytes(p)).toBe(6 * 8 * 4);
    expect(liveBytes([p])).toBe(6 * 8 * 4);
  });
  test('shows and changes elements of its tile, and only those', () => {
    // every other row of the left half, written over the right half's, then all transposed
    const left = of('left', 3, 4, 0, [16, 1]);
    const right = of('right', 3, 4, 12, [16, 1]);
    const whole = copy(view(x, [0, 0], [0, 1]), s);
    const out = copy(s, view(y, [0, 0], [1, 0]));
    const { outputs } = interpret(program([s, r, left, right], [whole, copy(left, r), copy(r, right), out]), {
      x: Float64Array.from({ length: 48 }, (_, i) => i),
    });
    for (let i = 0; i < 6; i++)
      for (let j = 0; j < 8; j++) {
        const moved = i % 2 === 1 && j >= 4 ? (i - 1) * 8 + j - 4 : i * 8 + j;
        expect(outputs['y']![j * 6 + i]).toBe(moved);
      }
  });
});

describe('lanes wait', () => {
  const inside = fc
    .record({
      rows: fc.integer({ min: 1, max: 4 }),
      cols: fc.integer({ min: 1, max: 4 }),
      down: fc.integer({ min: 1, max: 9 }),
      across: fc.integer({ min: 1, max: 9 }),
      at: fc.integer({ min: 0, max: 30 }),
    })
    .map(({ rows, cols, down, across, at }) =>
      of('p', rows, cols, at, [down, across], tile('s', 'shared', 'fp32', 20, 20)),
    );
  const places = (t: Tile): Set<number> => {
    const { at, strides } = t.part!;
    const all = new Set<number>();
    for (let i = 0; i < t.rows; i++) for (let j = 0; j < t.cols; j++) all.add(at + i * strides[0] + j * strides[1]);
    return all;
  };
  test('never too seldom: parts with an element in common meet; those of the same steps only then', () => {
    fc.assert(
      fc.property(inside, inside, fc.boolean(), (a, b0, alike) => {
        const { of: whole } = a.part!;
        const strides = alike ? a.part!.strides : b0.part!.strides;
        const b = { ...b0, part: { of: whole, at: b0.part!.at, strides } };
        const common = [...places(a)].some((e) => places(b).has(e));
        expect(partsMeet(a, b)).toBe(partsMeet(b, a));
        if (common) expect(partsMeet(a, b)).toBe(true);
        else if (alike) expect(partsMeet(a, b)).toBe(false);
      }),
    );
  });
  test('once after all parts are read and once after all are written', () => {
    const regs = [0, 1].map((i) => tile(`r${i}`, 'register', 'fp32', 3, 8));
    const rows = [0, 1].map((i) => of(`row${i}`, 3, 8, i * 8, [16, 1]));
    const halves = [0, 1].map((i) => of(`half${i}`, 3, 8, i * 24, [8, 1]));
    const body = [
      copy(view(x, [0, 0], [0, 1]), s),
      ...rows.map((p, i) => copy(p, regs[i]!)),
      ...halves.map((p, i) => copy(regs[i]!, p)),
      copy(s, view(y, [0, 0], [1, 0])),
    ];
    const nodes = stepsOf(lanePlan(program([s, ...regs, ...rows, ...halves], body), 8, NO_SUBGROUPS));
    expect(nodes.map((n) => n.barrier)).toEqual([false, true, false, true, false, true]);
  });
});
