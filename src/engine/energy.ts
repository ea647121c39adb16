/**
 * Energy: counts of actions × energy per action, plus static power × time. Parts in hierarchy order; they sum to the
 * total by construction. Clocked parts scale with the square of the supply voltage at the clock that is run.
 */
import type { Control, ResourceGraph } from '../machine/graph.js';
import type { EnergyByPart, Traffic } from './types.js';

/** Dynamic energy of the units at nominal voltage, by part, in pJ. */
export interface UnitEnergy {
  matrix_pJ: number;
  vector_pJ: number;
}

/** V(f)/V(nominal), squared: what dynamic energy of clocked parts is multiplied by. */
export function voltageSquared(control: Control, clock_Hz: number): number {
  const { nominal_Hz, voltage_floor } = control.clock;
  const v = voltage_floor + (1 - voltage_floor) * (clock_Hz / nominal_Hz);
  return v * v;
}

/**
 * Energy of a run in J by part: units, each store and each link, and static power over `time_s`.
 * `link_B` holds bytes by link id.
 */
export function energyByPart(
  machine: ResourceGraph,
  units: UnitEnergy,
  moved_B: Readonly<Record<string, Traffic>>,
  link_B: Readonly<Record<string, number>>,
  clock_Hz: number,
  time_s: number,
): EnergyByPart {
  const v2 = voltageSquared(machine.control, clock_Hz);
  const parts: EnergyByPart = { matrix: units.matrix_pJ * v2 * 1e-12, vector: units.vector_pJ * v2 * 1e-12 };
  for (let i = machine.stores.length - 1; i >= 0; i--) {
    const store = machine.stores[i]!;
    const t = moved_B[store.id];
    if (t)
      parts[store.id] =
        (t.read_B * store.read_pJ_per_B + t.write_B * store.write_pJ_per_B) * (store.clocked ? v2 : 1) * 1e-12;
  }
  let link = 0;
  for (const l of machine.links) link += (link_B[l.id] ?? 0) * l.pJ_per_B * (l.clocked ? v2 : 1) * 1e-12;
  if (link > 0) parts['link'] = link;
  parts['static'] = machine.control.static_W * time_s;
  return parts;
}

/** Sum of the parts, in J. */
export function totalEnergy(parts: EnergyByPart): number {
  let total = 0;
  for (const key in parts) total += parts[key]!;
  return total;
}
