/**
 * A description file becomes a machine:
 *
 *   text ──parse, extend──► tree ──--set──► tree ──schema──► tree ──units, formulas──► numbers ──lower──► resource graph
 */
import { InputError, unknownName } from '../base/errors.js';
import type { Json } from '../base/json.js';
import type { Sourced } from '../base/provenance.js';
import { checkTree } from './check.js';
import { FAMILIES, FAMILY_NAMES, type Family } from './family.js';
import { resolveFields, setField } from './fields.js';
import type { ResourceGraph } from './graph.js';
import { validGraph } from './graph-check.js';
import { type Places, type ResolveExtends, readTree, type Tree } from './tree.js';
import type { Uncertainty } from './uncertainty.js';

export interface Machine {
  readonly name: string;
  readonly title: string;
  readonly family: Family;
  readonly graph: ResourceGraph;
  /** Every number of the description by path, in its order, with unit, provenance and what the file said. */
  readonly fields: ReadonlyMap<string, Sourced>;
  /** How far predictions are off by class of work, where the description says so. */
  readonly uncertainty?: Uncertainty;
  readonly file: string;
}

export interface LoadOptions {
  /** For messages, and recorded in the machine. */
  readonly file: string;
  /** Overrides "path=value", applied in order. */
  readonly set?: readonly string[];
  readonly resolveExtends?: ResolveExtends;
}

/** A description that is read but not yet resolved: what a sweep reads once and resolves for each of its points. */
export interface MachineSource {
  readonly family: Family;
  readonly tree: Tree;
  readonly places: Places;
  readonly file: string;
}

/** @throws InputError with file, line and path for anything wrong with the text. */
export async function loadMachine(text: string, options: LoadOptions): Promise<Machine> {
  return resolveMachine(await readMachine(text, options), options.set);
}

/** Reads the text and what it extends. */
export async function readMachine(text: string, { file, resolveExtends }: LoadOptions): Promise<MachineSource> {
  const places: Places = new Map();
  let family: Family | undefined;
  const schemaFor = (name: Json | undefined, place: () => string) => {
    if (typeof name !== 'string')
      throw new InputError(`'family' is missing; expected one of ${FAMILY_NAMES.join(', ')}`, place());
    if (!Object.hasOwn(FAMILIES, name)) throw unknownName('family', name, FAMILY_NAMES, place());
    family = name as Family;
    return FAMILIES[family].schema;
  };
  const tree = await readTree(text, file, schemaFor, { resolveExtends, places });
  return { family: family!, tree: { ...tree, family: family! }, places, file };
}

/** Applies overrides, checks, reads units and formulas, and lowers. The source is not changed. */
export async function resolveMachine(source: MachineSource, set: readonly string[] = []): Promise<Machine> {
  const { family, file } = source;
  const { schema, lower } = FAMILIES[family];
  let tree = source.tree;
  let places = source.places;
  // structure first, so that overrides meet sections of the right shape
  await checkTree(tree, schema, places, file);
  if (set.length > 0) {
    const setPlaces: Places = new Map(places);
    for (const assignment of set) {
      const split = assignment.indexOf('=');
      if (split <= 0)
        throw new InputError(`expected path=value, e.g. --set dram.bandwidth="3 TB/s"`, `--set ${assignment}`);
      const path = assignment.slice(0, split).trim();
      tree = setField(tree, schema, path, assignment.slice(split + 1).trim());
      setPlaces.set(path, () => `--set ${assignment}`);
    }
    places = setPlaces;
    await checkTree(tree, schema, places, file);
  }
  const { plain, fields } = await resolveFields(tree, schema, places, file);
  const graph = validGraph(lower(plain as never, file), file);
  const uncertainty = plain['uncertainty'] as Uncertainty | undefined;
  return { name: graph.name, title: graph.title, family, graph, fields, ...(uncertainty && { uncertainty }), file };
}
