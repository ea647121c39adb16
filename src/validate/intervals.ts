/** Simulated times with the intervals that a machine's residuals give them. */
import type { KernelSimulation, Simulation } from '../engine/simulation.js';
import type { Machine } from '../machine/load.js';
import type { Op } from '../workload/op.js';
import { ASSUMED_SPREAD, classesOf, intervalOf } from './spread.js';

/** Of one op, never below what no schedule can beat. Residuals are those of the steady engine: others have no interval. */
export function kernelInterval(result: KernelSimulation, op: Op, machine: Machine): KernelSimulation {
  if (result.fidelity !== 'steady') return result;
  return { ...result, interval_s: intervalFor(op, result, machine) };
}

/** Of each op and of the whole, whose errors are taken to go the same way: the ends of the ops add up. */
export function simulationIntervals(simulation: Simulation, trace: readonly Op[], machine: Machine): Simulation {
  if (simulation.fidelity !== 'steady') return simulation;
  const ops = simulation.ops.map((o, i) => ({ ...o, interval_s: intervalFor(trace[i]!, o, machine) }));
  const sum = (end: 'lo' | 'hi') => ops.reduce((s, o) => s + o.interval_s[end] * o.repeat, 0);
  return { ...simulation, interval_s: { lo: sum('lo'), hi: sum('hi') }, ops };
}

function intervalFor(op: Op, { time_s, bound_s }: { time_s: number; bound_s: number }, { uncertainty }: Machine) {
  const { lo_s, hi_s } = intervalOf(uncertainty ?? ASSUMED_SPREAD, classesOf(op, time_s), time_s);
  return { lo: Math.min(time_s, Math.max(bound_s, lo_s)), hi: Math.max(time_s, hi_s) };
}
