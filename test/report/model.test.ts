/** The data of a report: it holds what the simulation says, nothing lost and nothing changed. */
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import {
  buildReport,
  computeRoofs,
  memoryRoofs,
  type Report,
  ReportSchema,
  renderReport,
} from '../../src/report/index.js';
import { labelsOf, workloadsInCommon } from '../../src/report/labels.js';
import { energyTable, figuresTable, opsTable, sweepTable } from '../../src/report/tables.js';
import { ASSUMPTIONS, demands, sampleMachine, sampleSimulation, sampleSweep } from './sample.js';

const machine = sampleMachine();
const simulation = sampleSimulation(machine);
const report = (more: object = {}): Report =>
  buildReport({
    runs: [{ simulation, machine, assumptions: ASSUMPTIONS }],
    command: 'tilewright report',
    version: '1.2.3',
    ...more,
  });

describe('the data of a report', () => {
  it('meets its schema, with and without a sweep and with several runs', () => {
    const valid = new Ajv({ strict: false }).compile(ReportSchema);
    const two = [
      { simulation, machine },
      { simulation: sampleSimulation(sampleMachine('other', 0.5)), machine: sampleMachine('other', 0.5) },
    ];
    for (const r of [
      report(),
      report({ sweep: sampleSweep() }),
      report({ runs: two }),
      report({ runs: [], sweep: sampleSweep() }),
    ]) {
      valid(r);
      expect(valid.errors).toBeNull();
      expect(JSON.parse(JSON.stringify(r))).toEqual(r);
    }
    expect(valid({ ...report(), extra: 1 })).toBe(false);
  });

  it('keeps the figures of the simulation exactly', () => {
    const run = report().runs[0]!;
    const figure = (key: string) => run.figures.find((f) => f.key === key)?.value;
    expect(figure('time_s')).toBe(simulation.time_s);
    expect(figure('energy_J')).toBe(simulation.energy_J);
    expect(figure('power_W')).toBe(simulation.power_W);
    expect(figure('moved_B.dram')).toBe(simulation.moved_B['dram']);
    expect(figure('produces.per_s')).toBe(simulation.produces!.per_s);
    expect(run.ops.map((o) => o.time_s)).toEqual(simulation.ops!.map((o) => o.time_s));
    expect(run.verdict.roof_fraction).toBe(simulation.roof_fraction);
  });

  it('has shares that sum to one, of ops, limits and energy', () => {
    const run = report().runs[0]!;
    const sum = (values: { share: number }[]) => values.reduce((s, v) => s + v.share, 0);
    for (const shares of [run.ops, run.verdict.limits, run.energy]) expect(sum(shares)).toBeCloseTo(1, 12);
    expect(run.energy.reduce((s, e) => s + e.energy_J, 0)).toBeCloseTo(simulation.energy_J, 12);
  });

  it('draws a point for each op that does FLOPs, and says how many do none', () => {
    const { points, without_flops, total } = report().runs[0]!.roofline;
    const idle = simulation.ops!.filter((o) => o.flops === 0).length;
    expect(idle).toBeGreaterThan(0);
    expect([points.length, without_flops]).toEqual([simulation.ops!.length - idle, idle]);
    for (const p of points)
      expect(p.intensity['dram']! * simulation.ops!.find((o) => o.name === p.name)!.moved_B['dram']!).toBeCloseTo(
        p.flops,
        -3,
      );
    expect(total!.flops_per_s).toBe(simulation.flops / simulation.time_s);
  });

  it('reads a single kernel as one op', () => {
    const { ops: _, workload: __, ...rest } = simulation;
    const run = report({ runs: [{ simulation: { ...rest, kernel: 'gemm', tile: { m: 128, n: 64 } }, machine }] })
      .runs[0]!;
    expect(run.ops).toHaveLength(1);
    expect(run.ops[0]).toMatchObject({ name: 'gemm', tile: 'm=128 n=64', repeat: 1, share: 1 });
    expect(run.roofline.total).toBeUndefined();
  });

  it('refuses a number that JSON cannot hold', async () => {
    const broken = report({ runs: [{ simulation: { ...simulation, power_W: Number.NaN }, machine }] });
    await expect(renderReport(broken, 'json')).rejects.toThrow(/runs\.0\.figures\.2\.value of the report is NaN/);
  });
});

describe('the verdict', () => {
  it('names what bounds, how near the roof it is and what comes next', () => {
    const { verdict } = report().runs[0]!;
    expect(verdict.bound_by).toBe('dram');
    expect(verdict.next).toBe('l2');
    expect(verdict.sentence).toMatch(/bound by DRAM bandwidth: ops so bound take 9\d\.\d % of the time/);
    expect(verdict.sentence).toMatch(/Next comes L2 bandwidth, busy/);
  });

  it('changes with the workload', () => {
    const prefill = sampleSimulation(machine, demands(2048), 'sample-7b:prefill');
    expect(report({ runs: [{ simulation: prefill, machine }] }).runs[0]!.verdict.headline).toMatch(
      /^Bound by the matrix units/,
    );
  });
});

describe('roofs', () => {
  it('are peak rates of all cores at the nominal clock', () => {
    const roofs = computeRoofs(machine);
    const bf16 = roofs.find((r) => r.dtypes.includes('bf16'))!;
    expect(bf16).toEqual({ unit: 'matrix', dtypes: ['fp16', 'bf16'], flops_per_s: 2 * 2048 * 132 * 1.83e9 });
    expect(roofs.find((r) => r.unit === 'vector')!.flops_per_s).toBe(2 * 128 * 132 * 1.83e9);
    expect(roofs.map((r) => r.flops_per_s)).toEqual(roofs.map((r) => r.flops_per_s).sort((a, b) => b - a));
  });

  it('count stores of cores once a core, and both directions where each has its port', () => {
    expect(memoryRoofs(machine).map((m) => [m.store, m.B_per_s])).toEqual([
      ['dram', 3.35e12],
      ['l2', 5.5e12],
      ['shared', 2.5e11 * 132],
    ]);
    const duplex = { ...machine, stores: machine.stores.map((s) => ({ ...s, shared_port: s.id !== 'l2' })) };
    expect(memoryRoofs(duplex)[1]!.B_per_s).toBe(11e12);
  });
});

describe('labels of runs', () => {
  it.each([
    [['a:decode,batch=1', 'a:decode,batch=8'], ['m'], ['batch=1', 'batch=8']],
    [['a:decode,batch=1,context=9', 'a:prefill,batch=1,seq=9'], ['m'], ['decode', 'prefill']],
    [['a:decode,batch=1'], ['m', 'n'], ['m', 'n']],
    [['a:decode', 'b:decode'], ['m'], ['a', 'b']],
    [['a:decode', 'a:decode'], ['m'], ['a:decode', 'a:decode (2)']],
    [
      ['a:decode,batch=1', 'a:decode,batch=2'],
      ['m', 'n'],
      ['batch=1 on m', 'batch=1 on n', 'batch=2 on m', 'batch=2 on n'],
    ],
  ])('%j on %j say only what differs', (workloads, machines, labels) => {
    expect(labelsOf(workloads.flatMap((workload) => machines.map((machine) => ({ workload, machine }))))).toEqual(
      labels,
    );
  });

  it('have a common name', () => {
    expect(workloadsInCommon(['a:decode,batch=1', 'a:decode,batch=2'])).toBe('a decode');
    expect(workloadsInCommon(['a:decode', 'a:prefill'])).toBe('a');
    expect(workloadsInCommon(['a', 'b', 'c'])).toBe('3 workloads');
  });
});

describe('tables', () => {
  it('hold the numbers of the data', () => {
    const run = report().runs[0]!;
    const column = (
      table: { columns: readonly { key: string }[]; rows: readonly (readonly { value?: number }[])[] },
      key: string,
    ) => {
      const j = table.columns.findIndex((c) => c.key === key);
      return table.rows.map((row) => row[j]!.value);
    };
    expect(column(opsTable(run), 'time_s')).toEqual(run.ops.map((o) => o.time_s));
    expect(column(opsTable(run), 'moved_B')).toEqual(run.ops.map((o) => o.moved_B['dram']));
    expect(column(figuresTable([run]), 'run1')).toEqual(run.figures.map((f) => f.value));
    expect(column(energyTable([run]), 'run1')).toEqual(run.energy.map((e) => e.energy_J));
  });

  it('put the front of a sweep first', () => {
    const sweep = sampleSweep();
    const front = sweep.points.filter((p) => p.on_front).length;
    const rows = sweepTable(sweep).rows.map((r) => r[0]!.text);
    expect(rows.slice(0, front).every((t) => t === 'yes')).toBe(true);
    expect(rows.slice(front).every((t) => t === '')).toBe(true);
    expect(sweepTable(sweep, 10).title).toContain('54 more');
  });
});
