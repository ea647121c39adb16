/**
 * Cores whose lane groups take turns: a statement holds its workgroup for all that its groups do, one instruction after
 * another (kernel/lane-work.ts). Accesses of tensors go with how much of the view is inside the tensor each time.
 */
import { InfeasibleError } from '../../base/errors.js';
import type { Launch } from '../../kernel/kernel.js';
import { type Accesses, type LaneWork, lanesOf } from '../../kernel/lane-count.js';
import { programWork, type WorkNode } from '../../kernel/lane-work.js';
import { mathRateOf, type ResourceGraph } from '../../machine/graph.js';

/** Cycles: always, and per share of the view that is inside; arithmetic apart, since part of it overlaps. */
export interface Hold {
  readonly near: number;
  readonly far: number;
  readonly math: number;
  readonly besides: number;
}

/** A lane moves at most four words at once. */
const WORDS = 4;
const WORD_B = 4;

export class InOrder {
  readonly body: readonly WorkNode[];
  readonly start_cycles: number;
  private readonly groups: number;

  constructor(
    launch: Launch,
    private readonly machine: ResourceGraph,
  ) {
    const { control } = machine;
    const work = programWork(launch.program, launch.mapping.lanes, lanesOf(machine));
    this.body = work.body;
    this.groups = work.groups;
    this.start_cycles = (control.workgroup_start_group_cycles ?? 0) * work.groups;
  }

  hold(w: LaneWork): Hold {
    const { cores, control, stores, links } = this.machine;
    const shared = stores.find((s) => s.id === 'shared');
    const near = w.meeting && shared?.meeting ? shared.meeting : shared;
    const load = links.find((l) => l.to === 'register' && l.from !== 'shared');
    const store = links.find((l) => l.from === 'register');
    const loads = w.meeting && load?.meeting ? load.meeting : load;
    const stores_ = w.meeting && store?.meeting ? store.meeting : store;
    const { in_order } = cores;
    let math = 0;
    for (const { fn, dtype, n } of w.math) {
      const found = mathRateOf(this.machine, fn, dtype);
      if (!found) throw new InfeasibleError(`${this.machine.name} cannot do ${fn} on ${dtype}`);
      math += (n * cores.lane_group) / found.rate.per_cycle;
    }
    const atomics = stores[0]?.atomics_per_s;
    const updates_s = atomics ? (w.atomics * cores.lane_group * cores.count) / atomics : 0;
    const nominal = control.clock.nominal_Hz;
    return {
      near:
        nominal *
        (this.time(w.near_loads, near?.read_B_per_s, near?.read_access_s) +
          this.time(w.near_stores, near?.write_B_per_s, near?.write_access_s)),
      far:
        nominal *
        (this.time(w.far_loads, loads?.B_per_s, loads?.access_s) +
          this.time(w.far_stores, stores_?.B_per_s, stores_?.access_s) +
          updates_s),
      math,
      besides:
        w.turns * (in_order?.turn_cycles ?? 0) +
        w.places * (in_order?.place_cycles ?? 0) +
        w.barriers * (control.barrier_cycles + (control.barrier_group_cycles ?? 0) * this.groups),
    };
  }

  /** With a share `inside` of the view in its tensor. */
  cycles(h: Hold, inside: number): number {
    const port = h.near + h.far * inside;
    const { serial } = this.machine.cores;
    return Math.max(port, h.math) + (serial ?? 0) * Math.min(port, h.math) + h.besides;
  }

  private time(a: Accesses, B_per_s = Number.POSITIVE_INFINITY, access_s = 0): number {
    const one_s = (this.machine.cores.lane_group * WORD_B) / B_per_s;
    return a.one * Math.max(access_s, one_s) + a.four * Math.max(access_s, WORDS * one_s);
  }
}
