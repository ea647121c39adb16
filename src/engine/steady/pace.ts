/**
 * Time of a kernel at a clock. Two times of a workgroup are worked out segment by segment: `alone`, with nobody else on
 * the machine, and `together`, with as many as fit, all in step. With them:
 *
 *   slots     workgroups pass through the slots one after another, each at least as long as it takes alone
 *   step      when all run at once they do the same things at the same time
 *   service   every resource must serve all that is asked of it; what a workgroup does before the first and after the
 *             last of that shows beside it. Between one workgroup of a slot and the next it shows only as far as it is
 *             longer than the spread with which workgroups leave the resource's queue, one after another.
 *   phase     workgroups that multiply and start together stay together: wave after wave loads, multiplies and stores,
 *             and the resources of one wait for the other. Those that share a core drift apart as they queue for its
 *             units: of what staying in phase would take longer, one of `resident` parts shows (seen on the A100 in large
 *             products of short k)
 */
import { BEYOND, CACHE, type Costs, DRAM, LINK, MATRIX, PEER } from './costs.js';
import type { Demand, Segment } from './demand.js';
import type { Reuse } from './reuse.js';

/** What can set the pace besides a resource. */
export const LATENCY = -1;
export const TAIL = -2;
export const DISPATCH = -3;

/** Workgroups whose longest takes no more than this times the mean run in even waves. */
const EVEN = 1.02;
/** A copy of which less than this comes from DRAM is taken for a hit. */
const RARE_MISS = 0.02;
/** Uneven workgroups are placed one by one up to this many for each slot. */
const MOST_PLACED = 4;

/** Copies of one workgroup that are asked for together, with nothing else on the way. */
class Loads {
  bytes = 0;
  latency = 0;
  private nearest = Number.POSITIVE_INFINITY;
  private farthest_B = 0;
  private window = 0;

  clear(): void {
    this.bytes = 0;
    this.latency = 0;
    this.nearest = Number.POSITIVE_INFINITY;
    this.farthest_B = 0;
    this.window = 0;
  }

  /** `window`: time that the core's window of bytes in flight takes for them at full flow. */
  add(bytes: number, latency: number, window: number): void {
    this.bytes += bytes;
    this.window += window;
    if (latency > this.latency) {
      this.latency = latency;
      this.farthest_B = 0;
    }
    if (latency === this.latency) this.farthest_B += bytes;
    if (latency < this.nearest) this.nearest = latency;
  }

  /** Until the last is there: what is near arrives while the rest is on its way; a window's worth goes at once. */
  time(in_s: number): number {
    if (this.bytes === 0) return 0;
    return Math.max(this.latency + this.farthest_B * in_s, this.nearest + this.bytes * in_s, this.window);
  }
}

const ahead = new Loads();
const group = new Loads();

export class Pace {
  /** Of the time last worked out: what decided it, a resource or one of the above, and what tails added. */
  cause = LATENCY;
  tail_s = 0;
  /** A core's resources come first, `beyond` on those of the machine and the way to it. */
  private readonly beyond: number;
  private readonly slots: number;
  private readonly resident: number;
  /** Workgroups at once on the machine, and on its fullest core. */
  private readonly concurrent: number;
  private readonly perCore: number;
  /** Workgroups of the busiest core over the kernel, and how often its slots are filled. */
  private readonly share: number;
  private readonly waves: number;
  /** Time of DRAM for all, per byte read, and per byte that stores bring into the cache. */
  private readonly dramTotal_s: number;
  private readonly dramRead_s_per_B: number;
  private readonly dramWrite_s_per_B: number;

  private readonly window_B: number;
  /** Resources of a core that the kernel needs at all, and all that it needs. */
  private readonly near: readonly number[];
  private readonly all: readonly number[];
  /** Loops run equally often in all workgroups. */
  private readonly rectangular: boolean;

  // at the clock being worked out
  private cycle = 0;
  private hit_s = 0;
  private miss_s = 0;
  private in_s = 0;
  private out_s = 0;
  private read_s = 0;
  private write_s = 0;
  /** Of the longest workgroup, and of those dispatched last; alone. */
  private longest = 0;
  private last = 0;
  /** Of uneven workgroups that all run at once: the work of the core that has most of it, in mean workgroups. */
  private fullest = 0;
  private times: Float64Array | undefined;
  private stride = 1;
  private fixed = 0;

  constructor(
    private readonly d: Demand,
    reuse: Reuse,
    private readonly costs: Costs,
    resident: number,
  ) {
    const cores = costs.machine.cores.count;
    const n = d.workgroups;
    this.beyond = d.root.busy.length;
    this.window_B = costs.linkIn ? costs.linkIn.in_flight_B : Number.POSITIVE_INFINITY;
    this.slots = cores * resident;
    this.resident = resident;
    this.concurrent = Math.min(n, this.slots);
    this.perCore = Math.ceil(this.concurrent / cores);
    this.share = Math.ceil(n / cores);
    this.waves = Math.ceil(this.share / resident);
    const { dram_read_B: read, pushed_B: write } = reuse;
    const bytes = read + write;
    const mixing = bytes > 0 ? 1 + ((costs.mixedSlowdown - 1) * 2 * Math.min(read, write)) / bytes : 1;
    const per_B = costs.dram_s_per_B * mixing;
    const oneWay = costs.home.shared_port;
    this.dramTotal_s = (oneWay ? bytes : Math.max(read, write)) * per_B;
    // whatever comes into the cache, read or written, pushes out what was written before
    const pushed = oneWay && bytes > 0 ? write / bytes : 0;
    this.dramRead_s_per_B = per_B * (1 + pushed);
    this.dramWrite_s_per_B = per_B * pushed;

    const { segments } = d;
    let rectangular = true;
    for (let i = 0; i < segments.length; i++) {
      const s = segments[i]!;
      if (!s.nest.rectangular) rectangular = false;
      s.need.fill(0);
    }
    this.rectangular = rectangular;
    const near: number[] = [];
    for (let r = 0; r < this.beyond; r++) {
      let needed = r === MATRIX && d.matrix;
      for (let i = 0; i < segments.length && !needed; i++) needed = segments[i]!.busy[r]! > 0;
      if (needed) near.push(r);
    }
    this.near = near;
    const all = near.slice();
    for (let r = 0; r < BEYOND; r++) all.push(this.beyond + r);
    this.all = all;
  }

  /** Seconds from the first dispatch to the last store's landing. */
  at(clock_Hz: number): number {
    const { costs, d, waves } = this;
    const { control, cores } = costs.machine;
    this.setClock(clock_Hz);
    const { segments, root } = d;
    for (let i = segments.length - 1; i >= 0; i--) this.visit(segments[i]!);
    const start = (control.workgroup_start_cycles + d.start_cycles) * this.cycle;
    const end = costs.inOrder ? 0 : d.last_B * this.out_s;
    const around = start + end;
    const alone = around + root.alone;
    this.spreadOfTimes();
    const longest = this.longest + around;
    const even = longest <= EVEN * alone;
    const n = d.workgroups;

    let time = even ? waves * alone : Math.max((n / this.slots) * alone, longest);
    let cause = LATENCY;
    if (n <= this.slots) {
      const together = around + this.together();
      if (together > time) time = together;
    }
    const { all } = this;
    for (let i = 0; i < all.length; i++) {
      const r = all[i]!;
      // of uneven workgroups that all run at once the core decides that has the longest together
      const share = even ? this.share : n <= this.slots ? this.fullest + around / alone : n / cores.count;
      const service = this.service(r, share);
      if (service <= 0) continue;
      const heavy = this.heaviest(r);
      // what the longest does besides grows with it
      const longer = even || n > this.slots ? 1 : longest / alone;
      let total = service + around + longer * this.outside(r, heavy, true);
      if (even && waves > 1)
        total += (waves - 1) * Math.max(0, around + this.outside(r, heavy, false) - heavy.need[r]!);
      if (total > time) {
        time = total;
        cause = r;
      }
    }
    if (even && d.matrix) {
      const step = this.inPhase(around);
      if (step > time) time += (step - time) / this.resident;
    }
    if (!even && n > this.slots && this.times && n <= MOST_PLACED * this.slots && cause < this.beyond) {
      // how much longer each takes for the others that want the same
      let stretch = 1;
      for (let i = 0; i < this.near.length; i++) {
        const r = this.near[i]!;
        stretch = Math.max(stretch, this.service(r, n / cores.count) / ((n / this.slots) * alone));
      }
      const placed = this.lastEnd(around, stretch);
      this.tail_s = Math.max(0, placed - time);
    } else this.tail_s = !even && n > this.slots ? (this.last + around) / 2 : 0;
    time += this.tail_s;
    const dispatched = control.dispatch_interval_s * (n - 1) + alone;
    if (dispatched > time) {
      time = dispatched;
      cause = control.dispatch_interval_s * n > alone ? DISPATCH : LATENCY;
    }
    this.cause = cause;
    return time + (d.last_B > 0 ? this.hit_s : 0);
  }

  private setClock(clock_Hz: number): void {
    const { costs } = this;
    const { cache, linkIn, linkOut } = costs;
    const slow = costs.machine.control.clock.nominal_Hz / clock_Hz;
    this.cycle = 1 / clock_Hz;
    this.hit_s = costs.hitClocked_s * slow + costs.hitFixed_s;
    this.miss_s = Math.max(this.hit_s, costs.missClocked_s * slow + costs.missFixed_s);
    this.in_s = linkIn ? (linkIn.clocked ? slow : 1) / linkIn.B_per_s : 0;
    this.out_s = linkOut ? (linkOut.clocked ? slow : 1) / linkOut.B_per_s : 0;
    const far = cache ? (cache.clocked ? slow : 1) / cache.sustained_fraction : 0;
    this.read_s = cache ? far / cache.read_B_per_s : 0;
    this.write_s = cache ? far / cache.write_B_per_s : 0;
  }

  // ---------------------------------------------------------------- one segment, children done

  private visit(s: Segment): void {
    const { costs, beyond, near, perCore, concurrent, cycle } = this;
    const { need, busy, children } = s;
    let childrenAlone = 0;
    for (let i = 0; i < children.length; i++) {
      const c = children[i]!;
      const trips = c.mean / s.mean;
      childrenAlone += trips * c.alone + c.fill;
    }
    for (let i = 0; i < near.length; i++) {
      const r = near[i]!;
      need[r] = perCore * busy[r]! * cycle;
    }
    if (this.d.matrix) need[MATRIX]! += perCore * (1 - costs.coIssue) * s.vector_cycles * cycle;

    // loads: those the workgroup waits for, group by group, and those that run ahead
    ahead.clear();
    group.clear();
    let own = s.serial_cycles * cycle;
    let link = 0;
    let stages = Number.POSITIVE_INFINITY;
    let number = -1;
    const { transfers } = s;
    for (let i = 0; i < transfers.length; i++) {
      const t = transfers[i]!;
      if (t.write) continue;
      if (costs.inOrder) {
        // the lanes' own time holds the way to them
        link += t.bytes * this.in_s;
        continue;
      }
      const latency = t.remote
        ? this.hit_s + costs.remote(t.tensor.home!).latency_s
        : t.miss > RARE_MISS
          ? this.miss_s
          : this.hit_s;
      // of data that several ask for at once, none has it before the first: all of their windows wait
      const window = t.bytes * (latency / this.window_B);
      link += Math.max(t.bytes * this.in_s, window);
      if (t.stages > 1) {
        ahead.add(t.bytes, latency, window);
        if (t.stages < stages) stages = t.stages;
        continue;
      }
      if (t.group !== number) {
        own += group.time(this.in_s);
        group.clear();
        number = t.group;
      }
      group.add(t.bytes, latency, window);
    }
    own += group.time(this.in_s);
    need[beyond + LINK] = perCore * Math.max(link, s.out_B * this.out_s);
    const read = s.read_B * this.read_s;
    const write = s.write_B * this.write_s;
    need[beyond + CACHE] = concurrent * (costs.cache?.shared_port === false ? Math.max(read, write) : read + write);
    need[beyond + DRAM] = concurrent * (s.dramRead_B * this.dramRead_s_per_B + s.dramWrite_B * this.dramWrite_s_per_B);
    need[beyond + PEER] = concurrent * Math.max(s.farRead_s, s.farWrite_s);

    let pace = own;
    s.cause = LATENCY;
    // a buffer goes round in the time its copy takes and the iteration that reads it; there are `stages` of them
    const copy = ahead.time(this.in_s);
    if (copy > 0) {
      const body = own + childrenAlone;
      const trips = s.parent ? Math.ceil(s.mean / s.parent.mean) : 1;
      // the first round finds all buffers free
      const rounds = Math.floor((trips - 1) / stages);
      pace += (Math.max(0, copy - (stages - 1) * body) * rounds) / trips;
      if (link > pace) pace = link;
    }
    s.own = pace;
    let compute = own;
    for (let i = 0; i < near.length; i++) {
      const r = near[i]!;
      if (need[r]! > compute) {
        compute = need[r]!;
        s.cause = r;
      }
    }
    let burst = 0;
    let burstBy = LATENCY;
    for (let r = beyond; r < beyond + BEYOND; r++)
      if (need[r]! > burst) {
        burst = need[r]!;
        burstBy = r;
      }
    s.step = Math.max(pace, compute, burst);
    if (burst >= s.step) s.cause = burstBy;
    else if (pace >= s.step) s.cause = LATENCY;
    // the first tiles must arrive, and the last must be worked on
    s.fill = copy > 0 ? ahead.latency + Math.min(ahead.bytes * this.in_s, own + childrenAlone) : 0;
    s.alone = s.own + childrenAlone;
  }

  // ---------------------------------------------------------------- the whole

  /** Time that a resource takes to serve the kernel; `share`: workgroups of a core. */
  private service(r: number, share: number): number {
    const { beyond, d } = this;
    if (r === beyond + DRAM) return this.dramTotal_s;
    let total = 0;
    const { segments } = d;
    for (let i = 0; i < segments.length; i++) total += segments[i]!.need[r]! * segments[i]!.mean;
    return total * (r <= beyond + LINK ? share / this.perCore : d.workgroups / this.concurrent);
  }

  /**
   * All waves when their workgroups stay in phase: resources serve all of them at once, so that all are done with what
   * they do at the same time, and nothing of one hides behind another thing of its neighbours.
   */
  private inPhase(around: number): number {
    const { near, beyond, waves } = this;
    const { segments } = this.d;
    const onCore = this.share / this.perCore;
    const onMachine = this.d.workgroups / this.concurrent;
    let time = waves * around;
    for (let i = 0; i < segments.length; i++) {
      const { own, need, mean, parent, fill } = segments[i]!;
      let step = waves * own;
      for (let k = 0; k < near.length; k++) if (need[near[k]!]! * onCore > step) step = need[near[k]!]! * onCore;
      for (let r = beyond; r < beyond + BEYOND; r++) {
        const served = need[r]! * (r === beyond + LINK ? onCore : onMachine);
        if (served > step) step = served;
      }
      time += step * mean + (parent ? waves * fill * parent.mean : 0);
    }
    return time;
  }

  private heaviest(r: number): Segment {
    const { segments } = this.d;
    let best = segments[0]!;
    for (let i = 1; i < segments.length; i++)
      if (segments[i]!.need[r]! * segments[i]!.mean > best.need[r]! * best.mean) best = segments[i]!;
    return best;
  }

  /**
   * A workgroup's time when all run at once and in step. Workgroups leave a queue one by one, and so come to the next
   * thing they do one by one: of each segment the first execution shows as it is alone, and once the longest queue.
   */
  private together(): number {
    const { segments } = this.d;
    let time = 0;
    let queue = 0;
    for (let i = 0; i < segments.length; i++) {
      const s = segments[i]!;
      time += this.inStep(s, 0, s.step) + (s.parent ? s.fill * s.parent.mean : 0);
      if (s.step - s.own > queue) queue = s.step - s.own;
    }
    return time + queue;
  }

  /** A segment's executions but for its first queue; less what they need of a resource. */
  private inStep(s: Segment, less: number, step: number): number {
    const { mean, own } = s;
    return mean <= 1 ? Math.max(0, own - less) * mean : Math.max(0, own - less) + Math.max(0, step - less) * (mean - 1);
  }

  /** What a workgroup does while it needs nothing of a resource that is busy with others: other segments, edges. */
  private outside(r: number, heavy: Segment, others: boolean): number {
    const { segments } = this.d;
    const sharers = r <= this.beyond + LINK ? this.perCore : this.concurrent;
    let time = 0;
    for (let i = 0; i < segments.length; i++) {
      const s = segments[i]!;
      if (s.parent) time += s.fill * s.parent.mean;
      if (s !== heavy) time += this.inStep(s, s.need[r]!, others ? s.step : s.own);
      else if (s.mean <= 1) {
        // the last to come out of DRAM is worked on while what others stored goes in
        const drain = r === this.beyond + DRAM ? this.concurrent * s.dramWrite_B * this.dramWrite_s_per_B : 0;
        time += Math.max(0, s.own - Math.max(s.need[r]! / sharers, drain)) * s.mean;
      }
    }
    return time;
  }

  /** When the last workgroup ends if each slot takes the next as soon as it is free. */
  private lastEnd(around: number, stretch: number): number {
    const { workgroups } = this.d;
    const times = this.times!;
    // when each slot is free, as a heap with the earliest first
    const free = new Float64Array(this.slots);
    let end = 0;
    for (let k = 0; k < workgroups; k++) {
      const until = free[0]! + (around + this.fixed + times[Math.floor(k / this.stride) % times.length]!) * stretch;
      if (until > end) end = until;
      let at = 0;
      for (;;) {
        let next = 2 * at + 1;
        if (next + 1 < free.length && free[next + 1]! < free[next]!) next++;
        if (next >= free.length || free[next]! >= until) break;
        free[at] = free[next]!;
        at = next;
      }
      free[at] = until;
    }
    return end;
  }

  /** Workgroups go to the cores in turn: those of one core are as many apart as there are cores. */
  private fullestCore(times: Float64Array, stride: number, fixed: number): number {
    const cores = this.costs.machine.cores.count;
    let most = 0;
    for (let first = 0; first < cores; first++) {
      let sum = 0;
      for (let k = first; k < this.d.workgroups; k += cores)
        sum += fixed + times[Math.floor(k / stride) % times.length]!;
      if (sum > most) most = sum;
    }
    return most;
  }

  /** Sets the time of the longest workgroup, and of those dispatched last, by how often their loops run. */
  private spreadOfTimes(): void {
    const { segments, root } = this.d;
    this.longest = root.alone;
    this.last = root.alone;
    this.fullest = this.perCore;
    this.times = undefined;
    if (this.rectangular) return;
    let by: Segment['nest']['by'];
    let times: Float64Array | undefined;
    let fixed = 0;
    let more = 0;
    for (let i = 0; i < segments.length; i++) {
      const s = segments[i]!;
      const { nest } = s;
      const fill = s.parent ? s.fill * s.parent.mean : 0;
      if (nest.rectangular) fixed += s.own * s.mean + fill;
      else if (nest.profile && (by === undefined || by === nest.by)) {
        by = nest.by;
        times ??= new Float64Array(nest.profile.length);
        for (let v = 0; v < times.length; v++) times[v]! += s.own * nest.profile[v]!;
        fixed += fill;
      } else {
        fixed += fill;
        more += s.own * nest.most;
      }
    }
    if (!times && more === 0) return;
    let most = 0;
    if (times) for (let v = 0; v < times.length; v++) if (times[v]! > most) most = times[v]!;
    this.longest = fixed + more + most;
    this.last = this.longest;
    this.fullest = this.perCore - 1 + this.longest / root.alone;
    // of as many workgroups as each has values, indices within the stride are faster ones
    let stride = 1;
    for (let n: Segment['nest'] | undefined = root.nest; n && n !== by; n = n.parent) stride *= n.to as number;
    this.times = more === 0 ? times : undefined;
    this.stride = stride;
    this.fixed = fixed;
    if (times && more === 0 && this.perCore > 1 && this.d.workgroups <= this.slots) {
      this.fullest = this.fullestCore(times, stride, fixed) / root.alone;
    }
    // the outermost dim that has more than one value is the last to change
    let outer: Segment['nest'] | undefined;
    for (let n: Segment['nest'] | undefined = root.nest; n; n = n.parent) if ((n.to as number) > 1) outer = n;
    if (times && by === outer) this.last = fixed + more + times[times.length - 1]!;
  }
}
