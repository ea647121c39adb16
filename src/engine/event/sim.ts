/**
 * The running loop: workgroups are dispatched and walk their instructions, statements occupy the core's servers, copies
 * pass through the memory system, all in one order of events. A server is "free from" a time: first come, first served.
 *
 *   dispatch ─► workgroup: compute ─► core's servers (matrix, shared port, issue, pipes)
 *                          load, store ─► copies ─► memory
 *                          loop ─► copies that run ahead, as buffers are free
 */
import type { TimelineSink } from '../timeline.js';
import type { Context } from '../types.js';
import { CAUSE, CAUSES, type Cause } from './causes.js';
import { ARRIVE, Copies, DISPATCH, REQUEST, STEP, TICK } from './copies.js';
import type { FarMemory } from './far.js';
import { EventHeap } from './heap.js';
import { Memory } from './memory.js';
import { COMPUTE, END, type Instr, LOAD, LOOP, type Plan, rasterise, STORE } from './plan.js';
import { CorePorts } from './port.js';
import type { Rates } from './rates.js';
import { CoreServers, type Draw } from './servers.js';
import { LOADS, Slots } from './slots.js';
import { type MemoryState, type Stateful, StatefulMemory } from './stateful.js';

export interface Outcome {
  /** From the first dispatch to the last store's landing. */
  readonly time_fs: number;
  readonly events: number;
  readonly memory: FarMemory;
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
  detail?: { readonly memory: Stateful; readonly state: MemoryState },
): Outcome | Unfinished {
  return new Simulation(plan, rates, context, resident, timeline, detail).run();
}

/** Memory had more requests to work through than it may: the share of the run that was done by then. */
export interface Unfinished {
  readonly done: number;
}

class Simulation {
  private readonly heap = new EventHeap(4096);
  private readonly stalls = new Float64Array(CAUSES.length);
  private readonly memory: FarMemory;
  private readonly stateful: StatefulMemory | undefined;
  private readonly servers: CoreServers;
  private readonly slots: Slots;
  private readonly copies: Copies;
  private readonly causeOfServer: Cause[];
  /** Workgroups on each core. */
  private readonly load: Int32Array;
  private nextWorkgroup = 0;
  private dispatchFree = 0;
  private dispatchPending = false;
  private lastEnd = 0;
  private computing = 0;
  private readonly startGroups_fs: number;

  constructor(
    private readonly plan: Plan,
    private readonly rates: Rates,
    context: Context,
    private readonly resident: number,
    timeline: TimelineSink | undefined,
    detail: { readonly memory: Stateful; readonly state: MemoryState } | undefined,
  ) {
    const { count } = rates.machine.cores;
    this.startGroups_fs = Math.round((plan.inOrder?.start_cycles ?? 0) * rates.cycle_fs);
    const draw: Draw | undefined =
      timeline && ((core, ...rest) => timeline.wants(core) && timeline.slice(core, ...rest));
    this.stateful = detail && new StatefulMemory(plan, rates, context, resident, detail.memory, detail.state);
    this.memory = this.stateful ?? new Memory(plan, rates, context);
    this.servers = new CoreServers(plan, rates, draw);
    this.slots = new Slots(plan, count, resident);
    const ports = new CorePorts(rates, draw);
    this.copies = new Copies(plan, rates, this.heap, this.slots, this.memory, this.servers, ports, this.stalls);
    this.causeOfServer = plan.coster.names.map((name) => CAUSE[name as keyof typeof CAUSE]);
    this.load = new Int32Array(count);
    this.stateful?.attach(this.heap, TICK, (t, now) => this.copies.whenKnown(t, now));
  }

  run(): Outcome | Unfinished {
    const { heap, copies, slots, stateful } = this;
    heap.push(0, DISPATCH, 0);
    this.dispatchPending = true;
    while (heap.pop()) {
      switch (heap.kind) {
        case STEP:
          this.step(heap.arg, heap.time);
          break;
        case ARRIVE:
          copies.arrive(heap.arg, heap.time);
          break;
        case REQUEST:
          copies.request(heap.arg, heap.time);
          break;
        case TICK:
          if (stateful!.over) return { done: this.progress() };
          stateful!.tick(heap.time);
          break;
        default:
          this.dispatchPending = false;
          this.dispatch(heap.time);
      }
    }
    if (this.nextWorkgroup < this.plan.workgroups || slots.busy.includes(1))
      throw new Error(`internal: ${this.plan.launch.program.name} came to a standstill`);
    const settled = stateful ? Math.ceil(stateful.lines.settled_fs) : 0;
    const time_fs = Math.max(this.lastEnd, copies.lastLanding, settled);
    let held = 0;
    for (let s = 0; s < slots.count; s++) {
      if (slots.freeSince[s] === 0) continue;
      held++;
      this.stalls[CAUSE.tail]! += time_fs - slots.freeSince[s]!;
    }
    return {
      time_fs,
      events: heap.made,
      memory: this.memory,
      executions: copies.executions,
      requested_B: copies.requested_B,
      moved_B: copies.moved_B,
      stalls_fs: this.stalls,
      computing_fs: this.computing,
      slots: Math.max(1, held),
    };
  }

  /** Share of the workgroups' iterations (of their first loop) that are done. */
  private progress(): number {
    const { slots, plan } = this;
    let done = this.nextWorkgroup;
    const index = plan.code.find((i) => i.op === LOOP)?.index ?? -1;
    for (let s = 0; s < slots.count; s++) {
      if (slots.busy[s] === 0) continue;
      const to = index < 0 ? 0 : slots.loopTo[s * plan.loops]!;
      const from = index < 0 ? 0 : slots.loopFrom[s * plan.loops]!;
      done -= to > from ? 1 - (slots.env[s * plan.variables + index]! - from) / (to - from) : 1;
    }
    return done / plan.workgroups;
  }

  // ---------------------------------------------------------------- dispatch

  /** To the least-loaded core, the first of several; one workgroup per interval, machine-wide. */
  private dispatch(now: number): void {
    const { load } = this;
    while (this.nextWorkgroup < this.plan.workgroups) {
      let best = -1;
      let least = this.resident;
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
    const { slots, plan } = this;
    const slot = slots.take(core, now);
    this.load[core] = this.load[core]! + 1;
    rasterise(plan, this.nextWorkgroup++, slots.env, slot * plan.variables);
    const at = now + this.rates.start_fs + this.startGroups_fs;
    this.stalls[CAUSE.dispatch]! += at - slots.freeSince[slot]!;
    this.heap.push(at, STEP, slot);
  }

  private leave(slot: number, now: number): void {
    const { slots, load } = this;
    slots.busy[slot] = 0;
    slots.freeSince[slot] = now;
    if (now > this.lastEnd) this.lastEnd = now;
    const core = slots.core(slot);
    load[core] = load[core]! - 1;
    if (!this.dispatchPending) this.dispatch(now);
  }

  // ---------------------------------------------------------------- workgroups

  /** Runs a workgroup from `now` until it must wait. */
  private step(slot: number, now: number): void {
    const { slots, copies } = this;
    const { pc } = slots;
    const { code } = this.plan;
    for (;;) {
      const i = code[pc[slot]!]!;
      // Loads that follow one another are asked for together; the first other statement waits for them.
      if (i.op !== LOAD && this.waitsForLoads(slot, now)) return;
      let end = now;
      switch (i.op) {
        case COMPUTE:
          if (!this.prepared(i, slot, now)) return;
          end = this.compute(i, slot, now);
          pc[slot] = pc[slot]! + 1;
          break;
        case LOAD:
          if (!this.prepared(i, slot, now)) return;
          slots.touches(i, slot);
          if (i.hold) end = this.held(i, slot, now);
          copies.startBlocking(i, slot, now);
          pc[slot] = pc[slot]! + 1;
          break;
        case STORE:
          if (!this.prepared(i, slot, now)) return;
          slots.touches(i, slot);
          end = i.hold ? this.held(i, slot, now) : this.execute(i, slot, now);
          copies.store(i, slot, now);
          pc[slot] = pc[slot]! + 1;
          break;
        case LOOP:
          end = this.enter(i, slot, now);
          break;
        case END:
          end = this.again(i, slot, now);
          break;
        default:
          if (slots.departs[slot]! <= now) {
            this.leave(slot, now);
            return;
          }
          end = slots.departs[slot]!;
          this.stalls[CAUSE.link]! += end - now;
      }
      if (end > now) {
        this.heap.push(end, STEP, slot);
        return;
      }
    }
  }

  private waitsForLoads(slot: number, now: number): boolean {
    const { slots } = this;
    if (slots.loadsOpen[slot]! > 0) {
      slots.waits[slot] = LOADS;
      slots.waitSince[slot] = now;
      return true;
    }
    const until = slots.loadsUntil[slot]!;
    if (until <= now) return false;
    this.stalls[slots.loadsCause[slot]!]! += until - now;
    this.heap.push(until, STEP, slot);
    return true;
  }

  private enter(i: Instr, slot: number, now: number): number {
    const { slots, plan } = this;
    const env = slot * plan.variables;
    const from = i.from(slots.env, env);
    const to = i.to(slots.env, env);
    if (to <= from) {
      slots.pc[slot] = i.target + 1;
      return now;
    }
    const l = slot * plan.loops + i.loop;
    slots.loopFrom[l] = from;
    slots.loopTo[l] = to;
    if (i.ahead.length > 0) {
      for (let n = 0; n < to - from && n < slots.buffers; n++)
        for (const a of i.ahead) if (n < a.stages) this.copies.startAhead(a, slot, i.index, from, n, now);
      slots.turn(i, slot, 0);
    }
    slots.env[env + i.index] = from;
    slots.pc[slot] = slots.pc[slot]! + 1;
    return this.turned(i, this.turned(plan.code[i.target]!, now));
  }

  /** The end of an iteration: what it read is free, so the copies that waited for its buffers go. */
  private again(i: Instr, slot: number, now: number): number {
    const { slots, plan } = this;
    const l = slot * plan.loops + i.loop;
    const from = slots.loopFrom[l]!;
    const to = slots.loopTo[l]!;
    const at = slot * plan.variables + i.index;
    const next = slots.env[at]! + 1;
    for (const a of i.ahead) {
      const n = next - 1 - from + a.stages;
      if (from + n < to) this.copies.startAhead(a, slot, i.index, from, n, now);
    }
    if (next < to) {
      slots.env[at] = next;
      if (i.ahead.length > 0) slots.turn(i, slot, next - from);
      slots.pc[slot] = i.target + 1;
      return this.turned(i, now);
    }
    slots.pc[slot] = slots.pc[slot]! + 1;
    return now;
  }

  /** What entering a loop, or a turn of it, takes of lane groups that take turns. */
  private turned(i: Instr, now: number): number {
    const { inOrder } = this.plan;
    if (!inOrder || !i.hold) return now;
    const fs = Math.round(inOrder.cycles(i.hold, 1) * this.rates.cycle_fs);
    this.computing += fs;
    return now + fs;
  }

  /** A copy by lane groups that take turns: elements past the tensor's edge are left out, or filled. */
  private held(i: Instr, slot: number, now: number): number {
    const { inOrder } = this.plan;
    const placer = i.placer!;
    const { rows, cols } = placer.use.tile;
    const there = placer.place(this.slots.env, slot * this.plan.variables);
    const inside = there ? (placer.rows * placer.cols) / (rows * cols) : 0;
    const fs = Math.round(inOrder!.cycles(i.hold!, inside) * this.rates.cycle_fs);
    this.computing += fs;
    return now + fs;
  }

  /** True when the statement can start now; otherwise an event or a landing will bring the workgroup back here. */
  private prepared(i: Instr, slot: number, now: number): boolean {
    const { slots, stalls, heap } = this;
    const { ready } = slots;
    const tiles = slot * slots.tiles;
    let until = now;
    for (let r = 0; r < i.reads.length; r++) {
      const t = i.reads[r]!;
      const at = slots.place(slot, t, slots.current[tiles + t]!);
      const landed = slots.landing[at]!;
      if (landed === Number.POSITIVE_INFINITY) {
        slots.waits[slot] = at;
        slots.waitSince[slot] = now;
        return false;
      }
      if (landed > now) {
        stalls[slots.landingCause[at]!]! += landed - now;
        heap.push(landed, STEP, slot);
        return false;
      }
      until = Math.max(until, ready[tiles + t]!);
    }
    // An accumulator that a matrix unit made is chained there.
    if (i.acc >= 0 && slots.byMma[tiles + i.acc] === 0) until = Math.max(until, ready[tiles + i.acc]!);
    if (until > now) stalls[CAUSE.latency]! += until - now;
    else if (slots.barrierBefore(i, slot)) {
      until = now + this.rates.barrier_fs;
      stalls[CAUSE.barrier]! += until - now;
    }
    if (until === now) return true;
    heap.push(until, STEP, slot);
    return false;
  }

  private compute(i: Instr, slot: number, now: number): number {
    const { slots, servers } = this;
    const end = this.execute(i, slot, now);
    this.copies.executions[i.id] = this.copies.executions[i.id]! + 1;
    for (let w = 0; w < i.writes.length; w++) {
      const t = slot * slots.tiles + i.writes[w]!;
      slots.ready[t] = end + servers.latency[i.id]!;
      slots.byMma[t] = i.isMma ? 1 : 0;
    }
    slots.touches(i, slot);
    return end;
  }

  /** The workgroup is held until the end: its own time is computing, what is beyond that a queue's. */
  private execute(i: Instr, slot: number, now: number): number {
    const { servers } = this;
    const end = servers.run(i, this.slots.core(slot), now);
    this.computing += servers.own;
    if (end - now > servers.own) this.stalls[this.causeOfServer[servers.slowest]!]! += end - now - servers.own;
    return end;
  }
}
