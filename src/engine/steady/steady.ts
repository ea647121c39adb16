/**
 * The steady engine: closed-form time and energy of one launch.
 *
 *   launch ─demandOf─► segments ─reuseOf─► DRAM share ─kernelTime─► time at a clock ─power cap─► result
 */
import { InfeasibleError } from '../../base/errors.js';
import { type Fit, isMisfit, residency } from '../../kernel/fit.js';
import type { Launch } from '../../kernel/kernel.js';
import type { ResourceGraph } from '../../machine/graph.js';
import { underCap } from '../governor.js';
import { launchTime } from '../launch.js';
import type { Context, RunResult } from '../types.js';
import { type Costs, costsOf } from './costs.js';
import { type Demand, demandOf } from './demand.js';
import { Energy } from './energy.js';
import { Pace } from './pace.js';
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

function solve(launch: Launch, machine: ResourceGraph, context: Context): Solution {
  const fit = residency(launch, machine);
  if (isMisfit(fit)) throw new InfeasibleError(`${launch.program.name} on ${machine.name}: ${fit.message}`);
  const costs = costsOf(machine);
  const demand = demandOf(launch, costs);
  const reuse = reuseOf(demand, launch.program, launch.mapping, costs, context, fit.workgroups_per_core);
  const pace = new Pace(demand, reuse, costs, fit.workgroups_per_core);
  const energy = new Energy(demand, reuse, costs);
  const { control } = machine;
  const wait_s = launchTime(control, context.launch);
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
  const time_s = wait_s + pace.at(nominal);
  const energy_J = energy.at(nominal, time_s);
  if (context.clock_Hz !== undefined || energy_J <= control.power_cap_W * time_s)
    return done(nominal, time_s, energy_J);

  const governed = underCap(machine, nominal, { time_s, energy_J }, (clock_Hz) => {
    const t = wait_s + pace.at(clock_Hz);
    return { time_s: t, energy_J: energy.at(clock_Hz, t) };
  });
  return done(governed.clock_Hz, governed.time_s, governed.energy_J);
}
