/**
 * Fields of a description: which paths there are, overriding one (`--set`), and their values: units and formulas read,
 * ranges and provenance enforced.
 */
import type { TSchema } from '@sinclair/typebox';
import { InputError, unknownName } from '../base/errors.js';
import { isObject, type Json } from '../base/json.js';
import { isOrigin, type Sourced } from '../base/provenance.js';
import { baseUnit, DIMENSIONS, formatQuantity, parseQuantity } from '../base/units.js';
import { placeOf } from './check.js';
import { type Formula, formulaParser, isFormula } from './formula.js';
import { childSchema, type QuantityKeywords, quantityOf } from './quantity.js';
import { join, type Places, type Tree } from './tree.js';

/** Calls `leaf` on each leaf that the tree has or, in sections it has, could have (then without a value). */
function eachLeaf(
  tree: Tree,
  schema: TSchema,
  leaf: (path: string, schema: TSchema, value: Json | undefined) => void,
  prefix = '',
): void {
  const visit = (key: string, child: TSchema, value: Json | undefined): void => {
    const path = join(prefix, key);
    if (child['type'] !== 'object') leaf(path, child, value);
    else if (isObject(value)) eachLeaf(value, child, leaf, path);
  };
  const properties = schema['properties'] as Record<string, TSchema> | undefined;
  if (properties) {
    for (const key in properties) visit(key, properties[key]!, Object.hasOwn(tree, key) ? tree[key] : undefined);
    return;
  }
  for (const [key, value] of Object.entries(tree)) {
    const child = childSchema(schema, key);
    if (child) visit(key, child, value);
  }
}

/**
 * The tree with one leaf replaced. `text`: a number, a text with a unit, a formula; for other leaves their text.
 * @throws InputError when there is no such path, with the nearest.
 */
export function setField(tree: Tree, schema: TSchema, path: string, text: string): Tree {
  const place = `--set ${path}=${text}`;
  const leaves = new Map<string, TSchema>();
  eachLeaf(tree, schema, (p, s) => leaves.set(p, s));
  const leaf = leaves.get(path);
  if (!leaf) {
    const inside = [...leaves.keys()].filter((p) => p.startsWith(`${path}.`));
    if (inside.length > 0)
      throw new InputError(`'${path}' is a section; set a field of it: ${inside.join(', ')}`, place);
    throw unknownName('field', path, [...leaves.keys()], place);
  }
  if (path === 'family') throw new InputError("'family' cannot be changed", place);
  let value: Json = text;
  if (quantityOf(leaf)) value = { value: text, from: 'assumed', source: '--set' };
  else if (leaf['type'] === 'boolean') {
    if (text !== 'true' && text !== 'false') throw new InputError(`expected true or false`, place);
    value = text === 'true';
  }
  return replaced(tree, path.split('.'), value);
}

function replaced(tree: Tree, [key, ...rest]: string[], value: Json): Tree {
  const below = tree[key!];
  return { ...tree, [key!]: rest.length === 0 ? value : replaced(isObject(below) ? below : {}, rest, value) };
}

export interface Resolved {
  /** The tree with plain numbers in base units. */
  readonly plain: Tree;
  /** Every quantity by path, in the order of the file. */
  readonly fields: ReadonlyMap<string, Sourced>;
}

/** Numbers of a checked tree. Formulas are evaluated after the fields they read; a circle of them is an error. */
export async function resolveFields(tree: Tree, schema: TSchema, places: Places, file: string): Promise<Resolved> {
  const quantities = new Map<string, { json: Json; keywords: QuantityKeywords }>();
  eachLeaf(tree, schema, (path, leaf, json) => {
    const keywords = quantityOf(leaf);
    if (keywords && json !== undefined) quantities.set(path, { json, keywords });
  });
  const values = new Map<string, number>();
  const formulas = new Map<string, Formula>();
  const sourced = new Map<string, Omit<Sourced, 'value'>>();
  const at = (path: string) => `${placeOf(path, places, file)}: ${path}`;
  let parse: Awaited<ReturnType<typeof formulaParser>> | undefined;
  for (const [path, { json, keywords }] of quantities) {
    if (!isObject(json) || !isOrigin(json['from']) || typeof json['source'] !== 'string')
      throw new InputError(
        'this number has no provenance; write { "value": …, "from": …, "source": … } or give its section "$from" and "$source"',
        at(path),
      );
    const raw = json['value'];
    const text = String(raw);
    sourced.set(path, {
      dimension: keywords.dimension,
      unit: baseUnit(keywords.dimension),
      from: json['from'],
      source: json['source'],
      text,
    });
    if (isFormula(raw)) {
      parse ??= await formulaParser();
      formulas.set(
        path,
        parse(raw, at(path), () => [...quantities.keys()]),
      );
    } else values.set(path, typeof raw === 'number' ? raw : parseQuantity(text, keywords.dimension, at(path)));
  }
  const open: string[] = [];
  const evaluate = (path: string): void => {
    if (values.has(path)) return;
    if (open.includes(path))
      throw new InputError(`circular formulas: ${[...open.slice(open.indexOf(path)), path].join(' → ')}`, at(path));
    open.push(path);
    const formula = formulas.get(path)!;
    for (const read of formula.reads) evaluate(read);
    open.pop();
    values.set(path, formula.evaluate(values));
  };
  for (const path of formulas.keys()) evaluate(path);
  const fields = new Map<string, Sourced>();
  for (const [path, { keywords }] of quantities) {
    const value = checkRange(values.get(path)!, keywords, at(path));
    fields.set(path, { value, ...sourced.get(path)! });
  }
  return { plain: plainTree(tree, '', values), fields };
}

function plainTree(tree: Tree, prefix: string, values: ReadonlyMap<string, number>): Tree {
  const out: Tree = {};
  for (const [key, value] of Object.entries(tree)) {
    const path = join(prefix, key);
    out[key] = values.get(path) ?? (isObject(value) ? plainTree(value, path, values) : value);
  }
  return out;
}

function checkRange(value: number, { dimension, sign, max, integer }: QuantityKeywords, place: string): number {
  const shown = formatQuantity(value, dimension);
  const { noun, example } = DIMENSIONS[dimension];
  if (!Number.isFinite(value)) throw new InputError(`expected a finite number, e.g. "${example}", got ${value}`, place);
  if (value < 0 || (value === 0 && sign !== 'nonnegative'))
    throw new InputError(
      `expected ${noun} ${sign === 'nonnegative' ? 'of at least 0' : 'above 0'}, got ${shown}`,
      place,
    );
  if (max !== undefined && value > max)
    throw new InputError(`expected ${noun} of at most ${formatQuantity(max, dimension)}, got ${shown}`, place);
  if (integer && !Number.isInteger(value)) throw new InputError(`expected a whole number, got ${value}`, place);
  return value;
}
