/** Bank conflicts: the shared rule against the banked scratchpad of the memory model, and what both engines make of it. */
import { describe, expect, test } from 'vitest';
import { runEvent } from '../../src/engine/event/run.js';
import { Scratchpad } from '../../src/engine/memory/cache/scratchpad.js';
import { runSteady } from '../../src/engine/steady/steady.js';
import { COLD } from '../../src/engine/types.js';
import { bankCycles, portFactor } from '../../src/kernel/banks.js';
import { tensor, tile, view } from '../../src/kernel/ir.js';
import type { Launch } from '../../src/kernel/kernel.js';
import { kernelByName } from '../../src/kernel/library/index.js';
import { numbers } from '../engine/memory/support.js';
import { shippedMachine } from './machines.js';

const machine = await shippedMachine('a100-sxm-80gb');

test('as a scratchpad access by access', () => {
  const random = numbers(11);
  const pad = new Scratchpad({ banks: 32, word_B: 4, latency_cycles: 29 });
  for (let i = 0; i < 500; i++) {
    const stride = 1 + (random() % 600);
    const lanes = Array.from({ length: 32 }, (_, l) => (i % 2 === 0 ? l * stride : random() % 5000));
    expect(bankCycles(lanes, 32, 4)).toBe(pad.access(lanes));
  }
});

describe('a copy that walks down the columns of a tile laid out by rows', () => {
  const x = tensor('x', 'fp32', [1024, 1024], 'input', 'activation');
  const down = view(x, [0, 0], [1, 0]);
  const across = view(x, [0, 0], [0, 1]);
  const rows = (cols: number) => ({ ...tile('t', 'shared', 'fp32', 32, cols), layout: 'rows' as const });

  test.each([
    // rows of a whole number of times round the banks: one after another
    [32, 32],
    [64, 32],
    // one word more: none
    [33, 1],
    [65, 1],
    // half and a quarter of the way round
    [16, 16],
    [8, 8],
    [40, 8],
  ])('rows of %i words take %i times as long', (cols, factor) => {
    expect(portFactor(down, rows(cols), machine)).toBe(factor);
  });

  test('along the rows, or with a layout of its own, it takes its bytes’ time', () => {
    expect(portFactor(across, rows(32), machine)).toBe(1);
    expect(portFactor(down, tile('t', 'shared', 'fp32', 32, 32), machine)).toBe(1);
  });
});

test('a transpose through such a tile pays for it under both engines, and asks for the same bytes', () => {
  const kernel = kernelByName('transpose');
  const op = kernel.toOp({ rows: 2048, cols: 2048 }, 'fp32');
  const build = () => kernel.build(op, { tile: 32, groups: 8 }, machine)[0]!;
  const context = { ...COLD, clock_Hz: machine.control.clock.nominal_Hz };
  const both = (launch: Launch) => [runSteady(launch, machine, context), runEvent(launch, machine, context)];
  const before = both(build());
  const byRows = build();
  for (const t of byRows.program.tiles) Object.assign(t, { layout: 'rows' });
  const after = both(byRows);
  for (const i of [0, 1]) {
    expect(after[i]!.requested_B).toEqual(before[i]!.requested_B);
    // loads along rows as before, stores 32 times as long, of 128 bytes a cycle
    const cycles = (2048 * 2048 * 4 * 33) / 128 / machine.cores.count;
    expect(after[i]!.busy_s['shared']! / (cycles / context.clock_Hz)).toBeCloseTo(1, 6);
    expect(after[i]!.time_s).toBeGreaterThan(before[i]!.time_s * 1.2);
  }
  expect(Math.abs(after[0]!.time_s / after[1]!.time_s - 1)).toBeLessThan(0.1);
});
