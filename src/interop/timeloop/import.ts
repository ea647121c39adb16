/** A whole input of Timeloop v0.4: machine, einsum, mapping or what constrains one. */
import { InputError } from '../../base/errors.js';
import type { Cascade, Einsum } from '../../kernel/einsum.js';
import type { EinsumNest } from '../../kernel/nest.js';
import type { Sparsity } from '../../kernel/sparsity.js';
import { levelNamed, machineFrom, type TimeloopMachine } from './architecture.js';
import { energyFrom, tablesOf } from './energy.js';
import { isPrintedMap, nestFromPrinted, nestFromTargets } from './mapping.js';
import { problemFrom } from './problem.js';
import { Reader, readYaml } from './read.js';
import { sparsityFrom } from './sparse.js';
import { type Target, targetFrom } from './targets.js';

export interface TextFile {
  readonly text: string;
  readonly file: string;
}

export interface TimeloopInput {
  readonly machine: TimeloopMachine;
  readonly cascade: Cascade;
  readonly einsum: Einsum;
  /** Given, or undefined where one is to be searched. */
  readonly nest: EinsumNest | undefined;
  readonly constraints: readonly Target[];
  /** Use of zeros; it belongs to every nest of this input. */
  readonly sparsity: Sparsity | undefined;
  readonly objective: 'time' | 'energy' | 'edp';
  readonly warnings: readonly string[];
}

/** Where constraints of the search stand; `mapspace` may hold them too. */
const CONSTRAINTS = ['architecture_constraints', 'arch_constraints', 'mapspace_constraints', 'constraints'];
/** Constraints on a whole nest, which our space of nests has no rule for. */
const UNRULED = ['utilization', 'parallelism', 'max_overbooked_proportion'];

/** Says how the tool searches or prints: a search of ours has its own ways. */
const SILENT = ['compound_components', 'globals', 'variables', 'components', 'dumped_by_timeloop_front_end', 'version'];

/**
 * @param energy energies per action, where the input does not hold them
 * @param map a mapping as the tool prints it, in place of the input's
 * @throws InputError
 */
export function importTimeloop(input: TextFile, energy?: TextFile, map?: TextFile): TimeloopInput {
  const warnings: string[] = [];
  const { file } = input;
  const root = new Reader(readYaml(input.text, file), file, warnings);
  root.ignore(...SILENT);
  const architecture = root.child('architecture');
  const problem = root.child('problem');
  if (!architecture || !problem) throw new InputError(`has no ${architecture ? 'problem' : 'architecture'}`, file);
  const embedded = root.child('ERT');
  const tables = energy
    ? energyFrom(energy.text, energy.file, warnings)
    : embedded
      ? tablesOf(embedded, file)
      : undefined;
  if (!tables) warnings.push('no energy per action is given (--energy FILE): all energy is 0');
  const machine = machineFrom(architecture, tables, file);
  const { cascade, einsum } = problemFrom(problem);
  const tensors = cascade.tensors.map((t) => t.name);
  const targetsOf = (list: readonly Reader[]) =>
    list.map((r) => targetFrom(r, levelNamed(r.text(['target', 'name'], ''), machine, r.place), einsum.ranks, tensors));
  const given = targetsOf(root.children('mapping'));
  const mapspace = root.child('mapspace');
  mapspace?.ignore('version', 'template');
  const constraints = [
    ...CONSTRAINTS.flatMap((key) => targetsOf(constraintsIn(root, key))),
    ...(mapspace ? CONSTRAINTS.flatMap((key) => targetsOf(constraintsIn(mapspace, key))) : []),
  ];
  mapspace?.done();
  const inner = machine.levels.flatMap(({ name, constraints: own }) =>
    own ? insideConstraints(own, name, targetsOf) : [],
  );
  const nest = map
    ? nestFromPrintedMap(map, einsum, machine)
    : given.length > 0
      ? nestFromTargets(given, cascade, einsum, machine)
      : undefined;
  const sparsity = sparsityFrom(root, machine, einsum.ranks, tensors);
  const objective = objectiveOf(root.child('mapper'), warnings);
  root.done();
  return {
    machine,
    cascade,
    einsum,
    nest: nest && withSparsity(nest, sparsity),
    constraints: [...constraints, ...inner],
    sparsity,
    objective,
    warnings,
  };
}

/** A list of targets under a key, bare or as `targets` of a mapping; what no rule of ours expresses is warned of. */
function constraintsIn(r: Reader, key: string): Reader[] {
  const value = r.any(key);
  if (value === undefined) return [];
  const holder = Array.isArray(value) ? undefined : r.child(key)!;
  holder?.ignore('version');
  const list = holder ? holder.children('targets') : r.children(key);
  holder?.done();
  return list.filter((t) => {
    const unruled = UNRULED.includes(t.text(['type'], ''));
    if (unruled) r.warnings.push(`${t.place}: a constraint of type '${t.text(['type'], '')}' is left out`);
    return !unruled;
  });
}

function nestFromPrintedMap({ text, file }: TextFile, einsum: Einsum, machine: TimeloopMachine): EinsumNest {
  if (!isPrintedMap(text)) throw new InputError('is no mapping as Timeloop prints it (map.txt)', file);
  return nestFromPrinted(text, file, einsum, machine);
}

/** `constraints: { temporal: …, spatial: …, dataspace: … }` of a component. */
function insideConstraints(own: Reader, level: string, targetsOf: (list: readonly Reader[]) => Target[]): Target[] {
  const out = (['temporal', 'spatial', 'dataspace', 'datatype', 'bypass'] as const).flatMap((type) => {
    const r = own.child(type);
    return r ? targetsOf([new Reader({ ...r.node, target: level, type }, r.place, r.warnings)]) : [];
  });
  own.done();
  return out;
}

function objectiveOf(mapper: Reader | undefined, warnings: string[]): 'time' | 'energy' | 'edp' {
  const metrics = [mapper?.any('optimization_metrics'), mapper?.any('optimization_metric', 'optimization-metrics')]
    .flatMap((x) => (Array.isArray(x) ? x : x === undefined ? [] : [x]))
    .map(String);
  const [first = 'edp'] = metrics;
  if (first === 'delay') return 'time';
  if (first !== 'edp' && first !== 'energy')
    warnings.push(`${mapper!.place}: the metric '${first}' is not understood; nests are picked by energy × delay`);
  return first === 'energy' ? 'energy' : 'edp';
}

export const withSparsity = (nest: EinsumNest, sparsity: Sparsity | undefined): EinsumNest =>
  sparsity && !nest.sparsity ? { ...nest, sparsity } : nest;
