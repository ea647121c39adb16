/**
 * Parameters or keys and values that do not all fit the device: a share of each tensor lives in the host's memory, or
 * behind it on a disk, and is copied to the device for each op that reads it, while the ops before it compute.
 *
 *   disk ─► host ─link─► staging room on the device ─► op
 *
 * The link is one server, the device another; copies go in the order of the ops, as far ahead as the staging room lets
 * them: a copy's bytes hold it from the copy's start to the end of its op. So a run takes as long as the longer of
 * copying and computing, and what the two cannot overlap. (FlexGen, Sheng et al., ICML 2023, splits tensors so.)
 * The device's DRAM also takes the copies' bytes; their time there, a fiftieth of the link's, is left out.
 */
import { InfeasibleError, InputError, unknownName } from '../base/errors.js';
import { linkOf, type ResourceGraph, storeOf } from '../machine/graph.js';
import type { Op, Trace } from '../workload/op.js';
import { cacheBytesOf, footprintOf, weightBytesOf } from '../workload/summary.js';

export const OFFLOADS = ['weights', 'kv'] as const;

export interface Offload {
  readonly what: (typeof OFFLOADS)[number];
  /** Of what is offloaded, the share that lives away from the device; as little as it takes to fit when absent. */
  readonly share?: number;
}

/** Reads WHAT or WHAT:SHARE. @throws InputError for what cannot be offloaded, or a share that is none */
export function parseOffload(text: string, place: string): Offload {
  const [what = '', rest] = text.split(':', 2);
  const known = OFFLOADS.find((o) => o === what);
  if (!known) throw unknownName('thing to offload', what, OFFLOADS, place);
  if (rest === undefined) return { what: known };
  const share = rest.trim() === '' ? Number.NaN : Number(rest);
  if (!(share >= 0 && share <= 1))
    throw new InputError(`expected a share from 0 to 1 after the colon, got '${rest}'`, place);
  return { what: known, share };
}

/** An offload worked out for a trace on a machine. */
export interface Streaming {
  readonly what: Offload['what'];
  readonly share: number;
  readonly host_B: number;
  readonly disk_B: number;
  /** Room on the device for copies that are ahead of their ops. */
  readonly staging_B: number;
  readonly link_B_per_s: number;
  /** Infinity where nothing is on disk. */
  readonly disk_B_per_s: number;
  readonly latency_s: number;
  /** Over the link and at both of its ends. */
  readonly pJ_per_B: number;
}

/** Bytes of what is offloaded that one repeat of an op reads. */
export function offloadableBytes(op: Op, what: Offload['what']): number {
  if (what === 'weights') return weightBytesOf(op);
  return op.kind === 'attention' ? cacheBytesOf(op) : 0;
}

/**
 * @throws InputError when the machine has no link to a host, or the trace nothing to offload
 * @throws InfeasibleError when not even all of it away makes room, or it does not fit the host and its disk
 */
export function streamingOf(trace: Trace, machine: ResourceGraph, { what, share: given }: Offload): Streaming {
  const home = machine.stores.find((s) => s.role === 'home')!;
  const link = linkOf(machine, home.id, 'host');
  if (!link) throw new InputError(`${machine.name} has no link to a host, so nothing can be offloaded`);
  const { weights, kv_cache } = trace.footprint_B;
  const whole = what === 'weights' ? weights : kv_cache;
  const largest = trace.ops.reduce((m, op) => Math.max(m, offloadableBytes(op, what)), 0);
  if (!(whole > 0 && largest > 0)) throw new InputError(`${trace.name} has no ${what} to offload`);
  const excess = footprintOf(trace.footprint_B) - home.capacity_B;
  const gib = (b: number) => `${(b / 2 ** 30).toFixed(1)} GiB`;
  // what is staged is on the device: one copy under way while the one before it is read
  const least = excess <= 0 ? 0 : excess / (whole - 2 * largest);
  if (!(least >= 0 && least <= 1))
    throw new InfeasibleError(
      `${trace.name} needs ${gib(excess)} more than ${machine.name} has, and its ${what} are ${gib(whole)}, of which two copies of ${gib(largest)} are staged`,
    );
  const share = given ?? least;
  const staging_B = share * whole - excess;
  if (share > 0 && staging_B < 2 * share * largest * (1 - 1e-9))
    throw new InfeasibleError(
      `${trace.name} with ${(share * 100).toFixed(1)} % of its ${what} away leaves ${gib(Math.max(0, staging_B))} of ${machine.name} for copies of ${gib(share * largest)} each; ${(least * 100).toFixed(1)} % is the least that leaves room for two`,
    );
  const away_B = share * whole;
  const host = storeOf(machine, 'host');
  const disk = storeOf(machine, 'disk');
  const host_B = Math.min(away_B, host?.capacity_B ?? Number.POSITIVE_INFINITY);
  const disk_B = away_B - host_B;
  if (disk_B > (disk?.capacity_B ?? 0))
    throw new InfeasibleError(
      `${gib(away_B)} of ${what} do not fit the host of ${machine.name} (${gib(host!.capacity_B)})${disk ? ` and its disk (${gib(disk.capacity_B)})` : ', which has no disk'}`,
    );
  const toDisk = linkOf(machine, 'host', 'disk');
  return {
    what,
    share,
    host_B,
    disk_B,
    staging_B,
    link_B_per_s: Math.min(link.B_per_s, host?.read_B_per_s ?? Number.POSITIVE_INFINITY),
    disk_B_per_s:
      disk_B > 0 && disk ? Math.min(disk.read_B_per_s, toDisk?.B_per_s ?? disk.read_B_per_s) : Number.POSITIVE_INFINITY,
    latency_s: link.latency_s + (host?.latency_s ?? 0) + (disk_B > 0 ? (disk?.latency_s ?? 0) : 0),
    pJ_per_B: link.pJ_per_B + home.write_pJ_per_B + (host?.read_pJ_per_B ?? 0),
  };
}

export interface Step {
  readonly time_s: number;
  readonly repeat: number;
  /** Copied for one repeat. */
  readonly streamed_B: number;
}

/**
 * Time that the device waits for copies, of each step, over all of its repeats. Steps of equal repeats that follow one
 * another are a layer: they take turns.
 */
export function waits(steps: readonly Step[], s: Streaming): number[] {
  const waited = steps.map(() => 0);
  let linkFree = 0;
  let diskFree = 0;
  let deviceFree = 0;
  // copies on the device or on their way there, oldest first: bytes, and when their op is done
  const held: { bytes: number; until: number }[] = [];
  let first = 0;
  let used = 0;
  const fromDisk = s.disk_B / (s.host_B + s.disk_B || 1);
  const run = (i: number): void => {
    const { time_s, streamed_B } = steps[i]!;
    let ready = 0;
    if (streamed_B > 0) {
      let from = linkFree;
      while (used + streamed_B > s.staging_B * (1 + 1e-12) && first < held.length) {
        const gone = held[first++]!;
        used -= gone.bytes;
        from = Math.max(from, gone.until);
      }
      if (first > 4096) held.splice(0, first);
      if (first > 4096) first = 0;
      if (fromDisk > 0) diskFree = Math.max(diskFree, from) + (fromDisk * streamed_B) / s.disk_B_per_s;
      linkFree = Math.max(from + streamed_B / s.link_B_per_s, diskFree);
      ready = linkFree + s.latency_s;
      used += streamed_B;
    }
    const start = Math.max(deviceFree, ready);
    waited[i] = waited[i]! + start - deviceFree;
    deviceFree = start + time_s;
    if (streamed_B > 0) held.push({ bytes: streamed_B, until: deviceFree });
  };
  for (let i = 0; i < steps.length; ) {
    let end = i + 1;
    while (end < steps.length && steps[end]!.repeat === steps[i]!.repeat) end++;
    for (let n = 0; n < steps[i]!.repeat; n++) for (let j = i; j < end; j++) run(j);
    i = end;
  }
  return waited;
}
