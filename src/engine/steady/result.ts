/** The record that every engine gives, from a launch worked out. */

import { positive } from '../../base/errors.js';
import { launchTime } from '../launch.js';
import type { RunResult, Traffic } from '../types.js';
import { CACHE, type Costs, DRAM, ISSUE, LINK, MATRIX, PIPES, SHARED } from './costs.js';
import type { Segment } from './demand.js';
import { DISPATCH, LATENCY, TAIL } from './pace.js';
import type { Solution } from './steady.js';

export function resultOf(s: Solution): RunResult {
  const { costs, demand, fit } = s;
  const { machine } = costs;
  const time_s = positive(s.time_s, `time on ${machine.name}`);
  const energy_J = positive(s.energy_J, 'energy');
  return {
    fidelity: 'steady',
    time_s,
    launch_s: launchTime(machine.control, s.context.launch),
    energy_J,
    energy_by_part_J: s.energy.parts(s.clock_Hz, time_s),
    power_W: energy_J / time_s,
    clock_Hz: s.clock_Hz,
    flops_executed: demand.flops,
    requested_B: requestedOf(s),
    moved_B: s.energy.traffic().moved,
    bound_by: boundBy(s),
    busy_s: busyOf(s),
    detail: {
      workgroups: demand.workgroups,
      resident_per_core: fit.workgroups_per_core,
      limited_by: fit.limited_by,
      waves: demand.workgroups / (machine.cores.count * fit.workgroups_per_core),
    },
  };
}

function requestedOf({ costs, demand }: Solution): Record<string, Traffic> {
  const { home, shared, register } = costs;
  const { requested: near } = demand;
  const out: Record<string, Traffic> = { [home.id]: { read_B: 0, write_B: 0 } };
  for (const t of demand.transfers) {
    const at = (out[t.tensor.home ?? home.id] ??= { read_B: 0, write_B: 0 });
    if (t.write) at.write_B += t.total_B;
    else at.read_B += t.total_B;
  }
  if (shared) out[shared.id] = { read_B: near.shared_read_B, write_B: near.shared_write_B };
  if (register) out[register.id] = { read_B: near.register_read_B, write_B: near.register_write_B };
  return out;
}

/**
 * The launch, the resource or dependence that took most of the time. Where a workgroup's own time sets the pace, the
 * resource that is busy longest beside it has its busy time, and latency only the rest.
 */
function boundBy(s: Solution): string {
  const { pace, demand, costs } = s;
  // the last clock that was tried may be another
  pace.at(s.clock_Hz);
  const launch_s = launchTime(costs.machine.control, s.context.launch);
  const kernel_s = s.time_s - launch_s;
  const times = new Map<string, number>([['launch', launch_s]]);
  const add = (cause: number, time_s: number) => {
    const name = nameOf(costs, cause);
    times.set(name, (times.get(name) ?? 0) + time_s);
  };
  add(TAIL, pace.tail_s);
  if (pace.cause >= 0 || pace.cause === DISPATCH) add(pace.cause, kernel_s - pace.tail_s);
  else {
    // segments share the time as they share a workgroup's
    let sum = 0;
    for (const x of demand.segments) sum += x.step * x.mean + (x.parent ? x.fill * x.parent.mean : 0);
    for (const x of demand.segments) {
      const part = (kernel_s - pace.tail_s) / sum;
      if (x.cause === LATENCY) {
        const busiest = busiestOf(x);
        const busy = Math.min(x.need[busiest]!, x.step);
        add(busiest, busy * x.mean * part);
        add(LATENCY, (x.step - busy) * x.mean * part);
      } else add(x.cause, x.step * x.mean * part);
      if (x.parent) add(LATENCY, x.fill * x.parent.mean * part);
    }
  }
  let best = 'launch';
  let most = 0;
  for (const [name, time] of times)
    if (time > most) {
      best = name;
      most = time;
    }
  return best;
}

/** The resource that all who run at once need longest for one execution of a segment. */
function busiestOf({ need }: Segment): number {
  let best = 0;
  for (let r = 1; r < need.length; r++) if (need[r]! > need[best]!) best = r;
  return best;
}

function nameOf(costs: Costs, cause: number): string {
  if (cause < 0) return cause === TAIL ? 'tail' : cause === DISPATCH ? 'dispatch' : 'latency';
  if (cause === MATRIX) return 'matrix';
  if (cause === SHARED) return 'shared';
  if (cause === ISSUE) return 'issue';
  const beyond = cause - PIPES - costs.pipes.length;
  if (beyond < 0) return cause === costs.special ? 'special' : 'vector';
  return beyond === DRAM
    ? costs.home.id
    : beyond === CACHE
      ? (costs.cache?.id ?? 'link')
      : beyond === LINK
        ? 'link'
        : 'peer';
}

/** Busy time of each resource over the kernel, were it spread evenly over the cores. */
function busyOf({ costs, demand, energy, clock_Hz, reuse }: Solution): Record<string, number> {
  const { machine, cache, home, linkIn, linkOut } = costs;
  const slow = machine.control.clock.nominal_Hz / clock_Hz;
  const busy: Record<string, number> = {};
  const { busy: first } = demand.root;
  for (let r = 0; r < first.length; r++) {
    let cycles = 0;
    for (const s of demand.segments) cycles += s.busy[r]! * s.nest.count;
    if (cycles === 0) continue;
    const name = nameOf(costs, r);
    busy[name] = Math.max(busy[name] ?? 0, cycles / clock_Hz / machine.cores.count);
  }
  let in_B = 0;
  let out_B = 0;
  for (const s of demand.segments) {
    in_B += s.in_B * s.nest.count;
    out_B += s.out_B * s.nest.count;
  }
  if (linkIn && linkOut)
    busy['link'] =
      Math.max(
        (in_B / linkIn.B_per_s) * (linkIn.clocked ? slow : 1),
        (out_B / linkOut.B_per_s) * (linkOut.clocked ? slow : 1),
      ) / machine.cores.count;
  const { moved } = energy.traffic();
  if (cache) {
    const t = moved[cache.id]!;
    busy[cache.id] =
      ((t.read_B / cache.read_B_per_s + t.write_B / cache.write_B_per_s) * (cache.clocked ? slow : 1)) /
      cache.sustained_fraction;
  }
  busy[home.id] = (reuse.dram_read_B + reuse.dram_write_B) * costs.dram_s_per_B;
  let far_s = 0;
  for (const s of demand.segments) far_s += Math.max(s.farRead_s, s.farWrite_s) * s.nest.count;
  if (far_s > 0) busy['peer'] = far_s;
  return busy;
}
