/**
 * The steady engine: closed-form time and energy of one launch.
 *
 *   program ─demandOf─► segments ─reuseOf─► DRAM share ─pace─► time of a wave ─waves─► kernel ─power─► result
 *
 * Per execution of a segment, every resource has a busy time. With r workgroups on each of `active` cores the
 * segment's pace is the largest of: r × busy of a core's resources; active × r × busy of the machine's; what one
 * workgroup alone needs (dependences); and the latency of its asynchronous copies over the stages that hide it.
 */
import { InfeasibleError, positive } from '../../base/errors.js';
import { isMisfit, residency } from '../../kernel/fit.js';
import type { Launch } from '../../kernel/kernel.js';
import type { ResourceGraph } from '../../machine/graph.js';
import { energyByPart, totalEnergy } from '../energy.js';
import type { Context, RunResult, Traffic } from '../types.js';
import { type Costs, costsOf, DRAM, L2, LINK, MATRIX, PEER, PIPES } from './costs.js';
import { type Demand, demandOf, type Segment, type Transfer } from './demand.js';
import { type Reuse, reuseOf } from './reuse.js';

export function runSteady(launch: Launch, machine: ResourceGraph, context: Context): RunResult {
  const fit = residency(launch, machine);
  if (isMisfit(fit)) throw new InfeasibleError(`${launch.program.name} on ${machine.name}: ${fit.message}`);
  const costs = costsOf(machine);
  const demand = demandOf(launch.program, launch.mapping, costs);
  const concurrent = machine.cores.count * fit.workgroups_per_core;
  const reuse = reuseOf(demand, launch.program, launch.mapping, costs, context, concurrent);
  const model = new Model(demand, reuse, costs, fit.workgroups_per_core, context);
  return model.result(fit.limited_by);
}

/** Workgroups whose longest takes no more than this times the mean run in even waves. */
const EVEN = 1.02;

const LATENCY = -1;
const TAIL = -2;
const DISPATCH = -3;
const LAUNCH = -4;

class Model {
  private readonly miss = new Map<Transfer, number>();
  private scale = 1;
  private clock_Hz: number;
  private readonly coIssue: number;
  /** Time by what set the pace, for the verdict. */
  private causes = new Map<number, number>();
  /** Time of each segment in a lone workgroup. */
  private readonly times = new Map<Segment, number>();
  /** Per workgroup: busy cycles by resource, matrix and vector work in turn, bytes over each boundary. */
  private readonly totals: Float64Array;
  private turnsTotal = 0;
  private link_B = 0;
  private l2_B = 0;
  private far_B = 0;

  constructor(
    private readonly d: Demand,
    private readonly reuse: Reuse,
    private readonly costs: Costs,
    private readonly resident: number,
    private readonly context: Context,
  ) {
    d.transfers.forEach((t, i) => {
      this.miss.set(t, reuse.miss[i]!);
    });
    this.coIssue = costs.machine.cores.co_issue ?? 1;
    this.totals = new Float64Array(d.root.busy.length);
    this.total(d.root);
    this.clock_Hz = context.clock_Hz ?? costs.machine.control.clock.nominal_Hz;
  }

  private total(s: Segment): void {
    for (let i = 0; i < this.totals.length; i++) this.totals[i]! += s.busy[i]! * s.mean;
    this.turnsTotal += this.turns(s) * s.mean;
    this.link_B += s.link_B * s.mean;
    this.l2_B += s.l2_B * s.mean;
    this.far_B += s.far_B * s.mean;
    for (const c of s.children) this.total(c);
  }

  result(limited_by: string): RunResult {
    const { control } = this.costs.machine;
    let out = this.at(this.clock_Hz);
    if (this.context.clock_Hz === undefined && out.power_W > control.power_cap_W) {
      // clock and power together: power falls with the clock, so the highest clock within the cap is found by bisection
      let lo = control.clock.min_Hz;
      let hi = this.clock_Hz;
      for (let i = 0; i < 14; i++) {
        const mid = (lo + hi) / 2;
        out = this.at(mid);
        if (out.power_W > control.power_cap_W) hi = mid;
        else lo = mid;
      }
      out = this.at(lo);
    }
    return this.finish(out, limited_by);
  }

  private at(clock_Hz: number) {
    const { machine } = this.costs;
    this.clock_Hz = clock_Hz;
    this.scale = machine.control.clock.nominal_Hz / clock_Hz;
    this.causes = new Map();
    const { control } = machine;
    const launch_s =
      (this.context.launch === 'graph' ? control.launch_graph_s : control.launch_eager_s) +
      control.kernel_start_s +
      control.kernel_drain_s;
    const time_s = launch_s + this.kernelTime();
    const { moved, links } = this.moved();
    const parts = energyByPart(machine, this.d, moved, links, clock_Hz, time_s);
    const energy_J = totalEnergy(parts);
    return { time_s, launch_s, parts, energy_J, moved, power_W: energy_J / time_s };
  }

  private kernelTime(): number {
    const { machine, cache, coreLink, home, peer } = this.costs;
    const cores = machine.cores.count;
    const n = this.d.workgroups;
    const active = Math.min(cores, n);
    const perCore = Math.ceil(n / cores);
    const cycle = this.scale / machine.control.clock.nominal_Hz;
    const start = machine.control.workgroup_start_cycles * cycle;
    const uneven = unevenness(this.d.root);
    this.times.clear();
    const alone = start + this.time(this.d.root, active, false, 1);

    // every resource must serve all that is asked of it; before and after, one workgroup's other segments show
    let time = 0;
    let cause = LATENCY;
    const serve = (busy_s: number, resource: number, own: (s: Segment) => number) => {
      if (busy_s <= 0) return;
      const total = busy_s + this.beside(alone, own);
      if (total > time) {
        time = total;
        cause = resource;
      }
    };
    const share = uneven > EVEN ? n / cores : perCore;
    const { totals } = this;
    for (let i = 0; i < totals.length; i++)
      if (totals[i]! > 0 && (i < LINK || i >= PIPES)) serve(share * totals[i]! * cycle, i, (s) => s.busy[i]! * cycle);
    const turns = (s: Segment) => this.turns(s) * cycle;
    serve(share * this.turnsTotal * cycle, MATRIX, turns);
    if (coreLink) {
      const rate = coreLink.B_per_s / (coreLink.clocked ? this.scale : 1);
      serve((share * this.link_B) / rate, LINK, (s) => s.link_B / rate);
    }
    if (cache) {
      const rate = cache.read_B_per_s / (cache.clocked ? this.scale : 1);
      serve((n * this.l2_B) / rate, L2, (s) => (active * s.l2_B) / rate);
    }
    const sustained = home.read_B_per_s * home.sustained_fraction;
    serve(this.reuse.dram_read_B / sustained, DRAM, (s) => (active * this.dramOf(s)) / sustained);
    if (peer) serve((n * this.far_B) / peer.B_per_s, PEER, (s) => (active * s.far_B) / peer.B_per_s);

    // and workgroups must pass through the slots
    let latency: number;
    if (uneven <= EVEN) latency = Math.ceil(perCore / this.resident) * alone;
    else {
      const longest = start + this.time(this.d.root, active, true, 0);
      const slots = cores * this.resident;
      latency = n <= slots ? longest : (n / slots) * alone + 0.5 * longest;
      // whoever starts last finishes alone
      if (n > cores) {
        const tail = 0.5 * (longest - alone);
        this.charge(TAIL, tail);
        time += tail;
      }
    }
    if (latency >= time) {
      // causes of a lone workgroup hold for all of them
      const rounds = latency / alone;
      for (const [key, value] of this.causes) this.causes.set(key, value * rounds);
      time = latency;
    } else {
      this.causes.clear();
      this.charge(cause, time);
    }
    // written bytes reach DRAM in the background, but all of them must
    const dram = (this.reuse.dram_read_B + this.reuse.dram_write_B) / sustained;
    if (dram > time) {
      this.causes.clear();
      this.charge(DRAM, dram);
      time = dram;
    }
    const dispatch = n * machine.control.dispatch_interval_s;
    if (dispatch > time) {
      this.causes.clear();
      this.charge(DISPATCH, dispatch);
      time = dispatch;
    }
    return time;
  }

  /** Time of a lone workgroup outside the segment that uses a resource most: what shows beside its service. */
  private beside(alone: number, own: (s: Segment) => number): number {
    let most = 0;
    let where: Segment | undefined;
    for (const s of this.times.keys()) {
      const busy = own(s) * s.mean;
      if (busy > most) {
        most = busy;
        where = s;
      }
    }
    if (!where) return 0;
    return Math.max(0, alone - (where === this.d.root ? most : Math.max(most, this.times.get(where)!)));
  }

  private dramOf(s: Segment): number {
    let bytes = 0;
    for (const t of s.transfers) if (!t.write && !t.tensor.home) bytes += t.bytes * (this.miss.get(t) ?? 0);
    return bytes;
  }

  /** Cycles that matrix work and the vector work it cannot hide take in turn. */
  private turns(s: Segment): number {
    return s.busy[MATRIX]! > 0 ? s.busy[MATRIX]! + (1 - this.coIssue) * s.vector_cycles : 0;
  }

  private charge(cause: number, time_s: number): void {
    this.causes.set(cause, (this.causes.get(cause) ?? 0) + time_s);
  }

  /** Time of one execution of a segment by a lone workgroup on each active core, its children's loops included. */
  private time(s: Segment, active: number, longest: boolean, weight: number): number {
    const { machine, cache, coreLink, home, peer } = this.costs;
    const cycle = this.scale / machine.control.clock.nominal_Hz;
    let children = 0;
    for (const c of s.children) {
      const trips = longest ? c.most / s.most : c.mean / s.mean;
      children += trips * this.time(c, active, longest, weight * trips) + this.fill(c, active, weight);
    }
    let alone = s.alone_cycles * cycle;
    let round = 0;
    let stages = Number.POSITIVE_INFINITY;
    for (const t of s.transfers) {
      const own = this.ownTime(t);
      if (t.write) alone += own;
      else if (t.stages <= 1 || s === this.d.root) alone += own + this.latency(t);
      else {
        round = Math.max(round, own + this.latency(t));
        stages = Math.min(stages, t.stages);
      }
    }
    let pace = alone;
    let cause = LATENCY;
    const consider = (busy: number, resource: number) => {
      if (busy > pace) {
        pace = busy;
        cause = resource;
      }
    };
    // a buffer goes round in the time its copy takes and the iteration that reads it; there are `stages` of them
    if (round > 0) consider((round + alone + children) / stages - children, LATENCY);
    for (let i = 0; i < s.busy.length; i++) if (i < LINK || i >= PIPES) consider(s.busy[i]! * cycle, i);
    if (coreLink) consider(s.link_B / (coreLink.B_per_s / (coreLink.clocked ? this.scale : 1)), LINK);
    if (cache) consider((active * s.l2_B) / (cache.read_B_per_s / (cache.clocked ? this.scale : 1)), L2);
    consider((active * this.dramOf(s)) / (home.read_B_per_s * home.sustained_fraction), DRAM);
    if (peer && s.far_B > 0) consider((active * s.far_B) / peer.B_per_s, PEER);
    if (weight > 0) {
      this.charge(cause, pace * weight);
      this.times.set(s, pace * weight);
    }
    return pace + children;
  }

  /** Before a pipelined loop's first iteration its first tiles must arrive. */
  private fill(c: Segment, active: number, weight: number): number {
    let fill = 0;
    let bytes = 0;
    let dram = 0;
    for (const t of c.transfers) {
      if (t.write || t.stages <= 1) continue;
      fill = Math.max(fill, this.latency(t));
      bytes += t.bytes;
      dram += t.bytes * (this.miss.get(t) ?? 0);
    }
    if (bytes === 0) return 0;
    const { coreLink, home } = this.costs;
    const own = coreLink ? bytes / (coreLink.B_per_s / (coreLink.clocked ? this.scale : 1)) : 0;
    fill += Math.max(own, (active * dram) / (home.read_B_per_s * home.sustained_fraction));
    if (weight > 0) this.charge(LATENCY, fill * weight);
    return fill;
  }

  /** Time of a transfer over the core's link with nobody else on it, in-flight limit included. */
  private ownTime(t: Transfer): number {
    const { coreLink } = this.costs;
    if (!coreLink) return 0;
    const rate = coreLink.B_per_s / (coreLink.clocked ? this.scale : 1);
    const latency = this.latency(t);
    const limited =
      Number.isFinite(coreLink.in_flight_B) && latency > 0 ? Math.min(rate, coreLink.in_flight_B / latency) : rate;
    return t.bytes / (t.write ? rate : limited);
  }

  private latency(t: Transfer): number {
    const { cache, coreLink, home, peer } = this.costs;
    if (t.tensor.home) return (peer?.latency_s ?? 0) + (coreLink?.latency_s ?? 0) * this.scale;
    const near =
      ((cache?.latency_s ?? 0) + (cache?.far ? cache.far.extra_latency_s * cache.far.share : 0)) *
        (cache?.clocked ? this.scale : 1) +
      (coreLink?.latency_s ?? 0) * this.scale;
    // one miss in a tile delays all of it
    return (this.miss.get(t) ?? 0) > 0.02 ? Math.max(near, home.latency_s) : near;
  }

  private moved(): { moved: Record<string, Traffic>; links: Record<string, number> } {
    const { home, cache, shared, l1, register, coreLink, peer } = this.costs;
    const moved: Record<string, Traffic> = {};
    moved[home.id] = { read_B: this.reuse.dram_read_B, write_B: this.reuse.dram_write_B };
    let read_B = 0;
    let write_B = 0;
    let far = 0;
    let port = 0;
    for (const t of this.d.transfers) {
      port += t.total_B;
      if (t.tensor.home) far += t.total_B;
      else if (t.write) write_B += t.total_B;
      else read_B += t.total_B / t.shared_by;
    }
    if (cache) moved[cache.id] = { read_B, write_B };
    if (l1) moved[l1.id] = { read_B: this.d.l1_B, write_B: 0 };
    if (shared) moved[shared.id] = { read_B: this.d.shared_read_B, write_B: this.d.shared_write_B };
    if (register) moved[register.id] = { read_B: this.d.register_read_B, write_B: this.d.register_write_B };
    const links: Record<string, number> = {};
    if (coreLink) links[coreLink.id] = port;
    if (peer && far > 0) links[peer.id] = far;
    // near stores pay for the way to and from the lanes
    for (const l of this.costs.machine.links) {
      if (l.scope !== 'core' || l.to !== 'register') continue;
      if (l.from === shared?.id) links[l.id] = this.d.shared_read_B + this.d.shared_write_B;
      else if (l.from === l1?.id) links[l.id] = this.d.l1_B;
    }
    return { moved, links };
  }

  private finish(out: ReturnType<Model['at']>, limited_by: string): RunResult {
    const { costs, d } = this;
    const requested: Record<string, Traffic> = { [costs.home.id]: { read_B: 0, write_B: 0 } };
    for (const t of d.transfers) {
      const at = t.tensor.home ?? costs.home.id;
      requested[at] ??= { read_B: 0, write_B: 0 };
      if (t.write) requested[at].write_B += t.total_B;
      else requested[at].read_B += t.total_B;
    }
    if (costs.shared)
      requested[costs.shared.id] = { read_B: d.requested.shared_read_B, write_B: d.requested.shared_write_B };
    if (costs.register)
      requested[costs.register.id] = { read_B: d.requested.register_read_B, write_B: d.requested.register_write_B };
    this.charge(LAUNCH, out.launch_s);
    const concurrent = costs.machine.cores.count * this.resident;
    return {
      fidelity: 'steady',
      time_s: positive(out.time_s, `time of ${costs.machine.name}`),
      launch_s: out.launch_s,
      energy_J: positive(out.energy_J, 'energy'),
      energy_by_part_J: out.parts,
      power_W: out.power_W,
      clock_Hz: this.clock_Hz,
      flops_executed: d.flops,
      requested_B: requested,
      moved_B: out.moved,
      bound_by: this.boundBy(),
      busy_s: this.busy(),
      detail: {
        workgroups: d.workgroups,
        resident_per_core: this.resident,
        limited_by,
        waves: d.workgroups / concurrent,
      },
    };
  }

  private boundBy(): string {
    const byName = new Map<string, number>();
    for (const [cause, time] of this.causes)
      byName.set(this.causeName(cause), (byName.get(this.causeName(cause)) ?? 0) + time);
    let best = 'latency';
    let most = -1;
    for (const [name, time] of byName)
      if (time > most) {
        best = name;
        most = time;
      }
    return best;
  }

  private causeName(cause: number): string {
    if (cause === LATENCY) return 'latency';
    if (cause === TAIL) return 'tail';
    if (cause === DISPATCH) return 'dispatch';
    if (cause === LAUNCH) return 'launch';
    return resourceName(this.costs, cause);
  }

  /** Busy time of each resource over the kernel, were it spread evenly over the cores. */
  private busy(): Record<string, number> {
    const { costs, d } = this;
    const total = new Float64Array(PIPES + costs.pipes.length);
    const visit = (s: Segment): void => {
      for (let i = 0; i < total.length; i++) total[i]! += s.busy[i]! * s.nest.count;
      s.children.forEach(visit);
    };
    visit(d.root);
    const busy: Record<string, number> = {};
    const perCore = this.scale / costs.machine.control.clock.nominal_Hz / costs.machine.cores.count;
    for (let i = 0; i < total.length; i++) {
      if (total[i]! === 0) continue;
      const name = resourceName(costs, i);
      busy[name] = Math.max(busy[name] ?? 0, total[i]! * perCore);
    }
    let bytes = 0;
    for (const t of d.transfers) if (!t.tensor.home) bytes += t.total_B / t.shared_by;
    if (costs.cache) busy[costs.cache.id] = bytes / (costs.cache.read_B_per_s / (costs.cache.clocked ? this.scale : 1));
    busy[costs.home.id] =
      (this.reuse.dram_read_B + this.reuse.dram_write_B) / (costs.home.read_B_per_s * costs.home.sustained_fraction);
    return busy;
  }
}

function resourceName(costs: Costs, i: number): string {
  if (i >= PIPES) {
    const special = costs.math('exp2', 'fp32').cycles[i - PIPES]! > 0;
    return special ? 'special' : 'vector';
  }
  if (i === DRAM) return costs.home.id;
  if (i === L2) return costs.cache?.id ?? 'l2';
  return costs.names[i]!;
}

/** Longest workgroup over the mean one, by trips of its loops. */
function unevenness(s: Segment): number {
  let worst = s.mean > 0 ? s.most / s.mean : 1;
  for (const c of s.children) worst = Math.max(worst, unevenness(c));
  return worst;
}
