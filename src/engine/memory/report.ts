/** What `memory --json` says of a replay. Cycles are of the DRAM's command clock. */
import { type Static, Type } from '@sinclair/typebox';
import { dramEnergy } from './dram/energy.js';
import { peakBandwidth_B_per_s } from './dram/spec.js';
import type { Replay } from './replay.js';

const strict = { additionalProperties: false };
const number = (description: string) => Type.Number({ description });
const perStore = (what: string) => Type.Record(Type.String(), Type.Number(), { description: `${what}, by store` });

export const MemoryReportSchema = Type.Object(
  {
    machine: Type.Union([Type.String(), Type.Null()]),
    dram: Type.String({ description: 'DRAM table or parameter file' }),
    protocol: Type.String(),
    level: Type.String({ description: 'store that the requests go to first' }),
    trace: Type.String(),
    format: Type.String(),
    interrupted: Type.Boolean(),
    requests: number('requests taken'),
    reads: number('of them reads'),
    writes: number('of them writes'),
    reads_done: number('answered within the cycles counted'),
    writes_done: number('taken over within the cycles counted'),
    hits: perStore('accesses that hit'),
    misses: perStore('accesses that missed'),
    sector_misses: perStore('misses whose line was there'),
    miss_merges: perStore('accesses that waited for a fetch under way'),
    moved_B: perStore('bytes read and written'),
    row_hits: number('column commands to a row that one before had used'),
    read_row_hits: Type.Number(),
    write_row_hits: Type.Number(),
    activates: Type.Number(),
    precharges: Type.Number(),
    read_commands: Type.Number(),
    write_commands: Type.Number(),
    refreshes: number('of ranks'),
    bank_refreshes: number('of single banks'),
    forwarded: number('reads answered from waiting writes'),
    merged: number('requests merged with a waiting one of the same place'),
    clock_Hz: number('DRAM command clock'),
    cycles: Type.Number(),
    time_s: Type.Number(),
    mean_read_latency_cycles: Type.Number(),
    mean_read_latency_s: Type.Number(),
    latency_cycles: Type.Object(
      { p50: Type.Number(), p90: Type.Number(), p99: Type.Number(), max: Type.Number() },
      strict,
    ),
    bandwidth_B_per_s: number('bytes over the DRAM’s data bus in a second'),
    peak_bandwidth_B_per_s: number('of the DRAM’s pins'),
    bandwidth_over_time: Type.Array(
      Type.Object(
        {
          start_s: Type.Number(),
          end_s: Type.Number(),
          read_B_per_s: Type.Number(),
          write_B_per_s: Type.Number(),
        },
        strict,
      ),
    ),
    energy_J: Type.Number(),
    energy_by_part_J: Type.Record(Type.String(), Type.Number()),
    warnings: Type.Array(Type.String()),
  },
  { $id: 'memory', additionalProperties: false, description: 'memory --json' },
);
export type MemoryReport = Static<typeof MemoryReportSchema>;

export interface ReplayNames {
  readonly machine: string | null;
  readonly trace: string;
  readonly format: string;
  readonly interrupted: boolean;
  readonly warnings: readonly string[];
}

export function memoryReport(replay: Replay, names: ReplayNames): MemoryReport {
  const { dram, cache } = replay;
  const { spec } = dram;
  const { tCK_s } = spec;
  const level = replay.config.cache;
  const { near: core } = replay.config;
  const first = (replay.near && core?.id) ?? level?.id ?? 'dram';
  const id = level?.id ?? 'dram';
  const counts = dram.counts();
  const cycles = replay.end;
  const time_s = cycles * tCK_s;
  const burst_B = spec.organisation.burst_B;
  const bytes = (counts.reads + counts.writes) * burst_B;
  const parts = dramEnergy(spec, counts, dram.openCycles(cycles), cycles);
  const energy: Record<string, number> = {
    ...(replay.near && core && { [core.id]: replay.near_read_B * core.read_pJ_per_B * 1e-12 }),
    ...(level && {
      [level.id]: (replay.cache_read_B * level.read_pJ_per_B + replay.cache_written_B * level.write_pJ_per_B) * 1e-12,
    }),
    dram_activate: parts.activate_J,
    dram_read: parts.read_J,
    dram_write: parts.write_J,
    dram_refresh: parts.refresh_J,
    dram_background: parts.background_J,
  };
  const c = cache?.counts;
  const hits = c ? c.read_hits + c.write_hits : 0;
  const n = replay.near?.counts;
  /** Of the core's own cache; writes go through it. */
  const near = (count: number | undefined) => (count === undefined || !core ? {} : { [core.id]: count });
  const { latency } = replay;
  return {
    machine: names.machine,
    dram: spec.name,
    protocol: spec.protocol,
    level: first,
    trace: names.trace,
    format: names.format,
    interrupted: names.interrupted,
    requests: replay.reads + replay.writes,
    reads: replay.reads,
    writes: replay.writes,
    reads_done: replay.reads_done,
    writes_done: replay.writes_done,
    hits: { ...near(n?.read_hits), ...(c && { [id]: hits }) },
    misses: { ...near(n && n.reads - n.read_hits), ...(c && { [id]: c.reads + c.writes - hits }) },
    sector_misses: { ...near(n?.sector_misses), ...(c && { [id]: c.sector_misses }) },
    miss_merges: c ? { [id]: replay.misses.reduce((sum, m) => sum + m.merges, 0) } : {},
    moved_B: {
      ...near(n && replay.near_read_B),
      ...(c && { [id]: replay.cache_read_B + replay.cache_written_B }),
      dram: bytes,
    },
    row_hits: counts.read_row_hits + counts.write_row_hits,
    read_row_hits: counts.read_row_hits,
    write_row_hits: counts.write_row_hits,
    activates: counts.activates,
    precharges: counts.precharges,
    read_commands: counts.reads,
    write_commands: counts.writes,
    refreshes: counts.refreshes,
    bank_refreshes: counts.bank_refreshes,
    forwarded: counts.forwarded,
    merged: counts.merged,
    clock_Hz: 1 / tCK_s,
    cycles,
    time_s,
    mean_read_latency_cycles: latency.mean,
    mean_read_latency_s: latency.mean * tCK_s,
    latency_cycles: {
      p50: latency.percentile(0.5),
      p90: latency.percentile(0.9),
      p99: latency.percentile(0.99),
      max: latency.max,
    },
    bandwidth_B_per_s: time_s > 0 ? bytes / time_s : 0,
    peak_bandwidth_B_per_s: peakBandwidth_B_per_s(spec),
    bandwidth_over_time: overTime(replay, tCK_s),
    energy_J: Object.values(energy).reduce((a, b) => a + b, 0),
    energy_by_part_J: energy,
    warnings: [...names.warnings],
  };
}

/** Both series in bins of one width, at most 64 of them. */
function overTime({ read_bytes, written_bytes, end }: Replay, tCK_s: number) {
  let width = Math.max(read_bytes.width, written_bytes.width);
  while (end / width > 64) width *= 2;
  const bins = Math.ceil(end / width);
  const sums = [read_bytes, written_bytes].map((series) => {
    const out = new Float64Array(bins);
    for (const [i, bytes] of series.values().entries())
      out[Math.min(bins - 1, Math.floor((i * series.width) / width))]! += bytes;
    return out;
  });
  return Array.from({ length: bins }, (_, i) => {
    const start = i * width;
    const stop = Math.min(end, start + width);
    const seconds = (stop - start) * tCK_s;
    return {
      start_s: start * tCK_s,
      end_s: stop * tCK_s,
      read_B_per_s: sums[0]![i]! / seconds,
      write_B_per_s: sums[1]![i]! / seconds,
    };
  });
}
