/**
 * The verdict of a run, in a plain sentence: what bounds it, how near it is to the roof, what limits next.
 * What bounds: the resource whose ops take most of the time. What limits next: the busiest other resource where busy
 * times are known, else the one whose ops take the second most of the time.
 */
import { percent, quantity } from './format.js';
import type { Limit, Verdict } from './model.js';
import { opsOf, type SimulationJson } from './simulation.js';
import { resourceInWords } from './words.js';

/** Limits by share of the time, largest first; a single kernel has one with the whole of it. */
export function limitsOf(sim: SimulationJson): Limit[] {
  const time = new Map<string, number>();
  for (const op of opsOf(sim)) time.set(op.bound_by, (time.get(op.bound_by) ?? 0) + op.time_s * op.repeat);
  const sum = [...time.values()].reduce((a, b) => a + b, 0);
  const busy = busyOf(sim);
  return [...time]
    .map(([resource, time_s]) => ({
      resource,
      time_s,
      share: sum > 0 ? time_s / sum : 0,
      ...(busy[resource] === undefined ? {} : { busy: busy[resource] / sim.time_s }),
    }))
    .sort((a, b) => b.time_s - a.time_s || (a.resource < b.resource ? -1 : 1));
}

/** Busy seconds per resource: of the whole run, or summed over the ops. */
export function busyOf(sim: SimulationJson): Record<string, number> {
  if (sim.busy_s) return { ...sim.busy_s };
  const busy: Record<string, number> = {};
  for (const op of opsOf(sim))
    for (const [resource, time_s] of Object.entries(op.busy_s ?? {}))
      busy[resource] = (busy[resource] ?? 0) + time_s * op.repeat;
  return busy;
}

/** The verdict on `sim`; `subject` is its name in the sentence, e.g. "llama-2-7b:decode on h100-sxm". */
export function verdictOf(sim: SimulationJson, subject: string): Verdict {
  const limits = limitsOf(sim);
  const main = limits.find((l) => l.resource === sim.bound_by) ?? limits[0]!;
  const busy = Object.entries(busyOf(sim))
    .filter(([resource]) => resource !== sim.bound_by)
    .sort((a, b) => b[1] - a[1])[0];
  const second = limits.find((l) => l.resource !== sim.bound_by);
  const next = busy?.[0] ?? second?.resource;

  const { interval_s } = sim;
  const between = interval_s
    ? ` (nine in ten: ${quantity(interval_s.lo, 's')} to ${quantity(interval_s.hi, 's')})`
    : '';
  const sentences = [`${subject} takes ${quantity(sim.time_s, 's')}${between} and ${quantity(sim.energy_J, 'J')}.`];
  sentences.push(
    main.resource === sim.bound_by && limits.length > 1
      ? `It is bound by ${resourceInWords(sim.bound_by)}: ops so bound take ${percent(main.share)} of the time.`
      : `It is bound by ${resourceInWords(sim.bound_by)}.`,
  );
  sentences.push(`It runs at ${percent(sim.roof_fraction)} of the roof: ${roofReading(sim.roof_fraction)}.`);
  if (next && busy)
    sentences.push(`Next comes ${resourceInWords(next)}, busy ${percent(busy[1] / sim.time_s)} of the time.`);
  else if (next && second)
    sentences.push(`Next comes ${resourceInWords(next)}: ops so bound take ${percent(second.share)}.`);
  return {
    headline: `Bound by ${resourceInWords(sim.bound_by)}, ${percent(sim.roof_fraction)} of the roof`,
    sentence: sentences.join(' '),
    bound_by: sim.bound_by,
    roof_fraction: sim.roof_fraction,
    ...(next ? { next } : {}),
    limits,
  };
}

function roofReading(fraction: number): string {
  if (fraction >= 0.9) return 'little is left to gain on this machine';
  return `no schedule could be more than ${Number((1 / fraction).toPrecision(3))} times as fast on this machine`;
}
