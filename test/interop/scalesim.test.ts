/** SCALE-Sim's files, and what the tool printed for them. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import { parseScaleSimConfig } from '../../src/interop/scalesim/config.js';
import { type LayerResult, simulateScaleSim } from '../../src/interop/scalesim/simulate.js';
import { parseTopology } from '../../src/interop/scalesim/topology.js';

const FOLDER = new URL('../../../shared/golden/scalesim/', import.meta.url);
const CONFIG = `[general]
run_name = small
[architecture_presets]
ArrayHeight: 4
ArrayWidth: 4
IfmapSramSzkB: 1
FilterSramSzkB: 1
OfmapSramSzkB: 1
Dataflow : os
Bandwidth : 2
[run_presets]
InterfaceBandwidth: USER
`;
const golden = (name: string) => readFileSync(new URL(name, FOLDER), 'utf8');
const figures = (text: string): number[] => text.trim().split('\n')[1]!.split(',').slice(1, -1).map(Number);

describe.skipIf(!existsSync(FOLDER))('what SCALE-Sim printed (skipped without ../shared)', () => {
  test.each(['os', 'ws'])('%s', (dataflow) => {
    const text = golden('scale.cfg')
      .replace(/^Dataflow.*$/m, `Dataflow : ${dataflow}`)
      // the reports are of runs with the bandwidth given
      .replace('InterfaceBandwidth: CALC', 'InterfaceBandwidth: USER');
    const layers = parseTopology(golden('test_mnk_input.csv'), 'topology');
    const { layers: results } = simulateScaleSim(parseScaleSimConfig(text, 'cfg'), layers);
    const r: LayerResult['as_scale_sim'] = results[0]!.as_scale_sim;
    const percent = (x: number) => 100 * x;
    const compute = figures(golden(`user_${dataflow}/COMPUTE_REPORT.csv`));
    expect([r.cycles_with_prefetch, r.cycles, r.stall_cycles]).toEqual(compute.slice(0, 3));
    expect(percent(r.utilisation)).toBeCloseTo(compute[3]!, 9);
    expect(percent(results[0]!.mapping_efficiency)).toBeCloseTo(compute[4]!, 9);
    expect(percent(r.compute_utilisation)).toBeCloseTo(compute[5]!, 9);
    const parts = [r.ifmap, r.filter, r.ofmap];
    const bandwidth = figures(golden(`user_${dataflow}/BANDWIDTH_REPORT.csv`));
    [...parts.map((p) => p.sram_words_per_cycle), ...parts.map((p) => p.dram_words_per_cycle)].forEach((b, i) => {
      expect(b).toBeCloseTo(bandwidth[i]!, 9);
    });
    const access = figures(golden(`user_${dataflow}/DETAILED_ACCESS_REPORT.csv`));
    expect(parts.map((p) => p.sram_words)).toEqual([access[2], access[5], access[8]]);
    expect(parts.flatMap((p) => [p.dram_first_cycle, p.dram_last_cycle, p.dram_words])).toEqual(access.slice(9));
    // without its two slips the array waits less, never more
    expect(results[0]!.stall_cycles).toBeLessThan(r.stall_cycles);
    expect(results[0]!.ofmap.dram_words).toBe(results[0]!.ofmap.sram_words);
  });
});

describe('a run', () => {
  const run = (topology: string, config = CONFIG) =>
    simulateScaleSim(parseScaleSimConfig(config, 'c.cfg'), parseTopology(topology, 't.csv')).layers[0]!;

  test('that fits its buffers never waits and reads each word once', () => {
    const r = run('Layer, M, N, K,\nsmall, 8, 8, 8,\n');
    expect(r.stall_cycles).toBe(0);
    expect(r.compute_cycles).toBe(4 * (8 + 4 + 4 - 2));
    expect(r.ifmap.dram_words).toBe(64);
    expect(r.ofmap.dram_words).toBe(64);
    expect(r.as_scale_sim.cycles).toBe(r.cycles - 1);
  });

  test('takes operands of more than 2²⁴ words', () => {
    const k = 2 ** 24 + 3;
    const r = run(`Layer, M, N, K,\nlong, 1, 1, ${k},\n`, CONFIG.replace('USER', 'CALC'));
    expect(r.compute_cycles).toBe(k + 4 + 4 - 2);
    expect(r.ifmap.sram_words).toBe(k);
    expect(r.ifmap.dram_words).toBe(k);
  }, 30_000);

  test('waits less over wider wires', () => {
    const wide = CONFIG.replace('Bandwidth : 2', 'Bandwidth : 16');
    const topology = 'Layer, M, N, K,\nlarge, 40, 40, 100,\n';
    expect(run(topology).stall_cycles).toBeGreaterThan(run(topology, wide).stall_cycles);
    expect(run(topology, wide).compute_cycles).toBe(run(topology).compute_cycles);
  });

  test('of a convolution is that of the product of its windows, its shared words fetched once where they fit', () => {
    const conv = run('Layer name, H, W, R, S, C, F, Strides,\nconv, 6, 6, 3, 3, 2, 5, 1,\n');
    expect([conv.m, conv.n, conv.k]).toEqual([16, 5, 18]);
    const unlimited = run(
      'Layer name, H, W, R, S, C, F, Strides,\nconv, 6, 6, 3, 3, 2, 5, 1,\n',
      CONFIG.replace('USER', 'CALC'),
    );
    expect(unlimited.ifmap.dram_words).toBe(6 * 6 * 2);
    expect(unlimited.stall_cycles).toBe(0);
    const deep = parseTopology('Layer name, H, W, R, S, C, F, Strides,\nDP1, 6, 6, 3, 3, 4, 1, 1,\n', 't');
    expect(deep.map((l) => l.product.k)).toEqual([9, 9, 9, 9]);
  });
});

describe('bad files', () => {
  test.each([
    [CONFIG.replace('ArrayHeight: 4', 'ArrayHeight: four'), /c\.cfg:4: arrayheight = 'four': expected a whole number/],
    [CONFIG.replace('Dataflow : os', 'Dataflow : rs'), /dataflow 'rs'/],
    [CONFIG.replace('ArrayWidth: 4\n', ''), /lacks 'arraywidth'/],
    [
      CONFIG.replace('ArrayHeight', 'ArayHeight'),
      /c\.cfg:4: 'ArayHeight' is not understood; did you mean 'arrayheight'/,
    ],
    [CONFIG.replace('USER', 'GUESS'), /expected USER or CALC/],
    ['nonsense', /expected 'name = value'/],
  ])('configuration %#', (text, message) => {
    expect(() => parseScaleSimConfig(text, 'c.cfg')).toThrow(InputError);
    expect(() => parseScaleSimConfig(text, 'c.cfg')).toThrow(message);
  });

  test.each([
    ['', /empty/],
    ['Layer, M, N, K,\n', /no layer/],
    ['Layer, M, N, K,\na, 1, x, 3,\n', /t\.csv:2: N of 'a' is ' x'/],
    ['a, b\n1, 2\n', /t\.csv:1: its columns are a, b/],
    ['Layer name, H, W, R, S, C, F, Strides,\nc, 2, 2, 3, 3, 1, 1, 1,\n', /larger than its input/],
    ['Layer, M, N, K,\na, 50000, 1, 50000,\n', /t\.csv:2: the input of 'a' holds 2500000000 words/],
    ['Layer, M, N, K,\na, 1, 1e10, 1,\n', /t\.csv:2: the filter of 'a' holds/],
  ])('topology %#', (text, message) => {
    expect(() => parseTopology(text, 't.csv')).toThrow(InputError);
    expect(() => parseTopology(text, 't.csv')).toThrow(message);
  });

  test('an array too large to walk', () => {
    const config = parseScaleSimConfig(CONFIG.replace('ArrayHeight: 4', 'ArrayHeight: 1e30'), 'c.cfg');
    const layers = parseTopology('Layer, M, N, K,\na, 1, 1, 1,\n', 't.csv');
    expect(() => simulateScaleSim(config, layers)).toThrow(InputError);
  });

  test('what is not understood is said', () => {
    const { warnings } = parseScaleSimConfig(`${CONFIG}[sparsity]\nSparsitySupport : true\n[power]\nx = 1\n`, 'c.cfg');
    expect(warnings.join('\n')).toMatch(/\[power\].*not understood/);
    expect(warnings.join('\n')).toMatch(/sparsity.*not simulated/);
  });
});

test('weights that pass again and again are said, with why; those that fit are not', () => {
  const config = (kB: number) =>
    parseScaleSimConfig(CONFIG.replace('FilterSramSzkB: 1', `FilterSramSzkB: ${kB}`).replace('os', 'ws'), 'c.cfg');
  const layers = parseTopology('Layer, M, N, K,\nbig, 8, 64, 64,\n', 'topology');
  expect(simulateScaleSim(config(1), layers).warnings.join('\n')).toMatch(/'big': filter words come \d+ times/);
  expect(simulateScaleSim(config(16), layers).warnings.join('\n')).not.toMatch(/filter words come/);
});
