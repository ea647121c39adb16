/**
 * The units of the cores as servers that are free from a time on, and what each instruction takes of them.
 *
 * A core's units come in as many parts as it has issue ports, and a lane group lives on one of them. A workgroup with
 * fewer lane groups than that uses only its parts: each unit then is as many servers as such workgroups can share it
 * side by side, each with its share of the rate. The shared-memory port serves the whole core.
 */
import type { TimelineLane } from '../timeline.js';
import type { Instr, Plan } from './plan.js';
import { FS, type Rates } from './rates.js';
import { FIRST_PIPE, ISSUE, MATRIX, SHARED } from './work.js';

export type Draw = (core: number, lane: TimelineLane, name: string, start_s: number, end_s: number) => void;

export class CoreServers {
  /** Of the last `run`: how long it would take undisturbed, and the server that it waited for longest. */
  own = 0;
  slowest = -1;
  /** After an instruction's end, until its result can be read. */
  readonly latency: Float64Array;
  private readonly ways: number;
  private readonly perCore: number;
  /** Way w of server s of core c: `free[c · perCore + s · ways + w]`. */
  private readonly free: Float64Array;
  /** For instruction i: servers taken, for how long, and how long the workgroup sees it, from `first[i]` to `first[i + 1]`. */
  private readonly first: Int32Array;
  private readonly server: Int32Array;
  private readonly taken: Float64Array;
  private readonly seen: Float64Array;
  private readonly chain: Float64Array;
  /** Time that vector work keeps the matrix unit from issuing beside it, by instruction. */
  private readonly withheld: Float64Array;
  private readonly port_fs_per_B: number;

  constructor(
    plan: Plan,
    rates: Rates,
    private readonly draw: Draw | undefined,
  ) {
    const { cores } = rates.machine;
    const share = Math.min(1, Math.ceil(plan.launch.mapping.lanes / cores.lane_group) / cores.issue_groups);
    this.ways = Math.floor(1 / share + 1e-9);
    this.perCore = plan.coster.names.length * this.ways;
    this.free = new Float64Array(cores.count * this.perCore);
    this.port_fs_per_B = rates.cycle_fs / plan.coster.sharedRate_B_per_cycle;
    const n = plan.instrs.length;
    const first = [0];
    const server: number[] = [];
    const taken: number[] = [];
    const seen: number[] = [];
    this.chain = new Float64Array(n);
    this.latency = new Float64Array(n);
    this.withheld = new Float64Array(n);
    const turns = 1 - (cores.co_issue ?? 1);
    for (const i of plan.instrs) {
      if (i.work && !i.isMma && turns > 0) {
        let longest = 0;
        for (let s = FIRST_PIPE; s < i.work.cycles.length; s++) longest = Math.max(longest, i.work.cycles[s]!);
        this.withheld[i.id] = Math.round(turns * longest * rates.cycle_fs * this.ways);
      }
      i.work?.cycles.forEach((cycles, s) => {
        if (cycles <= 0) return;
        const fs = cycles * rates.cycle_fs;
        server.push(s);
        taken.push(Math.round(s === SHARED ? fs : fs * this.ways));
        seen.push(Math.round(s === SHARED ? fs : fs / share));
      });
      this.chain[i.id] = Math.round((i.work?.chain_cycles ?? 0) * rates.cycle_fs);
      this.latency[i.id] = Math.round((i.work?.latency_cycles ?? 0) * rates.cycle_fs);
      first.push(server.length);
    }
    this.first = Int32Array.from(first);
    this.server = Int32Array.from(server);
    this.taken = Float64Array.from(taken);
    this.seen = Float64Array.from(seen);
  }

  /** Takes all that an instruction needs, from `now` on; returns when it is done. */
  run(i: Instr, core: number, now: number): number {
    const { free, server, taken, seen, ways } = this;
    const base = core * this.perCore;
    let own = this.chain[i.id]!;
    let end = now + own;
    this.slowest = -1;
    for (let k = this.first[i.id]!, stop = this.first[i.id + 1]!; k < stop; k++) {
      const s = server[k]!;
      let at = base + s * ways;
      if (ways > 1 && s !== SHARED) at = this.earliest(at);
      const from = Math.max(free[at]!, now);
      free[at] = from + taken[k]!;
      const mine = seen[k]!;
      if (mine > own) own = mine;
      if (from + mine > end) {
        end = from + mine;
        this.slowest = s;
      }
      if (this.draw && s !== SHARED && s !== ISSUE)
        this.draw(core, s === MATRIX ? 'matrix' : 'vector', i.name, from / FS, (from + taken[k]!) / FS);
    }
    if (this.withheld[i.id]! > 0) {
      const at = ways > 1 ? this.earliest(base + MATRIX * ways) : base + MATRIX;
      free[at] = Math.max(free[at]!, now) + this.withheld[i.id]!;
    }
    this.own = own;
    return end;
  }

  /** Bytes of a copy cross the core's shared-memory port; returns when the last has. */
  throughPort(core: number, bytes: number, now: number): number {
    const at = core * this.perCore + SHARED * this.ways;
    const end = Math.max(this.free[at]!, now) + Math.round(bytes * this.port_fs_per_B);
    this.free[at] = end;
    return end;
  }

  private earliest(at: number): number {
    let best = at;
    for (let w = 1; w < this.ways; w++) if (this.free[at + w]! < this.free[best]!) best = at + w;
    return best;
  }
}
