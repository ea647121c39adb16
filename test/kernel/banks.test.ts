/** Bank conflicts: the shared rule against the banked scratchpad of the memory model, and what both engines make of it. */
import { describe, expect, test } from 'vitest';
import { runEvent } from '../../src/engine/event/run.js';
import { Scratchpad } from '../../src/engine/memory/cache/scratchpad.js';
import { runSteady } from '../../src/engine/steady/steady.js';
import { COLD } from '../../src/engine/types.js';
import { bankCycles, moveFactor, portFactor } from '../../src/kernel/banks.js';
import { part, tensor, tile, view } from '../../src/kernel/ir.js';
import type { Launch } from '../../src/kernel/kernel.js';
import { fft } from '../../src/kernel/library/fft.js';
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

describe('a part of a tile laid out by rows', () => {
  const whole = { ...tile('t', 'shared', 'fp32', 64, 64), layout: 'rows' as const };
  test.each([
    // elements side by side, wherever they start
    [32, 1, 1, 1],
    [8, 4, 4, 1],
    // every second, every eighth, every 32nd
    [32, 1, 2, 2],
    [32, 1, 8, 8],
    [32, 1, 32, 32],
    // an odd number of words from one to the next meets no bank twice
    [32, 1, 33, 1],
    // pairs eight words apart: four of them go round, then the next meet the first
    [16, 2, 8, 4],
  ])('%i × %i elements, rows %i words apart, take %i times as long', (rows, cols, down, factor) => {
    expect(moveFactor(part('p', whole, [rows, cols], 3, [down, 1]), machine)).toBe(factor);
    const padded = tile('t', 'shared', 'fp32', 64, 64);
    expect(moveFactor(part('p', padded, [rows, cols], 3, [down, 1]), machine)).toBe(1);
  });
  test('counts words that lanes share once', () => {
    const halves = { ...tile('t', 'shared', 'fp16', 64, 64), layout: 'rows' as const };
    expect(moveFactor(part('p', halves, [32, 1], 0, [1, 1]), machine)).toBe(1);
    expect(moveFactor(part('p', halves, [32, 1], 0, [64, 1]), machine)).toBe(32);
  });
});

test('a transform whose butterflies write interleaved pays for it under both engines', () => {
  const op = fft.toOp({ n: 512, batch: 432 }, 'fp32');
  const build = () => fft.build(op, { points: 512, cols: 1, radix: 8, groups: 2 }, machine)[0]!;
  const context = { ...COLD, clock_Hz: machine.control.clock.nominal_Hz };
  const both = (launch: Launch) => [runSteady(launch, machine, context), runEvent(launch, machine, context)];
  const before = both(build());
  const byRows = build();
  for (const t of byRows.program.tiles) if (t.level === 'shared' && !t.part) Object.assign(t, { layout: 'rows' });
  const after = both(byRows);
  // two of four times the values cross the port are writes: eight words apart, then eight side by side 64 apart
  for (const i of [0, 1]) {
    expect(after[i]!.requested_B).toEqual(before[i]!.requested_B);
    expect(after[i]!.busy_s['shared']! / before[i]!.busy_s['shared']!).toBeCloseTo((2 + 8 + 4) / 4, 6);
  }
  expect(Math.abs(after[0]!.time_s / after[1]!.time_s - 1)).toBeLessThan(0.15);
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
