/**
 * Timeloop's architecture as a resource graph with one array: each storage is a level, far to near; the mesh of the
 * next divided by its own is the level's fan-out. Sizes, bandwidths and energies are in the tool's words; a store's
 * word has the width that the file gives it, whatever it holds.
 */

import { InputError, nearestName } from '../../base/errors.js';
import { bareControl, bareCores } from '../../machine/bare.js';
import type { ArrayLevel, ResourceGraph, Store } from '../../machine/graph.js';
import type { EnergyTables } from './energy.js';
import { Reader } from './read.js';

/** Says nothing that counts, cycles or energy depend on (energies come from the tables). */
const SILENT = [
  'version',
  'technology',
  'global_cycle_seconds',
  'has_power_gating',
  'power_gated_at',
  'n_banks',
  'type',
  'latency',
  'reduction_supported',
  'update_fifo_depth',
  'required_actions',
  'enabled',
  'subclass',
  'action_latency_cycles',
  'multiplier_width',
  'adder_width',
  'n_rdwr_ports',
  'n_rd_ports',
  'n_wr_ports',
  'n_rw_ports',
  'metadata_counter_width',
  'technology_scaling',
  'precision',
  'area_scale',
  'energy_scale',
  'voltage',
  'size',
  'decompression_supported',
  'compression_supported',
  'tile_partition_supported',
  'area',
  'exponent',
  'mantissa',
];

export interface TimeloopLevel {
  readonly name: string;
  /** Constraints written inside the component. */
  readonly constraints?: Reader;
}

export interface TimeloopMachine {
  readonly graph: ResourceGraph;
  /** Storages, far to near: each is a level of the array, of the same id. */
  readonly levels: readonly TimeloopLevel[];
}

/** Class of a container that only spreads. */
const SPREADS = 'container';

interface Part {
  readonly name: string;
  readonly reader: Reader;
  readonly attributes: Reader;
  readonly klass: string;
  readonly x: number;
  readonly y: number;
}

const UNIT = 'arithmetic';

/** @throws InputError */
export function machineFrom(architecture: Reader, energy: EnergyTables | undefined, file: string): TimeloopMachine {
  const { warnings } = architecture;
  architecture.ignore('version');
  const parts: Part[] = [];
  const top: { cycle_s?: number; name?: string } = {};
  walk(architecture, { x: 1, y: 1 }, parts, top);
  architecture.done();
  if (parts.length < 2) throw new InputError('has no storage and arithmetic', architecture.place);
  const arithmetic = parts.pop()!;
  const cycle_s = top.cycle_s ?? arithmetic.attributes.number(['global_cycle_seconds'], 1e-9, true);
  const clock_Hz = 1 / cycle_s;
  const stores = parts.map((p) => storeFrom(p, clock_Hz, energy, warnings));
  const all = [...parts, arithmetic];
  const levels = parts.map((p, i): ArrayLevel => {
    const next = all[i + 1]!;
    const x = next.x / p.x;
    const y = next.y / p.y;
    if (!Number.isInteger(x) || !Number.isInteger(y))
      throw new InputError(
        `${next.name} has a mesh of ${next.x} × ${next.y}, no multiple of ${p.name}'s ${p.x} × ${p.y}`,
        file,
      );
    return {
      id: p.name,
      stores: [p.name],
      fanout: { x, y },
      network: {
        multicast: { x: true, y: true },
        reduce: { x: true, y: true },
        systolic: false,
        neighbours: true,
        pJ_per_B: 0,
      },
    };
  });
  const places = arithmetic.x * arithmetic.y;
  const { attributes } = arithmetic;
  attributes.ignore('width', 'datawidth', 'word-bits', 'meshX', 'meshY', 'instances', ...SILENT);
  attributes.done();
  const actions = energy?.get(arithmetic.name);
  const compute = actions?.get('compute') ?? actions?.get('mac_random');
  if (energy && compute === undefined) warnings.push(`${arithmetic.name} has no energy for 'compute': 0 is taken`);
  for (const name of energy?.keys() ?? [])
    if (!all.some((p) => p.name === name))
      warnings.push(`energy of '${name}' is left out: the architecture has no such part`);
  const graph: ResourceGraph = {
    name: top.name ?? file,
    title: `${top.name ?? file} (Timeloop)`,
    family: 'imported',
    stores,
    links: [],
    units: [
      {
        id: arithmetic.name === '' ? UNIT : arithmetic.name,
        mma: [],
        math: {
          fma: { per_cycle: places, latency_cycles: 1, pJ: compute ?? 0, pipe: arithmetic.name },
        },
      },
    ],
    cores: bareCores(places),
    control: bareControl(clock_Hz),
    arrays: [{ unit: arithmetic.name, levels }],
    max_peers: 1,
  };
  return {
    graph,
    levels: parts.map((p) => {
      const constraints = p.reader.child('constraints');
      return { name: p.name, ...(constraints && { constraints }) };
    }),
  };
}

/** A container's attributes: of these only the cycle counts. */
function clockFrom(container: Reader, top: { cycle_s?: number }): void {
  const attributes = container.child('attributes');
  if (attributes?.has('global_cycle_seconds')) top.cycle_s ??= attributes.number(['global_cycle_seconds'], 1e-9, true);
  attributes?.ignore(...SILENT);
  attributes?.done();
}

/** Storages and arithmetic in order, with the mesh of each in the whole machine. */
function walk(
  node: Reader,
  mesh: { x: number; y: number },
  parts: Part[],
  top: { cycle_s?: number; name?: string },
): void {
  clockFrom(node, top);
  const inner = { ...mesh };
  for (const child of [...node.children('local'), ...node.children('nodes'), ...node.children('subtree')]) {
    const raw = child.text(['name'], '');
    const [, name = raw, count] = /^(.*?)\s*\[\s*\d+\s*\.\.\s*(\d+)\s*\]$/.exec(raw) ?? [];
    const tag = child.text(['!'], child.has('class') ? 'Component' : 'Container');
    if (tag === 'Parallel' || tag === 'Pipelined')
      child.warnings.push(`${child.place}: !${tag} is taken as one level after another`);
    if (child.any('enabled') === false) continue;
    const spatial = child.child('spatial');
    const before = { ...inner };
    if (spatial) {
      inner.x *= spatial.number(['meshX'], 1, true);
      inner.y *= spatial.number(['meshY'], 1, true);
      spatial.done();
    }
    if (tag === 'Component') {
      const own = child.child('attributes') ?? new Reader({}, child.place, child.warnings);
      child.ignore(
        'required_actions',
        'required_actions_extra',
        'subclass',
        'area_scale',
        'energy_scale',
        'constraints',
      );
      // the mesh as it is given; a bare count of instances lies along x
      const known = own.has('meshX') || own.has('meshY');
      const instances = Number(count ?? 1) - (raw.includes('[0..') ? -1 : 0);
      const y = own.number(['meshY'], known ? 1 : inner.y, true);
      const x = own.number(['meshX'], known ? 1 : Math.max(inner.x, instances / y), true);
      parts.push({ name, reader: child, attributes: own, klass: child.text(['class'], ''), x, y });
      child.done();
      continue;
    }
    if (tag === 'Nothing') continue;
    if (child.has('local') || child.has('nodes') || child.has('subtree')) {
      top.name ??= name || undefined;
      const times = count === undefined ? 1 : Number(count) + (raw.includes('[0..') ? 1 : 0);
      walk(child, { x: inner.x * times, y: inner.y }, parts, top);
      child.done();
    } else if (!spatial && child.has('class'))
      throw new InputError('is neither a component nor a container', child.place);
    else {
      // a container among the nodes spreads those that come after it: a level that keeps nothing
      clockFrom(child, top);
      top.name ??= name || undefined;
      child.ignore('constraints');
      if (spatial) {
        const level = new Reader({ depth: 0 }, child.place, child.warnings);
        parts.push({ name: `inter_${name}_spatial`, reader: child, attributes: level, klass: SPREADS, ...before });
      }
      child.done();
    }
  }
}

function storeFrom(p: Part, clock_Hz: number, energy: EnergyTables | undefined, warnings: string[]): Store {
  const a = p.attributes;
  const dram = /dram/i.test(p.klass) || /dram/i.test(a.text(['technology'], ''));
  const width = a.number(['width', 'memory_width'], 16);
  const bits = a.number(['datawidth', 'word-bits', 'word_bits', 'word_width'], 8, true);
  const cluster = a.number(['cluster_size', 'cluster-size'], 1, true);
  const block = a.number(['block_size', 'block-size'], Math.max(1, Math.floor(width / (bits * cluster))), true);
  const unlimited = Number.POSITIVE_INFINITY;
  const depth = a.number(['depth', 'memory_depth'], unlimited);
  const words = a.number(['entries'], a.has('sizeKB') ? (a.number(['sizeKB'], 0) * 8192) / bits : depth * block);
  const times = a.number(['multiple_buffering', 'multiple-buffering'], 1, true);
  const word_B = bits / 8;
  const sector_B = block * word_B;
  const rate = (keys: readonly string[]) => a.number(keys, unlimited, true) * word_B * clock_Hz;
  const shared_B_per_s = rate(['shared_bandwidth']);
  const read_B_per_s = rate(['read_bandwidth']);
  const write_B_per_s = rate(['write_bandwidth']);
  const port = shared_B_per_s < unlimited;
  if (port && (read_B_per_s < unlimited || write_B_per_s < unlimited))
    warnings.push(`${a.place}: shared_bandwidth is taken, read_bandwidth and write_bandwidth beside it are left out`);
  if (a.number(['min_utilization'], 0) > 0) warnings.push(`${a.place}: min_utilization is left out`);
  if (a.any('allow_overbooking') === true) warnings.push(`${a.place}: allow_overbooking is left out: tiles must fit`);
  const table = energy?.get(p.name);
  const of = (action: string, otherwise = 0) => table?.get(action) ?? otherwise;
  if (energy && !table && p.klass !== SPREADS && !/dummy/.test(p.klass))
    warnings.push(`${p.name} has no energy table: 0 is taken`);
  const write = of('write');
  const md_width = a.number(['metadata_storage_width'], 0);
  const md_depth = a.any('metadata_storage_depth') === undefined ? unlimited : a.number(['metadata_storage_depth'], 0);
  const md_bits = a.any('metadata_datawidth') === undefined ? undefined : a.number(['metadata_datawidth'], 0);
  a.ignore('meshX', 'meshY', 'instances', ...SILENT);
  a.done();
  return {
    id: p.name,
    scope: 'machine',
    role: dram ? 'home' : 'explicit',
    capacity_B: p.klass === SPREADS ? 0 : (words / times) * word_B,
    read_B_per_s: port ? shared_B_per_s : read_B_per_s,
    write_B_per_s: port ? shared_B_per_s : write_B_per_s,
    shared_port: port,
    clocked: true,
    latency_s: 0,
    line_B: sector_B,
    sector_B,
    banks: 1,
    slices: 1,
    sustained_fraction: 1,
    read_pJ_per_B: of('read') / sector_B,
    write_pJ_per_B: write / sector_B,
    update_pJ_per_B: of('update', write) / sector_B,
    leak_W: of('leak') * 1e-12 * clock_Hz,
    instances: p.x * p.y,
    word_B,
    ...(cluster !== 1 && { cluster }),
    ...((md_width > 0 || md_bits !== undefined) && {
      metadata: {
        capacity_bits: md_width > 0 ? md_depth * md_width : unlimited,
        width_bits: md_width,
        ...(md_bits !== undefined && { word_bits: md_bits }),
        read_pJ: of('metadata_read'),
        write_pJ: of('metadata_write'),
        update_pJ: of('metadata_update', of('metadata_write')),
      },
    }),
    compress_pJ: of('compression_count'),
    expand_pJ: of('decompression_count'),
  };
}

/** The level of this name. @throws InputError with the nearest one */
export function levelNamed(name: string, machine: TimeloopMachine, place: string): string {
  const bare = name
    .replace(/\s*\[.*$/, '')
    .split('.')
    .at(-1)!;
  const names = machine.levels.map((l) => l.name);
  if (names.includes(bare)) return bare;
  const near = nearestName(bare, names);
  throw new InputError(
    `target '${name}' is no storage${near ? `; did you mean '${near}'?` : ''} (there are ${names.join(', ')})`,
    place,
  );
}
