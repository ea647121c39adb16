/**
 * Points of a space as machines and traces: what a worker is set up with, and how it opens a point. All that is read
 * from files has been read before; a worker resolves, expands and simulates.
 */
import { InputError } from '../base/errors.js';
import { simulate } from '../engine/simulate.js';
import type { Simulation } from '../engine/simulation.js';
import { Mapper } from '../kernel/mapper.js';
import { type Machine, resolveMachine } from '../machine/load.js';
import { type MachinePack, unpack } from '../machine/pack.js';
import type { Trace } from '../workload/op.js';
import { traceOf, type WorkloadSource } from '../workload/source.js';
import { footprintOf } from '../workload/summary.js';
import type { Open, Opened, Results } from './evaluate.js';
import { pinTarget } from './mapping.js';
import { offloadOf, type Space } from './space.js';

export interface Setup {
  readonly space: Space;
  /** Where messages say the space is. */
  readonly place: string;
  /** By the name that the space uses. */
  readonly machines: Readonly<Record<string, MachinePack>>;
  readonly workloads: Readonly<Record<string, WorkloadSource>>;
}

/** Fields of a machine by nested names, in SI units. */
export function fieldsOf(machine: Machine): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const [path, { value }] of machine.fields) {
    const parts = path.split('.');
    let at = root;
    for (const part of parts.slice(0, -1)) at = (at[part] ??= {}) as Record<string, unknown>;
    at[parts.at(-1)!] = value;
  }
  return { ...root, name: machine.name };
}

/** Most machines and traces that a worker keeps: neighbouring points share them. */
const KEEP = 256;

export function opener({ space, place, machines, workloads }: Setup): Open {
  const { base, axes } = space;
  const kept = new Cache<{ machine: Machine; mapper: Mapper; fields: Record<string, unknown> }>();
  const traces = new Cache<Trace>();
  const sources = Object.fromEntries(Object.entries(machines).map(([name, packed]) => [name, unpack(packed)]));

  return async ({ values }): Promise<Opened> => {
    let machineName = base.machine;
    let workload = base.workload;
    let offloaded = base.offload ?? 'none';
    const machineSet = Object.entries(base.set ?? {}).map(([path, value]) => `${path}=${value}`);
    const workloadSet: string[] = [];
    const pins: Record<string, { kernel?: string; params: Record<string, number> }> = {};
    axes.forEach(({ path }, i) => {
      const value = values[i]!;
      const [root, ...rest] = path.split('.');
      const field = rest.join('.');
      if (path === 'machine') machineName = String(value);
      else if (path === 'workload') workload = String(value);
      else if (path === 'offload') offloaded = String(value);
      else if (root === 'machine') machineSet.push(`${field}=${value}`);
      else if (root === 'workload') workloadSet.push(`${field}=${value}`);
      else {
        if (typeof value !== 'number') throw new InputError(`${path} must be a whole number, not '${value}'`, place);
        const { kind, kernel } = pinTarget(rest[0]!);
        const pin = (pins[kind] ??= { kernel, params: {} });
        if (pin.kernel !== kernel) throw new InputError(`${path}: ops of kind ${kind} have two kernels`, place);
        pin.params[rest[1]!] = value;
      }
    });
    const key = JSON.stringify([machineName, machineSet]);
    const known = kept.find(key);
    const machine = known?.machine ?? (await resolveMachine(sources[machineName!]!, machineSet));
    const { mapper, fields } = known ?? kept.keep(key, { machine, mapper: new Mapper(), fields: fieldsOf(machine) });
    const traceFor = (run: string | undefined): Trace => {
      const text = typeof workload === 'object' ? workload[run!]! : workload!;
      return traces.get(JSON.stringify([text, workloadSet]), () => traceOf(workloads[text]!, workloadSet));
    };
    for (const run of space.runs.length > 0 ? space.runs : [undefined]) traceFor(run);
    const { fidelity, objective, launch } = base;
    const offload = offloadOf(offloaded, place);
    return {
      machine: fields,
      axes: resolvedAxes(space, machine),
      replay: (run) =>
        resultsOf(
          simulate(traceFor(run), machine.graph, {
            fidelity,
            objective,
            launch,
            mapper,
            strict: true,
            pins,
            ...(offload && { offload }),
          }),
        ),
    };
  };
}

/** Numbers for axes over fields of the machine, whose values may be texts with units. */
function resolvedAxes(space: Space, machine: Machine): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const { path, name } of space.axes) {
    const field = path.startsWith('machine.') ? machine.fields.get(path.slice('machine.'.length)) : undefined;
    if (field) out[name] = field.value;
  }
  return out;
}

export function resultsOf(run: Simulation): Results {
  const dram_B = run.moved_B['dram'];
  return {
    time_s: run.time_s,
    launch_s: run.launch_s,
    bound_s: run.bound_s,
    energy_J: run.energy_J,
    power_W: run.power_W,
    flops: run.flops,
    flops_executed: run.flops_executed,
    roof_fraction: run.roof_fraction,
    bound_by: run.bound_by,
    footprint_B: footprintOf(run.footprint_B),
    ...(dram_B === undefined ? {} : { dram_B }),
    wait_s: run.offload?.wait_s ?? 0,
    ...(run.produces ? { produced: run.produces.count } : {}),
  };
}

/** Keeps the last values made; what fails is not kept. */
class Cache<T> {
  readonly #kept = new Map<string, T>();
  find(key: string): T | undefined {
    return this.#kept.get(key);
  }
  keep(key: string, made: T): T {
    if (this.#kept.size >= KEEP) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(key, made);
    return made;
  }
  get(key: string, make: () => T): T {
    return this.find(key) ?? this.keep(key, make());
  }
}
