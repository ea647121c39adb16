/** Energy of a launch in two parts, what goes with the supply voltage and what does not, so that a clock costs little. */
import { energyByPart, voltageSquared } from '../energy.js';
import type { EnergyByPart, Traffic } from '../types.js';
import type { Costs } from './costs.js';
import type { Demand } from './demand.js';
import type { Reuse } from './reuse.js';

export class Energy {
  constructor(
    private readonly d: Demand,
    private readonly reuse: Reuse,
    private readonly costs: Costs,
  ) {}

  /** Total in J of a run of `time_s` at a clock; the parts sum to it. */
  at(clock_Hz: number, time_s: number): number {
    if (this.clocked_J < 0) this.sum();
    const { control } = this.costs.machine;
    return this.clocked_J * voltageSquared(control, clock_Hz) + this.steady_J + control.static_W * time_s;
  }

  private clocked_J = -1;
  private steady_J = 0;

  /** As `energyByPart`, in one pass and two sums. */
  private sum(): void {
    const { d, reuse, costs } = this;
    let in_B = 0;
    let out_B = 0;
    let read_B = 0;
    let write_B = 0;
    let clocked = d.matrix_pJ + d.vector_pJ;
    let fixed = 0;
    const { transfers } = d;
    for (let i = 0; i < transfers.length; i++) {
      const t = transfers[i]!;
      const bytes = t.total_B * t.widening;
      if (t.write) out_B += bytes;
      else in_B += bytes;
      if (t.remote) {
        const { link, store } = costs.remote(t.tensor.home!);
        if (link) {
          if (link.clocked) clocked += bytes * link.pJ_per_B;
          else fixed += bytes * link.pJ_per_B;
        }
        if (store) {
          const pJ = bytes * (t.write ? store.write_pJ_per_B : store.read_pJ_per_B);
          if (store.clocked) clocked += pJ;
          else fixed += pJ;
        }
      } else if (t.write) write_B += bytes;
      else read_B += bytes / t.shared_by;
    }
    const { flow } = costs;
    const bytes = [
      reuse.dram_read_B,
      reuse.dram_write_B,
      read_B,
      write_B,
      d.l1_B,
      d.shared_read_B,
      d.shared_write_B,
      d.register_read_B,
      d.register_write_B,
      in_B,
      out_B,
    ];
    for (let i = 0; i < bytes.length; i++) {
      clocked += bytes[i]! * flow.clocked_pJ[i]!;
      fixed += bytes[i]! * flow.fixed_pJ[i]!;
    }
    this.clocked_J = clocked * 1e-12;
    this.steady_J = fixed * 1e-12;
  }

  parts(clock_Hz: number, time_s: number): EnergyByPart {
    const { moved, links } = this.traffic();
    return energyByPart(this.costs.machine, this.d, moved, links, clock_Hz, time_s);
  }

  private known: { moved: Record<string, Traffic>; links: Record<string, number> } | undefined;

  /** Bytes by store and by link. */
  traffic(): { moved: Record<string, Traffic>; links: Record<string, number> } {
    if (this.known) return this.known;
    const { home, cache, shared, l1, register, linkIn, linkOut } = this.costs;
    const { d } = this;
    const moved: Record<string, Traffic> = {};
    moved[home.id] = { read_B: this.reuse.dram_read_B, write_B: this.reuse.dram_write_B };
    const links: Record<string, number> = {};
    let read_B = 0;
    let write_B = 0;
    let in_B = 0;
    let out_B = 0;
    for (const t of d.transfers) {
      const bytes = t.total_B * t.widening;
      if (t.write) out_B += bytes;
      else in_B += bytes;
      if (t.remote) {
        const at = (moved[t.tensor.home!] ??= { read_B: 0, write_B: 0 });
        if (t.write) at.write_B += bytes;
        else at.read_B += bytes;
        const { link } = this.costs.remote(t.tensor.home!);
        if (link) links[link.id] = (links[link.id] ?? 0) + bytes;
      } else if (t.write) write_B += bytes;
      else read_B += bytes / t.shared_by;
    }
    if (cache) moved[cache.id] = { read_B, write_B };
    if (l1) moved[l1.id] = { read_B: d.l1_B, write_B: 0 };
    if (shared) moved[shared.id] = { read_B: d.shared_read_B, write_B: d.shared_write_B };
    if (register) moved[register.id] = { read_B: d.register_read_B, write_B: d.register_write_B };
    if (linkIn) links[linkIn.id] = in_B;
    if (linkOut) links[linkOut.id] = (links[linkOut.id] ?? 0) + out_B;
    // near stores pay for the way to and from the lanes
    for (const l of this.costs.machine.links) {
      if (l.scope !== 'core' || l.to !== 'register') continue;
      if (l.from === shared?.id) links[l.id] = d.shared_read_B + d.shared_write_B;
      else if (l.from === l1?.id) links[l.id] = d.l1_B;
    }
    this.known = { moved, links };
    return this.known;
  }
}
