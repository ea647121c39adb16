/** The clock that a power cap leaves: the highest at which a run stays within it. */
import { InfeasibleError } from '../base/errors.js';
import type { ResourceGraph } from '../machine/graph.js';

/** Within this of the cap a clock is good enough. */
const POWER_TOLERANCE = 0.002;
const MAX_STEPS = 8;

interface Drawn {
  readonly time_s: number;
  readonly energy_J: number;
}

export interface Governed extends Drawn {
  readonly clock_Hz: number;
  /** Even the lowest clock draws too much: the device pauses now and then, so that the mean is at the cap. */
  readonly paused: boolean;
}

/**
 * @param nominal the run at `nominal_Hz`, which draws more than the cap
 * @param at the same run at another clock
 * @throws InfeasibleError when the cap is below what is drawn whatever runs
 */
export function underCap(
  { name, control }: ResourceGraph,
  nominal_Hz: number,
  nominal: Drawn,
  at: (clock_Hz: number) => Drawn,
): Governed {
  const cap = control.power_cap_W;
  if (control.static_W >= cap)
    throw new InfeasibleError(`${name} draws ${control.static_W} W whatever runs, its cap is ${cap} W`);
  // Clock and power together. Power rises with the clock; the highest clock within the cap lies between `lo`, which
  // keeps it, and `hi`, which does not: the line through both, drawn a little towards the safe side.
  let hi = nominal_Hz;
  let hiPower = nominal.energy_J / nominal.time_s;
  let lo = control.clock.min_Hz;
  let best = at(lo);
  let loPower = best.energy_J / best.time_s;
  if (loPower > cap) {
    const dynamic_J = best.energy_J - control.static_W * best.time_s;
    const time_s = dynamic_J / (cap - control.static_W);
    return { clock_Hz: lo, time_s, energy_J: dynamic_J + control.static_W * time_s, paused: true };
  }
  for (let i = 0; i < MAX_STEPS && loPower < cap * (1 - POWER_TOLERANCE); i++) {
    const aim = cap * (1 - POWER_TOLERANCE / 2);
    const share = (aim - loPower) / (hiPower - loPower);
    const clock = lo + (hi - lo) * Math.min(0.97, Math.max(0.03, share));
    const run = at(clock);
    if (run.energy_J > cap * run.time_s) {
      hi = clock;
      hiPower = run.energy_J / run.time_s;
    } else {
      lo = clock;
      loPower = run.energy_J / run.time_s;
      best = run;
    }
  }
  return { clock_Hz: lo, time_s: best.time_s, energy_J: best.energy_J, paused: false };
}
