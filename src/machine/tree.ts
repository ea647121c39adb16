/**
 * A description file as a tree of plain JSON in which every quantity stands wrapped with its provenance: sections'
 * `$from`/`$source` handed down to the numbers below them, `extends` merged in (each file keeps its own provenance).
 */
import type { TSchema } from '@sinclair/typebox';
import { InputError } from '../base/errors.js';
import { isObject, type Json, type ParsedJson, parseJson } from '../base/json.js';
import { isOrigin, ORIGINS, type Provenance } from '../base/provenance.js';
import { childSchema, quantityOf } from './quantity.js';

export type Tree = { [key: string]: Json };

/** Finds the text of a file named in an `extends`; `from` is the file that says so. */
export type ResolveExtends = (name: string, from: string) => ExtendedFile | Promise<ExtendedFile>;
export interface ExtendedFile {
  readonly text: string;
  /** How messages, and `from`, call it. */
  readonly file: string;
}

/** Where each path was last written: "arch/gpu/x.json:12"; worked out when a message needs it. */
export type Places = Map<string, () => string>;

export interface Reader {
  readonly resolveExtends: ResolveExtends | undefined;
  readonly places: Places;
}

const MAX_EXTENDS = 8;

/** Text → the file's tree, `extends` followed. `schemaFor` is given the family name that the file (or a parent) states. */
export async function readTree(
  text: string,
  file: string,
  schemaFor: (family: Json | undefined, place: () => string) => TSchema,
  reader: Reader,
): Promise<Tree> {
  const parsed = parseJson(text, file);
  if (!isObject(parsed.value)) throw new InputError('expected an object { … } at the top', file);
  const family = await familyOf(parsed.value, file, reader);
  const schema = schemaFor(family, () => `${file}:${parsed.lineOf('family')}`);
  return section(parsed.value, '', schema, undefined, { parsed, file, prefix: '', chain: [file] }, reader);
}

async function familyOf(top: Tree, file: string, reader: Reader): Promise<Json | undefined> {
  let at = top;
  let from = file;
  for (let depth = 0; at['family'] === undefined && typeof at['extends'] === 'string'; depth++) {
    if (depth >= MAX_EXTENDS)
      throw new InputError(`'extends' goes deeper than ${MAX_EXTENDS} files, or in a circle`, file);
    const parent = await fetchParent(at['extends'], from, () => file, reader);
    const value = parseJson(parent.text, parent.file).value;
    if (!isObject(value)) throw new InputError('expected an object { … } at the top', parent.file);
    at = value;
    from = parent.file;
  }
  return at['family'];
}

async function fetchParent(name: string, from: string, place: () => string, reader: Reader): Promise<ExtendedFile> {
  if (!reader.resolveExtends) throw new InputError(`extends '${name}', but no other files can be read here`, place());
  try {
    return await reader.resolveExtends(name, from);
  } catch (error) {
    throw error instanceof InputError ? new InputError(`extends '${name}': ${error.message}`, place()) : error;
  }
}

interface Source {
  readonly parsed: ParsedJson;
  readonly file: string;
  /** Path in the machine at which this file's top stands. */
  readonly prefix: string;
  readonly chain: readonly string[];
}

async function section(
  json: Tree,
  path: string,
  schema: TSchema | undefined,
  inherited: Provenance | undefined,
  source: Source,
  reader: Reader,
): Promise<Tree> {
  const full = join(source.prefix, path);
  const place = (key: string) => `${source.file}:${source.parsed.lineOf(join(path, key))}`;
  const provenance = ownProvenance(json, inherited, () => `${place('')}: ${full || 'top'}`);
  let out: Tree = {};
  const parent = json['extends'];
  if (parent !== undefined) {
    if (typeof parent !== 'string') throw new InputError(`'extends' must be the name of a file`, place('extends'));
    out = await parentSection(parent, full, schema, source, () => place('extends'), reader);
  }
  reader.places.set(full, () => place(''));
  for (const [key, value] of Object.entries(json)) {
    if (key === 'extends' || key === '$from' || key === '$source' || key === '$note') continue;
    const at = join(path, key);
    const child = schema && childSchema(schema, key);
    reader.places.set(join(source.prefix, at), () => place(key));
    if (value === null && parent !== undefined) delete out[key];
    else if (child && quantityOf(child)) out[key] = wrap(value, provenance);
    else if (isObject(value)) {
      const mine = await section(value, at, child, provenance, source, reader);
      const below = Object.hasOwn(out, key) ? out[key] : undefined;
      out[key] = isObject(below) ? merge(below, mine) : mine;
    } else out[key] = value;
  }
  return out;
}

async function parentSection(
  name: string,
  full: string,
  schema: TSchema | undefined,
  source: Source,
  place: () => string,
  reader: Reader,
): Promise<Tree> {
  const { text, file } = await fetchParent(name, source.file, place, reader);
  if (source.chain.includes(file))
    throw new InputError(`'extends' goes in a circle: ${[...source.chain, file].join(' → ')}`, place());
  if (source.chain.length >= MAX_EXTENDS)
    throw new InputError(`'extends' goes deeper than ${MAX_EXTENDS} files`, place());
  const parsed = parseJson(text, file);
  if (!isObject(parsed.value)) throw new InputError('expected an object { … } at the top', file);
  const chain = [...source.chain, file];
  return section(parsed.value, '', schema, undefined, { parsed, file, prefix: full, chain }, reader);
}

function ownProvenance(json: Tree, inherited: Provenance | undefined, place: () => string): Provenance | undefined {
  const { $from: from, $source: source } = json;
  if (from === undefined && source === undefined) return inherited;
  if (from === undefined || source === undefined)
    throw new InputError(`'$from' and '$source' must stand together`, place());
  if (!isOrigin(from)) throw new InputError(`'$from' must be one of ${ORIGINS.join(', ')}`, place());
  if (typeof source !== 'string' || source === '') throw new InputError(`'$source' must be a text`, place());
  return { from, source };
}

/** A quantity with what is known of its provenance; faulty shapes are left for the schema to complain about. */
function wrap(value: Json, provenance: Provenance | undefined): Json {
  if (typeof value === 'number' || typeof value === 'string') return provenance ? { value, ...provenance } : value;
  return isObject(value) && 'value' in value ? { ...provenance, ...value } : value;
}

function merge(below: Tree, above: Tree): Tree {
  const out = { ...below };
  for (const [key, value] of Object.entries(above)) {
    const old = Object.hasOwn(out, key) ? out[key] : undefined;
    if (value === null) delete out[key];
    else out[key] = isObject(old) && isObject(value) && !('value' in value) ? merge(old, value) : value;
  }
  return out;
}

export function join(path: string, key: string): string {
  return path === '' ? key : key === '' ? path : `${path}.${key}`;
}
