/** A description's tree against the schema of its family: structure, names and kinds of values, one clear message. */
import type { TSchema } from '@sinclair/typebox';
import type { ErrorObject, ValidateFunction } from 'ajv';
import { InputError, nearestName } from '../base/errors.js';
import { DIMENSIONS } from '../base/units.js';
import { fits } from './fits.js';
import { fileSchemaOf, type QuantityKeywords } from './quantity.js';
import type { Places, Tree } from './tree.js';

const compiled = new Map<TSchema, ValidateFunction>();
/** Trees that passed: a sweep resolves one source many times. */
const passed = new WeakSet<Tree>();

/** @throws InputError with file, line and path of the first fault. */
export async function checkTree(tree: Tree, schema: TSchema, places: Places, file: string): Promise<void> {
  if (passed.has(tree)) return;
  if (fits(tree, schema)) {
    passed.add(tree);
    return;
  }
  let validate = compiled.get(schema);
  if (!validate) {
    const { Ajv } = await import('ajv');
    const ajv = new Ajv({ allErrors: true, verbose: true, strict: true, allowUnionTypes: true, inlineRefs: false });
    ajv.addKeyword('x-quantity');
    validate = ajv.compile(fileSchemaOf(schema));
    compiled.set(schema, validate);
  }
  if (validate(tree)) return;
  // an unknown key explains a missing one better than the other way round
  const errors = validate.errors ?? [];
  const fault = errors.find((e) => e.keyword === 'additionalProperties') ?? errors[0]!;
  throw faultOf(fault, places, file);
}

function faultOf(fault: ErrorObject, places: Places, file: string): InputError {
  const path = fault.instancePath.slice(1).replaceAll('/', '.');
  const key = String(fault.params['additionalProperty'] ?? '');
  const at = key ? (path ? `${path}.${key}` : key) : path;
  const place = placeOf(at, places, file);
  const where = path ? `${path}: ` : '';
  const quantity = fault.parentSchema?.['x-quantity'] as QuantityKeywords | undefined;
  switch (fault.keyword) {
    case 'additionalProperties': {
      const parent = (fault.parentSchema ?? {}) as { properties?: object; patternProperties?: object };
      const known = Object.keys(parent.properties ?? {});
      const near = nearestName(key, known);
      const pattern = Object.keys(parent.patternProperties ?? {})[0];
      const hint = near
        ? `; did you mean '${near}'?`
        : pattern
          ? `; names here match ${pattern}`
          : ` (known: ${known.filter((k) => !k.startsWith('$')).join(', ')})`;
      return new InputError(`${where}unknown key '${key}'${hint}`, place);
    }
    case 'required': {
      const missing = String(fault.params['missingProperty']);
      if (quantity) return new InputError(`${where}the quantity's '${missing}' is missing`, place);
      return new InputError(`${where}'${missing}' is missing`, place);
    }
    case 'enum':
      return new InputError(
        `${where}expected one of ${(fault.params['allowedValues'] as unknown[]).join(', ')}${got(fault)}`,
        place,
      );
    case 'const':
      return new InputError(`${where}expected ${JSON.stringify(fault.params['allowedValue'])}${got(fault)}`, place);
    case 'type': {
      const expected = quantity
        ? `${DIMENSIONS[quantity.dimension].noun}, e.g. "${DIMENSIONS[quantity.dimension].example}"`
        : `a value of type ${String(fault.params['type'])}`;
      return new InputError(`${where}expected ${expected}${got(fault)}`, place);
    }
    default:
      return new InputError(`${where}${fault.message ?? 'not valid'}${got(fault)}`, place);
  }
}

function got(fault: ErrorObject): string {
  const text = JSON.stringify(fault.data) ?? 'nothing';
  return `, got ${text.length > 60 ? `${text.slice(0, 57)}…` : text}`;
}

/** File and line of a path, or of its nearest parent that was written. */
export function placeOf(path: string, places: Places, file: string): string {
  let probe = path;
  while (probe !== '' && !places.has(probe)) probe = probe.slice(0, Math.max(0, probe.lastIndexOf('.')));
  return places.get(probe)?.() ?? file;
}
