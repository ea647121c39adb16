/** `tilewright memory -m MACHINE --trace FILE [--dram FILE.ini]`: replays addresses through a memory hierarchy. */
import { type Command, Option } from 'commander';
import { InputError } from '../../base/errors.js';
import { formatQuantity } from '../../base/units.js';
import { REPLACEMENT_POLICIES, type ReplacementPolicy } from '../../engine/memory/cache/replacement.js';
import { INI_READINGS, type IniReading } from '../../engine/memory/dram/ini.js';
import { Replay } from '../../engine/memory/replay.js';
import { type MemoryReport, memoryReport } from '../../engine/memory/report.js';
import { TRACE_FORMAT_NAMES, type TraceFormat } from '../../engine/memory/trace/formats.js';
import { TraceReader } from '../../engine/memory/trace/reader.js';
import { Interrupted, interruptible } from '../interrupt.js';
import { type Memory, openMemory, placesOf, requestRate } from '../memory-parts.js';
import { type CommonOptions, collect, common, splitSet, wholeNumber } from '../options.js';
import { emit, note } from '../output.js';
import { startProgress } from '../progress.js';
import { bold, plainTable, yellow } from '../style.js';
import { openTraceFile } from '../trace-files.js';

interface Options extends CommonOptions {
  readonly machine?: string;
  readonly trace: string;
  readonly dram?: string;
  readonly dramReading: IniReading;
  readonly level?: string;
  readonly format?: TraceFormat;
  readonly cycles?: number;
  readonly rate?: number;
  readonly request?: number;
  readonly ways: number;
  readonly replacement: ReplacementPolicy;
  readonly misses?: number;
  readonly set?: readonly string[];
  readonly seed?: number;
}

export function define(command: Command): void {
  common(command)
    .option('-m, --machine <name>', 'name of a machine, or a path to its file')
    .requiredOption('--trace <file>', 'addresses, plain or gzip; - reads stdin')
    .option('--dram <file>', 'stands in for the machine’s DRAM: a DRAMsim3 file (.ini), or a DRAM table')
    .addOption(
      new Option('--dram-reading <how>', 'a DRAMsim3 file as DRAMsim3 reads it, or as it is written')
        .choices(INI_READINGS)
        .default('dramsim3'),
    )
    .option('--level <store>', 'where requests enter: the cache of a core (l1), the machine’s last cache (l2) or dram')
    .addOption(
      new Option('--format <name>', 'form of the trace; told from its first line when absent').choices(
        TRACE_FORMAT_NAMES,
      ),
    )
    .addOption(new Option('--cycles <n>', 'stop after so many memory cycles').argParser(wholeNumber(1, 1e12)))
    .addOption(new Option('--rate <n>', 'requests taken in a memory cycle at most').argParser(wholeNumber(1, 1e6)))
    .addOption(new Option('--request <bytes>', 'bytes that each request asks for').argParser(wholeNumber(1, 1e6)))
    .addOption(new Option('--ways <n>', 'associativity of the cache').argParser(wholeNumber(1, 1024)).default(16))
    .addOption(new Option('--replacement <policy>', 'of the cache').choices(REPLACEMENT_POLICIES).default('lru'))
    .addOption(new Option('--misses <n>', 'misses on their way, per memory channel').argParser(wholeNumber(1, 1e6)))
    .addOption(new Option('--set <path=value>', 'override a field of the machine').argParser(collect))
    .action(async (options: Options) => {
      const report = await replayFile(options);
      for (const warning of report.warnings) note(options, `${yellow('warning:')} ${warning}`);
      await emit(options, { json: () => report, text: () => reportText(report) });
      if (report.interrupted) throw new Interrupted('interrupted: the report is of the requests so far');
    });
}

async function replayFile(options: Options): Promise<MemoryReport> {
  const memory = await openMemory({
    ...options,
    set: splitSet(options.set).machine,
    reading: options.dramReading,
    seed: options.seed ?? 0,
  });
  const level = levelOf(options, memory);
  const file = openTraceFile(options.trace);
  let replay: Replay | undefined;
  const start = (entry: string): Replay => {
    const cached = entry !== 'dram' && memory.cache;
    return new Replay({
      dram: memory.dram,
      ...(cached && { cache: cached }),
      ...(entry === memory.near?.id && { near: memory.near }),
      ...(options.request !== undefined && { request_B: options.request }),
      per_cycle: options.rate ?? requestRate(memory, entry, options.request),
      ...(options.cycles !== undefined && { cycles: options.cycles }),
    });
  };
  const reader = new TraceReader(
    { file: options.trace, ...(options.format && { format: options.format }), address: placesOf(memory.dram) },
    (address, write, cycle) => {
      replay ??= start(level ?? entryOf(memory, reader.format));
      replay.request(address, write, cycle);
    },
  );
  const progress = await startProgress('memory', file.size_B, { quiet: options.quiet ?? false });
  const interrupted = await interruptible(async (signal) => {
    try {
      await file.read((chunk, read_B) => {
        if (signal.aborted) return false;
        reader.push(chunk);
        progress.update(read_B, `${(((replay?.reads ?? 0) + (replay?.writes ?? 0)) / 1e6).toFixed(1)} M requests`);
        return !replay?.full;
      });
      if (!signal.aborted && !replay?.full) reader.end();
    } finally {
      progress.stop();
    }
    return signal.aborted;
  });
  if (!replay) {
    if (interrupted) throw new Interrupted('interrupted before the first request');
    throw new InputError('no requests in it', options.trace);
  }
  const done: Replay = replay;
  done.finish();
  return memoryReport(done, {
    machine: memory.machine,
    trace: options.trace,
    format: reader.format!,
    interrupted,
    warnings: memory.warnings,
  });
}

/** Where the user wants requests to enter; undefined when it is to be told from the trace. */
function levelOf({ level }: Options, { machine, cache, near }: Memory): string | undefined {
  if (level === undefined || level === 'dram' || level === cache?.id || level === near?.id) return level;
  const ids = [near?.id, cache?.id].filter((id) => id !== undefined);
  const known = ids.length > 0 ? `${ids.join(', ')} or dram` : 'dram';
  throw new InputError(`--level: expected ${known}${machine ? ` on ${machine}` : ''}, got '${level}'`);
}

/** A DRAMsim3 trace on a DRAMsim3 file goes straight to the DRAM, as there; all else meets the cache first. */
function entryOf({ cache, from_ini }: Memory, format: TraceFormat | undefined): string {
  if (!cache || format === 'ramulator_readwrite' || (from_ini && format === 'dramsim3')) return 'dram';
  return cache.id;
}

function reportText(r: MemoryReport): string {
  const count = (n: number) => n.toLocaleString('en-US').replaceAll(',', ' ');
  const share = (part: number, of: number) => (of === 0 ? '' : ` (${((100 * part) / of).toFixed(1)} %)`);
  const cycles = (n: number) => `${n.toFixed(1)} cycles, ${((n / r.clock_Hz) * 1e9).toFixed(1)} ns`;
  const columns = r.read_commands + r.write_commands;
  const rows: [string, string][] = [
    ['requests', `${count(r.requests)}, of them ${count(r.reads)} reads`],
    ['time', `${formatQuantity(r.time_s, 'time')}, ${count(Math.round(r.cycles))} memory cycles`],
    ...Object.entries(r.hits).map(([store, hits]): [string, string] => [
      `hits in ${store}`,
      `${count(hits)}${share(hits, hits + r.misses[store]!)}`,
    ]),
    ['row hits', `${count(r.row_hits)}${share(r.row_hits, columns)} of ${count(columns)} column commands`],
    ['activates', count(r.activates)],
    ['read latency, mean', cycles(r.mean_read_latency_cycles)],
    ...(['p50', 'p90', 'p99', 'max'] as const).map((p): [string, string] => [
      `read latency, ${p}`,
      cycles(r.latency_cycles[p]),
    ]),
    [
      'DRAM bandwidth',
      `${formatQuantity(r.bandwidth_B_per_s, 'bandwidth')}${share(r.bandwidth_B_per_s, r.peak_bandwidth_B_per_s)} of the pins’ ${formatQuantity(r.peak_bandwidth_B_per_s, 'bandwidth')}`,
    ],
    ['energy', formatQuantity(r.energy_J, 'energy')],
    ...Object.entries(r.energy_by_part_J).map(([part, joules]): [string, string] => [
      `  ${part.replaceAll('_', ' ')}`,
      `${formatQuantity(joules, 'energy')}${share(joules, r.energy_J)}`,
    ]),
  ];
  const title = `${r.machine ?? r.dram}: ${r.trace} (${r.format}) into ${r.level}${r.machine ? `, DRAM ${r.dram}` : ''}`;
  return `${bold(title)}\n${plainTable(['What', 'Value'], rows)}\n\n${overTimeText(r)}`;
}

/** Bandwidth over time as a line of bars, 64 at most, the highest of full height. */
function overTimeText({ bandwidth_over_time: bins, peak_bandwidth_B_per_s: peak }: MemoryReport): string {
  if (bins.length === 0) return '';
  const rates = bins.map((b) => b.read_B_per_s + b.write_B_per_s);
  const most = Math.max(...rates);
  const bars = ' ▁▂▃▄▅▆▇█';
  const line = rates.map((rate) => bars[rate === 0 ? 0 : Math.ceil((8 * rate) / most)]).join('');
  const width = formatQuantity(bins[0]!.end_s - bins[0]!.start_s, 'time');
  const highest = `${formatQuantity(most, 'bandwidth')}, ${((100 * most) / peak).toPrecision(2)} % of the pins’`;
  return `Bandwidth over time, a bar each ${width}, the highest ${highest}:\n|${line}|`;
}
