/** The memory that a replay goes through: a machine's last cache and DRAM, or another DRAM in its place. */
import { basename, extname } from 'node:path';
import { InputError, unknownName } from '../base/errors.js';
import type { ReplacementPolicy } from '../engine/memory/cache/replacement.js';
import { type IniReading, parseIni } from '../engine/memory/dram/ini.js';
import { AddressMapping } from '../engine/memory/dram/mapping.js';
import type { DramSpec } from '../engine/memory/dram/spec.js';
import { type DramFit, readDramTable } from '../engine/memory/dram/table.js';
import { cacheLevelOf, nearLevelOf } from '../engine/memory/hierarchy.js';
import type { CacheLevel, NearLevel } from '../engine/memory/replay.js';
import type { PlaceToAddress } from '../engine/memory/trace/formats.js';
import { storeOf } from '../machine/graph.js';
import { resolveMachine } from '../machine/load.js';
import { findFile, listFiles, openMachineSource } from './files.js';
import { readText } from './io.js';

const INI_LIMIT_B = 1 << 20;

export interface Memory {
  /** Name of the machine; null when there is none. */
  readonly machine: string | null;
  readonly dram: DramSpec;
  /** Absent where the machine has no cache before its DRAM. */
  readonly cache?: CacheLevel;
  /** A core's own cache before it, where the machine has one. */
  readonly near?: NearLevel;
  /** The DRAM is of a DRAMsim3 file. */
  readonly from_ini: boolean;
  readonly warnings: readonly string[];
}

export interface MemoryChoice {
  readonly machine?: string;
  readonly set: readonly string[];
  /** A table's name, or a path of a table or of a DRAMsim3 file. */
  readonly dram?: string;
  readonly reading: IniReading;
  readonly ways: number;
  readonly replacement: ReplacementPolicy;
  readonly seed: number;
  readonly misses?: number;
}

/** @throws InputError for names that are unknown and files that are wrong. */
export async function openMemory(choice: MemoryChoice): Promise<Memory> {
  const source = choice.machine === undefined ? undefined : await openMachineSource(choice.machine);
  const graph = source && (await resolveMachine(source, choice.set)).graph;
  const warnings: string[] = [];
  let dram: DramSpec;
  const from_ini = choice.dram !== undefined && extname(choice.dram).toLowerCase() === '.ini';
  if (choice.dram !== undefined && from_ini) {
    const parsed = parseIni(readText(choice.dram, INI_LIMIT_B), choice.dram, choice.reading);
    dram = parsed.spec;
    warnings.push(...parsed.warnings);
  } else if (choice.dram !== undefined) dram = await openTable(choice.dram);
  else if (graph && source) {
    const section = source.tree['dram'];
    const type =
      choice.set.findLast((s) => s.startsWith('dram.type='))?.slice('dram.type='.length) ??
      (typeof section === 'object' && section !== null && 'type' in section ? section['type'] : undefined);
    const store = storeOf(graph, 'dram');
    const name = typeof type === 'string' ? type.toLowerCase() : '';
    if (!store || !listFiles('dram').includes(name))
      throw new InputError(
        `${graph.name} has no DRAM of a type that a table describes${name ? ` ('${name}')` : ''}; give one with --dram: ${listFiles('dram').join(', ')}, or a file`,
      );
    dram = await openTable(name, { channels: store.slices, bandwidth_B_per_s: store.read_B_per_s });
  } else throw new InputError('expected -m MACHINE or --dram FILE');
  const cache = graph && cacheLevelOf(graph, dram, choice, (text) => warnings.push(text));
  const near = cache && nearLevelOf(graph, cache);
  return { machine: graph?.name ?? null, dram, ...(cache && { cache }), ...(near && { near }), from_ini, warnings };
}

async function openTable(name: string, fit?: DramFit): Promise<DramSpec> {
  const found = findFile('dram', name);
  return readDramTable(found.text, found.file, {
    ...(fit && { fit }),
    resolveExtends: (other) => {
      if (!listFiles('dram').includes(other)) throw unknownName('DRAM table', other, listFiles('dram'));
      const { text, file } = findFile('dram', other);
      return { text, file };
    },
  });
}

/** Requests that a cycle of the DRAM's clock can bring: what a cache's ports take, or one a channel. */
export function requestRate({ dram, cache, near, from_ini }: Memory, level: string, request_B = 0): number {
  if (level === 'dram' || !cache) return from_ini ? 1 : dram.organisation.channels;
  const B_per_s = level === near?.id ? near.B_per_s : cache.slice_B_per_s * cache.config.slices;
  return Math.max(1, Math.round((B_per_s * dram.tCK_s) / Math.max(request_B, cache.config.sector_B)));
}

/** Places of Ramulator 2's read-write traces: channel, rank, bank group, bank, row, and column in bursts. */
export function placesOf(dram: DramSpec): PlaceToAddress {
  const { organisation: o, controller } = dram;
  const mapping = new AddressMapping(o, controller);
  const sizes = [o.channels, o.ranks, o.bankgroups, o.banks_per_group, o.rows, o.bursts_per_row];
  const names = ['channel', 'rank', 'bank group', 'bank', 'row', 'column'];
  const pieces = controller.interleave_B / o.burst_B;
  return (place) => {
    for (const [i, size] of sizes.entries())
      if (place[i]! >= size) return `${names[i]} ${place[i]} is not below the ${size} of ${basename(dram.name)}`;
    const [ch, ra, bg, ba, ro, column] = place as [number, number, number, number, number, number];
    const co = Math.floor(column / pieces);
    return mapping.address({ ch, ra, bg, ba, ro, co }) + (column % pieces) * o.burst_B;
  };
}
