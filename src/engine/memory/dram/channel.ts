/**
 * One channel: its controller and its banks.
 *
 *   read queue ┐                      ┌ bank queue ┐
 *   write buffer ┴─ one a cycle ──►   │ …          ├─ first ready, bank after bank ──► command bus ──► device
 *   (drained in bursts)               └ bank queue ┘
 *
 * First-ready first-come: each bank serves the oldest request that its open row holds, or else opens the row of its
 * oldest request; a row is closed under younger requests that hit it only after `row_hit_limit` hits. Banks take turns.
 * The organisation (queues, turns, draining of writes) is the one that DRAMsim3 documents, so that the two can be
 * compared (Li et al., "DRAMsim3: a cycle-accurate, thermal-capable DRAM simulator", IEEE CAL 2020).
 *
 * Nothing is done in cycles in which nothing can happen, and no bank is looked at before a cycle up to which its queue
 * cannot issue (ripening.ts). Constraints only ever move later, so that stays a lower bound until the bank itself changes.
 */
import { CMD } from './commands.js';
import type { CompiledConstraints } from './constraints.js';
import { NEVER, REACH, since } from './cycles.js';
import { RefreshTimer } from './refresh.js';
import { FORWARDED, MERGED, Requests } from './requests.js';
import { lowest, Ripening } from './ripening.js';
import { banksOf, type DramSpec } from './spec.js';
import { DeviceTiming } from './timing.js';
import { Transactions } from './transactions.js';

/** Told of what is done, possibly before its time. */
export interface ChannelSink {
  /** The last byte of a read is there at `done`. `tag` is what `add` was given. */
  readDone(tag: number, arrival: number, done: number): void;
  /** A write is taken over by the controller at `done`. */
  writeDone(tag: number, arrival: number, done: number): void;
  /** A burst ends on the data bus. */
  burst(write: boolean, end: number): void;
  /** Every command as it is issued; `bank` is the first of the rank for REF. */
  command?(command: number, bank: number, row: number, cycle: number): void;
}

/** Commands issued, and hits of open rows; cycles with a row open, summed over ranks. */
export interface ChannelCounts {
  activates: number;
  precharges: number;
  reads: number;
  writes: number;
  refreshes: number;
  bank_refreshes: number;
  read_row_hits: number;
  write_row_hits: number;
  /** Reads answered from the write buffer, reads and writes merged with one that waits. */
  forwarded: number;
  merged: number;
}

const { ACT, PRE, RD, WR, RDA, WRA, REF, REFpb } = CMD;
/** What a search for a command can find beside one. */
const NONE = -1;
const OTHER_KIND = -2;
/** Kinds of banks: those that wait for ACT, for PRE, to read, to write (numbered as ACT, PRE, RD, WR), or for several. */
const MIXED = WR + 1;
const KINDS = MIXED + 1;

export class DramChannel {
  readonly counts: ChannelCounts = {
    activates: 0,
    precharges: 0,
    reads: 0,
    writes: 0,
    refreshes: 0,
    bank_refreshes: 0,
    read_row_hits: 0,
    write_row_hits: 0,
    forwarded: 0,
    merged: 0,
  };
  /** Next cycle in which something may happen. */
  wake: number;
  /** The last cycle in which something was done, and one before which nothing more can come. */
  private last = -1;
  private now = 0;
  /** The cycle from which those of commands count; all that comes and goes is in cycles since the start. */
  private epoch = 0;

  private readonly timing: DeviceTiming;
  private readonly refresh: RefreshTimer;
  private readonly banks: number;
  private readonly banks_per_rank: number;
  /** A bank's number shifted by these is its rank's and its group's. */
  private readonly rank_shift: number;
  private readonly group_shift: number;
  private readonly closed_page: boolean;
  private readonly dual: boolean;
  private readonly dual_search: boolean;
  private readonly hit_limit: number;
  private readonly read_delay: number;
  private readonly write_delay: number;
  private readonly merge_bursts: boolean;

  private readonly requests: Requests;
  private readonly transactions: Transactions;
  /** A request can be passed to its bank in the next cycle. */
  private may_pass = false;

  // banks
  private readonly depth: number;
  private readonly queue: Int32Array;
  private readonly queued: Int32Array;
  private queued_all = 0;
  private readonly open_row: Int32Array;
  private readonly hits: Int32Array;
  /** Requests of a bank's queue that its open row holds. */
  private readonly read_hits: Int32Array;
  private readonly write_hits: Int32Array;
  private readonly ripening: Ripening;
  private turn = 0;
  /** A cycle before which no command can go. */
  private issue_at = 0;
  /** The command of a kind. */
  private readonly command_of: Int32Array;
  private readonly ranks: number;
  private readonly open_banks: Int32Array;
  private readonly open_since: Float64Array;
  private open_cycles = 0;

  // what `candidate` found
  private found_command = 0;
  private found_at = 0;

  constructor(
    spec: DramSpec,
    constraints: CompiledConstraints,
    private readonly sink: ChannelSink,
  ) {
    const { organisation, timing, controller } = spec;
    this.timing = new DeviceTiming(constraints, organisation);
    this.refresh = new RefreshTimer(spec);
    this.banks = banksOf(organisation);
    this.banks_per_rank = organisation.bankgroups * organisation.banks_per_group;
    this.rank_shift = Math.log2(this.banks_per_rank);
    this.group_shift = Math.log2(organisation.banks_per_group);
    this.closed_page = controller.page === 'closed';
    this.dual = controller.dual_command !== 'none';
    this.dual_search = controller.dual_command === 'both';
    this.hit_limit = controller.row_hit_limit;
    this.read_delay = timing.RL + timing.BL;
    this.write_delay = timing.WL + timing.BL;
    this.merge_bursts = controller.merge_B >= organisation.burst_B;
    this.depth = controller.bank_queue;
    const slots = this.banks * this.depth + controller.read_queue + controller.write_buffer;
    this.requests = new Requests(slots);
    this.queue = new Int32Array(this.banks * this.depth);
    this.queued = new Int32Array(this.banks);
    this.transactions = new Transactions(this.requests, controller, this.queued);
    this.open_row = new Int32Array(this.banks).fill(-1);
    this.hits = new Int32Array(this.banks);
    this.read_hits = new Int32Array(this.banks);
    this.write_hits = new Int32Array(this.banks);
    this.ripening = new Ripening(organisation.ranks, this.rank_shift, KINDS);
    this.open_banks = new Int32Array(organisation.ranks);
    this.open_since = new Float64Array(organisation.ranks);
    this.command_of = Int32Array.of(ACT, PRE, ...(this.closed_page ? [RDA, WRA] : [RD, WR]));
    this.ranks = organisation.ranks;
    this.wake = this.absolute(this.refresh.next);
  }

  /** Whether a request can be added now, all cycles before being done. */
  accepts(write: boolean): boolean {
    return this.transactions.accepts(write);
  }

  /** The trace is over: writes are drained whatever their number. */
  flush(): void {
    this.transactions.flush = true;
    this.may_pass = this.transactions.canPass(this.queued_all === 0);
    if (this.may_pass) this.wake = Math.min(this.wake, Math.max(this.last + 1, this.now));
  }

  /** Requests that are not issued yet. */
  get waiting(): number {
    return this.transactions.count + this.queued_all;
  }

  /** Cycles until `end` in which a rank had a row open, summed over ranks. */
  openCycles(end: number): number {
    let sum = this.open_cycles;
    for (let r = 0; r < this.open_banks.length; r++)
      if (this.open_banks[r]! > 0) sum += Math.max(0, end - this.open_since[r]!);
    return sum;
  }

  /** Does all cycles before `until`. */
  runTo(until: number): void {
    while (this.wake < until) this.step();
    if (until > this.now) this.now = until;
  }

  /**
   * Adds a request that is there at `cycle`, all cycles before being done and `accepts` true. `key`: the piece of memory
   * in which requests are merged; `burst`: the burst it lies in.
   */
  add(write: boolean, bank: number, row: number, key: number, burst: number, cycle: number, tag: number): void {
    if (cycle > this.now) this.now = cycle;
    if (write) this.sink.writeDone(tag, cycle, cycle + 1);
    const slot = this.requests.take(write, bank, row, key, burst, cycle, tag);
    if (slot === MERGED) {
      this.counts.merged++;
      return;
    }
    if (slot === FORWARDED) {
      this.counts.forwarded++;
      this.sink.readDone(tag, cycle, cycle + 1);
      return;
    }
    this.transactions.add(slot, write);
    this.may_pass = this.transactions.canPass(this.queued_all === 0);
    if (this.may_pass && cycle < this.wake) this.wake = cycle;
  }

  /** Does cycle `wake` and finds the next. */
  step(): void {
    if (this.wake - this.epoch > REACH) this.moveEpoch(this.wake - this.epoch);
    const cycle = (this.wake - this.epoch) | 0;
    const { refresh } = this;
    this.last = this.wake;
    if (cycle >= refresh.next) {
      refresh.advance(cycle);
      this.issue_at = cycle;
    }
    if (cycle >= this.issue_at) {
      this.ripening.advance(cycle);
      let issued = refresh.pending > 0 ? this.issueForRefresh(cycle) : -1;
      if (issued < 0) issued = this.issueForRequest(cycle, -1);
      if (issued >= 0 && this.dual) this.issueForRequest(cycle, isColumn(issued) ? 0 : 1);
      this.issue_at = this.nextIssue(cycle);
    }
    if (this.may_pass) this.pass();
    const next = this.issue_at < refresh.next ? this.issue_at : refresh.next;
    this.wake = this.absolute(this.may_pass || next <= cycle ? cycle + 1 : next);
  }

  private absolute(cycle: number): number {
    return cycle === NEVER ? Number.POSITIVE_INFINITY : this.epoch + cycle;
  }

  private moveEpoch(by: number): void {
    this.epoch += by;
    this.timing.moveEpoch(by);
    this.ripening.moveEpoch(by);
    this.refresh.moveEpoch(by);
    this.issue_at = since(this.issue_at, by);
  }

  /** A cycle before which no command can go. */
  private nextIssue(cycle: number): number {
    const { refresh, ripening, timing } = this;
    const { ripe } = ripening;
    const blocking = refresh.pending > 0 && refresh.begun;
    let next = refresh.pending > 0 ? this.refreshReady() : NEVER;
    if (ripening.next < next) next = ripening.next;
    for (let rank = 0; rank < this.ranks && next > cycle + 1; rank++) {
      const free = blocking ? ~refresh.blockedBanks(rank << this.rank_shift) : -1;
      const base = rank * KINDS;
      if ((ripe[base + MIXED]! & free) !== 0) return cycle + 1;
      for (let kind = 0; kind < MIXED; kind++) {
        if ((ripe[base + kind]! & free) === 0) continue;
        const gate = timing.rankNext(this.command_of[kind]!, rank);
        if (gate < next) next = gate;
      }
    }
    return next > cycle ? next : cycle + 1;
  }

  /** Issues the command that the oldest refresh needs, if one may go: the command, or -1. */
  private issueForRefresh(cycle: number): number {
    const { refresh } = this;
    refresh.begun = true;
    const { first, end, rank } = refresh;
    for (let b = first; b < end; b++) {
      if (this.open_row[b]! < 0 || this.earliest(PRE, b) > cycle) continue;
      this.issue(PRE, b, cycle);
      return PRE;
    }
    for (let b = first; b < end; b++) if (this.open_row[b]! >= 0) return -1;
    const command = refresh.per_bank ? REFpb : REF;
    const legal = refresh.per_bank ? this.earliest(REFpb, first) : this.timing.earliestRefresh(rank);
    if (legal > cycle) return -1;
    this.timing.issue(command, rank, first >> this.group_shift, first, cycle);
    this.sink.command?.(command, first, -1, this.epoch + cycle);
    if (refresh.per_bank) this.counts.bank_refreshes++;
    else this.counts.refreshes++;
    refresh.done();
    return command;
  }

  /** A cycle before which the oldest refresh cannot go on. */
  private refreshReady(): number {
    const { refresh } = this;
    const { first, end, rank } = refresh;
    let next = NEVER;
    let open = false;
    for (let b = first; b < end; b++) {
      if (this.open_row[b]! < 0) continue;
      open = true;
      const e = this.earliest(PRE, b);
      if (e < next) next = e;
    }
    if (open) return next;
    return refresh.per_bank ? this.earliest(REFpb, first) : this.timing.earliestRefresh(rank);
  }

  /** Issues the first ready command, banks taking turns: the command, or -1. `column` 0 or 1 asks for one kind only. */
  private issueForRequest(cycle: number, column: number): number {
    const start = this.turn + 1 === this.banks ? 0 : this.turn + 1;
    const rank = start >> this.rank_shift;
    const from = -1 << (start & (this.banks_per_rank - 1));
    const { ranks } = this;
    const mine = this.startable(rank, cycle, column);
    let command = (mine & from) === 0 ? NONE : this.issueAmong(rank, mine & from, cycle, column);
    for (let n = 1; n < ranks && command === NONE; n++) {
      const other = rank + n < ranks ? rank + n : rank + n - ranks;
      const banks = this.startable(other, cycle, column);
      if (banks !== 0) command = this.issueAmong(other, banks, cycle, column);
    }
    if (command === NONE && (mine & ~from) !== 0) command = this.issueAmong(rank, mine & ~from, cycle, column);
    return command < 0 ? -1 : command;
  }

  /** The banks of a rank that the rank would let issue, a bit each. */
  private startable(rank: number, cycle: number, column: number): number {
    const { timing, refresh, command_of } = this;
    const { ripe } = this.ripening;
    const base = rank * KINDS;
    let banks = ripe[base + MIXED]!;
    // banks that wait for the other kind of command end a search, unless it goes on past them
    const all = column < 0 || !this.dual_search;
    if (all || column === 0) {
      const act = ripe[base + ACT]!;
      const pre = ripe[base + PRE]!;
      if (act !== 0 && timing.rankNext(ACT, rank) <= cycle) banks |= act;
      if (pre !== 0 && timing.rankNext(PRE, rank) <= cycle) banks |= pre;
    }
    if (all || column === 1) {
      const rd = ripe[base + RD]!;
      const wr = ripe[base + WR]!;
      if (rd !== 0 && timing.rankNext(command_of[RD]!, rank) <= cycle) banks |= rd;
      if (wr !== 0 && timing.rankNext(command_of[WR]!, rank) <= cycle) banks |= wr;
    }
    if (banks !== 0 && refresh.pending > 0 && refresh.begun) banks &= ~refresh.blockedBanks(rank << this.rank_shift);
    return banks;
  }

  /** The same among ripe `banks` of a rank: the command, NONE, or OTHER_KIND when the search is to end. */
  private issueAmong(rank: number, banks: number, cycle: number, column: number): number {
    const { ripening } = this;
    const first = rank << this.rank_shift;
    for (let left = banks; left !== 0; left &= left - 1) {
      const b = first + lowest(left);
      const kind = ripening.kind[b]!;
      let command = kind;
      let legal: number;
      if (kind === MIXED) {
        legal = this.candidate(b, cycle);
        command = this.found_command;
      } else {
        command = this.command_of[kind]!;
        legal = this.earliest(command, b);
      }
      if (legal > cycle) {
        ripening.drop(b);
        ripening.put(b, kind, legal);
        continue;
      }
      if (column >= 0 && (isColumn(command) ? 1 : 0) !== column) {
        if (this.dual_search) continue;
        this.turn = b;
        return OTHER_KIND;
      }
      this.turn = b;
      if (isColumn(command)) this.access(command, b, kind === MIXED ? this.found_at : this.firstHit(b, kind), cycle);
      else this.issue(command, b, cycle, this.requests.row[this.queue[b * this.depth]!]!);
      return command;
    }
    return NONE;
  }

  /** Place of the first request in a bank's queue that its open row holds, to read or to write; there is one. */
  private firstHit(b: number, kind: number): number {
    const { row, is_write } = this.requests;
    const base = b * this.depth;
    const open = this.open_row[b]!;
    const write = kind === WR ? 1 : 0;
    let i = 0;
    for (let slot = this.queue[base]!; row[slot] !== open || is_write[slot] !== write; slot = this.queue[base + i]!)
      i++;
    return i;
  }

  private earliest(command: number, bank: number): number {
    return this.timing.earliest(command, bank >> this.rank_shift, bank >> this.group_shift, bank);
  }

  /**
   * First cycle at which bank `b`, whose open row is hit by requests of its queue, can issue for one or close the row,
   * with the command and the request's place in `found_command` and `found_at`: what goes first at `cycle`, when
   * something may go then.
   */
  private candidate(b: number, cycle: number): number {
    const n = this.queued[b]!;
    const base = b * this.depth;
    const { queue } = this;
    const { row, is_write } = this.requests;
    const open = this.open_row[b]!;
    let best = NEVER;
    if (row[queue[base]!] !== open && this.hits[b]! >= this.hit_limit) {
      best = this.earliest(PRE, b);
      this.found_command = PRE;
      if (best <= cycle) return best;
    }
    let reads = false;
    let writes = false;
    for (let i = 0; i < n && !(reads && writes); i++) {
      const slot = queue[base + i]!;
      if (row[slot] !== open) continue;
      const write = is_write[slot] === 1;
      if (write ? writes || this.readBefore(base, i) : reads) continue;
      if (write) writes = true;
      else reads = true;
      const command = this.command_of[write ? WR : RD]!;
      const e = this.earliest(command, b);
      if (e >= best) continue;
      best = e;
      this.found_command = command;
      this.found_at = i;
      if (e <= cycle) return e;
    }
    return best;
  }

  /** Whether an older read of the same burst waits: a write must not overtake it. */
  private readBefore(base: number, i: number): boolean {
    if (this.merge_bursts) return false;
    const { burst, is_write } = this.requests;
    const wanted = burst[this.queue[base + i]!]!;
    for (let j = base; j < base + i; j++) {
      const slot = this.queue[j]!;
      if (is_write[slot] === 0 && burst[slot] === wanted) return true;
    }
    return false;
  }

  /** ACT or PRE to a bank. */
  private issue(command: number, b: number, cycle: number, row = -1): void {
    const rank = b >> this.rank_shift;
    this.timing.issue(command, rank, b >> this.group_shift, b, cycle);
    this.sink.command?.(command, b, row, this.epoch + cycle);
    if (command === ACT) {
      this.counts.activates++;
      this.open_row[b] = row;
      this.countHits(b, row);
      if (this.open_banks[rank]!++ === 0) this.open_since[rank] = this.epoch + cycle;
    } else {
      this.counts.precharges++;
      this.close(b, rank, cycle);
    }
    this.look(b);
  }

  /** Counts the requests of a bank's queue that the row it opens holds. */
  private countHits(b: number, open: number): void {
    const { row, is_write } = this.requests;
    const base = b * this.depth;
    const end = base + this.queued[b]!;
    let reads = 0;
    let writes = 0;
    for (let i = base; i < end; i++) {
      const slot = this.queue[i]!;
      if (row[slot] !== open) continue;
      if (is_write[slot] === 1) writes++;
      else reads++;
    }
    this.read_hits[b] = reads;
    this.write_hits[b] = writes;
  }

  /** Looks at bank `b` anew, its row or its queue having changed: the cycle before which it cannot issue. */
  private look(b: number): number {
    this.ripening.drop(b);
    const kind = this.kindOf(b);
    if (kind < 0) return NEVER;
    const ready = kind === MIXED ? this.candidate(b, -1) : this.earliest(this.command_of[kind]!, b);
    this.ripening.put(b, kind, ready);
    return ready;
  }

  /** What a bank's requests wait for, or -1 when there are none. */
  private kindOf(b: number): number {
    if (this.queued[b] === 0) return -1;
    const open = this.open_row[b]!;
    if (open < 0) return ACT;
    const reads = this.read_hits[b]!;
    const writes = this.write_hits[b]!;
    if (reads + writes === 0) return PRE;
    if (reads > 0 && writes > 0) return MIXED;
    if (this.hits[b]! >= this.hit_limit && this.requests.row[this.queue[b * this.depth]!] !== open) return MIXED;
    return reads > 0 ? RD : WR;
  }

  private close(b: number, rank: number, cycle: number): void {
    this.open_row[b] = -1;
    this.hits[b] = 0;
    this.read_hits[b] = 0;
    this.write_hits[b] = 0;
    if (--this.open_banks[rank]! === 0) this.open_cycles += this.epoch + cycle - this.open_since[rank]!;
  }

  /** A column command for the request at place `at` of a bank's queue, which then is done. */
  private access(command: number, b: number, at: number, cycle: number): void {
    const rank = b >> this.rank_shift;
    const base = b * this.depth;
    const slot = this.queue[base + at]!;
    const last = --this.queued[b]!;
    for (let i = at; i < last; i++) this.queue[base + i] = this.queue[base + i + 1]!;
    this.queued_all--;
    this.timing.issue(command, rank, b >> this.group_shift, b, cycle);
    this.sink.command?.(command, b, this.requests.row[slot]!, this.epoch + cycle);
    const hit = this.hits[b]!++ > 0 ? 1 : 0;
    const write = command === WR || command === WRA;
    const end = this.epoch + cycle + (write ? this.write_delay : this.read_delay);
    if (write) {
      this.counts.writes++;
      this.write_hits[b]!--;
      this.counts.write_row_hits += hit;
    } else {
      this.counts.reads++;
      this.read_hits[b]!--;
      this.counts.read_row_hits += hit;
    }
    this.sink.burst(write, end);
    this.requests.done(slot, this.sink, end);
    if (this.closed_page) this.close(b, rank, cycle);
    this.look(b);
    if (last === this.depth - 1) this.transactions.roomChanged(b);
    this.may_pass = this.transactions.canPass(this.queued_all === 0);
  }

  /** Passes one request on to its bank's queue; its command can go in the next cycle. */
  private pass(): void {
    const slot = this.transactions.pass(this.queued_all === 0);
    if (slot >= 0) {
      const b = this.requests.bank[slot]!;
      const before = this.queued[b]!++;
      this.queue[b * this.depth + before] = slot;
      this.queued_all++;
      if (before + 1 === this.depth) this.transactions.roomChanged(b);
      let hit = -1;
      if (this.requests.row[slot] === this.open_row[b]) {
        hit = this.requests.is_write[slot] === 1 ? WR : RD;
        if (hit === WR) this.write_hits[b]!++;
        else this.read_hits[b]!++;
      }
      // behind others, one that misses changes nothing, nor does one more hit
      if (before === 0 || (hit >= 0 && hit !== this.ripening.kind[b])) {
        const ready = this.look(b);
        if (ready < this.issue_at) this.issue_at = ready;
      }
    }
    this.may_pass = this.transactions.canPass(this.queued_all === 0);
  }
}

const isColumn = (command: number): boolean => command >= RD && command <= WRA;
