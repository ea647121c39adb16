/**
 * Roofs of a machine: peak FLOP/s per number format and peak bandwidth per memory level, of the whole device.
 * Williams, Waterman, Patterson, "Roofline", CACM 52(4), 2009; per level: Ilic, Pratas, Sousa, IEEE CAL 13(1), 2014.
 */
import type { DType } from '../base/dtype.js';
import { mathRateOf, type ResourceGraph } from '../machine/graph.js';
import type { ComputeRoof, MemoryRoof } from './model.js';

/** Registers, and the stores of array elements, feed the units directly and disks feed no kernel: neither bounds a kernel's traffic as a roof. */
const NOT_ROOFS = new Set(['register', 'disk', 'host']);

/** Bandwidth per store, far to near, all instances together. */
export function memoryRoofs(machine: ResourceGraph): MemoryRoof[] {
  return machine.stores
    .filter((s) => !NOT_ROOFS.has(s.id) && s.instances === undefined)
    .map((s) => ({
      store: s.id,
      // points count both directions, so ports of their own add up
      B_per_s:
        (s.shared_port ? Math.max(s.read_B_per_s, s.write_B_per_s) : s.read_B_per_s + s.write_B_per_s) *
        (s.scope === 'core' ? machine.cores.count : 1),
      sustained_fraction: s.sustained_fraction,
    }))
    .filter((roof) => Number.isFinite(roof.B_per_s) && roof.B_per_s > 0);
}

/** Peak per rate, fastest first: matrix formats (both operands alike, dense, fastest accumulator, issued by several lanes together) and fp32 multiply–adds. */
export function computeRoofs(machine: ResourceGraph): ComputeRoof[] {
  const perCore = new Map<DType, number>();
  for (const unit of machine.units)
    for (const op of unit.mma)
      if (op.a === op.b && op.lanes > 1) perCore.set(op.a, Math.max(perCore.get(op.a) ?? 0, op.macs_per_cycle));
  const cycles = machine.cores.count * machine.control.clock.nominal_Hz;
  const byRate = new Map<number, string[]>();
  for (const [dtype, macs] of perCore) {
    const rate = 2 * macs * cycles;
    byRate.set(rate, [...(byRate.get(rate) ?? []), dtype]);
  }
  const roofs: ComputeRoof[] = [...byRate].map(([flops_per_s, dtypes]) => ({ unit: 'matrix', dtypes, flops_per_s }));
  const fma = mathRateOf(machine, 'fma', 'fp32');
  if (fma) roofs.push({ unit: 'vector', dtypes: ['fp32'], flops_per_s: 2 * fma.rate.per_cycle * cycles });
  return roofs.filter((r) => r.flops_per_s > 0).sort((a, b) => b.flops_per_s - a.flops_per_s);
}
