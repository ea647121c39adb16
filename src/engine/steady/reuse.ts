/**
 * How many of a launch's requests to the far cache go on to DRAM.
 *
 * Workgroups run in raster order, C of them at once. Bytes that the C share are fetched once. Larger blocks of the
 * raster (a panel, a sweep, all) repeat the smaller ones: a tensor whose place does not change between repetitions is
 * touched again after the bytes of one repetition (its reuse distance), and still there when the cache is larger.
 * Between one and two times the capacity hits fall linearly to none: caches are hashed and not perfectly LRU.
 *
 * Where the cache has partitions, what a core reads from the far one is kept in its own too: a line that one core reads
 * takes 1 + far share lines, one that all read takes two. Tensors that come round from launch to launch are streams: of
 * one that does not fit nothing is left when it comes again (on the L40S hits end between 98 and 105 MiB of its 96).
 */
import { bytesOf } from '../../base/dtype.js';
import type { LoopVar, Program, Tensor, View } from '../../kernel/ir.js';
import type { Mapping } from '../../kernel/kernel.js';
import type { Context } from '../types.js';
import type { Costs } from './costs.js';
import type { Demand, Transfer } from './demand.js';
import { mentions, type Nest, placeFollows } from './domain.js';

export interface Reuse {
  readonly dram_read_B: number;
  readonly dram_write_B: number;
  /** Written to DRAM while the launch runs, by it or on behalf of those before. */
  readonly pushed_B: number;
}

/** All that a launch reads, or writes, of a tensor. */
export interface Use {
  readonly tensor: Tensor;
  readonly written: boolean;
  readonly scattered: boolean;
  readonly atomic: boolean;
  requested_B: number;
  distinct_B: number;
  /** Times that a workgroup goes over the same of it, loop after loop. */
  passes: number;
  /** Bit d: its place depends on grid dim d. */
  depends: number;
  /** Bit d: neither its place nor how often it is asked for depends on grid dim d. */
  alike: number;
  /** Lines of the cache that hold one of its lines, in all partitions. */
  lines: number;
  /** Bytes that DRAM delivers; of what is written, bytes that it takes. */
  fetched_B: number;
  /** Of that, what no transfer has been charged with yet. */
  left_B: number;
  /** Written, and pushed out of the cache before the launch ends. */
  evicted_B: number;
}

export function reuseOf(
  demand: Demand,
  program: Program,
  mapping: Mapping,
  costs: Costs,
  context: Context,
  resident: number,
): Reuse {
  const { transfers } = demand;
  const uses = (demand.uses ??= usesOf(transfers, program));
  const capacity = costs.cache ? costs.cache.capacity_B : 0;
  const near = 1 - (costs.cache?.far?.share ?? 0);
  let all_B = 0;
  let lined_B = 0;
  for (let i = 0; i < uses.length; i++) {
    const u = uses[i]!;
    u.fetched_B = u.distinct_B;
    u.lines = u.distinct_B === 0 ? 1 : 2 - near ** (u.requested_B / u.distinct_B);
    all_B += u.distinct_B;
    lined_B += u.distinct_B * u.lines;
  }
  const touched_B = touchedOf(uses, all_B);
  const concurrent = costs.machine.cores.count * resident;
  if (lined_B > capacity) passes(uses, demand, program, mapping, capacity, concurrent);
  const waves = Math.max(1, demand.workgroups / concurrent);
  // what the launch finds in the cache at its start, and what it brings in
  let found_B = 0;
  let brought_B = touched_B;
  for (let i = 0; i < uses.length; i++) {
    const u = uses[i]!;
    const distance = u.tensor.role === 'scratch' ? 0 : context.reuse_B[u.tensor.kind];
    let kept = clamp01((1 + STREAM_MARGIN - ((distance + u.distinct_B) * u.lines) / capacity) / STREAM_MARGIN);
    if (u.written) {
      // what is written again before it must make room is never written back
      u.fetched_B = u.tensor.role === 'scratch' ? u.distinct_B : (1 - kept) * u.distinct_B;
      continue;
    }
    // of scratch that does not fit the end is there, which nobody needs written back
    found_B += u.tensor.role === 'scratch' ? Math.min(capacity, u.distinct_B) : kept * u.distinct_B;
    if (u.tensor.role === 'scratch') kept = keptOfScratch(u.distinct_B, touched_B, capacity, waves);
    brought_B -= kept * u.distinct_B;
    u.fetched_B = Math.max(0, u.fetched_B - kept * u.distinct_B);
  }

  // of what others left, the share that is dirty is that of this launch's own writes: each pays for those before it
  const replaced = brought_B > 0 ? clamp01((capacity - found_B) / brought_B) : 0;
  let dram_read_B = 0;
  let dram_write_B = 0;
  let pushed_B = 0;
  for (let i = 0; i < uses.length; i++) {
    const u = uses[i]!;
    if (u.written) {
      u.evicted_B = evictedBeforeEnd(u.fetched_B, touched_B, capacity, waves);
      if (u.tensor.role === 'scratch') dram_write_B += u.evicted_B;
      else {
        dram_write_B += u.fetched_B;
        // what stays behind is written back in a later launch's time, as what earlier ones left is in this one's
        u.evicted_B = Math.min(u.fetched_B, u.evicted_B + replaced * u.fetched_B);
      }
      pushed_B += u.evicted_B;
      // what is combined with must come first
      if (u.atomic) dram_read_B += u.fetched_B;
    } else dram_read_B += u.fetched_B;
    u.left_B = u.fetched_B;
  }
  for (let i = 0; i < transfers.length; i++) {
    const t = transfers[i]!;
    const u = t.use;
    if (!u || u.requested_B === 0) continue;
    const each_B = t.total_B / t.segment.nest.count;
    if (t.write) {
      t.segment.dramWrite_B += (each_B * u.evicted_B) / u.requested_B;
      if (u.atomic) t.segment.dramRead_B += (each_B * u.fetched_B) / u.requested_B;
    } else {
      // the first to read brings it in for the others
      const fetched_B = Math.min(t.total_B, u.left_B);
      u.left_B -= fetched_B;
      t.miss = t.total_B > 0 ? fetched_B / t.total_B : 0;
      t.segment.dramRead_B += each_B * t.miss;
    }
  }
  return { dram_read_B, dram_write_B, pushed_B };
}

/**
 * Share of a scratch tensor that its reader finds, which goes over it in the order in which the launch before has written
 * it: the oldest first, and that is pushed out first by what else the reader brings in. One that exceeds the cache is
 * gone where it is wanted, always (the cyclic case of LRU). Workgroups that run all at once have no order.
 */
function keptOfScratch(own_B: number, all_B: number, capacity: number, waves: number): number {
  const others_B = all_B - own_B;
  if (all_B <= capacity) return 1;
  if (waves <= 1) return clamp01((capacity - others_B) / own_B);
  return clamp01((capacity - own_B) / others_B);
}

/**
 * Bytes of a tensor that are written back before the launch ends. The cache holds what the last wave writes, after all
 * that it reads; of what came before, as large a share as it has in all traffic.
 */
function evictedBeforeEnd(own_B: number, all_B: number, capacity: number, waves: number): number {
  if (all_B <= capacity) return 0;
  const last_B = Math.min(own_B / waves, capacity);
  return Math.max(0, own_B - last_B - ((capacity - last_B) * own_B) / all_B);
}

/** Bytes of all uses, those of tensors that are read and written counted once. */
function touchedOf(uses: readonly Use[], all_B: number): number {
  let touched_B = all_B;
  for (let i = 0; i < uses.length; i++)
    for (let j = 0; j < i; j++)
      if (uses[i]!.tensor === uses[j]!.tensor) touched_B -= Math.min(uses[i]!.distinct_B, uses[j]!.distinct_B);
  return touched_B;
}

/** Share of its capacity by which a stream may exceed a cache and be found in part: inferred from rows (above). */
const STREAM_MARGIN = 0.08;

/** What transfers ask of each tensor, read and written apart; notes in each transfer which it is. */
function usesOf(transfers: readonly Transfer[], program: Program): Use[] {
  const { grid } = program;
  const uses: Use[] = [];
  for (let k = 0; k < transfers.length; k++) {
    const t = transfers[k]!;
    if (t.remote) continue;
    let u = useOf(uses, t);
    if (!u) {
      u = {
        tensor: t.tensor,
        written: t.write,
        scattered: t.scattered,
        atomic: t.atomic,
        requested_B: 0,
        distinct_B: 0,
        passes: 1,
        depends: 0,
        alike: (1 << grid.length) - 1,
        lines: 1,
        fetched_B: 0,
        left_B: 0,
        evicted_B: 0,
      };
      uses.push(u);
    }
    t.use = u;
    u.requested_B += t.total_B;
    if (!t.write) u.passes = Math.max(u.passes, passesOf(transfers, k));
    // a loop whose bounds follow a grid index carries the dependence inwards (split ranges, stream-K), and rows picked
    // by data are others for each workgroup
    u.depends |= t.scattered ? (1 << grid.length) - 1 : t.follows;
    for (let i = 0; i < grid.length; i++) {
      if (!(u.depends & (1 << i)) && loopFollows(t.nest, t.view, grid[i]!.index)) u.depends |= 1 << i;
      if (loopKnows(t.nest, grid[i]!.index)) u.alike &= ~(1 << i);
    }
  }
  for (let i = 0; i < uses.length; i++) {
    const u = uses[i]!;
    const whole = bytesIn(u.tensor);
    // rows picked by data: as many different ones as of that many picked blindly; stores that combine nothing go each
    // to a row of its own
    u.distinct_B =
      u.scattered && (!u.written || u.atomic)
        ? whole * (1 - Math.exp(-u.requested_B / whole))
        : Math.min(u.requested_B / repeatsOf(u, grid), whole);
  }
  return uses;
}

/** Workgroups that ask for the same bytes. */
function repeatsOf(u: Use, grid: Program['grid']): number {
  let n = 1;
  for (let d = 0; d < grid.length; d++) if (u.alike & ~u.depends & (1 << d)) n *= grid[d]!.extent;
  return n;
}

/** How often loops up to transfer k read what it reads: the same tensor over the same range. */
function passesOf(transfers: readonly Transfer[], k: number): number {
  const t = transfers[k]!;
  let n = 1;
  for (let i = 0; i < k; i++) {
    const o = transfers[i]!;
    if (o.tensor !== t.tensor || o.write || o.segment === t.segment || o.total_B !== t.total_B) continue;
    if (o.nest.parent === t.nest.parent && o.nest.from === t.nest.from && o.nest.to === t.nest.to) n++;
  }
  return n;
}

/** Bytes that each tensor has fetched when not all of them fit the cache: block by block of the raster. */
function passes(
  uses: readonly Use[],
  demand: Demand,
  program: Program,
  mapping: Mapping,
  capacity: number,
  concurrent: number,
): void {
  const { workgroups } = demand;
  const levels = rasterLevels(program, mapping);
  // from what runs at once to ever larger blocks of the raster, and the whole
  let block = Math.min(concurrent, workgroups);
  footprints(uses, block, levels, workgroups, here);
  // a workgroup that comes back to what it has read finds it after all that run with it went on as far
  let running = 0;
  for (let i = 0; i < uses.length; i++) running += here[i]! * uses[i]!.lines;
  const kept = hitRate(running, capacity);
  for (let i = 0; i < uses.length; i++) {
    const u = uses[i]!;
    u.fetched_B = here[i]! * (1 + (u.passes - 1) * (1 - kept));
  }
  const grownTo = (larger: number): void => {
    footprints(uses, larger, levels, workgroups, next);
    const repeat = larger / block;
    let working = 0;
    for (let i = 0; i < uses.length; i++) working += here[i]! * uses[i]!.lines;
    const hit = hitRate(working, capacity);
    // of `repeat` passes, `grow` bring new bytes; the others find what the cache kept
    for (let i = 0; i < uses.length; i++) {
      const grow = here[i]! > 0 ? next[i]! / here[i]! : 1;
      uses[i]!.fetched_B *= grow + Math.max(0, repeat - grow) * (1 - hit);
      here[i] = next[i]!;
    }
    block = larger;
  };
  let size = 1;
  for (let i = 0; i < levels.length; i++) {
    size *= levels[i]!.extent;
    if (size > block && size <= workgroups * 1.0001) grownTo(size);
  }
  if (block < workgroups) grownTo(workgroups);
  for (let i = 0; i < uses.length; i++) uses[i]!.fetched_B = Math.min(uses[i]!.fetched_B, uses[i]!.requested_B);
}

/** Bytes that each use touches in a block, and in the next larger one; used again by launch after launch. */
const here: number[] = [];
const next: number[] = [];

function footprints(
  uses: readonly Use[],
  count: number,
  levels: readonly RasterLevel[],
  workgroups: number,
  to: number[],
): void {
  for (let i = 0; i < uses.length; i++) to[i] = footprint(uses[i]!, count, levels, workgroups);
}

function useOf(uses: readonly Use[], t: Transfer): Use | undefined {
  for (let i = 0; i < uses.length; i++) {
    const u = uses[i]!;
    if (u.tensor === t.tensor && u.written === t.write) return u;
  }
  return undefined;
}

const clamp01 = (x: number): number => (x < 0 ? 0 : Math.min(x, 1));
function bytesIn(t: Tensor): number {
  let n = bytesOf(t.dtype);
  for (let d = 0; d < t.dims.length; d++) n *= t.dims[d]!;
  return n;
}

/** Share of re-touches that hit when `working` bytes pass between them. */
function hitRate(working: number, capacity: number): number {
  return capacity <= 0 ? 0 : clamp01(2 - working / capacity);
}

interface RasterLevel {
  readonly dim: number;
  readonly extent: number;
}

/** The raster as nested counts, fastest first: panel rows of grid[1], grid[0], panels, the rest. */
function rasterLevels(program: Program, mapping: Mapping): RasterLevel[] {
  const g0 = program.grid[0]?.extent ?? 1;
  const g1 = program.grid[1]?.extent ?? 1;
  const panel = Math.max(1, Math.min(mapping.panel, g1));
  const levels: RasterLevel[] = [];
  if (panel > 1) levels.push({ dim: 1, extent: panel });
  if (g0 > 1) levels.push({ dim: 0, extent: g0 });
  if (g1 > panel) levels.push({ dim: 1, extent: g1 / panel });
  for (let d = 2; d < program.grid.length; d++) {
    const { extent } = program.grid[d]!;
    if (extent > 1) levels.push({ dim: d, extent });
  }
  return levels;
}

/** Distinct bytes that `count` consecutive workgroups touch. */
function footprint(u: Use, count: number, levels: readonly RasterLevel[], workgroups: number): number {
  let share = 1;
  let before = 1;
  for (let i = 0; i < levels.length; i++) {
    const l = levels[i]!;
    const span = Math.min(l.extent, Math.max(1, count / before));
    if (u.depends & (1 << l.dim)) share *= span / l.extent;
    before *= l.extent;
  }
  return Math.min(u.distinct_B, Math.max(u.distinct_B * share, Math.min(u.distinct_B, u.requested_B / workgroups)));
}

/** A loop that the place follows starts where a grid index says. */
function loopFollows(nest: Nest, view: View, grid: LoopVar): boolean {
  for (let n: Nest | undefined = nest; n && !n.grid; n = n.parent)
    if (typeof n.from !== 'number' && mentions(n.from, grid) && placeFollows(view, n.index)) return true;
  return false;
}

/** A loop around it runs more or less often by a grid index. */
function loopKnows(nest: Nest, grid: LoopVar): boolean {
  for (let n: Nest | undefined = nest; n && !n.grid; n = n.parent)
    if ((typeof n.from !== 'number' && mentions(n.from, grid)) || (typeof n.to !== 'number' && mentions(n.to, grid)))
      return true;
  return false;
}
