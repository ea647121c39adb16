/** Pages, tables and explanations of arrays say what the engine counted. */
import { beforeAll, describe, expect, it } from 'vitest';
import { openMachine } from '../../src/cli/files.js';
import { simulateKernel } from '../../src/engine/simulate.js';
import { kernelByName } from '../../src/kernel/library/index.js';
import { arrayTimeTable } from '../../src/report/charts/array-time.js';
import { chartsOf } from '../../src/report/charts/index.js';
import { placesAt } from '../../src/report/charts/wavefront.js';
import { buildReport, type Explanation, explain, metricsOf, renderReport, runOf } from '../../src/report/index.js';
import { timeByArray } from '../../src/report/occupancy.js';
import { chartSvg } from '../../src/report/render/vega.js';

async function simulated(machine: string, kernel: string, dtype: 'fp16' | 'int8', shape: Record<string, number>) {
  const { graph, fields } = await openMachine(machine);
  const { result } = simulateKernel(kernelByName(kernel).toOp(shape, dtype), graph, { kernel });
  return { simulation: result, machine: graph, fields };
}

let fused: Awaited<ReturnType<typeof simulated>>;
let product: Awaited<ReturnType<typeof simulated>>;
beforeAll(async () => {
  fused = await simulated('fusemax', 'attention_one_pass', 'fp16', { batch: 2, heads: 3, q_len: 4096, head_dim: 64 });
  product = await simulated('tpu-v1', 'gemm', 'int8', { m: 1000, n: 1000, k: 1000 });
}, 60_000);

const sum = (xs: readonly number[]) => xs.reduce((a, b) => a + b, 0);
const leaves = (e: Explanation): Explanation[] => (e.parts.length > 0 ? e.parts.flatMap(leaves) : [e]);

describe('shares of the time', () => {
  it('sum to the whole of it, per array, repeats counted', () => {
    const op = { ...fused.simulation, repeat: 3 };
    const grid = { time_s: 1e-3, launch_s: 1e-6, repeat: 2 };
    for (const parts of timeByArray([op, grid]).values()) {
      expect(sum([...parts.values()])).toBeCloseTo(3 * op.time_s + 2e-3, 12);
      expect(parts.get('grid')).toBeCloseTo(2e-3, 15);
    }
  });

  it('are the same in the table, the page and the explanation', async () => {
    for (const input of [fused, product]) {
      const run = runOf(input);
      const table = arrayTimeTable(run);
      const page = (await renderReport(buildReport({ runs: [input], command: '', version: '' }), 'html')) as string;
      const work = table.columns.findIndex((c) => c.key === 'work');
      for (const row of table.rows) {
        expect(sum(row.slice(2).map((c) => c.value!))).toBeCloseTo(1, 9);
        const unit = row[0]!.text.split(' ')[0]!;
        const e = explain(`utilisation.${unit}`, input);
        expect(e.value).toBeCloseTo(row[work]!.value!, 12);
        expect(sum(leaves(e).map((x) => Number(x.value)))).toBeCloseTo(1, 9);
        expect(page).toContain(`<data value="${row[work]!.value}">`);
      }
    }
  });
});

describe('explanations', () => {
  it('are listed for machines with arrays alone, with a reason for each part', () => {
    expect(metricsOf(fused)).toEqual(
      expect.arrayContaining(['utilisation', 'utilisation.matrix', 'utilisation.vector']),
    );
    const bare = { ...fused, simulation: { ...fused.simulation, arrays: undefined } };
    expect(metricsOf(bare).some((m) => m.startsWith('utilisation'))).toBe(false);
    expect(() => explain('utilisation.matrix', bare)).toThrow(/unknown metric/);
    const notes = leaves(explain('utilisation.matrix', product)).map((e) => e.note ?? e.metric);
    expect(notes.join('\n')).toMatch(/waits for DRAM, which needs .* it moves C 4 MB, A 1 MB, B 1 MB/);
    expect(notes).toContain('C fills 62,500 of 65,536 places');
  });
});

describe('charts', () => {
  it('draw two rounds whose spans are those of the engine, and both ends of the array’s work', async () => {
    for (const input of [fused, product]) {
      const charts = chartsOf(buildReport({ runs: [input], command: '', version: '' }));
      for (const c of charts) {
        const warnings: string[] = [];
        const svg = await chartSvg(c, (w) => warnings.push(w));
        expect(warnings, c.id).toEqual([]);
        expect(svg).not.toMatch(/NaN|Infinity|undefined/);
      }
      const o = input.simulation.arrays![0]!;
      const table = charts.find((c) => c.id === 'run1-occupancy0')!.tables[0]!;
      const cycles = table.columns.findIndex((c) => c.key === 'cycles');
      expect(table.rows.map((r) => r[cycles]!.value)).toEqual(o.spans.map((s) => s.cycles));
      expect(charts.some((c) => c.id === 'run1-wave')).toBe(true);
    }
  });

  it('draw no wavefront where operands reach all places at once', async () => {
    const input = await simulated('eyeriss-like', 'gemm', 'int8', { m: 24, n: 24, k: 24 });
    const ids = chartsOf(buildReport({ runs: [input], command: '', version: '' })).map((c) => c.id);
    expect(ids).toContain('run1-occupancy0');
    expect(ids).not.toContain('run1-wave');
  });

  it.each([
    [1, 1, 5],
    [3, 5, 4],
    [4, 4, 1],
    [8, 2, 100],
  ])('a wavefront over %i × %i places does the work of %i cycles at each', (rows, columns, cycles) => {
    const counts = Array.from({ length: cycles + rows + columns - 1 }, (_, t) =>
      placesAt({ rows, columns }, cycles, t),
    );
    expect(sum(counts)).toBe(rows * columns * cycles);
    expect(counts.at(-1)).toBe(0);
    expect(counts[0]).toBe(1);
    expect(Math.max(...counts)).toBeLessThanOrEqual(rows * columns);
  });
});
