/** A machine at one clock, as the running loop wants it: service times and latencies in femtoseconds. */
import { InputError } from '../../base/errors.js';
import type { Link, ResourceGraph, Store } from '../../machine/graph.js';

/** Whole femtoseconds keep sums exact: 2⁵³ of them are 9 s. */
export const FS = 1e15;

export interface Rates {
  readonly machine: ResourceGraph;
  readonly clock_Hz: number;
  readonly cycle_fs: number;
  readonly home: Store;
  readonly cache: Store | undefined;
  readonly coreIn: Link | undefined;
  readonly coreOut: Link | undefined;
  readonly dramRead_fs_per_B: number;
  readonly dramWrite_fs_per_B: number;
  readonly l2Read_fs_per_B: number;
  readonly l2Write_fs_per_B: number;
  readonly in_fs_per_B: number;
  readonly out_fs_per_B: number;
  /** Bytes one core can have on their way to it. */
  readonly inFlight_B: number;
  /** Of a load that the cache holds, and how much more one takes that it does not. */
  readonly hit_fs: number;
  readonly miss_fs: number;
  /** How much slower DRAM is when as many bytes are written as read. */
  readonly mixed_slowdown: number;
  readonly barrier_fs: number;
  readonly start_fs: number;
  readonly dispatch_fs: number;
  /** Tensors that live elsewhere: by name of their home. */
  readonly remote: ReadonlyMap<string, Remote>;
}
export interface Remote {
  readonly link: Link | undefined;
  readonly read_fs_per_B: number;
  readonly write_fs_per_B: number;
  readonly latency_fs: number;
}

export function ratesOf(machine: ResourceGraph, clock_Hz: number, homes: Iterable<string>): Rates {
  const slow = machine.control.clock.nominal_Hz / clock_Hz;
  const scale = (x: { clocked: boolean }) => (x.clocked ? slow : 1);
  const home = machine.stores.find((s) => s.role === 'home');
  if (!home) throw new InputError(`machine ${machine.name} has no home store`);
  const cache = machine.stores.find((s) => s.role === 'cache' && s.scope === 'machine');
  const near = (cache ?? home).id;
  const coreIn = machine.links.find((l) => l.scope === 'core' && l.from === near);
  const coreOut = machine.links.find((l) => l.scope === 'core' && l.to === near) ?? coreIn;
  const fs = (B_per_s: number, slower: number) => (FS / B_per_s) * slower;
  const dramLink = cache && machine.links.find((l) => l.from === home.id && l.to === cache.id);
  const dramLink_fs = dramLink ? fs(dramLink.B_per_s, scale(dramLink)) : 0;
  const wire = (coreIn?.latency_s ?? 0) * (coreIn ? scale(coreIn) : 1);
  const hit_s = cache
    ? (cache.latency_s + (cache.far ? cache.far.extra_latency_s * cache.far.share : 0)) * scale(cache) + wire
    : home.latency_s * scale(home) + wire;
  const miss_s = cache ? Math.max(0, home.latency_s * scale(home) + (dramLink?.latency_s ?? 0) + wire - hit_s) : 0;
  const cycle_fs = FS / clock_Hz;
  const remote = new Map<string, Remote>();
  for (const name of homes) {
    const link = machine.links.find((l) => l.to === name || l.from === name);
    const store = machine.stores.find((s) => s.id === name);
    if (!link && !store) throw new InputError(`machine ${machine.name} has no ${name} memory`);
    const rate = (store_B_per_s: number | undefined) =>
      Math.max(link ? fs(link.B_per_s, scale(link)) : 0, store_B_per_s ? fs(store_B_per_s, scale(store!)) : 0);
    remote.set(name, {
      link,
      read_fs_per_B: rate(store?.read_B_per_s),
      write_fs_per_B: rate(store?.write_B_per_s),
      latency_fs: Math.round(((link?.latency_s ?? 0) + (store?.latency_s ?? 0)) * FS),
    });
  }
  return {
    machine,
    clock_Hz,
    cycle_fs,
    home,
    cache,
    coreIn,
    coreOut,
    dramRead_fs_per_B: Math.max(fs(home.read_B_per_s * home.sustained_fraction, scale(home)), dramLink_fs),
    dramWrite_fs_per_B: fs(home.write_B_per_s * home.sustained_fraction, scale(home)),
    l2Read_fs_per_B: cache ? fs(cache.read_B_per_s * cache.sustained_fraction, scale(cache)) : 0,
    l2Write_fs_per_B: cache ? fs(cache.write_B_per_s * cache.sustained_fraction, scale(cache)) : 0,
    in_fs_per_B: coreIn ? fs(coreIn.B_per_s, scale(coreIn)) : 0,
    out_fs_per_B: coreOut ? fs(coreOut.B_per_s, scale(coreOut)) : 0,
    inFlight_B: coreIn?.in_flight_B ?? Number.POSITIVE_INFINITY,
    hit_fs: Math.round(hit_s * FS),
    miss_fs: Math.round(miss_s * FS),
    mixed_slowdown: home.sustained_fraction / (home.mixed_fraction ?? home.sustained_fraction),
    barrier_fs: Math.round(machine.control.barrier_cycles * cycle_fs),
    start_fs: Math.round(machine.control.workgroup_start_cycles * cycle_fs),
    dispatch_fs: Math.round(machine.control.dispatch_interval_s * FS),
    remote,
  };
}
