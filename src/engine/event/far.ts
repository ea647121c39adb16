/** What both models of memory beyond the cores share: how the running loop asks them, and memory of other devices. */
import type { Context, MemoryDetail } from '../types.js';
import type { Blocked, Placer } from './blocks.js';
import { END, type Instr, LOAD, LOOP, type Plan, STORE } from './plan.js';
import type { Rates } from './rates.js';
import type { Transfer } from './transfer.js';

export abstract class FarMemory {
  dramRead_B = 0;
  dramWrite_B = 0;
  /** Between cores and cache. */
  cacheRead_B = 0;
  cacheWrite_B = 0;
  readonly remote_B: Record<string, { read_B: number; write_B: number }> = {};
  private readonly remoteFree = new Map<string, { read: number; write: number }>();

  constructor(
    protected readonly plan: Plan,
    protected readonly rates: Rates,
  ) {
    for (const name of rates.remote.keys()) {
      this.remoteFree.set(name, { read: 0, write: 0 });
      this.remote_B[name] = { read_B: 0, write_B: 0 };
    }
  }

  /** Unloaded latency of a copy as things stand, for the core's window. */
  abstract latencyOf(t: Transfer): number;
  /**
   * Sees to it that the copy's bytes are in the cache; sets when its first and last byte are, and true, or false when
   * that is not known yet: then `whenKnown` is called later.
   */
  abstract fetch(t: Transfer, now: number): boolean;
  /** Books the cache's read port; returns when the copy is through. */
  abstract readCache(t: Transfer, now: number): number;
  /** A store's bytes reach the cache (or DRAM, where there is none); returns when the last is there. */
  abstract write(i: Instr, placer: Placer, moved: number, now: number): number;
  /** Dirty bytes of outputs that the cache still holds when the kernel ends. */
  abstract finish(): void;
  /** What cache and DRAM did, where they are modelled with state; after `finish`. */
  detail(): MemoryDetail | undefined {
    return undefined;
  }

  protected fetchRemote(t: Transfer, now: number): void {
    const home = t.instr.placer!.blocked.tensor.home!;
    const r = this.rates.remote.get(home)!;
    const free = this.remoteFree.get(home)!;
    const from = Math.max(free.read, now);
    free.read = from + Math.round(t.moved_B * r.read_fs_per_B);
    t.first = from + r.latency_fs;
    t.last = free.read + r.latency_fs;
    t.extra_fs = r.latency_fs;
    this.remote_B[home]!.read_B += t.moved_B;
  }

  protected writeRemote(b: Blocked, moved: number, now: number): number {
    const home = b.tensor.home!;
    const r = this.rates.remote.get(home)!;
    const free = this.remoteFree.get(home)!;
    free.write = Math.max(free.write, now) + Math.round(moved * r.write_fs_per_B);
    this.remote_B[home]!.write_B += moved;
    return free.write + r.latency_fs;
  }
}

/** Share of each tensor that earlier kernels left in a cache, of those of which they left any, the longest untouched first. */
export function keptBefore(
  plan: Plan,
  context: Context,
  capacity_B: number,
): { readonly blocked: Blocked; readonly fraction: number }[] {
  return plan.blocked
    .filter((b) => b.tensor.role !== 'output' && b.tensor.home === undefined)
    .map((b) => ({ b, reuse_B: b.tensor.role === 'scratch' ? 0 : context.reuse_B[b.tensor.kind] }))
    .sort((x, y) => y.reuse_B - x.reuse_B)
    .map(({ b, reuse_B }) => ({
      blocked: b,
      fraction: Math.min(1, (capacity_B - reuse_B) / (b.elements * b.element_B)),
    }))
    .filter(({ fraction }) => fraction > 0);
}

/**
 * How much of what others left in the cache is dirty: as large a share as this run's outputs have in all that it brings
 * into the cache.
 */
export function foreignShare(plan: Plan, context: Context, capacity_B: number): number {
  const kept = new Map(keptBefore(plan, context, capacity_B).map(({ blocked, fraction }) => [blocked, fraction]));
  let brought = 0;
  let written = 0;
  for (const b of plan.blocked) {
    if (b.tensor.home !== undefined) continue;
    const whole = b.elements * b.element_B;
    const stored = Math.min(whole, storedAtMost(plan, b));
    if (b.tensor.role === 'output' || b.tensor.role === 'inout') written += stored;
    const read = Math.min(whole, pickedAtMost(plan, b));
    brought += b.tensor.role === 'output' || b.tensor.role === 'scratch' ? stored : read * (1 - (kept.get(b) ?? 0));
  }
  return written > 0 ? Math.min(1, written / Math.max(brought, written)) : 0;
}

/** The n-th of a fixed pseudo-random sequence, 32 bits: integer hash "lowbias32" (C. Wellons, hash-prospector). */
export function scrambled(n: number): number {
  let x = (n + 0x9e3779b9) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** Bytes that gathers outside of loops, one each per workgroup, can have picked; Infinity where others read the tensor. */
function pickedAtMost(plan: Plan, b: Blocked): number {
  let bytes = 0;
  let depth = 0;
  for (const i of plan.code) {
    if (i.op === LOOP) depth++;
    if (i.op === END) depth--;
    if (i.op === LOOP && i.ahead.some((a) => a.placer!.blocked === b)) return Number.POSITIVE_INFINITY;
    if (i.op !== LOAD || i.placer!.blocked !== b) continue;
    if (!i.scattered || depth > 0) return Number.POSITIVE_INFINITY;
    const { tile } = i.placer!.use;
    bytes += tile.rows * tile.cols * b.element_B * plan.workgroups;
  }
  return bytes;
}

/** Bytes that stores to a tensor can have written, were each executed once per workgroup. */
function storedAtMost(plan: Plan, b: Blocked): number {
  let bytes = 0;
  for (const i of plan.instrs) {
    if (i.op !== STORE || i.placer!.blocked !== b) continue;
    const { tile } = i.placer!.use;
    bytes += tile.rows * tile.cols * b.element_B * plan.workgroups;
  }
  return bytes;
}
