import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as ir from '../../src/kernel/ir.js';
import { reductionOf } from '../../src/kernel/lanes.js';
import { costOf, leftAfter, meetingOf } from '../../src/kernel/meeting.js';

/** Plays the tree: the most that any lane loads, stores and folds. */
function played(fans: readonly number[], parts: number, lines: number, lanes: number) {
  const loads = new Array<number>(lanes).fill(0);
  const stores = new Array<number>(lanes).fill(lines);
  let left = parts;
  for (const [step, fan] of fans.entries()) {
    const before = left;
    left = leftAfter(before, fan);
    for (let lane = 0; lane < lanes; lane++)
      if (step === fans.length - 1) loads[lane]! += lines * before;
      else
        for (let item = lane; item < lines * left; item += lanes) {
          loads[lane]! += fan;
          stores[lane]!++;
        }
  }
  return { left, loads: Math.max(...loads), stores: Math.max(...stores) };
}

describe('the tree in which lanes meet', () => {
  it('leaves one value of each line, by as many accesses as it says', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 1024 }), fc.integer({ min: 1, max: 32 }), (parts, lines) => {
        const m = meetingOf(parts, lines);
        const { left, loads, stores } = played(m.fans, parts, lines, parts);
        expect(left).toBe(1);
        expect(m.loads).toBe(loads);
        expect(m.stores).toBe(stores);
        expect(m.barriers).toBe(m.fans.length);
      }),
    );
  });
  it('is never dearer than a fold of all parts by every lane, nor than a binary tree', () => {
    for (const parts of [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024])
      for (const lines of [1, 2, 8, 32]) {
        const direct = { fans: [parts], barriers: 1, loads: parts * lines, stores: lines, folds: 0 };
        const log = Math.log2(parts);
        const pairs = { fans: [], barriers: log + 1, loads: 2 * log + 1, stores: log + 1, folds: 0 };
        expect(costOf(meetingOf(parts, lines))).toBeLessThanOrEqual(costOf(direct));
        if (lines === 1) expect(costOf(meetingOf(parts, 1))).toBeLessThanOrEqual(costOf(pairs));
      }
  });
  it('takes few accesses where lanes are many', () => {
    expect(meetingOf(1024, 1).loads).toBeLessThanOrEqual(64);
    expect(meetingOf(1, 7)).toMatchObject({ fans: [], loads: 0, stores: 0 });
  });
});

describe('lanes of a subgroup meet first', () => {
  const line = (rows: number, cols: number) =>
    ir.reduce('sum', 1, ir.tile('t', 'register', 'fp32', rows, cols), ir.tile('to', 'register', 'fp32', rows, 1));
  it('by one operation where each subgroup lies in a line, whatever its size', () => {
    const r = reductionOf(line(1, 256), { down: 1, across: 256 }, 256, [4, 128]);
    expect(r.near).toEqual({ lanes: 4, by: 'subgroup' });
    expect(r.parts).toBe(64);
    expect(reductionOf(line(1, 32), { down: 1, across: 32 }, 32, [32, 32])).toMatchObject({ parts: 1 });
  });
  it('by shuffles among as many as any subgroup holds where a subgroup may hold several lines', () => {
    const r = reductionOf(line(8, 64), { down: 8, across: 16 }, 128, [8, 32]);
    expect(r).toMatchObject({ near: { lanes: 8, by: 'shuffle' }, parts: 2 });
  });
  it('not where a workgroup may end in the middle of one, lines are strided over lanes, or lanes stand idle', () => {
    expect(reductionOf(line(1, 96), { down: 1, across: 96 }, 96, [32, 64]).near.by).toBe('none');
    const columns = ir.reduce(
      'sum',
      0,
      ir.tile('t', 'register', 'fp32', 64, 4),
      ir.tile('to', 'register', 'fp32', 1, 4),
    );
    expect(reductionOf(columns, { down: 16, across: 4 }, 64, [8, 8]).near.by).toBe('none');
    expect(reductionOf(line(4, 64), { down: 2, across: 16 }, 64, [8, 8]).near.by).toBe('none');
  });
});
