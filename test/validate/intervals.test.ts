import { describe, expect, test } from 'vitest';
import { findFile } from '../../src/cli/files.js';
import { openTrace } from '../../src/cli/workload.js';
import { simulate, simulateKernel } from '../../src/engine/simulate.js';
import { loadMachine } from '../../src/machine/load.js';
import { matmul } from '../../src/validate/calls.js';
import { kernelInterval, simulationIntervals } from '../../src/validate/intervals.js';

const resolveExtends = (name: string) => findFile(name.startsWith('gpu-') ? 'components' : 'machines', name);
const machineWith = (uncertainty: object) =>
  loadMachine(
    JSON.stringify({
      extends: 't4',
      name: 'x',
      title: 'x',
      uncertainty: { $from: 'measured', $source: 'test', ...uncertainty },
    }),
    { file: 'x.json', resolveExtends },
  );

describe('an interval', () => {
  const op = matmul(1, 256, 256, 256, 'fp16', 'fp16', 'fp16');
  test('is the time times the ratios of its class', async () => {
    const machine = await machineWith({ gemm_16_16_short: { lo: 0.75, hi: 1.5, rows: 100 } });
    const { result } = simulateKernel(op, machine.graph);
    const { lo, hi } = kernelInterval(result, op, machine).interval_s!;
    expect(lo).toBeCloseTo(0.75 * result.time_s, 12);
    expect(hi).toBeCloseTo(1.5 * result.time_s, 12);
  });
  test('is never below what no schedule beats, and always holds the prediction', async () => {
    const machine = await machineWith({ gemm_16_16_short: { lo: 0.001, hi: 0.5, rows: 100 } });
    const { result } = simulateKernel(op, machine.graph);
    expect(kernelInterval(result, op, machine).interval_s).toEqual({ lo: result.bound_s, hi: result.time_s });
  });
  test('is none at other fidelities, whose errors are not known', async () => {
    const machine = await machineWith({});
    const { result } = simulateKernel(op, machine.graph, { fidelity: 'bound' });
    expect(kernelInterval(result, op, machine).interval_s).toBeUndefined();
  });
  test('of a workload is the sum over its ops', async () => {
    const machine = await machineWith({ all: { lo: 0.8, hi: 1.4, rows: 100 } });
    const trace = openTrace('gpt-2:decode,batch=1,context=128', []);
    const plain = simulate(trace, machine.graph);
    const { interval_s, ops } = simulationIntervals(plain, trace.ops, machine);
    const { uncertainty } = machine;
    const widest = Math.max(...Object.values(uncertainty!).map(({ hi }) => hi));
    expect(interval_s!.hi / plain.time_s).toBeLessThanOrEqual(widest);
    expect(interval_s!.hi).toBeCloseTo(
      ops.reduce((s, o) => s + o.interval_s!.hi * o.repeat, 0),
      12,
    );
    expect(interval_s!.lo).toBeLessThan(plain.time_s);
  });
});
