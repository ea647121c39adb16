/**
 * The running loop: workgroups walk their instructions, statements occupy servers, copies pass through the memory
 * system, all in one order of events.
 *
 *   dispatch ─► workgroup: compute | load | store | loop ─► core's servers (matrix, shared port, issue, pipes)
 *                          └ copies ─► window ─► cache ─miss─► DRAM ─► cache port, core's link, shared port ─► landed
 *
 * A server is "free from" a time: first come, first served. Transfers cut through: each server on the way is booked
 * when the first byte reaches it, and the copy has landed when the slowest of them is through, plus latency. So an
 * undisturbed copy takes its latency and its bytes over the narrowest server; a queue at any of them delays it.
 */
import type { TimelineSink } from '../timeline.js';
import type { Context } from '../types.js';
import { CAUSE, CAUSES, type Cause } from './causes.js';
import { EventHeap } from './heap.js';
import { Memory } from './memory.js';
import { COMPUTE, END, type Instr, LOAD, LOOP, type Plan, rasterise, STORE } from './plan.js';
import { CorePorts } from './port.js';
import type { Rates } from './rates.js';
import { CoreServers, type Draw } from './servers.js';
import { Transfer } from './transfer.js';

const DISPATCH = 0;
const STEP = 1;
/** A copy's first request leaves the core; a copy's first byte is on its way from the cache. */
const REQUEST = 2;
const ARRIVE = 3;

/** What a workgroup waits for when its instruction pointer stands still without an event of its own. */
const NOTHING = -1;
const LOADS = -2;

export interface Outcome {
  /** From the first dispatch to the last store's landing. */
  readonly time_fs: number;
  readonly events: number;
  readonly memory: Memory;
  /** Executions, requested and moved bytes of each instruction. */
  readonly executions: Float64Array;
  readonly requested_B: Float64Array;
  readonly moved_B: Float64Array;
  /** Slot-time lost, by cause. */
  readonly stalls_fs: Float64Array;
  /** Slot-time that statements take when nothing is in their way. With the stalls it sums to slots × time. */
  readonly computing_fs: number;
  /** Slots that held a workgroup at least once. */
  readonly slots: number;
}

export function simulate(
  plan: Plan,
  rates: Rates,
  context: Context,
  resident: number,
  timeline: TimelineSink | undefined,
): Outcome {
  return new Simulation(plan, rates, context, resident, timeline).run();
}

class Simulation {
  private readonly heap = new EventHeap(4096);
  private readonly memory: Memory;
  private readonly executions: Float64Array;
  private readonly requested_B: Float64Array;
  private readonly moved_B: Float64Array;
  private readonly stalls = new Float64Array(CAUSES.length);

  private readonly servers: CoreServers;
  private readonly ports: CorePorts;
  private readonly causeOfServer: Cause[];
  /** Workgroups on each core. */
  private readonly load: Int32Array;

  // ---- slots: places for workgroups, `resident` on each core
  private readonly slots: number;
  private readonly pc: Int32Array;
  private readonly env: Int32Array;
  private readonly loopFrom: Int32Array;
  private readonly loopTo: Int32Array;
  private readonly ready: Float64Array;
  private readonly byMma: Uint8Array;
  private readonly current: Int32Array;
  private readonly dirty: Int32Array;
  private readonly used: Int32Array;
  private readonly busySlot: Uint8Array;
  private readonly departs: Float64Array;
  private readonly freeSince: Float64Array;
  // waiting
  private readonly waits: Int32Array;
  private readonly waitSince: Float64Array;
  private readonly loadsOpen: Int32Array;
  private readonly loadsUntil: Float64Array;
  private readonly loadsCause: Uint8Array;
  /** Landing of the copy into buffer b of tile t: Infinity while unknown. */
  private readonly landing: Float64Array;
  private readonly landingCause: Uint8Array;
  private readonly ring: number;
  private readonly perSlotLandings: number;
  private readonly followers = new Map<number, Transfer[]>();

  private readonly transfers: Transfer[] = [];
  private readonly spare: number[] = [];

  private nextWorkgroup = 0;
  private dispatchFree = 0;
  private dispatchPending = false;
  private lastLanding = 0;
  private computing = 0;

  constructor(
    private readonly plan: Plan,
    private readonly rates: Rates,
    context: Context,
    private readonly resident: number,
    timeline: TimelineSink | undefined,
  ) {
    const { cores } = rates.machine;
    const draw: Draw | undefined =
      timeline && ((core, ...rest) => timeline.wants(core) && timeline.slice(core, ...rest));
    this.memory = new Memory(plan, rates, context);
    this.servers = new CoreServers(plan, rates, draw);
    this.ports = new CorePorts(rates, draw);
    this.causeOfServer = plan.coster.names.map((name) => CAUSE[name as keyof typeof CAUSE]);
    this.load = new Int32Array(cores.count);
    const n = plan.instrs.length;
    this.executions = new Float64Array(n);
    this.requested_B = new Float64Array(n);
    this.moved_B = new Float64Array(n);

    this.slots = cores.count * resident;
    const tiles = Math.max(1, plan.tiles.length);
    this.ring = plan.maxStages;
    this.perSlotLandings = tiles * this.ring;
    this.pc = new Int32Array(this.slots);
    this.env = new Int32Array(this.slots * Math.max(1, plan.variables));
    this.loopFrom = new Int32Array(this.slots * Math.max(1, plan.loops));
    this.loopTo = new Int32Array(this.slots * Math.max(1, plan.loops));
    this.ready = new Float64Array(this.slots * tiles);
    this.byMma = new Uint8Array(this.slots * tiles);
    this.current = new Int32Array(this.slots * tiles);
    this.dirty = new Int32Array(this.slots);
    this.used = new Int32Array(this.slots);
    this.busySlot = new Uint8Array(this.slots);
    this.departs = new Float64Array(this.slots);
    this.freeSince = new Float64Array(this.slots);
    this.waits = new Int32Array(this.slots).fill(NOTHING);
    this.waitSince = new Float64Array(this.slots);
    this.loadsOpen = new Int32Array(this.slots);
    this.loadsUntil = new Float64Array(this.slots);
    this.loadsCause = new Uint8Array(this.slots);
    this.landing = new Float64Array(this.slots * this.perSlotLandings);
    this.landingCause = new Uint8Array(this.slots * this.perSlotLandings);
  }

  run(): Outcome {
    const { heap } = this;
    heap.push(0, DISPATCH, 0);
    this.dispatchPending = true;
    while (heap.pop()) {
      switch (heap.kind) {
        case STEP:
          this.step(heap.arg, heap.time);
          break;
        case ARRIVE:
          this.arrive(this.transfers[heap.arg]!, heap.time);
          break;
        case REQUEST:
          this.request(this.transfers[heap.arg]!, heap.time);
          break;
        default:
          this.dispatchPending = false;
          this.dispatch(heap.time);
      }
    }
    if (this.nextWorkgroup < this.plan.workgroups || this.busySlot.includes(1))
      throw new Error(`internal: ${this.plan.launch.program.name} came to a standstill`);
    const time_fs = this.lastLanding;
    let slots = 0;
    for (let s = 0; s < this.slots; s++) {
      if (this.freeSince[s] === 0) continue;
      slots++;
      this.stalls[CAUSE.tail]! += time_fs - this.freeSince[s]!;
    }
    return {
      time_fs,
      events: heap.made,
      memory: this.memory,
      executions: this.executions,
      requested_B: this.requested_B,
      moved_B: this.moved_B,
      stalls_fs: this.stalls,
      computing_fs: this.computing,
      slots,
    };
  }

  // ---------------------------------------------------------------- dispatch

  /** To the least-loaded core, the first of several; one workgroup per interval, machine-wide. */
  private dispatch(now: number): void {
    const { load, resident } = this;
    while (this.nextWorkgroup < this.plan.workgroups) {
      let best = -1;
      let least = resident;
      for (let c = 0; c < load.length; c++) {
        const l = load[c]!;
        if (l < least) {
          least = l;
          best = c;
          if (l === 0) break;
        }
      }
      if (best < 0) return;
      if (this.dispatchFree > now) {
        if (!this.dispatchPending) {
          this.dispatchPending = true;
          this.heap.push(this.dispatchFree, DISPATCH, 0);
        }
        return;
      }
      this.dispatchFree = now + this.rates.dispatch_fs;
      this.begin(best, now);
    }
  }

  private begin(core: number, now: number): void {
    let slot = core * this.resident;
    while (this.busySlot[slot] === 1) slot++;
    this.busySlot[slot] = 1;
    this.load[core] = this.load[core]! + 1;
    const { plan } = this;
    rasterise(plan, this.nextWorkgroup++, this.env, slot * plan.variables);
    const tiles = plan.tiles.length;
    this.ready.fill(0, slot * tiles, (slot + 1) * tiles);
    this.byMma.fill(0, slot * tiles, (slot + 1) * tiles);
    this.current.fill(0, slot * tiles, (slot + 1) * tiles);
    this.landing.fill(0, slot * this.perSlotLandings, (slot + 1) * this.perSlotLandings);
    this.pc[slot] = 0;
    this.dirty[slot] = 0;
    this.used[slot] = 0;
    this.departs[slot] = now;
    this.loadsUntil[slot] = 0;
    const at = now + this.rates.start_fs;
    this.stalls[CAUSE.dispatch]! += at - this.freeSince[slot]!;
    this.heap.push(at, STEP, slot);
  }

  // ---------------------------------------------------------------- workgroups

  /** Runs a workgroup from `now` until it must wait. */
  private step(slot: number, now: number): void {
    const { plan, pc, heap, stalls } = this;
    const { code } = plan;
    const env = slot * plan.variables;
    for (;;) {
      const i = code[pc[slot]!]!;
      if (i.op !== LOAD) {
        // Loads that follow one another are asked for together; the first other statement waits for them.
        if (this.loadsOpen[slot]! > 0) {
          this.waits[slot] = LOADS;
          this.waitSince[slot] = now;
          return;
        }
        const until = this.loadsUntil[slot]!;
        if (until > now) {
          stalls[this.loadsCause[slot]!]! += until - now;
          heap.push(until, STEP, slot);
          return;
        }
      }
      switch (i.op) {
        case COMPUTE: {
          if (!this.prepared(i, slot, now)) return;
          const end = this.compute(i, slot, now);
          pc[slot] = pc[slot]! + 1;
          if (end > now) {
            heap.push(end, STEP, slot);
            return;
          }
          break;
        }
        case LOAD: {
          if (!this.prepared(i, slot, now)) return;
          this.servers.run(i, Math.floor(slot / this.resident), now);
          this.dirty[slot] = this.dirty[slot]! | i.writeMask;
          this.loadsOpen[slot] = this.loadsOpen[slot]! + 1;
          this.current[slot * plan.tiles.length + i.tile] = 0;
          this.start(i, slot, 0, true, env, now, -1);
          pc[slot] = pc[slot]! + 1;
          break;
        }
        case STORE: {
          if (!this.prepared(i, slot, now)) return;
          this.used[slot] = this.used[slot]! | i.readMask;
          const end = this.execute(i, slot, now);
          this.store(i, slot, env, now);
          pc[slot] = pc[slot]! + 1;
          if (end > now) {
            heap.push(end, STEP, slot);
            return;
          }
          break;
        }
        case LOOP: {
          const from = i.from(this.env, env);
          const to = i.to(this.env, env);
          if (to <= from) {
            pc[slot] = i.target + 1;
            break;
          }
          const l = slot * plan.loops + i.loop;
          this.loopFrom[l] = from;
          this.loopTo[l] = to;
          if (i.ahead.length > 0) {
            for (let n = 0; n < to - from && n < this.ring; n++)
              for (const a of i.ahead) if (n < a.stages) this.startAhead(a, slot, env, i.index, from, n, now);
            this.turn(i, slot, 0);
          }
          this.env[env + i.index] = from;
          pc[slot] = pc[slot]! + 1;
          break;
        }
        case END: {
          const l = slot * plan.loops + i.loop;
          const from = this.loopFrom[l]!;
          const next = this.env[env + i.index]! + 1;
          const to = this.loopTo[l]!;
          // What this iteration read is free: the copies that waited for its buffers go.
          for (const a of i.ahead) {
            const n = next - 1 - from + a.stages;
            if (from + n < to) this.startAhead(a, slot, env, i.index, from, n, now);
          }
          if (next < to) {
            this.env[env + i.index] = next;
            this.turn(i, slot, next - from);
            pc[slot] = i.target + 1;
          } else pc[slot] = pc[slot]! + 1;
          break;
        }
        default: {
          const departs = this.departs[slot]!;
          if (departs > now) {
            stalls[CAUSE.link]! += departs - now;
            heap.push(departs, STEP, slot);
            return;
          }
          this.leave(slot, now);
          return;
        }
      }
    }
  }

  /** The loop's tiles now stand for iteration n. */
  private turn(i: Instr, slot: number, n: number): void {
    const base = slot * this.plan.tiles.length;
    for (const a of i.ahead) this.current[base + a.tile] = n % a.stages;
    this.dirty[slot] = this.dirty[slot]! | i.aheadMask;
  }

  private leave(slot: number, now: number): void {
    this.busySlot[slot] = 0;
    this.freeSince[slot] = now;
    if (now > this.lastLanding) this.lastLanding = now;
    const core = Math.floor(slot / this.resident);
    this.load[core] = this.load[core]! - 1;
    if (!this.dispatchPending) this.dispatch(now);
  }

  /** True when the statement can start now; otherwise an event or a landing will bring the workgroup back here. */
  private prepared(i: Instr, slot: number, now: number): boolean {
    const tiles = slot * this.plan.tiles.length;
    const { reads } = i;
    let until = now;
    for (let r = 0; r < reads.length; r++) {
      const t = reads[r]!;
      const at = slot * this.perSlotLandings + t * this.ring + this.current[tiles + t]!;
      const landed = this.landing[at]!;
      if (landed > now) {
        if (landed === Number.POSITIVE_INFINITY) {
          this.waits[slot] = at;
          this.waitSince[slot] = now;
        } else {
          this.stalls[this.landingCause[at]!]! += landed - now;
          this.heap.push(landed, STEP, slot);
        }
        return false;
      }
      if (this.ready[tiles + t]! > until) until = this.ready[tiles + t]!;
    }
    if (i.acc >= 0 && this.byMma[tiles + i.acc] === 0 && this.ready[tiles + i.acc]! > until)
      until = this.ready[tiles + i.acc]!;
    if (until > now) {
      this.stalls[CAUSE.latency]! += until - now;
      this.heap.push(until, STEP, slot);
      return false;
    }
    if ((this.dirty[slot]! & i.readMask) !== 0 || (this.used[slot]! & i.writeMask) !== 0) {
      // One barrier orders everything before it.
      this.dirty[slot] = 0;
      this.used[slot] = 0;
      const { barrier_fs } = this.rates;
      if (barrier_fs > 0) {
        this.stalls[CAUSE.barrier]! += barrier_fs;
        this.heap.push(now + barrier_fs, STEP, slot);
        return false;
      }
    }
    return true;
  }

  private compute(i: Instr, slot: number, now: number): number {
    const end = this.execute(i, slot, now);
    this.executions[i.id] = this.executions[i.id]! + 1;
    const tiles = slot * this.plan.tiles.length;
    for (let w = 0; w < i.writes.length; w++) {
      this.ready[tiles + i.writes[w]!] = end + this.servers.latency[i.id]!;
      this.byMma[tiles + i.writes[w]!] = i.isMma ? 1 : 0;
    }
    this.dirty[slot] = this.dirty[slot]! | i.writeMask;
    this.used[slot] = this.used[slot]! | i.readMask;
    return end;
  }

  /** The workgroup is held until the end: its own time is computing, what is beyond that a queue's. */
  private execute(i: Instr, slot: number, now: number): number {
    const { servers } = this;
    const end = servers.run(i, Math.floor(slot / this.resident), now);
    this.computing += servers.own;
    if (end - now > servers.own) this.stalls[this.causeOfServer[servers.slowest]!]! += end - now - servers.own;
    return end;
  }

  // ---------------------------------------------------------------- loads

  private startAhead(a: Instr, slot: number, env: number, index: number, from: number, n: number, now: number): void {
    const saved = this.env[env + index]!;
    this.env[env + index] = from + n;
    const buffer = n % a.stages;
    let after = -1;
    if (a.indexTile >= 0) {
      const stages = this.plan.tiles[a.indexTile]!.stages;
      after = slot * this.perSlotLandings + a.indexTile * this.ring + (n % stages);
    }
    this.servers.run(a, Math.floor(slot / this.resident), now);
    this.start(a, slot, buffer, false, env, now, after);
    this.env[env + index] = saved;
  }

  /** A copy into `buffer` of its tile begins; when `after` is the place of a landing, once that has landed. */
  private start(
    i: Instr,
    slot: number,
    buffer: number,
    blocking: boolean,
    env: number,
    now: number,
    after: number,
  ): void {
    const place = slot * this.perSlotLandings + i.tile * this.ring + buffer;
    const placer = i.placer!;
    if (!placer.place(this.env, env)) {
      this.landing[place] = now;
      if (blocking) this.loadsOpen[slot] = this.loadsOpen[slot]! - 1;
      return;
    }
    const id = this.spare.length > 0 ? this.spare.pop()! : this.transfers.push(new Transfer(this.transfers.length)) - 1;
    const t = this.transfers[id]!;
    t.set(i, slot, place, blocking, placer);
    this.executions[i.id] = this.executions[i.id]! + 1;
    this.requested_B[i.id] = this.requested_B[i.id]! + t.requested_B;
    this.moved_B[i.id] = this.moved_B[i.id]! + t.moved_B;
    this.landing[place] = Number.POSITIVE_INFINITY;
    if (after >= 0) {
      const known = this.landing[after]!;
      if (known === Number.POSITIVE_INFINITY) {
        const waiting = this.followers.get(after);
        if (waiting) waiting.push(t);
        else this.followers.set(after, [t]);
        return;
      }
      if (known > now) {
        t.since = known;
        t.windowed = false;
        this.heap.push(known, REQUEST, t.id);
        return;
      }
    }
    t.since = now;
    this.request(t, now);
  }

  /** The copy's first request leaves the core as soon as the window lets it. */
  private request(t: Transfer, now: number): void {
    if (!t.windowed) {
      t.windowed = true;
      const leaves = this.ports.ask(t, Math.floor(t.slot / this.resident), this.memory.latencyOf(t), now);
      if (leaves > now) {
        this.heap.push(leaves, REQUEST, t.id);
        return;
      }
    }
    this.memory.fetch(t, now);
    if (t.first > now) this.heap.push(t.first, ARRIVE, t.id);
    else this.arrive(t, now);
  }

  /** From the cache over the core's link into the tile. */
  private arrive(t: Transfer, now: number): void {
    const { hit_fs } = this.rates;
    const i = t.instr;
    const core = Math.floor(t.slot / this.resident);
    const l2 = this.memory.readCache(t, now);
    const link = this.ports.receive(core, t.moved_B, i.name, now);
    const port = i.toShared ? this.servers.throughPort(core, t.elements * i.near_B, now) : now;
    const end = Math.max(l2, link, port, t.last, t.lastRequest + t.extra_fs) + hit_fs;
    // The largest part of its time names the cause, should anybody wait for it.
    let cause: Cause = CAUSE.latency;
    let most = Math.max(hit_fs + t.extra_fs, t.lastRequest - t.since);
    const consider = (c: Cause, time: number) => {
      if (time <= most) return;
      most = time;
      cause = c;
    };
    if (t.missed || t.remote) consider(t.remote ? CAUSE.link : CAUSE.dram, t.last - t.since - t.extra_fs);
    consider(CAUSE.l2, l2 - now);
    consider(CAUSE.link, link - now);
    consider(CAUSE.shared, port - now);
    this.landed(t, end, cause);
  }

  private landed(t: Transfer, at: number, cause: Cause): void {
    const { slot, place } = t;
    this.landing[place] = at;
    this.landingCause[place] = cause;
    if (t.blocking) {
      this.loadsOpen[slot] = this.loadsOpen[slot]! - 1;
      if (at > this.loadsUntil[slot]!) {
        this.loadsUntil[slot] = at;
        this.loadsCause[slot] = cause;
      }
      if (this.waits[slot] === LOADS && this.loadsOpen[slot] === 0)
        this.wake(slot, this.loadsUntil[slot]!, this.loadsCause[slot]!);
    }
    if (this.waits[slot] === place) this.wake(slot, at, cause);
    const waiting = this.followers.get(place);
    if (waiting) {
      this.followers.delete(place);
      for (const f of waiting) {
        f.since = at;
        f.windowed = false;
        this.heap.push(at, REQUEST, f.id);
      }
    }
    this.spare.push(t.id);
  }

  private wake(slot: number, at: number, cause: number): void {
    this.waits[slot] = NOTHING;
    this.stalls[cause]! += at - this.waitSince[slot]!;
    this.heap.push(at, STEP, slot);
  }

  // ---------------------------------------------------------------- stores

  /** Leaves the core over its link into the cache; nobody waits for it but the workgroup's end and the kernel's. */
  private store(i: Instr, slot: number, env: number, now: number): void {
    const placer = i.placer!;
    if (!placer.place(this.env, env)) return;
    const core = Math.floor(slot / this.resident);
    const requested = placer.requested_B;
    const moved = placer.moved_B;
    this.executions[i.id] = this.executions[i.id]! + 1;
    this.requested_B[i.id] = this.requested_B[i.id]! + requested;
    this.moved_B[i.id] = this.moved_B[i.id]! + moved;
    let departs = this.ports.send(core, moved, i.name, now);
    if (i.toShared)
      departs = Math.max(departs, this.servers.throughPort(core, placer.rows * placer.cols * i.near_B, now));
    if (departs > this.departs[slot]!) this.departs[slot] = departs;
    const end = Math.max(departs, this.memory.write(i, placer, moved, now)) + (i.remote ? 0 : this.rates.hit_fs);
    if (end > this.lastLanding) this.lastLanding = end;
  }
}
