/**
 * The steady engine: closed-form time and energy of one launch.
 *
 *   launch ─demandOf─► segments ─reuseOf─► DRAM share ─kernelTime─► time at a clock ─power cap─► result
 */
import { InfeasibleError } from '../../base/errors.js';
import { type Fit, isMisfit, residency } from '../../kernel/fit.js';
import type { Launch } from '../../kernel/kernel.js';
import type { ResourceGraph } from '../../machine/graph.js';
import type { Context, RunResult } from '../types.js';
import { type Costs, costsOf } from './costs.js';
import { type Demand, demandOf } from './demand.js';
import { Energy } from './energy.js';
import { launchTime, Pace } from './pace.js';
import { resultOf } from './result.js';
import { type Reuse, reuseOf } from './reuse.js';

/** A launch worked out at one clock. */
export interface Solution {
  readonly costs: Costs;
  readonly demand: Demand;
  readonly reuse: Reuse;
  readonly fit: Fit;
  readonly context: Context;
  readonly pace: Pace;
  readonly energy: Energy;
  readonly clock_Hz: number;
  readonly time_s: number;
  readonly energy_J: number;
}

/** @throws InfeasibleError when the launch does not fit the machine */
export function runSteady(launch: Launch, machine: ResourceGraph, context: Context): RunResult {
  return resultOf(solve(launch, machine, context));
}

/** Time and energy alone, the same numbers as `runSteady` gives: for searches, which keep only the best. */
export function evaluateSteady(
  launch: Launch,
  machine: ResourceGraph,
  context: Context,
): { readonly time_s: number; readonly energy_J: number } {
  return solve(launch, machine, context);
}

/** Within this of the cap a clock is good enough. */
const POWER_TOLERANCE = 0.002;
const MAX_STEPS = 8;

function solve(launch: Launch, machine: ResourceGraph, context: Context): Solution {
  const fit = residency(launch, machine);
  if (isMisfit(fit)) throw new InfeasibleError(`${launch.program.name} on ${machine.name}: ${fit.message}`);
  const costs = costsOf(machine);
  const demand = demandOf(launch, costs);
  const reuse = reuseOf(demand, launch.program, launch.mapping, costs, context, fit.workgroups_per_core);
  const pace = new Pace(demand, reuse, costs, fit.workgroups_per_core);
  const energy = new Energy(demand, reuse, costs);
  const { control } = machine;
  const wait_s = launchTime(machine, context);
  const done = (clock_Hz: number, time_s: number, energy_J: number): Solution => ({
    costs,
    demand,
    reuse,
    fit,
    context,
    pace,
    energy,
    clock_Hz,
    time_s,
    energy_J,
  });

  const nominal = context.clock_Hz ?? control.clock.nominal_Hz;
  let time_s = wait_s + pace.at(nominal);
  let energy_J = energy.at(nominal, time_s);
  const cap = control.power_cap_W;
  if (context.clock_Hz !== undefined || energy_J <= cap * time_s) return done(nominal, time_s, energy_J);

  if (control.static_W >= cap)
    throw new InfeasibleError(`${machine.name} draws ${control.static_W} W whatever runs, its cap is ${cap} W`);
  // Clock and power together. Power rises with the clock; the highest clock within the cap lies between `lo`, which
  // keeps it, and `hi`, which does not: the line through both, drawn a little towards the safe side.
  let hi = nominal;
  let hiPower = energy_J / time_s;
  let lo = control.clock.min_Hz;
  time_s = wait_s + pace.at(lo);
  energy_J = energy.at(lo, time_s);
  let loPower = energy_J / time_s;
  if (loPower > cap) {
    // even the lowest clock draws too much: the device pauses now and then, so that the mean is at the cap
    const dynamic_J = energy_J - control.static_W * time_s;
    time_s = dynamic_J / (cap - control.static_W);
    return done(lo, time_s, energy.at(lo, time_s));
  }
  for (let i = 0; i < MAX_STEPS && loPower < cap * (1 - POWER_TOLERANCE); i++) {
    const aim = cap * (1 - POWER_TOLERANCE / 2);
    const share = (aim - loPower) / (hiPower - loPower);
    const clock = lo + (hi - lo) * Math.min(0.97, Math.max(0.03, share));
    const t = wait_s + pace.at(clock);
    const e = energy.at(clock, t);
    if (e > cap * t) {
      hi = clock;
      hiPower = e / t;
    } else {
      lo = clock;
      loPower = e / t;
      time_s = t;
      energy_J = e;
    }
  }
  return done(lo, time_s, energy_J);
}
