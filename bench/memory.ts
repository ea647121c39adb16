/**
 * Speed of the memory model: requests per second of processor time through a cache (mostly hits, and a stream), and
 * through DRAM (sequential, random).
 *
 *   npx esbuild bench/memory.ts --bundle --packages=external --platform=node --format=esm --outfile=dist/bench-memory.js
 *   node dist/bench-memory.js
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runEvent } from '../src/engine/event/run.js';
import type { DramSpec } from '../src/engine/memory/dram/spec.js';
import { readDramTable } from '../src/engine/memory/dram/table.js';
import { cacheLevelOf, USUAL_CACHE } from '../src/engine/memory/hierarchy.js';
import { type CacheLevel, Replay } from '../src/engine/memory/replay.js';
import { TraceReader } from '../src/engine/memory/trace/reader.js';
import { COLD } from '../src/engine/types.js';
import { elementwise } from '../src/kernel/library/elementwise.js';
import { gemm } from '../src/kernel/library/gemm.js';
import { loadMachine } from '../src/machine/load.js';

export interface MemoryBenchRow {
  readonly name: string;
  readonly requests: number;
  readonly seconds: number;
  readonly requests_per_s: number;
  /** What is aimed at. */
  readonly least: number;
}

const FOLDER = 'arch/components/dram';
const read = (name: string) => ({ text: readFileSync(join(FOLDER, `${name}.json`), 'utf8'), file: `${name}.json` });
const table = (name: string, fit?: { channels: number; bandwidth_B_per_s: number }) =>
  readDramTable(read(name).text, name, { ...(fit && { fit }), resolveExtends: read });

/** As the A100's: 40 MiB in 80 slices of 16 ways. */
const L2: CacheLevel = {
  id: 'l2',
  config: {
    capacity_B: 40 * 2 ** 20,
    line_B: 128,
    sector_B: 32,
    ways: 16,
    slices: 80,
    slice_hash: 'xor',
    replacement: 'lru',
    write: 'back',
    write_allocate: true,
    fetch_on_write: false,
    seed: 0,
  },
  latency_s: 200e-9,
  miss_latency_s: 405e-9,
  slice_B_per_s: 5430e9 / 80,
  fetch_B: 64,
  misses_per_channel: 512,
  read_pJ_per_B: 1,
  write_pJ_per_B: 1,
};

/** The same numbers in every run (Knuth's multiplier). */
function generator(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0);
}

interface Case {
  readonly name: string;
  readonly dram: DramSpec;
  readonly cache?: CacheLevel;
  readonly per_cycle: number;
  readonly requests: number;
  readonly least: number;
  /** Requests before the clock starts: lines of 16 MiB, in order. */
  readonly warm?: boolean;
  readonly address: (i: number, random: () => number) => number;
}

function measure({ name, dram, cache, per_cycle, requests, least, warm, address }: Case): MemoryBenchRow {
  const random = generator(1);
  const replay = new Replay({ dram, per_cycle, ...(cache && { cache }) });
  if (warm) for (let a = 0; a < 2 ** 24; a += 32) replay.request(a, false, -1);
  const start = process.cpuUsage();
  for (let i = 0; i < requests; i++) replay.request(address(i, random), false, -1);
  replay.finish();
  const { user, system } = process.cpuUsage(start);
  const seconds = (user + system) / 1e6;
  return { name, requests, seconds, requests_per_s: requests / seconds, least };
}

/** Lines of the DRAMsim3 form through the reader alone. */
function reading(): MemoryBenchRow {
  const random = generator(1);
  let text = '';
  for (let i = 0; i < 20000; i++) text += `0x${((random() >>> 6) * 64).toString(16)} READ ${i}\n`;
  const chunk = new TextEncoder().encode(text);
  let sum = 0;
  const reader = new TraceReader({ file: 'bench' }, (a) => {
    sum += a;
  });
  const start = process.cpuUsage();
  const rounds = 100;
  for (let i = 0; i < rounds; i++) reader.push(chunk);
  const { user, system } = process.cpuUsage(start);
  const seconds = (user + system) / 1e6;
  if (sum === 0) throw new Error('nothing was read');
  return {
    name: 'reading text',
    requests: rounds * 20000,
    seconds,
    requests_per_s: (rounds * 20000) / seconds,
    least: 5e6,
  };
}

/** Lines and bursts of an event run whose memory has state: a product, mostly hits, and a stream, all misses. */
async function ofKernels(): Promise<MemoryBenchRow[]> {
  const folder = (name: string) => (existsSync(join('arch/gpu', `${name}.json`)) ? 'arch/gpu' : 'arch/components');
  const resolveExtends = (name: string) => {
    const file = join(folder(name), `${name}.json`);
    return { text: readFileSync(file, 'utf8'), file };
  };
  const { text, file } = resolveExtends('a100-sxm-80gb');
  const { graph } = await loadMachine(text, { file, resolveExtends });
  const dram = await table('hbm2e', { channels: 80, bandwidth_B_per_s: 2039e9 });
  const cache = cacheLevelOf(graph, dram, USUAL_CACHE, () => {})!;
  const context = { ...COLD, clock_Hz: graph.control.clock.nominal_Hz };
  const memory = { dram, cache, most_requests: Number.POSITIVE_INFINITY };
  const product = gemm.build(
    gemm.toOp({ m: 2048, n: 2048, k: 1024 }, 'bf16'),
    { bm: 128, bn: 128, bk: 64, stages: 3, groups_m: 2, groups_n: 2, panel: 4 },
    graph,
  );
  const stream = elementwise.build(elementwise.toOp({ op: 0, n: 1 << 21 }, 'bf16'), { groups: 4, per_lane: 16 }, graph);
  return [
    { name: 'event, lines of a product of 2048 × 2048 × 1024', launch: product[0]! },
    { name: 'event, lines of a sum of 2 M elements', launch: stream[0]! },
  ].map(({ name, launch }) => {
    runEvent(launch, graph, context, { memory });
    const start = process.cpuUsage();
    const { requests } = runEvent(launch, graph, context, { memory }).memory!;
    const { user, system } = process.cpuUsage(start);
    const seconds = (user + system) / 1e6;
    return { name, requests, seconds, requests_per_s: requests / seconds, least: 1e6 };
  });
}

export async function memoryBench(): Promise<MemoryBenchRow[]> {
  const a100 = await table('hbm2e', { channels: 80, bandwidth_B_per_s: 2039e9 });
  const ddr4 = await table('ddr4');
  const hbm2 = await table('hbm2');
  const near = (_: number, random: () => number) => (random() % 2 ** 24) & ~31;
  const stream = (i: number) => i * 32;
  const far = (_: number, random: () => number) => (random() >>> 6) * 64;
  const cases: Case[] = [
    {
      name: 'cache, hits at random in 16 MiB',
      warm: true,
      dram: a100,
      cache: L2,
      per_cycle: 64,
      requests: 5e6,
      least: 5e6,
      address: near,
    },
    { name: 'cache, stream of 32 B', dram: a100, cache: L2, per_cycle: 64, requests: 4e6, least: 1e6, address: stream },
    { name: 'DDR4, sequential', dram: ddr4, per_cycle: 1, requests: 2e6, least: 1e6, address: (i) => i * 64 },
    { name: 'DDR4, random', dram: ddr4, per_cycle: 1, requests: 1e6, least: 1e6, address: far },
    { name: 'HBM2, sequential', dram: hbm2, per_cycle: 16, requests: 2e6, least: 1e6, address: (i) => i * 64 },
    { name: 'HBM2, random', dram: hbm2, per_cycle: 16, requests: 2e6, least: 1e6, address: far },
    { name: 'HBM2e of an A100, random', dram: a100, per_cycle: 80, requests: 2e6, least: 1e6, address: far },
  ];
  for (const c of cases) measure({ ...c, requests: 2e5 });
  return [reading(), ...cases.map(measure), ...(await ofKernels())];
}

if (process.argv[1]?.includes('bench-memory')) {
  for (const r of await memoryBench())
    console.log(
      `${r.name}: ${(r.requests_per_s / 1e6).toFixed(2)} M requests/s (${r.requests} in ${r.seconds.toFixed(2)} s)`,
    );
}
