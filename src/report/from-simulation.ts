/** Simulation results → the data of a report. The only place where report numbers are derived. */
import type { ResourceGraph } from '../machine/graph.js';
import { labelsOf, workloadsInCommon } from './labels.js';
import type { Assumption, EnergyPart, Figure, OpRow, Point, Report, Roofline, Run, Sweep } from './model.js';
import { computeRoofs, memoryRoofs } from './roofs.js';
import { opsOf, type SimulationJson, type SimulationOp, tileText } from './simulation.js';
import { verdictOf } from './verdict.js';

export interface RunInput {
  readonly simulation: SimulationJson;
  readonly machine: ResourceGraph;
  /** Numbers the result stands on, with their origin. */
  readonly assumptions?: readonly Assumption[];
  /** What tells this run from the others; machine and workload when absent. */
  readonly label?: string;
}

export interface ReportInput {
  readonly runs: readonly RunInput[];
  readonly sweep?: Sweep;
  readonly title?: string;
  readonly command: string;
  readonly version: string;
  readonly notes?: readonly string[];
}

/** Builds the report. */
export function buildReport(input: ReportInput): Report {
  const runs = input.runs.map((run, i) => runOf(run, `run${i + 1}`));
  const labels = labelsOf(runs);
  return {
    title: input.title ?? titleOf(runs, input.sweep),
    version: input.version,
    command: input.command,
    runs: runs.map((run, i) => ({ ...run, label: input.runs[i]!.label ?? labels[i]! })),
    ...(input.sweep ? { sweep: input.sweep } : {}),
    notes: [...(input.notes ?? [])],
  };
}

function titleOf(runs: readonly Run[], sweep: Sweep | undefined): string {
  const only = (values: readonly string[]) => [...new Set(values)];
  const machines = only(runs.map((r) => r.machine_title));
  if (runs.length === 0) return sweep ? `Sweep of ${sweep.name}` : 'Report';
  const what = workloadsInCommon(runs.map((r) => r.workload));
  const where = machines.length <= 2 ? machines.join(' and ') : `${machines.length} machines`;
  return `${what} on ${where}`;
}

/** One run, without regard to others. */
export function runOf({ simulation: sim, machine, assumptions, label }: RunInput, id = 'run1'): Run {
  const workload = sim.workload ?? sim.kernel ?? 'kernel';
  const ops = rowsOf(sim);
  return {
    id,
    label: label ?? `${workload} on ${sim.machine}`,
    machine: sim.machine,
    machine_title: machine.title || sim.machine,
    workload,
    fidelity: sim.fidelity,
    verdict: verdictOf(sim, `${workload} on ${machine.title || sim.machine}`),
    figures: figuresOf(sim),
    roofline: rooflineOf(sim, machine, ops),
    energy: energyOf(sim.energy_by_part_J),
    ops,
    requested_B: { ...sim.requested_B },
    moved_B: { ...sim.moved_B },
    assumptions: [...(assumptions ?? [])],
    warnings: [...sim.warnings],
  };
}

function figuresOf(sim: SimulationJson): Figure[] {
  const figures: Figure[] = [
    { key: 'time_s', label: 'Time', value: sim.time_s, unit: 's', better: 'less' },
    ...(sim.interval_s
      ? [
          { key: 'interval_s.lo', label: 'Time, 5 %', value: sim.interval_s.lo, unit: 's' },
          { key: 'interval_s.hi', label: 'Time, 95 %', value: sim.interval_s.hi, unit: 's' },
        ]
      : []),
    { key: 'energy_J', label: 'Energy', value: sim.energy_J, unit: 'J', better: 'less' },
    { key: 'power_W', label: 'Power', value: sim.power_W, unit: 'W', better: 'less' },
    { key: 'roof_fraction', label: 'Of the roof', value: sim.roof_fraction, unit: '%', better: 'more' },
  ];
  const made = sim.produces;
  if (made && made.count > 0) {
    const { unit, per_s, energy_J_each } = made;
    figures.push(
      { key: 'produces.per_s', label: 'Throughput', value: per_s, unit: `${unit}/s`, better: 'more' },
      {
        key: 'produces.energy_J_each',
        label: `Energy per ${unit}`,
        value: energy_J_each,
        unit: `J/${unit}`,
        better: 'less',
      },
    );
  }
  figures.push(
    { key: 'flops', label: 'Useful work', value: sim.flops, unit: 'FLOP' },
    { key: 'flops_per_s', label: 'Useful rate', value: sim.flops / sim.time_s, unit: 'FLOP/s', better: 'more' },
  );
  const dram = sim.moved_B['dram'];
  if (dram !== undefined)
    figures.push(
      { key: 'moved_B.dram', label: 'DRAM traffic', value: dram, unit: 'B', better: 'less' },
      { key: 'dram_B_per_s', label: 'DRAM rate', value: dram / sim.time_s, unit: 'B/s' },
    );
  figures.push({ key: 'launch_s', label: 'Launch and drain', value: sim.launch_s, unit: 's', better: 'less' });
  if (sim.clock_Hz !== undefined) figures.push({ key: 'clock_Hz', label: 'Clock', value: sim.clock_Hz, unit: 'Hz' });
  if ((sim.devices ?? 1) > 1) figures.push({ key: 'devices', label: 'Devices', value: sim.devices!, unit: '' });
  return figures;
}

function rowsOf(sim: SimulationJson): OpRow[] {
  const ops = opsOf(sim);
  const all = ops.reduce((sum, op) => sum + op.time_s * op.repeat, 0);
  return ops.map((op) => {
    const total = op.time_s * op.repeat;
    return {
      name: op.name,
      ...(op.phase === undefined ? {} : { phase: op.phase }),
      kind: op.kind,
      kernel: op.kernel,
      tile: tileText(op.tile),
      repeat: op.repeat,
      time_s: op.time_s,
      launch_s: op.launch_s,
      total_time_s: total,
      share: all > 0 ? total / all : 0,
      energy_J: op.energy_J,
      energy_by_part_J: { ...op.energy_by_part_J },
      flops: op.flops,
      requested_B: { ...op.requested_B },
      moved_B: { ...op.moved_B },
      bound_by: op.bound_by,
      roof_fraction: op.roof_fraction,
      ...(op.arrays && { clock_Hz: op.clock_Hz!, arrays: [...op.arrays] }),
    };
  });
}

function rooflineOf(sim: SimulationJson, machine: ResourceGraph, ops: readonly OpRow[]): Roofline {
  const points = ops.filter((op) => op.flops > 0 && op.time_s > 0).map((op) => pointOf(op, op.share));
  // a single op is its own total
  const total = {
    name: 'whole run',
    kind: 'total',
    bound_by: sim.bound_by,
    flops: sim.flops,
    time_s: sim.time_s,
    moved_B: { ...sim.moved_B },
  };
  return {
    memory: memoryRoofs(machine),
    compute: computeRoofs(machine),
    points,
    ...(ops.length > 1 && sim.flops > 0 && sim.time_s > 0 ? { total: pointOf(total, 1) } : {}),
    without_flops: ops.length - points.length,
  };
}

type Measured = Pick<SimulationOp, 'name' | 'kind' | 'bound_by' | 'flops' | 'time_s'> & {
  moved_B: Record<string, number>;
};

function pointOf(op: Measured, share: number): Point {
  const moved = Object.entries(op.moved_B).filter(([, bytes]) => bytes > 0);
  return {
    name: op.name,
    kind: op.kind,
    bound_by: op.bound_by,
    flops: op.flops,
    time_s: op.time_s,
    flops_per_s: op.flops / op.time_s,
    share,
    intensity: Object.fromEntries(moved.map(([store, bytes]) => [store, op.flops / bytes])),
  };
}

/** Parts that are not zero, largest first. */
function energyOf(parts: Readonly<Record<string, number>>): EnergyPart[] {
  const sum = Object.values(parts).reduce((a, b) => a + b, 0);
  return Object.entries(parts)
    .filter(([, energy_J]) => energy_J > 0)
    .map(([part, energy_J]) => ({ part, energy_J, share: energy_J / sum }))
    .sort((a, b) => b.energy_J - a.energy_J || (a.part < b.part ? -1 : 1));
}
