/**
 * One point of a space → one row. The formulas of a space are compiled once per worker; a replay runs only when a
 * formula asks for one of its results, so points that a constraint on the machine alone excludes cost nothing.
 */
import { InputError, TilewrightError, unknownName } from '../base/errors.js';
import type { AxisValue } from './axis.js';
import { type Compile, FORMULA_CONSTANTS, type Formula, type Scope } from './formula.js';
import type { Goal } from './pareto.js';
import type { Point, Space } from './space.js';

/** What a replay tells, by name, with its unit. */
export const RESULTS = {
  time_s: 's',
  launch_s: 's',
  bound_s: 's',
  energy_J: 'J',
  power_W: 'W',
  flops: 'FLOP',
  flops_executed: 'FLOP',
  roof_fraction: '',
  bound_by: '',
  footprint_B: 'B',
  dram_B: 'B',
  wait_s: 's',
  produced: '',
} as const;
export type ResultName = keyof typeof RESULTS;
/** Those that the machine and the workload have. */
export type Results = Readonly<Partial<Record<ResultName, number | string>>>;

/** Names of the results of a point: time_s, or prefill.time_s where workloads have names. */
export function resultNames(space: Pick<Space, 'runs'>): string[] {
  const names = Object.keys(RESULTS);
  return space.runs.length === 0 ? names : space.runs.flatMap((run) => names.map((name) => `${run}.${name}`));
}

/** A configuration that is ready to be replayed. */
export interface Opened {
  /** Fields of the machine in SI units, nested; `machine.dram.bandwidth` in formulas. */
  readonly machine: Readonly<Record<string, unknown>>;
  /** Values of axes as numbers where their text has a unit; the text stands in for what is missing here. */
  readonly axes?: Readonly<Record<string, unknown>>;
  /** Replays the workload of this name, or the only one. */
  replay(run?: string): Results;
}
/** Makes the configuration of a point. Throws InputError or InfeasibleError when there is none. */
export type Open = (point: Point) => Opened | Promise<Opened>;

export const STATUSES = ['ok', 'excluded', 'failed'] as const;

export interface Row {
  /** Id of the point. */
  readonly point: number;
  readonly axes: Readonly<Record<string, AxisValue>>;
  /** excluded: a constraint does not hold; failed: there is no result. */
  readonly status: (typeof STATUSES)[number];
  readonly reason?: string;
  /** failed: whose fault it was. */
  readonly fault?: 'infeasible' | 'input' | 'internal';
  readonly objectives?: Readonly<Record<string, number>>;
  readonly derived?: Readonly<Record<string, number | string | boolean>>;
  /** By `resultNames`. */
  readonly results?: Readonly<Record<string, number | string>>;
}

export interface CompiledSpace {
  readonly space: Space;
  readonly derived: ReadonlyMap<string, Formula>;
  /** Those that need no replay first. */
  readonly constraints: readonly Formula[];
  readonly objectives: readonly { readonly name: string; readonly goal: Goal; readonly formula: Formula }[];
}

/** Compiles and checks the formulas of a space. Throws InputError at `place`: unknown names, circles, clashes. */
export function compileSpace(space: Space, compile: Compile, place: string): CompiledSpace {
  const axes = space.axes.map((axis) => axis.name);
  const results = Object.keys(RESULTS);
  const derivedNames = space.derived.map((d) => d.name);
  const clash = [...axes, ...derivedNames].find((n) => results.includes(n) || FORMULA_CONSTANTS.includes(n));
  if (clash) throw new InputError(`'${clash}' is the name of a result; call it something else`, place);
  const roots = space.runs.length === 0 ? results : space.runs;
  const known = [...new Set([...axes, ...derivedNames, ...roots, 'machine'])];

  const read = (text: string, at: string): Formula => {
    const formula = compile(text, `${place}: ${at}`);
    for (const path of formula.reads) {
      const root = path.split('.')[0]!;
      if (!known.includes(root)) throw unknownName('name', root, known, `${place}: ${at}`);
      if (space.runs.includes(root) && !resultNames(space).includes(path))
        throw unknownName(`result of ${root}`, path, resultNames(space), `${place}: ${at}`);
    }
    return formula;
  };
  const derived = new Map(space.derived.map((d, i) => [d.name, read(d.formula, `derived.${i}`)]));
  for (const name of derivedNames) refuseCircle(name, derived, [], place);

  const needsReplay = (formula: Formula): boolean =>
    formula.reads.some(
      (path) => roots.includes(path.split('.')[0]!) || (derived.has(path) && needsReplay(derived.get(path)!)),
    );
  const constraints = space.constraints.map((text, i) => read(text, `constraints.${i}`));
  const objectives = space.objectives.map((objective, i) => {
    if (known.includes(objective.name) && objective.metric.trim() !== objective.name)
      throw new InputError(
        `the objective '${objective.name}' has the name of another value`,
        `${place}: objectives.${i}`,
      );
    return { name: objective.name, goal: objective.goal, formula: read(objective.metric, `objectives.${i}`) };
  });
  return {
    space,
    derived,
    constraints: [...constraints.filter((c) => !needsReplay(c)), ...constraints.filter(needsReplay)],
    objectives,
  };
}

function refuseCircle(
  name: string,
  derived: ReadonlyMap<string, Formula>,
  trail: readonly string[],
  place: string,
): void {
  if (trail.includes(name))
    throw new InputError(`circular formulas: ${[...trail, name].join(' → ')}`, `${place}: derived`);
  for (const next of derived.get(name)!.reads)
    if (derived.has(next)) refuseCircle(next, derived, [...trail, name], place);
}

/** By `resultNames`. */
function flat(runs: readonly string[], of: (run: string | undefined) => Results): Record<string, number | string> {
  if (runs.length === 0) return { ...of(undefined) };
  return Object.fromEntries(
    runs.flatMap((run) => Object.entries(of(run)).map(([name, value]) => [`${run}.${name}`, value] as const)),
  );
}

/** Never rejects: what goes wrong at a point is its row's reason. */
export async function evaluatePoint(compiled: CompiledSpace, point: Point, open: Open): Promise<Row> {
  const names = compiled.space.axes.map((axis) => axis.name);
  const axes = Object.fromEntries(names.map((name, i) => [name, point.values[i]!]));
  const base = { point: point.id, axes };
  try {
    const opened = await open(point);
    const values = new Map<string, unknown>();
    const { runs } = compiled.space;
    const replayed = new Map<string | undefined, Results>();
    const resultsOf = (run: string | undefined): Results => {
      const results = replayed.get(run) ?? opened.replay(run);
      replayed.set(run, results);
      return results;
    };
    const make = (name: string): unknown => {
      if (runs.includes(name)) return resultsOf(name);
      if (runs.length === 0 && name in RESULTS) return resultsOf(undefined)[name as ResultName];
      const formula = compiled.derived.get(name);
      if (formula) return formula.evaluate(scope);
      if (name in axes) return opened.axes?.[name] ?? axes[name];
      return name === 'machine' ? opened.machine : undefined;
    };
    const scope: Scope = {
      has: (name) =>
        runs.includes(name) ||
        (name in RESULTS && make(name) !== undefined) ||
        compiled.derived.has(name) ||
        name in axes ||
        name === 'machine',
      get(name) {
        if (!values.has(name)) values.set(name, make(name));
        return values.get(name);
      },
    };
    for (const constraint of compiled.constraints) {
      const holds = constraint.evaluate(scope);
      if (typeof holds !== 'boolean')
        throw new InputError(`the constraint '${constraint.text}' is ${String(holds)}, expected true or false`);
      if (!holds) return { ...base, status: 'excluded', reason: `not ${constraint.text}` };
    }
    const objectives: Record<string, number> = {};
    for (const { name, formula } of compiled.objectives) {
      const value = formula.evaluate(scope);
      if (typeof value !== 'number' || !Number.isFinite(value))
        throw new InputError(`the objective ${name} is ${String(value)}, expected a finite number`);
      objectives[name] = value;
    }
    const derived = Object.fromEntries(
      [...compiled.derived.keys()].map((name) => [name, scope.get(name) as number | string | boolean]),
    );
    return { ...base, status: 'ok', objectives, derived, results: flat(runs, resultsOf) };
  } catch (error) {
    const code = error instanceof TilewrightError ? error.exitCode : 1;
    const fault = code === 3 ? 'infeasible' : code === 2 ? 'input' : 'internal';
    return { ...base, status: 'failed', reason: error instanceof Error ? error.message : String(error), fault };
  }
}
