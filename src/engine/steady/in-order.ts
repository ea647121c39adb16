/**
 * Cores whose lane groups take turns and do everything themselves, one instruction after another. A statement takes
 * the sum over its instructions (kernel/lane-work.ts), in cycles of a core:
 *
 *   max(loads and stores, arithmetic) + serial · min(both) + turns of loops + barriers
 */
import type { Program } from '../../kernel/ir.js';
import type { Mapping } from '../../kernel/kernel.js';
import { type Accesses, type Lanes, type LaneWork, lanesOf } from '../../kernel/lane-count.js';
import { type ProgramWork, programWork } from '../../kernel/lane-work.js';
import type { Link, ResourceGraph, Store } from '../../machine/graph.js';
import type { Costs, ElementCost } from './costs.js';

/** Words of a vector access. */
const FOUR_B = 16;

/** What a group's access takes, of one word and of four. */
interface Port {
  readonly one: number;
  readonly four: number;
}
interface Ports {
  readonly near_loads: Port;
  readonly near_stores: Port;
  readonly far_loads: Port;
  readonly far_stores: Port;
}

/** Cycles of a statement: what it always takes, and what goes with the share of its view that is inside its tensor. */
export interface LaneCycles {
  near: number;
  far: number;
  /** By resource of the core. */
  readonly pipes: number[];
  math: number;
  overhead: number;
  barriers: number;
}

export class InOrderCosts {
  private readonly plain: Ports;
  private readonly meeting: Ports;
  private readonly serial: number;
  private readonly turn: number;
  private readonly place: number;
  private readonly barrier: number;
  private readonly barrierGroup: number;
  private readonly atomic: number;
  private readonly group: number;
  private readonly lanes: Lanes;
  private readonly startGroup: number;
  private readonly cycles: LaneCycles = { near: 0, far: 0, pipes: [], math: 0, overhead: 0, barriers: 0 };

  constructor(private readonly costs: Costs) {
    const { machine, shared, home } = costs;
    const { cores, control } = machine;
    const nominal = control.clock.nominal_Hz;
    this.group = cores.lane_group;
    this.lanes = lanesOf(machine);
    this.plain = portsOf(machine, shared, false);
    this.meeting = portsOf(machine, shared, true);
    this.serial = cores.serial ?? 0;
    this.turn = cores.in_order!.turn_cycles;
    this.place = cores.in_order!.place_cycles;
    this.barrier = control.barrier_cycles;
    this.barrierGroup = control.barrier_group_cycles ?? 0;
    this.startGroup = control.workgroup_start_group_cycles ?? 0;
    this.atomic = home.atomics_per_s ? (this.group * nominal * cores.count) / home.atomics_per_s : 0;
    for (let r = 0; r < 3 + costs.pipes.length; r++) this.cycles.pipes.push(0);
  }

  workOf(program: Program, mapping: Mapping): ProgramWork {
    return programWork(program, mapping.lanes, this.lanes);
  }

  startCycles(groups: number): number {
    return this.startGroup * groups;
  }

  /** `inside`: share of the tensor's elements that are accessed, others being past its edge. The result is used anew. */
  of(w: LaneWork, groups: number, inside: number): LaneCycles {
    const { cycles } = this;
    const ports = w.meeting ? this.meeting : this.plain;
    cycles.near = accesses(w.near_loads, ports.near_loads) + accesses(w.near_stores, ports.near_stores);
    cycles.far =
      inside *
      (accesses(w.far_loads, ports.far_loads) + accesses(w.far_stores, ports.far_stores) + w.atomics * this.atomic);
    cycles.overhead = w.turns * this.turn + w.places * this.place;
    cycles.barriers = w.barriers * (this.barrier + this.barrierGroup * groups);
    cycles.pipes.fill(0);
    cycles.math = 0;
    for (const m of w.math) {
      const cost: ElementCost = this.costs.math(m.fn, m.dtype);
      const n = m.n * this.group;
      cycles.math += cost.longest * n;
      for (let i = 0; i < cost.pipes.length; i++) cycles.pipes[cost.pipes[i]!]! += cost.cycles[i]! * n;
    }
    return cycles;
  }

  total(c: LaneCycles): number {
    const port = c.near + c.far;
    return Math.max(port, c.math) + this.serial * Math.min(port, c.math) + c.overhead + c.barriers;
  }
}

const accesses = (a: Accesses, port: Port): number => a.one * port.one + a.four * port.four;

function portsOf(machine: ResourceGraph, shared: Store | undefined, meeting: boolean): Ports {
  const nominal = machine.control.clock.nominal_Hz;
  const { lane_group } = machine.cores;
  const port = (B_per_s: number, access_s: number): Port => {
    const bytes = (lane_group * FOUR_B) / B_per_s;
    return { one: Math.max(access_s, bytes / 4) * nominal, four: Math.max(access_s, bytes) * nominal };
  };
  const near = meeting && shared?.meeting ? { ...shared, ...shared.meeting } : shared;
  const ofLink = (l: Link | undefined): Port => {
    if (!l) return { one: 0, four: 0 };
    const at = meeting && l.meeting ? { ...l, ...l.meeting } : l;
    return port(at.B_per_s, at.access_s ?? 0);
  };
  return {
    near_loads: near ? port(near.read_B_per_s, near.read_access_s ?? 0) : { one: 0, four: 0 },
    near_stores: near ? port(near.write_B_per_s, near.write_access_s ?? 0) : { one: 0, four: 0 },
    far_loads: ofLink(machine.links.find((l) => l.to === 'register' && l.from !== shared?.id)),
    far_stores: ofLink(machine.links.find((l) => l.from === 'register')),
  };
}
