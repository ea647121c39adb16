/**
 * Copies between memory and tiles, from the instruction to the landing.
 *
 *   start ─► request (the core's window) ─► fetch (cache, DRAM) ─► arrive (cache port, link, shared port) ─► landed
 *
 * Transfers cut through: each server on the way is booked when the first byte reaches it, and the copy has landed when
 * the slowest of them is through, plus latency. So an undisturbed copy takes its latency and its bytes over the
 * narrowest server, and a queue at any of them delays it.
 */
import { CAUSE, type Cause } from './causes.js';
import type { FarMemory } from './far.js';
import type { EventHeap } from './heap.js';
import type { Instr, Plan } from './plan.js';
import type { CorePorts } from './port.js';
import type { Rates } from './rates.js';
import type { CoreServers } from './servers.js';
import { LOADS, NOTHING, type Slots } from './slots.js';
import { Transfer } from './transfer.js';

/** Kinds of events; those of copies are named by the transfer, the others by the slot. */
export const DISPATCH = 0;
export const STEP = 1;
/** A copy's first request leaves the core; its first byte is on its way from the cache. */
export const REQUEST = 2;
export const ARRIVE = 3;
/** Memory with state goes on. */
export const TICK = 4;

export class Copies {
  /** When the last store so far has landed. */
  lastLanding = 0;
  /** By instruction. */
  readonly executions: Float64Array;
  readonly requested_B: Float64Array;
  readonly moved_B: Float64Array;
  private readonly pool: Transfer[] = [];
  private readonly spare: number[] = [];
  /** Gathers that wait for their indices, by the place of the indices' landing. */
  private readonly followers = new Map<number, Transfer[]>();

  constructor(
    private readonly plan: Plan,
    private readonly rates: Rates,
    private readonly heap: EventHeap,
    private readonly slots: Slots,
    private readonly memory: FarMemory,
    private readonly servers: CoreServers,
    private readonly ports: CorePorts,
    private readonly stalls: Float64Array,
  ) {
    const n = plan.instrs.length;
    this.executions = new Float64Array(n);
    this.requested_B = new Float64Array(n);
    this.moved_B = new Float64Array(n);
  }

  /** A copy that runs ahead: that of iteration n of a loop over `index` from `from` on. */
  startAhead(i: Instr, slot: number, index: number, from: number, n: number, now: number): void {
    const { slots, plan } = this;
    const at = slot * plan.variables + index;
    const running = slots.env[at]!;
    slots.env[at] = from + n;
    const after = i.indexTile < 0 ? -1 : slots.place(slot, i.indexTile, n % plan.tiles[i.indexTile]!.stages);
    this.start(i, slot, n % i.stages, false, now, after);
    slots.env[at] = running;
  }

  /** A copy that its workgroup waits for. */
  startBlocking(i: Instr, slot: number, now: number): void {
    const { slots } = this;
    slots.loadsOpen[slot] = slots.loadsOpen[slot]! + 1;
    slots.current[slot * slots.tiles + i.tile] = 0;
    this.start(i, slot, 0, true, now, -1);
  }

  /** Into `buffer` of its tile; when `after` is the place of a landing, once that has landed. */
  private start(i: Instr, slot: number, buffer: number, blocking: boolean, now: number, after: number): void {
    const { slots, heap, followers } = this;
    this.servers.run(i, slots.core(slot), now);
    const place = slots.place(slot, i.tile, buffer);
    const placer = i.placer!;
    if (!placer.place(slots.env, slot * this.plan.variables)) {
      slots.landing[place] = now;
      if (blocking) slots.loadsOpen[slot] = slots.loadsOpen[slot]! - 1;
      return;
    }
    const id = this.spare.length > 0 ? this.spare.pop()! : this.pool.push(new Transfer(this.pool.length)) - 1;
    const t = this.pool[id]!;
    t.set(i, slot, slots.core(slot), place, blocking, placer);
    this.count(i, t.requested_B, t.moved_B);
    slots.landing[place] = Number.POSITIVE_INFINITY;
    const known = after < 0 ? 0 : slots.landing[after]!;
    t.since = Math.max(now, known);
    if (known === Number.POSITIVE_INFINITY) {
      const waiting = followers.get(after);
      if (waiting) waiting.push(t);
      else followers.set(after, [t]);
    } else if (known > now) heap.push(known, REQUEST, t.id);
    else this.request(t.id, now);
  }

  private count(i: Instr, requested: number, moved: number): void {
    this.executions[i.id] = this.executions[i.id]! + 1;
    this.requested_B[i.id] = this.requested_B[i.id]! + requested;
    this.moved_B[i.id] = this.moved_B[i.id]! + moved;
  }

  /** The first request leaves the core as soon as the window lets it. */
  request(id: number, now: number): void {
    const t = this.pool[id]!;
    const { heap, memory } = this;
    if (!t.windowed) {
      t.windowed = true;
      const leaves = this.ports.ask(t, t.core, memory.latencyOf(t), now);
      if (leaves > now) {
        heap.push(leaves, REQUEST, id);
        return;
      }
    }
    // What a copy moves is more than it seemed where its lines are known.
    const { moved_B } = t;
    const known = memory.fetch(t, now);
    this.moved_B[t.instr.id] = this.moved_B[t.instr.id]! + t.moved_B - moved_B;
    if (!known) return;
    if (t.first > now) heap.push(t.first, ARRIVE, id);
    else this.arrive(id, now);
  }

  /** Memory knows when a copy's bytes are there, which it did not when it was asked. */
  whenKnown(t: Transfer, now: number): void {
    this.heap.push(Math.max(now, t.first), ARRIVE, t.id);
  }

  /** From the cache over the core's link into the tile. */
  arrive(id: number, now: number): void {
    const t = this.pool[id]!;
    const { hit_fs } = this.rates;
    const i = t.instr;
    const { core } = t;
    if (t.near > 0 && t.moved_B === 0 && !t.missed) {
      this.landed(t, t.near, CAUSE.latency);
      return;
    }
    // Where memory told late, the way on is booked from when the bytes came.
    const from = Math.min(now, t.first);
    const l2 = this.memory.readCache(t, now);
    const link = this.ports.receive(core, t.moved_B, i.name, from);
    const port = i.toShared ? this.servers.throughPort(core, t.elements * i.near_B * i.conflicts, from) : now;
    const end = Math.max(l2, link, port, t.last, t.lastRequest + t.extra_fs, t.near - hit_fs) + hit_fs;
    // The largest part of its time names the cause, should anybody wait for it.
    let cause: Cause = CAUSE.latency;
    let most = Math.max(hit_fs + t.extra_fs, t.lastRequest - t.since);
    const far = t.missed || t.remote ? t.last - t.since - t.extra_fs : 0;
    if (far > most) {
      most = far;
      cause = t.remote ? CAUSE.link : CAUSE.dram;
    }
    if (l2 - now > most) {
      most = l2 - now;
      cause = CAUSE.l2;
    }
    if (link - now > most) {
      most = link - now;
      cause = CAUSE.link;
    }
    if (port - now > most) cause = CAUSE.shared;
    this.landed(t, end, cause);
  }

  private landed(t: Transfer, at: number, cause: Cause): void {
    const { slots, heap } = this;
    const { slot, place } = t;
    slots.landing[place] = at;
    slots.landingCause[place] = cause;
    if (t.blocking) {
      slots.loadsOpen[slot] = slots.loadsOpen[slot]! - 1;
      if (at > slots.loadsUntil[slot]!) {
        slots.loadsUntil[slot] = at;
        slots.loadsCause[slot] = cause;
      }
      if (slots.waits[slot] === LOADS && slots.loadsOpen[slot] === 0)
        this.wake(slot, slots.loadsUntil[slot]!, slots.loadsCause[slot]!);
    }
    if (slots.waits[slot] === place) this.wake(slot, at, cause);
    const waiting = this.followers.get(place);
    if (waiting) {
      this.followers.delete(place);
      for (const f of waiting) {
        f.since = at;
        heap.push(at, REQUEST, f.id);
      }
    }
    this.spare.push(t.id);
  }

  private wake(slot: number, at: number, cause: number): void {
    const { slots } = this;
    slots.waits[slot] = NOTHING;
    this.stalls[cause]! += at - slots.waitSince[slot]!;
    this.heap.push(at, STEP, slot);
  }

  /** A store leaves the core over its link; nobody waits for it but its workgroup's end and the kernel's. */
  store(i: Instr, slot: number, now: number): void {
    const { slots } = this;
    const placer = i.placer!;
    if (!placer.place(slots.env, slot * this.plan.variables)) return;
    const core = slots.core(slot);
    const moved = placer.moved_B;
    this.count(i, placer.requested_B, moved);
    let departs = this.ports.send(core, moved, i.name, now);
    if (i.toShared)
      departs = Math.max(
        departs,
        this.servers.throughPort(core, placer.rows * placer.cols * i.near_B * i.conflicts, now),
      );
    if (departs > slots.departs[slot]!) slots.departs[slot] = departs;
    const end = Math.max(departs, this.memory.write(i, placer, moved, now)) + (i.remote ? 0 : this.rates.hit_fs);
    if (end > this.lastLanding) this.lastLanding = end;
  }
}
