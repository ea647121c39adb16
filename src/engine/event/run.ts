/**
 * The event engine: discrete events in total order over one launch.
 *
 *   launch ─planOf─► instructions ─simulate (per clock)─► outcome ─tally─► result ─power cap─► result
 *
 * Shares with the other engines the tile program, the mapping, the fit, the resource graph and the energy table only.
 */
import { InfeasibleError, positive } from '../../base/errors.js';
import { isMisfit, residency } from '../../kernel/fit.js';
import type { Launch } from '../../kernel/kernel.js';
import type { ResourceGraph } from '../../machine/graph.js';
import type { TimelineSink } from '../timeline.js';
import type { Context, RunResult } from '../types.js';
import type { CauseName } from './causes.js';
import type { Indices } from './indices.js';
import { type Plan, planOf } from './plan.js';
import { type Rates, ratesOf } from './rates.js';
import { type Outcome, simulate } from './sim.js';
import { MemoryState, type Stateful } from './stateful.js';
import { tally } from './tally.js';

export interface EventResult extends RunResult {
  /** Time that an average slot for a workgroup loses, by cause. */
  readonly stalls_s: Record<CauseName, number>;
  /** Time that its statements take undisturbed; with the stalls, the kernel's time without launch, start and drain. */
  readonly computing_s: number;
  /** Events simulated, reruns at other clocks included. */
  readonly events: number;
}

export interface EventOptions {
  readonly timeline?: TimelineSink;
  /** Cache and DRAM with state and addresses, in place of blocks and bandwidth. */
  readonly memory?: Stateful;
  /** What index tensors of gathers and scatters hold. */
  readonly indices?: Indices;
  /** What earlier launches of the same op left there; changed. */
  readonly state?: MemoryState;
}

/** Within this of the cap a clock is good enough. */
const POWER_TOLERANCE = 0.01;
const MAX_RERUNS = 6;

/** @throws InfeasibleError when the launch does not fit the machine, or the cap is below what static power draws */
export function runEvent(
  launch: Launch,
  machine: ResourceGraph,
  context: Context,
  opts: EventOptions = {},
): EventResult {
  const { program } = launch;
  const fit = residency(launch, machine);
  if (isMisfit(fit)) throw new InfeasibleError(`${program.name} on ${machine.name}: ${fit.message}`);
  const plan = planOf(launch, machine, opts.indices);
  const homes = new Set<string>();
  for (const t of program.tensors) if (t.home !== undefined) homes.add(t.home);
  const { control } = machine;
  homes.delete(machine.stores.find((s) => s.role === 'home')?.id ?? '');
  let events = 0;
  const state = opts.state ?? new MemoryState();
  const before = state.mark();

  const at = (clock_Hz: number, timeline: TimelineSink | undefined): EventResult => {
    timeline?.begin(`${program.name} on ${machine.name}`);
    const rates = ratesOf(machine, clock_Hz, homes);
    state.backTo(before);
    const resident = fit.workgroups_per_core;
    const outcome = opts.memory
      ? withState(plan, rates, context, resident, timeline, opts.memory, state)
      : (simulate(plan, rates, context, resident, timeline) as Outcome);
    events += outcome.events;
    return tally(plan, rates, context, fit, outcome);
  };

  const nominal = context.clock_Hz ?? control.clock.nominal_Hz;
  const first = at(nominal, opts.timeline);
  if (context.clock_Hz !== undefined || first.power_W <= control.power_cap_W) return done(first, events);
  if (control.static_W >= control.power_cap_W)
    throw new InfeasibleError(
      `${machine.name} draws ${control.static_W} W whatever runs, its cap is ${control.power_cap_W} W`,
    );
  const best = underCap(first, control, (clock_Hz) => at(clock_Hz, undefined));
  const shown = opts.timeline ? at(best.clock_Hz, opts.timeline) : best;
  return done(shown.power_W <= control.power_cap_W ? shown : throttled(shown, control), events);
}

/** Runs with state, on as many channels as keep within the requests that may be made. */
function withState(
  plan: Plan,
  rates: Rates,
  context: Context,
  resident: number,
  timeline: TimelineSink | undefined,
  memory: Stateful,
  state: MemoryState,
): Outcome {
  const { channels } = memory.dram.organisation;
  if (state.channels === undefined) {
    const part = memory.most_requests / expectedRequests(plan, rates, context, resident, memory);
    if (part < 1) state.sample(evenly(channels, channels * part));
  }
  for (;;) {
    const had = state.channels ?? channels;
    // an estimate that is off by less than half is let be
    const most_requests = had > 1 ? 1.5 * memory.most_requests : Number.POSITIVE_INFINITY;
    const outcome = simulate(plan, rates, context, resident, timeline, { memory: { ...memory, most_requests }, state });
    if (!('done' in outcome)) return outcome;
    state.sample(evenly(channels, had * Math.min(0.5, outcome.done)));
  }
}

/** The most channels up to `most`, and one at least, that go into all of them: slices and sets then do so too. */
function evenly(channels: number, most: number): number {
  let n = Math.max(1, Math.floor(most));
  while (channels % n > 0) n--;
  return n;
}

/** Lines and bursts that a launch would ask for, by what the model by blocks moves. */
function expectedRequests(
  plan: Plan,
  rates: Rates,
  context: Context,
  resident: number,
  { dram, cache }: Stateful,
): number {
  const outcome = simulate(plan, rates, context, resident, undefined) as Outcome;
  outcome.memory.finish();
  let lines = 0;
  for (const i of plan.instrs) {
    const moved_B = outcome.moved_B[i.id]!;
    if (moved_B > 0) lines += moved_B / Math.min(cache.config.line_B, i.placer!.run_B);
  }
  return lines + (outcome.memory.dramRead_B + outcome.memory.dramWrite_B) / dram.organisation.burst_B;
}

const done = (r: EventResult, events: number): EventResult => {
  positive(r.time_s, 'time of a launch');
  positive(r.energy_J, 'energy of a launch');
  return { ...r, events };
};

/**
 * The highest clock at which power stays within the cap, by runs at other clocks: power rises with the clock, so each
 * run halves (or, by the line through the two nearest runs, better than halves) the interval. Ends when a run is
 * within a hundredth below the cap.
 */
function underCap(
  first: EventResult,
  control: ResourceGraph['control'],
  at: (clock_Hz: number) => EventResult,
): EventResult {
  const cap = control.power_cap_W;
  let high = first;
  let low: EventResult | undefined;
  for (let n = 0; n < MAX_RERUNS; n++) {
    let clock: number;
    if (low) {
      const t = (cap * (1 - POWER_TOLERANCE / 2) - low.power_W) / (high.power_W - low.power_W);
      clock = low.clock_Hz + (high.clock_Hz - low.clock_Hz) * Math.min(0.95, Math.max(0.05, t));
    } else clock = guess(high, control);
    const r = at(Math.max(control.clock.min_Hz, clock));
    if (r.power_W > cap) {
      high = r;
      if (r.clock_Hz <= control.clock.min_Hz) return r;
    } else {
      low = r;
      if (r.power_W >= cap * (1 - POWER_TOLERANCE)) return r;
    }
  }
  return low ?? at(control.clock.min_Hz);
}

/** Where power would meet the cap if it were static power plus something that goes with f·V(f)². */
function guess(r: EventResult, control: ResourceGraph['control']): number {
  const { nominal_Hz, voltage_floor, min_Hz } = control.clock;
  const dynamic = (f: number) => f * (voltage_floor + (1 - voltage_floor) * (f / nominal_Hz)) ** 2;
  const wanted =
    ((control.power_cap_W * (1 - POWER_TOLERANCE / 2) - control.static_W) / (r.power_W - control.static_W)) *
    dynamic(r.clock_Hz);
  let lo = min_Hz;
  let hi = r.clock_Hz;
  for (let i = 0; i < 40; i++) {
    const mid = (lo + hi) / 2;
    if (dynamic(mid) > wanted) hi = mid;
    else lo = mid;
  }
  return lo;
}

/** Even the lowest clock draws too much: the device pauses now and then, so that the mean is at the cap. */
function throttled(r: EventResult, control: ResourceGraph['control']): EventResult {
  const dynamic_J = r.energy_J - (r.energy_by_part_J['static'] ?? 0);
  const time_s = dynamic_J / (control.power_cap_W - control.static_W);
  const parts = { ...r.energy_by_part_J, static: control.static_W * time_s };
  return {
    ...r,
    time_s,
    energy_by_part_J: parts,
    energy_J: dynamic_J + parts.static,
    power_W: control.power_cap_W,
    bound_by: 'power',
  };
}
