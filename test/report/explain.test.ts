/** An explanation's parts sum to what they explain, and lead to sources. */
import { describe, expect, it } from 'vitest';
import type { Sourced } from '../../src/base/provenance.js';
import { type Explanation, explain, explainText, metricsOf } from '../../src/report/index.js';
import { sampleMachine, sampleSimulation } from './sample.js';

const simulation = sampleSimulation(sampleMachine());
const field = (value: number, unit: string, text: string): Sourced => ({
  dimension: 'count',
  value,
  unit,
  text,
  from: 'datasheet',
  source: 'Sheet 1',
});
const fields = new Map<string, Sourced>([
  ['dram.bandwidth', field(3.35e12, 'B/s', '3.35 TB/s')],
  ['dram.latency', field(4e-7, 's', '400 ns')],
  ['energy.dram', field(93, 'pJ/B', '93 pJ/B')],
  ['energy.static', field(90, 'W', '90 W')],
  ['launch.graph', field(1e-6, 's', '1 us')],
  ['tdp', field(700, 'W', '700 W')],
]);
const context = { simulation, fields };
const sum = (e: Explanation) => e.parts.reduce((s, p) => s + Number(p.value), 0);

describe('explain', () => {
  it('explains every metric it lists', () => {
    const metrics = metricsOf(context);
    expect(metrics.length).toBeGreaterThan(80);
    for (const metric of metrics) {
      const e = explain(metric, context);
      expect(e.metric).toBe(metric);
      expect(explainText(e).split('\n')[0]).toContain(metric);
    }
  });

  it.each(['time_s', 'flops', 'moved_B.dram', 'requested_B.shared', 'launch_s'])(
    '%s is the sum of its parts',
    (metric) => {
      const e = explain(metric, context);
      const parts = metric === 'launch_s' ? { ...e, parts: [] } : e;
      expect(e.formula).toContain('Σ over ops');
      if (parts.parts.length > 0) expect(sum(parts) / Number(e.value)).toBeCloseTo(1, 12);
    },
  );

  it('adds energy up from its parts, down to the energy of an action', () => {
    const e = explain('energy_J', context);
    expect(e.value).toBe(simulation.energy_J);
    expect(sum(e)).toBeCloseTo(simulation.energy_J, 12);
    const dram = e.parts.find((p) => p.metric === 'energy_by_part_J.dram')!;
    expect(dram.substituted).toMatch(/× 93(\.0)? pJ\/B$/);
    expect(dram.parts.map((p) => [p.metric, p.source])).toEqual([['machine.energy.dram', 'Sheet 1']]);
    const still = e.parts.find((p) => p.metric === 'energy_by_part_J.static')!;
    expect(still.substituted).toMatch(/^90(\.0)? W × /);
  });

  it('goes into an op by its name, dots and all', () => {
    const op = simulation.ops!.find((o) => o.name === 'layer.mlp.down_proj')!;
    const e = explain('ops.layer.mlp.down_proj.time_s', context);
    expect(e.value).toBe(op.time_s);
    expect(e.note).toContain('bound by DRAM bandwidth');
    const busy = e.parts.find((p) => p.metric === 'busy_s.dram')!;
    expect(busy.value).toBe(op.busy_s!['dram']);
    expect(busy.parts.map((p) => p.metric)).toEqual(['machine.dram.bandwidth']);
    expect(explain('ops.layer.mlp.down_proj', context).value).toBe(op.time_s);
    expect(explain('ops.layer.mlp.down_proj.moved_B.l2', context).value).toBe(op.moved_B['l2']);
  });

  it('shows a field with its source, and a section with all its fields', () => {
    expect(explain('machine.dram.bandwidth', context)).toMatchObject({
      value: 3.35e12,
      from: 'datasheet',
      source: 'Sheet 1',
      text: '3.35 TB/s',
    });
    expect(explain('machine.dram', context).parts.map((p) => p.metric)).toEqual([
      'machine.dram.bandwidth',
      'machine.dram.latency',
    ]);
    expect(explain('machine', context).parts).toHaveLength(fields.size);
    expect(explainText(explain('machine.dram.bandwidth', context))).toBe(
      'machine.dram.bandwidth = 3.350 TB/s\n    3.35 TB/s; datasheet: Sheet 1',
    );
  });

  it.each([
    ['tme_s', "did you mean 'time_s'"],
    ['machine.dram.bandwith', "did you mean 'machine.dram.bandwidth'"],
    ['moved_B.dra', "did you mean 'moved_B.dram'"],
    ['ops.nothing.time_s', 'unknown metric'],
    ['constructor', 'unknown metric'],
    ['energy_by_part_J.toString', 'unknown metric'],
    ['moved_B.constructor', 'unknown metric'],
  ])('says of %s: %s', (metric, message) => {
    expect(() => explain(metric, context)).toThrow(message);
  });
});
