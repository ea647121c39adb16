/** Each chart compiles without a warning and draws what it is given, also at the edges. */
import { describe, expect, it } from 'vitest';
import { decades, logDomain } from '../../src/report/charts/chart.js';
import { chartsOf } from '../../src/report/charts/index.js';
import { placeLabels } from '../../src/report/charts/labels.js';
import { paretoChart } from '../../src/report/charts/pareto.js';
import { roofMarks } from '../../src/report/charts/roof-lines.js';
import { rooflineChart } from '../../src/report/charts/roofline.js';
import { barsOf } from '../../src/report/charts/time.js';
import { buildReport, computeRoofs, memoryRoofs, type Roofline, runOf } from '../../src/report/index.js';
import { chartSvg, textWidth } from '../../src/report/render/vega.js';
import { demands, sampleMachine, sampleSimulation, sampleSweep } from './sample.js';

const machine = sampleMachine();
const simulation = sampleSimulation(machine);
const roofs = { memory: memoryRoofs(machine), compute: computeRoofs(machine) };

async function draw(chart: Parameters<typeof chartSvg>[0]): Promise<string> {
  const warnings: string[] = [];
  const svg = await chartSvg(chart, (w) => warnings.push(w));
  expect(warnings).toEqual([]);
  expect(svg).toMatch(/^<svg .*<\/svg>\s*$/s);
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  return svg;
}

describe('charts', () => {
  it('compile without warnings, for one run, for two machines, for many runs', async () => {
    const other = sampleMachine('other', 0.5);
    const one = [{ simulation, machine }];
    const two = [...one, { simulation: sampleSimulation(other), machine: other }];
    const many = [1, 8, 64, 512, 2048].flatMap((n) =>
      [machine, other].map((m) => ({ simulation: sampleSimulation(m, demands(n), `sample:rows=${n}`), machine: m })),
    );
    for (const runs of [one, two, many])
      for (const chart of chartsOf(buildReport({ runs, sweep: sampleSweep(), command: '', version: '' })))
        await draw(chart);
  });

  it('name the longest-running ops and every roof', async () => {
    const { roofline } = runOf({ simulation, machine });
    const svg = await draw(rooflineChart([{ id: 'a', label: 'a', machine: 'a', roofline }]));
    for (const text of [
      'layer.attention.core',
      'DRAM 3.35 TB/s',
      'L2 5.50 TB/s',
      'matrix fp16, bf16 989 TFLOP/s',
      'whole run',
    ])
      expect(svg).toContain(text);
  });

  it('gather ops beyond the longest, losing no time', () => {
    const run = runOf({ simulation, machine });
    const bars = barsOf(run, 5);
    expect(bars).toHaveLength(5);
    expect(bars.at(-1)!.name).toBe(`${run.ops.length - 4} others`);
    expect(bars.reduce((s, b) => s + b.share, 0)).toBeCloseTo(1, 12);
    const alike = { ...run, ops: run.ops.map((op) => ({ ...op, name: 'same' })) };
    expect(barsOf(alike)).toHaveLength(1);
  });

  it('draw a sweep without points as nothing, and one with a single point', async () => {
    const sweep = sampleSweep();
    expect(paretoChart({ ...sweep, points: [] })).toBeUndefined();
    expect(paretoChart({ ...sweep, objectives: sweep.objectives.slice(0, 1) })).toBeUndefined();
    await draw(paretoChart({ ...sweep, points: sweep.points.slice(0, 1) })!);
  });

  it('put the whole configuration into the tooltip, whatever the names of its fields', () => {
    const chart = paretoChart(sampleSweep())!;
    const text = JSON.stringify(chart.spec);
    for (const title of ['sm.count', 'dram.bandwidth', 'map[x]']) expect(text).toContain(`"title":"${title}"`);
  });

  it('say in their tables what they draw', () => {
    const { roofline } = runOf({ simulation, machine });
    const chart = rooflineChart([{ id: 'a', label: 'a', machine: 'a', roofline }]);
    const spec = chart.spec as unknown as {
      layer: { data: { name?: string; values: { op: string; y: number; level: string }[] } }[];
    };
    const drawn = spec.layer.find((l) => l.data.name === 'points')!.data.values.filter((v) => v.level === 'dram');
    const table = chart.tables.find((t) => t.id === 'a-points')!;
    const rate = table.columns.findIndex((c) => c.key === 'flops_per_s');
    for (const v of drawn) expect(table.rows.find((r) => r[0]!.text === v.op)![rate]!.value).toBe(v.y);
    expect(drawn).toHaveLength(table.rows.length);
  });
});

describe('log axes', () => {
  it.each([[[1e-9, 1e15]], [[5, 5]], [[0, -3, Number.NaN, 7]], [[]], [[1e-100, 1e100]]])(
    'hold %j in a finite positive domain',
    (values) => {
      const [low, high] = logDomain(values);
      expect(low).toBeGreaterThan(0);
      expect(high / low).toBeGreaterThanOrEqual(99);
      for (const v of values) if (v > 0) expect(low <= v && v <= high).toBe(true);
      const ticks = decades([low, high]);
      expect(ticks.length).toBeGreaterThan(0);
      expect(ticks.length).toBeLessThanOrEqual(10);
    },
  );

  it('draw ops of all sizes, none at zero', async () => {
    const point = (x: number, y: number) => ({
      name: `op${x}`,
      kind: 'matmul',
      bound_by: 'dram',
      flops: 1,
      time_s: 1 / y,
      flops_per_s: y,
      share: 0.5,
      intensity: { dram: x, l2: 0 },
    });
    const roofline: Roofline = { ...roofs, points: [point(1e-7, 3), point(1e9, 1e15)], without_flops: 0 };
    await draw(rooflineChart([{ id: 'a', label: 'a', machine: 'a', roofline }]));
  });

  it('draw roofs alone', async () => {
    await draw(
      rooflineChart([{ id: 'a', label: 'a', machine: 'a', roofline: { ...roofs, points: [], without_flops: 0 } }]),
    );
  });

  it('clip roofs to the domain, where each diagonal meets the highest roof', () => {
    const series = { id: 'a', label: 'a', machine: 'a', roofline: { ...roofs, points: [], without_flops: 0 } };
    const frame = { x: [0.1, 1e4], y: [1e12, 1e16], width: 700, height: 400 } as const;
    const { lines } = roofMarks(['a'], () => 'a', [series], ['dram', 'l2', 'shared'], frame);
    for (const end of lines) {
      expect(end.x).toBeGreaterThanOrEqual(frame.x[0]);
      expect(end.x).toBeLessThanOrEqual(frame.x[1]);
      expect(end.y).toBeGreaterThanOrEqual(frame.y[0] * (1 - 1e-12));
    }
    const dram = lines.filter((l) => l.id === 'a:dram');
    expect(dram.map((l) => l.y / l.x)).toEqual([expect.closeTo(3.35e12, -3), expect.closeTo(3.35e12, -3)]);
    expect(Math.max(...dram.map((l) => l.y))).toBeCloseTo(roofs.compute[0]!.flops_per_s, -6);
  });
});

describe('labels in charts', () => {
  it('stay inside and off each other', () => {
    const spots = Array.from({ length: 30 }, (_, i) => ({
      x: 100 + (i % 6) * 12,
      y: 80 + Math.floor(i / 6) * 9,
      radius: 4,
      text: `label ${i}`,
      wanted: true,
    }));
    const placed = placeLabels(spots, 400, 300);
    expect(placed.length).toBeGreaterThan(3);
    expect(placed.length).toBeLessThan(30);
    const rows = placed.map(({ label }) => label);
    for (const [i, a] of rows.entries())
      for (const b of rows.slice(i + 1)) {
        const left = (l: typeof a) =>
          l.x - (l.align === 'right' ? 1 : l.align === 'center' ? 0.5 : 0) * l.text.length * 5.9;
        const apart =
          Math.abs(a.y - b.y) >= 13 ||
          left(a) + a.text.length * 5.9 <= left(b) ||
          left(b) + b.text.length * 5.9 <= left(a);
        expect(apart).toBe(true);
      }
  });

  it('are measured with the pinned font', () => {
    expect(textWidth('iiii', 10)).toBeLessThan(textWidth('mmmm', 10) / 2);
    expect(textWidth('A', 20)).toBeCloseTo(2 * textWidth('A', 10), 10);
    expect(textWidth('word', 10, 600)).toBeGreaterThan(textWidth('word', 10, 400));
  });
});
