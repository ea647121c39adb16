/**
 * What really runs on a WebGPU device, as a machine and as launches. WGSL multiplies and adds on each lane's register
 * tile, loads through registers and keeps workgroups apart: so matrix instructions, asynchronous copies and multicast
 * are taken out of the machine before programs are laid out and predicted. Both sides then use the same launches.
 */
import { InputError } from '../../base/errors.js';
import type { Program, Stmt, Tensor, View } from '../../kernel/ir.js';
import type { Launch, Params } from '../../kernel/kernel.js';
import { type AnyKernel, kernelByName } from '../../kernel/library/index.js';
import { laneGrid } from '../../kernel/library/matmul_plan.js';
import type { MmaOp, ResourceGraph } from '../../machine/graph.js';
import { mathRateOf, mmaOf } from '../../machine/graph.js';
import type { Op } from '../../workload/op.js';
import type { DeviceCase, Step } from './cases.js';
import { PROBES } from './probes.js';

/** The machine without what WGSL cannot reach. */
export function bindingOf(machine: ResourceGraph): ResourceGraph {
  const fma = mathRateOf(machine, 'fma', 'fp32');
  const add: MmaOp[] =
    fma && !mmaOf(machine, 'fp32', 'fp32', 'fp32')
      ? [
          {
            a: 'fp32',
            b: 'fp32',
            acc: 'fp32',
            macs_per_cycle: fma.rate.per_cycle,
            sparse_2_4: false,
            m: 1,
            n: 1,
            k: 1,
            lanes: 1,
            latency_cycles: fma.rate.latency_cycles,
            operands: 'register',
            accumulator: 'register',
            pJ_per_MAC: fma.rate.pJ,
          },
        ]
      : [];
  const units = machine.units.map((u) => ({ ...u, mma: u.mma.filter((op) => op.m * op.n * op.k === 1) }));
  return {
    ...machine,
    units: add.length > 0 ? [...units, { id: 'lanes', mma: add, math: {} }] : units,
    links: machine.links.map((l) => (l.to === 'shared' && l.via === undefined ? { ...l, via: 'register' } : l)),
    cores: { ...machine.cores, multicast: 1 },
  };
}

/** Lanes as the lane groups of a machine: whole ones, at least one. Throws InputError where they are not. */
export function groupParams(params: Params, machine: ResourceGraph): Params {
  const { lane_group } = machine.cores;
  const whole = (n: number, per: number, what: string): number => {
    if (!Number.isInteger(n / per)) throw new InputError(`${n} ${what} are no whole lane groups of ${lane_group}`);
    return n / per;
  };
  const { tm, tn, lanes, softmax_lanes, ...rest } = params;
  const out: Record<string, number> = { ...rest };
  if (tm !== undefined && tn !== undefined) {
    const [down, across] = laneGrid(machine);
    out['groups_m'] = whole(params['bm']! / tm, down, 'lanes down a tile');
    out['groups_n'] = whole(params['bn']! / tn, across, 'lanes across a tile');
  }
  if (lanes !== undefined) out['groups'] = whole(lanes, lane_group, 'lanes');
  if (softmax_lanes !== undefined) out['softmax_groups'] = whole(softmax_lanes, lane_group, 'lanes');
  return out;
}

export interface Built {
  readonly launches: readonly Launch[];
  readonly ops: readonly Op[];
  readonly kernels: readonly AnyKernel[];
}

/** `machine` as `bindingOf` gives it; `own` are a user's kernels by name. */
export function buildCase(c: DeviceCase, machine: ResourceGraph, own: ReadonlyMap<string, AnyKernel>): Built {
  const parts = c.steps.map((step) => {
    const kernel = own.get(step.kernel) ?? PROBES[step.kernel] ?? kernelByName(step.kernel);
    const op = kernel.toOp(step.shape, c.dtype) as Op;
    const why = kernel.rejects(op, machine);
    if (why !== undefined) throw new InputError(why, kernel.name);
    const defaults = Object.fromEntries(Object.entries(kernel.params).map(([key, def]) => [key, def.default]));
    const params = { ...defaults, ...(c.raw ? step.params : groupParams(step.params, machine)) };
    return { kernel, op, launches: renamed(kernel.build(op, params, machine), step) };
  });
  return {
    launches: parts.flatMap((p) => p.launches),
    ops: parts.map((p) => p.op),
    kernels: parts.map((p) => p.kernel),
  };
}

function renamed(launches: readonly Launch[], { rename }: Step): readonly Launch[] {
  if (!rename) return launches;
  return launches.map(({ program, mapping }) => ({ mapping, program: withNames(program, rename) }));
}

function withNames(program: Program, names: Readonly<Record<string, string>>): Program {
  const known = new Map<Tensor, Tensor>(
    program.tensors.map((t) => [t, names[t.name] ? { ...t, name: names[t.name]! } : t]),
  );
  const of = <T extends View | { level: unknown }>(x: T): T =>
    'tensor' in x ? { ...x, tensor: known.get(x.tensor)! } : x;
  const visit = (s: Stmt): Stmt => {
    switch (s.kind) {
      case 'loop':
        return { ...s, body: s.body.map(visit) };
      case 'copy':
        return { ...s, from: of(s.from), to: of(s.to) };
      case 'gather':
        return { ...s, from: of(s.from) };
      case 'scatter':
        return { ...s, to: of(s.to) };
      default:
        return s;
    }
  };
  return { ...program, tensors: [...known.values()], body: program.body.map(visit) };
}
