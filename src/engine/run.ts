/** Runs launches in sequence at a fidelity and adds them up; the one place that names the engines. */
import type { Launch } from '../kernel/kernel.js';
import type { ResourceGraph } from '../machine/graph.js';
import type { Indices } from './event/indices.js';
import { runEvent } from './event/run.js';
import { MemoryState, type Stateful } from './event/stateful.js';
import { runNestLaunch } from './nest/lay-out.js';
import { evaluateSteady, runSteady } from './steady/steady.js';
import type { Context, MemoryDetail, RunResult, Traffic } from './types.js';

export interface RunOptions {
  /** Cache and DRAM with state and addresses; `event` only. */
  readonly memory?: Stateful;
  /** What index tensors of gathers and scatters hold; `event` only. */
  readonly indices?: Indices;
}

type Run = (launch: Launch, machine: ResourceGraph, context: Context) => RunResult;

const ENGINES = {
  steady: () => runSteady,
  event: (options) => {
    const state = new MemoryState();
    return (launch, machine, context) => runEvent(launch, machine, context, { ...options, state });
  },
} satisfies Record<'steady' | 'event', (options: RunOptions) => Run>;

/**
 * Launches of one op, one after another; memory with state keeps it from one to the next.
 * @throws InfeasibleError when one does not fit the machine
 */
export function runLaunches(
  launches: readonly Launch[],
  machine: ResourceGraph,
  context: Context,
  fidelity: 'steady' | 'event',
  options: RunOptions = {},
): RunResult[] {
  const run = ENGINES[fidelity](options);
  // nests have one engine at every fidelity
  return launches.map((l) => (l.mapping.nest ? runNestLaunch(l, machine, context) : run(l, machine, context)));
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
    const r = l.mapping.nest ? runNestLaunch(l, machine, context) : evaluateSteady(l, machine, context);
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
    ...addMemory(results.map((r) => r.memory)),
  };
}

/** Counts add; channels are those of the launch of which the fewest were worked through. */
function addMemory(details: readonly (MemoryDetail | undefined)[]): { memory?: MemoryDetail } {
  const known = details.filter((d) => d !== undefined);
  if (known.length === 0) return {};
  const sum = (f: (d: MemoryDetail) => number): number => known.reduce((s, d) => s + f(d), 0);
  return {
    memory: {
      channels: known[0]!.channels,
      channels_simulated: Math.min(...known.map((d) => d.channels_simulated)),
      requests: sum((d) => d.requests),
      hits: addRecords(known.map((d) => d.hits)),
      misses: addRecords(known.map((d) => d.misses)),
      row_hits: sum((d) => d.row_hits),
      activates: sum((d) => d.activates),
      read_commands: sum((d) => d.read_commands),
      write_commands: sum((d) => d.write_commands),
      extra_activate_J: sum((d) => d.extra_activate_J),
      dram_command_J: addRecords(known.map((d) => d.dram_command_J)),
    },
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
