/** From what a run counted to the result that every engine gives. */

import type { Fit } from '../../kernel/fit.js';
import { tileStoreOf } from '../../machine/graph.js';
import { energyByPart, totalEnergy } from '../energy.js';
import { launchTime } from '../launch.js';
import type { Context, Traffic } from '../types.js';
import { CAUSES, type CauseName } from './causes.js';
import { LOAD, type Plan, STORE } from './plan.js';
import { FS, type Rates } from './rates.js';
import type { EventResult } from './run.js';
import type { Outcome } from './sim.js';

export function tally(plan: Plan, rates: Rates, context: Context, fit: Fit, outcome: Outcome): EventResult {
  const { machine, clock_Hz } = rates;
  const { control } = machine;
  outcome.memory.finish();
  const launch_s = launchTime(control, context.launch);
  const time_s = launch_s + outcome.time_fs / FS;

  const requested: Record<string, Traffic> = {};
  const shared = none();
  const register = none();
  const askedShared = none();
  const askedRegister = none();
  const units = { matrix_pJ: 0, vector_pJ: 0 };
  let flops = 0;
  const cycles = new Float64Array(plan.coster.names.length);
  let in_B = 0;
  let out_B = 0;
  let l1_B = 0;
  for (const i of plan.instrs) {
    const n = outcome.executions[i.id]!;
    const w = i.work;
    if (!w || n === 0) continue;
    w.cycles.forEach((c, s) => {
      cycles[s] = cycles[s]! + c * n;
    });
    flops += w.flops * n;
    units.matrix_pJ += w.matrix_pJ * n;
    units.vector_pJ += w.vector_pJ * n;
    shared.read_B += w.shared_read_B * n;
    shared.write_B += w.shared_write_B * n;
    register.read_B += w.register_read_B * n;
    register.write_B += w.register_write_B * n;
    if (i.moves) {
      askedShared.read_B += w.shared_read_B * n;
      askedShared.write_B += w.shared_write_B * n;
      askedRegister.read_B += w.register_read_B * n;
      askedRegister.write_B += w.register_write_B * n;
    }
    if (i.op !== LOAD && i.op !== STORE) continue;
    const b = i.placer!.blocked;
    const far_B = outcome.requested_B[i.id]!;
    const near_B = (far_B / b.element_B) * i.near_B;
    const far = (requested[b.tensor.home ?? rates.home.id] ??= none());
    const near = i.toShared ? shared : register;
    const asked = i.toShared ? askedShared : askedRegister;
    if (i.op === LOAD) {
      far.read_B += far_B;
      near.write_B += near_B;
      asked.write_B += near_B;
      in_B += outcome.moved_B[i.id]!;
    } else {
      far.write_B += far_B;
      near.read_B += near_B;
      asked.read_B += near_B;
      out_B += outcome.moved_B[i.id]!;
    }
    if (i.toShared) cycles[1] = cycles[1]! + (near_B * i.conflicts) / plan.coster.sharedRate_B_per_cycle;
    else l1_B += far_B;
  }
  requested[rates.home.id] ??= none();
  const sharedStore = tileStoreOf(machine);
  const registerStore = machine.stores.find((s) => s.id === 'register');
  if (sharedStore) requested[sharedStore.id] = askedShared;
  if (registerStore) requested[registerStore.id] = askedRegister;

  const { memory } = outcome;
  const memoryDetail = memory.detail();
  const moved: Record<string, Traffic> = {
    [rates.home.id]: { read_B: memory.dramRead_B, write_B: memory.dramWrite_B },
  };
  for (const name of Object.keys(memory.remote_B)) moved[name] = { ...memory.remote_B[name]! };
  if (rates.cache) moved[rates.cache.id] = { read_B: memory.cacheRead_B, write_B: memory.cacheWrite_B };
  const l1 = machine.stores.find((s) => s.role === 'cache' && s.scope === 'core');
  if (l1) moved[l1.id] = { read_B: l1_B, write_B: 0 };
  if (sharedStore) moved[sharedStore.id] = { ...shared };
  if (registerStore) moved[registerStore.id] = { ...register };

  const links: Record<string, number> = {};
  if (rates.coreIn) links[rates.coreIn.id] = in_B;
  if (rates.coreOut) links[rates.coreOut.id] = (links[rates.coreOut.id] ?? 0) + out_B;
  for (const [name, r] of rates.remote)
    if (r.link) links[r.link.id] = (memory.remote_B[name]?.read_B ?? 0) + (memory.remote_B[name]?.write_B ?? 0);
  // Near stores pay for the way to and from the lanes.
  for (const l of machine.links) {
    if (l.scope !== 'core' || l.to !== 'register') continue;
    if (l.from === sharedStore?.id) links[l.id] = shared.read_B + shared.write_B;
    else if (l.from === l1?.id) links[l.id] = l1_B;
  }
  const parts = energyByPart(machine, units, moved, links, clock_Hz, time_s);
  if (memoryDetail) parts[rates.home.id] = (parts[rates.home.id] ?? 0) + memoryDetail.extra_activate_J;
  const energy_J = totalEnergy(parts);

  const busy: Record<string, number> = {};
  const perCore = rates.cycle_fs / FS / machine.cores.count;
  plan.coster.names.forEach((name, s) => {
    if (cycles[s]! > 0) busy[name] = Math.max(busy[name] ?? 0, cycles[s]! * perCore);
  });
  if (in_B + out_B > 0) {
    const link = Math.max(in_B * rates.in_fs_per_B, out_B * rates.out_fs_per_B);
    busy['link'] = link / FS / machine.cores.count;
  }
  if (rates.cache)
    busy[rates.cache.id] =
      (memory.cacheRead_B * rates.l2Read_fs_per_B + memory.cacheWrite_B * rates.l2Write_fs_per_B) / FS;
  busy[rates.home.id] =
    (memory.dramRead_B * rates.dramRead_fs_per_B + memory.dramWrite_B * rates.dramWrite_fs_per_B) / FS;
  for (const [name, r] of rates.remote) {
    const bytes = memory.remote_B[name]!;
    busy[name] = Math.max(bytes.read_B * r.read_fs_per_B, bytes.write_B * r.write_fs_per_B) / FS;
  }

  const stalls = {} as Record<CauseName, number>;
  CAUSES.forEach((name, c) => {
    stalls[name] = outcome.stalls_fs[c]! / outcome.slots / FS;
  });
  const concurrent = machine.cores.count * fit.workgroups_per_core;
  return {
    fidelity: 'event',
    time_s,
    launch_s,
    energy_J,
    energy_by_part_J: parts,
    power_W: energy_J / time_s,
    clock_Hz,
    flops_executed: flops,
    requested_B: requested,
    moved_B: moved,
    bound_by: boundBy(busy, stalls, launch_s),
    busy_s: busy,
    detail: {
      workgroups: plan.workgroups,
      resident_per_core: fit.workgroups_per_core,
      limited_by: fit.limited_by,
      waves: plan.workgroups / concurrent,
    },
    ...(memoryDetail && { memory: memoryDetail }),
    stalls_s: stalls,
    computing_s: outcome.computing_fs / outcome.slots / FS,
    events: outcome.events,
  };
}

/** The resource that is busy longest, or what slots lose more time to than that, if no resource is to blame for it. */
function boundBy(busy: Record<string, number>, stalls: Record<CauseName, number>, launch_s: number): string {
  let best = 'launch';
  let most = launch_s;
  const consider = (name: string, time: number) => {
    if (time > most) {
      most = time;
      best = name;
    }
  };
  for (const name in busy) consider(name, busy[name]!);
  for (const name of ['latency', 'barrier', 'dispatch', 'tail'] as const) consider(name, stalls[name]);
  return best;
}

const none = (): Traffic => ({ read_B: 0, write_B: 0 });
