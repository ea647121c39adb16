/** A nest's result as the record that every engine gives. */
import { positive } from '../../base/errors.js';
import type { Cascade } from '../../kernel/einsum.js';
import type { Nest } from '../../kernel/nest.js';
import { FLOPS, type MathFn, type ResourceGraph } from '../../machine/graph.js';
import type { Context, RunResult, Traffic } from '../types.js';
import { evaluateNest } from './evaluate.js';
import { trafficOf } from './traffic.js';
import type { NestResult } from './types.js';

/** @throws InputError, InfeasibleError as `evaluateNest` */
export function runNest(
  nest: Nest,
  cascade: Cascade,
  graph: ResourceGraph,
  context: Pick<Context, 'launch' | 'clock_Hz'>,
): RunResult & { readonly nest: NestResult } {
  const result = evaluateNest(nest, cascade, graph);
  return { ...recordOf(result, cascade, graph, context), nest: result };
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
  { launch, clock_Hz = graph.control.clock.nominal_Hz }: Pick<Context, 'launch' | 'clock_Hz'>,
): RunResult {
  const { control } = graph;
  const launch_s =
    (launch === 'graph' ? control.launch_graph_s : control.launch_eager_s) +
    control.kernel_start_s +
    control.kernel_drain_s +
    result.fill_drain_cycles / clock_Hz;
  const slow = control.clock.nominal_Hz / clock_Hz;
  const time_s = positive(launch_s + (result.cycles / control.clock.nominal_Hz) * slow, `time on ${graph.name}`);
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
