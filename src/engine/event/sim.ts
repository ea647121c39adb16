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
 *
 * A workgroup with fewer lane groups than a core has issue ports uses its share of each unit: the unit is taken for
 * work ÷ full rate (others fill the gap), the workgroup waits for work ÷ its share.
 */
import type { TimelineLane, TimelineSink } from '../timeline.js';
import type { Context } from '../types.js';
import { CAUSE, CAUSES, type Cause } from './causes.js';
import { EventHeap } from './heap.js';
import { Memory } from './memory.js';
import { COMPUTE, END, type Instr, LOAD, LOOP, type Plan, rasterise, STORE } from './plan.js';
import { FS, type Rates } from './rates.js';
import { Transfer } from './transfer.js';
import { ISSUE, MATRIX, SHARED } from './work.js';

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

  // ---- cores
  private readonly cores: number;
  private readonly perCore: number;
  /** Server s of core c is free from `free[c · perCore + s]`. */
  private readonly free: Float64Array;
  private readonly causeOfServer: Cause[];
  private readonly load: Int32Array;
  private readonly share: number;
  private readonly near_fs_per_B: number;
  private readonly window: Float64Array;
  private readonly linkIn: Float64Array;
  private readonly linkOut: Float64Array;

  // ---- static work: for instruction i, servers and durations from `first[i]` to `first[i + 1]`
  private readonly first: Int32Array;
  private readonly server: Int32Array;
  private readonly duration: Float64Array;
  private readonly chain: Float64Array;
  private readonly latency: Float64Array;

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

  constructor(
    private readonly plan: Plan,
    private readonly rates: Rates,
    context: Context,
    private readonly resident: number,
    private readonly timeline: TimelineSink | undefined,
  ) {
    const { machine } = rates;
    const { cores, coster } = { cores: machine.cores, coster: plan.coster };
    this.memory = new Memory(plan, rates, context);
    const n = plan.instrs.length;
    this.executions = new Float64Array(n);
    this.requested_B = new Float64Array(n);
    this.moved_B = new Float64Array(n);

    this.cores = cores.count;
    this.perCore = coster.names.length;
    this.free = new Float64Array(this.cores * this.perCore);
    this.causeOfServer = coster.names.map((name) => CAUSE[name as keyof typeof CAUSE]);
    this.load = new Int32Array(this.cores);
    this.share = Math.min(1, Math.ceil(plan.launch.mapping.lanes / cores.lane_group) / cores.issue_groups);
    this.near_fs_per_B = rates.cycle_fs / coster.sharedRate_B_per_cycle;
    this.window = new Float64Array(this.cores);
    this.linkIn = new Float64Array(this.cores);
    this.linkOut = new Float64Array(this.cores);

    const first = [0];
    const server: number[] = [];
    const duration: number[] = [];
    this.chain = new Float64Array(n);
    this.latency = new Float64Array(n);
    for (const i of plan.instrs) {
      const w = i.work;
      if (w) {
        w.cycles.forEach((cycles, s) => {
          if (cycles <= 0) return;
          server.push(s);
          duration.push(Math.round(cycles * rates.cycle_fs));
        });
        this.chain[i.id] = Math.round(w.chain_cycles * rates.cycle_fs);
        this.latency[i.id] = Math.round(w.latency_cycles * rates.cycle_fs);
      }
      first.push(server.length);
    }
    this.first = Int32Array.from(first);
    this.server = Int32Array.from(server);
    this.duration = Float64Array.from(duration);

    this.slots = this.cores * resident;
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
          this.issue(i, slot, now);
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
          const end = this.issue(i, slot, now);
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
    const { free, server, duration, share } = this;
    const base = Math.floor(slot / this.resident) * this.perCore;
    let end = now + this.chain[i.id]!;
    let own = this.chain[i.id]!;
    let cause: Cause = CAUSE.latency;
    for (let k = this.first[i.id]!, stop = this.first[i.id + 1]!; k < stop; k++) {
      const s = base + server[k]!;
      const d = duration[k]!;
      const from = Math.max(free[s]!, now);
      free[s] = from + d;
      const mine = share === 1 ? d : Math.round(d / share);
      if (mine > own) own = mine;
      if (from + mine > end) {
        end = from + mine;
        cause = this.causeOfServer[server[k]!]!;
      }
      if (this.timeline) this.draw(slot, server[k]!, i.name, from, from + d);
    }
    if (end - now > own) this.stalls[cause]! += end - now - own;
    this.executions[i.id] = this.executions[i.id]! + 1;
    const tiles = slot * this.plan.tiles.length;
    for (let w = 0; w < i.writes.length; w++) {
      this.ready[tiles + i.writes[w]!] = end + this.latency[i.id]!;
      this.byMma[tiles + i.writes[w]!] = i.isMma ? 1 : 0;
    }
    this.dirty[slot] = this.dirty[slot]! | i.writeMask;
    this.used[slot] = this.used[slot]! | i.readMask;
    return end;
  }

  /** Instructions of a copy between memory and registers; returns when they have issued. */
  private issue(i: Instr, slot: number, now: number): number {
    const k = this.first[i.id]!;
    if (k === this.first[i.id + 1]!) return now;
    const s = Math.floor(slot / this.resident) * this.perCore + ISSUE;
    const from = Math.max(this.free[s]!, now);
    this.free[s] = from + this.duration[k]!;
    return from + this.duration[k]!;
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
    this.issue(a, slot, now);
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

  /**
   * The core's window: so many bytes can be on their way at once. As a leaky bucket: each copy takes
   * bytes · latency ÷ window of it, and up to a window's worth goes at once.
   */
  private request(t: Transfer, now: number): void {
    const { rates } = this;
    const core = Math.floor(t.slot / this.resident);
    if (!t.windowed) {
      t.windowed = true;
      t.lastRequest = now;
      if (rates.inFlight_B !== Number.POSITIVE_INFINITY) {
        const latency = this.memory.latencyOf(t);
        const before = this.window[core]!;
        const after = Math.max(before, now) + Math.round((t.moved_B * latency) / rates.inFlight_B);
        this.window[core] = after;
        t.lastRequest = Math.max(now, after - latency);
        const first = before - latency;
        if (first > now) {
          this.heap.push(first, REQUEST, t.id);
          return;
        }
      }
    }
    this.memory.fetch(t, now);
    if (t.first > now) this.heap.push(t.first, ARRIVE, t.id);
    else this.arrive(t, now);
  }

  /** From the cache over the core's link into the tile. */
  private arrive(t: Transfer, now: number): void {
    const { rates, memory, linkIn } = this;
    const i = t.instr;
    const core = Math.floor(t.slot / this.resident);
    const l2End = memory.readCache(t, now);
    const linkFrom = Math.max(linkIn[core]!, now);
    const linkTime = Math.round(t.moved_B * rates.in_fs_per_B);
    linkIn[core] = linkFrom + linkTime;
    let end = Math.max(l2End, linkFrom + linkTime, t.last);
    let portEnd = 0;
    if (i.toShared) {
      const s = core * this.perCore + SHARED;
      const from = Math.max(this.free[s]!, now);
      portEnd = from + Math.round(t.elements * i.near_B * this.near_fs_per_B);
      this.free[s] = portEnd;
      if (portEnd > end) end = portEnd;
    }
    const tail = t.lastRequest + t.extra_fs;
    if (tail > end) end = tail;
    end += rates.hit_fs;
    if (this.timeline) this.drawLane(core, 'copy', i.name, linkFrom, linkFrom + linkTime);
    // The largest part of its time names the cause, should anybody wait for it.
    const dram = t.last - t.since - t.extra_fs;
    const l2 = l2End - now;
    const link = linkFrom + linkTime - now;
    const latency = rates.hit_fs + t.extra_fs;
    let cause: Cause = CAUSE.latency;
    let most = Math.max(latency, t.lastRequest - t.since);
    if (t.remote ? dram > most : t.missed && dram > most) {
      most = dram;
      cause = t.remote ? CAUSE.link : CAUSE.dram;
    }
    if (l2 > most) {
      most = l2;
      cause = CAUSE.l2;
    }
    if (link > most) {
      most = link;
      cause = CAUSE.link;
    }
    if (portEnd - now > most) cause = CAUSE.shared;
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
    } else if (this.waits[slot] === place) this.wake(slot, at, cause);
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
    const { rates, linkOut } = this;
    const requested = placer.requested_B;
    const moved = placer.moved_B;
    this.executions[i.id] = this.executions[i.id]! + 1;
    this.requested_B[i.id] = this.requested_B[i.id]! + requested;
    this.moved_B[i.id] = this.moved_B[i.id]! + moved;
    let from = Math.max(linkOut[core]!, now);
    const linkTime = Math.round(moved * rates.out_fs_per_B);
    linkOut[core] = from + linkTime;
    if (this.timeline) this.drawLane(core, 'store', i.name, from, from + linkTime);
    let departs = from + linkTime;
    if (i.toShared) {
      const s = core * this.perCore + SHARED;
      from = Math.max(this.free[s]!, now);
      this.free[s] = from + Math.round(placer.rows * placer.cols * i.near_B * this.near_fs_per_B);
      departs = Math.max(departs, this.free[s]!);
    }
    if (departs > this.departs[slot]!) this.departs[slot] = departs;
    const end = Math.max(departs, this.memory.write(i, placer, moved, now)) + (i.remote ? 0 : rates.hit_fs);
    if (end > this.lastLanding) this.lastLanding = end;
  }

  // ---------------------------------------------------------------- timeline

  private draw(slot: number, server: number, name: string, from: number, to: number): void {
    if (server === SHARED || server === ISSUE) return;
    this.drawLane(Math.floor(slot / this.resident), server === MATRIX ? 'matrix' : 'vector', name, from, to);
  }
  private drawLane(core: number, lane: TimelineLane, name: string, from: number, to: number): void {
    if (this.timeline?.wants(core)) this.timeline.slice(core, lane, name, from / FS, to / FS);
  }
}
