/**
 * A spatial array as a resource graph. The whole chip is one core; nests of loops are laid on its arrays. What has no
 * nest runs as a grid of workgroups on the last array, whose elements are the lanes, its tiles in the first shared store.
 */

import { DTYPES, type DType } from '../base/dtype.js';
import { InputError, nearestName, unknownName } from '../base/errors.js';
import { bareControl } from './bare.js';
import {
  type ArrayLevel,
  type Cores,
  type Link,
  MATH_FNS,
  type MathFn,
  type MathRate,
  type MmaOp,
  type Network,
  type OperandRole,
  type PeArray,
  type ResourceGraph,
  type Store,
  type Unit,
} from './graph.js';
import type { Spatial } from './spatial-schema.js';

type ArraySpec = Spatial['arrays'][string];
type LevelSpec = ArraySpec['levels'][string];
type StoreSpec = Spatial['shared'][string];

const WORD_B = 4;
const NO_WIRES: Network = {
  multicast: { x: false, y: false },
  reduce: { x: false, y: false },
  systolic: false,
  pJ_per_B: 0,
};

/** @throws InputError where fields contradict one another. */
export function lowerSpatial(machine: Spatial, file: string): ResourceGraph {
  checkSpatial(machine, file);
  const { launch, clock } = machine;
  return {
    name: machine.name,
    title: machine.title,
    family: machine.family,
    stores: storesOf(machine),
    links: linksOf(machine),
    // the first that can is asked: what lanes do, the last array does
    units: Object.entries(machine.arrays)
      .map(([id, a]) => unitOf(id, a, elementsOf(lastOf(machine.arrays)), file))
      .reverse(),
    cores: coresOf(machine),
    control: {
      ...bareControl(clock.nominal),
      launch_graph_s: launch.graph,
      launch_eager_s: launch.eager,
      static_W: machine.static,
      ...(machine.tdp !== undefined && { power_cap_W: machine.tdp }),
    },
    ...(machine.price !== undefined && { price_USD: machine.price }),
    ...(machine.die_area !== undefined && { die_area_mm2: machine.die_area }),
    arrays: Object.entries(machine.arrays).map(([id, a]) => arrayOf(id, a, machine)),
    ...(machine.runs && {
      runs: Object.fromEntries(Object.entries(machine.runs).map(([family, names]) => [family, names.split(/\s+/)])),
    }),
    max_peers: 1,
  };
}

const lastOf = <T>(record: Readonly<Record<string, T>>): T => Object.values(record).at(-1)!;
const firstName = (record: Readonly<Record<string, unknown>>): string => Object.keys(record)[0]!;

/** Elements of arithmetic in an array. */
const elementsOf = (a: ArraySpec): number =>
  Object.values(a.levels).reduce((n, { columns, rows }) => n * columns * rows, 1);

function storesOf(machine: Spatial): Store[] {
  const { dram, shared, arrays, clock } = machine;
  const f = clock.nominal;
  const of = (id: string, s: StoreSpec, instances?: number): Store => ({
    id,
    scope: 'core',
    role: 'explicit',
    capacity_B: s.capacity,
    read_B_per_s: s.read * f,
    write_B_per_s: s.write * f,
    shared_port: s.shared_port,
    clocked: true,
    latency_s: s.latency / f,
    line_B: s.word,
    sector_B: s.word,
    banks: s.banks,
    slices: 1,
    sustained_fraction: 1,
    read_pJ_per_B: s.read_energy,
    write_pJ_per_B: s.write_energy,
    ...(s.holds !== undefined && { holds: s.holds.split(' ') as OperandRole[] }),
    ...(instances !== undefined && { instances }),
  });
  const stores: Store[] = [
    {
      id: 'dram',
      scope: 'machine',
      role: 'home',
      capacity_B: dram.capacity,
      read_B_per_s: dram.bandwidth,
      write_B_per_s: dram.bandwidth,
      shared_port: true,
      clocked: false,
      latency_s: dram.latency,
      line_B: dram.burst,
      sector_B: dram.burst,
      banks: dram.banks,
      slices: dram.channels,
      sustained_fraction: dram.achievable,
      read_pJ_per_B: dram.energy,
      write_pJ_per_B: dram.energy,
    },
    ...Object.entries(shared).map(([id, s]) => of(id, s)),
  ];
  for (const { levels } of Object.values(arrays)) {
    let places = 1;
    for (const level of Object.values(levels)) {
      places *= level.columns * level.rows;
      for (const [id, s] of Object.entries(level.stores ?? {})) stores.push(of(id, s, places));
    }
  }
  return stores;
}

/** Between DRAM and the shared stores; nearer by, words travel over the networks of the levels. */
const linksOf = ({ dram, shared }: Spatial): Link[] =>
  Object.keys(shared).map((id) => ({
    id: `dram-${id}`,
    from: 'dram',
    to: id,
    scope: 'core',
    B_per_s: dram.bandwidth,
    latency_s: 0,
    clocked: false,
    pJ_per_B: 0,
    in_flight_B: Number.POSITIVE_INFINITY,
  }));

function wiresOf({ network: n }: LevelSpec): Network {
  const along = (w: string) => ({ x: w.includes('x'), y: w.includes('y') });
  return {
    multicast: along(n.multicast),
    reduce: along(n.reduce),
    ...(n.tree !== undefined && { tree: n.tree }),
    systolic: n.systolic,
    pJ_per_B: n.energy,
  };
}

function arrayOf(unit: string, { levels }: ArraySpec, { shared }: Spatial): PeArray {
  const one = { x: 1, y: 1 };
  const out: ArrayLevel[] = [{ id: 'dram', stores: ['dram'], fanout: one, network: NO_WIRES }];
  let above: { id: string; stores: readonly string[] } = { id: firstName(shared), stores: Object.keys(shared) };
  for (const [id, level] of Object.entries(levels)) {
    out.push({ ...above, fanout: { x: level.columns, y: level.rows }, network: wiresOf(level) });
    above = { id, stores: Object.keys(level.stores ?? {}) };
  }
  if (above.stores.length > 0) out.push({ ...above, fanout: one, network: NO_WIRES });
  return { unit, levels: out };
}

/** Columns and rows of a whole array, as far as a matrix instruction goes. */
function sidesOf({ levels }: ArraySpec): [rows: number, columns: number] {
  let rows = 1;
  let columns = 1;
  for (const level of Object.values(levels)) {
    rows *= level.rows;
    columns *= level.columns;
  }
  return [rows, columns];
}

function unitOf(id: string, a: ArraySpec, lanes: number, file: string): Unit {
  const elements = elementsOf(a);
  const math: Record<string, MathRate> = {};
  const place = `${file}: arrays.${id}.functions`;
  for (const [name, spec] of Object.entries(a.functions)) {
    const [fn, dtype] = mathKey(name, place);
    const key = dtype ? `${fn}:${dtype}` : fn;
    const pipe = spec.pipe ?? 'alu';
    if (spec.as !== undefined) {
      const step = a.functions[spec.as];
      if (!step) throw unknownName('function', spec.as, Object.keys(a.functions), `${place}.${name}`);
      if (step.per_cycle === undefined || step.energy === undefined || spec.steps === undefined)
        throw new InputError(`a sequence needs 'steps' of a function that has a rate of its own`, `${place}.${name}`);
      math[key] = {
        per_cycle: (elements * step.per_cycle) / spec.steps,
        latency_cycles: a.latency * spec.steps,
        pJ: step.energy * spec.steps,
        pipe: `${id}_${step.pipe ?? 'alu'}`,
        sequence: { of: mathKey(spec.as, place)[0], steps: spec.steps },
      };
    } else {
      if (spec.per_cycle === undefined || spec.energy === undefined)
        throw new InputError(`'per_cycle' and 'energy' are missing, or 'as' and 'steps'`, `${place}.${name}`);
      math[key] = {
        per_cycle: elements * spec.per_cycle,
        latency_cycles: a.latency,
        pJ: spec.energy,
        pipe: `${id}_${pipe}`,
      };
    }
  }
  const [rows, columns] = sidesOf(a);
  const mma = Object.values(a.macs ?? {}).map(
    (m): MmaOp => ({
      a: m.a,
      b: m.b,
      acc: m.acc,
      macs_per_cycle: elements * m.per_cycle,
      sparse_2_4: false,
      m: rows,
      n: columns,
      k: 1,
      // a grid of workgroups issues it from its lanes
      lanes,
      latency_cycles: a.latency,
      operands: 'shared',
      accumulator: 'register',
      pJ_per_MAC: m.energy,
    }),
  );
  return { id, mma, math };
}

/** "fma_fp16" → fma on fp16. */
function mathKey(name: string, place: string): [fn: MathFn, dtype?: DType] {
  const split = name.indexOf('_');
  const fn = split < 0 ? name : name.slice(0, split);
  if (!(MATH_FNS as readonly string[]).includes(fn)) throw unknownName('math function', fn, MATH_FNS, place);
  if (split < 0) return [fn as MathFn];
  const dtype = name.slice(split + 1);
  if (!(DTYPES as readonly string[]).includes(dtype)) throw unknownName('dtype', dtype, DTYPES, place);
  return [fn as MathFn, dtype as DType];
}

function coresOf(machine: Spatial): Cores {
  const lanes = elementsOf(lastOf(machine.arrays));
  const store = Object.values(machine.shared)[0]!;
  // half of the store for tiles that are shared, half for what lanes work on
  const half = Math.floor(store.capacity / 2);
  return {
    count: 1,
    cluster: 1,
    lane_group: lanes,
    issue_groups: 1,
    max_workgroups: 1,
    max_lanes: lanes * 32,
    max_lanes_per_workgroup: lanes * 32,
    registers_B: half,
    store: firstName(machine.shared),
    max_registers_per_lane_B: half / lanes,
    register_granule_B: WORD_B,
    shared_B: half,
    shared_per_workgroup_B: half,
    shared_reserved_B: 0,
    // sequencers issue ahead of the arrays
    issue_per_cycle: Object.keys(machine.arrays).length,
  };
}

function checkSpatial({ arrays, shared, dram, tdp, static: idle }: Spatial, file: string): void {
  if (Object.keys(arrays).length === 0) throw new InputError('arrays is empty', file);
  if (Object.keys(shared).length === 0) throw new InputError('shared is empty', file);
  const seen = new Set(['dram']);
  const once = (id: string, place: string) => {
    if (seen.has(id)) throw new InputError(`there is another store called '${id}'`, `${file}: ${place}`);
    seen.add(id);
  };
  for (const id of Object.keys(shared)) once(id, 'shared');
  for (const [name, a] of Object.entries(arrays)) {
    const levels = Object.entries(a.levels);
    if (levels.length === 0) throw new InputError(`arrays.${name}.levels is empty`, file);
    for (const [i, [id, level]] of levels.entries()) {
      const stores = Object.keys(level.stores ?? {});
      if (stores.length === 0 && i < levels.length - 1)
        throw new InputError(`arrays.${name}.levels.${id} has no stores, and is not the last level`, file);
      for (const s of stores) once(s, `arrays.${name}.levels.${id}`);
    }
    for (const fn of Object.keys(a.functions)) {
      const as = a.functions[fn]!.as;
      if (as !== undefined && a.functions[as]?.as !== undefined)
        throw new InputError(
          `arrays.${name}.functions.${fn} is a sequence of '${as}', itself a sequence; nearest plain one: ${
            nearestName(
              as,
              Object.keys(a.functions).filter((k) => a.functions[k]!.as === undefined),
            ) ?? 'none'
          }`,
          file,
        );
    }
  }
  const first = Object.values(shared)[0]!;
  if (first.capacity > dram.capacity) throw new InputError('the first shared store is larger than dram.capacity', file);
  if (first.capacity < 2)
    throw new InputError(
      `${first.capacity} B leave no room for a tile and what lanes work on, a half each`,
      `${file}: shared.${firstName(shared)}.capacity`,
    );
  if (first.holds !== undefined)
    throw new InputError('the first shared store must hold whatever programs keep, without holds', file);
  if (tdp !== undefined && idle >= tdp) throw new InputError('static is not below tdp', file);
}
