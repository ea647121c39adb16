/** A store's bandwidth in bytes per core cycle, as it is sustained; Infinity where it is no limit. */
import type { Store } from '../../machine/graph.js';

export function bandwidthOf(
  s: Store,
  clock_Hz: number,
): { readonly read_B_per_cycle: number; readonly write_B_per_cycle: number } {
  return {
    read_B_per_cycle: (s.read_B_per_s * s.sustained_fraction) / clock_Hz,
    write_B_per_cycle: (s.write_B_per_s * s.sustained_fraction) / clock_Hz,
  };
}
