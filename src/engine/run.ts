/** Runs launches in sequence at a fidelity and adds them up; the one place that names the engines. */
import type { Launch } from '../kernel/kernel.js';
import type { ResourceGraph } from '../machine/graph.js';
import { runEvent } from './event/run.js';
import { evaluateSteady, runSteady } from './steady/steady.js';
import type { Context, RunResult, Traffic } from './types.js';

const ENGINES = {
  steady: runSteady,
  event: runEvent,
} satisfies Record<'steady' | 'event', (launch: Launch, machine: ResourceGraph, context: Context) => RunResult>;

/**
 * Launches of one op, one after another.
 * @throws InfeasibleError when one does not fit the machine
 */
export function runLaunches(
  launches: readonly Launch[],
  machine: ResourceGraph,
  context: Context,
  fidelity: 'steady' | 'event',
): RunResult[] {
  return launches.map((l) => ENGINES[fidelity](l, machine, context));
}

/** Time and energy of launches in sequence under `steady`: the sums of `runLaunches`, without the records. */
export function evaluateLaunches(
  launches: readonly Launch[],
  machine: ResourceGraph,
  context: Context,
): { time_s: number; energy_J: number } {
  let time_s = 0;
  let energy_J = 0;
  for (const l of launches) {
    const r = evaluateSteady(l, machine, context);
    time_s += r.time_s;
    energy_J += r.energy_J;
  }
  return { time_s, energy_J };
}

/** Sums results of launches that run one after another. */
export function inSequence(results: readonly RunResult[]): RunResult {
  const [first] = results;
  if (!first) throw new Error('no launches');
  if (results.length === 1) return first;
  let time_s = 0;
  let launch_s = 0;
  let energy_J = 0;
  let flops_executed = 0;
  let clock_s = 0;
  const byCause = new Map<string, number>();
  for (const r of results) {
    time_s += r.time_s;
    launch_s += r.launch_s;
    energy_J += r.energy_J;
    flops_executed += r.flops_executed;
    clock_s += r.clock_Hz * r.time_s;
    byCause.set(r.bound_by, (byCause.get(r.bound_by) ?? 0) + r.time_s);
  }
  return {
    fidelity: first.fidelity,
    time_s,
    launch_s,
    energy_J,
    energy_by_part_J: addRecords(results.map((r) => r.energy_by_part_J)),
    power_W: energy_J / time_s,
    clock_Hz: clock_s / time_s,
    flops_executed,
    requested_B: addTraffic(results.map((r) => r.requested_B)),
    moved_B: addTraffic(results.map((r) => r.moved_B)),
    bound_by: largest(byCause),
    busy_s: addRecords(results.map((r) => r.busy_s)),
    detail: first.detail,
  };
}

export function addRecords(records: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const r of records) for (const key in r) sum[key] = (sum[key] ?? 0) + r[key]!;
  return sum;
}

function addTraffic(records: readonly Readonly<Record<string, Traffic>>[]): Record<string, Traffic> {
  const sum: Record<string, Traffic> = {};
  for (const r of records)
    for (const key in r) {
      const t = (sum[key] ??= { read_B: 0, write_B: 0 });
      t.read_B += r[key]!.read_B;
      t.write_B += r[key]!.write_B;
    }
  return sum;
}

/** Key with the largest value; the first of equals. */
export function largest(values: ReadonlyMap<string, number>): string {
  let best = '';
  let most = Number.NEGATIVE_INFINITY;
  for (const [key, value] of values)
    if (value > most) {
      best = key;
      most = value;
    }
  return best;
}
