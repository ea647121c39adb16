/** A nest's result as the record that every engine gives. */

import { positive } from '../../base/errors.js';
import type { Cascade } from '../../kernel/einsum.js';
import type { Nest } from '../../kernel/nest.js';
import { FLOPS, type MathFn, type ResourceGraph } from '../../machine/graph.js';
import { underCap } from '../governor.js';
import { launchTime } from '../launch.js';
import type { Context, RunResult, Traffic } from '../types.js';
import { clockedAt } from './clocked.js';
import { evaluateNest } from './evaluate.js';
import { trafficOf } from './traffic.js';
import type { NestResult } from './types.js';

/** At the highest clock that the power cap leaves. @throws InputError, InfeasibleError as `evaluateNest` */
export function runNest(
  nest: Nest,
  cascade: Cascade,
  graph: ResourceGraph,
  context: Pick<Context, 'launch' | 'clock_Hz'>,
): RunResult & { readonly nest: NestResult } {
  const { control } = graph;
  const at = (clock_Hz: number): RunResult & { readonly nest: NestResult } => {
    const machine = clockedAt(graph, clock_Hz);
    const result = evaluateNest(nest, cascade, machine);
    return { ...recordOf(result, cascade, machine, context), nest: result };
  };
  const nominal_Hz = context.clock_Hz ?? control.clock.nominal_Hz;
  const first = at(nominal_Hz);
  if (context.clock_Hz !== undefined || first.power_W <= control.power_cap_W) return first;
  const { clock_Hz, time_s, energy_J, paused } = underCap(graph, nominal_Hz, first, at);
  const run = at(clock_Hz);
  if (!paused) return run;
  const energy_by_part_J = { ...run.energy_by_part_J, static: control.static_W * time_s };
  return { ...run, time_s, energy_J, energy_by_part_J, power_W: energy_J / time_s, bound_by: 'power' };
}

/** Floating-point operations of all points. */
export function flopsOf(result: NestResult, cascade: Cascade): number {
  let flops = 0;
  for (const a of result.einsums) {
    const { work } = cascade.einsums.find((e) => e.name === a.einsum)!;
    for (const [fn, count] of Object.entries(work) as [MathFn, number][]) flops += a.computes * count * FLOPS[fn];
  }
  return flops;
}

export function recordOf(
  result: NestResult,
  cascade: Cascade,
  graph: ResourceGraph,
  { launch }: Pick<Context, 'launch'>,
): RunResult {
  const { control } = graph;
  const clock_Hz = control.clock.nominal_Hz;
  const launch_s = launchTime(control, launch) + result.fill_drain_cycles / clock_Hz;
  const time_s = positive(launch_s + result.cycles / clock_Hz, `time on ${graph.name}`);
  const parts: Record<string, number> = {};
  for (const [part, pJ] of Object.entries(result.energy_by_part_pJ)) parts[part] = pJ * 1e-12;
  parts['static'] = control.static_W * time_s;
  const energy_J = positive(
    Object.values(parts).reduce((a, b) => a + b, 0),
    'energy',
    true,
  );
  const requested_B: Record<string, Traffic> = {};
  const moved_B: Record<string, Traffic> = {};
  for (const [id, m] of trafficOf(result.einsums, cascade, graph)) {
    requested_B[id] = { read_B: m.read_B, write_B: m.write_B };
    moved_B[id] = { read_B: m.moved_read_B, write_B: m.moved_write_B };
  }
  const busy_s: Record<string, number> = {};
  for (const { by_unit } of result.stages)
    for (const [unit, cycles] of Object.entries(by_unit))
      busy_s[unit] = (busy_s[unit] ?? 0) + (cycles * result.epochs) / clock_Hz;
  for (const [id, cycles] of Object.entries(result.store_busy_cycles)) busy_s[id] = cycles / clock_Hz;
  const only = result.einsums.length === 1 ? result.einsums[0] : undefined;
  return {
    fidelity: 'steady',
    time_s,
    launch_s,
    energy_J,
    energy_by_part_J: parts,
    power_W: energy_J / time_s,
    clock_Hz,
    flops_executed: flopsOf(result, cascade),
    requested_B,
    moved_B,
    bound_by: only?.bound_by === 'arithmetic' ? only.unit : result.bound_by,
    busy_s,
  };
}
