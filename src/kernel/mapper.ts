/**
 * Picks how an op is computed on a machine: every kernel of its kind × every candidate choice of parameters, laid
 * out, checked against what a core holds, timed by a function that the caller injects, and the best by the objective.
 * Deterministic (the first of equals wins) and memoised by content.
 */
import { InfeasibleError, InputError, positive, unknownName } from '../base/errors.js';
import type { ResourceGraph } from '../machine/graph.js';
import type { Op } from '../workload/op.js';
import { isMisfit, type Misfit, residency } from './fit.js';
import type { Launch, Params } from './kernel.js';
import { type AnyKernel, kernelNames, kernelsFor, kernelsNamed } from './library/index.js';
import { checkPinnedParams, nearestFitting, pinnedChoices, show } from './pins.js';

export const OBJECTIVES = ['time', 'energy', 'edp'] as const;
export type Objective = (typeof OBJECTIVES)[number];

/** What a user fixes: a kernel or family by name, any of its parameters. */
export interface Pins {
  readonly kernel?: string;
  readonly params?: Params;
}

/** What the injected model says of launches in sequence; undefined when it cannot run them. */
export type Evaluate = (
  launches: readonly Launch[],
) => { readonly time_s: number; readonly energy_J: number } | undefined;

export interface MapOptions {
  readonly evaluate: Evaluate;
  /** Lays a launch on arrays of processing elements, where the machine has them and the program allows. */
  readonly layOut?: (launch: Launch) => Launch;
  readonly objective?: Objective;
  readonly pins?: Pins;
  /** Kernels to choose from, for what the library does not have; its own for ops of this kind when absent. */
  readonly kernels?: readonly AnyKernel[];
  /** Everything else that `evaluate` depends on (cache state, launch mode, clock), as text: part of the memo's key. */
  readonly context?: string;
}

export interface Choice {
  readonly kernel: string;
  readonly params: Params;
  readonly launches: readonly Launch[];
  readonly time_s: number;
  readonly energy_J: number;
  /** Candidates that fitted and were evaluated. */
  readonly tried: number;
  /** Candidates that did not fit. */
  readonly misfits: number;
}

/** Remembers choices by what the op computes, so that layers and steps that are alike are mapped once. */
export class Mapper {
  private readonly memo = new WeakMap<ResourceGraph, Map<string, Choice>>();

  /** As `mapOp`. The machine is known by identity, the op by its content. */
  map(op: Op, machine: ResourceGraph, options: MapOptions): Choice {
    // kernels from elsewhere are known by no name that could be a key
    if (options.kernels) return mapOp(op, machine, options);
    let known = this.memo.get(machine);
    if (!known) {
      known = new Map();
      this.memo.set(machine, known);
    }
    const key = `${contentOf(op)}|${options.objective ?? 'time'}|${JSON.stringify(options.pins ?? null)}|${options.context ?? ''}`;
    let choice = known.get(key);
    if (!choice) {
      choice = mapOp(op, machine, options);
      known.set(key, choice);
    }
    return choice;
  }
}

/** What an op computes, as text: all of it but its place in a trace. */
export function contentOf(op: Op): string {
  return JSON.stringify({
    ...op,
    id: undefined,
    name: undefined,
    repeat: undefined,
    deps: undefined,
    phase: undefined,
  });
}

const SCORES = {
  time: (e) => e.time_s,
  energy: (e) => e.energy_J,
  edp: (e) => e.time_s * e.energy_J,
} as const satisfies Record<Objective, (e: { time_s: number; energy_J: number }) => number>;

/** Best so far, and the least of what was in the way. */
interface Search {
  best: Choice | undefined;
  score: number;
  tried: number;
  misfits: number;
  nearest: { kernel: AnyKernel; params: Params; misfit: Misfit } | undefined;
  /** First fault of a choice that the kernel cannot lay out at all. */
  fault: InputError | undefined;
  /** First choice that arrays cannot hold. */
  infeasible: InfeasibleError | undefined;
}

/**
 * Throws InputError for pins that name no kernel of this op or no legal value, InfeasibleError when nothing fits:
 * by how much, and what would fit.
 */
export function mapOp(op: Op, machine: ResourceGraph, options: MapOptions): Choice {
  const objective = options.objective ?? 'time';
  const score = SCORES[objective];
  const { kernels: able, rejected } = kernelsUnder(op, machine, options.pins, options.kernels);
  const search: Search = {
    best: undefined,
    score: Infinity,
    tried: 0,
    misfits: 0,
    nearest: undefined,
    fault: undefined,
    infeasible: undefined,
  };
  const nests = new Set<string>();
  const made = madeFor(machine, able);
  // what the machine is made for goes first; others are tried where none of it can run
  for (const kernel of [...made, ...able.filter((k) => !made.includes(k))]) {
    if (search.best && made.length > 0 && !made.includes(kernel)) break;
    for (const params of choicesOf(kernel, op, machine, options.pins)) {
      const launches = laidOut(kernel, op, params, machine, search, options.layOut);
      if (!launches) continue;
      // programs that differ in their tiles alone have one nest
      if (launches.every((l) => l.mapping.nest)) {
        const same = JSON.stringify(launches.map((l) => l.mapping.nest));
        if (nests.has(same)) continue;
        nests.add(same);
      }
      const result = options.evaluate(launches);
      if (!result) continue;
      search.tried++;
      const value = positive(score(result), `${objective} of ${launches[0]!.program.name} on ${machine.name}`);
      if (value < search.score) {
        search.score = value;
        search.best = {
          kernel: kernel.name,
          params,
          launches,
          time_s: result.time_s,
          energy_J: result.energy_J,
          tried: 0,
          misfits: 0,
        };
      }
    }
  }
  if (search.best) return { ...search.best, tried: search.tried, misfits: search.misfits };
  throw failure(op, machine, search, rejected, options.pins);
}

/** Of these kernels, those that the machine's control is made for. @throws InputError for a name that no kernel has */
function madeFor(machine: ResourceGraph, able: readonly AnyKernel[]): readonly AnyKernel[] {
  const { runs } = machine;
  if (!runs) return [];
  for (const family of new Set(able.map((k) => k.family)))
    for (const name of runs[family] ?? [])
      if (!kernelNames().includes(name))
        throw unknownName('kernel', name, kernelNames(), `${machine.name}: runs.${family}`);
  return able.filter((k) => runs[k.family]?.includes(k.name));
}

/** Launches of a choice when all of them fit; otherwise notes why not. */
function laidOut(
  kernel: AnyKernel,
  op: Op,
  params: Params,
  machine: ResourceGraph,
  search: Search,
  layOut: MapOptions['layOut'] = (l) => l,
): readonly Launch[] | undefined {
  let launches: readonly Launch[];
  try {
    launches = kernel.build(op, params, machine).map(layOut);
  } catch (e) {
    if (e instanceof InfeasibleError) {
      search.infeasible ??= e;
      return undefined;
    }
    if (!(e instanceof InputError)) throw e;
    search.fault ??= new InputError(e.message, `${kernel.name} ${show(params)}`);
    return undefined;
  }
  for (const launch of launches) {
    if (launch.mapping.nest) continue;
    const fit = residency(launch, machine);
    if (isMisfit(fit)) {
      search.misfits++;
      const { nearest } = search;
      if (!nearest || fit.need / fit.has < nearest.misfit.need / nearest.misfit.has)
        search.nearest = { kernel, params, misfit: fit };
      return undefined;
    }
  }
  return launches;
}

/** The kernels to try, and why others are not. */
function kernelsUnder(
  op: Op,
  machine: ResourceGraph,
  pins: Pins | undefined,
  given?: readonly AnyKernel[],
): { kernels: readonly AnyKernel[]; rejected: string[] } {
  let kernels: readonly AnyKernel[] = given ?? kernelsFor(op);
  if (kernels.length === 0) throw new InfeasibleError(`no kernel computes ${op.kind} ops yet`);
  if (pins?.kernel !== undefined) {
    const named = kernels.filter((k) => k.name === pins.kernel);
    const asked = named.length > 0 ? named : kernels.filter((k) => k.family === pins.kernel);
    if (asked.length === 0) {
      const other = kernelsNamed(pins.kernel)[0]!;
      throw new InputError(
        `kernel '${pins.kernel}' computes ${other.op} ops, not ${op.kind}; expected one of ${kernels.map((k) => k.name).join(', ')}`,
      );
    }
    kernels = asked;
  }
  if (pins?.params) kernels = checkPinnedParams(kernels, pins.params);
  const reasons = new Map<string, string[]>();
  const able = kernels.filter((k) => {
    const why = k.rejects(op, machine);
    if (why !== undefined) reasons.set(why, [...(reasons.get(why) ?? []), k.name]);
    return why === undefined;
  });
  return { kernels: able, rejected: [...reasons].map(([why, names]) => `${names.join(', ')}: ${why}`) };
}

const choicesOf = (kernel: AnyKernel, op: Op, machine: ResourceGraph, pins: Pins | undefined): Iterable<Params> =>
  pins?.params && Object.keys(pins.params).length > 0
    ? pinnedChoices(kernel, pins.params, kernel.candidates(op, machine))
    : kernel.candidates(op, machine);

function failure(
  op: Op,
  machine: ResourceGraph,
  search: Search,
  rejected: readonly string[],
  pins: Pins | undefined,
): Error {
  const { nearest, fault } = search;
  if (nearest) {
    const { kernel, params, misfit } = nearest;
    const fits = nearestFitting(kernel, op, params, machine);
    const what = pins?.params
      ? `${kernel.name} ${show(params)}`
      : `${op.kind} '${op.name}': ${kernel.name} ${show(params)}`;
    return new InfeasibleError(
      `${what} on ${machine.name} ${misfit.message}; ${fits ? `nearest that fits: ${show(fits)}` : 'no choice of its parameters fits'}`,
    );
  }
  if (fault) return fault;
  if (search.infeasible) return search.infeasible;
  const why = rejected.length > 0 ? rejected.join('; ') : 'no candidate could be evaluated';
  return new InfeasibleError(`${op.kind} '${op.name}' cannot run on ${machine.name}: ${why}`);
}
