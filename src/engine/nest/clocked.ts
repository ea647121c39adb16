/** A machine with its clock at another frequency: rates of clocked stores go with it, energies with the voltage squared. */
import type { PeArray, ResourceGraph, Store, Unit } from '../../machine/graph.js';
import { voltageSquared } from '../energy.js';

export function clockedAt(machine: ResourceGraph, clock_Hz: number): ResourceGraph {
  const { control } = machine;
  const { nominal_Hz } = control.clock;
  if (clock_Hz === nominal_Hz) return machine;
  const slow = clock_Hz / nominal_Hz;
  const v2 = voltageSquared(control, clock_Hz);
  return {
    ...machine,
    control: { ...control, clock: { ...control.clock, nominal_Hz: clock_Hz } },
    stores: machine.stores.map((s) => (s.clocked ? clockedStore(s, slow, v2) : s)),
    units: machine.units.map((u) => clockedUnit(u, v2)),
    ...(machine.arrays && { arrays: machine.arrays.map((a) => clockedArray(a, v2)) }),
  };
}

const clockedStore = (s: Store, slow: number, v2: number): Store => ({
  ...s,
  read_B_per_s: s.read_B_per_s * slow,
  write_B_per_s: s.write_B_per_s * slow,
  read_pJ_per_B: s.read_pJ_per_B * v2,
  write_pJ_per_B: s.write_pJ_per_B * v2,
  ...(s.update_pJ_per_B !== undefined && { update_pJ_per_B: s.update_pJ_per_B * v2 }),
});

const clockedUnit = (u: Unit, v2: number): Unit => ({
  ...u,
  mma: u.mma.map((m) => ({ ...m, pJ_per_MAC: m.pJ_per_MAC * v2 })),
  math: Object.fromEntries(Object.entries(u.math).map(([fn, rate]) => [fn, { ...rate, pJ: rate.pJ * v2 }])),
});

const clockedArray = (a: PeArray, v2: number): PeArray => ({
  ...a,
  levels: a.levels.map((l) => ({ ...l, network: { ...l.network, pJ_per_B: l.network.pJ_per_B * v2 } })),
});
